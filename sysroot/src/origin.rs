// SPDX-License-Identifier: MIT OR Apache-2.0
//! Changes of a deployment's origin file, which need no switch.

use anyhow::{Result, ensure};
use fn_error_context::context;
use formats::bootlink::DeploymentPath;
use rustix::fs::{Mode, OFlags};

use crate::deployment::{Deployment, Origin};
use crate::lock::Lock;
use crate::sysroot::Sysroot;

impl Deployment {
    /// Its origin, pinned or not; `None` where it is so already.
    pub(crate) fn with_pin(&self, on: bool) -> Result<Option<Origin>> {
        let origin = self.known_origin()?;
        if origin.pinned() == on {
            return Ok(None);
        }
        ensure!(!self.staged, "Cannot pin staged deployment: pin it once it is booted");
        Ok(Some(origin.clone().with_pin(on)))
    }
}

impl Sysroot {
    /// Pins or unpins a deployment; says whether that changed anything.
    pub fn pin(&self, lock: &Lock, deployment: &Deployment, on: bool) -> Result<bool> {
        match deployment.with_pin(on)? {
            Some(origin) => self.set_origin(lock, &deployment.path, &origin).map(|()| true),
            None => Ok(false),
        }
    }

    /// Replaces a deployment's origin.
    pub fn set_origin(&self, _lock: &Lock, path: &DeploymentPath, origin: &Origin) -> Result<()> {
        // A pin is what keeps a deployment when a full disk is cleaned up.
        self.release_reserve();
        self.write_origin(path, origin)?;
        self.touch()
    }

    #[context("Writing the origin of {path}")]
    pub(crate) fn write_origin(&self, path: &DeploymentPath, origin: &Origin) -> Result<()> {
        let parent = format!("ostree/deploy/{}/deploy", path.stateroot);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::openat(self.root(), parent, flags, Mode::empty())?;
        let name = format!("{}.origin", path.name());
        let mode = Mode::from_raw_mode(0o644);
        durable::replace(std::os::fd::AsFd::as_fd(&dir), &name, origin.0.to_string().as_bytes(), mode)
    }
}
