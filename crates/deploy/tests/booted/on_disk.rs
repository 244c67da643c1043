// SPDX-License-Identifier: MIT OR Apache-2.0
//! The files that the C tools do not know, row by row of `docs/on-disk.md`: all of them are there when the C tools go on, and each of
//! them is gone when we do.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use deploy::DeployOptions;

use crate::peer::peer;
use test_world::namespace::{Case, Need};
use test_world::system::{deployment, finalize, list, open, running, status, try_stage};

pub(crate) const CASES: &[Case] = &[
    ("every_file_of_ours_is_in_the_table_of_this_test", Need::Nothing, described),
    ("the_c_tools_go_on_beside_each_file_of_ours", Need::EachPeer, there),
    ("each_file_of_ours_may_be_gone", Need::Nothing, gone),
];

/// Where a file is, by the name of a deployment.
type Place = fn(&str) -> PathBuf;

/// The name of a file in the book, and where it is for a deployment.
const FILES: [(&str, Place); 15] = [
    ("/ostree/boot-switch", |_| "/sysroot/ostree/boot-switch".into()),
    ("…/backing/CHECKSUM.SERIAL/etc-conflicts.json", |name| backing(name).join("etc-conflicts.json")),
    ("…/backing/CHECKSUM.SERIAL/selinux-refresh-failed", |name| {
        backing(name).join("selinux-refresh-failed")
    }),
    (".#ostree-etc-merge", |name| deployment(name).join("etc/.#ostree-etc-merge")),
    ("/ostree/staged-deployment", |_| "/sysroot/ostree/staged-deployment".into()),
    ("usr/lib/modules/VERSION/ostree-initramfs.json", |name| {
        deployment(name).join("usr/lib/modules/6.1.0/ostree-initramfs.json")
    }),
    ("/ostree/.reserve", |_| "/sysroot/ostree/.reserve".into()),
    ("/ostree/repo/tmp/retired-tree", |_| "/sysroot/ostree/repo/tmp/retired-tree".into()),
    ("/boot/.ostree-staged-loader", |_| "/boot/.ostree-staged-loader".into()),
    ("/boot/ostree/.keep-N-…", |_| "/boot/ostree/.keep-0-name".into()),
    ("/boot/.ostree-aside-ostree", |_| "/boot/.ostree-aside-ostree".into()),
    (".ostree-tmp-BOOT-RANDOM", |_| {
        "/sysroot/ostree/repo/refs/heads/.ostree-tmp-0123456789abcdef-0123456789abcdef".into()
    }),
    (".ostree-repair-NAME.old", |_| "/boot/loader/entries/.ostree-repair-ostree-1.conf.old".into()),
    ("/ostree/.ostree-tmp-…", |_| "/sysroot/ostree/.ostree-tmp-0123456789abcdef-0123456789abcdef".into()),
    ("/boot/loader.tmp", |_| "/boot/loader.tmp".into()),
];

/// Where a deployment's overlays are, and what is noted of it.
fn backing(name: &str) -> PathBuf {
    format!("/sysroot/ostree/deploy/testos/backing/{name}").into()
}

fn described() {
    let book = include_str!("../../../../docs/on-disk.md");
    let rows = book.split("## Ours, and what the C tools do with it").nth(1).unwrap();
    let rows = rows.split("\n## ").next().unwrap().lines();
    let described: Vec<&str> = rows.filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let tested: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
    assert_eq!(described, tested);
}

/// A running system with an update that has met local changes, another one staged over it, and all files of ours.
fn with_all_files() -> String {
    running();
    fs::write("/etc/conf", "local\n").unwrap();
    let sysroot = open();
    let name = {
        let lock = sysroot.lock(|| ()).unwrap();
        deploy::deploy(&lock, &DeployOptions::new("main")).unwrap();
        sysroot.load().unwrap().deployments[0].path.name()
    };
    stage_over();
    for (name_in_the_book, text) in [
        ("…/backing/CHECKSUM.SERIAL/selinux-refresh-failed", "semodule has failed"),
        (".#ostree-etc-merge", "half"),
        ("usr/lib/modules/VERSION/ostree-initramfs.json", "{}"),
        ("/boot/ostree/.keep-N-…", ""),
        (".ostree-tmp-BOOT-RANDOM", "half of a checksum"),
        (".ostree-repair-NAME.old", "broken"),
    ] {
        fs::write(place_of(name_in_the_book, &name), text).unwrap();
    }
    let retired = place_of("/ostree/repo/tmp/retired-tree", &name);
    if !retired.exists() {
        fs::create_dir_all(retired.join("usr")).unwrap();
        fs::write(retired.join("usr/file"), "").unwrap();
    }
    fs::create_dir("/boot/.ostree-aside-ostree").unwrap();
    fs::create_dir_all(place_of("/ostree/.ostree-tmp-…", &name).join("var")).unwrap();
    let var = "/sysroot/ostree/deploy/testos/.ostree-tmp-0123456789abcdef-0123456789abcdef";
    fs::create_dir(var).unwrap();
    let chosen = fs::read_link("/boot/loader").unwrap();
    symlink(&chosen, "/boot/loader.tmp").unwrap();
    let version = chosen.to_str().unwrap().trim_start_matches("loader.").to_owned();
    fs::write("/sysroot/ostree/boot-switch", format!("boot-id=another\nboot-version={version}\n")).unwrap();
    for (file, at) in FILES {
        assert!(at(&name).symlink_metadata().is_ok(), "{file}");
    }
    name
}

fn place_of(file: &str, name: &str) -> PathBuf {
    FILES.iter().find(|(known, _)| *known == file).unwrap().1(name)
}

/// With other arguments, so that it takes a new set of entries.
fn stage_over() {
    let mut options = DeployOptions::new("main");
    options.retention.pending = true;
    options.kernel_args.append.push("staged".to_owned());
    try_stage(&options, false).unwrap();
}

fn there() {
    let name = with_all_files();
    assert_eq!(list(), ["2s", "2", "1*"]);
    assert!(peer("status").contains(&name));
    peer("cleanup");
    assert_eq!(list(), ["2s", "2", "1*"]);
    peer("finalize-staged");
    assert_eq!(list()[0], "2");
    assert!(list().contains(&"1*".to_owned()));
    peer("deploy main");
    assert_eq!(list(), ["2", "1*"]);
    // And back: what is left of ours is in nobody's way.
    let sysroot = open();
    let lock = sysroot.lock(|| ()).unwrap();
    deploy::cleanup(&lock).unwrap();
    deploy::deploy(&lock, &DeployOptions::new("main")).unwrap();
    drop(lock);
    assert_eq!(list(), ["2", "1*"]);
    assert_eq!(status().notes.iter().filter(|note| note.text.contains("damaged")).count(), 0);
    for file in [
        "/ostree/boot-switch",
        "/ostree/staged-deployment",
        "/boot/.ostree-staged-loader",
        ".ostree-repair-NAME.old",
        "/boot/loader.tmp",
    ] {
        assert!(place_of(file, &name).symlink_metadata().is_err(), "{file} has outlived what it is for");
    }
}

fn gone() {
    let first = with_all_files();
    let mut name = first;
    for (file, at) in FILES {
        let path = at(&name);
        match path.symlink_metadata() {
            Ok(found) if found.is_dir() => fs::remove_dir_all(&path).unwrap(),
            Ok(_) => fs::remove_file(&path).unwrap(),
            Err(_) => {}
        }
        assert_eq!(list(), ["2s", "2", "1*"], "without {file}");
        let sysroot = open();
        let lock = sysroot.lock(|| ()).unwrap();
        deploy::cleanup(&lock).unwrap();
        drop(lock);
        finalize();
        assert!(list().contains(&"1*".to_owned()), "without {file}: {:?}", list());
        // As before, for the next row.
        let sysroot = open();
        let lock = sysroot.lock(|| ()).unwrap();
        deploy::deploy(&lock, &DeployOptions::new("main")).unwrap();
        name = sysroot.load().unwrap().deployments[0].path.name();
        drop(lock);
        stage_over();
    }
}
