// SPDX-License-Identifier: MIT OR Apache-2.0
//! Switches: old or new after every step, and what others have in `/boot` stays theirs.
#![allow(clippy::unwrap_used)] // the helpers of tests unwrap as the tests do
#![allow(clippy::cloned_ref_to_slice_refs)] // a list of one reads as the longer ones

mod world;

use bootloader::{BootEntry, Change, Step, linked_deployments};
use durable::{Method, Proof, Reason};
use world::{World, names, until_commit};

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
        d.options.append("debug").unwrap();
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
        let (mut seen, steps) = (Vec::new(), until_commit(&plan));
        let mut execution = world.begin(&plan);
        for step in &steps {
            execution.run(step).unwrap();
            seen.push(world.visible(&world.boot_path));
        }
        let last = seen.pop().unwrap();
        assert_eq!(last, names(&new));
        assert!(seen.iter().all(|menu| *menu == names(&old)), "{seen:?}");
        let decides = match plan.change {
            Change::Entries => Step::Commit { target: format!("loader.{}", plan.to.boot_version) },
            _ => Step::ChooseLinks {
                path: format!("/ostree/boot.{}", plan.to.boot_version),
                target: format!("boot.{}.{}", plan.to.boot_version, plan.to.sub_boot_version),
            },
        };
        assert_eq!(steps.last(), Some(&decides));
        // And to the end: nothing of what follows changes the menu.
        for step in &plan.steps()[steps.len()..] {
            execution.run(step).unwrap();
            assert_eq!(world.visible(&world.boot_path), names(&new), "{step}");
        }
    }
}

/// Files that a cut has left are not in the way: the next switch comes to the same files as one without a cut.
#[test]
fn a_switch_after_a_cut_leaves_no_trace_of_it() {
    let count = cases().iter().map(|case| case.world.plan(&case.new).unwrap().steps().len()).max().unwrap();
    for cut in 0..=count {
        for (mut broken, whole) in cases().into_iter().zip(cases()) {
            let plan = broken.world.plan(&broken.new).unwrap();
            let mut execution = broken.world.begin(&plan);
            for step in plan.steps().iter().take(cut) {
                execution.run(step).unwrap();
            }
            drop(execution);
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

/// The C tools install a link among the device trees as the link that it is in the tree.
#[test]
fn links_among_boot_files_are_as_good_as_what_they_lead_to() {
    use std::os::unix::fs::symlink;

    let world = World::new();
    let files = [
        ("vmlinuz", "kernel"),
        ("initramfs.img", "initramfs"),
        ("dtb/a.dtb", "tree a"),
        ("dtb/b.dtb", "tree a"),
        ("dtb/other/a.dtb", "tree a"),
        ("dtb/other/o.dtb", "tree o"),
        ("dtb/out.dtb", "tree d"),
    ];
    let make = |n: &str| world.deployment("testos", &n.repeat(32), &files);
    let (a, b, c) = (make("01"), make("02"), make("03"));
    world.switch(&[a.clone()]);
    let dtb = world.path(&format!("boot/{}/dtb", a.boot_dir()));
    let links = [("b.dtb", "a.dtb"), ("other/a.dtb", "../a.dtb"), ("loop", ".")];
    let dead = [("out.dtb", "/usr/share/d.dtb")];
    for (name, target) in links.into_iter().chain(dead) {
        let name = dtb.join(name);
        let _ = std::fs::remove_file(&name);
        symlink(target, name).unwrap();
    }

    let plan = world.plan(&[b.clone(), a.clone()]).unwrap();
    let copied: Vec<_> =
        plan.copy.iter().map(|copy| (copy.to.rsplit_once("dtb/").unwrap().1, copy.replaces)).collect();
    assert_eq!(copied, [("out.dtb", true)]);
    world.switch(&[b.clone(), a.clone()]);
    assert_eq!(world.visible(&world.boot_path), names(&[b.clone(), a.clone()]));
    for (name, text) in &files[2..] {
        assert_eq!(std::fs::read_to_string(dtb.parent().unwrap().join(name)).unwrap(), *text, "{name}");
    }
    assert!(dtb.join("b.dtb").is_symlink() && !dtb.join("out.dtb").is_symlink());
    assert_eq!(world.plan(&[c, a.clone()]).unwrap().copy, []);

    // One that leads to something else goes.
    std::fs::write(dtb.join("a.dtb.wrong"), "other").unwrap();
    std::fs::remove_file(dtb.join("b.dtb")).unwrap();
    symlink("a.dtb.wrong", dtb.join("b.dtb")).unwrap();
    world.switch(&[b, a]);
    assert!(!dtb.join("b.dtb").is_symlink());
    assert_eq!(std::fs::read_to_string(dtb.join("b.dtb")).unwrap(), "tree a");
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
    let (_, _) = bootloader::sweep(world.places(), &world.settings).unwrap();
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

/// The times of files say nothing: the clock may have been set, and this link is younger than any start of the machine.
#[test]
fn without_a_note_the_set_that_was_booted_tells_who_has_switched() {
    let mut world = World::unprovable();
    world.settings.offline = true;
    world.switch(&[world.nth(1, "one")]);
    assert!(!world.path("ostree/boot-switch").exists(), "what is made offline leaves no note");
    world.settings.offline = false;
    let version = world.state().boot_version();
    let running = |boot_version: u8| {
        let (link, _) =
            world.state().bootlinks.first_key_value().map(|(path, to)| (path.clone(), to.clone())).unwrap();
        Some(format!("/ostree/boot.{boot_version}/{link}").parse().unwrap())
    };
    let (same, other) = (running(version), running(1 - version));
    let proof = |world: &World| {
        bootloader::prove_previous_switch(world.places(), &world.state(), &world.settings).unwrap()
    };
    world.settings.running = same;
    assert_eq!(proof(&world), Proof::Proven(Method::Replay));
    world.settings.running = other.clone();
    assert!(!proof(&world).is_proven(), "the C tools have switched since");

    // A loader that saw the former set at this boot: a note of the boot before says why, and stays as long as it is needed.
    let version = world.state().boot_version();
    world.write("ostree/boot-switch", &format!("boot-id=another\nboot-version={version}\n"));
    for _ in 0..2 {
        let (proof, _) = bootloader::sweep(world.places(), &world.settings).unwrap();
        assert_eq!(proof, Proof::Proven(Method::Replay));
    }
    assert_eq!(world.switch(&[world.nth(2, "two")]).change, Change::Entries);
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

/// Files that an unproven repair has replaced are kept beside it, and go with the next sweep that is proven.
#[test]
fn what_a_repair_has_put_aside_is_swept() {
    let world = World::new();
    let a = world.nth(1, "one");
    world.switch(&[a.clone()]);
    let aside = [
        "boot/.ostree-repair-loader.old".to_owned(),
        "boot/loader/entries/.ostree-repair-ostree-1.conf.old".to_owned(),
        format!("boot/{}/.ostree-repair-vmlinuz-6.12.1.old", a.boot_dir()),
    ];
    let others = [
        "boot/loader/entries/memtest.conf.tmp".to_owned(),
        "boot/loader/entries/ostree-1.conf.tmp".to_owned(),
        format!("boot/{}/vmlinuz-6.12.1.tmp", a.boot_dir()),
    ];
    aside.iter().chain(&others).for_each(|path| world.write(path, "old"));
    world.write("boot/loader/entries/memtest.conf", "title memtest\n");
    let (_, swept) = bootloader::sweep(world.places(), &world.settings).unwrap();
    assert_eq!(swept.removed.len(), 3, "{swept:?}");
    assert!(aside.iter().all(|path| !world.path(path).exists()));
    assert!(others.iter().all(|path| world.path(path).exists()));
}
