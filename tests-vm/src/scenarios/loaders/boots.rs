// SPDX-License-Identifier: MIT OR Apache-2.0
//! Boots of the small system by a boot loader.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::budget::Tier;
use crate::loader::{self, BootLoader, WholeDisk};
use crate::machine::{Boot, Machine, Start};
use crate::payload;
use crate::report::Report;
use crate::scenarios::Bench;
use crate::scenarios::expect::{self, check};
use crate::typist::Answer;

/// Measured under emulation: 9 to 13 s on a quiet machine, 31 s beside other work.
const LIMIT: Duration = Duration::from_secs(300);

/// The script by which every boot tells about itself.
pub(super) const ASK: &str = r#"
! boot=$(findfs LABEL=ostree-boot 2>/dev/null) || mount "$boot" /boot
mount -t tmpfs tmpfs /tmp
section version cat /usr/share/tests-vm/version
section cmdline cat /proc/cmdline
section status ostree admin status
section verify ostree-bootloader verify
"#;

pub(super) const UPGRADE: &str = "section change ostree admin deploy small/2\n";
pub(super) const ROLL_BACK: &str = "section change ostree admin rollback\n";
pub(super) const NOTHING: &str = "section change true\n";

/// Version 1 upgrades itself, version 2 goes back, version 1 is there again.
pub(super) fn upgraded_and_back(bench: &Bench, loader: &dyn BootLoader) -> Result<WholeDisk> {
    let disk = with_two_versions(bench, loader)?;
    for (version, change) in [("1", UPGRADE), ("2", ROLL_BACK), ("1", NOTHING)] {
        check_boot(&boot(bench, loader, &disk, change)?, loader, version)?;
    }
    Ok(disk)
}

/// A disk with version 1, and version 2 in its repository.
pub(super) fn with_two_versions(bench: &Bench, loader: &dyn BootLoader) -> Result<WholeDisk> {
    let [first, second] = bench.small()? else { bail!("two versions were expected") };
    let disk = loader::install(loader, &bench.environment, first, &bench.directory)?;
    pull(bench, &disk, &second.repo, &second.reference)?;
    Ok(disk)
}

pub(super) fn pull(bench: &Bench, disk: &WholeDisk, repo: &std::path::Path, reference: &str) -> Result<()> {
    let script = r#""$1" --repo=ostree/repo pull-local "$2" "$3""#;
    let ostree = bench.environment.program("usr/bin/ostree");
    disk.run(script, &[ostree.as_os_str(), repo.as_os_str(), OsStr::new(reference)]).map(drop)
}

/// A boot of the small system.
pub(super) struct Started {
    pub(super) report: Report,
    /// All that the console has shown, with the escapes that place it.
    pub(super) screen: String,
}

/// Starts the disk, lets it say what it is and change something, and waits for its end.
pub(super) fn boot(bench: &Bench, loader: &dyn BootLoader, disk: &WholeDisk, change: &str) -> Result<Report> {
    Ok(start(bench, loader, disk, &[ASK, change].concat(), &[])?.report)
}

pub(super) fn start(
    bench: &Bench,
    loader: &dyn BootLoader,
    disk: &WholeDisk,
    script: &str,
    answers: &[Answer],
) -> Result<Started> {
    let machine = machine(bench, loader, disk, script, answers)?;
    let Boot { report, duration, .. } = machine.boot_and_keep(Tier::Busybox, LIMIT)?;
    println!("{} by {}: {:.1} s", loader.kind(), loader.firmware(), duration.as_secs_f64());
    let screen = fs::read(bench.directory.join("console.txt")).context("Reading the console")?;
    Ok(Started { report, screen: String::from_utf8_lossy(&screen).into_owned() })
}

/// The machine whose disk has the loader and the script.
pub(super) fn machine(
    bench: &Bench,
    loader: &dyn BootLoader,
    disk: &WholeDisk,
    script: &str,
    answers: &[Answer],
) -> Result<Machine> {
    let payload = payload::pack(&bench.directory, script, &[])?;
    Ok(Machine {
        directory: bench.directory.clone(),
        start: Start::Loader {
            firmware: loader.firmware(),
            answers: [loader.answers().as_slice(), answers].concat(),
        },
        disks: vec![(disk.image.clone(), "root"), (payload, "payload")],
        credentials: Vec::new(),
    })
}

/// This version runs, and our tools see what the loader sees.
pub(super) fn check_boot(report: &Report, loader: &dyn BootLoader, version: &str) -> Result<()> {
    expect::text(report, "version", version)?;
    expect::ok(report, &["status", "verify", "change"])?;
    let verify = report.section("verify")?;
    check(verify.text().starts_with(loader.kind()), "it knows the loader", verify)?;
    expect::words(report, "cmdline", "ostree=")
}

/// GRUB's menu has shown these entries, each in one row.
pub(super) fn check_rows(screen: &str, expected: &[&str]) -> Result<()> {
    let rows = rows(screen);
    check(rows.values().eq(expected), &format!("the menu shows {expected:?}"), &rows)
}

/// Reads the rows of GRUB's menu, as its text terminal draws them: a place, then the title, with a star before
/// the one that is chosen.
fn rows(screen: &str) -> BTreeMap<u32, String> {
    let placed = |piece: &str| {
        let (place, text) = piece.split_once('H')?;
        let row = place.split_once(';')?.0.parse().ok()?;
        let title = text.trim_start_matches(['*', ' ']).trim_end();
        title.ends_with(')').then(|| (row, title.to_owned()))
    };
    screen.split("\u{1b}[").filter_map(placed).filter(|(_, title)| title.contains("(ostree:")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_of_a_menu() {
        let one =
            "\u{1b}[5;3H*A 1 (ostree:0)      \u{1b}[5;78H\u{1b}[m\u{1b}[6;3H A 2 (ostree:1)   \u{1b}[6;78H";
        // Drawn again when another is chosen, and told when it is started.
        let again =
            "\u{1b}[5;3H A 1 (ostree:0)   \u{1b}[6;3H*A 2 (ostree:1) \u{1b}[H  Booting `A 2 (ostree:1)'\n";
        let screen = [one, again].concat();
        assert!(check_rows(&screen, &["A 1 (ostree:0)", "A 2 (ostree:1)"]).is_ok());
        assert!(check_rows(&screen, &["A 1 (ostree:0)"]).is_err());
        let twice = [one, "\u{1b}[7;3H A 1 (ostree:0)  \u{1b}[7;78H"].concat();
        assert!(check_rows(&twice, &["A 1 (ostree:0)", "A 2 (ostree:1)"]).is_err());
        assert!(check_rows("", &["A 1 (ostree:0)"]).is_err());
    }
}
