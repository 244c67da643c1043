// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree-boot-good`: brings the switch that led to this boot to its end.

use std::process::ExitCode;

fn main() -> ExitCode {
    finalize::exit(
        |name| std::env::var(name).ok(),
        |options| finalize::boot_good_program(options, std::env::args_os().skip(1)),
    )
}
