// SPDX-License-Identifier: MIT OR Apache-2.0
//! The units that are installed, and those that the generator writes, as systemd itself reads them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests say what they expect, too")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use early_boot::generator::{Facts, apply, plan};

const UNITS: &str = "usr/lib/systemd/system";

/// A root with our units, programs for them to run, and the units that others bring.
fn root() -> tempfile::TempDir {
    let temp = tempfile::tempdir().unwrap();
    let units = temp.path().join(UNITS);
    let programs = temp.path().join("usr/lib/ostree");
    fs::create_dir_all(&units).unwrap();
    fs::create_dir_all(&programs).unwrap();
    for program in ["ostree-prepare-root", "ostree-remount"] {
        fs::copy("/bin/true", programs.join(program)).unwrap();
    }
    for entry in fs::read_dir(source()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "service") {
            fs::copy(&path, units.join(path.file_name().unwrap())).unwrap();
        }
    }
    fs::write(units.join("sysroot.mount"), "[Mount]\nWhere=/sysroot\nWhat=/dev/vda1\n").unwrap();
    temp
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd-units")
}

/// What systemd has to say of all the units in `root`; nothing is best.
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
        stateroot: "debian%n".to_owned(),
        var_in_fstab: false,
        boot_in_fstab: false,
        boot_on_sysroot: true,
    };
    // A generated link names the unit by its path in the running system.
    apply(&root.path().join(UNITS), &plan(&facts)).unwrap();
    assert_eq!(verify(root.path()), "");
}

#[test]
fn every_program_of_a_unit_is_one_of_ours() {
    for entry in fs::read_dir(source()).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        for line in text.lines().filter_map(|line| line.strip_prefix("ExecStart=")) {
            let program = line.split(' ').next().unwrap();
            assert!(
                ["/usr/lib/ostree/ostree-prepare-root", "/usr/lib/ostree/ostree-remount"].contains(&program),
                "{program}"
            );
        }
    }
}

#[test]
fn tmpfiles_reads_its_configuration() {
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
