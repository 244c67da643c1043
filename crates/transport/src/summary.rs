// SPDX-License-Identifier: MIT OR Apache-2.0
//! The list of a repository's refs, `summary`, which a mirror of everything takes over as it is.

use std::fs::File;
use std::io::Read as _;

use anyhow::{Context as _, Result, ensure};
use fn_error_context::context;
use repo::Repo;
use rustix::fs::{AtFlags, Mode, OFlags, unlinkat};
use rustix::io::Errno;

const SUMMARY: &str = "summary";
const SIGNATURE: &str = "summary.sig";
/// Bound for what is read whole; a thousand refs make some hundred kilobytes.
const MAX_SIZE: u64 = 128 * 1024 * 1024;

/// Copies the summary and its signature, if there are any. The old signature goes first and the new one comes last:
/// it is never that of another summary.
#[context("Copying the summary of {}", source.path().display())]
pub(crate) fn copy(repo: &Repo, source: &Repo) -> Result<()> {
    let Some(summary) = source.read_summary()? else { return Ok(()) };
    let signature = read(source, SIGNATURE)?;
    match unlinkat(repo.dir(), SIGNATURE, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => {
            return Err(error).with_context(|| format!("Removing {SIGNATURE} in {}", repo.path().display()));
        }
    }
    let mode = Mode::from_raw_mode(0o644);
    let step = || format!("Writing it to {}", repo.path().display());
    durable::replace(repo.dir(), SUMMARY, &summary, mode).with_context(step)?;
    signature.map_or(Ok(()), |signature| {
        durable::replace(repo.dir(), SIGNATURE, &signature, mode).with_context(step)
    })
}

fn read(source: &Repo, name: &str) -> Result<Option<Vec<u8>>> {
    let file = match durable::open_to_read(source.dir(), name, OFlags::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        file => File::from(file?),
    };
    ensure!(file.metadata()?.is_file(), "{name} is not a regular file");
    let mut data = Vec::new();
    file.take(MAX_SIZE + 1).read_to_end(&mut data)?;
    ensure!(data.len() as u64 <= MAX_SIZE, "{name} is larger than {MAX_SIZE} bytes");
    Ok(Some(data))
}
