// SPDX-License-Identifier: MIT OR Apache-2.0
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;

use super::*;
use crate::resolve::resolve;

const BOOT: &str = "22bb22bb22bb22bb22bb22bb22bb22bb22bb22bb22bb22bb22bb22bb22bb22bb";
const KERNEL: &str = "6.12.1";

struct World(tempfile::TempDir);

impl World {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A deployment whose checksum is made of `digit`, with modules for `kernel`.
    fn deployment(&self, digit: char, kernel: &str) -> String {
        let name = format!("{}.0", digit.to_string().repeat(64));
        let path = self.0.path().join("ostree/deploy/debian/deploy").join(&name);
        for dir in ["etc", "sysroot", &format!("usr/lib/modules/{kernel}")] {
            fs::create_dir_all(path.join(dir)).unwrap();
        }
        name
    }

    /// A link `BOOT/SERIAL` in a `boot.N.M` to a deployment, with `boot.N` if that is wanted.
    fn links(&self, set: &str, serial: u32, deployment: &str, chosen: bool) {
        let ostree = self.0.path().join("ostree");
        let dir = ostree.join(format!("boot.{set}/debian/{BOOT}"));
        fs::create_dir_all(&dir).unwrap();
        symlink(format!("../../../deploy/debian/deploy/{deployment}"), dir.join(serial.to_string())).unwrap();
        if chosen {
            symlink(format!("boot.{set}"), ostree.join(format!("boot.{}", &set[..1]))).unwrap();
        }
    }

    /// Returns the deployment that an entry of `boot.1` boots, and whether there is a note.
    fn boots(&self) -> Result<(String, bool), String> {
        let root = File::open(self.0.path()).unwrap();
        let arguments = KernelArgs::parse(&format!("ostree=/ostree/boot.1/debian/{BOOT}/0"));
        let found = find(root.as_fd(), &arguments, KERNEL).map_err(|error| error.to_string())?;
        let is_fallback = found.note.is_some();
        assert_eq!(resolve(root.as_fd(), &arguments).is_err(), is_fallback, "tools find nothing elsewhere");
        assert_eq!(found.deployment.boot_link, format!("/ostree/boot.1/debian/{BOOT}/0"));
        assert!(
            found.note.is_none_or(|note| note.contains("fsck-boot --repair") && note.lines().count() == 1)
        );
        Ok((found.deployment.path.name(), is_fallback))
    }
}

#[test]
fn the_link_itself_comes_first() {
    let world = World::new();
    let (one, two) = (world.deployment('1', KERNEL), world.deployment('2', KERNEL));
    world.links("1.0", 0, &one, true);
    world.links("0.1", 0, &two, true);
    assert_eq!(world.boots(), Ok((one, false)));
}

#[test]
fn the_same_name_is_looked_for_in_other_sets() {
    for set in ["1.0", "1.1", "0.0", "0.1"] {
        for chosen in [false, true].into_iter().filter(|chosen| !(set.starts_with('1') && *chosen)) {
            let world = World::new();
            // The only one with this kernel is another one: a link says more.
            let (one, _) = (world.deployment('1', "6.1"), world.deployment('2', KERNEL));
            world.links(set, 0, &one, chosen);
            assert_eq!(world.boots(), Ok((one, true)), "{set} {chosen}");
        }
    }
    let world = World::new();
    let one = world.deployment('1', "6.1");
    world.links("1.0", 0, &"3".repeat(64), true);
    world.links("0.0", 0, &one, true);
    assert_eq!(world.boots(), Ok((one, true)), "what the link leads to is gone");
}

#[test]
fn without_any_link_the_kernel_decides_if_it_can() {
    let world = World::new();
    assert!(world.boots().unwrap_err().contains("does not exist"));
    world.deployment('1', "6.1");
    assert!(world.boots().unwrap_err().contains("does not exist"));
    let two = world.deployment('2', KERNEL);
    world.links("0.0", 1, &"1".repeat(64), true);
    assert_eq!(world.boots(), Ok((two, true)), "another serial is another deployment");
    world.deployment('3', KERNEL);
    assert!(world.boots().unwrap_err().contains("boot another entry"), "which one is not known");
}

#[test]
fn what_is_wrong_otherwise_stays_wrong() {
    let world = World::new();
    let one = world.deployment('1', KERNEL);
    world.links("0.0", 0, &one, true);
    world.links("1.0", 0, "../../../../../outside", true);
    let error = world.boots().unwrap_err();
    assert!(error.contains("leads out of the physical root"), "{error}");
    let root = File::open(world.0.path()).unwrap();
    for line in ["quiet", "ostree=/ostree/deploy/x", "androidboot.slot_suffix=_a"] {
        assert!(find(root.as_fd(), &KernelArgs::parse(line), KERNEL).is_err(), "{line}");
    }
}
