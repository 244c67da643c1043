// SPDX-License-Identifier: MIT OR Apache-2.0
//! Read-only and unmounted `/sysroot` and `/boot`: writable for us, as they were for everybody else.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use deploy::DeployOptions;
use rustix::fs::StatVfsMountFlags;

use test_world::World;
use test_world::namespace::{Case, Need};
use test_world::system::{Boot, boot, deploy_first, finalize, installed, list, mount, stage, try_stage};

pub(crate) const CASES: &[Case] = &[
    ("readonly_mounts_are_writable_for_us_alone", Need::Nothing, readonly_mounts),
    ("a_boot_that_is_no_mount_point_is_the_mount_that_holds_it", Need::Nothing, no_mount_point),
    ("a_readonly_file_system_is_put_back", Need::Nothing, readonly_file_system),
    ("a_device_that_refuses_is_an_error", Need::Nothing, readonly_device),
    ("an_unmounted_boot_is_mounted_as_fstab_says", Need::Nothing, unmounted),
    ("a_readonly_place_elsewhere_is_refused_with_nothing_written", Need::Nothing, elsewhere),
    ("mounts_of_the_system_reach_us", Need::Nothing, propagation),
    ("the_namespace_ends_with_its_guard", Need::Nothing, namespace_ends),
];

fn is_readonly(path: &str) -> bool {
    rustix::fs::statvfs(path).unwrap().f_flag.contains(StatVfsMountFlags::RDONLY)
}

/// Runs it in a thread of its own, whose mounts are its own as well from when it changes them.
fn apart<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(run).join().unwrap())
}

fn update_apart() {
    apart(|| {
        stage();
        finalize();
        // A /boot that was mounted for the change alone is mounted for as long as it takes to look at it.
        let _open = sysroot::Sysroot::open_for_change(Path::new("/")).unwrap();
        assert_eq!(list(), ["2", "1*"]);
    });
}

fn readonly_mounts() {
    boot(installed(&Boot::Bound), &Boot::Bound);
    for point in ["/sysroot", "/boot"] {
        mount(&["-o", "remount,bind,ro,nosuid"], Path::new(point));
    }
    assert!(sysroot::Sysroot::open(Path::new("/")).unwrap().lock(|| ()).is_err(), "the control");
    update_apart();
    assert!(is_readonly("/sysroot") && is_readonly("/boot"), "for everybody else nothing has changed");
    assert_eq!(list(), ["2", "1*"]);
}

fn namespace_ends() {
    boot(installed(&Boot::Bound), &Boot::Bound);
    for point in ["/sysroot", "/boot"] {
        mount(&["-o", "remount,bind,ro"], Path::new(point));
    }
    std::env::set_current_dir("/usr/lib").unwrap();
    let namespace = || fs::read_link("/proc/thread-self/ns/mnt").unwrap();
    let place = || (namespace(), std::env::current_dir().unwrap(), fs::metadata("/").unwrap().ino());
    let before = place();
    let sysroot = sysroot::Sysroot::open_for_change(Path::new("/")).unwrap();
    assert_ne!(namespace(), before.0, "the control");
    assert_eq!(std::env::current_dir().unwrap(), before.1);
    drop(sysroot.lock(|| ()).unwrap());
    drop(sysroot);
    assert_eq!(place(), before);
    assert!(is_readonly("/sysroot") && is_readonly("/boot"));
    // And again, without a trace of the first.
    stage();
    assert_eq!(place(), before);
}

fn no_mount_point() {
    boot(installed(&Boot::Linked), &Boot::Linked);
    mount(&["-o", "remount,bind,ro"], Path::new("/sysroot"));
    assert!(is_readonly("/boot"));
    update_apart();
    assert!(is_readonly("/sysroot") && is_readonly("/boot"));
}

/// A `/boot` of its own, in an image that is attached to a loop device.
pub(crate) struct BootDisk {
    image: PathBuf,
    pub(crate) device: String,
}

impl BootDisk {
    /// With the first deployment in it, and unmounted again.
    pub(crate) fn new(world: &World) -> Self {
        let image = PathBuf::from(std::env::var_os("TMPDIR").unwrap()).join("boot.img");
        fs::File::create(&image).unwrap().set_len(32 << 20).unwrap();
        test_world::run(Command::new("mkfs.ext4").arg("-q").arg(&image));
        let disk = Self { device: String::new(), image };
        let disk = Self { device: disk.attach(&[]), ..disk };
        let point = world.root().join("boot");
        mount(&[&disk.device], &point);
        deploy_first(world, &Boot::Mounted);
        test_world::run(Command::new("umount").arg(&point));
        disk
    }

    fn attach(&self, options: &[&str]) -> String {
        let output = test_world::run(
            Command::new("losetup").args(options).args(["--find", "--show"]).arg(&self.image),
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Once it is mounted: then the device goes with its last mount, and that with this process.
    pub(crate) fn detach(&self) {
        test_world::run(Command::new("losetup").arg("--detach").arg(&self.device));
    }
}

/// Whether the file system itself is read-only, whatever its mounts allow.
fn file_system_is_readonly(point: &str) -> bool {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = table.lines().rfind(|line| line.split(' ').nth(4) == Some(point)).unwrap();
    line.rsplit(' ').next().unwrap().split(',').any(|option| option == "ro")
}

fn readonly_file_system() {
    let world = World::on_small_disk(128);
    let disk = BootDisk::new(&world);
    mount(&["-o", "ro", &disk.device], &world.root().join("boot"));
    disk.detach();
    boot(world, &Boot::Mounted);
    assert!(is_readonly("/boot") && file_system_is_readonly("/boot"));
    update_apart();
    assert!(is_readonly("/boot") && file_system_is_readonly("/boot"), "it is put back");
}

fn readonly_device() {
    let world = World::on_small_disk(128);
    let mut disk = BootDisk::new(&world);
    disk.detach();
    disk.device = disk.attach(&["--read-only"]);
    mount(&["-o", "ro", &disk.device], &world.root().join("boot"));
    disk.detach();
    boot(world, &Boot::Mounted);
    let error = apart(|| format!("{:#}", try_stage(&DeployOptions::new("main"), false).unwrap_err()));
    assert!(error.contains("/boot") && error.contains("cannot be written to"), "{error}");
}

fn unmounted() {
    let world = World::on_small_disk(128);
    let disk = BootDisk::new(&world);
    mount(&[&disk.device], &world.root().join("boot"));
    disk.detach();
    boot(world, &Boot::Absent);
    fs::write("/etc/fstab", format!("{} /boot ext4 noauto 0 2\n", disk.device)).unwrap();
    assert!(!Path::new("/boot/loader").exists());
    update_apart();
    assert!(!Path::new("/boot/loader").exists(), "it was mounted for us alone");
    mount(&[&disk.device], Path::new("/boot"));
    assert_eq!(list(), ["2", "1*"]);
    test_world::run(Command::new("umount").arg("/boot"));
}

/// The mounts of an image that is being made, or of a disk under repair, are their owner's.
fn elsewhere() {
    let world = World::on_small_disk(128);
    let boot = world.root().join("boot");
    mount(&["--bind", boot.to_str().unwrap()], &boot);
    mount(&["-o", "remount,bind,ro"], &boot);
    let error = format!("{:#}", sysroot::Sysroot::open_for_change(&world.root()).err().unwrap());
    assert!(error.contains("/boot is read-only; mount it so that it can be written to"), "{error}");
    assert!(!world.root().join("ostree/boot-switch").exists());
    test_world::run(Command::new("umount").arg(&boot));
    sysroot::Sysroot::open_for_change(&world.root()).unwrap();
}

/// As an automount needs it: what the system mounts after we have left it is there for us, and not the other way.
fn propagation() {
    boot(installed(&Boot::Bound), &Boot::Bound);
    mount(&["--make-rshared"], Path::new("/boot"));
    mount(&["-o", "remount,bind,ro"], Path::new("/sysroot"));
    fs::create_dir("/boot/sub").unwrap();
    let (entered, wait_entered) = std::sync::mpsc::channel();
    let (mounted, wait_mounted) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let inside = scope.spawn(move || {
            let sysroot = test_world::system::open();
            entered.send(()).unwrap();
            wait_mounted.recv().unwrap();
            let seen = Path::new("/boot/sub/mark").exists();
            mount(&["-t", "tmpfs", "tmpfs"], Path::new("/boot/ostree"));
            drop(sysroot);
            seen
        });
        wait_entered.recv().unwrap();
        mount(&["-t", "tmpfs", "tmpfs"], Path::new("/boot/sub"));
        fs::write("/boot/sub/mark", "").unwrap();
        mounted.send(()).unwrap();
        assert!(inside.join().unwrap(), "a mount of the system");
        assert!(fs::read_dir("/boot/ostree").unwrap().next().is_some(), "a mount of ours is ours");
    });
}
