// SPDX-License-Identifier: MIT OR Apache-2.0
use std::fs::File;
use std::os::unix::fs::{MetadataExt, symlink};

use super::*;

const CHECKSUM: &str = "11aa11aa11aa11aa11aa11aa11aa11aa11aa11aa11aa11aa11aa11aa11aa11aa";
const BOOT: &str = "22bb22bb22bb22bb22bb22bb22bb22bb22bb22bb22bb22bb22bb22bb22bb22bb";

struct World(tempfile::TempDir);

impl World {
    fn new() -> Self {
        let world = Self(tempfile::tempdir().unwrap());
        for name in REQUIRED {
            world.mkdir(&format!("{}/{name}", Self::deployment()));
        }
        world.mkdir(&format!("ostree/boot.1.0/debian/{BOOT}"));
        world.link("boot.1.0", "ostree/boot.1");
        world.boot_link("0", &format!("../../../deploy/debian/deploy/{CHECKSUM}.0"));
        world
    }

    fn deployment() -> String {
        format!("ostree/deploy/debian/deploy/{CHECKSUM}.0")
    }

    fn mkdir(&self, path: &str) {
        std::fs::create_dir_all(self.0.path().join(path)).unwrap();
    }

    fn link(&self, target: &str, path: &str) {
        symlink(target, self.0.path().join(path)).unwrap();
    }

    fn boot_link(&self, name: &str, target: &str) {
        self.link(target, &format!("ostree/boot.1.0/debian/{BOOT}/{name}"));
    }

    fn resolve(&self, line: &str) -> Result<Deployment, TargetError> {
        let sysroot = File::open(self.0.path()).unwrap();
        resolve(sysroot.as_fd(), &KernelArgs::parse(line)).map(|target| target.deployment)
    }

    fn error(&self, line: &str) -> String {
        self.resolve(line).unwrap_err().to_string()
    }
}

fn argument(name: &str) -> String {
    format!("quiet ostree=/ostree/boot.1/debian/{BOOT}/{name} rw")
}

#[test]
fn the_link_leads_to_the_deployment() {
    let world = World::new();
    let directory = std::fs::metadata(world.0.path().join(World::deployment())).unwrap();
    let found = world.resolve(&argument("0")).unwrap();
    assert_eq!(found.path.to_string(), World::deployment());
    assert_eq!((found.device, found.inode), (directory.dev(), directory.ino()));
    let quoted = format!("\"ostree=/ostree/boot.1/debian/{BOOT}/0\"");
    assert_eq!(world.resolve(&quoted), Ok(found.clone()));
    let twice = format!("{} ostree=/none", argument("0"));
    assert_eq!(world.resolve(&twice), Ok(found), "the first argument counts");
}

#[test]
fn android_slots_are_links_of_their_own() {
    let world = World::new();
    world.link(&format!("deploy/debian/deploy/{CHECKSUM}.0"), "ostree/root.a");
    for line in ["androidboot.slot_suffix=_a ostree=/none", "androidboot.mode=normal"] {
        assert_eq!(world.resolve(line).unwrap().boot_link, "/ostree/root.a");
    }
    assert!(world.error("androidboot.slot_suffix=_b").contains("/ostree/root.b does not exist"));
    assert_eq!(world.error("androidboot.slot_suffix=_c"), "androidboot.slot_suffix=_c: must be _a or _b");
}

#[test]
fn every_wrong_target_has_its_own_message() {
    let world = World::new();
    world.boot_link("1", "../../../deploy/debian/deploy/gone.0");
    world.boot_link("2", "2");
    world.boot_link("3", "../../../../../outside");
    world.boot_link("4", "/ostree/deploy");
    world.boot_link("5", "../../../deploy/debian");
    world.boot_link("6", "6.file");
    world.mkdir(&format!("ostree/boot.1.0/debian/{BOOT}/7"));
    std::fs::write(world.0.path().join(format!("ostree/boot.1.0/debian/{BOOT}/6.file")), "").unwrap();
    for (line, message) in [
        ("quiet rw".to_owned(), "no ostree= argument".to_owned()),
        ("ostree".to_owned(), "no ostree= argument".to_owned()),
        ("ostree=".to_owned(), "no ostree= argument".to_owned()),
        ("ostree=/".to_owned(), "ostree=/: not a symbolic link".to_owned()),
        ("ostree=/ostree/boot.0/x".to_owned(), "/ostree/boot.0 does not exist".to_owned()),
        (argument("9"), "boot.1.0/debian/".to_owned()),
        (argument("1"), "deploy/gone.0, which does not exist".to_owned()),
        (argument("2"), "/2 is a loop of links".to_owned()),
        (argument("3"), "/3 leads out of the physical root".to_owned()),
        (argument("4"), "/4 leads out of the physical root".to_owned()),
        (argument("5"), "leads to /ostree/deploy/debian, which is no deployment".to_owned()),
        (argument("6"), "6.file is not a directory".to_owned()),
        (argument("7"), "/7 is not a symbolic link; boot another entry".to_owned()),
    ] {
        let error = world.error(&line);
        assert!(error.contains(&message), "{line}: {error}");
        assert_eq!(error.lines().count(), 1);
    }
}

#[test]
fn an_incomplete_deployment_is_not_booted() {
    for name in REQUIRED {
        let world = World::new();
        let path = world.0.path().join(World::deployment()).join(name);
        std::fs::remove_dir(&path).unwrap();
        let expected = format!("deployment /{} has no directory {name}", World::deployment());
        assert!(world.error(&argument("0")).starts_with(&expected));
        symlink("usr", &path).unwrap();
        assert!(world.error(&argument("0")).starts_with(&expected), "a link is no mount point");
    }
}
