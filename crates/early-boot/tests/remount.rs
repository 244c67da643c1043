// SPDX-License-Identifier: MIT OR Apache-2.0
//! Remounts for real: as root, in a mount namespace of its own. Each case is this program again, run by
//! `unshare --mount`.
#![allow(clippy::unwrap_used, reason = "a case of this harness is no #[test] that clippy would know")]

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use early_boot::remount;
use formats::run_state::RunState;
use test_world::namespace::{self, Case, Namespaces, Need};

const CASES: &[Case] = &[
    ("a_root_that_became_writable_takes_its_mounts_along", Need::Nothing, writable_again),
    ("a_readonly_sysroot_stays_readonly", Need::Nothing, readonly_sysroot),
    ("a_readonly_root_is_left_alone", Need::Nothing, readonly_root),
    ("links_and_plain_directories_are_passed_over", Need::Nothing, links),
    ("flags_of_a_mount_are_kept", Need::Nothing, flags),
];

fn main() -> ExitCode {
    namespace::run(Namespaces::Mount, CASES)
}

struct World(tempfile::TempDir);

impl World {
    /// A root, with `/sysroot`, `/etc` and `/var` mounted from one read-only file system, and the root itself from
    /// another.
    fn new(state: &RunState) -> Self {
        let world = Self(tempfile::tempdir().unwrap());
        world.mount(&["-t", "tmpfs", "root"], "");
        for directory in ["sysroot", "etc", "var", "run"] {
            fs::create_dir(world.at(directory)).unwrap();
        }
        world.mount(&["-t", "tmpfs", "disk"], "sysroot");
        for directory in ["etc", "var"] {
            fs::create_dir(world.at("sysroot").join(directory)).unwrap();
            let source = world.at("sysroot").join(directory);
            world.mount(&["--bind", source.to_str().unwrap()], directory);
        }
        fs::write(world.at("run/ostree-booted"), state.to_bytes()).unwrap();
        for directory in ["etc", "var", "sysroot"] {
            world.mount(&["-o", "remount,bind,ro,nodev"], directory);
        }
        world
    }

    fn at(&self, path: &str) -> std::path::PathBuf {
        self.0.path().join(path)
    }

    fn mount(&self, arguments: &[&str], at: &str) {
        let status = Command::new("mount").args(arguments).arg(self.at(at)).status().unwrap();
        assert!(status.success(), "{arguments:?} {at}");
    }

    fn run(&self) {
        remount::run(self.0.path()).unwrap();
    }

    /// Which of the three can be written to.
    fn writable(&self) -> Vec<&'static str> {
        let writable = |name: &&str| fs::write(self.at(name).join("probe"), "").is_ok();
        ["sysroot", "etc", "var"].into_iter().filter(writable).collect()
    }
}

fn state(sysroot_readonly: bool) -> RunState {
    RunState { sysroot_readonly: Some(sysroot_readonly), ..RunState::default() }
}

fn writable_again() {
    let world = World::new(&state(false));
    assert_eq!(world.writable(), Vec::<&str>::new());
    world.run();
    // /etc is no mount of its own on such a system, so it is not looked at.
    assert_eq!(world.writable(), ["sysroot", "var"]);
}

fn readonly_sysroot() {
    let world = World::new(&state(true));
    world.run();
    assert_eq!(world.writable(), ["etc", "var"]);
    // The other way round: what systemd made writable is made read-only again, and only that.
    world.mount(&["-o", "remount,bind,rw"], "sysroot");
    assert_eq!(world.writable(), ["sysroot", "etc", "var"]);
    world.run();
    assert_eq!(world.writable(), ["etc", "var"]);
}

fn readonly_root() {
    let world = World::new(&state(false));
    world.mount(&["-o", "remount,bind,ro"], "");
    world.run();
    assert_eq!(world.writable(), Vec::<&str>::new());
}

fn links() {
    let world = World(tempfile::tempdir().unwrap());
    world.mount(&["-t", "tmpfs", "root"], "");
    fs::create_dir(world.at("run")).unwrap();
    std::os::unix::fs::symlink("/nowhere", world.at("sysroot")).unwrap();
    fs::create_dir(world.at("var")).unwrap();
    world.run();
    assert!(Path::new(&world.at("run/ostree-booted")).exists(), "the mark for other programs");
}

fn flags() {
    let world = World::new(&state(true));
    world.run();
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let var = world.at("var").display().to_string();
    let line = table.lines().find(|line| line.split(' ').nth(4) == Some(&var)).unwrap();
    let options: Vec<&str> = line.split(' ').nth(5).unwrap().split(',').collect();
    assert!(options.contains(&"rw") && options.contains(&"nodev"), "{line}");
}
