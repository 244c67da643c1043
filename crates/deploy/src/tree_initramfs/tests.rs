// SPDX-License-Identifier: MIT OR Apache-2.0

use std::fs::{self, File};

use initramfs::CONFIG;

use super::*;

/// A tree whose initramfs has these files.
fn tree(files: &[(&str, &str)], compress: &str) -> tempfile::TempDir {
    let tree = tempfile::tempdir().unwrap();
    let modules = tree.path().join("usr/lib/modules/6.1.0");
    fs::create_dir_all(&modules).unwrap();
    fs::write(modules.join("vmlinuz"), "kernel").unwrap();
    fs::write(modules.join("initramfs.img"), test_world::initramfs(files, compress)).unwrap();
    tree
}

fn known(tree: &tempfile::TempDir) -> Known {
    let dir = File::open(tree.path()).unwrap();
    Known::of(&dir.as_fd(), &KernelFiles::find(dir.as_fd()).unwrap()).unwrap()
}

fn checked(tree: &tempfile::TempDir) -> Result<Vec<String>> {
    let dir = File::open(tree.path()).unwrap();
    check(&dir.as_fd(), &KernelFiles::find(dir.as_fd()).unwrap())
}

const IMAGE: (&str, &str) = (CONFIG[0], "[sysroot]\nreadonly=true\n");
const PREPARE: (&str, &str) = ("usr/lib/ostree/ostree-prepare-root", "program");

#[test]
fn what_cannot_be_read_is_unknown_and_never_refused() {
    for compress in ["xz -c", "lz4 -q -l -c", "head -c 300", "tr 7 8", "gzip -c | head -c 100", "true"] {
        let tree = tree(&[(CONFIG[0], "[composefs]\nenabled=yes\n"), PREPARE], compress);
        if compress != "true" {
            assert!(matches!(known(&tree), Known::Unknown(_)), "{compress}: {:?}", known(&tree));
        }
        assert!(checked(&tree).is_ok());
    }
    let tree = tree(&[], "cat");
    fs::write(tree.path().join("usr/lib/modules/6.1.0/initramfs.img"), "initramfs").unwrap();
    assert!(matches!(known(&tree), Known::Unknown(_)));
}

#[test]
fn what_the_initramfs_would_refuse_is_refused() {
    for (text, words) in [
        ("[composefs]\nenabled=yes\n", "composefs.enabled=yes"),
        ("[root]\ntransient=true\n", "root.transient=true"),
        ("[sysroot]\nreadonly=perhaps\n", "readonly"),
        ("no key file\n", "prepare-root.conf"),
    ] {
        let tree = tree(&[(CONFIG[1], text), PREPARE], "gzip");
        let error = format!("{:#}", checked(&tree).unwrap_err());
        assert!(error.contains(words) && !error.contains('\n'), "{error}");
    }
}

#[test]
fn what_differs_is_told() {
    for (files, words) in
        [(vec![IMAGE, PREPARE], "differs from that of the tree"), (vec![IMAGE], "no ostree-prepare-root")]
    {
        let notes = checked(&tree(&files, "gzip")).unwrap();
        assert!(notes.len() == 1 && notes[0].contains(words), "{notes:?}");
    }
    let tree = tree(&[IMAGE, PREPARE], "gzip");
    fs::create_dir_all(tree.path().join("usr/lib/ostree")).unwrap();
    fs::write(tree.path().join(IMAGE.0), IMAGE.1).unwrap();
    assert!(checked(&tree).unwrap().is_empty());
}

#[test]
fn a_record_counts_for_its_initramfs_only() {
    let tree = tree(&[IMAGE, PREPARE], "gzip");
    let before = known(&tree);
    let dir = File::open(tree.path()).unwrap();
    let path = tree.path().join(record(dir.as_fd()).unwrap());
    assert_eq!(known(&tree), before);
    // It is what is asked first.
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("readonly=true", "readonly=false")).unwrap();
    assert_ne!(known(&tree), before);
    // One of another time may mean something else by its keys.
    let later = text.replace("readonly=true", "readonly=false").replace("\"schema\": 1", "\"schema\": 2");
    fs::write(&path, later).unwrap();
    assert_eq!(known(&tree), before);
    fs::write(&path, text.replace("readonly=true", "readonly=false")).unwrap();
    let initramfs = path.with_file_name("initramfs.img");
    let mut bytes = fs::read(&initramfs).unwrap();
    bytes.extend([0; 4]);
    fs::write(&initramfs, bytes).unwrap();
    assert_eq!(known(&tree), before);
    fs::write(&path, "{").unwrap();
    assert_eq!(known(&tree), before);
}
