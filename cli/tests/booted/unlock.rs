// SPDX-License-Identifier: MIT OR Apache-2.0
//! `/usr` and other directories of a running system that can be written to, and what is left of that at the next boot.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sysroot::{Lock, Origin, Sysroot};

use crate::programs::{boot, command, fails, ok, ok_as};
use crate::waiting::Started;
use test_world::namespace::{Case, Need};
use test_world::system;

pub(crate) const CASES: &[Case] = &[
    ("changes_go_with_the_boot", Need::Nothing, development),
    ("transient_is_mounted_read_only", Need::Nothing, transient),
    ("a_hotfix_is_there_after_a_boot", Need::Nothing, hotfix),
    ("a_hotfix_of_a_read_only_root", Need::Nothing, hotfix_of_readonly),
    ("half_a_hotfix_is_none", Need::Nothing, half_a_hotfix),
    ("once_is_enough", Need::Nothing, refused),
    ("once_is_enough_at_the_same_time", Need::Nothing, at_once),
    ("an_origin_that_changes_before_the_hotfix_stays_changed", Need::Nothing, origin_meanwhile),
    ("the_c_tools_show_the_same", Need::EachPeer, beside_theirs),
    ("a_state_overlay_keeps_what_was_added", Need::Nothing, state_overlay),
];

/// The `/usr` of the running deployment instead of that of this machine, for as long as `look` takes.
fn in_overlay<T>(look: impl FnOnce() -> T) -> T {
    let seen = look();
    rustix::mount::unmount("/usr", rustix::mount::UnmountFlags::DETACH).unwrap();
    seen
}

/// The directory of the running deployment.
fn running() -> PathBuf {
    let row = system::status().deployments.into_iter().find(|row| row.booted).unwrap();
    system::deployment(&format!("{}.{}", row.checksum, row.serial))
}

/// How each deployment is unlocked, in the order of the menu.
fn states() -> Vec<&'static str> {
    system::status().deployments.iter().map(|row| row.unlocked.unwrap()).collect()
}

fn development() {
    boot();
    fs::create_dir_all("/var/tmp").unwrap();
    fs::set_permissions(running().join("usr"), fs::Permissions::from_mode(0o751)).unwrap();
    ok("unlock");
    in_overlay(|| {
        assert!(
            fs::read_to_string("/usr/lib/os-release").unwrap().contains("testos"),
            "it is the deployment's"
        );
        fs::write("/usr/bin/tool", "changed").unwrap();
        assert_eq!(fs::metadata("/usr").unwrap().permissions().mode() & 0o7777, 0o751);
    });
    assert_eq!(fs::read_to_string(running().join("usr/bin/tool")).unwrap(), "#!/bin/sh\n");
    let places: Vec<_> = fs::read_dir("/var/tmp").unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(places.len(), 1);
    assert!(places[0].to_str().unwrap().starts_with("/var/tmp/ostree-unlock-ovl."), "what tmpfiles removes");
    assert_eq!(fs::read_to_string(places[0].join("upper/bin/tool")).unwrap(), "changed");
    assert_eq!(states(), ["development"]);
    fs::remove_dir_all("/run/ostree/deployment-state").unwrap();
    assert_eq!(states(), ["none"], "the next boot knows nothing of it");
}

fn transient() {
    boot();
    fs::create_dir_all("/var/tmp").unwrap();
    ok("unlock --transient");
    in_overlay(|| {
        assert!(fs::write("/usr/bin/tool", "changed").is_err());
        use rustix::mount::{MountFlags, mount_remount};
        mount_remount("/usr", MountFlags::empty(), "").unwrap();
        fs::write("/usr/bin/tool", "changed").unwrap();
    });
    assert_eq!(states(), ["transient"]);
}

/// Unlocks, changes something, and prepares the root of the next boot as the initramfs does.
fn hotfix_and_boot() {
    let tree = running();
    ok("unlock --hotfix");
    in_overlay(|| fs::write("/usr/bin/tool", "fixed").unwrap());
    assert_eq!(states(), ["hotfix", "none"]);
    assert_eq!(system::list(), ["1*", "1"], "there is one to go back to");
    assert!(!Path::new("/run/ostree/unlock").exists());
    assert!(fs::write(tree.join("x"), "").is_err(), "the top is immutable again");
    assert_eq!(fs::read_to_string(tree.join(".usr-ovl-upper/bin/tool")).unwrap(), "fixed");
    assert_eq!(next_boot(), "fixed");
}

/// Reads the tool in the root that the initramfs makes of the default entry.
fn next_boot() -> String {
    let entry = system::default_entry();
    let options = entry.lines().find_map(|line| line.strip_prefix("options ")).unwrap();
    let physical = Path::new("/run/physical");
    fs::create_dir(physical).unwrap();
    system::bind(Path::new("/sysroot"), physical);
    system::mount(&["-o", "remount,bind,rw"], physical);
    let arguments = [OsString::from(physical), OsString::from(options)];
    let done = prepare_root::cli::main(arguments.into_iter());
    assert_eq!(format!("{done:?}"), format!("{:?}", std::process::ExitCode::SUCCESS));
    fs::read_to_string(physical.join("usr/bin/tool")).unwrap()
}

fn hotfix() {
    boot();
    hotfix_and_boot();
}

/// Waits for the lock while `change` is made under it.
fn unlock_after(arguments: &str, change: impl FnOnce(&Lock<'_>)) -> (bool, String) {
    let sysroot = Sysroot::open(Path::new("/")).unwrap();
    let lock = sysroot.lock(|| panic!("nobody else has it")).unwrap();
    let waiter = Started::ours_waits(command("ostree", &format!("admin unlock{arguments}")));
    change(&lock);
    drop(lock);
    waiter.ended()
}

fn at_once() {
    boot();
    fs::create_dir_all("/var/tmp").unwrap();
    let mark = || {
        let dir = Path::new("/run/ostree/deployment-state").join(running().file_name().unwrap());
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("unlocked-transient"), "").unwrap();
    };
    let (done, said) = unlock_after("", |_| mark());
    assert!(!done && said.contains("already in unlocked state: transient"), "{said}");
    assert_eq!(fs::read_dir("/var/tmp").unwrap().count(), 0, "nothing was made");
}

fn origin_meanwhile() {
    boot();
    let (done, said) = unlock_after(" --hotfix", |lock| {
        let path = lock.sysroot().load().unwrap().deployments[0].path.clone();
        deploy::set_origin(lock, &path, &Origin::new("r:elsewhere")).unwrap();
        assert!(deploy::pin(lock, &path, true).unwrap());
    });
    assert!(done, "{said}");
    let origin = in_overlay(|| fs::read_to_string(running().with_extension("0.origin")).unwrap());
    for line in ["refspec=r:elsewhere", "pinned=true", "unlocked=hotfix"] {
        assert!(origin.contains(line), "{origin}");
    }
    let copies = Sysroot::open(Path::new("/")).unwrap().load().unwrap().deployments;
    assert_eq!(copies[1].origin.refspec().as_deref(), Some("r:elsewhere"));
}

fn hotfix_of_readonly() {
    boot();
    for point in ["/sysroot", "/boot"] {
        system::mount(&["-o", "remount,bind,ro"], Path::new(point));
    }
    hotfix_and_boot();
    let flags = rustix::fs::statvfs("/sysroot").unwrap().f_flag;
    assert!(flags.contains(rustix::fs::StatVfsMountFlags::RDONLY), "it is as it was");
}

/// A cut between the two directories of the overlay: the deployment boots, without one.
fn half_a_hotfix() {
    boot();
    let done =
        command("ostree", "admin unlock --hotfix").env("DURABLE_STOP", "hotfix-upper").status().unwrap();
    assert_eq!(done.code(), Some(77));
    assert!(running().join(".usr-ovl-upper").exists() && !running().join(".usr-ovl-work").exists());
    assert_eq!(states(), ["none", "none"]);
    assert_eq!(next_boot(), "#!/bin/sh\n");
}

fn refused() {
    boot();
    fs::create_dir_all("/var/tmp").unwrap();
    fails("unlock --hotfix --transient");
    ok("unlock");
    in_overlay(|| ());
    for words in ["unlock", "unlock --hotfix"] {
        assert!(fails(words).contains("already in unlocked state: development"));
    }
    assert_eq!(system::list(), ["1*"], "nothing is put behind it");
    fs::remove_file("/run/ostree-booted").unwrap();
    assert!(fails("unlock").contains("Not currently booted"));
}

fn beside_theirs() {
    boot();
    fs::create_dir_all("/var/tmp").unwrap();
    let shown = || {
        let lines = |text: String| {
            text.lines().filter(|line| line.contains("nlocked")).map(str::to_owned).collect::<Vec<_>>()
        };
        let (ours, theirs) = (lines(ok("status")), lines(ok_as("peer", "status")));
        assert_eq!(ours, theirs);
        ours
    };
    assert!(shown().is_empty());
    ok("unlock");
    in_overlay(|| ());
    assert_eq!(shown(), ["    Unlocked: development"]);
    fs::remove_dir_all("/run/ostree/deployment-state").unwrap();
    ok("unlock --hotfix");
    in_overlay(|| ());
    assert_eq!(shown(), ["    Unlocked: hotfix"]);
    ok_as("peer", "undeploy 1");
    assert_eq!(shown(), ["    Unlocked: hotfix"]);
}

fn state_overlay() {
    boot();
    // Its own file system: the top of the deployment is immutable, and an overlay is no layer of another one.
    let lower = Path::new("/run/lower");
    let write = |path: &str, text: &str| {
        let path = lower.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    for path in ["changed", "removed", "dir/changed", "dir/same", "hidden/x", "kind"] {
        write(path, "1");
    }
    fs::set_permissions(lower, fs::Permissions::from_mode(0o750)).unwrap();
    let lay = || ok("state-overlay opt /run/lower");
    let take = || rustix::mount::unmount(lower, rustix::mount::UnmountFlags::DETACH).unwrap();
    let read = |path: &str| fs::read_to_string(lower.join(path)).ok();
    let edit = || {
        for path in ["changed", "dir/changed", "added", "dir/added"] {
            write(path, "local");
        }
        fs::remove_file(lower.join("removed")).unwrap();
        fs::remove_dir_all(lower.join("hidden")).unwrap();
        write("hidden/mine", "local");
        fs::remove_file(lower.join("kind")).unwrap();
        write("kind/mine", "local");
    };
    lay();
    assert_eq!(fs::metadata(lower).unwrap().permissions().mode() & 0o7777, 0o750);
    edit();
    take();
    assert_eq!(read("changed").as_deref(), Some("1"));
    // The same commit: everything is as it was left.
    lay();
    assert_eq!(read("changed").as_deref(), Some("local"));
    assert_eq!(read("hidden/x"), None);
    take();
    // Another commit.
    let upper = "/var/ostree/state-overlays/opt/upper";
    let key = "user.ostree.deploymentcsum";
    let mut commit = [0; 64];
    assert_eq!(rustix::fs::getxattr(upper, key, &mut commit), Ok(64));
    assert!(running().to_str().unwrap().contains(std::str::from_utf8(&commit).unwrap()));
    let other = "ab".repeat(32);
    rustix::fs::setxattr(upper, key, other.as_bytes(), rustix::fs::XattrFlags::empty()).unwrap();
    lay();
    for (path, text) in [
        ("changed", Some("1")),
        ("removed", Some("1")),
        ("dir/changed", Some("1")),
        ("dir/same", Some("1")),
        ("hidden/x", Some("1")),
        ("hidden/mine", None),
        ("kind", Some("1")),
        ("added", Some("local")),
        ("dir/added", Some("local")),
    ] {
        assert_eq!(read(path).as_deref(), text, "{path}");
    }
    take();
    for (name, what) in [("a/b", "one word"), (".", "one word"), ("a:b", "one word")] {
        assert!(fails(&format!("state-overlay {name} /run/lower")).contains(what));
    }
    fs::remove_file("/run/ostree-booted").unwrap();
    assert!(fails("state-overlay opt /run/lower").contains("Not currently booted"));
}
