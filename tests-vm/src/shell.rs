// SPDX-License-Identifier: MIT OR Apache-2.0
//! The system with a login on this terminal.

use std::fs;

use anyhow::{Context, Result};

use crate::environment::Environment;
use crate::machine::{Machine, Start};
use crate::{disk, guest, image};

/// Logs root in at the serial console without asking.
const CREDENTIALS: [guest::Credential; 2] = [("agetty.autologin", "root"), ("login.noauth", "yes")];

/// Builds what is missing, boots, and returns when the guest is shut down or left.
pub(crate) fn run(environment: &Environment) -> Result<()> {
    let directory = environment.scratch("shell")?;
    let tree = image::build(environment)?;
    let commit = image::commit(environment, &tree)?;
    let (disk, _) = disk::make(environment, &commit, &directory)?;
    let machine = Machine {
        directory: directory.clone(),
        start: Start::Kernel {
            kernel: disk.kernel,
            initrd: vec![disk.initrd],
            arguments: format!("{} {}", disk.entry.options, guest::ARGUMENTS),
        },
        disks: vec![(disk.image, "root")],
        credentials: CREDENTIALS.to_vec(),
    };
    println!(
        "Booting {}: about half a minute to the login. ctrl-a x leaves; changes are dropped.",
        disk.entry.title
    );
    machine.interact()?;
    fs::remove_dir_all(&directory).with_context(|| format!("Removing {}", directory.display()))
}
