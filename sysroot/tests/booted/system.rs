// SPDX-License-Identifier: MIT OR Apache-2.0
//! A deployment as the root of this process, put together as the initramfs and systemd do it.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use formats::run_state::RunState;
use formats::staged::Staged;
use sysroot::deploy::DeployOptions;
use sysroot::{Finalized, Status, Sysroot};

use crate::world::{STATEROOT, World};

/// Names the Debian tree with the C tools of a case.
pub(crate) const PEER: &str = "PEER_DIR";

/// First in PATH: a `systemctl` that only writes down what it is asked, and the C tools.
pub(crate) const PROGRAMS: &str = "/run/bin";

/// The record.
pub(crate) const RECORD: &str = "/run/ostree/staged-deployment";

/// Where a failed finalization leaves its reason.
pub(crate) const STAMP: &str = "/boot/ostree/finalize-failure.stamp";

/// How `/boot` is there.
pub(crate) enum Boot {
    /// The physical root's directory, mounted.
    Bound,
    /// The physical root's directory, by a link.
    Linked,
    /// Whatever is mounted at the physical root's `boot`, mounted there as well.
    Mounted,
    /// Not mounted.
    Absent,
}

/// The world before the boot: two commits on a branch, the first one deployed with kernel arguments.
pub(crate) fn installed(boot: &Boot) -> World {
    let world = World::on_small_disk(128);
    deploy_first(&world, boot);
    world
}

pub(crate) fn deploy_first(world: &World, boot: &Boot) {
    let linked = matches!(boot, Boot::Linked);
    let edit = |tree: &Path| {
        // What the programs of this machine need, which are mounted over usr.
        for name in ["lib", "lib64", "bin", "sbin"] {
            symlink(format!("usr/{name}"), tree.join(name)).unwrap();
        }
        if linked {
            fs::remove_dir(tree.join("boot")).unwrap();
            symlink("sysroot/boot", tree.join("boot")).unwrap();
        }
    };
    world.commit("main", "1", edit);
    let mut options = world.options("main");
    options.kernel_args.set = vec!["root=LABEL=r".to_owned(), "rw".to_owned()];
    world.try_deploy(&options).unwrap();
    commit_next(world, edit);
}

fn commit_next(world: &World, edit: impl Fn(&Path)) {
    world.commit("main", "2", |tree| {
        edit(tree);
        fs::write(tree.join("usr/lib/modules/6.1.0/vmlinuz"), "kernel 2").unwrap();
        fs::write(tree.join("usr/etc/conf"), "default 2\n").unwrap();
        fs::write(tree.join("usr/etc/new"), "default\n").unwrap();
    });
}

/// Makes the default deployment the root of this process.
pub(crate) fn boot(world: World, boot: &Boot) {
    let deployment = world.deployment(0);
    let new = temporary("new");
    bind(&deployment, &new);
    bind(&world.root(), &new.join("sysroot"));
    if matches!(boot, Boot::Bound | Boot::Mounted) {
        bind(&world.root().join("boot"), &new.join("boot"));
    }
    mount(&["-t", "tmpfs", "tmpfs"], &new.join("run"));
    let identity = fs::metadata(&deployment).unwrap();
    let state = RunState { backing_root: Some((identity.dev(), identity.ino())), ..RunState::default() };
    fs::write(new.join("run/ostree-booted"), state.to_bytes()).unwrap();
    enter(world, &new);
}

/// Makes a directory for a root.
pub(crate) fn temporary(name: &str) -> PathBuf {
    let path = PathBuf::from(std::env::var_os("TMPDIR").unwrap()).join(name);
    fs::create_dir(&path).unwrap();
    path
}

/// Makes `new`, a deployment with a `/run`, the root of this process, with the programs of this machine and the C tools.
pub(crate) fn enter(world: World, new: &Path) {
    mount(&["-t", "proc", "proc"], &new.join("proc"));
    mount(&["--rbind", "/dev"], &new.join("dev"));
    mount(&["--rbind", "/sys"], &new.join("sys"));
    mount(&["--rbind", "/usr"], &new.join("usr"));
    fs::create_dir(new.join("run/bin")).unwrap();
    script(&new.join("run/bin/systemctl"), "echo \"$@\" >> /run/systemctl.log");
    if let Some(peer) = std::env::var_os(PEER) {
        fs::create_dir(new.join("run/peer")).unwrap();
        bind(Path::new(&peer), &new.join("run/peer"));
        let run = |name: &str| format!("exec {} \"$@\"", peer_program("/run/peer", name).join(" "));
        script(&new.join("run/bin/peer"), &run("usr/bin/ostree"));
        let modules = format!("/run/peer/usr/lib/{LIBRARIES}/girepository-1.0");
        let python = run("usr/bin/python3");
        let python = format!("PYTHONHOME=/run/peer/usr GI_TYPELIB_PATH={modules} {python}");
        script(&new.join("run/bin/peer-python"), &python);
    }
    rustix::process::chroot(new).unwrap();
    rustix::process::chdir("/").unwrap();
    // Its directory is removed by who made it, and its mounts end with this process.
    std::mem::forget(world);
}

#[cfg(target_arch = "aarch64")]
const LIBRARIES: &str = "aarch64-linux-gnu";
#[cfg(not(target_arch = "aarch64"))]
const LIBRARIES: &str = "x86_64-linux-gnu";

/// The command line of a program of the C tools' tree at `tree`: they are run by their own loader and libraries.
pub(crate) fn peer_program(tree: &str, name: &str) -> Vec<String> {
    let loader = if cfg!(target_arch = "aarch64") { "ld-linux-aarch64.so.1" } else { "ld-linux-x86-64.so.2" };
    let libraries = format!("{tree}/usr/lib/{LIBRARIES}");
    let last = name.rsplit('/').next().unwrap_or(name);
    let words = [&format!("{libraries}/{loader}"), "--library-path", &libraries, "--argv0", last];
    let mut line: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
    line.push(format!("{tree}/{name}"));
    line
}

pub(crate) fn script(path: &Path, line: &str) {
    fs::write(path, format!("#!/usr/bin/bash\n{line}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

pub(crate) fn bind(from: &Path, to: &Path) {
    mount(&["--bind", from.to_str().unwrap()], to);
}

pub(crate) fn mount(arguments: &[&str], at: &Path) {
    succeed(Command::new("mount").args(arguments).arg(at));
}

pub(crate) fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// A system that runs its only deployment, with a newer commit in the repository.
pub(crate) fn running() {
    boot(installed(&Boot::Bound), &Boot::Bound);
}

pub(crate) fn open() -> Sysroot {
    Sysroot::open_for_change(Path::new("/")).unwrap()
}

pub(crate) fn try_stage(options: &DeployOptions, locked: bool) -> anyhow::Result<String> {
    let sysroot = Sysroot::open_for_change(Path::new("/"))?;
    let lock = sysroot.lock(|| ())?;
    Ok(sysroot.stage(&lock, options, locked)?.path.name())
}

/// Stages the newer commit, and gives the deployment's name.
pub(crate) fn stage() -> String {
    try_stage(&DeployOptions::new("main"), false).unwrap()
}

pub(crate) fn try_finalize() -> anyhow::Result<Finalized> {
    Sysroot::open_for_change(Path::new("/"))?.finalize_staged(|| ())
}

pub(crate) fn finalize() -> sysroot::deploy::Deployed {
    match try_finalize().unwrap() {
        Finalized::Done(done) => *done,
        other => panic!("{other:?}"),
    }
}

/// Why a finalization failed, as a boot tells it.
pub(crate) fn told() -> Option<String> {
    let sysroot = open();
    let reason = sysroot.finalize_failure().unwrap();
    if let Some(reason) = &reason {
        sysroot.keep_finalize_failure(reason).unwrap();
    }
    sysroot.forget_finalize_failure().unwrap();
    reason
}

pub(crate) fn status() -> Status {
    Sysroot::open(Path::new("/")).unwrap().status().unwrap()
}

/// Each deployment's version and what it is: `*` booted, `s` staged, `l` locked.
pub(crate) fn list() -> Vec<String> {
    let row = |row: &sysroot::Row| {
        let marks = [(row.booted, '*'), (row.staged, 's'), (row.finalization_locked, 'l')];
        let marks: String = marks.iter().filter(|(on, _)| *on).map(|(_, mark)| *mark).collect();
        format!("{}{marks}", row.version.as_deref().unwrap_or("?"))
    };
    status().deployments.iter().map(row).collect()
}

pub(crate) fn record() -> Staged {
    Staged::parse(&fs::read(RECORD).unwrap()).unwrap()
}

/// A deployment's directory as the running system sees it.
pub(crate) fn deployment(name: &str) -> PathBuf {
    Path::new("/sysroot/ostree/deploy").join(STATEROOT).join("deploy").join(name)
}

/// The text of the boot entry of the default.
pub(crate) fn default_entry() -> String {
    let mut names: Vec<_> =
        fs::read_dir("/boot/loader/entries").unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    fs::read_to_string(names.last().unwrap()).unwrap()
}
