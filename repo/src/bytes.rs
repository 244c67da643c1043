// SPDX-License-Identifier: MIT OR Apache-2.0
//! Small files as a whole: reading, and replacing so that a reader sees the old or the new bytes.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use rustix::fs::{AtFlags, Mode, OFlags, openat, renameat, unlinkat};
use rustix::io::Errno;

/// Bound for files that are read whole and are no objects: configuration and refs.
const MAX_SMALL: u64 = 1024 * 1024;

/// Reads a small regular file.
pub(crate) fn read_file(dir: impl AsFd, name: &str) -> Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let file = File::from(openat(dir, name, flags, Mode::empty())?);
    let meta = file.metadata()?;
    if !meta.is_file() {
        bail!("{name} is not a regular file");
    }
    let mut data = Vec::with_capacity(usize::try_from(meta.len().min(MAX_SMALL))?);
    file.take(MAX_SMALL + 1).read_to_end(&mut data)?;
    if data.len() as u64 > MAX_SMALL {
        bail!("{name} is larger than {MAX_SMALL} bytes");
    }
    Ok(data)
}

/// A name that no other file has: `PREFIX` and digits from clock, process and attempt.
pub(crate) fn unique_name(prefix: &str, attempt: u32) -> String {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    format!("{prefix}{nanos:08x}{:x}{attempt:x}", std::process::id())
}

/// Replaces the file `name` of `dir` by one with these bytes; durably if `fsync`.
pub(crate) fn replace(dir: impl AsFd, name: &str, data: &[u8], fsync: bool) -> Result<()> {
    let dir = dir.as_fd();
    let parent = name.rsplit_once('/').map_or("", |(parent, _)| parent);
    let separator = if parent.is_empty() { "" } else { "/" };
    let (temporary, file) = (0..100)
        .find_map(|attempt| {
            let temporary = format!("{parent}{separator}{}", unique_name(".tmp-", attempt));
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            match openat(dir, temporary.as_str(), flags, Mode::from_raw_mode(0o644)) {
                Err(Errno::EXIST) => None,
                Ok(file) => Some(Ok((temporary, File::from(file)))),
                Err(error) => Some(Err(error)),
            }
        })
        .context("no free temporary name")??;
    let write = |mut file: File| -> Result<()> {
        file.write_all(data)?;
        if fsync {
            file.sync_data()?;
        }
        drop(file);
        renameat(dir, temporary.as_str(), dir, name)?;
        if fsync {
            sync_dir(dir, if parent.is_empty() { "." } else { parent })?;
        }
        Ok(())
    };
    let written = write(file);
    if written.is_err() {
        // The error that counts is the one of the write.
        unlinkat(dir, temporary.as_str(), AtFlags::empty()).ok();
    }
    written
}

/// Makes the names in a directory durable.
pub(crate) fn sync_dir(dir: impl AsFd, name: &str) -> Result<()> {
    let fd = openat(dir, name, crate::open::DIR_FLAGS, Mode::empty())
        .with_context(|| format!("Opening {name}"))?;
    rustix::fs::fsync(fd).with_context(|| format!("Syncing {name}"))
}
