// SPDX-License-Identifier: MIT OR Apache-2.0
use super::*;
use crate::policy::parse;
use std::fs;

/// Reads the policy of a tree with these files.
fn of(files: &[(&str, &str)]) -> Result<Option<Labeler>> {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    Labeler::of(fs::File::open(dir.path()).unwrap().as_fd())
}

#[test]
fn which_policy_counts() {
    for (config, expected) in [
        ("SELINUX=enforcing\nSELINUXTYPE=mls\n", Some((true, "mls"))),
        ("# SELINUX=disabled\n SELINUX = Permissive \nSELINUXTYPE=\n", Some((false, "targeted"))),
        ("SELINUX=disabled\nSELINUX=enforcing\n", Some((true, "targeted"))),
        ("SELINUX=disabled\nSELINUXTYPE=targeted\n", None),
        ("SELINUX=maybe\n", None),
        ("SELINUXTYPE=targeted\n", None),
        ("", None),
    ] {
        let expected = expected.map(|(enforcing, policy): (_, &str)| (enforcing, policy.to_owned()));
        assert_eq!(parse(config), expected, "{config:?}");
    }
}

#[test]
fn the_policy_of_a_tree() {
    let config = ("usr/etc/selinux/config", "SELINUX=enforcing\n");
    let permissive = ("usr/etc/selinux/config", "SELINUX=permissive\n");
    let contexts = ("usr/etc/selinux/targeted/contexts/files/file_contexts", "/etc(/.*)? etc_t\n");
    let local = ("usr/etc/selinux/targeted/contexts/files/file_contexts.local", "/etc/mine mine_t\n");
    let compiled = ("usr/etc/selinux/targeted/contexts/files/file_contexts.bin", "");
    for (files, there) in [
        (vec![], false),
        (vec![contexts], false),
        (vec![config], false),
        (vec![permissive, compiled], false),
        (vec![config, contexts], true),
        (vec![config, contexts, ("etc/selinux/config", "SELINUX=disabled\n")], false),
    ] {
        assert_eq!(of(&files).unwrap().is_some(), there, "{files:?}");
    }
    let labeler = of(&[config, contexts, local]).unwrap().unwrap();
    assert_eq!(labeler.label_of(b"/etc/mine", Kind::File).unwrap(), Some("mine_t"));
    assert_eq!(labeler.label_of(b"/etc/other", Kind::File).unwrap(), Some("etc_t"));

    for (files, words) in [
        (vec![config, compiled], "no contexts/files/file_contexts, and is enforced"),
        (vec![config, (contexts.0, "/etc\n")], "file_contexts line 1: there is no label"),
        (
            vec![("etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=../selinux\n")],
            "is no name of a policy",
        ),
    ] {
        let error = format!("{:#}", of(&files).unwrap_err());
        assert!(error.contains(words) && !error.contains('\n'), "{error}");
    }
    let unknown = of(&[config, (contexts.0, "/etc/(?=x).* etc_t\n")]).unwrap().unwrap();
    let error = format!("{:#}", unknown.label_of(b"/etc/x", Kind::File).unwrap_err());
    assert!(error.contains("--selinux=ignore") && error.contains("line 1"), "{error}");
}
