// SPDX-License-Identifier: MIT OR Apache-2.0
//! The initramfs of one on a disk of the other, and then both at work in the system that it has made.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::peer::peer;
use test_world::namespace::{Case, Need, PEER};
use test_world::peer;
use test_world::system::{
    Boot, bind, deploy_first, deployment, enter, finalize, list, mount, record, temporary,
};
use test_world::{STATEROOT, World};

pub(crate) const CASES: &[Case] = &[
    ("their_initramfs_on_our_disk", Need::EachPeer, theirs_on_ours),
    ("our_initramfs_on_their_disk", Need::EachPeer, ours_on_theirs),
];

fn theirs_on_ours() {
    let world = World::on_small_disk(128);
    deploy_first(&world, &Boot::Bound);
    let new = prepare_by_theirs(&world);
    enter(world, &new);
    check();
}

fn ours_on_theirs() {
    let world = World::on_small_disk(128);
    deploy_first(&world, &Boot::Bound);
    // Another deployment of the same commit, by theirs, and no longer one by ours.
    let root = world.root().display().to_string();
    let theirs = |words: &str| {
        let line = peer::command_line(&std::env::var(PEER).unwrap(), "usr/bin/ostree");
        let [program, arguments @ ..] = line.as_slice() else { panic!("an empty line") };
        let words = words.split(' ').map(str::to_owned).chain([format!("--sysroot={root}")]);
        test_world::run(Command::new(program).args(arguments).arg("admin").args(words));
    };
    let first = world.menu()[0].split('.').next().unwrap().to_owned();
    theirs(&format!("deploy --os={STATEROOT} --karg-append=by=theirs {first}"));
    theirs("undeploy 1");
    let new = prepare_by_ours(&world);
    enter(world, &new);
    check();
}

/// The kernel command line of the default deployment.
fn command_line(world: &World) -> String {
    let entries = fs::read_dir(world.root().join("boot/loader/entries")).unwrap();
    let entry = entries.map(|entry| entry.unwrap().path()).max().unwrap();
    let text = fs::read_to_string(entry).unwrap();
    text.lines().find_map(|line| line.strip_prefix("options ")).unwrap().to_owned()
}

/// Runs our program as the initramfs does, and gives the new root with its `/run`.
fn prepare_by_ours(world: &World) -> PathBuf {
    mount(&["-t", "tmpfs", "tmpfs"], Path::new("/run"));
    let arguments = [world.root().into_os_string(), OsString::from(command_line(world))];
    let done = prepare_root::cli::main(arguments.into_iter());
    assert_eq!(format!("{done:?}"), format!("{:?}", std::process::ExitCode::SUCCESS));
    move_mount(Path::new("/run"), &world.root().join("run"));
    world.root()
}

/// Runs their program in an initramfs, and gives the new root with its `/run`.
fn prepare_by_theirs(world: &World) -> PathBuf {
    let initramfs = temporary("initramfs");
    mount(&["-t", "tmpfs", "tmpfs"], &initramfs);
    for name in ["run", "proc", "sysroot", "peer"] {
        fs::create_dir(initramfs.join(name)).unwrap();
    }
    mount(&["-t", "tmpfs", "tmpfs"], &initramfs.join("run"));
    mount(&["-t", "proc", "proc"], &initramfs.join("proc"));
    bind(Path::new(&std::env::var_os(PEER).unwrap()), &initramfs.join("peer"));
    bind(&world.root(), &initramfs.join("sysroot"));
    fs::write(initramfs.join("cmdline"), command_line(world)).unwrap();
    bind(&initramfs.join("cmdline"), &initramfs.join("proc/cmdline"));
    let line = peer::command_line("/peer", "usr/lib/ostree/ostree-prepare-root");
    test_world::run(Command::new("chroot").arg(&initramfs).args(line).arg("/sysroot"));
    let new = initramfs.join("sysroot");
    move_mount(&initramfs.join("run"), &new.join("run"));
    new
}

fn move_mount(from: &Path, to: &Path) {
    mount(&["--move", from.to_str().unwrap()], to);
}

/// Both know which deployment runs, and update it together.
fn check() {
    assert_eq!(list(), ["1*"]);
    assert!(peer("status").starts_with(&format!("* {STATEROOT} ")), "{}", peer("status"));
    fs::write("/etc/conf", "local\n").unwrap();
    peer("deploy --stage main");
    let name = record().target.path.name();
    finalize();
    assert_eq!(list(), ["2", "1*"]);
    assert!(peer("status").starts_with(&format!("  {STATEROOT} {name} (pending)\n")), "{}", peer("status"));
    assert_eq!(fs::read_to_string(deployment(&name).join("etc/conf")).unwrap(), "local\n");
}
