// SPDX-License-Identifier: MIT OR Apache-2.0
//! Progress for a person who watches; silence in a pipe.

use std::io::IsTerminal;

/// Whether somebody watches: standard error is a terminal.
pub(crate) fn watched() -> bool {
    std::io::stderr().is_terminal()
}

/// Says what happens now, if somebody watches.
pub(crate) fn progress(message: &str) {
    if watched() {
        eprintln!("==> {message}");
    }
}
