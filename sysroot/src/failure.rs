// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why the last finalization failed, once that was told: kept for the rest of the boot, so that a status can say it.

use std::os::fd::AsFd;

use anyhow::{Context, Result};
use fn_error_context::context;
use rustix::fs::{CWD, Mode};

use crate::directory;
use crate::init::make_dir;
use crate::load::Loaded;
use crate::sysroot::Sysroot;

const DIR: &str = "/run/ostree";

/// The reason, as the stamp in `/boot` had it. It is volatile: what it says is over with the next shutdown.
const TOLD: &str = "finalize-failure";

impl Sysroot {
    /// Keeps the reason for the status of this boot.
    #[context("Writing {DIR}/{TOLD}")]
    pub fn keep_finalize_failure(&self, reason: &str) -> Result<()> {
        make_dir(CWD, DIR, 0o755)?;
        let dir = directory::find(CWD, DIR)?.context("It is gone again")?;
        durable::replace(dir.as_fd(), TOLD, reason.as_bytes(), Mode::from_raw_mode(0o644))
    }

    /// Why the update of the last shutdown failed, whether that was told or not. With another update staged that is
    /// history. What cannot be read is said, too: a status goes on.
    pub(crate) fn last_failure(&self, loaded: &Loaded) -> Option<String> {
        if loaded.staged.is_some() {
            return None;
        }
        let untold = self.finalize_failure().unwrap_or_else(|error| Some(format!("{error:#}")));
        untold.or_else(|| self.told_failure(loaded))
    }

    /// Why the update of the last shutdown failed, after a boot has told it.
    pub(crate) fn told_failure(&self, loaded: &Loaded) -> Option<String> {
        let told = loaded.is_running_system.then(|| std::fs::read(format!("{DIR}/{TOLD}")).ok());
        told.flatten().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}
