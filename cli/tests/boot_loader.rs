// SPDX-License-Identifier: MIT OR Apache-2.0
//! Boot loaders with files of their own, by the commands: what they get, beside another ostree, which `OSTREE_PEER` names, and what
//! `ostree-bootloader` says of it. Without that variable the tests beside the other one are reported as ignored.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by unwrapping it")]

mod world;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use test_world::{alone, as_root, run_trials};
use world::{World, beside};

fn main() -> ExitCode {
    let trials = vec![
        as_root("the_companion_says_what_the_loader_does", the_companion_says_what_the_loader_does),
        as_root("status_says_where_the_loader_goes_elsewhere", status_says_where_the_loader_goes_elsewhere),
        as_root(
            "status_says_what_is_left_to_do_for_the_loader",
            status_says_what_is_left_to_do_for_the_loader,
        ),
        as_root("regenerate_repairs_a_menu", regenerate_repairs_a_menu),
        as_root("a_first_deployment_finds_a_loader", a_first_deployment_finds_a_loader),
        as_root("each_tree_is_started_in_its_own_way", each_tree_is_started_in_its_own_way),
        as_root("a_configuration_of_others_is_refused_first", a_configuration_of_others_is_refused_first),
        as_root(
            "counters_and_keys_come_from_the_configuration",
            counters_and_keys_come_from_the_configuration,
        ),
        as_root("grub_mkconfig_gets_our_entries", grub_mkconfig_gets_our_entries),
        beside("same_files_for_syslinux", |peer| same_files(peer, syslinux)),
        beside("same_files_for_uboot", |peer| same_files(peer, uboot)),
        beside("same_entries_for_grub_mkconfig", same_entries_for_grub_mkconfig),
        beside("same_entries_for_every_kind_of_tree", same_entries_for_every_kind_of_tree),
        alone("more_initrds_need_one_of_the_tree", more_initrds_need_one_of_the_tree),
    ];
    run_trials(trials)
}

fn ours() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_ostree"))
}

fn companion(world: &World, words: &str) -> (bool, String, String) {
    let output = world.run_as(Path::new(env!("CARGO_BIN_EXE_ostree-bootloader")), words);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

/// A root with a stateroot, and a tree with a bit of everything for boot loaders.
fn prepared(program: &Path) -> World {
    let world = world::empty();
    world.make_bootable_tree();
    fs::create_dir_all(world.path("tree/usr/lib/ostree-boot")).unwrap();
    world.make_root(program);
    world
}

fn commit_and_deploy(world: &World, program: &Path, version: &str, args: &str) {
    let metadata = format!("--add-metadata-string=version={version}");
    world.ok_as(program, &format!("--repo=root/ostree/repo commit --branch=t/x {metadata} tree"));
    world.ok_as(program, &format!("admin --sysroot=root deploy --os=testos{args} t/x"));
}

fn link(world: &World, name: &str, target: &str) {
    let path = world.path(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let _ = fs::remove_file(&path);
    symlink(target, path).unwrap();
}

/// Three deployments, whose boot files differ in kind.
fn deploy_three(world: &World, program: &Path) {
    world.write("tree/usr/lib/ostree-boot/uEnv.txt", "bootlimit=3\n# c\nfoo=bar");
    commit_and_deploy(world, program, "1.0", " --karg=root=LABEL=r");
    world.write("tree/usr/lib/modules/6.1.0/vmlinuz", "another kernel");
    fs::create_dir(world.path("tree/usr/lib/modules/6.1.0/dtb")).unwrap();
    world.write("tree/usr/lib/modules/6.1.0/dtb/a.dtb", "tree");
    world.write("tree/usr/lib/ostree-boot/uEnv.txt", "more=1\n\n");
    commit_and_deploy(world, program, "2.0", " --retain");
    fs::remove_dir_all(world.path("tree/usr/lib/modules/6.1.0/dtb")).unwrap();
    world.write("tree/usr/lib/modules/6.1.0/devicetree", "one tree");
    fs::remove_file(world.path("tree/usr/lib/ostree-boot/uEnv.txt")).unwrap();
    commit_and_deploy(world, program, "3.0", " --retain --karg-append=a=b");
}

fn syslinux(world: &World, program: &Path) -> String {
    // The C tools fail where the link leads nowhere yet, so the first set is there.
    fs::create_dir(world.path("root/boot/loader.0")).unwrap();
    link(world, "root/boot/loader", "loader.0");
    link(world, "root/boot/syslinux/syslinux.cfg", "../loader/syslinux.cfg");
    let config = "TIMEOUT 50\nLABEL memtest\n\tKERNEL /memtest\n\tAPPEND a b\n\nLABEL old\n\tKERNEL /ostree/x/vmlinuz\n\
                  \tAPPEND x\nLABEL older\n\tKERNEL /boot/ostree/x/vmlinuz\n# end\n";
    world.write("root/boot/loader.0/syslinux.cfg", config);
    deploy_three(world, program);
    world.read("root/boot/loader/syslinux.cfg")
}

fn uboot(world: &World, program: &Path) -> String {
    fs::create_dir(world.path("root/boot/loader.0")).unwrap();
    link(world, "root/boot/loader", "loader.0");
    world.write("root/boot/loader.0/uEnv.txt", "x=1\n");
    deploy_three(world, program);
    world.read("root/boot/loader/uEnv.txt")
}

fn same_files(peer: &Path, story: fn(&World, &Path) -> String) {
    let told = |program: &Path| {
        let world = prepared(program);
        let text = story(&world, program);
        assert_eq!(companion(&world, "--sysroot=root entries").1.matches("deployment: ").count(), 3);
        text
    };
    let (our, their) = (told(&ours()), told(peer));
    assert!(our.contains("devicetree-6.1.0") && our.contains("ostree=/ostree/boot."), "{our}");
    assert_eq!(our, their);
}

/// The entries, with the keys sorted that the C tools write in the order of a hash table; and the boot files.
fn menu(world: &World) -> Vec<String> {
    let mut menu = Vec::new();
    for (path, _, content) in world.snapshot("root/boot") {
        let name = path.strip_prefix(world.path("root/boot")).unwrap().display().to_string();
        let mut text = String::from_utf8(content).unwrap();
        if name.ends_with(".conf") {
            let mut lines: Vec<&str> = text.lines().collect();
            lines.sort_by_key(|line| (!line.starts_with("initrd"), line.split(' ').next()));
            text = lines.join("\n");
        }
        menu.push(format!("{name} {text}"));
    }
    menu
}

/// More initrds, HMAC, no initramfs, the layout of before 2017 and one beside the new one, a prefix.
fn deploy_every_kind(world: &World, program: &Path) -> Vec<Vec<String>> {
    let mut menus = Vec::new();
    let mut deploy = |version: &str, args: &str| {
        commit_and_deploy(world, program, version, args);
        menus.push(menu(world));
    };
    let modules = "tree/usr/lib/modules/6.1.0";
    world.write("one", "one more");
    world.write("two", "another");
    world.write(&format!("{modules}/.vmlinuz.hmac"), "hmac");
    deploy("1.0", " --karg=root=LABEL=r --overlay-initrd=one --overlay-initrd=two");
    // They belong to a deployment, and are not inherited.
    deploy("2.0", " --retain");
    deploy("3.0", " --overlay-initrd=two");
    fs::remove_file(world.path(modules).join("initramfs.img")).unwrap();
    deploy("4.0", "");
    deploy("5.0", " --no-merge --retain --karg-none --karg=quiet");
    let sum = "ab".repeat(32);
    for name in ["vmlinuz-3.10", "initramfs-3.10.img"] {
        world.write(&format!("tree/usr/lib/ostree-boot/{name}-{sum}"), name);
    }
    // Without the init= of the one before, which the C tools would take over.
    deploy("6.0", " --karg-none --karg=rw");
    fs::remove_dir_all(world.path(modules)).unwrap();
    fs::create_dir_all(world.path(modules)).unwrap();
    world.ok_as(program, "config --repo=root/ostree/repo set sysroot.bootprefix true");
    deploy("7.0", "");
    menus
}

fn same_entries_for_every_kind_of_tree(peer: &Path) {
    let told = |program: &Path| {
        let world = prepared(program);
        deploy_every_kind(&world, program)
    };
    let (our, their) = (told(&ours()), told(peer));
    for (index, (our, their)) in our.iter().zip(&their).enumerate() {
        assert_eq!(our, their, "after deployment {}", index + 1);
    }
    assert_eq!(our.len(), their.len());
    assert_eq!(our[0].iter().filter(|line| line.contains("initramfs-overlays/")).count(), 3);
}

fn more_initrds_need_one_of_the_tree() {
    let world = prepared(&ours());
    world.ok("--repo=root/ostree/repo commit --branch=t/x tree");
    world.write("initrd", "one more");
    world.write("empty", "");
    let deploy = "admin --sysroot=root deploy --os=testos";
    assert!(world.fails(&format!("{deploy} --overlay-initrd=absent t/x")).contains("Reading initrd absent"));
    assert!(world.fails(&format!("{deploy} --overlay-initrd=empty t/x")).contains("It is empty"));
    assert!(
        world
            .ok(&format!("{deploy} --dry-run --overlay-initrd=initrd t/x"))
            .contains("one more initrd: initrd (")
    );
    fs::remove_file(world.path("tree/usr/lib/modules/6.1.0/initramfs.img")).unwrap();
    world.ok("--repo=root/ostree/repo commit --branch=t/x tree");
    assert!(world.fails(&format!("{deploy} --overlay-initrd=initrd t/x")).contains("no initramfs"));
    assert!(!world.path("root/boot/loader").exists());
    // For a loader that loads one initrd.
    link(&world, "root/boot/extlinux/extlinux.conf", "../loader/extlinux.conf");
    world.write("tree/usr/lib/modules/6.1.0/initramfs.img", "initramfs");
    world.ok("--repo=root/ostree/repo commit --branch=t/x tree");
    assert!(world.fails(&format!("{deploy} --overlay-initrd=initrd t/x")).contains("loads one"));
}

fn grub2_generate(world: &World, program: &Path, boot_version: &str) -> String {
    let output = Command::new(program)
        .args(["admin", "--sysroot=root", "instutil", "grub2-generate"])
        .current_dir(world.path("."))
        .env("GRUB2_BOOT_DEVICE_ID", "ab-cd")
        .env("GRUB2_PREPARE_ROOT_CACHE", "insmod part_gpt\nset root='hd0'")
        .env("_OSTREE_GRUB2_BOOTVERSION", boot_version)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn same_entries_for_grub_mkconfig(peer: &Path) {
    let world = prepared(&ours());
    world.write("tree/usr/lib/os-release", "ID=t\nPRETTY_NAME=\"It's\"\n");
    deploy_three(&world, &ours());
    // Neither of the two takes away what GRUB makes of an argument.
    let nasty = "--append=$tuned_params --append=a=${b};c --append=d=\"$e\tf\" --append=g\\h --append=i's";
    world.ok(&format!("admin --sysroot=root kargs {nasty}"));
    let chosen = fs::read_link(world.path("root/boot/loader")).unwrap().display().to_string();
    let version = chosen.trim_start_matches("loader.");
    let our = grub2_generate(&world, &ours(), version);
    assert_eq!(our.matches("menuentry 'It'\\''s").count(), 3);
    assert!(our.contains(" $tuned_params a=${b};c d=\"$e\tf\" g\\h i's\n"), "{our}");
    assert_eq!(our, grub2_generate(&world, peer, version));
}

fn the_companion_says_what_the_loader_does() {
    let world = prepared(&ours());
    link(&world, "root/boot/grub/grub.cfg", "../loader/grub.cfg");
    deploy_three(&world, &ours());
    let (good, said, _) = companion(&world, "--sysroot=root verify");
    assert!(good && said == "grub2: 3 entries are as they should be\n", "{said}");
    let (_, said, _) = companion(&world, "--sysroot=root status");
    assert!(said.contains("Boot loader: grub2 (/boot/grub/grub.cfg is there)\n"), "{said}");
    assert!(said.contains("It boots:    Test OS 3.0 (ostree:0)\n"), "{said}");

    // Entries of others are shown, and counted as what they are.
    let text = world.read("root/boot/loader/grub.cfg");
    let other = "menuentry 'Memory test' {\n  linux16 /memtest\n}\n";
    world.write("root/boot/loader/grub.cfg", &format!("{text}{other}"));
    let (_, json, _) = companion(&world, "--sysroot=root entries --json");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((json[3]["title"].as_str(), json[3]["deployment"].is_null()), (Some("Memory test"), true));
    assert_eq!((json[0]["default"].as_bool(), json[1]["default"].as_bool()), (Some(true), Some(false)));

    for (text, problem) in [
        (
            text.replace("set default=0", "set default=1"),
            "`ostree admin status` says that ostree/deploy/testos/",
        ),
        (text.replacen("Test OS 3.0 (ostree:0)", "Test OS 2.0 (ostree:1)", 1), "Two entries have the title"),
        (text.replacen("/vmlinuz-6.1.0", "/vmlinuz-6.1.9", 1), "/vmlinuz-6.1.9, which is not there"),
        (text.replace("linux /boot/ostree", "linux /ostree"), "which the boot loader does not find"),
        (text.replace("boot.1/testos", "boot.0/testos"), "The boot menu does not show ostree/deploy/testos/"),
        (text.replacen(" ostree=", " 'ostree=/x y' ostree=", 1), "has 2 arguments ostree=, of which"),
        (String::new(), "The boot menu does not show ostree/deploy/testos/"),
    ] {
        world.write("root/boot/loader/grub.cfg", &text);
        let (good, said, error) = companion(&world, "--sysroot=root verify");
        assert!(!good && said.contains(problem) && error.starts_with("error: "), "{problem}: {said}{error}");
    }
}

/// The topic and the text of each note of `status`.
fn notes(world: &World) -> Vec<(String, String)> {
    let status: serde_json::Value =
        serde_json::from_str(&world.ok("admin --sysroot=root status --json")).unwrap();
    let text = |note: &serde_json::Value, key: &str| note[key].as_str().unwrap().to_owned();
    status["notes"].as_array().unwrap().iter().map(|note| (text(note, "topic"), text(note, "text"))).collect()
}

/// The list of deployments is what ostree puts first; what GRUB keeps between boots may say otherwise, and so may a configuration.
fn status_says_where_the_loader_goes_elsewhere() {
    let world = prepared(&ours());
    link(&world, "root/boot/grub/grub.cfg", "../loader/grub.cfg");
    deploy_three(&world, &ours());
    assert_eq!(notes(&world), []);
    let block = |variables: &str| {
        world.write("root/boot/grub/grubenv", &format!("# GRUB Environment Block\n{variables}##"))
    };
    block("saved_entry=ostree-2\n");
    assert_eq!(notes(&world), []);
    block("next_entry=ostree-2\n");
    let text = "The boot loader boots \"Test OS 2.0 (ostree:1)\", which is not what ostree puts first: \
                /boot/grub/grubenv has next_entry=ostree-2";
    assert_eq!(notes(&world), [("loader-elsewhere".to_owned(), text.to_owned())]);
    assert!(world.ok("admin --sysroot=root status --long").contains(&format!("\nNote: {text}\n")));
    let (_, said, _) = companion(&world, "--sysroot=root status");
    assert!(said.contains("It boots:    Test OS 2.0 (ostree:1)\n"), "{said}");
    let (good, said, _) = companion(&world, "--sysroot=root verify");
    assert!(
        !good && said.ends_with("\"Test OS 2.0 (ostree:1)\": /boot/grub/grubenv has next_entry=ostree-2\n"),
        "{said}"
    );
    let entries = companion(&world, "--sysroot=root entries").1;
    assert!(entries.contains("\n* Test OS 2.0 (ostree:1)\n"), "{entries}");

    block("");
    world.write("root/boot/grub/custom.cfg", "set default=ostree-1\n");
    let topic = |world: &World| notes(world).into_iter().map(|(topic, _)| topic).collect::<Vec<_>>();
    assert_eq!(topic(&world), ["loader-elsewhere"]);
    fs::remove_file(world.path("root/boot/grub/custom.cfg")).unwrap();
    assert_eq!(topic(&world), [""; 0]);
    let menu = world.read("root/boot/loader/grub.cfg");
    for text in ["", "menuentry Other {\n  linux /x\n}\n"] {
        world.write("root/boot/loader/grub.cfg", text);
        assert_eq!(topic(&world), ["loader-elsewhere"], "{text}");
    }
    world.write("root/boot/loader/grub.cfg", &menu);
    // A first file that goes on nowhere.
    fs::remove_file(world.path("root/boot/grub/grub.cfg")).unwrap();
    world.write("root/boot/grub/grub.cfg", "menuentry Other {\n  linux /x\n}\n");
    let told = notes(&world);
    assert!(
        told[0].1.ends_with("/boot/grub/grub.cfg, which does not lead to the chosen entries"),
        "{told:?}"
    );
}

/// A tool that failed after the switch is tried again; until then it is said, with what to do.
fn status_says_what_is_left_to_do_for_the_loader() {
    let world = prepared(&ours());
    world.ok("config --repo=root/ostree/repo set sysroot.bootloader zipl");
    // An image that is made: its tool cannot run here.
    commit_and_deploy(&world, &ours(), "1.0", "");
    let stamp = world.read("root/boot/ostree-bootloader-update.stamp");
    // The boot under which the switch was made is behind the reason.
    let stamp = stamp.lines().next().unwrap();
    let told =
        || notes(&world).into_iter().find(|(topic, _)| topic == "loader-not-updated").map(|(_, text)| text);
    let text = told().unwrap();
    assert!(text.contains(stamp.trim()) && text.contains("`ostree admin cleanup`"), "{text}");
    let (_, said, _) = companion(&world, "--sysroot=root status");
    let line = said.lines().find(|line| line.contains("The boot loader was not updated")).unwrap();
    assert!(line.contains(stamp.trim()) && line.ends_with("run `ostree admin cleanup`"), "{said}");
    // As the C tools leave it.
    world.write("root/boot/ostree-bootloader-update.stamp", "");
    assert!(told().unwrap().contains(": the switch was interrupted; "));
    fs::remove_file(world.path("root/boot/ostree-bootloader-update.stamp")).unwrap();
    assert_eq!(told(), None);
}

fn regenerate_repairs_a_menu() {
    let world = prepared(&ours());
    link(&world, "root/boot/syslinux/syslinux.cfg", "../loader/syslinux.cfg");
    deploy_three(&world, &ours());
    let menu = world.read("root/boot/loader/syslinux.cfg");
    world.write("root/boot/loader/syslinux.cfg", "PROMPT 0\n");
    assert!(!companion(&world, "--sysroot=root verify").0);
    let (good, said, error) = companion(&world, "--sysroot=root regenerate");
    assert!(good && said.starts_with("Bootloader updated; bootconfig swap: yes"), "{said}{error}");
    assert!(companion(&world, "--sysroot=root verify").0);
    let again = world.read("root/boot/loader/syslinux.cfg");
    assert_eq!(again.replace("boot.0/", "boot.1/"), format!("PROMPT 0\n{menu}"));
    // Also where nothing is wrong.
    assert!(companion(&world, "--sysroot=root regenerate").1.contains("bootconfig swap: yes"));
}

/// A tree without an initramfs is started by `init=`, which one with an initramfs must not take over.
fn each_tree_is_started_in_its_own_way() {
    let world = prepared(&ours());
    let initramfs = world.path("tree/usr/lib/modules/6.1.0/initramfs.img");
    fs::remove_file(&initramfs).unwrap();
    commit_and_deploy(&world, &ours(), "1.0", " --karg=rw");
    let options = |index: usize| {
        let json = companion(&world, "--sysroot=root entries --json").1;
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        json[index]["options"].as_str().unwrap().to_owned()
    };
    assert!(
        options(0).contains(" init=/ostree/boot.1/testos/")
            && options(0).contains("/usr/lib/ostree/ostree-prepare-root")
    );
    fs::write(&initramfs, "initramfs").unwrap();
    commit_and_deploy(&world, &ours(), "2.0", "");
    assert!(!options(0).contains("init=") && options(0).starts_with("rw ostree="), "{}", options(0));
    assert!(options(1).contains(" init=/ostree/boot.0/testos/"), "{}", options(1));
}

/// Before a tree is made, and with what to do; in which nothing is changed.
fn a_configuration_of_others_is_refused_first() {
    let world = prepared(&ours());
    fs::create_dir_all(world.path("root/boot/grub")).unwrap();
    let text = "# DO NOT EDIT THIS FILE\nmenuentry 'Debian' {\n  linux /vmlinuz root=/dev/vda\n}\n";
    world.write("root/boot/grub/grub.cfg", text);
    world.ok("--repo=root/ostree/repo commit --branch=t/x tree");
    let said = world.fails("admin --sysroot=root deploy --os=testos t/x");
    for words in
        ["/boot/grub/grub.cfg", "settings or entries of others", "configfile /loader/grub.cfg", "blscfg"]
    {
        assert!(said.contains(words), "{said}");
    }
    assert!(
        !world.path("root/ostree/deploy/testos/deploy").exists() && !world.path("root/boot/loader").exists()
    );
    assert_eq!(world.read("root/boot/grub/grub.cfg"), text);
    // As it says.
    world.write("root/boot/grub/grub.cfg", &format!("{text}configfile /boot/loader/grub.cfg\n"));
    world.ok("admin --sysroot=root deploy --os=testos t/x");
    assert!(companion(&world, "--sysroot=root verify").0);
}

/// Where a loader is, and nothing was deployed yet (ostree#1774): also where its file is a link that leads nowhere.
fn a_first_deployment_finds_a_loader() {
    for (path, target) in [
        ("root/boot/syslinux/syslinux.cfg", "../loader/syslinux.cfg"),
        ("root/boot/grub2/grub.cfg", "../loader/grub.cfg"),
        ("root/boot/extlinux/extlinux.conf", "../loader/extlinux.conf"),
    ] {
        let world = prepared(&ours());
        link(&world, path, target);
        commit_and_deploy(&world, &ours(), "1.0", "");
        let (good, said, _) = companion(&world, "--sysroot=root verify");
        assert!(good && said.ends_with(": 1 entry is as it should be\n"), "{said}");
    }
}

fn counters_and_keys_come_from_the_configuration() {
    let world = prepared(&ours());
    let set = |key: &str, value: &str| world.ok(&format!("config --repo=root/ostree/repo set {key} {value}"));
    set("sysroot.boot-counting-tries", "3");
    set("sysroot.bls-append-except-default", "grub_users=\"\";zz=1");
    commit_and_deploy(&world, &ours(), "1.0", "");
    world.write("tree/usr/lib/modules/6.1.0/vmlinuz", "another kernel");
    commit_and_deploy(&world, &ours(), "2.0", "");
    let names = || {
        let mut names: Vec<_> = fs::read_dir(world.path("root/boot/loader/entries")).unwrap().collect();
        names.sort_by_key(|name| name.as_ref().unwrap().file_name());
        names.into_iter().map(|name| name.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(names(), ["ostree-1+3.conf", "ostree-2+3.conf"]);
    // A loader has counted, and another program has found the boot good.
    let entries = world.path("root/boot/loader/entries");
    fs::rename(entries.join("ostree-2+3.conf"), entries.join("ostree-2+2-1.conf")).unwrap();
    fs::rename(entries.join("ostree-1+3.conf"), entries.join("ostree-1.conf")).unwrap();
    world.ok("admin --sysroot=root set-default 1");
    assert_eq!(names(), ["ostree-1+2-1.conf", "ostree-2.conf"]);
    let text = |name: &str| world.read(&format!("root/boot/loader/entries/{name}"));
    assert!(text("ostree-1+2-1.conf").ends_with("\ngrub_users \"\"\nzz 1\n"));
    assert!(!text("ostree-2.conf").contains("grub_users"));
    set("sysroot.boot-counting-tries", "6");
    assert!(world.fails("admin --sysroot=root set-default 1").contains("boot-counting-tries=6"));
}

/// `grub-mkconfig`, as `OSTREE_GRUB2_EXEC` names it, with our `15_ostree`; the rest of it is played by a few lines.
fn grub_mkconfig_gets_our_entries() {
    let world = prepared(&ours());
    link(&world, "root/boot/grub/grub.cfg", "../loader/grub.cfg");
    world.ok("config --repo=root/ostree/repo set sysroot.bootprefix true");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../grub-scripts/15_ostree");
    for (path, text) in [
        (
            "lib/grub-mkconfig_lib",
            "grub_get_device_id() { echo id-of-$1; }\nprepare_grub_to_access_device() { echo set root=$1; }\n",
        ),
        (
            "bin/ostree",
            &format!(
                "#!/bin/sh\nshift\nexec {} admin --sysroot={} \"$@\"\n",
                ours().display(),
                world.path("root").display()
            ),
        ),
        // Files that it does not find here it takes from their places in a system.
        (
            "mkconfig",
            &format!(
                "#!/bin/sh\nexport GRUB_DEVICE=/dev/x pkgdatadir={lib} PATH={bin}:$PATH\n\
                 sed 's,/ostree/repo,{root}/ostree/repo,;s,/etc/default/grub,{lib}/default,' {script} >{lib}/15\n\
                 echo GRUB_TIMEOUT=3 >{lib}/default\nsh {lib}/15 >\"$2\"\n",
                lib = world.path("lib").display(),
                bin = world.path("bin").display(),
                root = world.path("root").display(),
            ),
        ),
    ] {
        let path = world.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    world.ok("--repo=root/ostree/repo commit --branch=t/x tree");
    let output = Command::new(ours())
        .args(["admin", "--sysroot=root", "deploy", "--os=testos", "t/x"])
        .current_dir(world.path("."))
        .env("OSTREE_GRUB2_EXEC", world.path("mkconfig"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let menu = world.read("root/boot/loader/grub.cfg");
    let start = "menuentry 'Test OS (ostree:0)' --class gnu-linux --class gnu --class os --unrestricted 'ostree-0-id-of-/dev/x' {\n\
                 load_video\nset gfxpayload=keep\ninsmod gzio\nset root=/dev/x\nlinux /boot/ostree/testos-";
    assert!(menu.starts_with(start), "{menu}");
    assert!(companion(&world, "--sysroot=root verify").0);
    let check = Command::new("grub-script-check").arg(world.path("root/boot/loader/grub.cfg")).status();
    assert!(check.unwrap_or_else(|_| panic!("grub-script-check is needed (package grub-common)")).success());
}
