// SPDX-License-Identifier: MIT OR Apache-2.0
//! A directory of its own with a repository and a tree, and a program that is run there.

#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test world says what it expects by unwrapping it")]

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use libtest_mimic::{Failed, Trial};
use tempfile::TempDir;

/// A test beside the other `ostree` that `OSTREE_PEER` names; reported as ignored without that variable.
pub(crate) fn beside(name: impl Into<String>, test: impl FnOnce(&Path) + Send + 'static) -> Trial {
    let peer = std::env::var_os("OSTREE_PEER").map(PathBuf::from);
    let is_ignored = peer.is_none();
    let run = move || match &peer {
        Some(peer) => {
            test(peer);
            Ok(())
        }
        None => Err(Failed::from("OSTREE_PEER is not set")),
    };
    Trial::test(name, run).with_ignored_flag(is_ignored)
}

/// Where a test runs.
pub(crate) struct World {
    dir: TempDir,
    program: PathBuf,
}

impl Drop for World {
    fn drop(&mut self) {
        // Immutable deployments would survive the temporary directory.
        let done = Command::new("chattr").args(["-R", "-f", "-i"]).arg(self.dir.path()).status();
        assert!(done.is_ok(), "chattr is needed to remove what was deployed");
    }
}

impl World {
    /// An empty directory, and our `ostree`.
    pub(crate) fn empty() -> Self {
        Self::of(Path::new(env!("CARGO_BIN_EXE_ostree")))
    }

    /// An empty directory, and a program that takes the same arguments.
    pub(crate) fn of(program: &Path) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), program: program.to_owned() }
    }

    /// A repository `repo` of that mode, and `tree`, not committed.
    pub(crate) fn with_repo(mode: &str) -> Self {
        let world = Self::empty();
        world.ok(&format!("--repo=repo init --mode={mode}"));
        world.make_tree();
        world
    }

    /// A repository of that mode whose ref `main` is `tree`.
    pub(crate) fn with_commit(mode: &str) -> Self {
        let world = Self::with_repo(mode);
        world.ok("--repo=repo commit --branch=main tree");
        world
    }

    /// A tree with what trees have: links, empty and executable files, odd names, directories.
    pub(crate) fn make_tree(&self) {
        for dir in ["tree/usr/bin", "tree/usr/share/empty", "tree/etc"] {
            std::fs::create_dir_all(self.path(dir)).unwrap();
        }
        for (name, content, mode) in [
            ("tree/hello.txt", "Hello world!\n", 0o644),
            ("tree/usr/bin/tool", "#!/bin/sh\n", 0o755),
            ("tree/usr/bin/su", "setuid", 0o4755),
            ("tree/usr/empty", "", 0o600),
            ("tree/etc/odd name\n\u{e9}\\'\"", "odd", 0o444),
            ("tree/etc/.ostree-wh.gone", "", 0o644),
        ] {
            self.write(name, content);
            std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
        }
        // Above the bound of what is read whole.
        let large: Vec<u8> = (0..3_000_000_u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
        std::fs::write(self.path("tree/usr/large"), large).unwrap();
        symlink("usr/bin", self.path("tree/bin")).unwrap();
        symlink("../../missing", self.path("tree/etc/dangling")).unwrap();
    }

    /// A `tree` that can be deployed.
    pub(crate) fn make_bootable_tree(&self) {
        for dir in [
            "usr/bin",
            "usr/etc",
            "usr/lib/modules/6.1.0",
            "var",
            "boot",
            "run",
            "proc",
            "sys",
            "dev",
            "sysroot",
        ] {
            std::fs::create_dir_all(self.path("tree").join(dir)).unwrap();
        }
        for (name, content) in [
            ("tree/usr/lib/modules/6.1.0/vmlinuz", "kernel"),
            ("tree/usr/lib/modules/6.1.0/initramfs.img", "initramfs"),
            ("tree/usr/lib/os-release", "ID=testos\nPRETTY_NAME=\"Test OS\"\n"),
            ("tree/usr/etc/conf", "default\n"),
            ("tree/usr/bin/tool", "#!/bin/sh\n"),
        ] {
            self.write(name, content);
        }
        symlink("sysroot/ostree", self.path("tree/ostree")).unwrap();
    }

    /// A path in this world.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// Reads a file.
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Runs the program with words that are separated by blanks.
    pub(crate) fn run(&self, words: &str) -> Output {
        self.run_as(&self.program, words)
    }

    /// Runs another program in this world.
    pub(crate) fn run_as(&self, program: &Path, words: &str) -> Output {
        Command::new(program)
            .args(words.split(' '))
            .current_dir(self.dir.path())
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .env("SOURCE_DATE_EPOCH", "1700000000")
            .env_remove("OSTREE_REPO")
            .output()
            .unwrap()
    }

    /// What the program prints when it succeeds, which it must.
    pub(crate) fn ok(&self, words: &str) -> String {
        self.ok_as(&self.program, words)
    }

    /// What another program prints when it succeeds, which it must.
    pub(crate) fn ok_as(&self, program: &Path, words: &str) -> String {
        let output = self.run_as(program, words);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} {words}: {errors}", program.display());
        String::from_utf8(output.stdout).unwrap()
    }

    /// The one line that the program prints when it fails, which it must, with exit status 1; beside that it may have said
    /// that it waits.
    pub(crate) fn fails(&self, words: &str) -> String {
        let output = self.run(words);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{words}: {text}");
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with("warn: Waiting for ")).collect();
        let [line] = lines[..] else { panic!("{words}: not one line: {text}") };
        line.strip_prefix("error: ").unwrap_or_else(|| panic!("{words}: {line}")).to_owned()
    }

    /// The objects of `repo` whose names end so, sorted.
    pub(crate) fn objects(&self, suffix: &str) -> Vec<PathBuf> {
        let mut out = Vec::new();
        for fanout in std::fs::read_dir(self.path("repo/objects")).unwrap() {
            for object in std::fs::read_dir(fanout.unwrap().path()).unwrap() {
                let path = object.unwrap().path();
                if path.to_str().unwrap().ends_with(suffix) {
                    out.push(path);
                }
            }
        }
        out.sort();
        out
    }

    /// Every path below `name` with kind, mode and content, for comparing before and after.
    pub(crate) fn snapshot(&self, name: &str) -> Vec<(PathBuf, u32, Vec<u8>)> {
        let mut out = Vec::new();
        let mut todo = vec![self.path(name)];
        while let Some(path) = todo.pop() {
            let meta = std::fs::symlink_metadata(&path).unwrap();
            let content = match meta.file_type() {
                kind if kind.is_dir() => {
                    todo.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
                    Vec::new()
                }
                kind if kind.is_symlink() => {
                    std::fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
                }
                _ => std::fs::read(&path).unwrap(),
            };
            out.push((path, meta.permissions().mode(), content));
        }
        out.sort();
        out
    }
}
