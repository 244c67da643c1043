// SPDX-License-Identifier: MIT OR Apache-2.0
//! The text that a guest's console has shown.

use std::fs;
use std::path::Path;

/// Reads a file as text, with marks in place of what is not UTF-8; empty if it cannot be read.
pub(crate) fn read_lossy(file: &Path) -> String {
    String::from_utf8_lossy(&fs::read(file).unwrap_or_default()).into_owned()
}

/// A console's text without escape sequences and other control characters.
pub(crate) fn printable(console: &str) -> String {
    let mut text = String::new();
    let mut characters = console.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            if characters.next_if_eq(&'[').is_some() {
                while characters.next().is_some_and(|next| !('@'..='~').contains(&next)) {}
            } else {
                characters.next();
            }
        } else if character == '\n' || !character.is_control() {
            text.push(character);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_taken_out_of_a_console() {
        assert_eq!(printable("\u{1b}[0;32mOK\u{1b}[0m \u{1b}(Bdone\r\n\u{1b}"), "OK Bdone\n");
        assert_eq!(printable("\u{1b}["), "");
    }
}
