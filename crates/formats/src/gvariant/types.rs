// SPDX-License-Identifier: MIT OR Apache-2.0
//! Type strings: where one type ends, its alignment and its fixed size.

use super::{Error, MAX_DEPTH};

/// The facts about a type that the layout rules need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    /// Alignment in bytes: 1, 2, 4 or 8.
    pub(super) align: usize,
    /// Size in bytes, if every value of the type has the same.
    pub(super) fixed: Option<usize>,
}

impl Layout {
    const fn fixed(size: usize) -> Self {
        Self { align: size, fixed: Some(size) }
    }

    const fn dynamic(align: usize) -> Self {
        Self { align, fixed: None }
    }
}

/// `offset`, moved up to the next multiple of `align`. Offsets are bounded by the length of a slice, so this
/// cannot overflow.
pub(super) const fn align_up(offset: usize, align: usize) -> usize {
    (offset + align - 1) & !(align - 1)
}

/// Splits the first complete type off `types`.
pub(super) fn split_first(types: &str) -> Result<(&str, &str), Error> {
    let end = end_of_type(types.as_bytes(), 0, MAX_DEPTH).ok_or_else(|| Error::BadType(types.to_owned()))?;
    types.split_at_checked(end).ok_or_else(|| Error::BadType(types.to_owned()))
}

/// Checks that `ty` is exactly one type.
pub(super) fn check(ty: &str) -> Result<(), Error> {
    match split_first(ty) {
        Ok((_, "")) => Ok(()),
        _ => Err(Error::BadType(ty.to_owned())),
    }
}

/// Whether a text can be a value of type `s`, `o` (an object path of D-Bus) or `g` (a signature: any number of
/// types).
pub(super) fn is_text_of(ty: &str, text: &str) -> bool {
    match ty {
        "o" => is_object_path(text),
        "g" => {
            let mut rest = text;
            while let Ok((_, next)) = split_first(rest) {
                rest = next;
            }
            rest.is_empty()
        }
        _ => true,
    }
}

/// `/`, or `/` before each of its elements, which are letters, digits and underscores.
fn is_object_path(text: &str) -> bool {
    let element =
        |part: &str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
    text == "/" || text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(element))
}

fn end_of_type(types: &[u8], at: usize, depth: u8) -> Option<usize> {
    let depth = depth.checked_sub(1)?;
    match types.get(at)? {
        b'b' | b'y' | b'n' | b'q' | b'i' | b'u' | b'x' | b't' | b'h' | b'd' | b's' | b'o' | b'g' | b'v' => {
            Some(at + 1)
        }
        b'a' | b'm' => end_of_type(types, at + 1, depth),
        b'(' => {
            let mut at = at + 1;
            while *types.get(at)? != b')' {
                at = end_of_type(types, at, depth)?;
            }
            Some(at + 1)
        }
        b'{' => {
            let key = types.get(at + 1)?;
            if !b"bynqiuxthdsog".contains(key) {
                return None;
            }
            let at = end_of_type(types, at + 2, depth)?;
            (*types.get(at)? == b'}').then_some(at + 1)
        }
        _ => None,
    }
}

/// The types inside the brackets of a tuple or dictionary entry, or the element type of an array or maybe.
pub(super) fn inner(ty: &str) -> &str {
    match ty.as_bytes().first() {
        Some(b'(' | b'{') => ty.get(1..ty.len() - 1).unwrap_or(""),
        _ => ty.get(1..).unwrap_or(""),
    }
}

/// Alignment and fixed size of a type that [`check`] accepted.
pub(super) fn layout(ty: &str) -> Layout {
    layout_at(ty.as_bytes(), 0).0
}

/// The layout of the type that starts at `at`, and where it ends.
fn layout_at(types: &[u8], at: usize) -> (Layout, usize) {
    let next = at + 1;
    match types.get(at) {
        Some(b'b' | b'y') => (Layout::fixed(1), next),
        Some(b'n' | b'q') => (Layout::fixed(2), next),
        Some(b'i' | b'u' | b'h') => (Layout::fixed(4), next),
        Some(b'x' | b't' | b'd') => (Layout::fixed(8), next),
        Some(b'v') => (Layout::dynamic(8), next),
        Some(b'a' | b'm') => {
            let (element, end) = layout_at(types, next);
            (Layout::dynamic(element.align), end)
        }
        Some(b'(' | b'{') => tuple_layout(types, next),
        // Strings, object paths and signatures; a checked type has nothing else.
        _ => (Layout::dynamic(1), next),
    }
}

fn tuple_layout(types: &[u8], mut at: usize) -> (Layout, usize) {
    let mut align = 1;
    let mut size = Some(0);
    while let Some(c) = types.get(at) {
        if matches!(c, b')' | b'}') {
            break;
        }
        let (child, end) = layout_at(types, at);
        align = align.max(child.align);
        size = match (size, child.fixed) {
            (Some(sum), Some(one)) => Some(align_up(sum, child.align) + one),
            _ => None,
        };
        at = end;
    }
    // The unit type is one zero byte, so that arrays of it can be counted.
    let fixed = size.map(|size| if size == 0 { 1 } else { align_up(size, align) });
    (Layout { align, fixed }, at + 1)
}

/// Bytes of one framing offset in a container of `len` bytes.
pub(super) const fn offset_size(len: usize) -> usize {
    match len {
        0 => 0,
        1..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_split() {
        for (types, first) in
            [("su", "s"), ("a{sv}aya(say)", "a{sv}"), ("(uuu)x", "(uuu)"), ("mmas", "mmas"), ("()", "()")]
        {
            assert_eq!(split_first(types).unwrap().0, first);
        }
        for bad in ["", "a", "(", "(s", "{vs}", "{s}", "{sss}", "é", "r", "a}", ")"] {
            assert!(split_first(bad).is_err(), "{bad}");
        }
        assert!(check(&"a".repeat(200)).is_err());
        assert!(check("ss").is_err());
    }

    #[test]
    fn layouts() {
        for (ty, align, fixed) in [
            ("(uuu)", 4, Some(12)),
            ("(yu)", 4, Some(8)),
            ("(uy)", 4, Some(8)),
            ("()", 1, Some(1)),
            ("(uuua(ayay))", 4, None),
            ("a{sv}", 8, None),
            ("{yt}", 8, Some(16)),
            ("mx", 8, None),
        ] {
            assert_eq!(layout(ty), Layout { align, fixed }, "{ty}");
        }
    }
}
