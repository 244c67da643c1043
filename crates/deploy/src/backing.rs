// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making the backing directory of a deployment, where overlays over it keep their changes.

use anyhow::Result;
use fn_error_context::context;
use formats::bootlink::DeploymentPath;
use sysroot::Sysroot;
use sysroot::backing::path_of;
use sysroot::directory::{self, make_dir};

/// Makes the directory, as the C tools do: they look for it when such a deployment is unlocked. Only `upper` shows through an
/// overlay and has the mode of a root directory; all else is nobody's business.
#[context("Making the backing directory")]
pub(crate) fn create(sysroot: &Sysroot, deployment: &DeploymentPath) -> Result<()> {
    directories(deployment).iter().try_for_each(|(path, mode)| make_dir(sysroot.root(), path, *mode))
}

/// Lists the directories that [`create`] would make now, by their paths from the physical root.
pub(crate) fn missing(sysroot: &Sysroot, deployment: &DeploymentPath) -> Result<Vec<String>> {
    let mut missing = Vec::new();
    for (path, _) in directories(deployment) {
        if directory::find(sysroot.root(), &path)?.is_none() {
            missing.push(format!("/{path}"));
        }
    }
    Ok(missing)
}

fn directories(deployment: &DeploymentPath) -> [(String, u32); 5] {
    let path = path_of(deployment);
    [
        (format!("ostree/deploy/{}/backing", deployment.stateroot), 0o700),
        (path.clone(), 0o700),
        (format!("{path}/root-transient"), 0o700),
        (format!("{path}/root-transient/work"), 0o700),
        (format!("{path}/root-transient/upper"), 0o755),
    ]
}
