// SPDX-License-Identifier: MIT OR Apache-2.0
//! Small files as a whole: reading, and replacing so that a reader sees the old or the new bytes.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use rustix::fs::{Mode, OFlags};

use crate::dirs::open_dir;

/// Bound for files that are read whole and are no objects: configuration and refs.
const MAX_SMALL: u64 = 1024 * 1024;

/// Reads a small regular file.
pub(crate) fn read_file(dir: impl AsFd, name: &str) -> Result<Vec<u8>> {
    let file = File::from(durable::open_to_read(dir, name, OFlags::empty())?);
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

/// Replaces the file at `path` below `dir` durably. Even where objects are not flushed one by one, refs and
/// configuration are: there are few of them, and what they name must not be older than they are.
pub(crate) fn replace(dir: impl AsFd, path: &str, data: &[u8]) -> Result<()> {
    let (parent, name) = path.rsplit_once('/').unwrap_or((".", path));
    let parent = open_dir(dir, parent)?;
    durable::replace(parent.as_fd(), name, data, Mode::from_raw_mode(0o644))
}

/// As [`replace`], for a file at `path` below `objects/` of the repository `repo`. Its temporary name is in `tmp/`, where
/// stale ones are looked for.
pub(crate) fn replace_object(repo: impl AsFd, path: &str, data: &[u8]) -> Result<()> {
    let (fanout, name) = path.rsplit_once('/').unwrap_or((".", path));
    let tmp = open_dir(&repo, "tmp")?;
    let fanout = open_dir(&repo, &format!("objects/{fanout}"))?;
    durable::replace_from(tmp.as_fd(), fanout.as_fd(), name, data, Mode::from_raw_mode(0o644))
}

/// Makes the names in a directory durable.
pub(crate) fn sync_dir(dir: impl AsFd, name: &str) -> Result<()> {
    durable::sync_dir(open_dir(dir, name)?.as_fd()).with_context(|| format!("Syncing {name}"))
}
