// SPDX-License-Identifier: MIT OR Apache-2.0
//! SHA-256 checksums: the name of every object, and of every set of boot files.

use std::fmt;
use std::hash::{Hash, Hasher as StdHasher};
use std::io;
use std::str::FromStr;

use sha2::Digest;

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Checksum([u8; 32]);

/// A text that is not 64 lower-case hexadecimal digits, or bytes that are not 32.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a checksum (64 hexadecimal digits)")]
pub struct ParseChecksumError(pub String);

impl Checksum {
    /// Length of the hexadecimal form, in bytes.
    pub const HEX_LEN: usize = 64;

    /// A digest that was computed or stored elsewhere.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The digest as it stands inside an object.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The digest of `data`.
    pub fn of(data: &[u8]) -> Self {
        Self(sha2::Sha256::digest(data).into())
    }

    /// The hexadecimal form in a buffer on the stack, for paths built in a loop.
    pub fn hex(&self) -> [u8; Self::HEX_LEN] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut out = [0; Self::HEX_LEN];
        for (pair, byte) in out.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        out
    }
}

/// By the first eight bytes: they are as good as any, and a walk through a commit puts a checksum into a table for each of its files.
impl Hash for Checksum {
    fn hash<H: StdHasher>(&self, state: &mut H) {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        state.write_u64(u64::from_ne_bytes([a, b, c, d, e, f, g, h]));
    }
}

impl FromStr for Checksum {
    type Err = ParseChecksumError;

    /// Only lower-case digits are taken: a checksum is a file name, and two spellings of one name would be
    /// two files.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (mut out, mut seen) = ([0; 32], 0);
        for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let [high, low] = [pair[0], pair[1]].map(|c| DIGITS[usize::from(c)]);
            seen |= high | low;
            *byte = high << 4 | low & 0xf;
        }
        if text.len() != Self::HEX_LEN || seen > 0xf {
            return Err(ParseChecksumError(text.to_owned()));
        }
        Ok(Self(out))
    }
}

/// The value of each hexadecimal digit, and 255 of what is none. Listing a repository reads 64 digits an object: without a branch that is
/// a tenth of an upgrade less.
const DIGITS: [u8; 256] = {
    let mut values = [u8::MAX; 256];
    let mut value = 0;
    while value < 16 {
        values[b"0123456789abcdef"[value as usize] as usize] = value;
        value += 1;
    }
    values
};

impl TryFrom<&[u8]> for Checksum {
    type Error = ParseChecksumError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        bytes.try_into().map(Self).map_err(|_| ParseChecksumError(format!("{} bytes", bytes.len())))
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.hex().iter().try_for_each(|&c| fmt::Write::write_char(f, char::from(c)))
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A running SHA-256, fed piece by piece.
#[derive(Clone, Default)]
pub struct Hasher(sha2::Sha256);

impl Hasher {
    /// An empty digest.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `data`.
    pub fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// The digest of all that was added.
    pub fn finish(self) -> Checksum {
        Checksum(self.0.finalize().into())
    }
}

impl io::Write for Hasher {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.update(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips() {
        // The digest of no bytes, FIPS 180-4.
        let text = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Checksum::of(b"").to_string(), text);
        assert_eq!(text.parse(), Ok(Checksum::of(b"")));
    }

    #[test]
    fn other_spellings_are_refused() {
        let upper = Checksum::of(b"").to_string().to_uppercase();
        for text in ["", "e3b0", &upper, &"g".repeat(64), &"0".repeat(65)] {
            assert!(text.parse::<Checksum>().is_err(), "{text}");
        }
    }
}
