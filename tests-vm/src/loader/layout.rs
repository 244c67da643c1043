// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a disk is divided, so that a firmware finds a boot loader on it.

use std::fmt::Write;

/// Bytes of a unit of sizes; partitions begin at multiples of it.
pub(crate) const MIB: u64 = 1 << 20;

/// The first partition's start, in MiB: before it is the place of boot loaders on an MBR disk, the table on a GPT disk.
const FIRST: u64 = 1;

/// The purposes of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The EFI system partition, a FAT.
    Esp,
    /// `/boot`.
    Boot,
    /// The root.
    Root,
}

/// A partition: what it is for, and its size in MiB.
pub(crate) type Partition = (Role, u64);

/// The partitions of a disk, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout(Vec<Partition>);

/// Where a partition is, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) offset: u64,
    pub(crate) size: u64,
}

impl Layout {
    /// The root, with what is given before it.
    pub(crate) fn with(before: &[Partition]) -> Self {
        // Sparse, with room for two systems.
        Self([before, &[(Role::Root, 2048)]].concat())
    }

    /// The size of the disk; a GPT has its copy at the end.
    pub(crate) fn size(&self) -> u64 {
        let sum: u64 = self.0.iter().map(|(_, size)| size).sum();
        (FIRST + sum + 1) * MIB
    }

    /// Returns the script for `sfdisk(8)`. A disk with an EFI system partition has a GPT; of any other the partition that the loader
    /// begins with is the active one.
    pub(crate) fn table(&self) -> String {
        let gpt = self.place(Role::Esp).is_some();
        let mut text = format!("label: {}\n", if gpt { "gpt" } else { "dos" });
        for (index, (role, size)) in self.0.iter().enumerate() {
            let kind = if *role == Role::Esp { "U" } else { "L" };
            let active = if !gpt && index == 0 { ", bootable" } else { "" };
            let _ = writeln!(text, "size={size}MiB, type={kind}{active}");
        }
        text
    }

    /// Where a partition is, if there is one of this kind.
    pub(crate) fn place(&self, wanted: Role) -> Option<Place> {
        let mut offset = FIRST * MIB;
        for (role, size) in &self.0 {
            let size = size * MIB;
            if *role == wanted {
                return Some(Place { offset, size });
            }
            offset += size;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_follow_one_another() {
        let layout = Layout::with(&[(Role::Esp, 64), (Role::Boot, 100)]);
        assert_eq!(layout.place(Role::Esp), Some(Place { offset: MIB, size: 64 * MIB }));
        assert_eq!(layout.place(Role::Boot), Some(Place { offset: 65 * MIB, size: 100 * MIB }));
        assert_eq!(layout.place(Role::Root), Some(Place { offset: 165 * MIB, size: 2048 * MIB }));
        assert_eq!(layout.size(), (165 + 2048 + 1) * MIB);
        assert_eq!(Layout::with(&[]).place(Role::Boot), None);
    }

    #[test]
    fn the_table_depends_on_the_firmware() {
        let efi = Layout::with(&[(Role::Esp, 64)]).table();
        assert_eq!(efi, "label: gpt\nsize=64MiB, type=U\nsize=2048MiB, type=L\n");
        let bios = Layout::with(&[(Role::Boot, 9)]).table();
        assert_eq!(bios, "label: dos\nsize=9MiB, type=L, bootable\nsize=2048MiB, type=L\n");
    }
}
