// SPDX-License-Identifier: MIT OR Apache-2.0

use super::*;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// A tree whose initramfs is made by `cpio` and a program that compresses, behind an archive that is not compressed, as with microcode.
fn tree(files: &[(&str, &str)], compress: &str) -> tempfile::TempDir {
    let tree = tempfile::tempdir().unwrap();
    let modules = tree.path().join("usr/lib/modules/6.1.0");
    fs::create_dir_all(&modules).unwrap();
    fs::write(modules.join("vmlinuz"), "kernel").unwrap();
    let (early, main) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(early.path().join("microcode"), vec![7; 10_001]).unwrap();
    for (path, text) in files {
        let path = main.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let mut bytes = shell("find . | cpio --quiet -o -H newc", early.path());
    bytes.extend([0; 512]);
    bytes.extend(shell(&format!("find . | cpio --quiet -o -H newc | {compress}"), main.path()));
    fs::write(modules.join("initramfs.img"), bytes).unwrap();
    tree
}

fn shell(line: &str, dir: &Path) -> Vec<u8> {
    let output =
        Command::new("sh").arg("-c").arg(line).current_dir(dir).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn known(tree: &tempfile::TempDir) -> Known {
    let dir = File::open(tree.path()).unwrap();
    Known::of(dir.as_fd(), &KernelFiles::find(dir.as_fd()).unwrap()).unwrap()
}

fn checked(tree: &tempfile::TempDir) -> Result<Vec<String>> {
    let dir = File::open(tree.path()).unwrap();
    check(dir.as_fd(), &KernelFiles::find(dir.as_fd()).unwrap())
}

const IMAGE: (&str, &str) = (CONFIG[0], "[sysroot]\nreadonly=true\n");
const PREPARE: (&str, &str) = ("usr/lib/ostree/ostree-prepare-root", "program");

#[test]
fn what_is_in_it_is_found_however_it_is_compressed() {
    let key = ("etc/ostree/initramfs-root-binding.key", "key");
    for compress in ["cat", "gzip -9n", "zstd -q -c", "zstd -q -19 -c --no-check", "gzip -n"] {
        let tree = tree(&[IMAGE, PREPARE, key, (CONFIG[1], "[root]\n"), ("usr/bin/sh", "shell")], compress);
        let Known::Contents(found) = known(&tree) else { panic!("{compress}: {:?}", known(&tree)) };
        assert_eq!(found.config.keys().map(String::as_str).collect::<Vec<_>>(), [CONFIG[1], CONFIG[0]]);
        assert_eq!(found.config().unwrap().readonly, Some(true));
        assert_eq!(found.keys.get(key.0), Some(&Checksum::of(b"key").to_string()));
        assert_eq!(found.program, Some(Checksum::of(b"program").to_string()));
    }
}

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

#[test]
fn one_that_is_shared_is_known() {
    let (old, new) = (tree(&[PREPARE], "gzip"), tempfile::tempdir().unwrap());
    let modules = "usr/lib/modules/6.1.0";
    fs::create_dir_all(new.path().join(modules)).unwrap();
    let initramfs = |tree: &tempfile::TempDir| tree.path().join(modules).join("initramfs.img");
    fs::write(new.path().join(modules).join("vmlinuz"), "kernel").unwrap();
    fs::hard_link(initramfs(&old), initramfs(&new)).unwrap();
    let (old_dir, dir) = (File::open(old.path()).unwrap(), File::open(new.path()).unwrap());
    let is_that_of = || is_that_of(old_dir.as_fd(), dir.as_fd(), &KernelFiles::find(dir.as_fd()).unwrap());
    assert!(is_that_of());
    fs::remove_file(initramfs(&new)).unwrap();
    assert!(!is_that_of());
    fs::copy(initramfs(&old), initramfs(&new)).unwrap();
    assert!(!is_that_of());
}
