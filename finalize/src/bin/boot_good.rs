// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree-boot-good`: brings the switch that led to this boot to its end.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    finalize::exit(|| finalize::boot_good(Path::new("/"), &mut std::io::stdout()))
}
