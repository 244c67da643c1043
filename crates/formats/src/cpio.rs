// SPDX-License-Identifier: MIT OR Apache-2.0
//! cpio archives of the kind that the kernel unpacks as initramfs: `newc`, with and without checksums.
//! <https://docs.kernel.org/driver-api/early-userspace/buffer-format.html>
//!
//! ```text
//! 070701 ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check    8 hex digits each
//! name NUL, zeroes up to a multiple of 4
//! contents, zeroes up to a multiple of 4
//! …
//! an entry named TRAILER!!!
//! ```
//!
//! Read as a stream: an initramfs is large, and only some small files of it are wanted.

use std::io::{self, ErrorKind, Read};

/// Bytes of a header.
pub const HEADER: usize = 110;

/// The kernel's own bound for names (`PATH_MAX`), with the NUL.
const MAX_NAME: u64 = 4096;

/// The name of the entry that ends an archive.
const TRAILER: &[u8] = b"TRAILER!!!";

/// The beginnings of an archive: without and with checksums.
pub const MAGIC: [&[u8; 6]; 2] = [b"070701", b"070702"];

/// The type bits of `mode`, and that of a regular file and of a symbolic link, of `stat(2)`.
const TYPE: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const LINK: u32 = 0o120_000;

/// One file of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path as it is written; programs begin it with nothing, `/` or `./`.
    pub name: Vec<u8>,
    /// Type and permissions, of `stat(2)`.
    pub mode: u32,
    /// Bytes of its contents; of a symbolic link, of its target. Of files with several names only the last one has any.
    pub size: u32,
    /// Which of the files with several names this is.
    pub inode: u32,
    /// How many names it has.
    pub links: u32,
}

impl Entry {
    /// Its path without what programs begin it with.
    pub fn path(&self) -> &[u8] {
        let name = self.name.strip_prefix(b".").filter(|rest| rest.starts_with(b"/")).unwrap_or(&self.name);
        let begin = name.iter().position(|byte| *byte != b'/').unwrap_or(name.len());
        name.get(begin..).unwrap_or_default()
    }

    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        self.mode & TYPE == REGULAR
    }

    /// Whether it is a symbolic link.
    pub fn is_link(&self) -> bool {
        self.mode & TYPE == LINK
    }
}

/// Why an archive cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum CpioError {
    /// The reader below fails, or ends too early.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// Something else than a header of this kind.
    #[error("not a cpio archive of the kind newc at byte {0} of its contents")]
    Header(u64),
    /// A name of length 0, or longer than any path.
    #[error("a name of {0} bytes")]
    Name(u64),
}

/// Reads an archive file by file.
#[derive(Debug)]
pub struct Archive<R> {
    from: R,
    /// Bytes of the archive that were read.
    at: u64,
    /// Bytes of the current file that are still to be read, without what fills up.
    left: u64,
    ended: bool,
}

impl<R: Read> Archive<R> {
    /// `from` stands at the first header.
    pub fn new(from: R) -> Self {
        Self { from, at: 0, left: 0, ended: false }
    }

    /// The next file; `None` at the archive's end. What is left of the file before is passed over.
    ///
    /// # Errors
    ///
    /// Reading fails, or there is no header.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, CpioError> {
        if self.ended {
            return Ok(None);
        }
        self.skip(self.left)?;
        self.left = 0;
        self.align()?;
        let begin = self.at;
        let mut header = [0; HEADER];
        self.fill(&mut header)?;
        let fields = fields(&header).ok_or(CpioError::Header(begin))?;
        let [inode, mode, _, _, links, _, size, _, _, _, _, name_size, _] = fields;
        if name_size == 0 || u64::from(name_size) > MAX_NAME {
            return Err(CpioError::Name(name_size.into()));
        }
        let mut name = vec![0; usize::try_from(name_size).unwrap_or(0)];
        self.fill(&mut name)?;
        self.align()?;
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        name.truncate(end);
        self.left = size.into();
        if name == TRAILER {
            self.ended = true;
            return Ok(None);
        }
        Ok(Some(Entry { name, mode, size, inode, links }))
    }

    /// The contents of the current file, as far as they are not longer than `most`; `None` for what is longer.
    ///
    /// # Errors
    ///
    /// Reading fails, or the archive ends before they do.
    pub fn contents(&mut self, most: u64) -> Result<Option<Vec<u8>>, CpioError> {
        if self.left > most {
            return Ok(None);
        }
        let mut contents = vec![0; usize::try_from(self.left).unwrap_or(0)];
        self.left = 0;
        self.fill(&mut contents)?;
        Ok(Some(contents))
    }

    /// Returns the reader below, which stands behind the archive.
    pub fn into_inner(self) -> R {
        self.from
    }

    /// Bytes of the archive that were read.
    pub fn position(&self) -> u64 {
        self.at
    }

    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.from.read_exact(buffer)?;
        self.at += buffer.len() as u64;
        Ok(())
    }

    fn skip(&mut self, count: u64) -> io::Result<()> {
        let skipped = io::copy(&mut (&mut self.from).take(count), &mut io::sink())?;
        self.at += skipped;
        if skipped < count { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    fn align(&mut self) -> io::Result<()> {
        self.skip(self.at.next_multiple_of(4) - self.at)
    }
}

/// The numbers of a header.
fn fields(header: &[u8; HEADER]) -> Option<[u32; 13]> {
    let digits = MAGIC.iter().find_map(|magic| header.strip_prefix(magic.as_slice()))?;
    let mut fields = [0; 13];
    for (field, text) in fields.iter_mut().zip(digits.chunks(8)) {
        let text = std::str::from_utf8(text).ok().filter(|text| !text.starts_with('+'))?;
        *field = u32::from_str_radix(text, 16).ok()?;
    }
    Some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive of `(name, mode, contents)`.
    fn archive(files: &[(&str, u32, &str)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, mode, contents) in files.iter().chain([&("TRAILER!!!", 0, "")]) {
            let (size, name_size) = (contents.len(), name.len() + 1);
            out.extend(b"070701");
            for field in [1, *mode as usize, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0] {
                out.extend(format!("{field:08x}").into_bytes());
            }
            out.extend([name.as_bytes(), b"\0"].concat());
            out.resize(out.len().next_multiple_of(4), 0);
            out.extend(contents.as_bytes());
            out.resize(out.len().next_multiple_of(4), 0);
        }
        out
    }

    #[test]
    fn files_are_read_one_by_one() {
        let bytes =
            archive(&[("./usr", 0o40755, ""), ("usr/a", 0o100_644, "12345"), ("/bin", 0o120_777, "usr")]);
        let mut archive = Archive::new(&bytes[..]);
        let first = archive.next_entry().unwrap().unwrap();
        assert_eq!((first.path(), first.is_file(), first.is_link()), (&b"usr"[..], false, false));
        let second = archive.next_entry().unwrap().unwrap();
        assert_eq!((second.path(), second.size, second.is_file()), (&b"usr/a"[..], 5, true));
        assert_eq!(archive.contents(4).unwrap(), None);
        assert_eq!(archive.contents(5).unwrap().unwrap(), b"12345");
        let third = archive.next_entry().unwrap().unwrap();
        assert_eq!((third.path(), third.is_link()), (&b"bin"[..], true));
        assert!(archive.next_entry().unwrap().is_none() && archive.next_entry().unwrap().is_none());
        assert_eq!(archive.position(), bytes.len() as u64);
    }

    #[test]
    fn damage_is_an_error() {
        let good = archive(&[("a", 0o100_644, "12345")]);
        for length in 0..good.len() - 4 {
            let mut cut = Archive::new(&good[..length]);
            assert!((0..3).any(|_| cut.next_entry().is_err()), "cut at {length}");
        }
        let mut no_magic = good.clone();
        no_magic[5] = b'7';
        assert!(matches!(Archive::new(&no_magic[..]).next_entry(), Err(CpioError::Header(0))));
        for (size, name) in [("00000000", true), ("00002000", true), ("+0000002", false)] {
            let mut bad = good.clone();
            bad[94..102].copy_from_slice(size.as_bytes());
            let error = Archive::new(&bad[..]).next_entry().unwrap_err();
            assert_eq!(matches!(error, CpioError::Name(_)), name, "{error}");
        }
    }
}
