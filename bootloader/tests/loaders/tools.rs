// SPDX-License-Identifier: MIT OR Apache-2.0
//! Loaders whose own tool runs after a switch.

use super::*;

/// A system whose `/boot` is a disk, so that switches are proven, and a tool that writes down how it was called.
fn with_tool(choice: Choice, tool: &str) -> (test_world::Disk, World, tempfile::TempDir) {
    let disk = test_world::Disk::new("ext4", 32);
    let mut world = World::with_boot(tempfile::tempdir().unwrap(), disk.mount());
    world.settings.installed = select(choice, world.boot.as_fd()).unwrap();
    let bin = tempfile::tempdir().unwrap();
    let script = "#!/bin/sh\necho \"${0##*/} $*\" >>\"${0%/*}/calls\"\n\
                  test ! -e \"${0%/*}/broken\" || { echo 'no such device' >&2; exit 3; }\n";
    let path = bin.path().join(tool);
    world::executable(&path, script);
    let paths = format!("{}:{}", bin.path().display(), std::env::var("PATH").unwrap());
    world.settings.tool_path = Some(paths);
    (disk, world, bin)
}

fn calls(bin: &tempfile::TempDir) -> Vec<String> {
    let text = std::fs::read_to_string(bin.path().join("calls")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

const STAMP: &str = "boot/ostree-bootloader-update.stamp";

#[test]
fn zipl_runs_after_each_switch_until_it_succeeds() {
    test_world::needs_root!();
    let (_disk, world, bin) = with_tool(Choice::Zipl, "zipl");
    let (a, b, c) = (world.nth(1, "one"), world.nth(2, "two"), world.nth(3, "three"));
    assert_eq!(world.switch(&[a.clone()]).unfinished, None);
    assert_eq!(calls(&bin), ["zipl --secure auto -V"]);
    assert!(!world.path(STAMP).exists());

    // It fails: what the boot record names stays, and nothing is written over it.
    std::fs::write(bin.path().join("broken"), "").unwrap();
    let outcome = world.switch(&[b.clone()]);
    let reason = "zipl: exit status: 3: no such device";
    assert_eq!((outcome.unfinished.as_deref(), outcome.swept.removed.len()), (Some(reason), 0));
    let old = [
        "boot/loader.1/entries/ostree-1.conf".to_owned(),
        format!("boot/{}/vmlinuz-6.12.1", a.boot_dir()),
        format!("ostree/boot.1/testos/{}/0", a.boot_checksum),
    ];
    let there = || old.iter().all(|path| world.path(path).symlink_metadata().is_ok());
    assert!(there() && read(&world, STAMP).starts_with(&format!("{reason}\n")));
    let linked = bootloader::linked_deployments(world.places(), &world.settings).unwrap();
    assert!(linked.contains(&a.deployment) && linked.contains(&b.deployment));

    let (_, _) = bootloader::sweep(world.places(), &world.settings).unwrap();
    let err = world.try_switch(&[c.clone()]).unwrap_err().to_string();
    assert!(err.contains("still boots from the entries before it: zipl: exit status: 3"), "{err}");
    assert!(there());
    assert_eq!(examine(world.places(), &world.settings).unwrap().unfinished.as_deref(), Some(reason));
    assert_eq!(calls(&bin).len(), 4);

    // It is repaired: the next switch begins with what was left.
    std::fs::remove_file(bin.path().join("broken")).unwrap();
    world.switch(&[c]);
    assert_eq!(calls(&bin).len(), 6);
    assert!(!there() && !world.path(STAMP).exists());
}

/// Cut after any step, or by an error before the commit, the tool is not forgotten.
#[test]
fn a_cut_does_not_lose_the_stamp() {
    test_world::needs_root!();
    let (_disk, world, bin) = with_tool(Choice::Zipl, "zipl");
    let (a, b) = (world.nth(1, "one"), world.nth(2, "two"));
    world.switch(&[a.clone()]);
    let plan = world.plan(&[b.clone()]).unwrap();
    let mut execution = world.begin(&plan);
    for step in &world::until_commit(&plan) {
        execution.run(step).unwrap();
    }
    assert!(world.path(STAMP).exists());
    let before = calls(&bin).len();
    let (_, swept) = bootloader::sweep(world.places(), &world.settings).unwrap();
    assert_eq!(calls(&bin).len(), before + 1);
    assert!(!swept.removed.is_empty() && !world.path(STAMP).exists());

    let broken = world.nth(3, "three");
    std::fs::remove_dir(world.path(&format!("{}/sysroot", broken.deployment))).unwrap();
    world.try_switch(&[broken]).unwrap_err();
    assert!(!world.path(STAMP).exists());
    assert_eq!(calls(&bin).len(), before + 1);
}

#[test]
fn aboot_gets_the_image_of_the_default() {
    test_world::needs_root!();
    let (_disk, world, bin) = with_tool(Choice::Aboot, "aboot-deploy");
    let files = [("vmlinuz", "k"), ("initramfs.img", "i"), ("aboot.img", "a")];
    let entry = world.deployment("testos", &"01".repeat(32), &files);
    world.switch(&[entry.clone()]);
    let (tree, sum) = (entry.deployment.to_string(), entry.boot_checksum);
    let expected = format!(
        "aboot-deploy -r . -c /{tree}/usr/lib/ostree-boot/aboot.cfg -o root=LABEL=x quiet \
         ostree=/ostree/boot.1/testos/{sum}/0 /ostree/testos-{sum}/aboot-6.12.1.img"
    );
    assert_eq!(calls(&bin), [expected]);
}

/// `grub-mkconfig` in place of the menu that is made here: what it fails at is found before the commit.
#[test]
fn a_generator_that_fails_changes_nothing() {
    let mut world = with_link("boot/grub/grub.cfg", "../loader/grub.cfg");
    let bin = tempfile::tempdir().unwrap();
    let generator = bin.path().join("mkconfig");
    let write = |script: &str| world::executable(&generator, &format!("#!/bin/sh\n{script}"));
    world.switch(&[world.nth(1, "one")]);
    let before = world.dump();
    world.settings.grub_generator = Some(generator.to_str().unwrap().to_owned());
    let new = [world.nth(2, "two")];
    for (script, reason) in [
        ("echo no os-prober >&2; exit 1", "exit status: 1: no os-prober"),
        ("exit 0", "has not written"),
        ("echo 'menuentry a { linux /x ostree=/y; }' >$2", "is not what boots"),
        ("echo '' >$2", "it shows 0 of 1 deployments"),
    ] {
        write(script);
        let err = format!("{:#}", world.try_switch(&new).unwrap_err());
        assert!(err.contains(reason), "{err}");
        assert_eq!(world.dump(), before);
    }
    // One that does as 15_ostree does.
    let sum = new[0].boot_checksum;
    write(&format!(
        "echo \"menuentry a {{\nlinux /boot/ostree/testos-{sum}/vmlinuz-6.12.1 root=LABEL=x quiet \
         ostree=/ostree/boot.$_OSTREE_GRUB2_BOOTVERSION/testos/{sum}/0\ninitrd \
         /boot/ostree/testos-{sum}/initramfs-6.12.1.img\n}}\" >\"$2\""
    ));
    world.switch(&new);
    assert_eq!(seen(&mut world), [new[0].deployment.to_string()]);
}
