// SPDX-License-Identifier: MIT OR Apache-2.0
//! A small tree of symbolic links, and the files that they lead to by the rules of a boot.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// A path, and the path of the file that it leads to; `None` where it leads to no file.
pub type Case = (&'static str, Option<&'static str>);

/// The rules: `/` is the top of the tree, nothing is above it, and 40 links are followed.
pub const CASES: &[Case] = &[
    ("dir/file", Some("dir/file")),
    ("/dir//./file", Some("dir/file")),
    ("dir/file/", Some("dir/file")),
    ("dir", None),
    ("", None),
    ("none", None),
    ("dir/none", None),
    ("none/../dir/file", None),
    ("dir/file/below", None),
    ("dir/../dir/file", Some("dir/file")),
    ("../../dir/file", Some("dir/file")),
    ("dir/relative", Some("dir/file")),
    ("dir/deep/up", Some("dir/file")),
    ("absolute", Some("dir/file")),
    ("beyond", Some("dir/file")),
    ("middle/file", Some("dir/file")),
    ("middle/deep/up", Some("dir/file")),
    // The kernel goes up from the target of a link, not from the link.
    ("dir/to-deep/../file", Some("dir/file")),
    ("deep/../file", Some("dir/file")),
    ("to-top", None),
    ("to-top/dir/file", Some("dir/file")),
    ("dangling", None),
    ("dangling/file", None),
    ("itself", None),
    ("loop-a", None),
    ("loop-a/file", None),
    ("chain-40", Some("dir/file")),
    ("chain-41", None),
];

/// Makes the tree in an empty directory.
pub fn make(top: &Path) {
    fs::create_dir_all(top.join("dir/deep")).unwrap();
    fs::write(top.join("dir/file"), "file").unwrap();
    let links = [
        ("dir/relative", "file"),
        ("dir/deep/up", "../file"),
        ("dir/to-deep", "deep"),
        ("absolute", "/dir/file"),
        ("beyond", "../../../dir/file"),
        ("middle", "dir"),
        ("deep", "dir/deep"),
        ("to-top", "/"),
        ("dangling", "dir/none"),
        ("itself", "itself"),
        ("loop-a", "loop-b"),
        ("loop-b", "./loop-a"),
        ("chain-1", "dir/file"),
    ];
    links.iter().for_each(|(path, target)| symlink(target, top.join(path)).unwrap());
    (2..=41).for_each(|n| symlink(format!("chain-{}", n - 1), top.join(format!("chain-{n}"))).unwrap());
}
