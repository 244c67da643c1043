// SPDX-License-Identifier: MIT OR Apache-2.0
//! Half a system of ours and half of the C tools': their `ostree-prepare-root` in the initramfs of our system, and
//! their programs and units in a system that our initramfs has prepared. The latter also finalizes at its shutdown what
//! our `ostree` staged in it.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use fn_error_context::context;

use super::expect::{self, check};
use super::system::{self, Ended, Extras};
use super::{Bench, dracut_full_boot, menu, mounted};
use crate::cpio::Archive;
use crate::disk::Disk;
use crate::report::Report;
use crate::{command, peer};

/// Runs the C program, and leaves a mark that it was this one.
const WRAPPER: &str = "#!/bin/sh\n: >/run/prepared-by-c\n\
    exec /peer/ld.so --library-path /peer/lib /peer/ostree-prepare-root \"$@\"\n";

const PREPARE_ROOT: &str = "usr/lib/ostree/ostree-prepare-root";
const UNIT: &str = "usr/lib/systemd/system/ostree-prepare-root.service";

/// Their initramfs, our userspace.
pub(super) fn initramfs(bench: &Bench) -> Result<()> {
    let archive = c_initramfs(bench)?;
    let mark = "section prepared test -e /run/prepared-by-c\n";
    let report = dracut_full_boot::boot(bench, &[archive], mark)?;
    expect::ok(&report, &["prepared"])?;
    dracut_full_boot::check_report(bench, &report)
}

/// Makes the archive that replaces our program and its unit in an initramfs. The configuration stays: Debian's package has none.
#[context("Making the C tools' part of an initramfs")]
fn c_initramfs(bench: &Bench) -> Result<Vec<u8>> {
    let tree = bench.environment.peer()?;
    let programs = peer::collect(tree, &[PREPARE_ROOT], &bench.directory)?;
    let read = |path: &Path| fs::read(path).with_context(|| format!("Reading {}", path.display()));
    let mut archive = Archive::default();
    archive.directory("peer").directory("peer/lib");
    for directory in ["", "lib/"] {
        for entry in fs::read_dir(programs.join(directory)).context("Listing the C programs")? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                let name = format!("peer/{directory}{}", entry.file_name().to_string_lossy());
                archive.file(&name, 0o755, &read(&entry.path())?);
            }
        }
    }
    archive.file(PREPARE_ROOT, 0o755, WRAPPER.as_bytes()).file(UNIT, 0o644, &read(&tree.join(UNIT))?);
    Ok(archive.finish())
}

/// In the C tools' system; `bin` is ours.
const ASK: &str = r#"
section version ostree --version
section units grep -l '^Exec.*=/usr/bin/ostree admin' -r /usr/lib/systemd/system
section ours-left find /usr/lib/ostree /usr/lib/systemd/system -name 'ostree-boot-good*'
section status ostree admin status
section ours /run/payload/bin/ostree admin status
section stage /run/payload/bin/ostree admin deploy --stage debian/trixie/x86_64
section "staged: theirs" ostree admin status
section "staged: ours" /run/payload/bin/ostree admin status
"#;

/// Our initramfs, their userspace.
pub(super) fn userspace(bench: &Bench) -> Result<()> {
    let prepared = bench.prepared()?;
    let disk = prepared.disk.copy(&bench.directory)?;
    let theirs = deploy_c_system(bench, &disk)?;
    let disk = disk.read_again()?;
    menu::check_switched(&disk, &format!("debian/{theirs}.0"))?;

    let programs = bench.environment.program("usr/bin");
    let extras = Extras { parts: &[&programs], ..Extras::default() };
    let script = [system::STATE, mounted::SCRIPT, ASK].concat();
    let Ended { report, disk, .. } = system::boot(bench, disk, &script, &extras)?;
    system::check_healthy(&report)?;
    let deployment = format!("{theirs}.0");
    let expected = mounted::Expected { stateroot: "debian", deployment: &deployment, sysroot_readonly: true };
    mounted::check_all(&report, &expected)?;
    let ours = format!("{}.1", prepared.commit.checksum);
    check_tools(&report, &deployment, &ours)?;
    menu::check_switched(&disk, &format!("debian/{ours}"))?;
    // Theirs, with a /boot of which there is no unit, finalizes after the journal has moved to memory.
    system::check_orderly(&disk, "debian", "Stopping systemd-journal-flush.service")
}

/// Commits the tree with the C tools in place of ours, and deploys it with ours; the checksum.
#[context("Deploying a system of the C tools")]
fn deploy_c_system(bench: &Bench, disk: &Disk) -> Result<String> {
    let tree = bench.directory.join("tree");
    command::run(Command::new("cp").arg("-al").arg(&bench.prepared()?.tree.path).arg(&tree))?;
    peer::install(bench.environment.peer()?, &tree)?;
    let ostree = bench.environment.program("usr/bin/ostree");
    let script = r#"
        "$1" --repo=ostree/repo commit --branch=c --tree=dir="$2"
        "$1" admin --sysroot=. deploy --os=debian c >&2"#;
    let said = disk.run(script, &[ostree.as_os_str(), OsStr::new(&tree)])?;
    fs::remove_dir_all(&tree).with_context(|| format!("Removing {}", tree.display()))?;
    Ok(said.trim().to_owned())
}

/// The system is the C tools', both tools see the same, and what ours staged is known to theirs.
fn check_tools(report: &Report, booted: &str, staged: &str) -> Result<()> {
    let units = report.section("units")?;
    for unit in ["ostree-finalize-staged.service", "ostree-boot-complete.service"] {
        let found = units.lines.iter().any(|line| line.ends_with(unit));
        check(found, &format!("{unit} is the C tools'"), units)?;
    }
    expect::words(report, "version", "gpgme")?;
    expect::text(report, "ours-left", "")?;
    expect::ok(report, &["stage"])?;
    for tool in ["status", "ours", "staged: theirs", "staged: ours"] {
        menu::check_told(report, tool, &format!("* debian {booted}"))?;
    }
    for tool in ["staged: theirs", "staged: ours"] {
        menu::check_told(report, tool, &format!("debian {staged} (staged)"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
@@ section version
  - gpgme
@@ status 0
@@ section units
/usr/lib/systemd/system/ostree-boot-complete.service
/usr/lib/systemd/system/ostree-finalize-staged.service
@@ status 0
@@ section ours-left
@@ status 0
@@ section status
* debian c.0
@@ status 0
@@ section ours
* debian c.0
@@ status 0
@@ section stage
@@ status 0
@@ section staged: theirs
  debian o.1 (staged)
* debian c.0
@@ status 0
@@ section staged: ours
  debian o.1 (staged)
* debian c.0
@@ status 0
";

    #[test]
    fn a_good_report_passes_and_each_change_of_it_fails() {
        let changes = [
            ("gpgme", "inode64"),
            ("ostree-boot-complete.service\n", ""),
            ("ostree-finalize-staged.service\n", ""),
            ("ours-left\n", "ours-left\n/usr/lib/ostree/ostree-boot-good\n"),
            ("status\n* debian", "status\n  debian"),
            ("ours\n* debian c.0", "ours\n* debian o.1"),
            ("stage\n@@ status 0", "stage\n@@ status 1"),
            ("theirs\n  debian o.1 (staged)", "theirs\n  debian o.1"),
            ("ours\n  debian o.1 (staged)", "ours\n  debian o.0 (staged)"),
        ];
        expect::assert_each_change_fails(GOOD, |report| check_tools(report, "c.0", "o.1"), &changes);
    }
}
