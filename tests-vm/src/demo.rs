// SPDX-License-Identifier: MIT OR Apache-2.0
//! The story in one command: a Debian system is built, committed, deployed onto a disk and booted, all by our programs.

use std::fs;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::budget::Tier;
use crate::environment::Environment;
use crate::machine::Machine;
use crate::{disk, guest, image, payload};

/// As for the scenarios: several times what a boot takes under emulation on a busy machine.
const LIMIT: Duration = Duration::from_secs(400);

/// What the guest shows. A section's name is the command that it runs.
const SCRIPT: &str = "\
show() { section \"$1\" sh -c \"$1\"; }
show 'cat /etc/os-release | head -n 1'
show 'ostree admin status'
show 'findmnt --output TARGET,FSROOT,OPTIONS --types ext4 --list'
show 'touch /usr/x'
show 'touch /etc/x && echo /etc can be written'
show 'touch /var/x && echo /var can be written'
show 'touch /sysroot/x'
show 'systemctl is-active ostree-remount.service'
show 'systemctl is-system-running --wait'
";

/// Tells it.
pub(crate) fn run(environment: &Environment) -> Result<()> {
    let directory = environment.scratch("demo")?;
    let tree = step("Building a Debian tree with mkosi, our programs in it", || {
        let tree = image::build(environment)?;
        let from = if tree.fresh { "built" } else { "from the cache" };
        Ok((format!("{} ({from})", tree.path.display()), tree))
    })?;
    let commit = step("Committing it with our ostree", || {
        let commit = image::commit(environment, &tree)?;
        Ok((format!("{} {}", commit.reference, commit.checksum), commit))
    })?;
    let disk = step("Deploying the commit onto an empty disk", || {
        let (disk, said) = disk::make(environment, &commit, &directory)?;
        Ok((format!("{}\nboot entry: {}\n  {}", said.trim(), disk.entry.title, disk.entry.options), disk))
    })?;
    let payload = payload::pack(&directory, SCRIPT, &[])?;
    let machine = Machine {
        directory: directory.clone(),
        kernel: disk.kernel,
        initrd: vec![disk.initrd],
        arguments: format!("{} {} {}", disk.entry.options, guest::ARGUMENTS, guest::SCENARIO_ARGUMENTS),
        disks: vec![(disk.image, "root"), (payload, "payload")],
        credentials: guest::SCENARIO_CREDENTIALS.to_vec(),
    };
    step("Booting it in QEMU, through our static ostree-prepare-root", || {
        let mut shown = 0;
        let boot = machine.boot_and_watch(Tier::FullBoot, LIMIT, |text| shown = show(text, shown))?;
        Ok((format!("The guest shut down after {:.0} s.", boot.duration.as_secs_f64()), ()))
    })?;
    fs::remove_dir_all(&directory).with_context(|| format!("Removing {}", directory.display()))
}

/// Says what begins, does it, and says how it ended and how long it took.
fn step<T>(title: &str, work: impl FnOnce() -> Result<(String, T)>) -> Result<T> {
    println!("\n==> {title}");
    let start = Instant::now();
    let (said, value) = work()?;
    for line in said.lines() {
        println!("    {line}");
    }
    println!("    {:.1} s", start.elapsed().as_secs_f64());
    Ok(value)
}

/// Prints the whole lines of a report after the first `shown`, and returns how many there are now.
fn show(text: &str, shown: usize) -> usize {
    let whole = text.rfind('\n').map_or("", |end| text.get(..end).unwrap_or_default());
    let lines: Vec<&str> = whole.lines().collect();
    for line in lines.iter().skip(shown).filter_map(|line| told(line)) {
        println!("{line}");
    }
    let _ = io::stdout().flush();
    lines.len()
}

/// How a line of a report is shown; markers become prompts or nothing.
fn told(line: &str) -> Option<String> {
    match line.strip_prefix("@@ ") {
        Some(marker) => marker.strip_prefix("section ").map(|command| format!("    # {command}")),
        None => Some(format!("      {line}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_become_prompts() {
        assert_eq!(told("@@ section ls /").unwrap(), "    # ls /");
        assert_eq!(told("@@ status 0"), None);
        assert_eq!(told("bin").unwrap(), "      bin");
    }

    #[test]
    fn only_whole_lines_are_shown_and_once() {
        assert_eq!(show("@@ begin\npart", 0), 1);
        assert_eq!(show("@@ begin\npart\n", 1), 2);
        assert_eq!(show("", 0), 0);
    }
}
