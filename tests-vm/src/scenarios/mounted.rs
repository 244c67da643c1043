// SPDX-License-Identifier: MIT OR Apache-2.0
//! The mounts of a deployment, and which of them can be written to.

use anyhow::Result;

use super::expect::{self, check};
use crate::mountinfo::{self, Mount};
use crate::report::{Report, Section};

/// Asks a guest.
pub(super) const SCRIPT: &str = r#"
section mounts cat /proc/self/mountinfo
section booted test -e /run/ostree-booted
for place in usr etc var sysroot; do section "write $place" touch "/$place/written"; done
section remount systemctl is-active ostree-remount.service
"#;

/// The mounts that are expected.
pub(super) struct Expected<'a> {
    /// The stateroot whose `/var` is mounted.
    pub(super) stateroot: &'a str,
    /// The root: `CHECKSUM.SERIAL`.
    pub(super) deployment: &'a str,
    /// Whether `/sysroot` refuses writes.
    pub(super) sysroot_readonly: bool,
}

/// The guest has answered as it should.
pub(super) fn check_all(report: &Report, expected: &Expected<'_>) -> Result<()> {
    check_mounts(report, expected)?;
    check_writes(report, expected.sysroot_readonly)?;
    expect::ok(report, &["booted"])?;
    expect::text(report, "remount", "active")
}

fn check_mounts(report: &Report, expected: &Expected<'_>) -> Result<()> {
    let Expected { stateroot, deployment, sysroot_readonly } = expected;
    let mounts = table(report.section("mounts")?)?;
    let root_of = |point: &str| mountinfo::at(&mounts, point).map(|mount| mount.root.as_str());
    let deployment = format!("/ostree/deploy/{stateroot}/deploy/{deployment}");
    let var = format!("/ostree/deploy/{stateroot}/var");
    check(root_of("/") == Some(&deployment), "/ is the deployment", root_of("/"))?;
    check(root_of("/sysroot") == Some("/"), "/sysroot is the physical root", root_of("/sysroot"))?;
    check(root_of("/var") == Some(&var), "/var is the stateroot's", root_of("/var"))?;
    check(root_of("/boot") == Some("/boot"), "/boot is the one of the physical root", root_of("/boot"))?;
    check_readonly(&mounts, "/usr")?;
    let sysroot = mountinfo::at(&mounts, "/sysroot");
    check(
        sysroot.is_some_and(|mount| mount.read_only() == *sysroot_readonly && mount.file_system == "ext4"),
        "/sysroot is mounted as sysroot.readonly says",
        sysroot,
    )
}

/// A section that has the mount table of a guest.
pub(super) fn table(section: &Section) -> Result<Vec<Mount>> {
    let mounts = mountinfo::parse(&section.lines);
    check(section.ok() && mounts.is_some(), "the mount table is readable", section)?;
    Ok(mounts.unwrap_or_default())
}

/// Checks that the mount at a place refuses writes.
pub(super) fn check_readonly(mounts: &[Mount], point: &str) -> Result<()> {
    let mount = mountinfo::at(mounts, point);
    check(mount.is_some_and(Mount::read_only), &format!("{point} is mounted read-only"), mount)
}

/// `/boot` is a whole file system of this type.
pub(super) fn check_own_boot(mounts: &[Mount], file_system: &str) -> Result<()> {
    let boot = mountinfo::at(mounts, "/boot");
    let own = boot.is_some_and(|mount| mount.root == "/" && mount.file_system == file_system);
    check(own, &format!("/boot is an {file_system} of its own"), boot)
}

fn check_writes(report: &Report, sysroot_readonly: bool) -> Result<()> {
    for (place, allowed) in [("usr", false), ("etc", true), ("var", true), ("sysroot", !sysroot_readonly)] {
        let section = report.section(&format!("write {place}"))?;
        let what = format!("writing in /{place} {}", if allowed { "succeeds" } else { "is refused" });
        check(section.ok() == allowed, &what, section)?;
        let refused_as_read_only = allowed || section.text().contains("Read-only file system");
        check(refused_as_read_only, &format!("/{place} is refused as read-only"), section)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
@@ section mounts
67 70 254:0 / /sysroot ro,relatime shared:5 - ext4 /dev/vda rw
70 1 254:0 /ostree/deploy/debian/deploy/c.0 / rw,relatime shared:1 - ext4 /dev/vda rw
71 70 254:0 /boot /boot rw,relatime shared:2 - ext4 /dev/vda rw
73 70 254:0 /ostree/deploy/debian/deploy/c.0/usr /usr ro,relatime shared:4 - ext4 /dev/vda rw
75 70 254:0 /ostree/deploy/debian/var /var rw,relatime shared:4 - ext4 /dev/vda rw
@@ status 0
@@ section booted
@@ status 0
@@ section write usr
touch: cannot touch '/usr/written': Read-only file system
@@ status 1
@@ section write etc
@@ status 0
@@ section write var
@@ status 0
@@ section write sysroot
touch: cannot touch '/sysroot/written': Read-only file system
@@ status 1
@@ section remount
active
@@ status 0
";

    const EXPECTED: Expected<'_> =
        Expected { stateroot: "debian", deployment: "c.0", sysroot_readonly: true };

    #[test]
    fn a_good_report_passes_and_each_change_of_it_fails() {
        let changes = [
            ("deploy/c.0 / ", "deploy/c.1 / "),
            ("/ /sysroot ro", "/ /sysroot rw"),
            ("/ /sysroot ro", "/ostree /sysroot ro"),
            ("/boot /boot", "/boot /other"),
            ("/usr ro", "/usr rw"),
            ("debian/var /var", "other/var /var"),
            ("rw\n@@ status 0", "rw\n@@ status 1"),
            ("booted\n@@ status 0", "booted\n@@ status 1"),
            (
                "'/usr/written': Read-only file system\n@@ status 1",
                "'/usr/written': Read-only file system\n@@ status 0",
            ),
            ("'/usr/written': Read-only file system", "'/usr/written': No space left on device"),
            ("write etc\n@@ status 0", "write etc\n@@ status 1"),
            ("write var\n@@ status 0", "write var\n@@ status 1"),
            ("write sysroot\n", "write elsewhere\n"),
            ("active\n", "inactive\n"),
        ];
        expect::assert_each_change_fails(GOOD, |report| check_all(report, &EXPECTED), &changes);
        let report = Report::parse(GOOD);
        assert!(check_all(&report, &Expected { stateroot: "other", ..EXPECTED }).is_err());
        assert!(check_mounts(&report, &Expected { sysroot_readonly: false, ..EXPECTED }).is_err());
        assert!(check_writes(&report, false).is_err());
    }
}
