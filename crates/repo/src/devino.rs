// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which object a file on disk is a hard link of.

use std::collections::HashMap;

use anyhow::Result;
use formats::Checksum;
use formats::object::ObjectType;
use rustix::fs::{AtFlags, Stat, statat};

use crate::Repo;

/// Device and inode of the files of a repository.
#[derive(Debug, Default)]
pub struct DevInoCache(HashMap<(u64, u64), Checksum>);

impl DevInoCache {
    /// Looks at every file object of a repository.
    pub fn scan(repo: &Repo) -> Result<Self> {
        let mut out = Self::default();
        if repo.mode().is_archive() {
            return Ok(out);
        }
        repo.each_object(|name, dir, file| {
            if name.kind == ObjectType::File {
                let stat = statat(dir, file, AtFlags::SYMLINK_NOFOLLOW)?;
                out.0.insert((stat.st_dev, stat.st_ino), name.checksum);
            }
            Ok(())
        })?;
        Ok(out)
    }

    /// The object that a file is a link of.
    pub fn find(&self, stat: &Stat) -> Option<&Checksum> {
        if stat.st_nlink < 2 { None } else { self.0.get(&(stat.st_dev, stat.st_ino)) }
    }
}
