// SPDX-License-Identifier: MIT OR Apache-2.0
//! The units that are installed, and those that the generator writes, as systemd itself reads them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests say what they expect, too")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use early_boot::generator::{Facts, apply, plan};

const UNITS: &str = "usr/lib/systemd/system";

const PROGRAMS: [&str; 6] = [
    "/usr/bin/ostree",
    "/usr/lib/ostree/ostree-prepare-root",
    "/usr/lib/ostree/ostree-remount",
    "/usr/lib/ostree/ostree-finalize-staged",
    "/usr/lib/ostree/ostree-boot-complete",
    "/usr/lib/ostree/ostree-boot-good",
];

/// A root with our units, programs for them to run, and the units that others bring.
fn root() -> tempfile::TempDir {
    let temp = tempfile::tempdir().unwrap();
    let units = temp.path().join(UNITS);
    fs::create_dir_all(&units).unwrap();
    for program in PROGRAMS {
        let path = temp.path().join(program.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy("/bin/true", path).unwrap();
    }
    for entry in fs::read_dir(source()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "service") {
            fs::copy(&path, units.join(path.file_name().unwrap())).unwrap();
        }
    }
    fs::write(units.join("boot-complete.target"), "[Unit]\nDescription=Good\n").unwrap();
    fs::write(units.join("sysroot.mount"), "[Mount]\nWhere=/sysroot\nWhat=/dev/vda1\n").unwrap();
    temp
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../systemd-units")
}

/// Has systemd verify all the units in `root` and gives its complaints; none is best.
fn verify(root: &Path) -> String {
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(root.join(UNITS)).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".service") || name.ends_with(".mount") {
            names.push(name);
        }
    }
    let root = format!("--root={}", root.display());
    let output = Command::new("systemd-analyze").args(["verify", "--man=no", &root]).args(&names).output();
    let output = output.expect("systemd-analyze, of the package systemd");
    assert!(names.len() >= 3, "{names:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { said } else { format!("{said}{}", output.status) }
}

#[test]
fn the_installed_units_are_clean() {
    let root = root();
    assert_eq!(verify(root.path()), "");
    // And the check finds what is wrong.
    let unit = root.path().join(UNITS).join("ostree-remount.service");
    let text = fs::read_to_string(&unit).unwrap();
    fs::write(unit, text.replace("RemainAfterExit=", "RemainAfter=")).unwrap();
    assert!(verify(root.path()).contains("Unknown key"));
}

#[test]
fn the_generated_units_are_clean() {
    let root = root();
    let facts = Facts {
        stateroot: Some("debian%n".to_owned()),
        var_in_fstab: false,
        boot_in_fstab: false,
        boot_on_sysroot: true,
    };
    // A generated link names the unit by its path in the running system.
    apply(&root.path().join(UNITS), &plan(&facts)).unwrap();
    assert_eq!(verify(root.path()), "");
}

/// The update is staged by a unit that is part of the boot, and starts what applies it at shutdown without
/// waiting for it.
#[test]
fn staging_during_the_boot_makes_no_ordering_cycle() {
    let temp = root();
    let units = temp.path().join(UNITS);
    // All units of this machine; ours come first.
    let copied = Command::new("cp").args(["-an", "/usr/lib/systemd/system/."]).arg(&units).status().unwrap();
    assert!(copied.success());
    let facts = Facts {
        stateroot: Some("debian".to_owned()),
        var_in_fstab: false,
        boot_in_fstab: false,
        boot_on_sysroot: true,
    };
    apply(&units, &plan(&facts)).unwrap();
    let boot_with = |early: &str, asked_for_by: &str| {
        let wants = units.join(format!("{asked_for_by}.wants"));
        fs::create_dir_all(&wants).unwrap();
        let unit = format!("[Unit]\nDefaultDependencies=no\nWants=ostree-finalize-staged.service\n{early}");
        fs::write(units.join("early.service"), format!("{unit}[Service]\nExecStart=/bin/true\n")).unwrap();
        symlink("../early.service", wants.join("early.service")).unwrap();
        let root = format!("--root={}", temp.path().display());
        let output =
            Command::new("systemd-analyze").args(["verify", "--man=no", &root, "multi-user.target"]).output();
        let output = output.unwrap();
        fs::remove_file(wants.join("early.service")).unwrap();
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    for (early, asked_for_by) in [
        ("Before=local-fs.target\n", "local-fs.target"),
        ("Before=sysinit.target\n", "sysinit.target"),
        ("After=sysinit.target\nBefore=basic.target\n", "basic.target"),
        ("", "multi-user.target"),
    ] {
        let said = boot_with(early, asked_for_by);
        assert!(!said.contains("ordering cycle"), "{early}{said}");
    }
    // A unit that waits for it so early waits for ever, and the check sees it.
    let waits = "After=ostree-finalize-staged.service\nBefore=local-fs.target\n";
    assert!(boot_with(waits, "local-fs.target").contains("ordering cycle"));
}

/// An automounted `/boot` expires under a unit that is no more than begun; systemd stops whoever requires its mount unit.
#[test]
fn who_may_find_boot_expired_does_not_require_it() {
    for name in ["ostree-boot-complete.service", "ostree-boot-good.service"] {
        let text = fs::read_to_string(source().join(name)).unwrap();
        let values = |key: &str| -> Vec<&str> {
            let lines = text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            lines.flat_map(str::split_whitespace).collect()
        };
        for key in ["RequiresMountsFor", "Requires", "BindsTo", "Requisite"] {
            let required = values(key);
            assert!(!required.iter().any(|unit| ["/boot", "boot.mount"].contains(unit)), "{name}: {key}");
        }
        assert!(values("After").contains(&"boot.mount") && values("Wants").contains(&"boot.mount"), "{name}");
    }
}

#[test]
fn every_program_of_a_unit_is_one_of_ours() {
    for entry in fs::read_dir(source()).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let starts = |line: &str| line.starts_with("ExecStart=") || line.starts_with("ExecStop=");
        for line in text.lines().filter(|line| starts(line)) {
            let program = line.split('=').nth(1).and_then(|command| command.split(' ').next()).unwrap();
            assert!(PROGRAMS.contains(&program.trim_start_matches('+')), "{program}");
        }
    }
}

#[test]
fn tmpfiles_reads_its_configuration() {
    test_world::needs_root!();
    let temp = tempfile::tempdir().unwrap();
    let root = format!("--root={}", temp.path().display());
    fs::create_dir_all(temp.path().join("var/tmp/ostree-unlock-ovl.abc")).unwrap();
    fs::create_dir_all(temp.path().join("etc")).unwrap();
    for name in ["passwd", "group"] {
        fs::copy(Path::new("/etc").join(name), temp.path().join("etc").join(name)).unwrap();
    }
    symlink("../run", temp.path().join("var/run")).unwrap();
    let output = Command::new("systemd-tmpfiles")
        .args([&root, "--create", "--remove", "--boot"])
        .arg(source().join("ostree-tmpfiles.conf"))
        .output()
        .expect("systemd-tmpfiles, of the package systemd");
    assert!(output.status.success(), "{output:?}");
    assert!(temp.path().join("run/ostree").is_dir());
    assert!(!temp.path().join("var/tmp/ostree-unlock-ovl.abc").exists());
}
