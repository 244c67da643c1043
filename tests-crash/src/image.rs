// SPDX-License-Identifier: MIT OR Apache-2.0
//! The contents of a disk in memory: only the parts that are not zero, so that most of it takes no room and no time.

use std::fs::File;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result};
use fn_error_context::context;
use rustix::fs::{FallocateFlags, SeekFrom};
use rustix::io::Errno;

/// Bytes in a chunk.
const CHUNK: u64 = 1 << 16;

/// The contents of a disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Image {
    length: u64,
    /// Nothing stands for zeros.
    chunks: Vec<Option<Box<[u8]>>>,
}

impl Image {
    /// Reads a file, without its holes.
    #[context("Reading an image")]
    pub(crate) fn read(file: &File) -> Result<Self> {
        let length = file.metadata()?.len();
        let mut this = Self { length, chunks: Vec::new() };
        this.chunks.resize(usize::try_from(length.div_ceil(CHUNK))?, None);
        let mut at = 0;
        while let Some(start) = data_at(file, at)? {
            let index = start / CHUNK;
            let mut bytes = vec![0; CHUNK as usize].into_boxed_slice();
            let here = usize::try_from(CHUNK.min(length - index * CHUNK))?;
            file.read_exact_at(bytes.get_mut(..here).context("An empty chunk")?, index * CHUNK)?;
            *this.chunks.get_mut(usize::try_from(index)?).context("The file grows")? = Some(bytes);
            at = (index + 1) * CHUNK;
        }
        Ok(this)
    }

    /// Writes bytes at a place.
    pub(crate) fn write(&mut self, at: u64, bytes: &[u8]) -> Result<()> {
        self.each(at, bytes.len() as u64, |chunk, within, from| {
            let chunk = chunk.get_or_insert_with(|| vec![0; CHUNK as usize].into_boxed_slice());
            let part = bytes.get(from..from + within.len()).context("Beyond what is written")?;
            chunk.get_mut(within).context("Beyond a chunk")?.copy_from_slice(part);
            Ok(())
        })
    }

    /// Makes bytes zero.
    pub(crate) fn clear(&mut self, at: u64, length: u64) -> Result<()> {
        self.each(at, length, |chunk, within, _| {
            if within.len() as u64 == CHUNK {
                *chunk = None;
            } else if let Some(bytes) = chunk {
                bytes.get_mut(within).context("Beyond a chunk")?.fill(0);
            }
            Ok(())
        })
    }

    /// Makes a file on a tmpfs have these contents. It may be behind a loop device from which nothing is mounted.
    #[context("Writing an image")]
    pub(crate) fn store(&self, file: &File) -> Result<()> {
        if file.metadata()?.len() == self.length {
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            rustix::fs::fallocate(file, flags, 0, self.length)?;
        } else {
            file.set_len(0)?;
            file.set_len(self.length)?;
        }
        for (at, chunk) in (0..).step_by(CHUNK as usize).zip(&self.chunks) {
            if let Some(bytes) = chunk {
                let here = usize::try_from(CHUNK.min(self.length - at))?;
                file.write_all_at(bytes.get(..here).context("An empty chunk")?, at)?;
            }
        }
        Ok(())
    }

    /// Calls `change` for each chunk that a range touches, with the range within it and the place of that in the whole.
    fn each(
        &mut self,
        at: u64,
        length: u64,
        mut change: impl FnMut(&mut Option<Box<[u8]>>, std::ops::Range<usize>, usize) -> Result<()>,
    ) -> Result<()> {
        let end =
            at.checked_add(length).filter(|end| *end <= self.length).context("Beyond the end of a disk")?;
        let mut here = at;
        while here < end {
            let (index, offset) = (here / CHUNK, here % CHUNK);
            let stop = end.min((index + 1) * CHUNK);
            let within = usize::try_from(offset)?..usize::try_from(offset + stop - here)?;
            let chunk = self.chunks.get_mut(usize::try_from(index)?).context("Beyond the end of a disk")?;
            change(chunk, within, usize::try_from(here - at)?)?;
            here = stop;
        }
        Ok(())
    }
}

/// Where data begins, at or behind a place.
fn data_at(file: &File, at: u64) -> Result<Option<u64>> {
    match rustix::fs::seek(file, SeekFrom::Data(at)) {
        Ok(start) => Ok(Some(start)),
        Err(Errno::NXIO) => Ok(None),
        Err(error) => Err(error).context("Looking for data"),
    }
}

/// Makes `to` a copy of `from`, holes and all.
pub(crate) fn copy(from: &File, to: &File) -> Result<()> {
    Image::read(from)?.store(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_and_zeros_across_chunks() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(3 * CHUNK + 512).unwrap();
        file.write_all_at(b"abc", CHUNK - 1).unwrap();
        let mut image = Image::read(&file).unwrap();
        assert_eq!(image.chunks.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, false, false]);
        image.write(2 * CHUNK - 2, b"12345").unwrap();
        image.clear(CHUNK, 1).unwrap();
        image.write(3 * CHUNK, &[7; 512]).unwrap();
        assert!(image.write(3 * CHUNK + 511, b"xy").is_err());
        assert!(image.clear(u64::MAX, 2).is_err());
        let copy = tempfile::tempfile().unwrap();
        image.store(&copy).unwrap();
        image.clear(0, 2 * CHUNK).unwrap();
        assert!(image.chunks.iter().take(2).all(Option::is_none));
        let mut bytes = vec![1; usize::try_from(3 * CHUNK + 512).unwrap()];
        copy.read_exact_at(&mut bytes, 0).unwrap();
        let at = |index: u64, length: usize| {
            let start = usize::try_from(index).unwrap();
            bytes[start..start + length].to_vec()
        };
        assert_eq!(at(CHUNK - 1, 3), b"a\0c");
        assert_eq!(at(2 * CHUNK - 2, 5), b"12345");
        assert_eq!(at(3 * CHUNK, 512), [7; 512]);
        assert_eq!(bytes.iter().filter(|byte| **byte != 0).count(), 2 + 5 + 512);
        image.store(&copy).unwrap();
        copy.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(bytes.iter().filter(|byte| **byte != 0).count(), 3 + 512);
    }
}
