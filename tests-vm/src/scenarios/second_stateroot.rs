// SPDX-License-Identifier: MIT OR Apache-2.0
//! A second operating system beside the first: deployed from the running one, and booted, with a `/var` and an `/etc` of
//! its own. There it is upgraded three times from a `file://` remote, each time with the kernel that it has: to another
//! version, to one that calls itself the same, and, staged and with a reboot, to a third. `/sysroot` is writable in
//! both boots.

use anyhow::Result;

use super::expect::{self, check};
use super::system::{self, Ended, Extras, STATE};
use super::{Bench, menu, mounted};
use crate::disk::Disk;
use crate::guest;
use crate::report::{Report, Section};

/// The path of the remote repository from the physical root.
const REMOTE: &str = "remote";

/// In the first stateroot.
const DEPLOY: &str = r#"
section remote ostree remote add --no-gpg-verify upstream file:///sysroot/remote
section pull ostree pull upstream debian/trixie/x86_64
section init ostree admin stateroot-init other
section deploy ostree admin deploy --os=other --karg=root=LABEL=ostree-root --karg=rw upstream:debian/trixie/x86_64
section mark sh -c 'touch /var/of-debian /etc/of-debian'
section after ostree admin status
"#;

/// In the second, whose `/etc` has no remote yet. A reboot ends it, and with it the script, which nothing may follow.
const UPGRADE: &str = r#"
menu() {
    echo "loader $(readlink /boot/loader)"
    for link in /ostree/boot.?; do echo "link $link $(readlink $link)"; done
    stat --format='entry %n %i' /boot/loader/entries/*.conf
    find /boot/ostree -type f -printf 'file %p %i\n' | sort
}
section remote ostree remote add --no-gpg-verify upstream file:///sysroot/remote
section "own state" sh -c '! ls -d /var/of-debian /etc/of-debian'
section status ostree admin status
section "menu at first" menu
section "another version" ostree admin upgrade --override-commit=ANOTHER
section "menu of another" menu
section "equal version" ostree admin upgrade --override-commit=EQUAL
section "menu of equal" menu
section upgrade ostree admin upgrade --stage --reboot
"#;

pub(super) fn run(bench: &Bench) -> Result<()> {
    let first = &bench.prepared()?.commit.checksum;
    let disk = bench.prepared()?.disk.copy(&bench.directory)?;
    add_remote(bench, &disk)?;
    let writable = [guest::configuration_initramfs("[sysroot]\nreadonly=false\n")];
    let extras = Extras { initrd: &writable, ..Extras::default() };
    let deployment = format!("{first}.0");

    let script = [STATE, mounted::SCRIPT, DEPLOY].concat();
    let Ended { report, disk, .. } = system::boot(bench, disk, &script, &extras)?;
    check_boot(&report, "debian", &deployment)?;
    expect::ok(&report, &["remote", "pull", "init", "deploy", "mark"])?;
    menu::check_told(&report, "after", &format!("other {deployment}"))?;
    menu::check_told(&report, "after", &format!("* debian {deployment}"))?;
    menu::check_switched(&disk, &format!("other/{deployment}"))?;

    let another = add_version(bench, &disk, "2", "another")?;
    let equal = add_version(bench, &disk, "2", "equal")?;
    let third = add_version(bench, &disk, "3", "third")?;
    let upgrade = UPGRADE.replace("ANOTHER", &another).replace("EQUAL", &equal);
    let script = [STATE, mounted::SCRIPT, &upgrade].concat();
    let Ended { report, console, disk } = system::boot(bench, disk, &script, &extras)?;
    check_boot(&report, "other", &deployment)?;
    expect::ok(&report, &["remote", "own state"])?;
    menu::check_told(&report, "status", &format!("* other {deployment}"))?;
    menu::check_told(&report, "status", &format!("debian {deployment}"))?;
    check_upgrades(&report)?;
    check(console.contains("reboot: Restarting system"), "it has rebooted", console)?;
    check_after(bench, &disk, &third)?;
    system::check_orderly(&disk, "other", "Bootloader updated")
}

/// A repository on the disk with what the disk has, as a remote to upgrade from.
fn add_remote(bench: &Bench, disk: &Disk) -> Result<()> {
    let script = r#"
        "$1" --repo="$2" init --mode=bare
        "$1" --repo="$2" pull-local ostree/repo "$3""#;
    let ostree = bench.environment.program("usr/bin/ostree");
    let reference = &bench.prepared()?.commit.reference;
    disk.run(script, &[ostree.as_os_str(), REMOTE.as_ref(), reference.as_ref()])?;
    Ok(())
}

fn add_version(bench: &Bench, disk: &Disk, version: &str, content: &str) -> Result<String> {
    let changes = bench.changes(&[("usr/share/tests-vm/version", content.as_bytes())])?;
    bench.add_version(disk, REMOTE, version, &changes)
}

fn check_boot(report: &Report, stateroot: &str, deployment: &str) -> Result<()> {
    system::check_healthy(report)?;
    mounted::check_all(report, &mounted::Expected { stateroot, deployment, sysroot_readonly: false })
}

/// The upgrades have succeeded, and none has touched more than it had to.
fn check_upgrades(report: &Report) -> Result<()> {
    expect::ok(report, &["another version", "equal version", "upgrade"])?;
    let menu = |name: &str| report.section(name).map(Menu::read);
    let (first, another, equal) = (menu("menu at first")?, menu("menu of another")?, menu("menu of equal")?);
    let both = (&first, &another);
    check(first.files.len() == 4, "each stateroot has its kernel and initramfs in /boot", &first)?;
    check(first.entries.len() == 2 && another.entries.len() == 3, "one entry was added", both)?;
    check(first.loader != another.loader, "another version makes new entries", both)?;
    check(first.files == another.files, "another version leaves the kernel alone", both)?;
    let both = (&another, &equal);
    check(another.links != equal.links, "an equal version switches the inner link", both)?;
    let only = Menu { links: another.links.clone(), ..equal.clone() } == another;
    check(only, "an equal version changes nothing else", both)?;
    expect::words(report, "upgrade", "it is applied at shutdown")
}

/// The contents of `/boot` and the links to it. Files have their inode numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Menu<'a> {
    loader: Vec<&'a str>,
    links: Vec<&'a str>,
    entries: Vec<&'a str>,
    files: Vec<&'a str>,
}

impl<'a> Menu<'a> {
    fn read(section: &'a Section) -> Self {
        let named = |name: &str| {
            let values = section.lines.iter().filter_map(|line| line.split_once(' '));
            values.filter(|(word, _)| *word == name).map(|(_, value)| value).collect()
        };
        Self { loader: named("loader"), links: named("link"), entries: named("entry"), files: named("file") }
    }
}

/// After the reboot that nobody waits for: the staged version is the default, in the second stateroot.
fn check_after(bench: &Bench, disk: &Disk, third: &str) -> Result<()> {
    menu::check_switched(disk, &format!("other/{third}.0"))?;
    let prepare_root = bench.environment.program("usr/lib/ostree/ostree-prepare-root");
    let plan = disk.run(r#""$1" --plan . "$2""#, &[prepare_root.as_os_str(), disk.entry.options.as_ref()])?;
    let ostree = bench.environment.program("usr/bin/ostree");
    let status = disk.run(r#""$1" admin --sysroot=. status"#, &[ostree.as_os_str()])?;
    check_told(&plan, &status, third)
}

/// Checks the mounts of the next boot, and the status.
fn check_told(plan: &str, status: &str, third: &str) -> Result<()> {
    let root = format!("/ from /ostree/deploy/other/deploy/{third}.0");
    let found = plan.lines().any(|line| line.trim() == root);
    check(found, "the next boot has the third version as its root", plan)?;
    for deployment in [format!("other {third}.0"), "debian ".to_owned()] {
        let found = status.lines().any(|line| line.trim().starts_with(&deployment));
        check(found, &format!("status has {deployment}"), status)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
@@ section another version
@@ status 0
@@ section equal version
@@ status 0
@@ section menu at first
loader loader.0
link /ostree/boot.0 boot.0.1
entry ostree-1.conf 11
entry ostree-2.conf 12
file /boot/ostree/a/vmlinuz 1
file /boot/ostree/a/initramfs.img 2
file /boot/ostree/b/vmlinuz 3
file /boot/ostree/b/initramfs.img 4
@@ status 0
@@ section menu of another
loader loader.1
link /ostree/boot.1 boot.1.1
entry ostree-1.conf 21
entry ostree-2.conf 22
entry ostree-3.conf 23
file /boot/ostree/a/vmlinuz 1
file /boot/ostree/a/initramfs.img 2
file /boot/ostree/b/vmlinuz 3
file /boot/ostree/b/initramfs.img 4
@@ status 0
@@ section menu of equal
loader loader.1
link /ostree/boot.1 boot.1.0
entry ostree-1.conf 21
entry ostree-2.conf 22
entry ostree-3.conf 23
file /boot/ostree/a/vmlinuz 1
file /boot/ostree/a/initramfs.img 2
file /boot/ostree/b/vmlinuz 3
file /boot/ostree/b/initramfs.img 4
@@ status 0
@@ section upgrade
Staged other; it is applied at shutdown
@@ status 0
";

    #[test]
    fn a_good_report_passes_and_each_change_of_it_fails() {
        let changes = [
            ("another version\n@@ status 0", "another version\n@@ status 1"),
            ("equal version\n@@ status 0", "equal version\n@@ status 1"),
            (
                "loader loader.1\nlink /ostree/boot.1 boot.1.1",
                "loader loader.0\nlink /ostree/boot.1 boot.1.1",
            ),
            ("entry ostree-3.conf 23\n", ""),
            ("vmlinuz 1", "vmlinuz 5"),
            ("vmlinuz 1", "vmlinuz 1\nfile /boot/ostree/c/vmlinuz 5"),
            ("boot.1 boot.1.0", "boot.1 boot.1.1"),
            (
                "loader loader.1\nlink /ostree/boot.1 boot.1.0",
                "loader loader.0\nlink /ostree/boot.1 boot.1.0",
            ),
            ("boot.1.0\nentry ostree-1.conf 21", "boot.1.0\nentry ostree-1.conf 31"),
            ("it is applied at shutdown", ""),
            ("shutdown\n@@ status 0", "shutdown\n@@ status 1"),
        ];
        expect::assert_each_change_fails(GOOD, check_upgrades, &changes);
    }

    #[test]
    fn the_next_boot_has_to_be_the_third_version() {
        let plan = "mounts:\n  / from /ostree/deploy/other/deploy/c.0\n  /usr from /ostree/deploy/other/deploy/c.0/usr\n";
        let status = "  other c.0\n    Version: 3\n  other b.0\n  debian b.0\n";
        check_told(plan, status, "c").unwrap();
        assert!(check_told(plan, status, "b").is_err());
        assert!(
            check_told(
                &plan.replace("/ from /ostree/deploy/other", "/ from /ostree/deploy/debian"),
                status,
                "c"
            )
            .is_err()
        );
        assert!(check_told(plan, &status.replace("other c.0", "other c.1"), "c").is_err());
        assert!(check_told(plan, &status.replace("debian", "other"), "c").is_err());
    }
}
