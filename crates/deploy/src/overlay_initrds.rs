// SPDX-License-Identifier: MIT OR Apache-2.0
//! Initrds that are not part of a tree and are loaded after its own. Where a deployment's entry is not written yet they wait, by their
//! checksum, where those of the C tools do.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use bootloader::NewInitrd;
use fn_error_context::context;
use formats::Checksum;
use rustix::fs::{CWD, Mode};
use rustix::io::Errno;
use serde::Serialize;
use sysroot::directory::{self, make_dir};

/// Where they wait.
const INITRDS: &str = "/run/ostree/staged-initrds";

/// The initrds among these that are not in `/boot`, and where they wait, or which of the `files` will.
#[context("Looking for initrds in {INITRDS}")]
pub(crate) fn waiting(checksums: &[Checksum], files: &[OverlayInitrd]) -> Result<Vec<NewInitrd>> {
    let mut found = Vec::new();
    for checksum in checksums {
        let path = format!("{INITRDS}/{checksum}");
        match rustix::fs::stat(&path) {
            Ok(stat) => {
                let size = u64::try_from(stat.st_size).unwrap_or(0);
                found.push(NewInitrd { checksum: *checksum, path, size });
            }
            Err(Errno::NOENT) if let Some(file) = files.iter().find(|file| file.checksum == *checksum) => {
                found.push(NewInitrd { checksum: *checksum, path, size: file.size });
            }
            // Then it is in `/boot`, or the switch is refused.
            Err(Errno::NOENT) => {}
            Err(error) => return Err(error).with_context(|| format!("Looking at {checksum}")),
        }
    }
    Ok(found)
}

/// They are in `/boot` now, or not wanted any more. What stays is volatile, so nobody is stopped by it.
pub(crate) fn forget(checksums: &[Checksum]) {
    for checksum in checksums {
        match rustix::fs::unlink(format!("{INITRDS}/{checksum}")) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => log::debug!("Removing {INITRDS}/{checksum}: {error}"),
        }
    }
}

/// A file with an initrd.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct OverlayInitrd {
    /// Where it is.
    pub path: PathBuf,
    /// Over its contents.
    #[serde(serialize_with = "as_text")]
    pub checksum: Checksum,
    /// Bytes.
    pub size: u64,
}

impl OverlayInitrd {
    /// Looks at a file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let contents = contents(path)?;
        Ok(Self { checksum: Checksum::of(&contents), path: path.to_owned(), size: contents.len() as u64 })
    }

    /// Puts it where initrds wait: the file may be gone when it is needed.
    #[context("Staging initrd {}", self.path.display())]
    pub(crate) fn stage(&self) -> Result<()> {
        let contents = contents(&self.path)?;
        ensure!(Checksum::of(&contents) == self.checksum, "It was changed meanwhile");
        for dir in ["/run/ostree", INITRDS] {
            make_dir(CWD, dir, 0o755)?;
        }
        let dir = directory::open(CWD, INITRDS)?;
        // It may hold secrets, as the C tools think too.
        durable::replace(dir.as_fd(), &self.checksum.to_string(), &contents, Mode::from_raw_mode(0o600))
    }
}

#[context("Reading initrd {}", path.display())]
fn contents(path: &Path) -> Result<Vec<u8>> {
    let contents = std::fs::read(path)?;
    ensure!(!contents.is_empty(), "It is empty");
    Ok(contents)
}

fn as_text<S: serde::Serializer>(checksum: &Checksum, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(checksum)
}
