// SPDX-License-Identifier: MIT OR Apache-2.0
//! The boot loader's say in the next boot: two small files in `/boot`, and the menu that was read already.

use anyhow::Result;
use bootloader::boots_elsewhere;
use bootloader::loader::select;

use super::{Note, Topic};
use crate::load::Loaded;
use crate::sysroot::Sysroot;

impl Sysroot {
    /// Where it does not boot what is listed. What cannot be read is for `ostree-bootloader verify` to say.
    pub(super) fn loader_note(&self, loaded: &Loaded) -> Result<Option<Note>> {
        if let Some(reason) = bootloader::unfinished(self.places())? {
            let text = format!(
                "the boot loader was not updated after the last change of the boot menu, and may still boot from the \
                 entries before it: {reason}; mend that, then `ostree admin cleanup` tries again"
            );
            return Ok(Some(Note { topic: Topic::LoaderNotUpdated, text }));
        }
        let installed = select(self.boot_config()?.bootloader, self.places().boot)?;
        let text = boots_elsewhere(&loaded.boot, &installed);
        Ok(text.map(|text| Note { topic: Topic::LoaderElsewhere, text }))
    }
}
