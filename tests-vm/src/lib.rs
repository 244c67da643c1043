// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scenarios that boot real systems in QEMU.
//!
//! A Debian tree built by mkosi is committed, deployed onto a disk and booted by the programs of this project, taken
//! from a tree that `./run install --destdir` laid out. Nothing here links to the crates of the workspace: a scenario
//! sees what a user sees.

mod bench_tree;
mod boot_entry;
mod budget;
mod command;
mod console;
mod cpio;
mod demo;
mod disk;
mod environment;
mod finalization;
mod firmware;
mod guest;
mod image;
mod loader;
mod machine;
mod mountinfo;
mod payload;
mod peer;
mod qemu;
mod report;
mod scenarios;
mod shell;
mod small;
mod typist;

use std::process::ExitCode;

use anyhow::{Result, bail};

use environment::Environment;

const USAGE: &str = "\
usage: tests-vm COMMAND
  run [FILTER] [--list]   boot the scenarios and check what they report; --beyond: those beyond the boot budget, instead;
                          --only GLOB: those whose names match
  demo                    build, install and boot a Debian system, upgrade it and roll back, step by step
  shell                   boot the system with a login on this terminal (ctrl-a x ends it)
  build-image             build the Debian tree that is committed, and print its path
  bench-tree              build the larger tree for benchmarks, and print its path
  finalization            measure how long finalizing at shutdown takes, beside the C tools
environment:
  OSTREE_RS_DESTDIR       our programs, as `./run install --destdir` lays them out
  OSTREE_RS_CACHE         cache directory (default: $HOME/.cache/ostree-rs)
  OSTREE_PEER_DIR         a Debian tree with the C ostree (default: peer-trixie in the cache directory)";

/// Runs the command that the arguments (without the program's name) ask for.
pub fn main(arguments: Vec<String>) -> ExitCode {
    match dispatch(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> Result<ExitCode> {
    let Some((command, rest)) = arguments.split_first() else { bail!("no command given\n{USAGE}") };
    if command == "--help" || command == "help" {
        println!("{USAGE}");
        return Ok(ExitCode::SUCCESS);
    }
    let known = ["run", "demo", "shell", "build-image", "bench-tree", "finalization"];
    if !known.contains(&command.as_str()) {
        bail!("unknown command {command:?}\n{USAGE}");
    }
    if command != "run" && !rest.is_empty() {
        bail!("{command} takes no arguments\n{USAGE}");
    }
    match command.as_str() {
        "run" => return Ok(scenarios::run(rest)),
        "demo" => demo::run(&Environment::from_process()?)?,
        "shell" => shell::run(&Environment::from_process()?)?,
        "bench-tree" => println!("{}", bench_tree::build(&Environment::without_programs()?)?.display()),
        "finalization" => finalization::run(&Environment::from_process()?)?,
        _ => println!("{}", image::build(&Environment::from_process()?)?.path.display()),
    }
    Ok(ExitCode::SUCCESS)
}
