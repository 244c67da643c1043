// SPDX-License-Identifier: MIT OR Apache-2.0
//! Deployments as `fsck-boot` and `lint` see them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by unwrapping it")]

use std::fs;

use test_world::World;

/// The text of an entry, by the number in its name.
fn entry(world: &World, number: usize) -> std::path::PathBuf {
    world.root().join(format!("boot/loader/entries/ostree-{number}.conf"))
}

fn edit_entry(world: &World, number: usize, from: &str, to: &str) {
    let path = entry(world, number);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn an_entry_with_two_ostree_arguments_is_told_and_repaired() {
    test_world::needs_root!();
    let (world, names) = World::with_two_deployments();
    let other = world.status().deployments[1].kernel_args.clone();
    // The initramfs takes the first: the entry boots the other deployment.
    edit_entry(&world, 2, "options ", &format!("options {other} "));
    assert_eq!(world.menu(), &names[1..], "two entries for one deployment");
    let notes = world.status().notes;
    let told = |text: &str| text.contains("has 2 arguments ostree=, of which the initramfs takes the first");
    assert!(notes.iter().any(|note| told(&note.text) && note.text.contains("ostree-2.conf")), "{notes:?}");
    let found = repair::check_boot(&world.sysroot()).unwrap();
    assert!(found.problems.iter().any(|problem| told(&problem.text)), "{found:#?}");
    // One that names nothing keeps the entry from booting at all.
    edit_entry(&world, 2, &other, "ostree=/x");
    let left =
        repair::repair_boot(&world.sysroot(), None, &repair::check_boot(&world.sysroot()).unwrap()).unwrap();
    assert!(left.is_clean(), "{left:#?}");
    assert_eq!(world.menu(), names);
    assert_eq!(world.status().notes, []);

    // Nothing is left that it could have meant.
    let other = world.status().deployments[1].kernel_args.clone();
    let text = fs::read_to_string(entry(&world, 1)).unwrap();
    fs::write(entry(&world, 3), text.replace(&other, &format!("{other} {other}"))).unwrap();
    let left =
        repair::repair_boot(&world.sysroot(), None, &repair::check_boot(&world.sysroot()).unwrap()).unwrap();
    assert!(left.is_clean() && !entry(&world, 3).exists(), "{left:#?}");
    assert_eq!(world.menu(), names);
}

/// Boot loaders get a file with the contents, whatever the tree has as a link; none leads out of the tree.
#[test]
fn links_among_boot_files_are_copied_as_what_they_lead_to() {
    test_world::needs_root!();
    let world = World::new();
    fs::write("/tmp/ostree-outside.dtb", "outside").unwrap();
    world.commit("main", "1", |tree| {
        let at = tree.join("usr/lib/modules/6.1.0");
        fs::rename(at.join("vmlinuz"), at.join("Image")).unwrap();
        std::os::unix::fs::symlink("Image", at.join("vmlinuz")).unwrap();
        fs::create_dir(at.join("dtb")).unwrap();
        fs::create_dir_all(tree.join("usr/share/dt")).unwrap();
        fs::write(at.join("dtb/a.dtb"), "tree a").unwrap();
        fs::write(tree.join("usr/share/dt/c.dtb"), "tree c").unwrap();
        for (name, target) in [
            ("b.dtb", "a.dtb"),
            ("c.dtb", "/usr/share/dt/c.dtb"),
            ("d", "../../../../share/dt"),
            ("outside.dtb", "/tmp/ostree-outside.dtb"),
        ] {
            std::os::unix::fs::symlink(target, at.join("dtb").join(name)).unwrap();
        }
    });
    world.deploy("main");
    fs::remove_file("/tmp/ostree-outside.dtb").unwrap();
    let boot = fs::read_dir(world.root().join("boot/ostree")).unwrap().next().unwrap().unwrap().path();
    for (name, text) in [
        ("vmlinuz-6.1.0", "kernel"),
        ("dtb/a.dtb", "tree a"),
        ("dtb/b.dtb", "tree a"),
        ("dtb/c.dtb", "tree c"),
        ("dtb/d/c.dtb", "tree c"),
    ] {
        assert!(fs::symlink_metadata(boot.join(name)).unwrap().is_file(), "{name}");
        assert_eq!(fs::read_to_string(boot.join(name)).unwrap(), text, "{name}");
    }
    assert!(!boot.join("dtb/outside.dtb").exists());
    assert!(repair::check_boot(&world.sysroot()).unwrap().is_clean());
    let found = repair::lint(&world.deployment(0)).unwrap();
    let said = |path: &str| {
        let found = found.iter().find(|finding| finding.path.ends_with(path));
        found.map(|finding| (finding.severity, finding.text.clone())).unwrap_or_else(|| panic!("{path}"))
    };
    assert!(said("/vmlinuz").1.contains("is a link to Image"));
    assert!(said("/dtb/b.dtb").1.contains("what /usr/lib/modules/6.1.0/dtb/a.dtb says is copied"));
    assert!(said("/dtb/d").1.contains("a link to the directory"));
    assert_eq!(said("/dtb/outside.dtb").0, repair::Severity::Error);
}

#[test]
fn the_lock_of_another_sysroot_is_refused() {
    test_world::needs_root!();
    let (world, other) = (World::new(), World::new());
    let (sysroot, other) = (world.sysroot(), other.sysroot());
    let planned = repair::check_boot(&sysroot).unwrap();
    let error = repair::repair_boot(&sysroot, Some(&other.lock(|| ()).unwrap()), &planned).unwrap_err();
    assert!(error.to_string().contains("Repairing"), "{error:#}");
    assert!(format!("{error:#}").contains("The lock is that of another sysroot"), "{error:#}");
    repair::repair_boot(&sysroot, Some(&sysroot.lock(|| ()).unwrap()), &planned).unwrap();
}

/// The steps of two damages: an entry and a boot file, which are there, and a link, which is not.
#[test]
fn a_plan_names_every_step_and_writes_nothing() {
    test_world::needs_root!();
    let (world, _) = World::with_two_deployments();
    assert_eq!(repair::plan_repair(&world.sysroot()).unwrap().steps, [], "nothing is wrong");
    let at = |path: &str| world.root().join(path);
    let kernel = fs::read_dir(at("boot/ostree")).unwrap().next().unwrap().unwrap().path();
    let kernel = kernel.join("vmlinuz-6.1.0");
    fs::remove_file(&kernel).unwrap();
    fs::write(&kernel, "cut off").unwrap();
    let chosen = fs::read_link(at("boot/loader")).unwrap();
    fs::remove_file(at("boot/loader")).unwrap();

    let before = world.snapshot();
    let plan = repair::plan_repair(&world.sysroot()).unwrap();
    assert!(world.snapshot() == before, "a plan has written something");
    let json = serde_json::to_value(&plan).unwrap();
    assert_eq!((&json["schema"], &json["operation"]), (&1.into(), &"fsck-boot".into()));
    let told: Vec<String> = plan.steps.iter().map(ToString::to_string).collect();
    let kernel = format!("/{}", kernel.strip_prefix(world.root()).unwrap().display());
    let aside = kernel.replace("/vmlinuz-6.1.0", "/.ostree-repair-vmlinuz-6.1.0.old");
    let prove = "prove   that a boot loader sees /boot as it is now".to_owned();
    let note = "record  /ostree/boot-switch, if there is something to record".to_owned();
    assert!(told[0].starts_with("copy    /ostree/deploy/") && told[0].contains(&format!(" to {aside} (")));
    // From a root that is not the running one nothing is noted.
    let told: Vec<String> = told.into_iter().skip(1).filter(|step| *step != note).collect();
    let expected = [
        prove.clone(),
        format!("rename  {aside} to {kernel}"),
        prove.clone(),
        format!("remove  {aside}"),
        format!("link    /boot/.ostree-repair-loader.old to {}", chosen.display()),
        prove.clone(),
        "rename  /boot/.ostree-repair-loader.old to /boot/loader".to_owned(),
        prove,
        "touch   /ostree/deploy".to_owned(),
    ];
    assert_eq!(told, expected);

    let found = repair::check_boot(&world.sysroot()).unwrap();
    assert!(repair::repair_boot(&world.sysroot(), None, &found).unwrap().is_clean());
    assert_eq!(fs::read_link(at("boot/loader")).unwrap(), chosen);
}
