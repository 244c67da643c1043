// SPDX-License-Identifier: MIT OR Apache-2.0
//! A compiled policy that fits its modules: additions of an administrator to the policy of the running system come into the new
//! `/etc` as modules, beside the compiled policy of the update, which knows nothing of them. `semodule` of the new tree
//! compiles it again.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use fn_error_context::context;
use rustix::fs::AtFlags;

use crate::policy::Policy;
use crate::tree::find_dir;

/// The places of `semodule` in a tree.
const PROGRAMS: [&str; 2] = ["usr/sbin/semodule", "usr/bin/semodule"];

/// Compiles the policy of a deployment again if its `/etc` has additions to it.
///
/// `differ` tells whether the directory of the policy in `/etc`, its second argument, was changed since it was copied from
/// the first.
///
/// # Errors
///
/// `bwrap` cannot be run, or `semodule` fails.
#[context("Compiling the SELinux policy again")]
pub fn refresh(
    tree: BorrowedFd<'_>,
    differ: impl FnOnce(BorrowedFd<'_>, BorrowedFd<'_>) -> Result<bool>,
) -> Result<()> {
    if !is_needed(tree, differ)? {
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
fn is_needed(
    tree: BorrowedFd<'_>,
    differ: impl FnOnce(BorrowedFd<'_>, BorrowedFd<'_>) -> Result<bool>,
) -> Result<bool> {
    let Some(Policy { name: policy, .. }) = Policy::of(tree)? else { return Ok(false) };
    let there = |path: &str| rustix::fs::statat(tree, path, AtFlags::empty()).is_ok();
    let has_modules = there(&format!("etc/selinux/{policy}/active"));
    if !has_modules || !PROGRAMS.iter().any(|program| there(program)) {
        return Ok(false);
    }
    let open = |etc: &str| find_dir(tree, &format!("{etc}/selinux/{policy}"));
    let (Some(defaults), Some(current)) = (open("usr/etc")?, open("etc")?) else { return Ok(false) };
    differ(defaults.as_fd(), current.as_fd())
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
