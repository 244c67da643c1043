// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree-system-generator`: see `systemd.generator(7)`.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1);
    early_boot::exit("ostree-system-generator", early_boot::generator::run(Path::new("/"), arguments))
}
