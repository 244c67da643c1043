// SPDX-License-Identifier: MIT OR Apache-2.0
//! `grubenv`: the variables that GRUB keeps from one boot to the next, in a block that it can write without a file system.
//!
//! ```text
//! # GRUB Environment Block
//! saved_entry=ostree-2
//! next_entry=debian>It\\s          \ before \ and before a line break
//! ########…                        to the end, 1024 bytes as a rule
//! ```
//!
//! <https://www.gnu.org/software/grub/manual/grub/html_node/Environment-block.html>

/// The first bytes of the file.
const SIGNATURE: &[u8] = b"# GRUB Environment Block\n";

/// The largest block that is read. GRUB's own has 1024 bytes.
pub const MAX_SIZE: usize = 1 << 16;

/// Bytes that GRUB does not take for an environment block: it goes on as if there were none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "is no environment block of GRUB: it does not begin with \"# GRUB Environment Block\", or is larger than {MAX_SIZE} bytes"
)]
pub struct GrubenvError;

/// The variables of a block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grubenv {
    variables: Vec<(String, String)>,
}

impl Grubenv {
    /// Reads a block as GRUB does: what stands before a `=` is a name, line breaks included, and what is cut off at the end does not
    /// count. Bytes that are no UTF-8 are replaced.
    pub fn parse(block: &[u8]) -> Result<Self, GrubenvError> {
        let mut rest =
            block.strip_prefix(SIGNATURE).filter(|_| block.len() <= MAX_SIZE).ok_or(GrubenvError)?;
        let mut variables = Vec::new();
        while let Some(first) = rest.first() {
            if *first == b'#' {
                rest = line(rest).1;
                continue;
            }
            let Some(end) = rest.iter().position(|&byte| byte == b'=') else { break };
            let (name, value) = rest.split_at(end);
            let (Some(value), after) = line(value.get(1..).unwrap_or_default()) else { break };
            variables.push((text(name), text(&value)));
            rest = after;
        }
        Ok(Self { variables })
    }

    /// All of them in the order of the block; of two with the same name the last one counts.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.iter().rev().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// The first line without its backslashes, which keep a line break from ending it, and what comes after it; `None` for a line that
/// does not end.
fn line(bytes: &[u8]) -> (Option<Vec<u8>>, &[u8]) {
    let mut line = Vec::new();
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'\n' => return (Some(line), rest),
            b'\\' => {
                let Some((&escaped, after)) = rest.split_first() else { break };
                line.push(escaped);
                rest = after;
            }
            byte => line.push(byte),
        }
    }
    (None, &[])
}

/// As far as its first NUL, with which a text ends for GRUB.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.split(|&byte| byte == 0).next().unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(variables: &str) -> Vec<(String, String)> {
        let block = [SIGNATURE, variables.as_bytes()].concat();
        let block = Grubenv::parse(&block).unwrap();
        block.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// The expectations are what `grub-editenv list` of GRUB 2.06 prints for these blocks.
    #[test]
    fn variables_are_those_that_grub_sees() {
        for (block, expected) in [
            ("saved_entry=ostree-2\n####", vec![("saved_entry", "ostree-2")]),
            ("# WARNING: a=b\nx y=a=b\n", vec![("x y", "a=b")]),
            ("v=1>It\\\\s\\\na\n##", vec![("v", "1>It\\s\na")]),
            ("foo\nsaved_entry=3\nlast=v\\", vec![("foo\nsaved_entry", "3")]),
            ("a=b\na=c\n", vec![("a", "b"), ("a", "c")]),
            ("# c\\\nnext_entry=no\n", vec![]),
            ("a=\n=b\n", vec![("a", ""), ("", "b")]),
            ("never_closed=1", vec![]),
            ("", vec![]),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
            assert_eq!(parsed(block), expected, "{block:?}");
        }
        let block = Grubenv::parse(b"# GRUB Environment Block\na=b\na=c\n").unwrap();
        assert_eq!((block.get("a"), block.get("b")), (Some("c"), None));
    }

    #[test]
    fn what_grub_does_not_take_is_no_block() {
        let large = [SIGNATURE, &vec![b'#'; MAX_SIZE][..]].concat();
        for bytes in [&b""[..], b"# GRUB Environment Block", b"saved_entry=1\n", &large] {
            assert_eq!(Grubenv::parse(bytes), Err(GrubenvError));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Grubenv::parse(&bytes);
            let _ = Grubenv::parse(&[SIGNATURE, &bytes].concat());
        }
    }
}
