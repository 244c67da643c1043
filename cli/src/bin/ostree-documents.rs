// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes manual pages and shell completions of `ostree` and `ostree-bootloader` below a directory, from the command line's own
//! definition: `ostree-documents DESTDIR`.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(destdir) = std::env::args_os().nth(1) else {
        eprintln!("error: usage: ostree-documents DESTDIR");
        return ExitCode::FAILURE;
    };
    match cli::documents::write(Path::new(&destdir)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
