// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where `/boot` is: on which device, and below what in a btrfs, which GRUB reads from its top and not from the subvolume that is mounted.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::Path;

use anyhow::{Context, Result};

/// A btrfs by the number in its super block: `BTRFS_SUPER_MAGIC` of `linux/magic.h`.
const BTRFS: i64 = 0x9123_683e;

/// A line of `/proc/self/mountinfo`, as far as it is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    /// The part of the file system that is mounted: for a btrfs, the subvolume's path from its top.
    root: String,
    point: String,
    source: String,
}

/// The path of `/boot` from the top of a btrfs, where that is another one than from the root of the system: `/@/boot`, `/@boot`. `None` for
/// other file systems, and for a directory that is no mount and not in one as its `boot`: there an image is being made.
pub(super) fn path_in_btrfs(boot: BorrowedFd<'_>) -> Result<Option<String>> {
    let magic = rustix::fs::fstatfs(boot).context("Looking at the file system of /boot")?.f_type;
    #[allow(clippy::unnecessary_cast, reason = "its type is another one on other machines")]
    if magic as i64 != BTRFS {
        return Ok(None);
    }
    let Some(mount) = mount_of(boot) else { return Ok(None) };
    let link = format!("/proc/self/fd/{}", boot.as_raw_fd());
    let path = std::fs::read_link(&link).with_context(|| format!("Reading {link}"))?;
    Ok(mount.path_from_top(&path))
}

/// The device that `/boot` is on. That of a btrfs is in the mount table only.
pub(super) fn device(boot: BorrowedFd<'_>) -> Result<u64> {
    let stat = rustix::fs::fstat(boot).context("Looking at /boot")?;
    let source = mount_of(boot).and_then(|mount| rustix::fs::stat(mount.source).ok());
    Ok(source.map(|source| source.st_rdev).filter(|&device| device != 0).unwrap_or(stat.st_dev))
}

/// Whether `/boot` is on the device that `boot=` of the kernel command line names, as Fedora CoreOS and the FIPS mode of dracut do; gives
/// what it names if not. A name that leads to no device says nothing.
pub(crate) fn is_another(boot: BorrowedFd<'_>, argument: &str) -> Result<bool> {
    let link = match argument.split_once('=') {
        Some(("UUID", uuid)) => format!("/dev/disk/by-uuid/{uuid}"),
        Some(("PARTUUID", uuid)) => format!("/dev/disk/by-partuuid/{uuid}"),
        None if argument.starts_with("/dev/") => argument.to_owned(),
        // Labels are no names of one device.
        _ => return Ok(false),
    };
    match rustix::fs::stat(link) {
        Ok(named) => Ok(named.st_rdev != device(boot)?),
        Err(_) => Ok(false),
    }
}

/// The partition that the firmware has loaded the boot loader from, as systemd-boot and GRUB (2.12, with `bli`) leave it, in the form of
/// `boot=`; `None` without EFI, and with boot loaders that say nothing. <https://systemd.io/BOOT_LOADER_INTERFACE>
pub fn booted_partition() -> Option<String> {
    const VARIABLE: &str =
        "/sys/firmware/efi/efivars/LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
    partition(&std::fs::read(VARIABLE).ok()?)
}

/// Four bytes of attributes, then UTF-16 as far as a NUL.
fn partition(variable: &[u8]) -> Option<String> {
    let units =
        variable.get(4..)?.chunks_exact(2).filter_map(|pair| pair.try_into().ok().map(u16::from_le_bytes));
    let uuid = String::from_utf16(&units.take_while(|&unit| unit != 0).collect::<Vec<_>>()).ok()?;
    (!uuid.is_empty()).then(|| format!("PARTUUID={}", uuid.to_ascii_lowercase()))
}

/// The mount that a directory is in.
fn mount_of(dir: BorrowedFd<'_>) -> Option<Mount> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", dir.as_raw_fd())).ok()?;
    let id = info.lines().find_map(|line| line.strip_prefix("mnt_id:"))?.trim();
    Mount::find(&std::fs::read_to_string("/proc/self/mountinfo").ok()?, id)
}

impl Mount {
    /// `36 35 0:44 /@ /mnt rw,relatime shared:1 - btrfs /dev/vda2 rw,subvol=/@`; see proc_pid_mountinfo(5).
    fn find(table: &str, id: &str) -> Option<Self> {
        let fields = table.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let line = fields.into_iter().find(|fields| fields.first() == Some(&id))?;
        let end = line.iter().position(|&field| field == "-")?;
        let field = |index: usize| line.get(index).map(|field| unescape(field));
        Some(Self { root: field(3)?, point: field(4)?, source: field(end + 2)? })
    }

    /// Of a directory that is the mount itself or the `boot` in it.
    fn path_from_top(&self, path: &Path) -> Option<String> {
        let top = self.root.trim_end_matches('/');
        let point = Path::new(&self.point);
        if path == point && !top.is_empty() {
            Some(top.to_owned())
        } else if path == point.join("boot") && !top.is_empty() {
            Some(format!("{top}/boot"))
        } else {
            None
        }
    }
}

/// Blanks and backslashes are written as three octal digits.
fn unescape(field: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(field.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partition_that_the_firmware_has_booted() {
        let variable = |text: &str| {
            [vec![6, 0, 0, 0], text.encode_utf16().flat_map(u16::to_le_bytes).collect()].concat()
        };
        assert_eq!(partition(&variable("3F2A-b\0x")).as_deref(), Some("PARTUUID=3f2a-b"));
        for bad in [&b""[..], b"\x06\0\0", &variable(""), &variable("\0"), b"\x06\0\0\0\0\xd8\0\0"] {
            assert_eq!(partition(bad), None);
        }
    }

    #[test]
    fn where_boot_is_in_a_btrfs() {
        let table = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
            36 27 0:44 /@ /mnt rw - btrfs /dev/vdb2 rw,subvolid=256,subvol=/@\n\
            37 36 0:44 /@boot /mnt/boot rw shared:1 master:2 - btrfs /dev/vdb2 rw,subvol=/@boot\n\
            38 27 0:45 / /top rw - btrfs /dev/vdc rw,subvol=/\n\
            39 27 0:46 /a\\040b /x\\040y rw - btrfs /dev/vdd rw\nnonsense\n40 27\n";
        for (id, path, expected) in [
            ("36", "/mnt/boot", Some("/@/boot")),
            ("37", "/mnt/boot", Some("/@boot")),
            // A file that is being made in a directory gets another name when it is done.
            ("36", "/mnt/home/image/boot", None),
            ("38", "/top/boot", None),
            ("38", "/top", None),
            ("39", "/x y/boot", Some("/a b/boot")),
        ] {
            let mount = Mount::find(table, id).unwrap();
            assert_eq!(mount.path_from_top(Path::new(path)).as_deref(), expected, "{id} {path}");
        }
        assert_eq!(Mount::find(table, "37").unwrap().source, "/dev/vdb2");
        assert!(Mount::find(table, "40").is_none() && Mount::find(table, "99").is_none());
    }
}
