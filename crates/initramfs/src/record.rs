// SPDX-License-Identifier: MIT OR Apache-2.0
//! The record beside an initramfs: what was found in the one with this checksum.
//!
//! ```text
//! usr/lib/modules/VERSION/ostree-initramfs.json
//! ```
//!
//! It is written when an image is built (`ostree admin lint --record`).

use anyhow::Result;
use formats::Checksum;
use serde::{Deserialize, Serialize};

use crate::Contents;

/// Raised when a key of the record changes its meaning or goes.
const SCHEMA: u32 = 1;

/// The findings in one initramfs, as a file beside it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Record {
    schema: u32,
    /// SHA-256 of the initramfs.
    initramfs: String,
    #[serde(flatten)]
    contents: Contents,
}

impl Record {
    /// The name of the file, beside the initramfs.
    pub const NAME: &str = "ostree-initramfs.json";

    /// Makes the record of the initramfs with this checksum.
    pub fn new(initramfs: &Checksum, contents: Contents) -> Self {
        Self { schema: SCHEMA, initramfs: initramfs.to_string(), contents }
    }

    /// Reads the text of a record; `None` if it is none, or one whose keys may mean something else.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().filter(|record: &Self| record.schema == SCHEMA)
    }

    /// Gives the findings if they are about the initramfs with this checksum.
    pub fn contents_of(self, initramfs: &Checksum) -> Option<Contents> {
        (initramfs.to_string() == self.initramfs).then_some(self.contents)
    }

    /// Gives the text of the file.
    ///
    /// # Errors
    ///
    /// None that is known: a record is text and numbers only.
    pub fn to_text(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_for_its_initramfs_and_schema_only() {
        let contents = Contents { program: Some("p".to_owned()), ..Contents::default() };
        let checksum = Checksum::of(b"initramfs");
        let text = Record::new(&checksum, contents.clone()).to_text().unwrap();
        let of = |text: &str, checksum: &Checksum| {
            Record::parse(text).and_then(|record| record.contents_of(checksum))
        };
        assert_eq!(of(&text, &checksum), Some(contents));
        assert_eq!(of(&text, &Checksum::of(b"other")), None);
        assert_eq!(of(&text.replace("\"schema\": 1", "\"schema\": 2"), &checksum), None);
        assert_eq!(of("{", &checksum), None);
    }
}
