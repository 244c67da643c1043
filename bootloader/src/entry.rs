// SPDX-License-Identifier: MIT OR Apache-2.0
//! The contribution of a deployment to the boot menu, and the entry that comes of it.
//!
//! The text is that of the C tools, byte for byte where their own order is fixed: `title`, `version`, `options`,
//! `devicetree`, `linux`, `initrd`. After these they write their other keys in the order of a hash table; here it is
//! `aboot`, `abootcfg`, `fdtdir`, then what is carried over, in its own order.

use formats::Checksum;
use formats::bls::{Entry, Tries};
use formats::bootlink::{Bootlink, DeploymentPath};
use formats::kernel_args::KernelArgs;

use crate::files::FileKind;
use crate::kernel_files::KernelFiles;
use crate::names::OVERLAY_DIR;

/// The keys that are made anew for every entry; all others are carried over.
const OWN_KEYS: [&str; 9] =
    ["title", "version", "options", "devicetree", "linux", "initrd", "aboot", "abootcfg", "fdtdir"];

/// The program that a kernel without an initramfs starts, below the boot link.
const PREPARE_ROOT: &str = "/usr/lib/ostree/ostree-prepare-root";

/// One deployment, as the boot menu needs it.
#[derive(Debug, Clone)]
pub struct BootEntry {
    /// Where it is.
    pub deployment: DeploymentPath,
    /// Over its kernel, initramfs and device trees.
    pub boot_checksum: Checksum,
    /// Its boot files.
    pub files: KernelFiles,
    /// The name of the tree's system: `PRETTY_NAME` of its os-release, else `ID`.
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
    /// Initrds that somebody else has put into its entry, or into that whose configuration it takes over.
    pub other_initrds: Vec<OtherInitrd>,
    /// Such initrds that are not there any more, and so cannot be loaded.
    pub lost_initrds: Vec<String>,
    /// The lines that the tree adds to U-Boot's environment while it is the default: its `usr/lib/ostree-boot/uEnv.txt`.
    pub environment: Option<String>,
    /// Keys of other tools, as [`carried`] gives them for an entry that is there.
    pub carried: Vec<(String, String)>,
    /// Boot counters of the entry that is there; a new one has none.
    pub tries: Option<Tries>,
    /// Its boot files that are in `/boot` with the right size and other contents, by their paths below it: see [`compare`](Self::compare).
    pub torn: Vec<String>,
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

/// An initrd in an entry that is neither its tree's nor in `/boot/ostree/initramfs-overlays/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherInitrd {
    /// The text in the entry: a path, or a variable of GRUB.
    pub path: String,
    /// How many of the tree's and the overlays are loaded before it.
    pub after: usize,
}

impl OtherInitrd {
    /// Its path below `/boot`; `None` for a variable, of which only GRUB knows what it means.
    pub fn below_boot(&self) -> Option<&str> {
        let is_path = !self.path.starts_with('$');
        is_path.then(|| self.path.strip_prefix("/boot/").unwrap_or(&self.path).trim_start_matches('/'))
    }
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
    /// The prefix of paths in `/boot`: `/` or `/boot/`.
    pub(crate) prefix: &'a str,
    /// The value of `ostree=`.
    pub(crate) bootlink: &'a Bootlink,
}

impl BootEntry {
    /// Describes a deployment by its place, its boot checksum and its boot files; all else is empty.
    pub fn new(deployment: DeploymentPath, boot_checksum: Checksum, files: KernelFiles) -> Self {
        Self {
            deployment,
            boot_checksum,
            files,
            os_name: String::new(),
            version: None,
            options: KernelArgs::default(),
            overlay_initrds: Vec::new(),
            new_initrds: Vec::new(),
            other_initrds: Vec::new(),
            lost_initrds: Vec::new(),
            environment: None,
            carried: Vec::new(),
            tries: None,
            torn: Vec::new(),
        }
    }

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
        for path in self.initrds(path(FileKind::Initramfs), at.prefix) {
            entry.push("initrd", &path);
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

    /// All of them in the order in which they are loaded.
    fn initrds(&self, own: Option<String>, prefix: &str) -> Vec<String> {
        let mut ours: Vec<String> = own.into_iter().collect();
        if !ours.is_empty() {
            let overlay = |checksum| format!("{prefix}{OVERLAY_DIR}/{checksum}.img");
            ours.extend(self.overlay_initrds.iter().map(overlay));
        }
        let mut all = Vec::new();
        let count = ours.len();
        let mut ours = ours.into_iter();
        for place in 0..=count {
            let here = self.other_initrds.iter().filter(|other| other.after.min(count) == place);
            all.extend(here.map(|other| other.path.clone()));
            all.extend(ours.next());
        }
        all
    }

    /// `Debian GNU/Linux 13 13.2 (ostree:0)`: syslinux' configuration is searched for `(ostree`.
    fn title(&self, at: &Position<'_>) -> String {
        let version = self.version.as_deref().filter(|v| !v.is_empty() && !self.os_name.contains(v));
        let version = version.map(|v| format!(" {v}")).unwrap_or_default();
        let stateroot =
            if at.show_stateroot { format!(":{}", self.deployment.stateroot) } else { String::new() };
        format!("{}{version} (ostree{stateroot}:{})", self.os_name, at.index)
    }

    /// With exactly one `ostree=`, however those were quoted that came from elsewhere.
    fn command_line(&self, bootlink: &Bootlink) -> KernelArgs {
        let mut options = self.options.clone();
        match self.files.initramfs() {
            None => options.set_only("init", &format!("{bootlink}{PREPARE_ROOT}")),
            Some(_) => remove_our_init(&mut options),
        }
        options.set_only("ostree", &bootlink.to_string());
        options
    }
}

/// Removes the `init=` of a deployment without an initramfs, from which the arguments were taken over: after an initramfs it would
/// start what sets up the root once more, of the other deployment. (The C tools leave it there.)
fn remove_our_init(options: &mut KernelArgs) {
    options.retain(|key, value| !value.is_some_and(|value| is_our_init(key, value)));
}

fn is_our_init(key: &str, value: &str) -> bool {
    key == "init" && value.starts_with("/ostree/boot.") && value.ends_with(PREPARE_ROOT)
}

/// Whether an argument is one that is made anew with each entry, and by no one else.
pub(crate) fn is_our_argument(arg: &str) -> bool {
    arg.split_once('=').is_some_and(|(key, value)| key == "ostree" || is_our_init(key, value))
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
    entry.initrd().into_iter().filter_map(checksum).collect()
}

/// The initrds of an entry that are neither its tree's nor known as overlays.
pub fn other_initrds(entry: &Entry) -> Vec<OtherInitrd> {
    let mut after = 0;
    let mut others = Vec::new();
    for path in entry.initrd() {
        if is_of_a_tree(path) || path.contains(&format!("/{OVERLAY_DIR}/")) {
            after += 1;
        } else {
            others.push(OtherInitrd { path: path.to_owned(), after });
        }
    }
    others
}

/// `…/ostree/STATEROOT-BOOTCHECKSUM/initramfs-VERSION.img`: it comes back with each deployment, by another name.
pub(crate) fn is_of_a_tree(path: &str) -> bool {
    let mut parts = path.rsplit('/');
    let (name, dir, top) = (parts.next(), parts.next(), parts.next());
    let is_boot_dir =
        |dir: &str| dir.rsplit_once('-').is_some_and(|(_, sum)| sum.parse::<Checksum>().is_ok());
    name.is_some_and(|name| name.starts_with("initramfs-"))
        && dir.is_some_and(is_boot_dir)
        && top == Some("ostree")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_init_of_a_tree_without_an_initramfs_is_not_inherited() {
        let ours = "init=/ostree/boot.1/os/sum/0/usr/lib/ostree/ostree-prepare-root";
        for (before, after) in [
            (format!("quiet {ours} rw"), "quiet rw"),
            (format!("quiet \"{ours}\""), "quiet"),
            (format!("quiet {}", ours.replace('=', "=\"") + "\""), "quiet"),
            ("init=/bin/sh".to_owned(), "init=/bin/sh"),
        ] {
            let mut options = KernelArgs::parse(&before);
            remove_our_init(&mut options);
            assert_eq!(options.to_string(), after, "{before}");
        }
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
        let dir = format!("/ostree/os-{sum}");
        let text = format!(
            "initrd /ucode.img\ninitrd {dir}/initramfs-6.1.img $more\ninitrd /boot/ostree/initramfs-overlays/{sum}.img\n\
             initrd {dir}/own.img\n"
        );
        let others: Vec<_> = other_initrds(&Entry::parse(&text).unwrap());
        let expected = [("/ucode.img", 0), ("$more", 1), (&format!("{dir}/own.img"), 2)];
        assert_eq!(
            others.iter().map(|other| (other.path.as_str(), other.after)).collect::<Vec<_>>(),
            expected
        );
    }
}
