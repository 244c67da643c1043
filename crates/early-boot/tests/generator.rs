// SPDX-License-Identifier: MIT OR Apache-2.0
//! The generator as systemd runs it, below a root of the test's own.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests say what they expect, too")]

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use early_boot::generator;

const CMDLINE: &str = "quiet ostree=/ostree/boot.1/debian/22bb22bb22bb22bb22bb22bb22bb22bb22bb22bb22bb22bb22bb22bb22bb22bb/0 rw\n";

struct World(tempfile::TempDir);

impl World {
    /// A booted system, `/boot` on the physical root.
    fn new() -> Self {
        let world = Self(tempfile::tempdir().unwrap());
        for directory in ["run/ostree", "boot", "sysroot/boot/loader.1", "normal"] {
            fs::create_dir_all(world.at(directory)).unwrap();
        }
        symlink("loader.1", world.at("sysroot/boot/loader")).unwrap();
        world.write("proc/cmdline", CMDLINE);
        world
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), text).unwrap();
    }

    fn generate(&self) -> anyhow::Result<Vec<String>> {
        let normal = self.at("normal");
        let arguments = [normal.clone().into(), "/early".into(), "/late".into()];
        generator::run(self.0.path(), arguments.into_iter())?;
        let mut found = Vec::new();
        list(&normal, &normal, &mut found);
        found.sort();
        Ok(found)
    }
}

fn list(top: &Path, directory: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            list(top, &path, found);
        } else {
            found.push(path.strip_prefix(top).unwrap().display().to_string());
        }
    }
}

const REMOUNT: &str = "local-fs.target.requires/ostree-remount.service";
const COMPLETE: &str = "multi-user.target.wants/ostree-boot-complete.service";
const GOOD: &str = "multi-user.target.wants/ostree-boot-good.service";
const SYSROOT: &str = "sysroot.mount.d/50-ostree.conf";
const BOOT: [&str; 2] = ["boot.mount", "local-fs.target.requires/boot.mount"];
const VAR: [&str; 2] = ["local-fs.target.requires/var.mount", "var.mount"];

#[test]
fn a_booted_system_gets_its_units() {
    let world = World::new();
    assert_eq!(
        world.generate().unwrap(),
        [BOOT[0], BOOT[1], REMOUNT, VAR[0], COMPLETE, GOOD, SYSROOT, VAR[1]]
    );
    let var = fs::read_to_string(world.at("normal/var.mount")).unwrap();
    assert!(var.contains("\nWhat=/sysroot/ostree/deploy/debian/var\n"), "{var}");
    assert!(var.contains("\nConditionKernelCommandLine=!systemd.volatile\n"), "{var}");
    let link = fs::read_link(world.at("normal").join(VAR[0])).unwrap();
    assert_eq!(link, Path::new("../var.mount"));
    let remount = fs::read_link(world.at("normal").join(REMOUNT)).unwrap();
    assert_eq!(remount, Path::new("/usr/lib/systemd/system/ostree-remount.service"));
}

#[test]
fn file_systems_of_fstab_are_left_to_systemd() {
    let world = World::new();
    world.write("etc/fstab", "/dev/vda3 /var/ ext4 defaults 0 0\n/dev/vda2 /boot ext4 defaults 0 0\n");
    assert_eq!(world.generate().unwrap(), [REMOUNT, COMPLETE, GOOD, SYSROOT]);
}

#[test]
fn boot_of_its_own_partition_is_left_to_systemd() {
    let world = World::new();
    fs::remove_file(world.at("sysroot/boot/loader")).unwrap();
    assert_eq!(world.generate().unwrap(), [REMOUNT, VAR[0], COMPLETE, GOOD, SYSROOT, VAR[1]]);
}

#[test]
fn systems_that_are_not_ours_get_nothing() {
    let none: [&str; 0] = [];
    let world = World::new();
    fs::remove_dir(world.at("run/ostree")).unwrap();
    assert_eq!(world.generate().unwrap(), none);

    let world = World::new();
    world.write("proc/cmdline", "quiet root=/dev/vda1 rw\n");
    assert_eq!(world.generate().unwrap(), none);

    let world = World::new();
    world.write("run/ostree/initramfs-mount-var", "");
    assert_eq!(world.generate().unwrap(), none);
    assert!(!world.at("run/ostree/initramfs-mount-var").exists(), "the mark is for one run");
}

#[test]
fn a_link_that_names_no_stateroot_is_followed() {
    let world = World::new();
    let deployment = format!("deploy/mobian/deploy/{}.0", "1a".repeat(32));
    for directory in ["usr", "etc", "sysroot"] {
        fs::create_dir_all(world.at("sysroot/ostree").join(&deployment).join(directory)).unwrap();
    }
    symlink(&deployment, world.at("sysroot/ostree/root.b")).unwrap();
    world.write("proc/cmdline", "androidboot.slot_suffix=_b\n");
    world.generate().unwrap();
    let var = fs::read_to_string(world.at("normal/var.mount")).unwrap();
    assert!(var.contains("/deploy/mobian/var\n"), "{var}");
}

/// All paths below the directory of units.
fn written(world: &World) -> Vec<String> {
    let mut found = Vec::new();
    list(&world.at("normal"), &world.at("normal"), &mut found);
    found.sort();
    found
}

#[test]
fn units_of_other_generators_stay_and_keep_no_other_one_away() {
    let world = World::new();
    world.write("normal/boot.mount", "of another one");
    assert_eq!(world.generate().unwrap(), [BOOT[0], REMOUNT, VAR[0], COMPLETE, GOOD, SYSROOT, VAR[1]]);
    assert_eq!(fs::read_to_string(world.at("normal/boot.mount")).unwrap(), "of another one");

    let world = World::new();
    world.write("normal/var.mount", "of another one");
    assert_eq!(world.generate().unwrap(), [BOOT[0], BOOT[1], REMOUNT, COMPLETE, GOOD, SYSROOT, VAR[1]]);
    assert_eq!(fs::read_to_string(world.at("normal/var.mount")).unwrap(), "of another one");

    let world = World::new();
    let before = world.generate().unwrap();
    assert_eq!(world.generate().unwrap(), before, "and a second run changes nothing");
}

#[test]
fn what_cannot_be_found_out_keeps_no_other_unit_away() {
    let world = World::new();
    world.write("proc/cmdline", "ostree=/nonsense\n");
    assert!(world.generate().is_err());
    assert_eq!(written(&world), [BOOT[0], BOOT[1], REMOUNT, COMPLETE, GOOD, SYSROOT]);

    let world = World::new();
    fs::create_dir(world.at("etc")).unwrap();
    symlink("fstab", world.at("etc/fstab")).unwrap();
    let error = format!("{:#}", world.generate().unwrap_err());
    assert!(error.starts_with("Neither /var nor /boot are mounted by us: Reading "), "{error}");
    assert_eq!(written(&world), [REMOUNT, COMPLETE, GOOD, SYSROOT]);

    // A directory that cannot be made a part of.
    let world = World::new();
    world.write("normal/multi-user.target.wants", "no directory");
    let error = format!("{:#}", world.generate().unwrap_err());
    assert!(
        error.contains("ostree-boot-complete.service") && error.contains("ostree-boot-good.service"),
        "{error}"
    );
    assert_eq!(
        written(&world),
        [BOOT[0], BOOT[1], REMOUNT, VAR[0], "multi-user.target.wants", SYSROOT, VAR[1]]
    );
}

#[test]
fn errors_name_the_file() {
    let error = |world: &World| format!("{:#}", world.generate().unwrap_err());
    let world = World::new();
    world.write("proc/cmdline", "ostree=/nonsense\n");
    assert_eq!(
        error(&world).split_once("exist").unwrap().0,
        "/var is not mounted: ostree=/nonsense: /nonsense does not "
    );
    let world = World::new();
    fs::remove_file(world.at("proc/cmdline")).unwrap();
    assert!(error(&world).starts_with("Reading /proc/cmdline: "));
    let world = World::new();
    fs::remove_dir(world.at("normal")).unwrap();
    assert!(error(&world).starts_with("Opening "));
    assert!(generator::run(Path::new("/"), std::iter::empty::<OsString>()).is_err());
}
