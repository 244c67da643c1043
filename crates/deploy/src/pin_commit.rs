// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keeping the objects of a deployment while it is made. Its tree is made of links to them, but whoever prunes the
//! repository goes by refs, and the deployment gets its own only with the boot menu (ostree#2337).

use anyhow::{Context, Result};
use bootloader::Slot;
use fn_error_context::context;
use formats::Checksum;
use repo::Refspec;
use sysroot::{Loaded, Sysroot, menu_refs};

/// A ref to the commit. The next cleanup of ours or of the C tools removes it if nobody else does: it is named as if the menu
/// had switched already.
pub(crate) fn pin_commit(sysroot: &Sysroot, loaded: &Loaded, commit: &Checksum) -> Result<Refspec> {
    let name = name(loaded).parse()?;
    make(sysroot, &name, commit).map(|()| name)
}

/// The name of that ref.
pub(crate) fn name(loaded: &Loaded) -> String {
    let other = Slot { boot_version: u8::from(loaded.boot.slot().boot_version == 0), sub_boot_version: 1 };
    menu_refs::name(&other, loaded.deployments.len())
}

#[context("Sparing commit {commit}")]
fn make(sysroot: &Sysroot, name: &Refspec, commit: &Checksum) -> Result<()> {
    let repo = sysroot.repo();
    // A prune holds the repository's lock alone: the commit that is there now is whole, and stays.
    let _lock = repo.lock_shared()?;
    repo.load_commit(commit)
        .context("It was there when this was planned, and has been pruned since; pull it again")?;
    repo.set_ref(name, commit)
}
