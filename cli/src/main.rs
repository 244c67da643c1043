// SPDX-License-Identifier: MIT OR Apache-2.0
//! The `ostree` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(std::env::args_os())
}
