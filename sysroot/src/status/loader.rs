// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the boot loader has to say about the next boot: two small files in `/boot`, and the menu that was read already.

use bootloader::loader::{boots_elsewhere, select};

use super::{Note, Topic};
use crate::load::Loaded;
use crate::sysroot::Sysroot;

impl Sysroot {
    /// Where it does not boot what is listed. What cannot be read is for `ostree-bootloader verify` to say.
    pub(super) fn loader_note(&self, loaded: &Loaded) -> Option<Note> {
        if let Some(reason) = bootloader::unfinished(self.places()).ok()? {
            let text = format!(
                "the boot loader was not updated after the last change of the boot menu, and may still boot from the \
                 entries before it: {reason}; mend that, then `ostree admin cleanup` tries again"
            );
            return Some(Note { topic: Topic::LoaderNotUpdated, text });
        }
        let installed = select(self.boot_config().ok()?.bootloader, self.places().boot).ok()?;
        let text = boots_elsewhere(&loaded.boot, &installed)?;
        Some(Note { topic: Topic::LoaderElsewhere, text })
    }
}
