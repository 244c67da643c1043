// SPDX-License-Identifier: MIT OR Apache-2.0
//! The backing directory of a deployment, where overlays over it keep their changes:
//! `ostree/deploy/STATEROOT/backing/CHECKSUM.SERIAL/root-transient/{upper,work}`.

use anyhow::Result;
use fn_error_context::context;
use formats::bootlink::DeploymentPath;

use crate::Sysroot;
use crate::init::make_dir;

/// Its path below the physical root.
pub(crate) fn path_of(deployment: &DeploymentPath) -> String {
    format!("ostree/deploy/{}/backing/{}", deployment.stateroot, deployment.name())
}

/// Makes it, as the C tools do: they look for it when such a deployment is unlocked. Only `upper` shows through an
/// overlay and has the mode of a root directory; all else is nobody's business.
#[context("Making the backing directory")]
pub(crate) fn create(sysroot: &Sysroot, deployment: &DeploymentPath) -> Result<()> {
    let path = path_of(deployment);
    make_dir(sysroot.root(), &format!("ostree/deploy/{}/backing", deployment.stateroot), 0o700)?;
    make_dir(sysroot.root(), &path, 0o700)?;
    make_dir(sysroot.root(), &format!("{path}/root-transient"), 0o700)?;
    make_dir(sysroot.root(), &format!("{path}/root-transient/work"), 0o700)?;
    make_dir(sysroot.root(), &format!("{path}/root-transient/upper"), 0o755)
}
