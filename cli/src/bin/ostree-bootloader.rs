// SPDX-License-Identifier: MIT OR Apache-2.0
//! The `ostree-bootloader` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::boot_loader::run(std::env::args_os())
}
