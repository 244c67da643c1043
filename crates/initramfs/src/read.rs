// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading an initramfs: archives one after the other, compressed or not, with zeroes between them.
//! <https://docs.kernel.org/driver-api/early-userspace/buffer-format.html>

use std::io::{BufRead, Cursor, Read};

use anyhow::{Result, bail, ensure};
use flate2::bufread::GzDecoder;
use formats::Checksum;
use formats::cpio::{Archive, Entry, MAGIC};
use ruzstd::decoding::StreamingDecoder;

use crate::{CONFIG, Contents, MAX_CONFIG, PROGRAM};

/// Bytes that tell one kind of archive from the others.
const MAGIC_LEN: usize = 6;

/// The largest unpacked initramfs, in bytes: a larger one could fill the memory of its machine.
const MOST: u64 = 4 << 30;

/// The largest program, in bytes: that of the initramfs has one or two million.
const MOST_PROGRAM: u64 = 16 << 20;

/// Finds the files in an initramfs that decide about the boot; `from` stands at its beginning.
///
/// # Errors
///
/// It is compressed by xz or lz4 or something unknown, is damaged, or has one of the files in an impossible form or size.
pub fn read(mut from: impl BufRead) -> Result<Contents> {
    let mut contents = Contents::default();
    while let Some(magic) = next_magic(&mut from)? {
        let mut rest = Cursor::new(magic).chain(&mut from);
        match magic {
            magic if is_cpio(&magic) => archive(rest, &mut contents)?,
            [0x1f, 0x8b, ..] => unpacked(GzDecoder::new(&mut rest), &mut contents)?,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => unpacked(StreamingDecoder::new(&mut rest)?, &mut contents)?,
            [0xfd, b'7', b'z', b'X', b'Z', 0] => bail!("it is compressed by xz, which is not read here"),
            [0x02, 0x21, 0x4c, 0x18, ..] | [0x04, 0x22, 0x4d, 0x18, ..] => {
                bail!("it is compressed by lz4, which is not read here")
            }
            _ => bail!("it is neither a cpio archive nor compressed in a way that is known here"),
        }
    }
    Ok(contents)
}

/// The archives in what was compressed. All of it is read: the next part begins behind it.
fn unpacked(from: impl Read, contents: &mut Contents) -> Result<()> {
    let mut from = from.take(MOST);
    while let Some(magic) = next_magic(&mut from)? {
        ensure!(is_cpio(&magic), "what is compressed in it is no cpio archive");
        archive(Cursor::new(magic).chain(&mut from), contents)?;
    }
    ensure!(from.limit() > 0, "it is larger than {MOST} bytes when it is unpacked");
    Ok(())
}

fn is_cpio(magic: &[u8; MAGIC_LEN]) -> bool {
    MAGIC.contains(&magic)
}

/// The first bytes behind any zeroes; `None` at the end.
fn next_magic(from: &mut impl Read) -> Result<Option<[u8; MAGIC_LEN]>> {
    let mut magic = [0; MAGIC_LEN];
    loop {
        let Some((first, rest)) = magic.split_first_mut() else { return Ok(None) };
        if from.read(std::slice::from_mut(first))? == 0 {
            return Ok(None);
        }
        if *first != 0 {
            from.read_exact(rest)?;
            return Ok(Some(magic));
        }
    }
}

/// Looks for what is wanted in one archive. Of several files with a path the last one counts, as for the kernel.
fn archive(from: impl Read, contents: &mut Contents) -> Result<()> {
    let mut archive = Archive::new(from);
    while let Some(entry) = archive.next_entry()? {
        let Ok(path) = str::from_utf8(entry.path()) else { continue };
        let path = path.to_owned();
        let is_config = CONFIG.contains(&path.as_str());
        let is_key = path.starts_with("etc/ostree/") && path.ends_with(".key");
        let is_program = path.rsplit('/').next() == Some(PROGRAM);
        if !(is_config || is_key || is_program) || is_empty_name(&entry) {
            continue;
        }
        ensure!(entry.is_file() || is_program, "/{path} in it is no regular file");
        if !entry.is_file() {
            continue;
        }
        let most = if is_program { MOST_PROGRAM } else { MAX_CONFIG };
        let Some(bytes) = archive.contents(most)? else { bail!("/{path} in it is larger than {most} bytes") };
        if is_config {
            let Ok(text) = String::from_utf8(bytes) else { bail!("/{path} in it is no text") };
            contents.config.insert(path, text);
        } else if is_key {
            contents.keys.insert(path, Checksum::of(&bytes).to_string());
        } else {
            contents.program = Some(Checksum::of(&bytes).to_string());
        }
    }
    Ok(())
}

/// Of a file with several names only the last has the contents.
fn is_empty_name(entry: &Entry) -> bool {
    entry.links > 1 && entry.size == 0
}

#[cfg(test)]
mod tests;
