// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree-finalize-staged`: switches to the staged deployment; `--hold` keeps `/boot` mounted until then.

use std::process::ExitCode;

fn main() -> ExitCode {
    finalize::exit(
        |name| std::env::var(name).ok(),
        |options| finalize::finalize_staged_program(options, std::env::args_os().skip(1)),
    )
}
