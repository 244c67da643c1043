// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree-boot-complete`: says why the last finalization failed, if it did; `--dry-run` prints its steps.

use std::process::ExitCode;

fn main() -> ExitCode {
    finalize::exit(
        |name| std::env::var(name).ok(),
        |options| finalize::boot_complete_program(options, std::env::args_os().skip(1)),
    )
}
