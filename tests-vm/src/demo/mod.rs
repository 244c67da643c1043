// SPDX-License-Identifier: MIT OR Apache-2.0
//! The story in one command: a Debian system is built and committed twice, installed, booted, changed, upgraded, and
//! rolled back, all by our programs. What is shown is what runs.

mod host;
mod tell;

use std::fs;
use std::io::{self, IsTerminal};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::budget::Tier;
use crate::disk::{self, Disk};
use crate::environment::Environment;
use crate::machine::Machine;
use crate::{guest, image, payload};
use tell::Teller;

/// As for the scenarios: several times what a boot takes under emulation on a busy machine.
const LIMIT: Duration = Duration::from_secs(600);

/// The boots: what happens, and the script that does it.
const BOOTS: [(&str, &str); 3] = [
    (
        "Booting version 1, editing /etc, staging the upgrade",
        concat!(include_str!("../../guest/demo.sh"), include_str!("../../guest/demo-upgrade.sh")),
    ),
    (
        "Booting version 2, with both edits; rolling back",
        concat!(include_str!("../../guest/demo.sh"), include_str!("../../guest/demo-rollback.sh")),
    ),
    (
        "Booting version 1 again",
        concat!(include_str!("../../guest/demo.sh"), include_str!("../../guest/demo-back.sh")),
    ),
];

/// Steps on the host, before the boots.
const HOST: [(&str, &str); 3] = [
    ("Committing it as version 1", include_str!("../../host/demo-commit.sh")),
    ("Installing version 1 onto an empty disk", include_str!("../../host/demo-install.sh")),
    ("Committing version 2", include_str!("../../host/demo-next.sh")),
];

/// Tells it.
pub(crate) fn run(environment: &Environment) -> Result<()> {
    let start = Instant::now();
    let directory = environment.scratch("demo")?;
    let mut teller = Teller::new(io::stdout(), io::stdout().is_terminal(), 1 + HOST.len() + BOOTS.len());
    teller.step("Building a Debian system with our programs in it (minutes, the first time)", |teller| {
        let tree = image::build(environment)?;
        let from = if tree.fresh { "built with mkosi" } else { "from the cache" };
        teller.say(&format!("{} ({from})", tree.path.display()));
        symlink(&tree.path, directory.join("version-1")).context("Linking to the tree")
    })?;
    for (title, script) in HOST {
        teller.step(title, |teller| host::run(environment, &directory, script, teller))?;
    }
    let mut disk = disk::open(directory.join("disk.raw"), None)?;
    for (title, script) in BOOTS {
        disk = teller.step(title, |teller| boot(disk, &directory, script, teller))?;
    }
    teller.say("");
    teller.say(&format!(
        "All of it: {:.0} s. `./run vm` gives a login in such a system.",
        start.elapsed().as_secs_f64()
    ));
    fs::remove_dir_all(&directory).with_context(|| format!("Removing {}", directory.display()))
}

/// Boots the entry that is first on the disk, and shows what the guest says; the disk as it is then.
fn boot(disk: Disk, directory: &Path, script: &str, teller: &mut Teller<impl io::Write>) -> Result<Disk> {
    teller.say(&format!("boot entry: {}", disk.entry.title));
    let payload = payload::pack(directory, script, &[])?;
    let mut disks = disk.images();
    disks.extend([(payload, "payload"), (directory.join("updates.raw"), "updates")]);
    let machine = Machine {
        directory: directory.to_owned(),
        start: disk.start(&[]),
        disks,
        credentials: guest::ORDERLY_CREDENTIALS.to_vec(),
    };
    let mut report = teller.report();
    machine.boot_and_watch(Tier::FullBoot, LIMIT, |text| report.show(text))?;
    report.end()?;
    disk.read_again()
}
