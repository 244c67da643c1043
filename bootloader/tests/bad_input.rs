// SPDX-License-Identifier: MIT OR Apache-2.0
//! Damage, left-overs and a full disk: one clear line, and everything as it was.
#![allow(clippy::unwrap_used)] // the helpers of tests unwrap as the tests do

mod world;

use bootloader::{ApplyError, LoaderLink, NewInitrd, PlanError};
use test_world::Disk;
use world::{World, names};

/// Returns the error of a switch that must not happen, after a look at the files that it has left alone.
fn refusal(world: &World) -> String {
    let before = world.dump();
    let err = world.try_switch(&[world.nth(9, "nine")]).unwrap_err();
    assert_eq!(world.dump(), before);
    let text = format!("{err:#}");
    assert!(!text.contains('\n'), "{text}");
    text
}

#[test]
fn damaged_entries_are_reported_and_stop_a_switch() {
    let sum = "a".repeat(64);
    for (damage, reason) in [
        ("", "has no ostree= among its options"),
        ("title x\noptions quiet\nlinux /x\n", "has no ostree= among its options"),
        ("title x\noptions ostree=/etc/passwd\n", "\"/etc/passwd\" is not of the form"),
        (&format!("title x\noptions ostree=/ostree/boot.1/os/{sum}/0\n"), "has no linux line"),
        ("title x\noptions ostree\0=\n", "line 2 holds a control character"),
    ] {
        let world = World::new();
        world.switch(&[world.nth(1, "one")]);
        world.write("boot/loader.1/entries/ostree-2.conf", damage);
        let state = world.state();
        assert_eq!((state.entries.len(), state.unreadable.len()), (1, 1));
        let said = refusal(&world);
        assert!(
            said.starts_with("Boot entry /boot/loader.1/entries/ostree-2.conf ") && said.contains(reason),
            "{said}"
        );
        let (_, _) = bootloader::sweep(world.places(), &world.settings).unwrap();
        assert_eq!(world.state().boot_dirs.len(), 1);
    }
}

#[test]
fn what_cannot_come_along_stops_a_switch() {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::UnixListener;

    let world = World::new();
    world.switch(&[world.nth(1, "one")]);
    let entries = world.path("boot/loader.1/entries");
    let latin1 = std::ffi::OsStr::from_bytes(b"caf\xe9.conf");
    for (path, words) in [
        (entries.join("ostree-2.conf"), "/boot/loader.1/entries/ostree-2.conf is no regular file"),
        (world.path("boot/loader.1/socket"), "/boot/loader.1/socket is no regular file"),
        (entries.join(latin1), "has a name that is not UTF-8"),
    ] {
        // A socket is no file that could be read or copied.
        drop(UnixListener::bind(&path).unwrap());
        let said = format!("{:#}", world.try_switch(&[world.nth(9, "nine")]).unwrap_err());
        assert!(said.contains(words) && !said.contains('\n'), "{said}");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(world.visible(&world.boot_path), names(&[world.nth(1, "one")]), "{said}");
    }
}

#[test]
fn an_entry_that_is_not_text_keeps_every_boot_file() {
    let world = World::new();
    world.switch(&[world.nth(1, "one")]);
    std::fs::write(world.path("boot/loader.1/entries/ostree-2.conf"), [0xff, 0xfe]).unwrap();
    assert!(refusal(&world).contains("is not UTF-8"));
    let other = format!("boot/ostree/other-{}/vmlinuz-1", "b".repeat(64));
    world.write(&other, "kernel");
    let (_, _) = bootloader::sweep(world.places(), &world.settings).unwrap();
    assert!(world.path(&other).exists());
    // Nor is it listed as what could go, where nothing is left of the entry that might name it.
    std::fs::write(world.path("boot/loader.1/entries/ostree-2.conf"), "").unwrap();
    assert_eq!(bootloader::leftovers(&world.state(), &world.settings), [""; 0]);
}

#[test]
fn odd_loaders_are_named() {
    let world = World::new();
    world.write("boot/loader/entries/debian.conf", "title Debian\n");
    assert_eq!(world.state().loader, LoaderLink::Directory);
    assert!(refusal(&world).starts_with("/boot/loader is a directory, left by another installation"));

    let world = World::new();
    std::os::unix::fs::symlink("efi/loader", world.path("boot/loader")).unwrap();
    assert!(refusal(&world).contains("\"efi/loader\" and no link to loader.0 or loader.1"));

    let world = World::new();
    std::fs::remove_dir_all(world.path("ostree")).unwrap();
    let err = world.plan(&[]).unwrap_err();
    assert_eq!(err, PlanError::NoOstree);
}

/// With `/boot` not mounted, or a boot link that leads nowhere, the deployments behind are out of sight, not gone.
#[test]
fn deployments_that_cannot_be_found_stop_a_switch() {
    let world = World::new();
    world.switch(&[world.nth(1, "one")]);
    // The world holds /boot open, so its link goes instead of the mount.
    std::fs::rename(world.path("boot/loader"), world.path("away")).unwrap();
    assert!(refusal(&world).contains("mount the boot file system at /boot"));
    std::fs::rename(world.path("away"), world.path("boot/loader")).unwrap();
    world.state().check().unwrap();

    std::fs::remove_file(world.path("ostree/boot.1")).unwrap();
    let said = refusal(&world);
    assert!(said.starts_with("Boot entry ostree-1.conf: /ostree/boot.1/"), "{said}");
}

/// Somebody has edited an entry, and its own deployment is no longer the first that it names: a new menu would leave it out.
#[test]
fn a_deployment_behind_a_further_argument_stops_a_switch() {
    let world = World::new();
    let (a, b) = (world.nth(1, "one"), world.nth(2, "two"));
    world.switch(&[b.clone(), a.clone()]);
    let entry = |n: u8| world.path(&format!("boot/loader.1/entries/ostree-{n}.conf"));
    let text = |n: u8| std::fs::read_to_string(entry(n)).unwrap();
    let link = |n: u8| {
        let text = text(n);
        text.split_whitespace().find(|word| word.starts_with("ostree=")).unwrap().to_owned()
    };
    let (whole, own, other) = (text(1), link(1), link(2));
    for words in
        [format!("{other} {own}"), format!("{other} \"{own}\""), format!("{other} quiet {own} {other}")]
    {
        std::fs::write(entry(1), whole.replace(&own, &words)).unwrap();
        let said = refusal(&world);
        assert!(
            said.starts_with("Boot entry ostree-1.conf has several arguments ostree=")
                && said.contains(&format!("leads to {}, which would be removed", a.deployment))
                && said.contains("`ostree admin fsck-boot --repair`"),
            "{said}"
        );
        let (_, swept) = bootloader::sweep(world.places(), &world.settings).unwrap();
        assert_eq!(swept.removed, [""; 0]);
    }
    // Its own is not there at all, but the link still is.
    std::fs::write(entry(1), whole.replace(&own, &other)).unwrap();
    let said = refusal(&world);
    assert!(
        said.starts_with("Boot entries ostree-2.conf and ostree-1.conf lead to the same deployment")
            && said.contains(&format!("none leads to {}, which would be removed", a.deployment)),
        "{said}"
    );
    // Another name for an entry is what a tool leaves that knows it by that name.
    std::fs::write(entry(1), &whole).unwrap();
    std::fs::write(entry(1).with_file_name("ostree-1-testos.conf"), &whole).unwrap();
    world.state().check().unwrap();
    std::fs::remove_file(entry(1).with_file_name("ostree-1-testos.conf")).unwrap();
    // Where nothing gets lost, the next menu has one in each entry.
    std::fs::write(entry(1), whole.replace(&own, &format!("{own} {other} ostree=/gone"))).unwrap();
    world.switch(&[world.nth(9, "nine"), b, a]);
    assert!(world.state().entries.iter().all(|entry| entry.ostree_problem().is_none()));
}

/// A link to a set of entries that is gone, and one that leads nowhere at all, are repaired by the next switch.
#[test]
fn a_dangling_loader_link_is_no_obstacle() {
    let world = World::new();
    std::os::unix::fs::symlink("loader.1", world.path("boot/loader")).unwrap();
    assert_eq!(world.state().loader, LoaderLink::Dangling(1));
    let entries = [world.nth(1, "one")];
    world.switch(&entries);
    assert_eq!(world.state().loader, LoaderLink::Version(0));
    assert_eq!(world.visible(&world.boot_path), names(&entries));
}

#[test]
fn a_deployment_that_cannot_be_booted_gets_no_entry() {
    let world = World::new();
    world.switch(&[world.nth(1, "one")]);
    let before = world.dump();
    let broken = world.nth(2, "two");
    std::fs::remove_dir(world.path(&format!("{}/sysroot", broken.deployment))).unwrap();
    let err = format!("{:#}", world.try_switch(std::slice::from_ref(&broken)).unwrap_err());
    assert!(err.contains("has no directory sysroot"), "{err}");
    assert_eq!(world.dump(), before);

    // Nor does an initrd stay that came with it.
    let mut broken = broken;
    world.write("run/initrd", "more files");
    let path = world.path("run/initrd").to_str().unwrap().to_owned();
    let checksum = "ab".repeat(32).parse().unwrap();
    broken.overlay_initrds = vec![checksum];
    broken.new_initrds = vec![NewInitrd { checksum, path, size: 10 }];
    world.try_switch(&[broken]).unwrap_err();
    assert_eq!(world.dump(), before);
}

#[test]
fn a_plan_that_is_out_of_date_is_not_carried_out() {
    let world = World::new();
    world.switch(&[world.nth(1, "one")]);
    let plan = world.plan(&[world.nth(2, "two")]).unwrap();
    world.switch(&[world.nth(3, "three")]);
    let err = plan.apply(world.places(), &world.settings).unwrap_err();
    assert_eq!(err.downcast_ref(), Some(&ApplyError::Changed));
}

#[test]
fn lists_that_make_no_menu_are_refused() {
    let world = World::new();
    assert_eq!(world.plan(&[]).unwrap_err(), PlanError::NoEntries);
    let twice = [world.nth(1, "one"), world.nth(1, "one")];
    assert!(matches!(world.plan(&twice).unwrap_err(), PlanError::Duplicate(_)));
}

#[test]
fn a_boot_that_is_too_small_is_seen_before_anything_is_written() {
    test_world::needs_root!();
    let disk = Disk::new("ext4", 4);
    let world = World::with_boot(tempfile::tempdir().unwrap(), disk.mount());
    let (small, large) = (world.nth(1, "one"), world.nth(3, &"y".repeat(1 << 20)));
    world.switch(&[large.clone(), small.clone()]);
    let before = world.dump();
    let big = world.nth(2, &"x".repeat(8 << 20));
    let err = world.try_switch(&[big, large.clone()]).unwrap_err();
    let Some(ApplyError::NoSpace(shortage)) = err.downcast_ref() else { panic!("{err:#}") };
    // The kernel and the initramfs in whole blocks of 1 KiB.
    let frees: Vec<u64> = shortage.frees.iter().map(|one| one.bytes).collect();
    assert_eq!(frees, [(1 << 20) + 1024, 1024 + 1024]);
    let text = shortage.to_string();
    assert!(
        text.starts_with("/boot has ") && text.contains("of Test OS 1 1.0 (ostree:0) frees 1.1 MB, of "),
        "{text}"
    );
    assert_eq!(world.dump(), before);

    // Files that two share are freed by neither, and the running system is not to be removed.
    world.switch(&[large.clone(), small, world.nth(4, "one")]);
    let freed = |world: &World| {
        let err = world.try_switch(&[world.nth(2, &"x".repeat(8 << 20)), large.clone()]).unwrap_err();
        let Some(ApplyError::NoSpace(shortage)) = err.downcast_ref() else { panic!("{err:#}") };
        shortage.frees.iter().map(|one| one.bytes).collect::<Vec<_>>()
    };
    assert_eq!(freed(&world), [(1 << 20) + 1024]);
    let mut world = world;
    world.settings.running = Some(world.state().entries[0].bootlink.clone());
    assert_eq!(freed(&world), [0; 0]);
}

/// Device trees, more initrds and blocks count: each of the small files takes one.
#[test]
fn small_files_count_in_whole_blocks() {
    test_world::needs_root!();
    let disk = Disk::new("ext4", 4);
    let world = World::with_boot(tempfile::tempdir().unwrap(), disk.mount());
    world.switch(&[world.nth(1, "one")]);
    let before = world.dump();
    let names: Vec<String> = (0..1500).map(|n| format!("dtb/vendor/{n}.dtb")).collect();
    let mut files = vec![("vmlinuz", "k"), ("initramfs.img", "i")];
    files.extend(names.iter().map(|name| (name.as_str(), "tree")));
    let trees = world.deployment("testos", &"07".repeat(32), &files);
    let err = world.try_switch(&[trees]).unwrap_err();
    assert!(
        matches!(err.downcast_ref(), Some(ApplyError::NoSpace(s)) if s.needed_files > 1500 && s.needed > 1500 << 10),
        "{err:#}"
    );
    assert!(err.to_string().contains("/boot has room for 10"), "{err:#}");
    let overlay = tempfile::NamedTempFile::new().unwrap();
    overlay.as_file().set_len(8 << 20).unwrap();
    let mut more = world.nth(2, "two");
    let (checksum, path) = ("ab".repeat(32).parse().unwrap(), overlay.path().to_str().unwrap().to_owned());
    more.overlay_initrds = vec![checksum];
    more.new_initrds = vec![NewInitrd { checksum, path, size: 8 << 20 }];
    let err = world.try_switch(&[more]).unwrap_err();
    assert!(matches!(err.downcast_ref(), Some(ApplyError::NoSpace(s)) if s.needed > 8 << 20), "{err:#}");
    assert_eq!(world.dump(), before);
}

/// The disk fills up at any of the writes, for the kernel has grown by just so much.
///
/// How many blocks ext4 really has for a file that it has not yet allocated differs by a few from run to run, and a success ends a round:
/// there are as many rounds as it takes until both the boot files and the entries have met a full disk.
#[test]
fn a_disk_that_fills_up_at_any_write_is_left_as_it_was() {
    test_world::needs_root!();
    const ROUNDS: usize = 20;
    let mut failed = std::collections::BTreeSet::new();
    for _ in 0..ROUNDS {
        fill_up_at_each_write(&mut failed);
        if failed.len() >= 2 {
            return;
        }
    }
    panic!("the disk was full in one step only: {failed:?}");
}

fn fill_up_at_each_write(failed: &mut std::collections::BTreeSet<String>) {
    let disk = Disk::new("ext4", 4);
    let world = World::with_boot(tempfile::tempdir().unwrap(), disk.mount());
    world.switch(&[world.nth(1, "one")]);
    let before = world.dump();
    let next = [world.nth(2, "two")];
    let kernel = world.path(&format!("{}/usr/lib/modules/6.12.1/vmlinuz", next[0].deployment));
    for free in 0..400 {
        let plan = world.plan(&next).unwrap();
        // The space that the try before has freed is free only after the journal's commit.
        rustix::fs::syncfs(&world.boot).unwrap();
        let fs = rustix::fs::statvfs(&world.boot_path).unwrap();
        let all = fs.f_bfree * fs.f_frsize;
        std::fs::write(&kernel, vec![b'x'; usize::try_from(all - free * fs.f_frsize).unwrap()]).unwrap();
        // The size was taken for the plan, and the copy is compared with the file.
        let Err(err) = plan.apply(world.places(), &world.settings) else { break };
        let err = format!("{err:#}");
        assert_eq!(world.dump(), before, "{err}");
        if !err.contains("No space left on device") {
            break;
        }
        // Boot files, entries.
        failed.insert(err.split([':', '/']).next().unwrap().to_owned());
    }
}

/// The file grows between plan and copy, so that the disk is full in the middle.
#[test]
fn a_disk_that_fills_up_is_left_as_it_was() {
    test_world::needs_root!();
    let disk = Disk::new("ext4", 4);
    let world = World::with_boot(tempfile::tempdir().unwrap(), disk.mount());
    let first = [world.nth(1, "one")];
    world.switch(&first);
    let before = world.dump();
    let next = [world.nth(2, "two")];
    let plan = world.plan(&next).unwrap();
    let kernel = format!("{}/usr/lib/modules/6.12.1/vmlinuz", next[0].deployment);
    std::fs::write(world.path(&kernel), "x".repeat(8 << 20)).unwrap();
    let err = format!("{:#}", plan.apply(world.places(), &world.settings).unwrap_err());
    assert!(
        err.starts_with("Installing /boot/ostree/") && err.ends_with("No space left on device (os error 28)"),
        "{err}"
    );
    assert_eq!(world.dump(), before);
    assert_eq!(world.state().boot_dirs.len(), 1, "a half directory of boot files is left");

    std::fs::write(world.path(&kernel), "two").unwrap();
    world.switch(&next);
    assert_eq!(world.visible(&world.boot_path), names(&next));
}
