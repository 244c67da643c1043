// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a deployment contributes to the boot menu, and the entry that comes of it.
//!
//! The text is that of the C tools, byte for byte where their own order is fixed: `title`, `version`, `options`,
//! `devicetree`, `linux`, `initrd`. After these they write their other keys in the order of a hash table; here it is
//! `aboot`, `abootcfg`, `fdtdir`, then what is carried over, in its own order.

use formats::Checksum;
use formats::bls::{Entry, Tries};
use formats::bootlink::{Bootlink, DeploymentPath};
use formats::kernel_args::KernelArgs;

use crate::kernel_files::{FileKind, KernelFiles};

/// The keys that are made anew for every entry; all others are carried over.
const OWN_KEYS: [&str; 9] =
    ["title", "version", "options", "devicetree", "linux", "initrd", "aboot", "abootcfg", "fdtdir"];

/// What a kernel without an initramfs starts, below the boot link.
const PREPARE_ROOT: &str = "/usr/lib/ostree/ostree-prepare-root";

/// Where initrds that are not part of a tree lie in `/boot`.
pub(crate) const OVERLAY_DIR: &str = "ostree/initramfs-overlays";

/// One deployment, as the boot menu needs it.
#[derive(Debug, Clone)]
pub struct BootEntry {
    /// Where it is.
    pub deployment: DeploymentPath,
    /// Over its kernel, initramfs and device trees.
    pub boot_checksum: Checksum,
    /// Its boot files.
    pub files: KernelFiles,
    /// What the tree calls itself: `PRETTY_NAME` of its os-release, else `ID`.
    pub os_name: String,
    /// The commit's version, if it has one.
    pub version: Option<String>,
    /// The kernel arguments. An `ostree=` among them keeps its place and gets a new value; without one it is
    /// added at the end. The same holds for the `init=` of a tree without an initramfs.
    pub options: KernelArgs,
    /// Initrds that are loaded after the tree's own, by their checksum in `/boot/ostree/initramfs-overlays/`.
    pub overlay_initrds: Vec<Checksum>,
    /// Those of them that are not in `/boot` yet: where they are, from the root of the running system, and their sizes.
    pub new_initrds: Vec<NewInitrd>,
    /// What the tree adds to U-Boot's environment while it is the default: its `usr/lib/ostree-boot/uEnv.txt`.
    pub environment: Option<String>,
    /// Keys of other tools, as [`carried`] gives them for an entry that is there.
    pub carried: Vec<(String, String)>,
    /// Boot counters of the entry that is there; a new one has none.
    pub tries: Option<Tries>,
}

/// An initrd that is not part of a tree, on its way to `/boot`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInitrd {
    /// Its checksum, by which it is named.
    pub checksum: Checksum,
    /// Where it is: an absolute path.
    pub path: String,
    /// Bytes.
    pub size: u64,
}

/// Where an entry stands in its menu.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Position<'a> {
    /// 0 for the default.
    pub(crate) index: usize,
    /// How many entries there are.
    pub(crate) count: usize,
    /// Deployments of several stateroots are told apart by their titles.
    pub(crate) show_stateroot: bool,
    /// What stands before paths in `/boot`: `/` or `/boot/`.
    pub(crate) prefix: &'a str,
    /// What `ostree=` says.
    pub(crate) bootlink: &'a Bootlink,
}

impl BootEntry {
    /// The directory of the boot files, below `/boot`.
    pub fn boot_dir(&self) -> String {
        format!("ostree/{}-{}", self.deployment.stateroot, self.boot_checksum)
    }

    /// The text of the entry.
    pub(crate) fn text(&self, at: &Position<'_>) -> Entry {
        let mut entry = Entry::default();
        let dir = format!("{}{}", at.prefix, self.boot_dir());
        let path = |kind| self.files.get(kind).map(|file| format!("{dir}/{}", file.name));
        entry.push("title", &self.title(at));
        entry.push("version", &(at.count - at.index).to_string());
        entry.push("options", &self.command_line(at.bootlink).to_string());
        if let Some(path) = path(FileKind::DeviceTree) {
            entry.push("devicetree", &path);
        }
        if let Some(path) = path(FileKind::Kernel) {
            entry.push("linux", &path);
        }
        if let Some(path) = path(FileKind::Initramfs) {
            entry.push("initrd", &path);
            for checksum in &self.overlay_initrds {
                entry.push("initrd", &format!("{}{OVERLAY_DIR}/{checksum}.img", at.prefix));
            }
        }
        let in_tree = format!("/{}/usr/lib/ostree-boot", self.deployment);
        let aboot = self.files.get(FileKind::Aboot).map(|file| format!("/{}/{}", self.boot_dir(), file.name));
        entry.push("aboot", &aboot.unwrap_or_else(|| format!("{in_tree}/aboot.img")));
        entry.push("abootcfg", &format!("{in_tree}/aboot.cfg"));
        if self.files.has_device_trees() {
            entry.push("fdtdir", &format!("{dir}/dtb"));
        }
        for (key, value) in &self.carried {
            entry.push(key, value);
        }
        entry
    }

    /// `Debian GNU/Linux 13 13.2 (ostree:0)`: syslinux' configuration is searched for `(ostree`.
    fn title(&self, at: &Position<'_>) -> String {
        let version = self.version.as_deref().filter(|v| !v.is_empty() && !self.os_name.contains(v));
        let version = version.map(|v| format!(" {v}")).unwrap_or_default();
        let stateroot =
            if at.show_stateroot { format!(":{}", self.deployment.stateroot) } else { String::new() };
        format!("{}{version} (ostree{stateroot}:{})", self.os_name, at.index)
    }

    fn command_line(&self, bootlink: &Bootlink) -> KernelArgs {
        let options = match self.files.initramfs() {
            None => with(&self.options, "init", &format!("{bootlink}{PREPARE_ROOT}")),
            Some(_) => without_our_init(&self.options),
        };
        with(&options, "ostree", &bootlink.to_string())
    }
}

/// The arguments without the `init=` of a deployment without an initramfs, from which they were taken over: after an initramfs it would
/// start what sets up the root once more, of the other deployment. (The C tools leave it there.)
fn without_our_init(options: &KernelArgs) -> KernelArgs {
    let mut out = KernelArgs::default();
    for arg in options.iter() {
        let ours = arg.strip_prefix("init=/ostree/boot.").is_some_and(|rest| rest.ends_with(PREPARE_ROOT));
        if !ours {
            out.append(arg);
        }
    }
    out
}

/// The arguments with one value for `key`: in the place of its first, or at the end.
fn with(options: &KernelArgs, key: &str, value: &str) -> KernelArgs {
    let mut out = KernelArgs::default();
    let mut placed = false;
    for arg in options.iter() {
        if arg.split('=').next() != Some(key) {
            out.append(arg);
        } else if !placed {
            out.append(&format!("{key}={value}"));
            placed = true;
        }
    }
    if !placed {
        out.append(&format!("{key}={value}"));
    }
    out
}

/// The fields of an entry that belong to other tools, such as `x-options-source-…` or `grub_users`.
pub fn carried(entry: &Entry) -> Vec<(String, String)> {
    let foreign = entry.fields().filter(|(key, _)| !OWN_KEYS.contains(key));
    foreign.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// The initrds of an entry that are not part of its tree.
pub fn overlay_initrds(entry: &Entry) -> Vec<Checksum> {
    let checksum = |path: &str| {
        let (dir, name) = path.rsplit_once('/')?;
        dir.ends_with(OVERLAY_DIR).then(|| name.strip_suffix(".img")?.parse().ok())?
    };
    entry.all("initrd").filter_map(checksum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ostree_argument_keeps_its_place() {
        for (before, after) in [
            ("root=LABEL=x quiet", "root=LABEL=x quiet ostree=/new"),
            ("a ostree=/old b=\"c d\"", "a ostree=/new b=\"c d\""),
            ("ostree=/old ostree=/older b", "ostree=/new b"),
            ("ostreex=1 ostree", "ostreex=1 ostree=/new"),
            ("", "ostree=/new"),
        ] {
            assert_eq!(with(&KernelArgs::parse(before), "ostree", "/new").to_string(), after);
        }
    }

    #[test]
    fn the_init_of_a_tree_without_an_initramfs_is_not_inherited() {
        let ours = "init=/ostree/boot.1/os/sum/0/usr/lib/ostree/ostree-prepare-root";
        let options = KernelArgs::parse(&format!("quiet {ours} rw"));
        assert_eq!(without_our_init(&options).to_string(), "quiet rw");
        assert_eq!(without_our_init(&KernelArgs::parse("init=/bin/sh")).to_string(), "init=/bin/sh");
    }

    #[test]
    fn foreign_keys_and_overlays_are_found() {
        let sum = "a".repeat(64);
        let text = format!(
            "title t\ngrub_users root\ninitrd /boot/ostree/x/initramfs\n\
             initrd /ostree/initramfs-overlays/{sum}.img\naboot /x\nx-options-source-me quiet\n"
        );
        let entry = Entry::parse(&text).unwrap();
        let pairs = [("grub_users", "root"), ("x-options-source-me", "quiet")];
        assert_eq!(carried(&entry), pairs.map(|(k, v)| (k.to_owned(), v.to_owned())));
        assert_eq!(overlay_initrds(&entry), [sum.parse().unwrap()]);
    }
}
