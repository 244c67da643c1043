// SPDX-License-Identifier: MIT OR Apache-2.0
//! Directories that our `ostree` is run in.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::path::Path;

use libtest_mimic::Trial;
pub(crate) use test_world::Workdir as World;
use test_world::peer::NEWEST;

/// Our `ostree`.
pub(crate) const OSTREE: &str = env!("CARGO_BIN_EXE_ostree");

/// An empty directory.
pub(crate) fn empty() -> World {
    World::of(OSTREE)
}

/// A repository `repo` of that mode, and `tree`, not committed.
pub(crate) fn with_repo(mode: &str) -> World {
    World::with_repo(OSTREE, mode)
}

/// A repository of that mode whose ref `main` is `tree`.
pub(crate) fn with_commit(mode: &str) -> World {
    World::with_commit(OSTREE, mode)
}

/// A test beside the newest release of the C tools.
pub(crate) fn beside(name: impl Into<String>, test: impl FnOnce(&Path) + Send + 'static) -> Trial {
    test_world::beside(NEWEST, name, test)
}
