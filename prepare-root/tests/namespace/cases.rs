// SPDX-License-Identifier: MIT OR Apache-2.0
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use formats::run_state::RunState;
use prepare_root::Calls;
use test_world::namespace::{Case, Need};

use crate::mountinfo::{Mounted, below};
use crate::peer;
use crate::world::{PROGRAM, World, argument, deployment, run, writable};

pub(crate) const ALL: &[Case] = &[
    ("writable_sysroot", Need::Nothing, writable_sysroot),
    ("readonly_sysroot", Need::Nothing, readonly_sysroot),
    ("boot_of_the_physical_root", Need::Nothing, boot_of_the_physical_root),
    ("var_in_the_initramfs", Need::Nothing, var_in_the_initramfs),
    ("hotfix_overlay", Need::Nothing, hotfix_overlay),
    ("mounts_below_the_physical_root_are_kept", Need::Nothing, mounts_below_the_physical_root_are_kept),
    ("every_older_kernel_call_mounts_the_same", Need::Nothing, every_older_kernel_call_mounts_the_same),
    ("older_kernel_calls_keep_mount_flags", Need::Nothing, older_kernel_calls_keep_mount_flags),
    ("a_failure_leaves_the_physical_root", Need::Nothing, a_failure_leaves_the_physical_root),
    ("planning_and_listing_touch_nothing", Need::Nothing, planning_and_listing_touch_nothing),
    ("bad_targets_are_refused", Need::Nothing, bad_targets_are_refused),
    ("links_of_another_time_do_not_stop_a_boot", Need::Nothing, links_of_another_time),
    ("the_new_root_unmounts_cleanly", Need::Nothing, the_new_root_unmounts_cleanly),
    ("a_second_run_says_what_is_wrong", Need::Nothing, a_second_run_says_what_is_wrong),
    ("a_root_that_is_mounted_readonly_yet", Need::Nothing, a_root_that_is_mounted_readonly_yet),
    ("the_configuration_of_the_initramfs_counts", Need::Nothing, the_configuration_of_the_initramfs_counts),
    ("a_mount_point_may_be_a_link", Need::Nothing, a_mount_point_may_be_a_link),
    ("output_that_nobody_reads_is_no_reason_to_fail", Need::Nothing, output_that_nobody_reads),
    ("a_place_that_is_no_mount_point_is_refused", Need::Nothing, a_place_that_is_no_mount_point_is_refused),
    ("system_calls_stay_few", Need::Program("strace"), system_calls_stay_few),
    ("the_c_program_mounts_the_same", Need::Variable(peer::VARIABLE), the_c_program_mounts_the_same),
];

fn mounts(world: &World) -> Vec<Mounted> {
    below(world.sysroot.to_str().unwrap())
}

fn places(world: &World) -> Vec<String> {
    mounts(world).into_iter().map(|mount| mount.at).collect()
}

fn boot(world: &World) {
    let output = world.program(&[], &argument("0"));
    assert!(output.status.success(), "{output:?}");
}

fn state() -> RunState {
    RunState::parse(&fs::read("/run/ostree-booted").unwrap()).unwrap()
}

fn mode(path: &str) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn writable_sysroot() {
    let world = World::new();
    boot(&world);
    assert_eq!(places(&world), ["", "/sysroot", "/usr"]);
    assert!(!writable(&world.at("usr")));
    for directory in ["", "etc", "sysroot"] {
        assert!(writable(&world.at(directory)), "{directory}");
    }
    assert!(world.at("usr/bin/true").exists() && world.at("sysroot/ostree/repo").exists());
    assert_eq!(state().sysroot_readonly, Some(false));
    assert_eq!((mode("/run/ostree"), mode("/run/ostree/.private")), (0o755, 0));
    assert_eq!(fs::read_dir("/run/ostree/.private").unwrap().count(), 0, "nothing of the assembly is left");
}

fn readonly_sysroot() {
    let world = World::new();
    world.set_readonly();
    boot(&world);
    let var = "/sysroot/ostree/deploy/debian/var";
    assert_eq!(places(&world), ["", "/etc", "/sysroot", var, "/usr"]);
    for (directory, expected) in [("etc", true), (&var[1..], true), ("usr", false), ("sysroot", false)] {
        assert_eq!(writable(&world.at(directory)), expected, "{directory}");
    }
    assert!(mounts(&world).iter().all(|mount| !mount.shared));
    let (state, root) = (state(), fs::metadata(&world.sysroot).unwrap());
    use std::os::unix::fs::MetadataExt;
    assert_eq!(state.sysroot_readonly, Some(true));
    assert_eq!(state.backing_root, Some((root.dev(), root.ino())));
}

fn boot_of_the_physical_root() {
    let fstab = |place: &str| format!("/dev/vda {place} ext4 defaults 0 2\n");
    for (loader, fstab, readonly, expected) in [
        (true, fstab("/"), false, true),
        (true, fstab("/"), true, true),
        (true, fstab("/boot"), false, false),
        (false, fstab("/"), false, false),
    ] {
        let world = World::new();
        if readonly {
            world.set_readonly();
        }
        if loader {
            world.add_loader();
        }
        world.write(&format!("{}/etc/fstab", deployment()), &fstab);
        boot(&world);
        let found = mounts(&world).into_iter().find(|mount| mount.at == "/boot");
        assert_eq!(found.is_some(), expected, "loader {loader}, fstab {fstab}");
        if let Some(mount) = found {
            assert_eq!((mount.root.as_str(), mount.readonly()), ("/boot", readonly));
        }
    }
}

fn var_in_the_initramfs() {
    for readonly in [false, true] {
        let world = World::new();
        if readonly {
            world.set_readonly();
        }
        fs::create_dir("/run/ostree").unwrap();
        fs::write("/run/ostree/initramfs-mount-var", "").unwrap();
        boot(&world);
        let var = mounts(&world).into_iter().find(|mount| mount.at == "/var").unwrap();
        assert_eq!(var.root, "/ostree/deploy/debian/var");
        assert!(var.shared && writable(&world.at("var")));
        // A mount below /var does not appear in the stateroot as well.
        run("mount", &["-t", "tmpfs", "below", world.at("var/lib").to_str().unwrap()]);
        fs::write(world.at("var/lib/file"), "").unwrap();
        assert!(!world.at("sysroot/ostree/deploy/debian/var/lib/file").exists());
    }
}

fn hotfix_overlay() {
    for mounted_readonly in [false, true] {
        let world = World::new();
        world.mkdir(&format!("{}/.usr-ovl-work", deployment()));
        world.write(&format!("{}/.usr-ovl-upper/bin/earlier", deployment()), "");
        if mounted_readonly {
            run("mount", &["-o", "remount,ro", world.sysroot.to_str().unwrap()]);
        }
        boot(&world);
        assert_eq!(places(&world), ["", "/sysroot", "/usr"]);
        assert!(world.at("usr/bin/true").exists() && world.at("usr/bin/earlier").exists());
        assert_eq!(fs::write(world.at("usr/bin/fixed"), "").is_ok(), !mounted_readonly);
        // The change lies in the deployment's overlay.
        assert_eq!(world.at(".usr-ovl-upper/bin/fixed").exists(), !mounted_readonly);
    }
}

fn mounts_below_the_physical_root_are_kept() {
    let world = World::new();
    world.mkdir("data");
    run("mount", &["-t", "tmpfs", "data", world.at("data").to_str().unwrap()]);
    world.write("data/file", "");
    boot(&world);
    assert!(world.at("sysroot/data/file").exists());
}

fn every_older_kernel_call_mounts_the_same() {
    let prepared = |calls: &Calls, readonly: bool| {
        let world = World::new();
        if readonly {
            world.set_readonly();
        }
        fs::create_dir("/run/ostree").unwrap();
        fs::write("/run/ostree/initramfs-mount-var", "").unwrap();
        world.prepare_with(calls).unwrap();
        let mounts = mounts(&world);
        assert_eq!(mounts.len(), if readonly { 6 } else { 4 });
        mounts
    };
    for readonly in [false, true] {
        let expected = prepared(&Calls::ALL, readonly);
        for calls in [
            Calls { openat2: false, ..Calls::ALL },
            Calls { open_tree: false, ..Calls::ALL },
            Calls { mount_setattr: false, ..Calls::ALL },
            Calls::OLDEST,
        ] {
            assert_eq!(prepared(&calls, readonly), expected, "{calls:?}");
        }
    }
}

fn older_kernel_calls_keep_mount_flags() {
    for calls in [Calls::ALL, Calls { mount_setattr: false, ..Calls::ALL }, Calls::OLDEST] {
        let world = World::new();
        world.set_readonly();
        run("mount", &["-o", "remount,bind,nodev,nosuid", world.sysroot.to_str().unwrap()]);
        world.prepare_with(&calls).unwrap();
        for mount in mounts(&world) {
            let has = |option: &str| mount.options.iter().any(|o| o == option);
            assert!(has("nodev") && has("nosuid"), "{calls:?}: {mount:?}");
            assert_eq!(mount.readonly(), ["/usr", "/sysroot"].contains(&&*mount.at), "{calls:?}: {mount:?}");
        }
    }
}

fn a_failure_leaves_the_physical_root() {
    for calls in [Calls::ALL, Calls::OLDEST] {
        let world = World::new();
        world.set_readonly();
        let before = mounts(&world);
        // An upper directory that is missing is found out by the kernel only.
        world.mkdir(&format!("{}/.usr-ovl-work", deployment()));
        let error = world.prepare_with(&calls).unwrap_err().to_string();
        assert!(error.starts_with("mounting /usr from the hotfix overlay: "), "{error}");
        assert_eq!(mounts(&world), before);
        assert!(world.at("ostree/repo/config").exists() && !Path::new("/run/ostree-booted").exists());
        assert!(below("/run/ostree").is_empty());
        // And the next try works.
        fs::remove_dir(world.at(&format!("{}/.usr-ovl-work", deployment()))).unwrap();
        world.prepare_with(&calls).unwrap();
    }
}

fn planning_and_listing_touch_nothing() {
    let world = World::new();
    world.boot_link("1", "../../../deploy/debian/deploy/gone.0");
    world.mkdir(&format!("ostree/deploy/debian/deploy/{}.7/usr", "3c".repeat(32)));
    world.write(&format!("{}/usr/lib/os-release", deployment()), "PRETTY_NAME=\"Debian 13\"\n");
    let before = below("");
    let said = |options: &[&str]| {
        let output = world.program(options, &argument("0"));
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(said(&["--plan"]).contains("  /usr from /ostree/deploy/debian/deploy/"));
    let json: serde_json::Value = serde_json::from_str(&said(&["--plan=json"])).unwrap();
    assert_eq!(json["mounts"][0]["from"], format!("/{}", deployment()));

    let list = said(&["--list"]);
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines.len(), 4, "{list}");
    assert!(
        lines[0].starts_with("ok ostree=/ostree/boot.1/debian/") && lines[0].ends_with(&deployment()),
        "{list}"
    );
    assert!(
        lines[1].starts_with("no ostree=") && lines[1].contains("gone.0, which does not exist"),
        "{list}"
    );
    assert_eq!(lines[2], format!("ok deployment /{} (Debian 13)", deployment()));
    assert!(lines[3].starts_with("no deployment /") && lines[3].contains("no directory etc"), "{list}");

    assert_eq!(below(""), before);
    assert!(!Path::new("/run/ostree").exists());
}

fn bad_targets_are_refused() {
    let world = World::new();
    world.boot_link("dangling", "../../../deploy/debian/deploy/gone.0");
    world.boot_link("loop", "loop");
    world.boot_link("escape", "../../../../../../../etc");
    for (line, message) in [
        ("quiet".to_owned(), "no ostree= argument"),
        (argument("missing"), "/missing does not exist"),
        (argument("dangling"), "gone.0, which does not exist"),
        (argument("loop"), "is a loop of links"),
        (argument("escape"), "leads out of the physical root"),
        (
            format!("{} ostree.prepare-root.composefs=signed", argument("0")),
            "composefs.enabled=signed is not supported",
        ),
        (format!("{} ostree.prepare-root.composefs=what", argument("0")), "must be one of no, maybe"),
    ] {
        let output = world.program(&[], &line);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(error.starts_with("ostree-prepare-root: ") && error.contains(message), "{line}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert_eq!(places(&world), [""]);
    }
    assert!(!Path::new("/run/ostree").exists(), "nothing was begun");
}

fn links_of_another_time() {
    let world = World::new();
    fs::remove_file(world.at("ostree/boot.1")).unwrap();
    fs::rename(world.at("ostree/boot.1.1"), world.at("ostree/boot.0.0")).unwrap();
    world.link("boot.0.0", "ostree/boot.0");
    let output = world.program(&["--plan"], &argument("0"));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("/ostree/boot.1 does not exist") && text.contains("to which /ostree/boot.0/"),
        "{text}"
    );
    let output = world.program(&[], &argument("0"));
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8(output.stdout).unwrap().contains("fsck-boot --repair"));
    assert!(world.at("usr/bin/true").exists(), "the deployment is the root");
}

/// At shutdown everything is unmounted from the leaves up. A mount that stands in a circle could not be.
fn the_new_root_unmounts_cleanly() {
    let world = World::new();
    world.set_readonly();
    boot(&world);
    for mount in mounts(&world).iter().rev() {
        run("umount", &[&format!("{}{}", world.sysroot.display(), mount.at)]);
    }
    assert_eq!(places(&world), Vec::<String>::new());
}

fn a_second_run_says_what_is_wrong() {
    let world = World::new();
    boot(&world);
    let before = mounts(&world);
    let output = world.program(&[], &argument("0"));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && error.contains("/ostree does not exist"), "{error}");
    assert_eq!(mounts(&world), before);
}

/// The kernel mounts a root `ro` unless told otherwise; it is checked and remounted in the real root.
fn a_root_that_is_mounted_readonly_yet() {
    for (readonly, expected) in [(true, vec!["etc", "sysroot/ostree/deploy/debian/var"]), (false, vec![])] {
        let world = World::new();
        if readonly {
            world.set_readonly();
        }
        run("mount", &["-o", "remount,ro", world.sysroot.to_str().unwrap()]);
        boot(&world);
        assert!(!writable(&world.at("etc")));
        run("mount", &["-o", "remount,rw", world.sysroot.to_str().unwrap()]);
        for directory in ["etc", "usr", "sysroot", "sysroot/ostree/deploy/debian/var"] {
            // Without a mount of its own, /etc is a part of the root.
            let expected = expected.contains(&directory) || (!readonly && directory == "etc");
            assert_eq!(writable(&world.at(directory)), expected, "{directory}, readonly {readonly}");
        }
    }
}

fn the_configuration_of_the_initramfs_counts() {
    let world = World::new();
    for directory in ["/run/upper", "/run/work"] {
        fs::create_dir(directory).unwrap();
    }
    run(
        "mount",
        &["-t", "overlay", "etc", "-o", "lowerdir=/etc,upperdir=/run/upper,workdir=/run/work", "/etc"],
    );
    fs::create_dir_all("/etc/ostree").unwrap();
    let configure = |text: &[u8]| fs::write("/etc/ostree/prepare-root.conf", text).unwrap();
    for (text, message) in [
        (&b"[etc]\ntransient=true\n"[..], "etc.transient=true is not supported by this version"),
        (b"[sysroot]\nreadonly=tru", "/etc/ostree/prepare-root.conf: [sysroot] readonly=tru"),
        (b"[sysroot]\nreadonly", "/etc/ostree/prepare-root.conf: line 2"),
        (b"[sysroot]\nreadonly=\xc3", "reading /etc/ostree/prepare-root.conf: not UTF-8 text"),
    ] {
        configure(text);
        let output = world.program(&[], &argument("0"));
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(error.contains(message), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert_eq!(places(&world), [""]);
    }
    configure(b"[sysroot]\nreadonly=true\n");
    boot(&world);
    assert_eq!(state().sysroot_readonly, Some(true));
    assert!(!writable(&world.at("sysroot")) && writable(&world.at("etc")));
}

fn a_mount_point_may_be_a_link() {
    let world = World::new();
    std::os::unix::fs::symlink(&world.sysroot, "/run/link").unwrap();
    let output = Command::new(PROGRAM).args(["/run/link", &argument("0")]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(places(&world), ["", "/sysroot", "/usr"]);
}

fn output_that_nobody_reads() {
    for (option, status) in [(None, 0), (Some("--list"), 0), (Some("--plan"), 0), (Some("--frob"), 1)] {
        let world = World::new();
        world.set_readonly();
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = Command::new(PROGRAM);
        command.args(option).arg(&world.sysroot).arg(argument("0"));
        let finished = command.stdout(writer.try_clone().unwrap()).stderr(writer).status().unwrap();
        assert_eq!(finished.code(), Some(status), "{option:?}: {finished}");
    }
}

fn a_place_that_is_no_mount_point_is_refused() {
    let world = World::new();
    let inner = world.at("inner");
    fs::create_dir(&inner).unwrap();
    fs::rename(world.at("ostree"), inner.join("ostree")).unwrap();
    let before = below("");
    for (place, message) in [
        (inner.to_str().unwrap(), "inner is not a mount point; mount the physical root there"),
        ("/", "SYSROOT / must be a mount point below /"),
        ("/run/..", "SYSROOT /run/.. must be a mount point below /"),
        ("/nonexistent", "opening the physical root /nonexistent: No such file or directory"),
    ] {
        let output = Command::new(PROGRAM).args([place, &argument("0")]).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(error.contains(message), "{error}");
        assert_eq!(below(""), before);
        assert!(!Path::new("/run/ostree-booted").exists());
    }
}

/// Counted from the first call of the program's own: how it was linked is no matter of this test.
fn system_calls_stay_few() {
    let world = World::new();
    world.set_readonly();
    fs::create_dir("/run/strace").unwrap();
    let traced = Command::new("strace")
        .env_remove("LD_LIBRARY_PATH")
        .args(["-f", "-o", "/run/strace/log", PROGRAM])
        .arg(&world.sysroot)
        .arg(argument("0"))
        .output()
        .unwrap();
    assert!(traced.status.success(), "{traced:?}");
    let log = fs::read_to_string("/run/strace/log").unwrap();
    let open = format!("openat(AT_FDCWD, \"{}\"", world.sysroot.display());
    let own = log.lines().skip_while(|line| !line.contains(&open));
    // A debug build checks each descriptor before it closes it.
    let calls = own.filter(|line| line.contains('(') && !line.contains("F_GETFD")).count();
    assert!((30..=90).contains(&calls), "{calls} calls:\n{log}");
}

fn the_c_program_mounts_the_same() {
    let program = peer::program().unwrap();
    let all = (0..16).map(|bits| (bits & 1 != 0, bits & 2 != 0, bits & 4 != 0, bits & 8 != 0));
    for (readonly, hotfix, mounted_readonly, loader) in all {
        let prepared = |prepare: &dyn Fn(&World) -> bool| {
            let world = World::new();
            if readonly {
                world.set_readonly();
            }
            if hotfix {
                world.mkdir(&format!("{}/.usr-ovl-work", deployment()));
                world.mkdir(&format!("{}/.usr-ovl-upper", deployment()));
            }
            if loader {
                world.add_loader();
            }
            if mounted_readonly {
                run("mount", &["-o", "remount,ro", world.sysroot.to_str().unwrap()]);
            }
            prepare(&world).then(|| (mounts(&world), fs::read("/run/ostree-booted").unwrap()))
        };
        let ours = prepared(&|world| {
            boot(world);
            true
        });
        let theirs = prepared(&|world| {
            let output = peer::run(&program, &world.sysroot, &argument("0"));
            // It does not boot a hotfix when the root is mounted read-only.
            assert_eq!(output.status.success(), !(hotfix && mounted_readonly), "{output:?}");
            output.status.success()
        });
        if let (Some(ours), Some(mut theirs)) = (ours, theirs) {
            // The boot.mount of 2026 takes it from the read-only /sysroot, and so do we.
            for boot in theirs.0.iter_mut().filter(|mount| readonly && mount.at == "/boot") {
                boot.options[0].replace_range(.., "ro");
            }
            assert_eq!(ours.0, theirs.0, "readonly {readonly}, hotfix {hotfix}, ro {mounted_readonly}");
            compare_states(&ours.1, &theirs.1);
        }
    }
}

/// Device and inode differ from run to run, and 2025.2 does not write `root.transient-ro` yet.
fn compare_states(ours: &[u8], theirs: &[u8]) {
    let (mut our_state, their_state) = (RunState::parse(ours).unwrap(), RunState::parse(theirs).unwrap());
    assert_eq!(their_state.to_bytes(), theirs, "written as the C program writes it");
    assert!(our_state.backing_root.is_some());
    our_state.backing_root = their_state.backing_root;
    if their_state.root_transient_ro.is_none() {
        assert_eq!(our_state.root_transient_ro.take(), Some(false));
    }
    assert_eq!(our_state, their_state);
}
