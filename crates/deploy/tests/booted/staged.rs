// SPDX-License-Identifier: MIT OR Apache-2.0
//! Staging, what may happen to a staged deployment, and its finalization.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use deploy::{Base, Check, DeployOptions, Edits, Finalized};
use durable::{Method, Proof};
use formats::Checksum;
use sysroot::{Origin, Retention, Topic};

use test_world::World;
use test_world::namespace::{Case, Need};
use test_world::system::{
    Boot, RECORD, STAMP, boot, default_entry, deploy_first, deployment, finalize, list, mount, open, record,
    running, stage, status, told, try_finalize, try_stage,
};

pub(crate) const CASES: &[Case] = &[
    ("an_update_is_staged_and_applied_at_shutdown", Need::Nothing, staged_and_finalized),
    ("staging_again_takes_the_place_of_the_former", Need::Nothing, staged_again),
    ("a_locked_deployment_waits", Need::Nothing, locked),
    ("what_puts_another_one_first_gives_it_up", Need::Nothing, given_up),
    ("what_leaves_it_first_keeps_it", Need::Nothing, kept),
    ("kernel_arguments_of_a_staged_deployment", Need::Nothing, kernel_arguments),
    ("a_failure_is_told_at_the_next_boot", Need::Nothing, failure),
    ("a_record_of_no_use_stops_nothing_but_the_switch", Need::Nothing, useless_record),
    ("keys_and_initrds_of_other_tools_come_along", Need::Nothing, of_other_tools),
    ("what_else_was_asked_for_holds_at_shutdown", Need::Nothing, options),
    ("what_was_ignored_is_ignored_at_shutdown", Need::Nothing, ignored),
    ("options_of_staging_hold_at_shutdown", Need::Nothing, options_of_sysroot),
    ("what_cannot_be_is_refused_at_once", Need::Nothing, refused),
    ("an_xfs_as_the_running_root_needs_no_reboot", Need::Nothing, xfs_is_pushed),
    ("what_the_switch_would_refuse_is_refused_at_once", Need::Nothing, reboot_first),
    ("changes_that_stay_behind_are_told", Need::Nothing, left_behind),
    ("a_good_boot_ends_the_update", Need::Nothing, good_boot),
];

fn staged_and_finalized() {
    running();
    let (entry, changed) = (default_entry(), || fs::metadata("/sysroot/ostree/deploy").unwrap().mtime_nsec());
    fs::write("/etc/early", "early\n").unwrap();
    let before = changed();
    let name = stage();
    assert_ne!(changed(), before, "who watches the deployments is told");
    assert_eq!(list(), ["2s", "1*"]);
    assert!(status().to_string().starts_with(&format!("  testos {name} (staged)\n    Version: 2\n")));
    assert!(status().deployments[0].pending);
    assert!(status().deployments[0].kernel_args.starts_with("root=LABEL=r rw "));
    assert_eq!(default_entry(), entry, "the boot menu is as it was");
    assert_eq!(fs::read_dir("/boot/ostree").unwrap().count(), 2, "the kernel is there");
    assert_eq!(fs::read_to_string("/run/systemctl.log").unwrap(), "start ostree-finalize-staged.service\n");
    assert!(!deployment(&name).join("etc/early").exists());

    fs::write("/etc/conf", "local\n").unwrap();
    fs::remove_file("/etc/d/more").unwrap();
    fs::write("/sysroot/ostree/deploy/testos/var/.updated", "").unwrap();
    fs::write(STAMP, "of an earlier shutdown").unwrap();
    let done = finalize();
    assert_eq!(done.etc, Some([1, 1, 1]));
    assert_eq!(list(), ["2", "1*"]);
    let tree = deployment(&name);
    for (path, text) in [("conf", "local\n"), ("early", "early\n"), ("new", "default\n")] {
        assert_eq!(fs::read_to_string(tree.join("etc").join(path)).unwrap(), text);
    }
    assert!(!tree.join("etc/d/more").exists());
    assert!(fs::write(tree.join("x"), "").is_err(), "the top of a deployment is immutable");
    assert!(!Path::new("/sysroot/ostree/deploy/testos/var/.updated").exists());
    assert!(!Path::new(RECORD).exists() && !Path::new(STAMP).exists());
    assert!(
        default_entry().contains("\noptions root=LABEL=r rw ostree=/ostree/boot."),
        "{}",
        default_entry()
    );
    assert!(matches!(try_finalize().unwrap(), Finalized::NothingStaged));
}

fn staged_again() {
    running();
    let first = try_stage(&DeployOptions::new("main"), true).unwrap();
    let second = stage();
    assert_ne!(first, second);
    assert!(!deployment(&first).exists(), "there is one at a time");
    assert_eq!(list(), ["2s", "1*"], "the lock was the former one's");
    finalize();
    assert_eq!(list(), ["2", "1*"]);
}

fn locked() {
    running();
    let set = |on| {
        let sysroot = open();
        let lock = sysroot.lock(|| ()).unwrap();
        deploy::lock_finalization(&lock, on).unwrap()
    };
    assert_eq!(set(true), None);
    try_stage(&DeployOptions::new("main"), true).unwrap();
    assert_eq!(list(), ["2sl", "1*"]);
    assert!(record().locked && Path::new("/run/ostree/staged-deployment-locked").exists());
    assert!(status().to_string().contains(" (finalization locked)\n"));
    assert_eq!(set(true), Some(false));
    assert!(matches!(try_finalize().unwrap(), Finalized::Locked(_)));
    assert_eq!(list(), ["2sl", "1*"], "it is still there");
    assert_eq!(set(false), Some(true));
    assert_eq!(list(), ["2s", "1*"]);
    // The older form alone counts as well.
    fs::write("/run/ostree/staged-deployment-locked", "").unwrap();
    assert!(matches!(try_finalize().unwrap(), Finalized::Locked(_)));
    assert_eq!(set(false), Some(true));
    finalize();
}

fn given_up() {
    running();
    type Change = fn(&sysroot::Lock<'_>);
    let changes: [Change; 4] = [
        |lock| drop(deploy::undeploy(lock, 0).unwrap()),
        |lock| drop(deploy::rollback(lock).unwrap()),
        |lock| drop(deploy::set_default(lock, 1).unwrap()),
        |lock| drop(deploy::deploy(lock, &DeployOptions::new("main")).unwrap()),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let name = stage();
        let sysroot = open();
        change(&sysroot.lock(|| ()).unwrap());
        assert!(!Path::new(RECORD).exists(), "{index}");
        assert!(!deployment(&name).exists(), "{index}");
        assert!(matches!(try_finalize().unwrap(), Finalized::NothingStaged));
    }
    assert_eq!(list(), ["2", "1*"], "what was deployed is there");
}

fn kept() {
    running();
    let sysroot = open();
    let lock = sysroot.lock(|| ()).unwrap();
    deploy::deploy(&lock, &DeployOptions::new("main")).unwrap();
    drop(lock);
    let name = stage();
    assert_eq!(list(), ["2s", "2", "1*"]);
    let lock = sysroot.lock(|| ()).unwrap();
    deploy::undeploy(&lock, 1).unwrap();
    deploy::set_default(&lock, 0).unwrap();
    let booted = sysroot.load().unwrap().deployments[1].clone();
    assert!(deploy::pin(&lock, &booted.path, true).unwrap());
    let cleaned = deploy::cleanup(&lock).unwrap();
    assert!(cleaned.deployments.is_empty());
    let boot_files = || fs::read_dir("/boot/ostree").unwrap().map(|dir| dir.unwrap().path());
    assert_eq!(boot_files().count(), 2, "the record names its boot files");
    // The C tools take them away, and then they are copied at shutdown.
    let awaited = format!("/boot/ostree/testos-{}", record().target.boot_checksum);
    assert!(boot_files().any(|path| path == Path::new(&awaited)));
    fs::remove_dir_all(awaited).unwrap();
    let staged = sysroot.load().unwrap().deployments[0].clone();
    let error = deploy::pin(&lock, &staged.path, true).unwrap_err().to_string();
    assert!(error.contains("Cannot pin staged deployment"), "{error}");
    assert!(deploy::undeploy(&lock, 1).unwrap_err().to_string().contains("currently booted"));
    drop(lock);
    assert_eq!(list(), ["2s", "1*"]);
    finalize();
    assert_eq!(format!("{}.{}", status().deployments[0].checksum, status().deployments[0].serial), name);
}

fn kernel_arguments() {
    running();
    let edit = |word: &str| {
        let sysroot = open();
        let lock = sysroot.lock(|| ()).unwrap();
        let append = Edits { append: vec![word.to_owned()], ..Edits::default() };
        deploy::edit_kernel_args(&lock, None, &append).unwrap();
    };
    stage();
    assert_eq!(record().kernel_args, None, "those of the running system may still change");
    edit("late=\"a b\"");
    assert_eq!(list(), ["2s", "1*"]);
    for row in status().deployments {
        assert!(row.kernel_args.ends_with(" late=\"a b\""), "{}", row.kernel_args);
    }
    edit("later");
    finalize();
    assert!(default_entry().contains(" late=\"a b\" later\n"), "{}", default_entry());

    let mut options = DeployOptions::new("main");
    options.kernel_args.append = vec!["mine".to_owned()];
    try_stage(&options, false).unwrap();
    assert!(record().kernel_args.unwrap().ends_with(&["mine".to_owned()]));
    finalize();
    assert!(default_entry().contains(" rw ") && default_entry().contains(" mine\n"), "{}", default_entry());
}

fn failure() {
    running();
    let entry = default_entry();
    let name = stage();
    fs::remove_dir(deployment(&name).join("usr/lib/modules")).unwrap_err();
    fs::remove_dir_all(deployment(&name).join("usr/lib/modules")).unwrap();
    let error = format!("{:#}", try_finalize().unwrap_err());
    assert!(error.starts_with("Finalizing staged deployment: "), "{error}");
    assert_eq!(fs::read_to_string(STAMP).unwrap(), error);
    assert_eq!(default_entry(), entry);
    assert_eq!(list(), ["1*"]);
    assert!(matches!(try_finalize().unwrap(), Finalized::NothingStaged), "it is not tried again");
    assert!(Path::new(STAMP).exists(), "and its reason stays");
    let noted = || {
        status()
            .notes
            .iter()
            .any(|note| note.topic == Topic::FinalizationFailed && note.text.contains(&error))
    };
    assert!(noted());
    assert_eq!(told().as_ref(), Some(&error));
    assert_eq!(told(), None, "told once");
    assert!(noted(), "and a status says it for the rest of the boot");
    let sysroot = open();
    let good = deploy::boot_good(&sysroot.lock(|| ()).unwrap()).unwrap();
    assert!(good.cleaned.deployments.is_empty(), "the next boot takes it up");
    stage();
    assert!(!noted(), "until there is something new");
    finalize();
    assert_eq!(list(), ["2", "1*"]);
}

fn useless_record() {
    running();
    let name = stage();
    let bytes = fs::read(RECORD).unwrap();
    for damaged in [&bytes[..20], b"garbage", b""] {
        fs::write(RECORD, damaged).unwrap();
        assert_eq!(list(), ["1*"]);
        let problem = open().load().unwrap().staged_problem.unwrap();
        assert!(problem.contains(RECORD), "{problem}");
        let notes = status().notes;
        assert!(notes.iter().any(|note| note.text.contains(&problem)), "{notes:?}");
        let error = format!("{:#}", try_finalize().unwrap_err());
        assert!(error.contains(RECORD), "{error}");
        assert_eq!(told(), Some(error));
    }
    fs::write(RECORD, &bytes).unwrap();
    let tree = fs::File::open(deployment(&name).parent().unwrap()).unwrap();
    durable::remove_tree(std::os::fd::AsFd::as_fd(&tree), &name).unwrap();
    assert_eq!(list(), ["1*"]);
    let error = format!("{:#}", try_finalize().unwrap_err());
    assert!(error.contains("The staged deployment is gone"), "{error}");
}

fn of_other_tools() {
    running();
    let sysroot = open();
    stage();
    let initrd = "more files";
    let checksum = Checksum::of(initrd.as_bytes());
    fs::create_dir("/run/ostree/staged-initrds").unwrap();
    fs::write(format!("/run/ostree/staged-initrds/{checksum}"), initrd).unwrap();
    let mut staged = record();
    staged.extra = vec![("x-options-source-tuned".to_owned(), "nohz=on".to_owned())];
    fs::write(RECORD, staged.to_bytes()).unwrap();
    // Staged by somebody who does not know of the keys: they stay.
    stage();
    assert_eq!(record().extra, staged.extra);
    let staged = formats::staged::Staged { overlay_initrds: vec![checksum], ..record() };
    fs::write(RECORD, staged.to_bytes()).unwrap();
    finalize();
    let entry = default_entry();
    assert!(entry.contains("\nx-options-source-tuned nohz=on\n"), "{entry}");
    let path = format!("ostree/initramfs-overlays/{checksum}.img");
    assert!(entry.contains(&format!("\ninitrd /{path}\n")), "{entry}");
    assert_eq!(fs::read_to_string(Path::new("/boot").join(path)).unwrap(), initrd);

    // The last word counts, once.
    let lock = sysroot.lock(|| ()).unwrap();
    deploy::stage(&lock, &DeployOptions::new("main"), false).unwrap();
    drop(lock);
    let merge = sysroot.load().unwrap().deployments[1].path.clone();
    let mut staged = record();
    staged.merge.as_mut().unwrap().path = merge;
    staged.extra = vec![("x-options-source-tuned".to_owned(), "nohz=off".to_owned())];
    fs::write(RECORD, staged.to_bytes()).unwrap();
    finalize();
    let entry = default_entry();
    assert_eq!(entry.matches("x-options-source-tuned").count(), 1, "{entry}");
    assert!(entry.contains("\nx-options-source-tuned nohz=off\n"), "{entry}");
}

/// The running deployment with one before and one behind it, and what they are after a staged update.
fn options() {
    running();
    let sysroot = open();
    let plain = || DeployOptions::new("main");
    let keep = |all, pending, rollback| Retention { all, pending, rollback };
    for (retention, as_default, expected) in [
        (keep(false, false, false), true, &["2", "1*"][..]),
        (keep(false, true, false), true, &["2", "2", "1*"]),
        (keep(false, false, true), true, &["2", "1*", "1"]),
        (keep(true, false, false), true, &["2", "2", "1*", "1"]),
        (keep(true, false, false), false, &["2", "1*", "2", "1"]),
        (keep(false, false, false), false, &["1*", "2"]),
    ] {
        let lock = sysroot.lock(|| ()).unwrap();
        while sysroot.load().unwrap().deployments.len() > 1 {
            let loaded = sysroot.load().unwrap();
            deploy::undeploy(&lock, loaded.deployments.iter().position(|d| !d.booted).unwrap()).unwrap();
        }
        let first = sysroot.load().unwrap().deployments[0].path.checksum.to_string();
        let behind = DeployOptions { as_default: false, ..DeployOptions::new(&first) };
        deploy::deploy(&lock, &behind).unwrap();
        let before = DeployOptions { retention: keep(true, false, false), ..plain() };
        deploy::deploy(&lock, &before).unwrap();
        drop(lock);
        assert_eq!(list(), ["2", "1*", "1"]);
        try_stage(&DeployOptions { retention, as_default, ..plain() }, false).unwrap();
        assert_eq!(list(), ["2s", "2", "1*", "1"]);
        let expected_next = Some(if as_default { 0 } else { 2 - usize::from(retention.all) });
        assert_eq!(status().next_boot.index, expected_next);
        finalize();
        assert_eq!(list(), expected, "{retention:?} {as_default}");
    }

    // Without the configuration of what runs, with another origin and other kernel arguments, and nothing pruned.
    fs::write("/etc/conf", "local\n").unwrap();
    let mut kernel_args = Edits { base: Base::Empty, ..Edits::default() };
    kernel_args.set.push("own=1".to_owned());
    let origin = Some(Origin::new("another"));
    let name =
        try_stage(&DeployOptions { merge: false, prune: false, origin, kernel_args, ..plain() }, false)
            .unwrap();
    finalize();
    assert_eq!(fs::read_to_string(deployment(&name).join("etc/conf")).unwrap(), "default 2\n");
    assert!(default_entry().contains("\noptions own=1 ostree="), "{}", default_entry());
    assert_eq!(status().deployments[0].refspec.as_deref(), Some("another"));
    let bare = DeployOptions { merge: false, ..plain() };
    try_stage(&bare, false).unwrap();
    finalize();
    assert!(default_entry().contains("\noptions ostree="), "{}", default_entry());
}

/// The shutdown ignores the findings that staging has ignored; nobody can be asked then.
fn ignored() {
    let world = World::new();
    world.commit("bad", "bad", |tree| fs::remove_dir(tree.join("proc")).unwrap());
    deploy_first(&world, &Boot::Bound);
    boot(world, &Boot::Bound);
    let error = format!("{:#}", try_stage(&DeployOptions::new("bad"), false).unwrap_err());
    assert!(error.contains("no directory /proc") && error.contains("--ignore=mount-points"), "{error}");
    assert!(!sysroot::is_anything_staged().unwrap());
    let ignoring = DeployOptions { ignore: vec![Check::MountPoints], ..DeployOptions::new("bad") };
    try_stage(&ignoring, false).unwrap();
    assert_eq!(record().ignore, ["mount-points"]);
    finalize();
    assert_eq!(list(), ["bad", "1*"]);
}

/// The shutdown honours the options that the staging process had in its environment, which it does not have itself.
fn options_of_sysroot() {
    const VALUE: &[u8] = b"value";
    let world = World::new();
    world.commit("trees", "trees", |tree| {
        let dtb = tree.join("usr/lib/modules/6.1.0/dtb");
        fs::create_dir(&dtb).unwrap();
        fs::write(dtb.join("board.dtb"), "board").unwrap();
    });
    deploy_first(&world, &Boot::Bound);
    boot(world, &Boot::Bound);
    fs::write("/etc/mine", "local\n").unwrap();
    let none = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr("/etc/mine", "trusted.mine", VALUE, none).unwrap();
    let options = sysroot::Options {
        no_xattrs: true,
        no_device_trees: true,
        stateroot_in_names: true,
        ..sysroot::Options::default()
    };
    let sysroot = open().with_options(&options);
    let lock = sysroot.lock(|| ()).unwrap();
    let name = deploy::stage(&lock, &DeployOptions::new("trees"), false).unwrap().path.name();
    drop(lock);
    assert_eq!(record().options, ["no-xattrs", "no-dtb", "bootloader-naming-1"]);
    finalize();
    assert_eq!(list(), ["trees", "1*"]);
    assert!(Path::new("/boot/loader/entries/ostree-2-testos.conf").exists());
    assert!(
        !default_entry().contains("dtb") && !default_entry().contains("devicetree"),
        "{}",
        default_entry()
    );
    let mine = deployment(&name).join("etc/mine");
    assert_eq!(fs::read_to_string(&mine).unwrap(), "local\n");
    let mut value = [0; 16];
    let read = rustix::fs::getxattr(&mine, "trusted.mine", &mut value);
    assert_eq!(read, Err(rustix::io::Errno::NODATA));
}

fn refused() {
    let world = World::on_small_disk(128);
    deploy_first(&world, &Boot::Bound);
    // Another root is not the running system's.
    let sysroot = world.sysroot();
    let error = deploy::stage(&sysroot.lock(|| ()).unwrap(), &world.options("main"), false).unwrap_err();
    assert!(format!("{error:#}").contains("Not currently booted into an OSTree system"), "{error:#}");
    drop(sysroot);
    world.commit("no-kernel", "3", |tree| fs::remove_dir_all(tree.join("usr/lib/modules")).unwrap());
    let kernel = "usr/lib/modules/6.1.0/vmlinuz";
    let damaged = world.commit("damaged", "3", |tree| fs::write(tree.join(kernel), "kernel 3").unwrap());
    fs::write(world.object(&damaged, kernel), "kernel x").unwrap();
    boot(world, &Boot::Bound);
    for (options, words) in
        [(DeployOptions::new("no-kernel"), "kernel"), (DeployOptions::new("damaged"), "ostree fsck --delete")]
    {
        let error = format!("{:#}", try_stage(&options, false).unwrap_err());
        assert!(error.contains(words), "{error}");
        assert!(!Path::new(RECORD).exists());
    }
    // Without the service nothing would be applied.
    fs::write("/run/bin/systemctl", "#!/usr/bin/bash\nexit 3\n").unwrap();
    let error = format!("{:#}", try_stage(&DeployOptions::new("main"), false).unwrap_err());
    assert!(error.contains("ostree-finalize-staged.service"), "{error}");
    assert!(!Path::new(RECORD).exists());
    assert_eq!(list(), ["1*"]);
}

/// The running root is an xfs, whose log can be brought to its place: nobody has to reboot in between.
fn xfs_is_pushed() {
    let world = World::on_xfs();
    deploy_first(&world, &Boot::Bound);
    boot(world, &Boot::Bound);
    stage();
    assert_eq!(finalize().switched.outcome.proof, Proof::Proven(Method::Push));
    assert_eq!(list(), ["2", "1*"]);
    stage();
    assert!(finalize().switched.outcome.proof.is_proven());
}

/// The same where the kernel does not let us: what was switched since the machine was started, a boot loader may not see yet.
fn reboot_first() {
    let world = World::on_xfs();
    deploy_first(&world, &Boot::Bound);
    boot(world, &Boot::Bound);
    for switch in ["/proc/sys/vm/laptop_mode", "/proc/sys/vm/drop_caches"] {
        mount(&["--bind", switch], Path::new(switch));
        mount(&["-o", "remount,bind,ro"], Path::new(switch));
    }
    // Switched under this boot.
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    fs::write("/sysroot/ostree/boot-switch", format!("boot-id={boot_id}boot-version=1\n")).unwrap();
    let error = format!("{:#}", try_stage(&DeployOptions::new("main"), false).unwrap_err());
    assert!(error.contains("reboot first"), "{error}");
    assert!(!Path::new(RECORD).exists());
    assert_eq!(list(), ["1*"]);
    // The same after a reboot.
    let switched_before = |boot_version| {
        let note = format!("boot-id=another\nboot-version={boot_version}\n");
        fs::write("/sysroot/ostree/boot-switch", note).unwrap();
    };
    switched_before(1);
    stage();
    let done = finalize();
    assert!(!done.switched.outcome.proof.is_proven());
    let sysroot = open();
    let good = deploy::boot_good(&sysroot.lock(|| ()).unwrap()).unwrap();
    assert!(good.unproven.is_some() && good.swept.is_empty(), "{good:?}");
    switched_before(0);
    let good = deploy::boot_good(&sysroot.lock(|| ()).unwrap()).unwrap();
    assert!(good.unproven.is_none() && !good.swept.is_empty(), "{good:?}");
}

fn left_behind() {
    running();
    fs::write("/etc/early", "").unwrap();
    let sysroot = open();
    let deploy = || deploy::deploy(&sysroot.lock(|| ()).unwrap(), &DeployOptions::new("main")).unwrap();
    let told = || {
        let told = status().notes.into_iter().find(|note| note.topic == Topic::EtcLeftBehind);
        told.map(|note| note.text.split(' ').next().unwrap().to_owned())
    };
    type Edit = fn();
    let edits: [(Edit, &str); 3] = [
        (|| fs::write("/etc/late", "").unwrap(), "/etc/late"),
        (|| fs::write("/etc/conf", "later").unwrap(), "/etc/conf"),
        (|| fs::remove_file("/etc/d/more").unwrap(), "/etc/d/more"),
    ];
    for (edit, path) in edits {
        assert!(deploy().of_running);
        assert_eq!(told(), None, "{path}");
        edit();
        assert_eq!(told().as_deref(), Some(path));
    }
    stage();
    assert_eq!(told(), None, "it is carried over at shutdown");
    finalize();
    assert_eq!(told(), None);
}

fn good_boot() {
    running();
    stage();
    finalize();
    let sysroot = open();
    let lock = sysroot.lock(|| ()).unwrap();
    assert!(deploy::is_settled(&sysroot).unwrap());
    let good = deploy::boot_good(&lock).unwrap();
    assert!(good.swept.is_empty() && good.cleaned.deployments.is_empty(), "there is nothing to do: {good:?}");
    // These are left by a power cut; systemd-bless-boot has renamed the entry meanwhile.
    fs::create_dir_all(deployment(&format!("{}.0", "ab".repeat(32))).join("usr")).unwrap();
    assert!(!deploy::is_settled(&sysroot).unwrap());
    fs::create_dir_all("/boot/loader.tmp").unwrap();
    fs::rename("/boot/loader/entries/ostree-2.conf", "/boot/loader/entries/ostree-2+2-1.conf").unwrap();
    let good = deploy::boot_good(&lock).unwrap();
    assert_eq!(good.swept, ["/boot/loader.tmp"]);
    // The last switch has spared this one, because it was running.
    std::os::unix::fs::symlink("boot.1.1", "/sysroot/ostree/boot.1").unwrap();
    assert!(!deploy::is_settled(&sysroot).unwrap());
    assert_eq!(deploy::boot_good(&lock).unwrap().swept, ["/ostree/boot.1"]);
    assert!(deploy::is_settled(&sysroot).unwrap());
    assert_eq!(good.cleaned.deployments.len(), 1);
    assert!(good.cleaned.pruned.is_none());
    assert_eq!(list(), ["2", "1*"]);
}
