// SPDX-License-Identifier: MIT OR Apache-2.0
//! A compiled policy that fits its modules: what an administrator has added to the policy of the running system comes into the new
//! `/etc` as modules, beside the compiled policy of the update, which knows nothing of them. `semodule` of the new tree
//! compiles it again.
//!
//! By default a failure is no reason to give up the update, since every update after it would fail as well: the policy that
//! the update has brought is loaded without the additions, and `admin status` says so. With `[sysroot]
//! selinux-refresh=required` there is no such deployment.

use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use etc_merge::Changes;
use fn_error_context::context;
use formats::bootlink::DeploymentPath;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::Wanted;
use crate::load::Loaded;
use crate::status::{Note, Topic};
use crate::sysroot::Sysroot;
use crate::{backing, directory, journal};

/// In the deployment's backing directory: why its policy is not compiled again.
const RECORD: &str = "selinux-refresh-failed";

/// Where `semodule` may be in a tree.
const PROGRAMS: [&str; 2] = ["usr/sbin/semodule", "usr/bin/semodule"];

/// Compiles the policy of a deployment again if its `/etc` has additions to it. A failure is an error if the configuration wants
/// it so; else it is written down, and given.
pub(crate) fn refresh(
    sysroot: &Sysroot,
    path: &DeploymentPath,
    tree: BorrowedFd<'_>,
) -> Result<Option<String>> {
    let Err(error) = run(tree) else {
        forget(sysroot, path)?;
        return Ok(None);
    };
    if sysroot.boot_config()?.selinux_refresh_required {
        return Err(error.context("[sysroot] selinux-refresh=required"));
    }
    let why = format!("{error:#}");
    journal::policy_not_refreshed(path, &why);
    // The update is not given up for want of a note.
    write_down(sysroot, path, &why).unwrap_or_else(|error| log::warn!("{error:#}"));
    Ok(Some(why))
}

#[context("Compiling the SELinux policy again")]
fn run(tree: BorrowedFd<'_>) -> Result<()> {
    if !is_needed(tree)? {
        return Ok(());
    }
    // Older ones cannot.
    if !String::from_utf8_lossy(&semodule(tree, &["--help"])?.stdout).contains("--refresh") {
        return Ok(());
    }
    let done = semodule(tree, &["-N", "--refresh"])?;
    let said = String::from_utf8_lossy(&done.stderr);
    let said: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    ensure!(done.status.success(), "semodule -N --refresh: {}: {}", done.status, said.join("; "));
    Ok(())
}

/// Whether the tree has a policy whose files in `/etc` are not the defaults, and a program for it. Modules that are kept in
/// `/var` (`store-root` of `semanage.conf`) are not the deployment's.
fn is_needed(tree: BorrowedFd<'_>) -> Result<bool> {
    let Some(Wanted { policy, .. }) = Wanted::of(tree)? else { return Ok(false) };
    let there = |path: &str| rustix::fs::statat(tree, path, AtFlags::empty()).is_ok();
    let has_modules = there(&format!("etc/selinux/{policy}/active"));
    if !has_modules || !PROGRAMS.iter().any(|program| there(program)) {
        return Ok(false);
    }
    let open = |etc: &str| directory::find(tree, &format!("{etc}/selinux/{policy}"));
    let (Some(defaults), Some(current)) = (open("usr/etc")?, open("etc")?) else { return Ok(false) };
    Ok(!Changes::between(defaults.as_fd(), current.as_fd())?.list.is_empty())
}

/// Runs it as in the system that the tree will be, with a private `/run` and `/tmp`. The stateroot's `/var` is that of the running
/// system, and is not there.
fn semodule(tree: BorrowedFd<'_>, arguments: &[&str]) -> Result<Output> {
    let mut bwrap = Command::new("bwrap");
    bwrap.current_dir(format!("/proc/self/fd/{}", tree.as_raw_fd()));
    bwrap.args(["--ro-bind", "usr", "/usr", "--bind", "etc", "/etc"]);
    bwrap.args(["--dev", "/dev", "--proc", "/proc", "--tmpfs", "/run", "--tmpfs", "/tmp", "--tmpfs", "/var"]);
    for name in ["bin", "sbin", "lib", "lib64"] {
        bwrap.args(["--symlink", &format!("usr/{name}"), &format!("/{name}")]);
    }
    bwrap.args(["--chdir", "/", "--die-with-parent", "--unshare-pid", "--unshare-uts", "--unshare-ipc"]);
    bwrap.arg("semodule").args(arguments);
    bwrap.output().context("Running bwrap (is bubblewrap installed?)")
}

#[context("Writing down that the SELinux policy is not compiled again")]
fn write_down(sysroot: &Sysroot, path: &DeploymentPath, why: &str) -> Result<()> {
    backing::create(sysroot, path)?;
    let dir = directory::open(sysroot.root(), &backing::path_of(path))?;
    durable::replace(dir.as_fd(), RECORD, why.as_bytes(), Mode::from_raw_mode(0o600))
}

fn forget(sysroot: &Sysroot, path: &DeploymentPath) -> Result<()> {
    let name = format!("{}/{RECORD}", backing::path_of(path));
    match rustix::fs::unlinkat(sysroot.root(), name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error).context("Removing the note on an earlier attempt"),
    }
}

/// Why the policy of a deployment is not compiled again, if so.
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

/// What a status says: for the running system and for what is booted next.
pub(crate) fn notes(sysroot: &Sysroot, loaded: &Loaded) -> Vec<Note> {
    let interesting = |(index, d): &(usize, &crate::Deployment)| *index == 0 || d.booted;
    let note = |(index, d): (usize, &crate::Deployment)| {
        let why = failure(sysroot, &d.path).unwrap_or_else(|error| Some(format!("{error:#}")))?;
        let text = format!(
            "the SELinux policy of deployment {index} lacks what was added locally: {}; once it is booted, `semodule -B` \
             compiles it again",
            why.replace('\n', " ")
        );
        Some(Note { topic: Topic::SelinuxPolicy, text })
    };
    loaded.deployments.iter().enumerate().filter(interesting).filter_map(note).collect()
}
