// SPDX-License-Identifier: MIT OR Apache-2.0
//! The backing directory of a deployment, where overlays over it keep their changes:
//! `ostree/deploy/STATEROOT/backing/CHECKSUM.SERIAL/root-transient/{upper,work}`.

use formats::bootlink::DeploymentPath;

/// Gives the path of the backing directory below the physical root.
pub fn path_of(deployment: &DeploymentPath) -> String {
    format!("ostree/deploy/{}/backing/{}", deployment.stateroot, deployment.name())
}
