// SPDX-License-Identifier: MIT OR Apache-2.0
//! The links from entries to deployments.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use anyhow::Result;
use formats::bootlink::{Bootlink, DeploymentPath};

use super::model::{BootLink, BootLinks};
use crate::dirs::{names, open_dir, read_link};
use crate::places::Places;

/// The links in `/ostree/boot.VERSION.SUB`; `None` where there is no such directory.
pub fn boot_links(places: Places<'_>, version: u8, sub: u8) -> anyhow::Result<Option<BootLinks>> {
    let path = format!("ostree/boot.{version}.{sub}");
    let Some(dir) = open_dir(places.root, &path)? else { return Ok(None) };
    let links = read_bootlinks(&dir)?.into_iter();
    let link = |(path, target): (String, String)| {
        let deployment = deployment_of(&target);
        (path, BootLink { target, deployment })
    };
    Ok(Some(links.map(link).collect()))
}

/// Follows a boot link to the deployment that it names; the deployment itself need not be there.
pub(super) fn read_bootlink(ostree: &OwnedFd, bootlink: &Bootlink) -> Result<Option<DeploymentPath>> {
    let path = bootlink.to_string();
    let Some(path) = path.strip_prefix("/ostree/") else { return Ok(None) };
    Ok(read_link(ostree, path)?.as_deref().and_then(deployment_of))
}

/// The deployment that a boot link's target names.
pub(crate) fn deployment_of(target: &str) -> Option<DeploymentPath> {
    format!("ostree/{}", target.strip_prefix("../../../")?).parse().ok()
}

/// The links of a `boot.N.M`: `STATEROOT/BOOTCHECKSUM/SERIAL` and their targets.
pub(crate) fn read_bootlinks(dir: &OwnedFd) -> Result<BTreeMap<String, String>> {
    let mut links = BTreeMap::new();
    for stateroot in names(dir)? {
        let Some(stateroot_dir) = open_dir(dir, &stateroot)? else { continue };
        for checksum in names(&stateroot_dir)? {
            let Some(checksum_dir) = open_dir(&stateroot_dir, &checksum)? else { continue };
            for serial in names(&checksum_dir)? {
                if let Some(target) = read_link(&checksum_dir, &serial)? {
                    links.insert(format!("{stateroot}/{checksum}/{serial}"), target);
                }
            }
        }
    }
    Ok(links)
}
