// SPDX-License-Identifier: MIT OR Apache-2.0
//! A directory of its own with a repository and a tree, and an `ostree` that is run there.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::tree;

/// The directory that a test runs in.
///
/// Each function panics where the file system or the program does not what the test expects.
pub struct Workdir {
    dir: TempDir,
    program: PathBuf,
}

impl Drop for Workdir {
    fn drop(&mut self) {
        tree::make_removable(self.dir.path());
    }
}

impl Workdir {
    /// An empty directory, and an `ostree`.
    pub fn of(program: impl AsRef<Path>) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), program: program.as_ref().to_owned() }
    }

    /// A repository `repo` of that mode, and `tree`, not committed.
    pub fn with_repo(program: impl AsRef<Path>, mode: &str) -> Self {
        let world = Self::of(program);
        world.ok(&format!("--repo=repo init --mode={mode}"));
        world.make_tree();
        world
    }

    /// A repository of that mode whose ref `main` is `tree`.
    pub fn with_commit(program: impl AsRef<Path>, mode: &str) -> Self {
        let world = Self::with_repo(program, mode);
        world.ok("--repo=repo commit --branch=main tree");
        world
    }

    /// Makes `tree` of all that trees have: links, empty and executable files, odd names, directories.
    pub fn make_tree(&self) {
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

    /// Makes a `tree` that can be deployed.
    pub fn make_bootable_tree(&self) {
        tree::make_bootable(&self.path("tree"));
    }

    /// Makes a physical root `root` with the stateroot `testos`, by a program.
    pub fn make_root(&self, program: impl AsRef<Path>) {
        std::fs::create_dir(self.path("root")).unwrap();
        self.ok_as(program.as_ref(), "admin init-fs --modern root");
        self.ok_as(program.as_ref(), "admin --sysroot=root stateroot-init testos");
    }

    /// A path in this directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// Reads a file.
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Runs the program with words that are separated by blanks.
    pub fn run(&self, words: &str) -> Output {
        self.run_as(&self.program, words)
    }

    /// Runs another program in this directory.
    pub fn run_as(&self, program: &Path, words: &str) -> Output {
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

    /// Gives the output of the program when it succeeds, which it must.
    pub fn ok(&self, words: &str) -> String {
        self.ok_as(&self.program, words)
    }

    /// Gives the output of another program when it succeeds, which it must.
    pub fn ok_as(&self, program: &Path, words: &str) -> String {
        let output = self.run_as(program, words);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} {words}: {errors}", program.display());
        String::from_utf8(output.stdout).unwrap()
    }

    /// The one line that the program prints when it fails, which it must, with exit status 1; beside that it may have said
    /// that it waits.
    pub fn fails(&self, words: &str) -> String {
        let output = self.run(words);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{words}: {text}");
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with("warn: Waiting for ")).collect();
        let [line] = lines[..] else { panic!("{words}: not one line: {text}") };
        line.strip_prefix("error: ").unwrap_or_else(|| panic!("{words}: {line}")).to_owned()
    }

    /// The objects of `repo` whose names end so, sorted.
    pub fn objects(&self, suffix: &str) -> Vec<PathBuf> {
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
    pub fn snapshot(&self, name: &str) -> Vec<(PathBuf, u32, Vec<u8>)> {
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
