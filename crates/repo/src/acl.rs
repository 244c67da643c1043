// SPDX-License-Identifier: MIT OR Apache-2.0
//! POSIX access control lists, as far as a file's mode is a part of them.

/// The attribute with the list of a file: a version of 4 bytes, then entries of tag, permissions and id, little-endian
/// (`include/uapi/linux/posix_acl_xattr.h`).
pub(crate) const ACCESS: &[u8] = b"system.posix_acl_access";

const HEADER: usize = 4;
const ENTRY: usize = 8;

/// Tags of `include/uapi/linux/posix_acl.h`.
const OWNER: u16 = 0x01;
const GROUP: u16 = 0x04;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;

/// Returns the list as `chmod` leaves it: owner, others, and the mask or else the group get the bits of `mode`. A list of
/// another shape is returned as it is.
pub(crate) fn with_mode(list: &[u8], mode: u32) -> Vec<u8> {
    let mut list = list.to_vec();
    let Some(entries) = list.get_mut(HEADER..) else { return list };
    let tag_of = |entry: &[u8]| match entry {
        [low, high, ..] => u16::from_le_bytes([*low, *high]),
        _ => 0,
    };
    let has_mask = entries.chunks_exact(ENTRY).any(|entry| tag_of(entry) == MASK);
    for entry in entries.chunks_exact_mut(ENTRY) {
        let bits = match tag_of(entry) {
            OWNER => mode >> 6,
            GROUP if !has_mask => mode >> 3,
            MASK => mode >> 3,
            OTHER => mode,
            _ => continue,
        };
        if let [_, _, low, high, ..] = entry {
            (*low, *high) = (bits as u8 & 7, 0);
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[(u16, u16)]) -> Vec<u8> {
        let entry = |(tag, bits): &(u16, u16)| [tag.to_le_bytes(), bits.to_le_bytes(), [0xff; 2], [0xff; 2]];
        [2, 0, 0, 0].into_iter().chain(entries.iter().flat_map(entry).flatten()).collect()
    }

    #[test]
    fn the_mask_stands_for_the_group() {
        let found = list(&[(OWNER, 7), (2, 7), (GROUP, 7), (MASK, 7), (OTHER, 5)]);
        assert_eq!(with_mode(&found, 0o541), list(&[(OWNER, 5), (2, 7), (GROUP, 7), (MASK, 4), (OTHER, 1)]));
        let found = list(&[(OWNER, 7), (GROUP, 7), (OTHER, 5)]);
        assert_eq!(with_mode(&found, 0o541), list(&[(OWNER, 5), (GROUP, 4), (OTHER, 1)]));
    }

    #[test]
    fn odd_bytes_stay() {
        for odd in [&b""[..], b"\x02\0\0", b"\x02\0\0\0\x01\0\x07"] {
            assert_eq!(with_mode(odd, 0), odd);
        }
    }
}
