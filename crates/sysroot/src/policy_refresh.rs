// SPDX-License-Identifier: MIT OR Apache-2.0
//! The record of an SELinux policy that could not be compiled again with local additions, in the backing directory.

use std::io::Read;

use anyhow::Result;
use formats::bootlink::DeploymentPath;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::backing;
use crate::denied::known;
use crate::load::Loaded;
use crate::status::note::{Note, Topic};
use crate::sysroot::Sysroot;

/// The file in the backing directory of a deployment: why its policy is not compiled again.
pub const RECORD: &str = "selinux-refresh-failed";

/// Reads why the policy of a deployment is not compiled again, if so.
fn failure(sysroot: &Sysroot, path: &DeploymentPath) -> Result<Option<String>> {
    let name = format!("{}/{RECORD}", backing::path_of(path));
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(sysroot.root(), name, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        other => other?,
    };
    let mut text = String::new();
    std::fs::File::from(file).read_to_string(&mut text)?;
    Ok(Some(text))
}

/// Describes it for a status: of the running system and of the deployment that is booted next.
pub(crate) fn notes(sysroot: &Sysroot, loaded: &Loaded, not_known: &mut Vec<String>) -> Vec<Note> {
    let interesting = |(index, d): &(usize, &crate::Deployment)| *index == 0 || d.booted;
    let note = |(index, d): (usize, &crate::Deployment)| {
        let why =
            known(failure(sysroot, &d.path), not_known, || "whether an SELinux policy is whole".to_owned());
        let why = why.unwrap_or_else(|error| Some(Some(format!("{error:#}")))).flatten()?;
        let text = format!(
            "the SELinux policy of deployment {index} lacks what was added locally: {}; once it is booted, `semodule -B` \
             compiles it again",
            why.replace('\n', " ")
        );
        Some(Note { topic: Topic::SelinuxPolicy, text })
    };
    loaded.deployments.iter().enumerate().filter(interesting).filter_map(note).collect()
}
