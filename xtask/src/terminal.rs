// SPDX-License-Identifier: MIT OR Apache-2.0
//! Progress for a person who watches. In a pipe there is silence, but what happens now is kept for who wants to tell it.

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};

/// The step that is running.
static NOW: Mutex<String> = Mutex::new(String::new());

/// Whether somebody watches: standard error is a terminal.
pub(crate) fn watched() -> bool {
    std::io::stderr().is_terminal()
}

/// Says what happens now, if somebody watches.
pub(crate) fn progress(message: &str) {
    note(message);
    if watched() {
        eprintln!("==> {message}");
    }
}

/// Keeps what happens now, without saying it.
pub(crate) fn note(message: &str) {
    message.clone_into(&mut NOW.lock().unwrap_or_else(PoisonError::into_inner));
}

/// Returns the step that was kept last.
pub(crate) fn noted() -> String {
    NOW.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
