// SPDX-License-Identifier: MIT OR Apache-2.0
//! The entry that a boot loader would start: an own small reader of boot loader entries, so that a scenario does not
//! trust the code under test.

use anyhow::{Context, Result};

/// The arguments and files that a loader hands to the kernel. Paths are relative to the boot file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BootEntry {
    /// Shown in the menu.
    pub(crate) title: String,
    /// The kernel image.
    pub(crate) linux: String,
    /// The initial RAM disk.
    pub(crate) initrd: String,
    /// The kernel command line.
    pub(crate) options: String,
    version: u64,
}

impl BootEntry {
    /// Reads the text of one entry file.
    fn parse(text: &str) -> Result<Self> {
        let value = |key: &str| {
            text.lines().find_map(|line| {
                let (found, value) = line.split_once([' ', '\t'])?;
                (found == key).then(|| value.trim().to_owned())
            })
        };
        Ok(Self {
            title: value("title").unwrap_or_default(),
            linux: value("linux").context("the entry has no linux line")?,
            initrd: value("initrd").context("the entry has no initrd line")?,
            options: value("options").context("the entry has no options line")?,
            version: value("version")
                .context("the entry has no version line")?
                .parse()
                .context("Reading its version")?,
        })
    }

    /// The best of several entries, given as texts: the highest version. All of them must be readable.
    pub(crate) fn best<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let entries: Vec<Self> = texts.into_iter().map(Self::parse).collect::<Result<_>>()?;
        entries.into_iter().max_by_key(|entry| entry.version).context("there is no boot entry")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "title Debian (ostree:1)\nversion 1\noptions ro ostree=/ostree/boot.0/os/aa/1\n\
        linux /ostree/os-aa/vmlinuz\ninitrd /ostree/os-aa/initramfs.img\n";
    const TWO: &str = "title Debian (ostree:0)\nversion 10\noptions ro ostree=/ostree/boot.0/os/aa/0\n\
        linux /ostree/os-aa/vmlinuz\ninitrd /ostree/os-aa/initramfs.img\n";

    #[test]
    fn the_highest_version_wins() {
        let best = BootEntry::best([ONE, TWO]).unwrap();
        assert_eq!(best.title, "Debian (ostree:0)");
        assert_eq!(best.options, "ro ostree=/ostree/boot.0/os/aa/0");
        assert_eq!(best.linux, "/ostree/os-aa/vmlinuz");
    }

    #[test]
    fn no_entry_and_broken_entries_are_errors() {
        assert!(BootEntry::best([]).is_err());
        assert!(BootEntry::best([ONE, "title x\nversion 1\n"]).is_err());
        assert!(BootEntry::best(["linux /a\ninitrd /b\noptions c\nversion many\n"]).is_err());
    }
}
