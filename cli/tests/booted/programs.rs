// SPDX-License-Identifier: MIT OR Apache-2.0
//! Our command and that of the C tools, in a system that believes it was booted.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use test_world::World;
use test_world::system::{self, Boot};

/// A running system that has the command.
pub(crate) fn boot() {
    boot_world(system::installed(&Boot::Bound));
}

/// The same of what is deployed in a world.
pub(crate) fn boot_world(world: World) {
    let bytes = fs::read(env!("CARGO_BIN_EXE_ostree")).unwrap();
    system::boot(world, &Boot::Bound);
    let path = Path::new(system::PROGRAMS).join("ostree");
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// `ostree` or `peer` with words that are separated by blanks.
pub(crate) fn command(program: &str, words: &str) -> Command {
    let mut command = Command::new(program);
    command.args(words.split(' ')).stdin(Stdio::null()).env("INVOCATION_ID", "1");
    command
}

/// Whether `admin ARGUMENTS` succeeds, and what it says.
pub(crate) fn run(program: &str, arguments: &str) -> (bool, String) {
    let output = command(program, &format!("admin {arguments}")).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

/// Gives the output of our command when it succeeds, which it must.
pub(crate) fn ok(arguments: &str) -> String {
    ok_as("ostree", arguments)
}

/// Gives the output of either command when it succeeds, which it must.
pub(crate) fn ok_as(program: &str, arguments: &str) -> String {
    let (done, said) = run(program, arguments);
    assert!(done, "{program} {arguments}: {said}");
    said
}

/// Gives the output of our command when it fails, which it must.
pub(crate) fn fails(arguments: &str) -> String {
    let (done, said) = run("ostree", arguments);
    assert!(!done, "{arguments}: {said}");
    said
}
