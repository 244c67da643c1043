// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages to systemd's journal with fields of their own, in its native form:
//! <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>.

use std::os::unix::net::UnixDatagram;

const SOCKET: &str = "/run/systemd/journal/socket";

/// The longest message that is sent, in bytes: what a datagram holds with the kernel's default limits, and room to spare.
const LONGEST: usize = 128 * 1024;

/// Sends a message.
///
/// # Errors
///
/// When there is no journal, or the message is longer than a datagram may be.
pub fn send(fields: &[(&str, String)]) -> std::io::Result<()> {
    let entry = entry(fields);
    if entry.len() > LONGEST {
        return Err(std::io::ErrorKind::FileTooLarge.into());
    }
    UnixDatagram::unbound()?.send_to(&entry, SOCKET).map(drop)
}

/// The message, a field after the other; a value with a line break in it is preceded by its length.
fn entry(fields: &[(&str, String)]) -> Vec<u8> {
    let mut entry = Vec::new();
    for (key, value) in fields {
        entry.extend(key.as_bytes());
        if value.contains('\n') {
            entry.push(b'\n');
            entry.extend((value.len() as u64).to_le_bytes());
        } else {
            entry.push(b'=');
        }
        entry.extend(value.as_bytes());
        entry.push(b'\n');
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_break_in_a_value_makes_no_field() {
        let fields = [("MESSAGE", "plain".to_owned()), ("PATH", "a\nPRIORITY=0".to_owned())];
        assert_eq!(entry(&fields), b"MESSAGE=plain\nPATH\n\x0c\0\0\0\0\0\0\0a\nPRIORITY=0\n");
    }
}
