// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long a staged deployment takes to be finalized at shutdown: by our programs and units in a system of ours, and
//! by the C tools' in the same system with those in place of ours.
//!
//! Both systems have the same first version and stage the same second one by their own `ostree`: another initramfs, and
//! changed files in `/usr` and `/etc`. Then local changes are made in `/etc`, and the system is shut down. What is
//! measured is what systemd says: from `Stopping` to `Stopped` of `ostree-finalize-staged.service`.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fn_error_context::context;

use crate::budget::Tier;
use crate::disk::{self, Disk};
use crate::environment::Environment;
use crate::image::{self, Commit};
use crate::machine::Machine;
use crate::{command, guest, payload, peer};

/// Boots of each side.
const ROUNDS: usize = 3;

/// As for the scenarios: several times what a boot takes under emulation on a busy machine.
const LIMIT: Duration = Duration::from_secs(600);

/// Files that the versions have in `/etc` beside those of the tree.
const DEFAULTS: usize = 600;

/// Run in the booted first version. The journal is to have what is told at shutdown.
const SCRIPT: &str = r#"
mkdir -p /var/log/journal && journalctl --flush
section running systemctl is-system-running --wait
section stage ostree admin deploy --stage bench
section edit sh -euc '
    for number in $(seq 0 6 599); do echo "local = $number" >>/etc/bench/$number.conf; done
    for number in $(seq 1 12 599); do rm /etc/bench/$number.conf; done
    for number in $(seq 2 6 599); do echo "local = $number" >/etc/bench/$number.local; done'
section settle sh -c 'sync; sleep 2'
"#;

/// One of the two systems.
struct Side {
    name: &'static str,
    disk: Disk,
    /// The deployment that is booted after it was finalized.
    second: String,
}

/// Measures, and prints a line `ours MICROSECONDS` or `theirs MICROSECONDS` for each boot.
pub(crate) fn run(environment: &Environment) -> Result<()> {
    let directory = environment.scratch("finalization")?;
    let tree = image::build(environment)?;
    let commit = image::commit(environment, &tree)?;
    let theirs = directory.join("tree");
    command::run(Command::new("cp").arg("-al").arg(&tree.path).arg(&theirs))?;
    peer::install(environment.peer()?, &theirs)?;
    let sides = [
        make(environment, &commit, "theirs", &theirs, &directory)?,
        make(environment, &commit, "ours", &tree.path, &directory)?,
    ];
    fs::remove_dir_all(&theirs).with_context(|| format!("Removing {}", theirs.display()))?;
    for round in 0..ROUNDS {
        for side in &sides {
            eprintln!("finalization: {}, {}/{ROUNDS}", side.name, round + 1);
            println!("{} {}", side.name, one(side, &directory)?.as_micros());
        }
    }
    fs::remove_dir_all(&directory).with_context(|| format!("Removing {}", directory.display()))
}

/// A disk with the first version deployed, and the second one in its repository.
#[context("Making the system {name}")]
fn make(
    environment: &Environment,
    commit: &Commit,
    name: &'static str,
    tree: &Path,
    directory: &Path,
) -> Result<Side> {
    let directory = directory.join(name);
    fs::create_dir(&directory).with_context(|| format!("Creating {}", directory.display()))?;
    let (disk, _) = disk::make(environment, commit, &directory)?;
    let (first, second) = (directory.join("first"), directory.join("second"));
    write_versions(tree, &first, &second)?;
    let ostree = environment.program("usr/bin/ostree");
    let arguments = [&ostree, tree, &first, &second].map(|path: &Path| OsStr::new(path));
    let said = disk.run(include_str!("../host/two-versions.sh"), &arguments)?;
    let second = format!("debian/{}.0", said.trim());
    Ok(Side { name, disk: disk.read_again()?, second })
}

/// Writes the files that the versions have beside the tree, and the second one beside the first.
fn write_versions(tree: &Path, first: &Path, second: &Path) -> Result<()> {
    for number in 0..DEFAULTS {
        let text = |what: &str| format!("# {what} {number}\n").repeat(100);
        write(&first.join(format!("usr/etc/bench/{number}.conf")), text("default").as_bytes())?;
        if number % 10 == 0 {
            write(&second.join(format!("usr/etc/bench/{number}.conf")), text("new default").as_bytes())?;
            write(&second.join(format!("usr/share/bench/{number}")), text("new").as_bytes())?;
        }
    }
    let modules = tree.join("usr/lib/modules");
    let mut kernels = fs::read_dir(&modules).with_context(|| format!("Reading {}", modules.display()))?;
    let kernel = kernels.next().with_context(|| format!("{} is empty", modules.display()))??.path();
    let initramfs = kernel.join("initramfs.img");
    let mut content = fs::read(&initramfs).with_context(|| format!("Reading {}", initramfs.display()))?;
    // An archive may end in any number of zeros.
    content.extend_from_slice(&[0; 512]);
    write(&second.join(initramfs.strip_prefix(tree).context("It is not in the tree")?), &content)
}

fn write(path: &Path, content: &[u8]) -> Result<()> {
    let directory = path.parent().context("It has no directory")?;
    fs::create_dir_all(directory).with_context(|| format!("Creating {}", directory.display()))?;
    fs::write(path, content).with_context(|| format!("Writing {}", path.display()))
}

/// Boots a copy of the disk, stages, changes, shuts down; how long it took.
#[context("Finalizing {}", side.name)]
fn one(side: &Side, directory: &Path) -> Result<Duration> {
    let directory = directory.join("boot");
    fs::create_dir_all(&directory).with_context(|| format!("Creating {}", directory.display()))?;
    let disk = side.disk.copy(&directory)?;
    let mut disks = disk.images();
    disks.push((payload::pack(&directory, SCRIPT, &[])?, "payload"));
    let machine = Machine {
        directory: directory.clone(),
        start: disk.start(&[]),
        disks,
        credentials: guest::ORDERLY_CREDENTIALS.to_vec(),
    };
    let boot = machine.boot_and_keep(Tier::FullBoot, LIMIT)?;
    for name in ["running", "stage", "edit"] {
        let section = boot.report.section(name)?;
        ensure!(section.ok(), "{name} failed: {}", section.text());
    }
    let disk = disk.read_again()?;
    let journal =
        disk.journal("debian", &["--output=short-monotonic", "UNIT=ostree-finalize-staged.service"])?;
    let now = disk.deployment()?;
    ensure!(now == side.second, "{now} is booted next instead of {}: {journal}", side.second);
    stopping_took(&journal)
}

/// From the last `Stopping` to the last `Stopped` of a journal with monotonic times.
fn stopping_took(journal: &str) -> Result<Duration> {
    let at = |what: &str| -> Result<f64> {
        let line = journal.lines().rfind(|line| line.contains(what));
        let line = line.with_context(|| format!("the journal has no {what:?}: {journal}"))?;
        let time = line.trim_start_matches(['[', ' ']).split(']').next().unwrap_or_default();
        time.parse().with_context(|| format!("Reading the time of {line:?}"))
    };
    let (start, end) = (at(": Stopping ")?, at(": Stopped ")?);
    ensure!(end > start, "it was stopped before it was stopping: {journal}");
    Ok(Duration::from_secs_f64(end - start))
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOURNAL: &str = "\
[   30.000001] localhost systemd[1]: Starting ostree-finalize-staged.service - Finalize...
[   30.100000] localhost systemd[1]: Finished ostree-finalize-staged.service - Finalize.
[   61.250000] localhost systemd[1]: Stopping ostree-finalize-staged.service - Finalize...
[   63.500000] localhost systemd[1]: ostree-finalize-staged.service: Deactivated successfully.
[   63.750000] localhost systemd[1]: Stopped ostree-finalize-staged.service - Finalize.
[   63.760000] localhost systemd[1]: ostree-finalize-staged.service: Consumed 2.1s CPU time.
";

    #[test]
    fn the_time_between_two_messages_is_read() {
        assert_eq!(stopping_took(JOURNAL).unwrap(), Duration::from_millis(2500));
        for (from, to) in
            [("Stopped", "Failed"), ("Stopping", "Starting"), ("63.750000", "x"), ("63.750000", "60.0")]
        {
            assert!(stopping_took(&JOURNAL.replace(from, to)).is_err(), "{from} → {to}");
        }
    }
}
