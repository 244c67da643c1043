// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree-remount`: makes `/sysroot`, `/etc` and `/var` read-only or writable as the boot was configured.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    early_boot::exit("ostree-remount", early_boot::remount::run(Path::new("/")))
}
