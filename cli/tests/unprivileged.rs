// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages for a user without privileges: a file that may not be read is not known, and neither missing nor damaged.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// `nobody`.
const USER: u32 = 65534;

/// Claims that no message of these cases may make.
const CLAIMS: [&str; 6] = ["repair", "remove it", "write it anew", "lacks", "No deployments", "put vmlinuz"];

/// A root with a deployment, and the programs where everybody may run them.
struct World(tempfile::TempDir);

impl World {
    fn new() -> Self {
        let world = Self(tempfile::tempdir().unwrap());
        fs::set_permissions(world.at(""), fs::Permissions::from_mode(0o755)).unwrap();
        for program in [env!("CARGO_BIN_EXE_ostree"), env!("CARGO_BIN_EXE_ostree-bootloader")] {
            fs::copy(program, world.at("").join(Path::new(program).file_name().unwrap())).unwrap();
        }
        fs::create_dir(world.at("root")).unwrap();
        test_world::tree::make_bootable(&world.at("tree"));
        test_world::tree::write(&world.at("tree"), &[("usr/etc/secret", "default")]);
        for words in [
            "ostree admin init-fs --modern root",
            "ostree admin --sysroot=root stateroot-init testos",
            "ostree --repo=root/ostree/repo config set sysroot.bootloader none",
            "ostree --repo=root/ostree/repo commit --branch=main tree",
            "ostree admin --sysroot=root deploy --os=testos main",
        ] {
            assert_eq!(world.run(words, 0).0, Some(0), "{words}");
        }
        world
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    /// Exit status, standard output and standard error.
    fn run(&self, words: &str, user: u32) -> (Option<i32>, String, String) {
        let mut words = words.split(' ');
        let mut command = Command::new(self.at(words.next().unwrap()));
        command.args(words).current_dir(self.at("")).env("LC_ALL", "C.UTF-8");
        if user != 0 {
            command.uid(user).gid(user);
        }
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    /// Closes what is at these paths to all but root while `run` runs.
    fn closed<T>(&self, paths: &[PathBuf], run: impl FnOnce() -> T) -> T {
        let modes: Vec<_> = paths.iter().map(|path| path.metadata().unwrap().permissions()).collect();
        let close = |path| fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
        paths.iter().for_each(close);
        let done = run();
        paths.iter().zip(modes).for_each(|(path, mode)| fs::set_permissions(path, mode).unwrap());
        done
    }

    fn only(&self, dir: &str, ending: &str) -> PathBuf {
        let mut entries = fs::read_dir(self.at(dir)).unwrap().map(|entry| entry.unwrap().path());
        entries.find(|path| path.to_string_lossy().ends_with(ending)).unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let done = Command::new("chattr").args(["-R", "-f", "-i"]).arg(self.0.path()).status();
        assert!(done.is_ok(), "chattr is needed to remove what was deployed");
    }
}

fn claims_nothing(told: &str) {
    for claim in CLAIMS {
        assert!(!told.contains(claim), "{claim}: {told}");
    }
}

#[test]
fn a_status_says_what_is_known_and_what_is_not() {
    test_world::needs_root!();
    let world = World::new();
    let (_, as_root, nothing) = world.run("ostree admin --sysroot=root status", 0);
    assert!(!nothing.contains("warning: "), "{nothing}");
    let (code, lines, told) = world.run("ostree admin --sysroot=root status", USER);
    assert_eq!((code, &lines), (Some(0), &as_root));
    assert_eq!(
        told,
        "warning: not known without privileges: conflicts in /etc; whether an SELinux policy is whole; run `ostree admin \
         status` as root\n"
    );
    let json = |told: &str| serde_json::from_str::<serde_json::Value>(told).unwrap();
    let (_, text, _) = world.run("ostree admin --sysroot=root status --json", USER);
    let status = json(&text);
    assert_eq!(status["notes"].as_array().unwrap().len(), 1);
    assert_eq!(status["notes"][0]["topic"], "not-known");
    assert_eq!(status["deployments"][0]["pinned"], false);

    let origin = world.only("root/ostree/deploy/testos/deploy", ".origin");
    world.closed(&[origin], || {
        let (code, text, told) = world.run("ostree admin --sysroot=root status --json", USER);
        claims_nothing(&(told + &text));
        let status = json(&text);
        let row = &status["deployments"][0];
        assert_eq!((code, row.get("pinned"), row.get("unlocked")), (Some(0), None, None));
        let note = status["notes"][0]["text"].as_str().unwrap();
        assert!(note.contains("the origin of deployment 0"), "{note}");
    });
}

#[test]
fn a_menu_that_may_not_be_read_is_no_empty_one() {
    test_world::needs_root!();
    let world = World::new();
    let entry = world.only("root/boot/loader/entries", ".conf");
    let kernels = world.only("root/boot/ostree", "");
    for closed in [world.at("root/boot"), world.at("root/boot/loader.1/entries"), entry, kernels] {
        world.closed(std::slice::from_ref(&closed), || {
            for words in [
                "ostree admin --sysroot=root status",
                "ostree admin --sysroot=root fsck-boot",
                "ostree-bootloader --sysroot=root status",
                "ostree-bootloader --sysroot=root verify",
            ] {
                let (code, lines, told) = world.run(words, USER);
                assert_eq!((code, lines.as_str()), (Some(1), ""), "{words} with {}", closed.display());
                assert!(told.ends_with("Permission denied; try it as root\n"), "{words}: {told}");
                assert_eq!(told.lines().count(), 1, "{words}: {told}");
                claims_nothing(&told);
            }
        });
    }
}

#[test]
fn a_tree_that_may_not_be_read_is_no_bad_one() {
    test_world::needs_root!();
    let world = World::new();
    for closed in ["usr", "usr/etc", "usr/lib/modules", test_world::tree::MODULES, "boot"] {
        world.closed(&[world.at("tree").join(closed)], || {
            let (code, lines, told) = world.run("ostree admin lint tree", USER);
            assert_eq!((code, lines.as_str()), (Some(1), ""), "{closed}: {told}");
            assert!(told.contains("Permission denied; try it as root"), "{closed}: {told}");
            claims_nothing(&told);
        });
    }
}

#[test]
fn a_difference_that_may_not_be_read_is_none_and_no_lack() {
    test_world::needs_root!();
    let world = World::new();
    let etc = world.only("root/ostree/deploy/testos/deploy", ".0").join("etc");
    fs::write(etc.join("secret"), "changed").unwrap();
    world.closed(&[etc.join("secret")], || {
        let (code, lines, told) = world.run("ostree admin --sysroot=root config-diff --os=testos", USER);
        assert_eq!((code, lines.as_str()), (Some(1), ""), "{told}");
        assert!(
            told.contains("/etc/secret") && told.ends_with("Permission denied; try it as root\n"),
            "{told}"
        );
    });
}
