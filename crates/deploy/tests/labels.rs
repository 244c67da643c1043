// SPDX-License-Identifier: MIT OR Apache-2.0
//! A deployment of a tree with an SELinux policy labels some files, and leaves others alone. The kernel needs no SELinux for that; root
//! is needed, as for every deployment.

#![allow(clippy::unwrap_used)] // the helpers of tests unwrap as the tests do

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use deploy::{DeployOptions, Selinux};
use rustix::fs::XattrFlags;
use test_world::{STATEROOT, World};

const LABEL: &str = "security.selinux";

const POLICY: &str = r"
/.*                       default_t
/boot(/.*)?               boot_t
/boot/.*         --       boot_file_t
/etc(/.*)?                etc_t
/etc/.*          -l       etc_link_t
/etc/shadow[^/]* --       shadow_t
/etc/none                 <<none>>
/etc/ostree/.*            ostree_etc_t
/usr/.*                   usr_t
/var(/.*)?                var_t
/var/log(/.*)?            var_log_t
";

/// As long as those of distributions are.
fn policy() -> String {
    let more: String = (0..20_000).map(|n| format!("/opt/{n}(/.*)? opt_t\n")).collect();
    format!("{more}{POLICY}")
}

fn label(path: impl AsRef<Path>) -> String {
    let mut value = [0; 256];
    let path = CString::new(path.as_ref().as_os_str().as_bytes()).unwrap();
    let length = rustix::fs::lgetxattr(path.as_c_str(), LABEL, &mut value).unwrap_or(0);
    let text = std::str::from_utf8(&value[..length]).unwrap();
    // The kernel and its tools count the zero byte.
    if text.is_empty() { String::new() } else { text.strip_suffix('\0').unwrap().to_owned() }
}

fn set_label(path: impl AsRef<Path>, label: &str) {
    let path = CString::new(path.as_ref().as_os_str().as_bytes()).unwrap();
    let value = CString::new(label).unwrap();
    rustix::fs::lsetxattr(path.as_c_str(), LABEL, value.to_bytes_with_nul(), XattrFlags::empty()).unwrap();
}

fn unset_label(path: impl AsRef<Path>) {
    let path = CString::new(path.as_ref().as_os_str().as_bytes()).unwrap();
    rustix::fs::lremovexattr(path.as_c_str(), LABEL).unwrap();
}

fn with_policy(mode: &'static str) -> impl FnOnce(&Path) {
    move |tree| {
        let etc = tree.join("usr/etc");
        fs::create_dir_all(etc.join("selinux/targeted/contexts/files")).unwrap();
        fs::write(etc.join("selinux/config"), format!("SELINUX={mode}\nSELINUXTYPE=targeted\n")).unwrap();
        fs::write(etc.join("selinux/targeted/contexts/files/file_contexts"), policy()).unwrap();
        for name in ["shadow", "none", "labelled"] {
            fs::write(etc.join(name), name).unwrap();
        }
        set_label(etc.join("labelled"), "usr_t");
        std::os::unix::fs::symlink("shadow", etc.join("link")).unwrap();
    }
}

/// The labels of what belongs to the deployment at `index`.
fn labels(world: &World, index: usize) -> Vec<(String, String)> {
    let tree = world.deployment(index);
    let origin = format!("{}.origin", tree.display());
    let var = world.root().join("ostree/deploy").join(STATEROOT).join("var");
    let mut found = Vec::new();
    for name in [".", "shadow", "none", "labelled", "link", "selinux/config"] {
        found.push((format!("etc/{name}"), label(tree.join("etc").join(name))));
    }
    found.push(("origin".to_owned(), label(origin)));
    for name in [".", "log", "lib", "run", ".ostree-selabeled"] {
        found.push((format!("var/{name}"), label(var.join(name))));
    }
    found
}

#[test]
fn a_deployment_is_labelled_as_its_policy_says() {
    test_world::needs_root!();
    for mode in ["enforcing", "permissive"] {
        let world = World::new();
        world.commit("main", "1", with_policy(mode));
        world.deploy("main");
        let expected = [
            ("etc/.", "etc_t"),
            ("etc/shadow", "shadow_t"),
            ("etc/none", ""),
            ("etc/labelled", "etc_t"),
            ("etc/link", "etc_link_t"),
            ("etc/selinux/config", "etc_t"),
            ("origin", "ostree_etc_t"),
            ("var/.", "var_t"),
            ("var/log", "var_log_t"),
            ("var/lib", "var_t"),
            ("var/run", "var_t"),
            ("var/.ostree-selabeled", "var_t"),
        ];
        assert_eq!(labels(&world, 0), expected.map(|(path, label)| (path.to_owned(), label.to_owned())));
        // Files of the commit are not touched: they are those of the repository.
        assert_eq!(label(world.deployment(0).join("usr/etc/labelled")), "usr_t");
        assert_eq!(label(world.deployment(0).join("usr/etc/shadow")), "");
    }
}

#[test]
fn without_a_policy_there_are_no_labels() {
    test_world::needs_root!();
    for (mode, selinux) in [("disabled", Selinux::Label), ("enforcing", Selinux::Ignore)] {
        let world = World::new();
        world.commit("main", "1", with_policy(mode));
        world.try_deploy(&DeployOptions { selinux, ..world.options("main") }).unwrap();
        assert_eq!(
            labels(&world, 0).into_iter().filter(|(_, label)| !label.is_empty()).collect::<Vec<_>>(),
            []
        );
        assert!(!world.root().join("ostree/deploy").join(STATEROOT).join("var/.ostree-selabeled").exists());
    }
}

#[test]
fn local_files_keep_their_labels_and_get_one_where_they_had_none() {
    test_world::needs_root!();
    let world = World::new();
    world.commit("main", "1", with_policy("enforcing"));
    world.deploy("main");
    let etc = world.deployment(0).join("etc");
    fs::write(etc.join("shadow-"), "local").unwrap();
    fs::write(etc.join("mine"), "local").unwrap();
    set_label(etc.join("mine"), "mine_t");
    fs::write(etc.join("selinux/targeted/contexts/files/file_contexts.local"), "/etc/added added_t\n")
        .unwrap();
    fs::write(etc.join("added"), "local").unwrap();
    world.commit("main", "2", with_policy("enforcing"));
    world.deploy("main");
    let etc = world.deployment(0).join("etc");
    for (name, expected) in
        [("shadow-", "shadow_t"), ("mine", "mine_t"), ("added", "added_t"), ("shadow", "shadow_t")]
    {
        assert_eq!(label(etc.join(name)), expected, "{name}");
    }
}

/// Also one that was there before the system had a policy, with what somebody has labelled in it.
#[test]
fn var_is_labelled_once() {
    test_world::needs_root!();
    let world = World::new();
    let var = world.root().join("ostree/deploy").join(STATEROOT).join("var");
    world.commit("main", "1", |_| ());
    world.deploy("main");
    fs::create_dir_all(var.join("log/deep")).unwrap();
    fs::write(var.join("mine"), "").unwrap();
    set_label(var.join("mine"), "mine_t");
    assert_eq!(label(var.join("log")), "");

    world.commit("main", "2", with_policy("enforcing"));
    world.deploy("main");
    for (name, expected) in
        [("log/deep", "var_log_t"), ("log", "var_log_t"), ("mine", "mine_t"), ("lib", "var_t")]
    {
        assert_eq!(label(var.join(name)), expected, "{name}");
    }
    unset_label(var.join("log"));
    world.commit("main", "3", with_policy("enforcing"));
    world.deploy("main");
    assert_eq!(label(var.join("log")), "", "whoever takes a label away has a reason");
    fs::remove_file(var.join(".ostree-selabeled")).unwrap();
    world.commit("main", "4", with_policy("enforcing"));
    world.deploy("main");
    assert_eq!(label(var.join("log")), "var_log_t");
}

/// A hard link has the label of the repository's file; a copy gets that of its place.
#[test]
fn boot_files_are_labelled_where_they_are_copies() {
    test_world::needs_root!();
    let world = World::new();
    world.commit("main", "1", with_policy("enforcing"));
    world.deploy("main");
    let kernel = || {
        let mut dirs =
            fs::read_dir(world.root().join("boot/ostree")).unwrap().map(|entry| entry.unwrap().path());
        let dir = dirs.find(|path| path.is_dir()).unwrap();
        let mut files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        files.find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("vmlinuz")).unwrap()
    };
    assert!(kernel().metadata().unwrap().nlink() > 1, "it is a link here");
    assert_eq!(label(kernel()), "");

    // One of another size is replaced by a copy.
    let damaged = kernel();
    fs::remove_file(&damaged).unwrap();
    fs::write(&damaged, "").unwrap();
    world.commit("main", "2", with_policy("enforcing"));
    world.deploy("main");
    assert_eq!(kernel().metadata().unwrap().nlink(), 1);
    assert_eq!(label(kernel()), "boot_file_t");
}

/// Files of the repository are not touched: a label more would make another object of each.
#[test]
fn an_installer_has_labelled_what_had_no_label() {
    test_world::needs_root!();
    let world = World::new();
    let commit = world.commit("main", "1", |tree| {
        with_policy("enforcing")(tree);
        fs::write(tree.join("usr/lib/file"), "shared").unwrap();
    });
    world.try_deploy(&DeployOptions { selinux: Selinux::Ignore, ..world.options("main") }).unwrap();
    let (sysroot, tree) = (world.sysroot(), world.deployment(0));
    set_label(tree.join("etc/shadow"), "mine_t");
    let lock = sysroot.lock(|| ()).unwrap();
    let done = deploy::ensure_labelled(&lock, None).unwrap();
    assert_eq!(done.policy.as_deref(), Some("targeted"));
    for (path, expected) in [
        (".", "default_t"),
        ("etc", "etc_t"),
        ("etc/shadow", "mine_t"),
        ("etc/labelled", "etc_t"),
        ("usr/lib", "usr_t"),
        ("usr/lib/file", ""),
    ] {
        assert_eq!(label(tree.join(path)), expected, "{path}");
    }
    assert_eq!(label(world.object(&commit, "usr/lib/file")), "");
    assert!(fs::write(tree.join("new"), "").is_err(), "the deployment is immutable again");

    let var = world.root().join("ostree/deploy").join(STATEROOT).join("var");
    let done = deploy::ensure_labelled(&lock, Some((var.to_str().unwrap(), "/var"))).unwrap();
    assert!(done.count > 3);
    assert_eq!(label(var.join("log")), "var_log_t");
    let again = deploy::ensure_labelled(&lock, None).unwrap();
    assert_eq!(again.count, 0);
}
