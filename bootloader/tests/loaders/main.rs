// SPDX-License-Identifier: MIT OR Apache-2.0
//! Boot loaders with files of their own: what is written for them, and that they come to the same menu. Needs `grub-script-check`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // the helpers of tests unwrap as the tests do
#![allow(clippy::cloned_ref_to_slice_refs)] // a list of one reads as the longer ones

mod tools;
#[path = "../world/mod.rs"]
mod world;

use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::process::Command;

use bootloader::loader::{Choice, Reads, select};
use bootloader::{AfterSwitch, BootEntry, Change, OtherInitrd, PlanError, Report, boots_elsewhere, examine};
use durable::{Method, Proof};
use formats::grubenv::Grubenv;
use formats::kernel_args::KernelArgs;
use rustix::fs::inotify;
use world::World;

/// The loader as it is found now.
fn look(world: &mut World) {
    world.settings.installed = select(Choice::Auto, world.boot.as_fd()).unwrap();
}

/// A world with a loader that is found by this file.
fn with_loader(path: &str, text: &str) -> World {
    let mut world = World::new();
    world.write(path, text);
    look(&mut world);
    world
}

/// A world whose loader begins to read at a link into the chosen set, which is not there yet.
fn with_link(path: &str, target: &str) -> World {
    let mut world = World::new();
    let link = world.path(path);
    std::fs::create_dir_all(link.parent().unwrap()).unwrap();
    symlink(target, link).unwrap();
    look(&mut world);
    world
}

fn read(world: &World, path: &str) -> String {
    std::fs::read_to_string(world.path(path)).unwrap()
}

/// Returns the report of the loader, and checks that nothing is wrong with it.
fn seen(world: &mut World) -> Vec<String> {
    look(world);
    let report = examine(world.places(), &world.settings).unwrap();
    assert_eq!(report.problems, [""; 0], "{report:#?}");
    deployments(&report)
}

fn deployments(report: &Report) -> Vec<String> {
    report.entries.iter().filter_map(|entry| entry.deployment.clone()).collect()
}

/// Names and options that break what quotes them carelessly.
fn nasty(world: &World) -> BootEntry {
    let mut entry = world.nth(7, "nasty");
    entry.os_name = "It's \"$(reboot)\" {1} \\ ; # & 100% grün".to_owned();
    entry.options = KernelArgs::parse(
        "root=LABEL=x dyndbg=\"file a.c +p\" a=$b c={d} e=f;g h=it's #i * $tuned_params ${v}w x=\"a $b c\" $1 y=\\",
    );
    entry
}

fn grub_script_check(text: &str) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("grub.cfg");
    std::fs::write(&path, text).unwrap();
    let output = Command::new("grub-script-check").arg(&path).output();
    let output = output.expect("grub-script-check is needed (package grub-common)");
    assert!(output.status.success(), "{}\n{text}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn every_loader_comes_to_the_same_menu() {
    for (path, target, file) in [
        ("boot/syslinux/syslinux.cfg", "../loader/syslinux.cfg", "syslinux.cfg"),
        ("boot/extlinux/extlinux.conf", "../loader/extlinux.conf", "extlinux.conf"),
        ("boot/grub/grub.cfg", "../loader/grub.cfg", "grub.cfg"),
        ("boot/grub2/grub.cfg", "../loader/grub.cfg", "grub.cfg"),
        ("boot/uEnv.txt", "loader/uEnv.txt", "uEnv.txt"),
    ] {
        let mut world = with_link(path, target);
        if file == "uEnv.txt" {
            // Found by the file itself.
            world.settings.installed = select(Choice::Uboot, world.boot.as_fd()).unwrap();
        }
        let (a, b, c) = (world.nth(1, "one"), world.nth(2, "two"), nasty(&world));
        let mut last = Vec::new();
        for menu in [vec![a.clone()], vec![b.clone(), a.clone()], vec![c.clone(), b], vec![a, c]] {
            world.switch(&menu);
            last = menu.iter().map(|entry| entry.deployment.to_string()).collect();
            assert_eq!(seen(&mut world), last, "{file}");
            let report = examine(world.places(), &world.settings).unwrap();
            assert!(report.entries[0].default && report.loader != "none");
        }
        let text = read(&world, &format!("boot/loader/{file}"));
        if file == "grub.cfg" {
            grub_script_check(&text);
            // Variables of GRUB stay ones, and nothing else means anything to it.
            let words = r#" a=$b 'c={d}' 'e=f;g' 'h=it'\''s' '#i' '*' $tuned_params ${v}'w' 'x=a '"$b"' c' '$1' 'y=\' "#;
            assert!(text.contains(words), "{text}");
        }
        // A menu that boots something else is seen.
        let broken = text.replace(&last[1].to_string(), "x").replace("vmlinuz-6.12.1", "vmlinuz-6.12.2");
        world.write(&format!("boot/loader/{file}"), &broken);
        look(&mut world);
        assert!(!examine(world.places(), &world.settings).unwrap().problems.is_empty());
    }
}

/// GRUB knows no variable `$b`: of `/ostree/a$b-…` it would make `/ostree/a-…`.
#[test]
fn a_stateroot_with_a_variable_in_its_name_is_no_variable_to_grub() {
    let mut world = with_link("boot/grub/grub.cfg", "../loader/grub.cfg");
    let files = [("vmlinuz", "kernel"), ("initramfs.img", "initramfs")];
    let mut with = world.deployment("a$b", &"05".repeat(32), &files);
    let without = world.deployment("c${d}", &"06".repeat(32), &files[..1]);
    let overlay = "ab".repeat(32);
    world.write(&format!("boot/ostree/initramfs-overlays/{overlay}.img"), "more");
    world.write("boot/ucode.img", "of others");
    with.overlay_initrds = vec![overlay.parse().unwrap()];
    with.other_initrds = vec![
        bootloader::OtherInitrd { path: "/ucode.img".to_owned(), after: 0 },
        bootloader::OtherInitrd { path: "$more".to_owned(), after: 2 },
    ];
    with.options = KernelArgs::parse("quiet $tuned_params");
    let (a, c) = (with.boot_checksum, without.boot_checksum);
    world.switch(&[with.clone(), without.clone()]);
    assert_eq!(seen(&mut world), [with.deployment.to_string(), without.deployment.to_string()]);
    let text = read(&world, "boot/loader/grub.cfg");
    for line in [
        format!(
            "linux '/boot/ostree/a$b-{a}/vmlinuz-6.12.1' quiet $tuned_params 'ostree=/ostree/boot.1/a$b/{a}/0'\n"
        ),
        format!(
            "initrd /boot/ucode.img '/boot/ostree/a$b-{a}/initramfs-6.12.1.img' \
             /boot/ostree/initramfs-overlays/{overlay}.img $more\n"
        ),
        format!(
            " 'init=/ostree/boot.1/c${{d}}/{c}/0/usr/lib/ostree/ostree-prepare-root' \
             'ostree=/ostree/boot.1/c${{d}}/{c}/0'\n"
        ),
    ] {
        assert!(text.contains(&line), "{line}{text}");
    }
    grub_script_check(&text);
}

#[test]
fn what_a_loader_reads_is_part_of_what_is_compared() {
    let mut world = with_link("boot/grub/grub.cfg", "../loader/grub.cfg");
    let menu = [world.nth(1, "one")];
    assert_eq!(world.switch(&menu).change, Change::Entries);
    assert_eq!(world.switch(&menu).change, Change::Nothing);
    world.write("boot/loader/grub.cfg", "made by something else");
    look(&mut world);
    assert_eq!(world.switch(&menu).change, Change::Entries);
    assert_eq!(seen(&mut world).len(), 1);
    // A tree of U-Boot changes what it adds, and nothing else.
    let mut world = World::new();
    world.settings.installed = select(Choice::Uboot, world.boot.as_fd()).unwrap();
    let mut entry = world.nth(1, "one");
    world.switch(&[entry.clone()]);
    entry.environment = Some("bootlimit=3\n# x".to_owned());
    assert_eq!(world.switch(&[entry.clone()]).change, Change::Entries);
    assert!(read(&world, "boot/loader/uEnv.txt").ends_with("/0\nbootlimit=3\n# x\n"));
    entry.environment = Some("bootargs=quiet".to_owned());
    let err = format!("{:#}", world.try_switch(&[entry]).unwrap_err());
    assert!(err.contains("uEnv.txt as the boot loader uboot does: it shows 0 of 1 deployments"), "{err}");
}

#[test]
fn lines_of_others_stay_in_syslinux() {
    let config = "TIMEOUT 50\nlabel memtest\n  kernel /memtest\n  append x\n\nLABEL old\n\tKERNEL /ostree/gone/vmlinuz\n\
                  \tAPPEND y\n# end\n";
    let mut world = with_loader("boot/syslinux/syslinux.cfg", config);
    let (a, b) = (world.nth(1, "one"), world.nth(2, "two"));
    assert_eq!(world.settings.installed.reads(), Reads::Replaceable);
    world.switch(&[a.clone()]);
    assert!(world.path("boot/syslinux/syslinux.cfg").is_symlink());
    look(&mut world);
    world.switch(&[b, a]);
    let text = read(&world, "boot/syslinux/syslinux.cfg");
    let kept = "TIMEOUT 50\nlabel memtest\n  kernel /memtest\n  append x\n\n# end\nDEFAULT Test OS 1 1.0 (ostree:0)\nLABEL";
    assert!(text.starts_with(kept), "{text}");
    assert_eq!(seen(&mut world).len(), 2);

    // Somebody's own default stays, and is told.
    world.write(
        "boot/loader/syslinux.cfg",
        &text.replace("DEFAULT Test OS 1 1.0 (ostree:0)", "DEFAULT memtest"),
    );
    look(&mut world);
    world.switch(&[world.nth(3, "three")]);
    assert!(read(&world, "boot/loader/syslinux.cfg").contains("\nDEFAULT memtest\n"));
    look(&mut world);
    let problems = examine(world.places(), &world.settings).unwrap().problems;
    assert!(
        problems.len() == 1 && problems[0].ends_with("the boot loader boots \"memtest\""),
        "{problems:?}"
    );
}

/// The text of GRUB's first file decides its treatment, and there is one menu at each step.
#[test]
fn grub_from_a_generated_menu_to_ours_to_blscfg_and_back() {
    let mut world = World::new();
    let (a, b, c) = (world.nth(1, "one"), world.nth(2, "two"), world.nth(3, "three"));
    world.switch(&[a.clone()]);
    let link = world.state().entries[0].bootlink.to_string();
    let entry = |title: &str, args: &str| {
        format!("menuentry '{title}' {{\nlinux /boot/{}/vmlinuz-6.12.1 {args}\n}}\n", a.boot_dir())
    };
    let generated = format!("#\n# DO NOT EDIT THIS FILE\n#\n{}", entry("a", &format!("ostree={link}")));

    // Somebody else's entries would get lost.
    world.write("boot/grub/grub.cfg", &format!("{generated}{}", entry("Debian", "root=/dev/vda")));
    look(&mut world);
    let err = world.plan(&[b.clone()]).unwrap_err();
    assert!(
        matches!(&err, PlanError::Loader(_)) && err.to_string().contains("has settings or entries of others"),
        "{err}"
    );

    world.write("boot/grub/grub.cfg", &generated);
    look(&mut world);
    let plan = world.plan(&[b.clone(), a.clone()]).unwrap();
    let target = "../loader/grub.cfg".to_owned();
    assert_eq!(plan.after, AfterSwitch::Link { path: "grub/grub.cfg".to_owned(), target });
    let (root, boot) = (world.root.try_clone().unwrap(), world.boot.try_clone().unwrap());
    let settings = world.settings.clone();
    let places = bootloader::Places { root: root.as_fd(), boot: boot.as_fd() };
    let mut execution = bootloader::Execution::begin(&plan, places, &settings).unwrap();
    for step in world::until_commit(&plan) {
        execution.run(&step).unwrap();
        // The old menu is the one that is read, and what it names is there.
        look(&mut world);
        assert_eq!(
            deployments(&examine(world.places(), &world.settings).unwrap()),
            [a.deployment.to_string()],
            "{step}"
        );
    }
    let outcome =
        world.plan(&[b.clone(), a.clone()]).unwrap().apply(world.places(), &world.settings).unwrap();
    assert_eq!(outcome.unfinished, None);
    assert_eq!(seen(&mut world), [b.deployment.to_string(), a.deployment.to_string()]);
    assert!(world.path("boot/grub/grub.cfg").is_symlink());

    // By hand, to a GRUB that reads the entries itself; with the menu for one that cannot.
    std::fs::remove_file(world.path("boot/grub/grub.cfg")).unwrap();
    world.settings.boot_prefix = true;
    world.write("boot/grub/grub.cfg", "set timeout=3\nblscfg\n");
    look(&mut world);
    assert_eq!(world.settings.installed.reads(), Reads::BootEntries);
    world.switch(&[c.clone(), b.clone()]);
    assert_eq!(seen(&mut world), [c.deployment.to_string(), b.deployment.to_string()]);
    grub_script_check("if ! blscfg; then\n  configfile /loader/grub.cfg\nfi\n");
    world.write("boot/grub/grub.cfg", "if ! blscfg; then\n  configfile /loader/grub.cfg\nfi\n");
    assert_eq!(seen(&mut world), [c.deployment.to_string(), b.deployment.to_string()]);

    // And back.
    std::fs::remove_file(world.path("boot/grub/grub.cfg")).unwrap();
    symlink("../loader/grub.cfg", world.path("boot/grub/grub.cfg")).unwrap();
    assert_eq!(seen(&mut world), [c.deployment.to_string(), b.deployment.to_string()]);
}

/// A cut between the exchange of the first file and its clean-up leaves both, and the stamp; what is swept next is ours by what it is.
#[test]
fn what_an_exchange_has_put_aside_is_swept() {
    let generated = "#\n# DO NOT EDIT THIS FILE\n#\n";
    let others = "menuentry 'Debian' {\nlinux /vmlinuz root=/dev/vda\n}\n";
    for (file, target, aside, goes) in [
        ("boot/grub/grub.cfg", "../loader/grub.cfg", generated, true),
        ("boot/grub/grub.cfg", "../loader/grub.cfg", others, false),
        ("boot/grub2/grub.cfg", "../loader/grub.cfg", "", true),
        ("boot/syslinux/syslinux.cfg", "../loader/syslinux.cfg", "TIMEOUT 50\n", true),
    ] {
        let mut world = with_link(file, target);
        world.switch(&[world.nth(1, "one")]);
        let temporary = format!("{file}.tmp");
        world.write(&temporary, aside);
        world.write("boot/ostree-bootloader-update.stamp", "the switch was interrupted\n");
        world.write("boot/ostree-bootloader-update.stamp.tmp", "the swi");
        std::fs::create_dir_all(world.path("boot/ostree/initramfs-overlays.tmp")).unwrap();
        let made = ["boot", "boot/ostree", "ostree"]
            .map(|dir| format!("{dir}/.ostree-tmp-0123456789abcdef-0000000000000001"));
        made.iter().for_each(|path| std::fs::create_dir(world.path(path)).unwrap());
        world.write("boot/.ostree-tmp-of-somebody", "");
        world.write("boot/grub.cfg.tmp", generated);
        world.write("boot/loader/entries/ostree-1.conf.tmp", "of somebody");
        let repaired = ["boot/loader", "boot/loader/entries/ostree-1.conf"].map(|path| {
            let (dir, name) = path.rsplit_once('/').unwrap();
            format!("{dir}/{}", bootloader::repair_name(name))
        });
        repaired.iter().for_each(|path| world.write(path, "broken"));
        look(&mut world);
        let (_, swept) = bootloader::sweep(world.places(), &world.settings).unwrap();
        assert_eq!(world.path(&temporary).exists(), !goes, "{file} {aside:?}");
        assert_eq!(swept.removed.contains(&format!("/{temporary}")), goes);
        assert!(!world.path("boot/ostree-bootloader-update.stamp.tmp").exists());
        assert!(!world.path("boot/ostree-bootloader-update.stamp").exists());
        assert!(!world.path("boot/ostree/initramfs-overlays.tmp").exists());
        assert!(made.iter().all(|path| !world.path(path).exists()));
        assert!(world.path("boot/.ostree-tmp-of-somebody").exists());
        assert!(world.path("boot/grub.cfg.tmp").exists(), "of somebody");
        assert!(repaired.iter().all(|path| !world.path(path).exists()));
        assert!(world.path("boot/loader/entries/ostree-1.conf.tmp").exists(), "of somebody");
        assert_eq!(seen(&mut world).len(), 1);
    }
    // Before the exchange it is the link, and a link to somewhere else is somebody's.
    for (target, goes) in [("../loader/grub.cfg", true), ("../custom/grub.cfg", false)] {
        let mut world = World::new();
        world.switch(&[world.nth(1, "one")]);
        world.write("boot/grub/grub.cfg", generated);
        symlink(target, world.path("boot/grub/grub.cfg.tmp")).unwrap();
        look(&mut world);
        let (_, _) = bootloader::sweep(world.places(), &world.settings).unwrap();
        assert_eq!(world.path("boot/grub/grub.cfg.tmp").is_symlink(), !goes, "{target}");
        assert_eq!(read(&world, "boot/grub/grub.cfg"), generated);
    }
}

/// Where nothing can be proven, the first file is not exchanged before a reboot has brought the new one to its place, and nothing goes
/// before another one has shown that it is read.
#[test]
fn an_unproven_first_file_waits_for_a_reboot() {
    let mut world = World::unprovable();
    let generated = "#\n# DO NOT EDIT THIS FILE\n#\n";
    world.write("boot/grub/grub.cfg", generated);
    look(&mut world);
    let outcome = world.switch(&[world.nth(1, "one")]);
    let reason = outcome.unfinished.unwrap();
    assert!(reason.contains("not proven to be in its place yet"), "{reason}");
    assert_eq!(read(&world, "boot/grub/grub.cfg"), generated);

    // The same boot: neither a sweep nor a switch goes on from there.
    let files = ["ostree/boot-switch", "boot/ostree-bootloader-update.stamp"];
    look(&mut world);
    let (_, swept) = bootloader::sweep(world.places(), &world.settings).unwrap();
    assert_eq!((read(&world, "boot/grub/grub.cfg").as_str(), swept.removed.len()), (generated, 0));
    world.try_switch(&[world.nth(2, "two")]).unwrap_err();

    // After a reboot.
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let reboot = |world: &World| {
        for file in files.iter().filter(|file| world.path(file).exists()) {
            world.write(file, &read(world, file).replace(boot_id.trim(), "another"));
        }
    };
    reboot(&world);
    look(&mut world);
    let (proof, swept) = bootloader::sweep(world.places(), &world.settings).unwrap();
    assert!(!proof.is_proven() && swept.removed.is_empty(), "the exchange itself is not proven: {swept:?}");
    assert_eq!(
        std::fs::read_link(world.path("boot/grub/grub.cfg")).unwrap().as_os_str(),
        "../loader/grub.cfg"
    );
    assert_eq!(
        read(&world, "boot/grub/.ostree-aside-grub.cfg"),
        generated,
        "a boot loader may still read it"
    );
    assert!(!world.path("boot/ostree-bootloader-update.stamp").exists());
    reboot(&world);
    look(&mut world);
    let (proof, _) = bootloader::sweep(world.places(), &world.settings).unwrap();
    assert_eq!(proof, Proof::Proven(Method::Replay));
}

/// The same of a file on an EFI partition that is none: on a file system of which nothing can be proven.
#[test]
fn an_unproven_stub_waits_for_a_reboot() {
    let mut world = World::unprovable();
    let (path, generated) = ("boot/efi/EFI/debian/grub.cfg", "#\n# DO NOT EDIT THIS FILE\n#\n");
    world.write(path, generated);
    look(&mut world);
    let reason = world.switch(&[world.nth(1, "one")]).unfinished.unwrap();
    assert!(reason.contains("not proven to be in its place yet"), "{reason}");
    let (_, _) = bootloader::sweep(world.places(), &world.settings).unwrap();
    assert_eq!(read(&world, path), generated, "the same boot");
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    for file in ["ostree/boot-switch", "boot/ostree-bootloader-update.stamp"] {
        world.write(file, &read(&world, file).replace(boot_id.trim(), "another"));
    }
    look(&mut world);
    let (_, _) = bootloader::sweep(world.places(), &world.settings).unwrap();
    assert!(read(&world, path).contains("configfile ($root)/boot/loader/grub.cfg"));
    assert_eq!(read(&world, &format!("{path}.old")), generated);
    assert!(!world.path("boot/ostree-bootloader-update.stamp").exists());
}

/// An argument of which GRUB makes something else is told before it is written.
#[test]
fn a_plan_warns_of_what_grub_changes() {
    let warnings = |world: &World| {
        let mut entry = world.nth(1, "one");
        entry.options = KernelArgs::parse("quiet a=$b c=\\$d e\\f $tuned_params");
        world.plan(&[entry]).unwrap().warnings
    };
    let menu = with_link("boot/grub/grub.cfg", "../loader/grub.cfg");
    assert_eq!(warnings(&menu).len(), 2, "{:?}", warnings(&menu));
    assert!(warnings(&menu)[0].starts_with("GRUB takes $b in a=$b for a variable"), "{:?}", warnings(&menu));
    let mut entries = with_loader("boot/grub/grub.cfg", "blscfg\n");
    entries.settings.boot_prefix = true;
    assert_eq!(warnings(&entries).len(), 3, "{:?}", warnings(&entries));
    let mut others = World::new();
    others.settings.boot_prefix = true;
    assert_eq!(warnings(&others), [""; 0], "no GRUB is there");
}

/// A btrfs image with `/boot` in a subvolume, or being one: what GRUB itself reads of the image are the paths in the menu.
#[test]
fn grub_finds_its_files_in_a_subvolume() {
    test_world::needs_root!();
    for (root, boot, top) in [
        ("@", None, "/@/boot"),
        ("@", Some("@boot"), "/@boot"),
        ("", None, "/boot"),
        ("a b", None, "/a b/boot"),
    ] {
        let disk = world::disk::Btrfs::new(root, boot);
        let mount = disk.mount();
        let mut world = World::with_root(&mount);
        world.settings.offline = true;
        std::fs::create_dir(world.path("boot/grub")).unwrap();
        symlink("../loader/grub.cfg", world.path("boot/grub/grub.cfg")).unwrap();
        look(&mut world);
        world.switch(&[world.nth(1, "one")]);
        assert_eq!(seen(&mut world).len(), 1);
        let text = read(&world, "boot/loader/grub.cfg");
        grub_script_check(&text);
        let shown = examine(world.places(), &world.settings).unwrap().entries[0].shown.clone();
        let kernel = shown.linux.unwrap();
        assert!(kernel.starts_with(&format!("{top}/ostree/testos-")), "{kernel}");
        let on_disk = world.path("boot").join(kernel.strip_prefix(&format!("{top}/")).unwrap());
        let printed =
            Command::new("grub-mkrelpath").arg(&on_disk).output().expect("grub-mkrelpath is needed");
        assert_eq!(String::from_utf8_lossy(&printed.stdout).trim_end(), kernel);
        // A path without the subvolume is seen, by the reader of the menu and before a commit.
        if !root.is_empty() {
            world.write("boot/loader/grub.cfg", &text.replace(top, "/boot"));
            let problems = examine(world.places(), &world.settings).unwrap().problems;
            assert!(problems.iter().any(|problem| problem.contains("which is not there")), "{problems:?}");
            world.write("boot/loader/grub.cfg", &text);
        }
        // Nor does a menu of another program pass that leaves it out, unless somebody asks for just that.
        if root == "@" {
            let menu = disk.file("menu", &text.replace(top, "/boot").replace("/boot.1/", "/boot.0/"));
            world.settings.rewrite = true;
            world.settings.grub_generator = Some(disk.script("mkconfig", &format!("cp {menu} \"$2\"")));
            let err = format!("{:#}", world.try_switch(&[world.nth(1, "one")]).unwrap_err());
            assert!(err.contains("is not what boots"), "{err}");
            world.settings.grub_generator = None;
            world.settings.grub_prefix = Some("/boot".to_owned());
            world.switch(&[world.nth(1, "one")]);
            assert!(read(&world, "boot/loader/grub.cfg").contains("linux /boot/ostree/"));
            world.settings.grub_prefix = None;
            world.switch(&[world.nth(1, "one")]);
            assert!(read(&world, "boot/loader/grub.cfg").contains(&format!("linux {top}/ostree/")));
            world.settings.rewrite = false;
        }
        let stub = with_stub(&mut world);
        assert!(stub.contains(&format!("($root){top}/loader/grub.cfg")), "{stub}");
        drop(world);
        let image = disk.unmounted();
        for path in [kernel, format!("{top}/grub/grub.cfg"), format!("{top}/loader/grub.cfg")] {
            let read =
                Command::new("grub-fstest").arg(&image).args(["cat", &format!("(loop0){path}")]).output();
            let read = read.expect("grub-fstest is needed (package grub-common)");
            assert!(!read.stdout.is_empty(), "{path}: {}", String::from_utf8_lossy(&read.stderr));
        }
    }
}

/// Returns the file that would be written to the EFI partition.
fn with_stub(world: &mut World) -> String {
    world.write("boot/efi/EFI/debian/grub.cfg", "");
    std::fs::rename(world.path("boot/grub/grub.cfg"), world.path("boot/grub/grub.off")).unwrap();
    look(world);
    let after = world.plan(&[world.nth(2, "two")]).unwrap().after;
    std::fs::rename(world.path("boot/grub/grub.off"), world.path("boot/grub/grub.cfg")).unwrap();
    match after {
        AfterSwitch::Stub { text, .. } => text,
        other => panic!("{other:?}"),
    }
}

/// Of two disks with the same label, or a `/boot` that a former disk has left, the one that is mounted is not always the one that was
/// booted: nothing is written to another one than the kernel command line names, and nothing is removed from it.
#[test]
fn another_boot_than_the_booted_one_is_not_written_to() {
    test_world::needs_root!();
    let disk = test_world::Disk::new("ext4", 32);
    let mut world = World::with_boot(tempfile::tempdir().unwrap(), disk.mount());
    let (a, b) = (world.nth(1, "one"), world.nth(2, "two"));
    let device = disk.device();
    world.settings.boot_argument = Some(device.clone());
    world.switch(&[a]);
    let before = world.dump();
    for (argument, refused) in [
        (device.as_str(), false),
        ("/dev/null", true),
        // Nothing can be told by these.
        ("/dev/absent", false),
        ("LABEL=boot", false),
        ("UUID=00000000-0000-0000-0000-000000000000", false),
    ] {
        world.settings.boot_argument = Some(argument.to_owned());
        let plan = world.plan(&[b.clone()]).unwrap();
        assert_eq!(plan.check(world.places(), &world.settings).is_err(), refused, "{argument}");
        assert_eq!(world.dump(), before);
    }
    world.settings.boot_argument = Some("/dev/null".to_owned());
    world.write("boot/loader.tmp", "left");
    let err = world.try_switch(&[b.clone()]).unwrap_err().to_string();
    assert!(
        err.starts_with("The file system at /boot is not the one") && err.contains("is /dev/null by `boot=`"),
        "{err}"
    );
    bootloader::sweep(world.places(), &world.settings).unwrap_err();
    assert!(world.path("boot/loader.tmp").exists());
    world.settings.boot_argument = None;
    world.switch(&[b]);
    assert!(!world.path("boot/loader.tmp").exists());
}

#[test]
fn the_file_on_the_efi_partition_is_written_once() {
    let mut world = with_loader("boot/efi/EFI/debian/grub.cfg", "");
    let (a, b) = (world.nth(1, "one"), world.nth(2, "two"));
    let plan = world.plan(&[a.clone()]).unwrap();
    assert!(matches!(&plan.after, AfterSwitch::Stub { text, .. } if text.contains("search --no-floppy --f")));
    world.switch(&[a.clone()]);
    let stub = read(&world, "boot/efi/EFI/debian/grub.cfg");
    grub_script_check(&stub);
    assert!(stub.contains("configfile ($root)/boot/loader/grub.cfg\n"), "{stub}");
    assert_eq!(read(&world, "boot/efi/EFI/debian/grub.cfg.old"), "");
    look(&mut world);
    assert_eq!(world.plan(&[b.clone(), a.clone()]).unwrap().after, AfterSwitch::Nothing);
    world.switch(&[b, a]);
    assert_eq!(seen(&mut world).len(), 2);
    assert_eq!(read(&world, "boot/efi/EFI/debian/grub.cfg"), stub);
}

/// Of two disks that each have an EFI partition, the one that is mounted is not always the one that the firmware reads: then a switch that
/// has to write to it is refused before it begins, and one that has not is not.
#[test]
fn another_efi_partition_than_the_booted_one_is_not_written_to() {
    let mut world = with_loader("boot/efi/EFI/debian/grub.cfg", "");
    let (a, b) = (world.nth(1, "one"), world.nth(2, "two"));
    let compare = |world: &mut World, booted: &str| {
        look(world);
        world.settings.installed.compare_esp(world.boot.as_fd(), Some(booted.to_owned())).unwrap();
    };
    compare(&mut world, "/dev/null");
    let err = world.plan(&[a.clone()]).unwrap_err().to_string();
    assert!(
        err.starts_with("The EFI partition at /boot/efi is not the one") && err.contains("/dev/null"),
        "{err}"
    );
    assert!(world.settings.installed.check().is_err());
    // No such name is known here.
    compare(&mut world, "PARTUUID=00000000-0000-0000-0000-000000000000");
    world.switch(&[a]);
    compare(&mut world, "/dev/null");
    world.switch(&[b]);
}

/// On a FAT, where a rename over a file is no single write and a removed one is gone: the two files change places, after the switch, and
/// neither name is ever free.
#[test]
fn the_file_on_the_efi_partition_is_exchanged() {
    let mut world = with_loader("boot/efi/EFI/debian/grub.cfg", "");
    let watch = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
    let flags = inotify::WatchFlags::CREATE | inotify::WatchFlags::DELETE | inotify::WatchFlags::MOVE;
    inotify::add_watch(&watch, world.path("boot/efi/EFI/debian"), flags).unwrap();
    inotify::add_watch(&watch, world.path("boot"), flags).unwrap();
    world.switch(&[world.nth(1, "one")]);
    look(&mut world);
    let mut buffer = [std::mem::MaybeUninit::uninit(); 1 << 14];
    let mut reader = inotify::Reader::new(&watch, &mut buffer);
    let mut events = Vec::new();
    while let Ok(event) = reader.next() {
        let name = event.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with("grub.cfg") || name == "loader" {
            events.push((event.events(), name));
        }
    }
    let expected = [
        (inotify::ReadFlags::MOVED_TO, "loader"),
        (inotify::ReadFlags::CREATE, "grub.cfg.old"),
        (inotify::ReadFlags::MOVED_FROM, "grub.cfg.old"),
        (inotify::ReadFlags::MOVED_TO, "grub.cfg"),
        (inotify::ReadFlags::MOVED_FROM, "grub.cfg"),
        (inotify::ReadFlags::MOVED_TO, "grub.cfg.old"),
    ];
    assert_eq!(events, expected.map(|(kind, name)| (kind, name.to_owned())));
}

/// `bootprefix` is false where nobody has set it, and entries are written as it says: a machine does not get another prefix with another
/// version. Where a loader that reads the entries finds nothing with it, that is told, before and after.
#[test]
fn the_prefix_of_boot_entries_is_the_configured_one() {
    assert!(!bootloader::Settings::default().boot_prefix);
    for (boot_prefix, prefix) in [(false, "/ostree/"), (true, "/boot/ostree/")] {
        let mut world = World::new();
        world.settings.boot_prefix = boot_prefix;
        let plan = world.plan(&[world.nth(1, "one")]).unwrap();
        let told = |text: &String| text.contains("[sysroot] bootprefix=true");
        assert_eq!(plan.warnings.iter().any(told), !boot_prefix, "{:?}", plan.warnings);
        world.switch(&[world.nth(1, "one")]);
        world.switch(&[world.nth(2, "two"), world.nth(1, "one")]);
        for entry in world.state().entries {
            for path in entry.entry.all("linux").chain(entry.entry.all("initrd")) {
                assert!(path.starts_with(prefix), "{path}");
            }
        }
        let problems = examine(world.places(), &world.settings).unwrap().problems;
        assert_eq!(problems.iter().filter(|text| told(text)).count(), if boot_prefix { 0 } else { 4 });
    }
}

/// Paths from the root of the file system that `/boot` is on, whatever the entries say.
#[test]
fn grub_finds_its_files_with_and_without_a_boot_partition() {
    test_world::needs_root!();
    for (boot_prefix, expected) in [(false, "linux /boot/ostree/"), (true, "linux /boot/ostree/")] {
        let mut world = with_link("boot/grub/grub.cfg", "../loader/grub.cfg");
        world.settings.boot_prefix = boot_prefix;
        world.switch(&[world.nth(1, "one")]);
        assert!(read(&world, "boot/loader/grub.cfg").contains(expected));
        assert_eq!(seen(&mut world).len(), 1);
    }
    let disk = test_world::Disk::new("ext4", 32);
    let mut world = World::with_boot(tempfile::tempdir().unwrap(), disk.mount());
    std::fs::create_dir(world.path("boot/grub")).unwrap();
    symlink("../loader/grub.cfg", world.path("boot/grub/grub.cfg")).unwrap();
    for (boot_prefix, expected) in [(false, "linux /ostree/"), (true, "linux /boot/ostree/")] {
        world.settings.boot_prefix = boot_prefix;
        look(&mut world);
        world.switch(&[world.nth(1, "one")]);
        assert!(read(&world, "boot/loader/grub.cfg").contains(expected));
        assert_eq!(seen(&mut world).len(), 1);
    }
}

fn grub_editenv(args: &[&str]) -> String {
    let output = Command::new("grub-editenv").args(args).output();
    let output = output.expect("grub-editenv is needed (package grub-common)");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// GRUB boots the choice that `grub-reboot` and `grub-set-default` leave behind, and that is told wherever the list of deployments makes
/// one think otherwise; it keeps nobody from deploying.
#[test]
fn what_grubenv_says_is_what_is_booted() {
    let mut world = with_link("boot/grub/grub.cfg", "../loader/grub.cfg");
    let (a, b) = (world.nth(1, "one"), world.nth(2, "two"));
    world.switch(&[b.clone(), a.clone()]);
    assert_eq!(seen(&mut world).len(), 2);
    let block = world.path("boot/grub/grubenv");
    let block = block.to_str().unwrap();
    grub_editenv(&[block, "create"]);
    assert_eq!(seen(&mut world).len(), 2);
    grub_editenv(&[block, "set", "next_entry=ostree-1"]);
    look(&mut world);
    let report = examine(world.places(), &world.settings).unwrap();
    assert!(report.entries[1].default);
    let because =
        "the boot loader boots \"Test OS 1 1.0 (ostree:1)\": /boot/grub/grubenv has next_entry=ostree-1";
    assert!(report.problems.len() == 1 && report.problems[0].ends_with(because), "{:?}", report.problems);
    let told = boots_elsewhere(&world.state(), &world.settings.installed).unwrap();
    assert!(told.ends_with("/boot/grub/grubenv has next_entry=ostree-1"), "{told}");

    // The default is the one that it names, be that as it may.
    grub_editenv(&[block, "set", "next_entry=ostree-2"]);
    assert_eq!(seen(&mut world).len(), 2);
    assert_eq!(boots_elsewhere(&world.state(), &world.settings.installed), None);
    grub_editenv(&[block, "set", "next_entry=0>1", "saved_entry=1"]);
    assert_eq!(seen(&mut world).len(), 2);
    grub_editenv(&[block, "set", "next_entry=1"]);
    look(&mut world);
    world.switch(&[a.clone(), b.clone()]);
    world.switch(&[b, a]);

    // Fedora's, with the entries themselves; whichever loader they are written for.
    std::fs::remove_file(world.path("boot/grub/grub.cfg")).unwrap();
    world.settings.boot_prefix = true;
    world.write("boot/grub/grub.cfg", "load_env\nset default=\"${saved_entry}\"\nblscfg\n");
    look(&mut world);
    world.switch(&[world.nth(2, "two"), world.nth(1, "one")]);
    for choice in [Choice::Auto, Choice::None] {
        world.settings.installed = select(choice, world.boot.as_fd()).unwrap();
        let told = boots_elsewhere(&world.state(), &world.settings.installed).unwrap();
        assert!(told.ends_with("/boot/grub/grubenv has saved_entry=1"), "{told}");
    }
    // As bootupd installs it.
    std::fs::rename(world.path("boot/grub"), world.path("boot/grub2")).unwrap();
    world.write("boot/bootupd-state.json", r#"{"static-configs":{"version":"1"}}"#);
    look(&mut world);
    assert_eq!(world.settings.installed.loader.name(), "none");
    let told = boots_elsewhere(&world.state(), &world.settings.installed).unwrap();
    assert!(told.ends_with("/boot/grub2/grubenv has saved_entry=1"), "{told}");

    // A block that is none, and one that cannot be read: as if it were not there.
    world.write("boot/grub2/grubenv", "saved_entry=1\n");
    look(&mut world);
    assert_eq!(boots_elsewhere(&world.state(), &world.settings.installed), None);
    std::fs::remove_file(world.path("boot/grub2/grubenv")).unwrap();
    std::fs::create_dir(world.path("boot/grub2/grubenv")).unwrap();
    look(&mut world);
    assert_eq!(boots_elsewhere(&world.state(), &world.settings.installed), None);
}

/// Debian's own tool reads the same variables out of the same blocks, whatever is in them.
#[test]
fn grub_editenv_reads_blocks_as_we_do() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("grubenv");
    let path = path.to_str().unwrap();
    grub_editenv(&[path, "create"]);
    let created = std::fs::read(path).unwrap();
    let values = ["ostree-2", "1>It\\s\na=b", "", "#", "\\", "grün"];
    let settings: Vec<String> = values.iter().enumerate().map(|(n, value)| format!("v{n}={value}")).collect();
    let mut args = vec![path, "set"];
    args.extend(settings.iter().map(String::as_str));
    grub_editenv(&args);
    let set = std::fs::read(path).unwrap();
    assert_eq!((created.len(), set.len()), (1024, 1024));
    let signature = b"# GRUB Environment Block\n".to_vec();
    let odd: [&[u8]; 8] = [
        b"foo\nsaved_entry=3\n# c\\\nx=no\nk=v",
        b"a=b\\",
        b"\n\n=\n",
        b"##\na=\\\\\\\n\n",
        b"a=b\na=c\n",
        b"=",
        b"a",
        b"",
    ];
    let blocks = odd.iter().map(|rest| [&signature, *rest].concat()).chain([set, created, b"none".to_vec()]);
    for block in blocks {
        std::fs::write(path, &block).unwrap();
        let ours = Grubenv::parse(&block).map(|variables| {
            variables.iter().map(|(name, value)| format!("{name}={value}\n")).collect::<String>()
        });
        assert_eq!(
            ours.unwrap_or_default(),
            grub_editenv(&[path, "list"]),
            "{}",
            String::from_utf8_lossy(&block)
        );
    }
}

#[test]
fn a_loader_that_loads_one_initrd_gets_no_more() {
    let sum = "ab".repeat(32);
    for (choice, good) in
        [(Choice::Uboot, false), (Choice::Extlinux, false), (Choice::Syslinux, true), (Choice::Grub2, true)]
    {
        let mut world = World::new();
        world.settings.installed = select(choice, world.boot.as_fd()).unwrap();
        world.write(&format!("boot/ostree/initramfs-overlays/{sum}.img"), "overlay");
        let mut entry = world.nth(1, "one");
        entry.overlay_initrds = vec![sum.parse().unwrap()];
        match world.try_switch(&[entry.clone()]) {
            Ok(_) => assert!(good, "{choice:?}"),
            Err(err) => assert!(!good && err.to_string().contains("has several initrds"), "{err}"),
        }
        // Those that somebody has put into an entry, in their place.
        world.write("boot/ucode.img", "microcode");
        world.write("boot/last.img", "last");
        let other = |path: &str, after| OtherInitrd { path: path.to_owned(), after };
        entry.other_initrds = vec![other("/ucode.img", 0), other("/last.img", 2)];
        match world.try_switch(&[entry]) {
            Ok(_) => {
                look(&mut world);
                let shown = &examine(world.places(), &world.settings).unwrap().entries[0].shown;
                let names: Vec<_> =
                    shown.initrd.iter().map(|path| path.rsplit('/').next().unwrap()).collect();
                let overlay = format!("{sum}.img");
                assert_eq!(names, ["ucode.img", "initramfs-6.12.1.img", &overlay, "last.img"], "{choice:?}");
            }
            Err(err) => assert!(!good && err.to_string().contains("has several initrds"), "{err}"),
        }
    }
    // The effect of their tools is unknown.
    for choice in [Choice::Zipl, Choice::Aboot] {
        let mut world = World::new();
        world.settings.installed = select(choice, world.boot.as_fd()).unwrap();
        let mut entry = world.nth(1, "one");
        let told = |world: &World, entry| {
            let warnings = world.plan(&[entry]).unwrap().warnings;
            warnings
                .iter()
                .any(|text| text.contains("has several initrds") && text.contains("may not load them"))
        };
        assert!(!told(&world, entry.clone()));
        entry.other_initrds = vec![OtherInitrd { path: "/ucode.img".to_owned(), after: 0 }];
        assert!(told(&world, entry), "{choice:?}");
    }
}

#[test]
fn keys_of_all_but_the_default_follow_the_order() {
    let mut world = World::new();
    world.settings.except_default = vec![("grub_users".to_owned(), "\"\"".to_owned())];
    let (a, b) = (world.nth(1, "one"), world.nth(2, "two"));
    for menu in [[b.clone(), a.clone()], [a, b]] {
        // As they are taken over from the entries that are there.
        let mut menu = menu;
        for entry in &mut menu {
            let there = world
                .state()
                .entries
                .into_iter()
                .find(|old| old.deployment.as_ref() == Some(&entry.deployment));
            entry.carried = there.map(|old| old.carried()).unwrap_or_default();
        }
        world.switch(&menu);
        let users: Vec<bool> =
            world.state().entries.iter().map(|e| e.entry.get("grub_users").is_some()).collect();
        assert_eq!(users, [false, true]);
    }
    let mut world = with_link("boot/grub/grub.cfg", "../loader/grub.cfg");
    world.settings.except_default = vec![("grub_users".to_owned(), "\"\"".to_owned())];
    world.switch(&[world.nth(1, "one"), world.nth(2, "two")]);
    let text = read(&world, "boot/loader/grub.cfg");
    assert_eq!((text.matches("--unrestricted").count(), text.matches("--users ''").count()), (1, 1));
    grub_script_check(&text);
    assert_eq!(seen(&mut world).len(), 2);
}
