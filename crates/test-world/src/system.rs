// SPDX-License-Identifier: MIT OR Apache-2.0
//! A deployment as the root of this process, put together as the initramfs and systemd do it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use deploy::DeployOptions;
use deploy::Finalized;
use formats::run_state::RunState;
use formats::staged::Staged;
use sysroot::{Status, Sysroot};

use crate::namespace::{self, Namespaces};
use crate::world::{STATEROOT, World};
use crate::{peer, run};

/// First in PATH: a `systemctl` that only writes down what it is asked, and the C tools.
pub const PROGRAMS: &str = "/run/bin";

/// The record.
pub const RECORD: &str = "/run/ostree/staged-deployment";

/// Where a failed finalization leaves its reason.
pub const STAMP: &str = "/boot/ostree/finalize-failure.stamp";

/// The namespaces of a case that runs a system: [`PROGRAMS`] is first in `PATH`.
pub const NAMESPACES: Namespaces = Namespaces::System(PROGRAMS);

/// How `/boot` is there.
pub enum Boot {
    /// The physical root's directory, mounted.
    Bound,
    /// The physical root's directory, by a link.
    Linked,
    /// A file system of its own, which is mounted at the physical root's `boot` already.
    Mounted,
    /// Not mounted.
    Absent,
}

/// The world before the boot: two commits on a branch, the first one deployed with kernel arguments.
pub fn installed(boot: &Boot) -> World {
    let world = World::on_small_disk(128);
    deploy_first(&world, boot);
    world
}

/// Commits twice to a branch and deploys the first of these commits.
pub fn deploy_first(world: &World, boot: &Boot) {
    let linked = matches!(boot, Boot::Linked);
    let edit = |tree: &Path| {
        // The programs of this machine, which are mounted over usr, need these.
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
pub fn boot(world: World, boot: &Boot) {
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
pub fn temporary(name: &str) -> PathBuf {
    let path = PathBuf::from(std::env::var_os("TMPDIR").unwrap()).join(name);
    fs::create_dir(&path).unwrap();
    path
}

/// Makes `new`, a deployment with a `/run`, the root of this process, with the programs of this machine and the C tools.
pub fn enter(world: World, new: &Path) {
    mount(&["-t", "proc", "proc"], &new.join("proc"));
    mount(&["--rbind", "/dev"], &new.join("dev"));
    mount(&["--rbind", "/sys"], &new.join("sys"));
    mount(&["--rbind", "/usr"], &new.join("usr"));
    fs::create_dir(new.join("run/bin")).unwrap();
    script(&new.join("run/bin/systemctl"), "echo \"$@\" >> /run/systemctl.log");
    if let Some(peer) = std::env::var_os(namespace::PEER) {
        fs::create_dir(new.join("run/peer")).unwrap();
        bind(Path::new(&peer), &new.join("run/peer"));
        let run = |name: &str| format!("exec {} \"$@\"", peer::command_line("/run/peer", name).join(" "));
        script(&new.join("run/bin/peer"), &run("usr/bin/ostree"));
        let modules = format!("/run/peer/usr/lib/{}/girepository-1.0", peer::LIBRARIES);
        let python = run("usr/bin/python3");
        let python = format!("PYTHONHOME=/run/peer/usr GI_TYPELIB_PATH={modules} {python}");
        script(&new.join("run/bin/peer-python"), &python);
    }
    rustix::process::chroot(new).unwrap();
    rustix::process::chdir("/").unwrap();
    // Its directory is removed by who made it, and its mounts end with this process.
    std::mem::forget(world);
}

/// Writes a script that is run by bash.
pub fn script(path: &Path, line: &str) {
    fs::write(path, format!("#!/usr/bin/bash\n{line}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Mounts a directory at another place, too.
pub fn bind(from: &Path, to: &Path) {
    mount(&["--bind", from.to_str().unwrap()], to);
}

/// Mounts as these arguments of `mount` say.
pub fn mount(arguments: &[&str], at: &Path) {
    run(Command::new("mount").args(arguments).arg(at));
}

/// A system that runs its only deployment, with a newer commit in the repository.
pub fn running() {
    boot(installed(&Boot::Bound), &Boot::Bound);
}

/// Opens the running system for changes.
pub fn open() -> Sysroot {
    Sysroot::open_for_change(Path::new("/")).unwrap()
}

/// Stages a deployment, and gives its name.
pub fn try_stage(options: &DeployOptions, locked: bool) -> anyhow::Result<String> {
    let sysroot = Sysroot::open_for_change(Path::new("/"))?;
    let lock = sysroot.lock(|| ())?;
    Ok(deploy::stage(&lock, options, locked)?.path.name())
}

/// Stages the newer commit, and gives the deployment's name.
pub fn stage() -> String {
    try_stage(&DeployOptions::new("main"), false).unwrap()
}

/// Finalizes the staged deployment.
pub fn try_finalize() -> anyhow::Result<Finalized> {
    deploy::finalize_staged(&Sysroot::open_for_change(Path::new("/"))?, || ())
}

/// Finalizes the staged deployment, which must be there.
pub fn finalize() -> deploy::Deployed {
    match try_finalize().unwrap() {
        Finalized::Done(done) => *done,
        other => panic!("{other:?}"),
    }
}

/// Why a finalization failed, as a boot tells it.
pub fn told() -> Option<String> {
    let sysroot = open();
    let reason = sysroot.finalize_failure().unwrap();
    if let Some(reason) = &reason {
        deploy::keep_finalize_failure(reason).unwrap();
    }
    deploy::forget_finalize_failure(&sysroot).unwrap();
    reason
}

/// Reads the status of the running system.
pub fn status() -> Status {
    Sysroot::open(Path::new("/")).unwrap().status().unwrap()
}

/// Each deployment's version and what it is: `*` booted, `s` staged, `l` locked.
pub fn list() -> Vec<String> {
    let row = |row: &sysroot::Row| {
        let marks = [(row.booted, '*'), (row.staged, 's'), (row.finalization_locked, 'l')];
        let marks: String = marks.iter().filter(|(on, _)| *on).map(|(_, mark)| *mark).collect();
        format!("{}{marks}", row.version.as_deref().unwrap_or("?"))
    };
    status().deployments.iter().map(row).collect()
}

/// Reads the record of the staged deployment.
pub fn record() -> Staged {
    Staged::parse(&fs::read(RECORD).unwrap()).unwrap()
}

/// A deployment's directory as the running system sees it.
pub fn deployment(name: &str) -> PathBuf {
    Path::new("/sysroot/ostree/deploy").join(STATEROOT).join("deploy").join(name)
}

/// The text of the boot entry of the default.
pub fn default_entry() -> String {
    let mut names: Vec<_> =
        fs::read_dir("/boot/loader/entries").unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    fs::read_to_string(names.last().unwrap()).unwrap()
}
