// SPDX-License-Identifier: MIT OR Apache-2.0
//! Comparing the contents of files.

use std::fmt;
use std::io::{self, ErrorKind, Read};

/// Bytes that are read of either side at a time.
const BUFFER: usize = 1 << 17;

/// One of two sides that are compared could not be read.
#[derive(Debug)]
pub enum Unread {
    /// The first argument.
    First(io::Error),
    /// The second one.
    Second(io::Error),
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::First(error) | Self::Second(error)) = self;
        error.fmt(f)
    }
}

impl std::error::Error for Unread {}

impl From<Unread> for io::Error {
    fn from(unread: Unread) -> Self {
        let (Unread::First(error) | Unread::Second(error)) = unread;
        error
    }
}

/// Compares two sides from where they stand to their ends.
///
/// # Errors
/// The side that could not be read, and why: a caller that compares a copy with its source may take an unreadable copy for a
/// different one.
pub fn same_contents(mut first: impl Read, mut second: impl Read) -> Result<bool, Unread> {
    let (mut one, mut other) = (vec![0; BUFFER], vec![0; BUFFER]);
    loop {
        let of_first = fill(&mut first, &mut one).map_err(Unread::First)?;
        let of_second = fill(&mut second, &mut other).map_err(Unread::Second)?;
        if one.get(..of_first) != other.get(..of_second) {
            return Ok(false);
        }
        if of_first < BUFFER {
            return Ok(true);
        }
    }
}

/// Reads until the buffer is full or the end is there.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match from.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out a byte at a time, then fails if told to.
    struct Slow<'a>(&'a [u8], bool);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.split_first() {
                Some((byte, rest)) => {
                    buffer[0] = *byte;
                    self.0 = rest;
                    Ok(1)
                }
                None if self.1 => Err(ErrorKind::NotConnected.into()),
                None => Ok(0),
            }
        }
    }

    #[test]
    fn contents_are_compared_to_the_end() {
        let long = vec![7; BUFFER + 5];
        for (first, second, expected) in [
            (&b""[..], &b""[..], true),
            (b"ab", b"ab", true),
            (b"ab", b"a", false),
            (b"", b"a", false),
            (b"ab", b"ac", false),
        ] {
            assert_eq!(same_contents(first, Slow(second, false)).unwrap(), expected, "{first:?} {second:?}");
        }
        assert!(same_contents(&long[..], &long[..]).unwrap());
        assert!(!same_contents(&long[..], &long[..BUFFER]).unwrap());
    }

    #[test]
    fn the_side_that_cannot_be_read_is_told() {
        assert!(matches!(same_contents(Slow(b"a", true), &b"a"[..]), Err(Unread::First(_))));
        assert!(matches!(same_contents(&b"a"[..], Slow(b"a", true)), Err(Unread::Second(_))));
    }
}
