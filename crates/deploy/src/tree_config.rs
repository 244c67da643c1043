// SPDX-License-Identifier: MIT OR Apache-2.0
//! `prepare-root.conf` of a tree that is not booted, whether it is a directory or a commit.

use anyhow::Result;
use prepare_root::config::{Config, Layer, PATHS};

/// Reads it by what gives the text of a file of the tree.
pub(crate) fn load(read: impl Fn(&str) -> Result<Option<String>>) -> Result<Config> {
    let text = |path| Ok((path, read(path)?.unwrap_or_default()));
    let texts = PATHS.into_iter().map(text).collect::<Result<Vec<_>>>()?;
    let layers: Vec<Layer<'_>> = texts.iter().map(|(path, text)| Layer { path, text }).collect();
    Ok(Config::parse(&layers)?)
}
