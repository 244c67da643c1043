// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writer of cpio archives in the "newc" form that the kernel unpacks as an initramfs.
//!
//! Each member is a header of 110 ASCII bytes, the name with a NUL, and the content, each padded to four bytes. The
//! kernel takes several archives behind one another; later members replace earlier ones.

const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;

/// An archive that grows in memory.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    members: u32,
}

impl Archive {
    /// Adds a directory, mode 0755.
    pub(crate) fn directory(&mut self, path: &str) -> &mut Self {
        self.member(path, DIRECTORY | 0o755, &[])
    }

    /// Adds a file with these permission bits.
    pub(crate) fn file(&mut self, path: &str, permissions: u32, content: &[u8]) -> &mut Self {
        self.member(path, REGULAR | permissions, content)
    }

    /// The whole archive, with its trailer.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.member("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn member(&mut self, path: &str, mode: u32, content: &[u8]) -> &mut Self {
        self.members += 1;
        let name_size = path.len() + 1;
        let links = if mode & DIRECTORY == DIRECTORY { 2 } else { 1 };
        // inode, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor, namesize, check
        let fields =
            [self.members as usize, mode as usize, 0, 0, links, 0, content.len(), 0, 0, 0, 0, name_size, 0];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
        self
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn cpio_reads_what_was_written() {
        let mut archive = Archive::default();
        archive.directory("a").file("a/b", 0o640, b"text\n");
        let bytes = archive.finish();
        let place = tempfile::tempdir().unwrap();
        let mut child = Command::new("cpio")
            .args(["-i", "--quiet"])
            .current_dir(place.path())
            .stdin(Stdio::piped())
            .spawn()
            .expect("the cpio program is needed for this test");
        child.stdin.take().unwrap().write_all(&bytes).unwrap();
        assert!(child.wait().unwrap().success());
        assert_eq!(std::fs::read_to_string(place.path().join("a/b")).unwrap(), "text\n");
        let listing =
            Command::new("stat").args(["-c", "%a", "a/b"]).current_dir(place.path()).output().unwrap();
        assert_eq!(listing.stdout, b"640\n");
    }
}
