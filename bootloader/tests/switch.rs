// SPDX-License-Identifier: MIT OR Apache-2.0
//! Switches: old or new after every step, and what others have in `/boot` stays theirs.
#![allow(clippy::unwrap_used)] // the helpers of tests unwrap as the tests do
#![allow(clippy::cloned_ref_to_slice_refs)] // a list of one reads as the longer ones

mod world;

use bootloader::{BootEntry, Change, Step, linked_deployments};
use durable::{Method, Proof, Reason};
use world::{World, names};

/// The world before a switch, and what it switches to.
struct Case {
    world: World,
    old: Vec<BootEntry>,
    new: Vec<BootEntry>,
}

/// From nothing, to another kernel, to other kernel arguments, and to another deployment with the same kernel.
fn cases() -> Vec<Case> {
    let make = |case: u8| {
        let world = World::new();
        let (a, b) = (world.nth(1, "one"), world.nth(2, "one"));
        let c = world.nth(3, "two");
        let mut d = world.nth(4, "one");
        d.options.append("debug");
        let (old, new) = match case {
            0 => (vec![], vec![a]),
            1 => (vec![b.clone(), a], vec![c, b]),
            2 => (vec![a.clone()], vec![d, a]),
            _ => (vec![a.clone()], vec![b]),
        };
        if !old.is_empty() {
            world.switch(&old);
        }
        Case { world, old, new }
    };
    (0..4).map(make).collect()
}

#[test]
fn after_every_step_the_menu_is_old_or_new_and_whole() {
    for Case { world, old, new } in cases() {
        let plan = world.plan(&new).unwrap();
        let (mut seen, steps) = (Vec::new(), plan.steps());
        for step in &steps {
            plan.run(step, world.places(), &world.settings).unwrap();
            seen.push(world.visible(&world.boot_path));
        }
        let last = seen.pop().unwrap();
        assert_eq!(last, names(&new));
        assert!(seen.iter().all(|menu| *menu == names(&old)), "{seen:?}");
        let decides = if plan.change == Change::Entries { Step::Commit } else { Step::ChooseLinks };
        assert_eq!(steps.last(), Some(&decides));
    }
}

/// What a cut has left behind is in nobody's way: the next switch comes to the same files as one without a cut.
#[test]
fn a_switch_after_a_cut_leaves_no_trace_of_it() {
    let count = cases().iter().map(|case| case.world.plan(&case.new).unwrap().steps().len()).max().unwrap();
    for cut in 0..=count {
        for (mut broken, whole) in cases().into_iter().zip(cases()) {
            let plan = broken.world.plan(&broken.new).unwrap();
            for step in plan.steps().iter().take(cut) {
                plan.run(step, broken.world.places(), &broken.world.settings).unwrap();
            }
            broken.world.switch(&broken.new);
            whole.world.switch(&whole.new);
            // After a cut behind the commit the new entries are there, and the switch has nothing to do.
            // Which of the two places for links is used depends on whether one was used before the cut.
            let dump =
                |world: &World| world.dump().replace("boot.0.0", "boot.0.1").replace("boot.1.0", "boot.1.1");
            assert_eq!(dump(&broken.world), dump(&whole.world), "cut after {cut} steps");
            // And back again.
            if !broken.old.is_empty() {
                broken.world.switch(&broken.old);
                broken.new = broken.old;
            }
            assert_eq!(broken.world.visible(&broken.world.boot_path), names(&broken.new));
        }
    }
}

#[test]
fn the_entries_change_only_when_they_must() {
    let world = World::new();
    let (a, b, c) = (world.nth(1, "one"), world.nth(2, "one"), world.nth(3, "two"));
    let slots = |outcome: bootloader::Outcome| {
        let slot = world.state().slot();
        (outcome.change, slot.boot_version, slot.sub_boot_version)
    };
    assert_eq!(slots(world.switch(&[a.clone()])), (Change::Entries, 1, 1));
    assert_eq!(slots(world.switch(&[a.clone()])), (Change::Nothing, 1, 1));
    assert_eq!(slots(world.switch(&[b.clone()])), (Change::Bootlinks, 1, 0));
    assert_eq!(slots(world.switch(&[a.clone()])), (Change::Bootlinks, 1, 1));
    assert_eq!(slots(world.switch(&[b.clone(), a.clone()])), (Change::Entries, 0, 1));
    assert_eq!(slots(world.switch(&[a.clone(), b.clone()])), (Change::Bootlinks, 0, 0));
    assert_eq!(slots(world.switch(&[c.clone(), b.clone()])), (Change::Entries, 1, 1));
    let mut newer = b.clone();
    newer.version = Some("2".to_owned());
    assert_eq!(slots(world.switch(&[c, newer])), (Change::Entries, 0, 1));
    assert!(!world.path("boot/loader.1").exists() && !world.path("ostree/boot.1.1").exists());
}

#[test]
fn a_boot_file_that_is_damaged_is_brought_back() {
    let world = World::new();
    let a = world.nth(1, "one");
    world.switch(&[a.clone()]);
    let kernel = world.path(&format!("boot/{}/vmlinuz-6.12.1", a.boot_dir()));
    let whole = std::fs::read(&kernel).unwrap();
    // It may be a link to the deployment's, which is not damaged.
    std::fs::remove_file(&kernel).unwrap();
    std::fs::write(&kernel, &whole[1..]).unwrap();
    assert_eq!(world.switch(&[a.clone()]).change, Change::Entries);
    assert_eq!(std::fs::read(&kernel).unwrap(), whole);
    std::fs::remove_file(&kernel).unwrap();
    assert_eq!(world.switch(&[a.clone()]).change, Change::Entries);
    assert_eq!(std::fs::read(&kernel).unwrap(), whole);
    assert_eq!(world.switch(&[a]).change, Change::Nothing);
}

#[test]
fn what_others_have_comes_along_and_keeps_its_files() {
    let world = World::new();
    let (a, b) = (world.nth(1, "one"), world.nth(2, "two"));
    world.switch(&[a.clone()]);
    let entries = "boot/loader.1/entries";
    let memtest = "title Memory test\nlinux /memtest\n";
    let rescue = format!("title Rescue\nlinux /{}/vmlinuz-6.12.1\n", a.boot_dir());
    world.write(&format!("{entries}/memtest.conf"), memtest);
    world.write(&format!("{entries}/rescue+1-2.conf"), &rescue);
    world.write(&format!("{entries}/README"), "no entry");
    world.write("boot/loader.1/loader.conf", "timeout 3\n");
    std::fs::create_dir_all(world.path("boot/loader.1/keys/auto")).unwrap();
    world.write("boot/loader.1/keys/auto/db.auth", &"k".repeat(3 << 20));
    world.write("boot/loader.1/grub.cfg", "made from the old entries");
    std::os::unix::fs::symlink("/nowhere", world.path(&format!("{entries}/link.conf"))).unwrap();

    world.switch(&[b]);
    for (path, text) in [
        ("entries/memtest.conf", memtest),
        ("entries/rescue+1-2.conf", &rescue),
        ("entries/README", "no entry"),
        ("loader.conf", "timeout 3\n"),
        ("keys/auto/db.auth", &"k".repeat(3 << 20)),
    ] {
        assert_eq!(std::fs::read_to_string(world.path(&format!("boot/loader.0/{path}"))).unwrap(), text);
    }
    assert!(world.path("boot/loader.0/entries/link.conf").is_symlink());
    assert!(!world.path("boot/loader.0/grub.cfg").exists());
    assert!(
        world.path(&format!("boot/{}/vmlinuz-6.12.1", a.boot_dir())).exists(),
        "the rescue entry's kernel is gone"
    );

    std::fs::remove_file(world.path("boot/loader.0/entries/rescue+1-2.conf")).unwrap();
    bootloader::sweep(world.places(), &world.settings).unwrap();
    assert!(!world.path(&format!("boot/{}", a.boot_dir())).exists());
}

#[test]
fn counters_and_foreign_keys_are_kept() {
    let world = World::new();
    let a = world.nth(1, "one");
    world.switch(&[a.clone()]);
    let entries = world.path("boot/loader.1/entries");
    let text =
        std::fs::read_to_string(entries.join("ostree-1.conf")).unwrap() + "x-options-source-me quiet\n";
    std::fs::write(entries.join("ostree-1+2-1.conf"), text).unwrap();
    std::fs::remove_file(entries.join("ostree-1.conf")).unwrap();

    let present = world.state().entries.remove(0);
    let mut a = a;
    (a.tries, a.carried, a.options) = (present.name.tries, present.carried(), present.options());
    world.switch(&[world.nth(2, "two"), a]);
    let names: Vec<String> = world.state().entries.iter().map(|entry| entry.name.to_string()).collect();
    assert_eq!(names, ["ostree-2.conf", "ostree-1+2-1.conf"]);
    let kept = world.state().entries.remove(1);
    assert_eq!(kept.entry.get("x-options-source-me"), Some("quiet"));
    assert_eq!(kept.options().to_string(), format!("root=LABEL=x quiet ostree={}", kept.bootlink));
}

#[test]
fn what_runs_is_never_removed() {
    let mut world = World::new();
    let (a, b, c) = (world.nth(1, "one"), world.nth(2, "two"), world.nth(3, "three"));
    world.switch(&[a.clone()]);
    world.settings.running = Some(world.state().entries.remove(0).bootlink);
    world.switch(&[b.clone(), a.clone()]);
    assert!(world.path("ostree/boot.1.1").exists() && !world.path("boot/loader.1").exists());
    let linked = linked_deployments(world.places(), &world.settings).unwrap();
    assert!(linked.contains(&a.deployment) && linked.contains(&b.deployment));

    // A list without the running system is not the whole truth: no boot files go.
    world.switch(&[c]);
    for entry in [a, b] {
        assert!(world.path(&format!("boot/{}", entry.boot_dir())).exists());
    }
}

#[test]
fn unproven_means_nothing_is_swept_and_no_second_switch() {
    let world = World::unprovable();
    let (a, b, c) = (world.nth(1, "one"), world.nth(2, "two"), world.nth(3, "three"));
    let same_kernel = world.nth(4, "two");
    let unproven = Proof::Unproven(Reason::FileSystem("tmpfs".to_owned()));
    world.switch(&[a.clone()]);
    // As after a reboot: only then can there be a next one.
    let reboot = || {
        let record = world.path("ostree/boot-switch");
        let text = std::fs::read_to_string(&record).unwrap();
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let version = world.state().boot_version();
        assert_eq!(text, format!("boot-id={boot_id}boot-version={version}\n"));
        std::fs::write(record, text.replace(boot_id.trim(), "another")).unwrap();
    };
    reboot();
    let outcome = world.switch(&[b.clone()]);
    assert_eq!((outcome.proof, outcome.swept.removed.len()), (unproven.clone(), 0));
    assert!(world.path("boot/loader.1/entries/ostree-1.conf").exists());
    assert!(world.path(&format!("boot/{}/vmlinuz-6.12.1", a.boot_dir())).exists());
    let linked = linked_deployments(world.places(), &world.settings).unwrap();
    assert_eq!(linked.into_iter().collect::<Vec<_>>(), [a.deployment.clone(), b.deployment.clone()]);

    let before = world.dump();
    let err = world.try_switch(&[c.clone(), b.clone()]).unwrap_err().to_string();
    assert!(err.ends_with("reboot first"), "{err}");
    assert_eq!(bootloader::sweep(world.places(), &world.settings).unwrap().0, unproven);
    assert_eq!(world.dump(), before, "a refused switch has written something");

    // Other links for the same entries are no danger to what can be seen of the old ones.
    assert_eq!(world.switch(&[same_kernel]).change, Change::Bootlinks);
    assert!(world.path("boot/loader.1/entries/ostree-1.conf").exists());

    reboot();
    let (proof, swept) = bootloader::sweep(world.places(), &world.settings).unwrap();
    assert_eq!(proof, Proof::Proven(Method::Replay));
    assert!(swept.removed.contains(&"/boot/loader.1".to_owned()), "{swept:?}");
    assert!(!world.path("ostree/boot-switch").exists());
    assert!(!world.path(&format!("boot/{}", a.boot_dir())).exists());
}

#[test]
fn an_image_that_is_being_made_needs_no_reboot() {
    let world = World::new();
    for n in 1..5 {
        let outcome = world.switch(&[world.nth(n, &n.to_string())]);
        assert_eq!(outcome.change, Change::Entries);
    }
    assert_eq!(world.state().boot_dirs.len(), 1);
}
