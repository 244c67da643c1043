// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree-boot-complete`: says why the last finalization failed, if it did.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    finalize::exit(|| finalize::boot_complete(Path::new("/"), &mut std::io::stdout()))
}
