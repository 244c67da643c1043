// SPDX-License-Identifier: MIT OR Apache-2.0
use std::fs;
use std::os::fd::AsFd;

use super::*;

/// A bootable tree with these files in addition.
fn check_tree(files: &[(&str, &str)]) -> Result<()> {
    let dir = tempfile::tempdir().unwrap();
    for name in MOUNT_POINTS {
        fs::create_dir(dir.path().join(name)).unwrap();
    }
    for (path, text) in files {
        fs::create_dir_all(dir.path().join(path).parent().unwrap()).unwrap();
        fs::write(dir.path().join(path), text).unwrap();
    }
    check(fs::File::open(dir.path()).unwrap().as_fd(), &[])
}

#[test]
fn what_is_not_built_is_refused_by_name() {
    let conf = "usr/lib/ostree/prepare-root.conf";
    for (text, name) in [
        ("[composefs]\nenabled=yes\n", "composefs"),
        ("[composefs]\nenabled=signed\n", "signed"),
        ("[composefs]\nenabled=verity\n", "verity"),
        ("[root]\ntransient=true\n", "root.transient"),
        ("[etc]\ntransient=true\n", "etc.transient"),
    ] {
        let error = format!("{:#}", check_tree(&[(conf, text)]).unwrap_err());
        assert!(error.contains(name), "{error}");
    }
    for text in ["[composefs]\nenabled=no\n", "[composefs]\nenabled=maybe\n", "[sysroot]\nreadonly=true\n"] {
        check_tree(&[(conf, text)]).unwrap();
    }
}

#[test]
fn arguments_that_the_boot_would_refuse_are_refused() {
    for (line, refused) in [
        ("root=x quiet", false),
        ("ostree.prepare-root.composefs=no", false),
        ("ostree.prepare-root.composefs=maybe", false),
        ("quiet ostree.prepare-root.composefs=yes", true),
        ("ostree.prepare-root.composefs=signed", true),
        ("ostree.prepare-root.composefs=verity rw", true),
        ("ostree.prepare-root.composefs=what", true),
        ("ostree=/x \"ostree=/y\" v=\"x ostree\"", false),
        ("v=\"x ostree=/y\"", true),
    ] {
        let found = of_arguments(&KernelArgs::parse(line));
        assert_eq!(found.len(), usize::from(refused), "{line}: {found:?}");
        assert!(
            found.iter().all(|lack| lack.text.contains("ostree") && !lack.text.contains('\n')),
            "{found:?}"
        );
    }
}

#[test]
fn all_missing_mount_points_are_named_and_can_be_ignored() {
    let dir = tempfile::tempdir().unwrap();
    let tree = fs::File::open(dir.path()).unwrap();
    let error = format!("{:#}", check(tree.as_fd(), &[]).unwrap_err());
    for name in MOUNT_POINTS {
        assert!(error.contains(&format!("no directory /{name}")), "{error}");
    }
    assert!(error.ends_with(" (to deploy it all the same: --ignore=mount-points)"), "{error}");
    check(tree.as_fd(), &[Check::MountPoints]).unwrap();
}

#[test]
fn what_cannot_be_ignored_is_refused_with_all_the_rest() {
    let lack = |check: Check| Lack { check, text: format!("no {check}") };
    let all = || vec![lack(Check::Kernel), lack(Check::MountPoints), lack(Check::Initramfs)];
    let told = |ignored: &[Check]| refuse(all(), ignored).unwrap_err().to_string();
    assert_eq!(told(&[]), "no kernel; no mount-points; no initramfs");
    assert_eq!(told(&[Check::Kernel, Check::Initramfs]), "no kernel; no mount-points");
    let rest = || all()[1..].to_vec();
    assert_eq!(
        refuse(rest(), &[]).unwrap_err().to_string(),
        "no mount-points; no initramfs (to deploy it all the same: --ignore=mount-points --ignore=initramfs)"
    );
    assert_eq!(refuse(rest(), &Check::IGNORABLE).unwrap(), rest());
    for check in Check::IGNORABLE {
        assert_eq!(check.name().parse(), Ok(check));
    }
    let unknown = "kernel".parse::<Check>().unwrap_err().to_string();
    assert!(unknown.contains("mount-points, prepare-root-conf, initramfs, kernel-arguments"), "{unknown}");
}
