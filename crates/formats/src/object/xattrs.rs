// SPDX-License-Identifier: MIT OR Apache-2.0
//! Extended attributes as objects hold them.

use super::error::ObjectError;
use crate::gvariant::{SequenceWriter, Variant};

/// The type string.
pub(super) const TYPE: &str = "a(ayay)";

/// A serialised `a(ayay)`: names, each with a zero byte at its end, and values.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct Xattrs(Vec<u8>);

impl Xattrs {
    /// No attributes.
    pub const fn empty() -> Self {
        Self(Vec::new())
    }

    /// Attributes given as (name without zero byte, value), in any order: they are stored sorted by name, so
    /// that one set has one checksum.
    pub fn new(mut attrs: Vec<(&[u8], &[u8])>) -> Self {
        if attrs.is_empty() {
            return Self::empty();
        }
        attrs.sort_unstable();
        let Ok(mut writer) = SequenceWriter::array("(ayay)") else { return Self::empty() };
        for (name, value) in attrs {
            writer.push(|out| {
                let start = out.len();
                out.extend_from_slice(name);
                out.push(0);
                let name_len = out.len() - start;
                out.extend_from_slice(value);
                push_end(out, start, name_len);
            });
        }
        Self(writer.finish())
    }

    /// Attributes as they were serialised; checked.
    pub fn from_variant(value: Variant<'_>) -> Result<Self, ObjectError> {
        value.check_normal()?;
        for pair in value.iter()? {
            match pair?.child(0)?.as_bytes()? {
                [name @ .., 0] if !name.is_empty() && !name.contains(&0) => {}
                _ => return Err(ObjectError::Header("an extended attribute without a name")),
            }
        }
        Ok(Self(value.data().to_vec()))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The serialised bytes.
    pub fn data(&self) -> &[u8] {
        &self.0
    }

    /// The reader, for printing.
    pub fn view(&self) -> Result<Variant<'_>, ObjectError> {
        Ok(Variant::new(TYPE, &self.0)?)
    }

    /// Names, without the zero byte, and values.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let pairs = self.view().ok().and_then(|view| view.iter().ok()).into_iter().flatten();
        pairs.filter_map(|pair| {
            let pair = pair.ok()?;
            let name = pair.child(0).ok()?.as_bytes().ok()?;
            Some((name.strip_suffix(b"\0")?, pair.child(1).ok()?.as_bytes().ok()?))
        })
    }
}

/// Appends the framing offset `end` to the tuple that starts at `start` of `out`.
pub(super) fn push_end(out: &mut Vec<u8>, start: usize, end: usize) {
    let body = out.len() - start;
    let word = match body {
        0..=0xfe => 1,
        0xff..=0xfffd => 2,
        0xfffe..=0xffff_fffb => 4,
        _ => 8,
    };
    out.extend((end as u64).to_le_bytes().iter().take(word));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gvariant::Value;

    #[test]
    fn attributes_are_sorted_and_serialised_as_by_the_general_writer() {
        for len in [0, 3, 252, 253, 254, 300, 70_000] {
            let value = vec![7; len];
            let xattrs = Xattrs::new(vec![(b"user.b", &value), (b"user.a", b"1")]);
            let pair = |name: &[u8], value: &[u8]| Value::tuple(&[Value::bytes(name), Value::bytes(value)]);
            let array =
                Value::array("(ayay)", &[pair(b"user.a\0", b"1"), pair(b"user.b\0", &value)]).unwrap();
            assert_eq!(xattrs.data(), array.data(), "{len}");
            assert_eq!(Xattrs::from_variant(array.view().unwrap()).unwrap(), xattrs);
            assert_eq!(xattrs.iter().collect::<Vec<_>>(), [(&b"user.a"[..], &b"1"[..]), (b"user.b", &value)]);
        }
        assert!(Xattrs::new(vec![]).is_empty());
    }
}
