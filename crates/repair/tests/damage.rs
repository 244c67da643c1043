// SPDX-License-Identifier: MIT OR Apache-2.0
//! Damage and disorder: what is refused, with everything as it was, and what goes on all the same.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by unwrapping it")]

use std::fs;
use std::os::unix::fs::symlink;

use test_world::World;

/// A kernel that was damaged on the disk would be found out by the machine that does not start.
#[test]
fn a_damaged_boot_file_is_not_deployed() {
    test_world::needs_root!();
    let world = World::new();
    world.commit("main", "1", |_| ());
    world.deploy("main");
    let modules = "usr/lib/modules/6.1.0";
    let all = [("vmlinuz", "kernel 2"), ("initramfs.img", "initramfs 2"), ("devicetree", "tree 2")];
    let commit = world.commit("main", "2", |tree| {
        for (name, text) in all {
            fs::write(tree.join(modules).join(name), text).unwrap();
        }
    });
    for (name, text) in all {
        let object = world.object(&commit, &format!("{modules}/{name}"));
        // The same length, so that no size gives it away.
        fs::write(&object, text.replace('2', "3")).unwrap();
        let before = world.snapshot();
        let error = format!("{:#}", world.try_deploy(&world.options("main")).unwrap_err());
        let checksum = object.with_extension("").display().to_string();
        let checksum: String = checksum.rsplit('/').take(2).collect::<Vec<_>>().into_iter().rev().collect();
        for words in [name, &checksum, "ostree fsck --delete", "pull or commit it again"] {
            assert!(error.contains(words), "{words}: {error}");
        }
        assert!(!error.contains('\n'), "{error}");
        assert!(world.snapshot() == before, "{name} left something behind");
        fs::write(&object, text).unwrap();
    }
    world.deploy("main");
    assert_eq!(world.menu()[0], format!("{commit}.0"));

    // A damaged kernel that is in use already shows when it is to be used once more.
    fs::write(world.object(&commit, &format!("{modules}/vmlinuz")), "kernel 3").unwrap();
    let error = format!("{:#}", world.try_deploy(&world.options("main")).unwrap_err());
    assert!(error.contains("vmlinuz"), "{error}");
}

/// Boot files of the right size with other contents, left in `/boot` by whatever was cut off there: a new entry names none of them.
#[test]
fn a_torn_copy_of_the_same_size_is_written_anew() {
    test_world::needs_root!();
    let world = World::new();
    world.commit("main", "1", |_| ());
    world.deploy("main");
    let modules = "usr/lib/modules/6.1.0";
    let text = |name: &str| format!("{name} of the second");
    world.commit("main", "2", |tree| {
        for name in ["vmlinuz", "initramfs.img"] {
            fs::write(tree.join(modules).join(name), text(name)).unwrap();
        }
    });
    // A first try puts them there; its entry goes again.
    world.deploy("main");
    let boot = |start: &str| -> std::path::PathBuf {
        let dirs = fs::read_dir(world.root().join("boot/ostree")).unwrap();
        let files = dirs.flat_map(|dir| fs::read_dir(dir.unwrap().path()).into_iter().flatten());
        let mut files = files.map(|file| file.unwrap().path());
        let of_second = |path: &std::path::PathBuf| {
            fs::read_to_string(path).is_ok_and(|text| text.ends_with("of the second"))
        };
        files
            .find(|path| path.file_name().unwrap().to_str().unwrap().starts_with(start) && of_second(path))
            .unwrap()
    };
    let copies =
        [("vmlinuz", "vmlinuz"), ("initramfs", "initramfs.img")].map(|(start, name)| (boot(start), name));
    let cleanup = || {
        let sysroot = world.sysroot();
        deploy::undeploy(&sysroot.lock(|| ()).unwrap(), 0).unwrap();
    };
    for (copy, name) in &copies {
        cleanup();
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::write(copy, text(name).to_uppercase()).unwrap();
        world.deploy("main");
        assert_eq!(fs::read_to_string(copy).unwrap(), text(name));
    }

    // The files of an entry may be all that a boot loader can read, and only a repair exchanges them so that it always can.
    for (copy, name) in &copies {
        // A file of its own, as in a /boot of its own.
        fs::remove_file(copy).unwrap();
        fs::write(copy, text(name).to_uppercase()).unwrap();
        let mut options = world.options("main");
        options.kernel_args.append.push(format!("another={name}"));
        let before = world.snapshot();
        let error = format!("{:#}", world.try_deploy(&options).unwrap_err());
        assert!(
            error.contains("has other contents than the new deployment has for it")
                && error.contains("`ostree admin fsck-boot --repair`"),
            "{error}"
        );
        assert!(world.snapshot() == before, "a refusal has changed something");
        let sysroot = world.sysroot();
        let left = repair::repair_boot(&sysroot, None, &repair::check_boot(&sysroot).unwrap()).unwrap();
        assert!(left.is_clean(), "{left:?}");
        world.try_deploy(&options).unwrap();
        assert_eq!(fs::read_to_string(copy).unwrap(), text(name));
    }
}

/// Files of an earlier installation in `/boot` are told, with the names to remove; then all goes on.
#[test]
fn a_loader_of_an_earlier_installation() {
    test_world::needs_root!();
    let world = World::new();
    world.commit("main", "1", |_| ());
    world.deploy("main");
    let entries = world.root().join("boot/loader/entries");
    let old = fs::read_to_string(entries.join("ostree-1.conf")).unwrap();
    let ostree = world.root().join("ostree");

    let without = world.root().join("without");
    fs::rename(&ostree, &without).unwrap();
    let error = format!("{:#}", sysroot::Sysroot::open(&world.root()).unwrap_err());
    assert!(error.contains("ostree admin init-fs") && !error.contains('\n'), "{error}");
    fs::rename(&without, &ostree).unwrap();

    let new = World::new();
    new.commit("main", "1", |_| ());
    fs::create_dir_all(new.root().join("boot/loader.1/entries")).unwrap();
    fs::write(new.root().join("boot/loader.1/entries/ostree-1.conf"), old).unwrap();
    symlink("loader.1", new.root().join("boot/loader")).unwrap();
    assert!(new.menu().is_empty());
    assert!(new.status().notes.iter().any(|note| note.text.contains("leads to no deployment")));
    let before = new.snapshot();
    let error = format!("{:#}", new.try_deploy(&new.options("main")).unwrap_err());
    assert!(error.starts_with("Boot entry ostree-1.conf: ") && error.contains("remove the entry"), "{error}");
    assert!(new.snapshot() == before, "a refused deployment has written something");
    fs::remove_file(new.root().join("boot/loader.1/entries/ostree-1.conf")).unwrap();
    new.deploy("main");
    assert_eq!(new.menu().len(), 1);
}

/// Nothing goes by a menu of which a part cannot be read, and whatever any entry names stays.
#[test]
fn a_menu_that_is_partly_read_removes_nothing() {
    test_world::needs_root!();
    let world = World::new();
    world.commit("main", "1", |_| ());
    world.deploy("main");
    world.commit("main", "2", |tree| fs::write(tree.join("usr/lib/modules/6.1.0/vmlinuz"), "2").unwrap());
    world.deploy("main");
    let entries = world.root().join("boot/loader/entries");
    let (first, text) = (entries.join("ostree-1.conf"), fs::read(entries.join("ostree-1.conf")).unwrap());
    let cleanup = || {
        let sysroot = world.sysroot();
        let lock = sysroot.lock(|| ()).unwrap();
        deploy::cleanup(&lock)
    };
    for damage in [&b""[..], &text[..text.len() / 8], b"\xff\xfe"] {
        fs::write(&first, damage).unwrap();
        let before = world.snapshot();
        let error = format!("{:#}", cleanup().unwrap_err());
        assert!(error.contains("ostree-1.conf") && error.contains("repair or remove it"), "{error}");
        assert!(world.snapshot() == before, "something has gone");
    }
    // A torn entry whose first half makes sense.
    let path = text.windows(7).position(|window| window == b"\nlinux ").unwrap() + 12;
    fs::write(&first, &text[..path]).unwrap();
    let before = world.snapshot();
    cleanup().unwrap();
    assert!(world.snapshot() == before, "something has gone");
    // No list at all: what is deployed is found by its links.
    fs::remove_dir_all(&entries).unwrap();
    let before = world.snapshot();
    cleanup().unwrap();
    assert!(without_refs(world.snapshot()) == without_refs(before), "something has gone");
}

/// Refs are only there to keep the objects, which the deployments on the disk do as well.
fn without_refs(snapshot: Vec<String>) -> Vec<String> {
    snapshot.into_iter().filter(|line| !line.starts_with("ostree/repo/refs/heads/ostree")).collect()
}

/// The initramfs takes the first `ostree=`, the C tools the last: what either leads to is kept.
#[test]
fn a_deployment_behind_a_second_link_of_an_edited_entry_stays() {
    test_world::needs_root!();
    let world = World::new();
    world.commit("main", "1", |_| ());
    world.deploy("main");
    world.commit("main", "2", |_| ());
    world.deploy("main");
    let (old, menu) = (world.deployment(1), world.menu());
    let entry = world.root().join("boot/loader/entries/ostree-1.conf");
    let text = fs::read_to_string(&entry).unwrap();
    let own = text.split_whitespace().find(|word| word.starts_with("ostree=")).unwrap();
    let other = own.strip_suffix("/1").map(|dir| format!("{dir}/0")).unwrap();
    fs::write(&entry, text.replace(own, &format!("{other} {own}"))).unwrap();
    world.commit("main", "3", |_| ());
    let before = world.snapshot();
    let error = format!("{:#}", world.try_deploy(&world.options("main")).unwrap_err());
    assert!(error.contains("`ostree admin fsck-boot --repair`") && error.contains(&menu[1]), "{error}");
    let sysroot = world.sysroot();
    let lock = sysroot.lock(|| ()).unwrap();
    let edits = deploy::Edits { append: vec!["debug".to_owned()], ..Default::default() };
    deploy::edit_kernel_args(&lock, None, &edits).unwrap_err();
    deploy::undeploy(&lock, 0).unwrap_err();
    deploy::cleanup(&lock).unwrap_err();
    drop(lock);
    assert!(world.snapshot() == before, "a refusal has changed something");
    let lock = sysroot.lock(|| ()).unwrap();
    let left = repair::repair_boot(&sysroot, Some(&lock), &repair::check_boot(&sysroot).unwrap()).unwrap();
    assert!(left.is_clean(), "{left:?}");
    drop(lock);
    assert_eq!(world.menu(), menu);
    world.deploy("main");
    assert!(!old.exists() && world.menu()[1..] == menu[..1], "the third has taken the place of the first");
}

#[test]
fn counted_and_foreign_entries_keep_what_they_name() {
    test_world::needs_root!();
    let world = World::new();
    world.commit("main", "1", |_| ());
    world.deploy("main");
    world.commit("main", "2", |tree| fs::write(tree.join("usr/lib/modules/6.1.0/vmlinuz"), "2").unwrap());
    world.deploy("main");
    let (menu, entries) = (world.menu(), world.root().join("boot/loader/entries"));
    for (from, to) in [("ostree-2.conf", "ostree-2+0-3.conf"), ("ostree-1.conf", "ostree-1+2-1.conf")] {
        fs::rename(entries.join(from), entries.join(to)).unwrap();
    }
    // Somebody keeps the kernel of the first deployment for an entry of his own.
    let first = fs::read_to_string(entries.join("ostree-1+2-1.conf")).unwrap();
    let kernel = first.lines().find_map(|line| line.strip_prefix("linux /")).unwrap().to_owned();
    fs::write(entries.join("rescue.conf"), format!("title Rescue\nlinux /{kernel}\n")).unwrap();
    let before = world.snapshot();
    let sysroot = world.sysroot();
    deploy::cleanup(&sysroot.lock(|| ()).unwrap()).unwrap();
    assert_eq!(world.menu(), menu);
    assert!(world.snapshot() == before, "a cleanup has removed or changed something");
    let lock = sysroot.lock(|| ()).unwrap();
    deploy::undeploy(&lock, 1).unwrap();
    assert_eq!(world.menu(), menu[..1]);
    assert!(world.root().join("boot").join(kernel).exists(), "the rescue entry's kernel is gone");
    assert!(world.root().join("boot/loader/entries/ostree-1+0-3.conf").exists());
}

/// Another version may have made the boot checksum of what is there by another rule (ostree#2154).
#[test]
fn a_boot_checksum_of_another_rule_is_kept() {
    test_world::needs_root!();
    let world = World::new();
    world.commit("main", "1", |_| ());
    world.deploy("main");
    let (name, own) = (world.menu()[0].clone(), world.status().deployments[0].boot_checksum.clone());
    let other = "ab".repeat(32);
    let rename = |dir: &str| {
        let dir = world.root().join(dir);
        fs::rename(dir.join(&own), dir.join(&other)).unwrap();
    };
    rename("ostree/boot.1.1/testos");
    let boot = world.root().join("boot/ostree");
    fs::rename(boot.join(format!("testos-{own}")), boot.join(format!("testos-{other}"))).unwrap();
    let entry = world.root().join("boot/loader/entries/ostree-1.conf");
    fs::write(&entry, fs::read_to_string(&entry).unwrap().replace(&own, &other)).unwrap();
    assert_eq!(world.status().deployments[0].boot_checksum, other);

    world.commit("main", "2", |tree| fs::write(tree.join("usr/lib/modules/6.1.0/vmlinuz"), "2").unwrap());
    world.deploy("main");
    let old = world.status().deployments[1].clone();
    assert_eq!((format!("{}.{}", old.checksum, old.serial), &old.boot_checksum), (name, &other));
    assert!(boot.join(format!("testos-{other}/vmlinuz-6.1.0")).exists());
    assert!(!boot.join(format!("testos-{own}")).exists());
    let sysroot = world.sysroot();
    deploy::rollback(&sysroot.lock(|| ()).unwrap()).unwrap();
    assert_eq!(world.status().deployments[0].boot_checksum, other);
}

/// The number of a deployment whose entry cannot be read is out of range, and that is not what is wrong.
#[test]
fn an_entry_that_cannot_be_read_is_named_before_the_number() {
    test_world::needs_root!();
    let world = World::new();
    for version in ["1", "2"] {
        world.commit("main", version, |_| ());
        world.deploy("main");
    }
    assert_eq!(world.menu().len(), 2);
    let entry = world.root().join("boot/loader/entries/ostree-1.conf");
    let text = fs::read_to_string(&entry).unwrap();
    fs::write(&entry, text.replace("/ostree/boot.", "/ostree/boot.7")).unwrap();
    let sysroot = world.sysroot();
    let lock = sysroot.lock(|| ()).unwrap();
    let error = format!("{:#}", deploy::set_default(&lock, 1).unwrap_err());
    assert!(error.contains("ostree-1.conf") && !error.contains("Out of range"), "{error}");
    let error = format!("{:#}", deploy::set_default(&lock, 7).unwrap_err());
    assert!(error.contains("ostree-1.conf"), "{error}");
    fs::write(&entry, text).unwrap();
    let error = format!("{:#}", deploy::set_default(&lock, 7).unwrap_err());
    assert!(error.contains("Out of range deployment index 7"), "{error}");
}

/// Nothing is known of such a deployment: it may be pinned, and what its origin says must not be lost.
#[test]
fn an_origin_that_cannot_be_read_is_neither_replaced_nor_taken_for_unpinned() {
    test_world::needs_root!();
    let world = World::new();
    world.commit("main", "1", |_| ());
    world.deploy("main");
    let first = world.menu()[0].clone();
    let origin = world.root().join(format!("ostree/deploy/testos/deploy/{first}.origin"));
    let damaged = "[origin\nrefspec=main\n";
    fs::write(&origin, damaged).unwrap();
    for version in ["2", "3", "4"] {
        world.commit("main", version, |_| ());
        world.deploy("main");
    }
    assert!(world.menu().contains(&first), "{:?}", world.menu());
    let (sysroot, index) = (world.sysroot(), world.menu().iter().position(|name| *name == first).unwrap());
    let lock = sysroot.lock(|| ()).unwrap();
    for on in [true, false] {
        let error = deploy::pin(&lock, &sysroot.load().unwrap().deployments[index].path, on).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains(&format!("{first}.origin cannot be read")), "{error}");
    }
    assert_eq!(fs::read_to_string(&origin).unwrap(), damaged);
}
