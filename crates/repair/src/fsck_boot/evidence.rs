// SPDX-License-Identifier: MIT OR Apache-2.0
//! The traces that tell which deployment an entry meant.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::fd::AsFd;

use anyhow::Result;
use bootloader::{BootLinks, boot_links};
use formats::Checksum;
use formats::bls::Entry;
use formats::bootlink::{Bootlink, DeploymentPath};
use repo::Refspec;
use rustix::fs::{AtFlags, FileType, StatxFlags};
use sysroot::running::deployments_in;
use sysroot::{Sysroot, directory, menu_refs};

/// The directories that a deployment must have to be booted, as `ostree-prepare-root` has it.
const REQUIRED: [&str; 3] = ["usr", "etc", "sysroot"];

/// Everything that names deployments, apart from the boot entries.
pub(super) struct Evidence<'a> {
    sysroot: &'a Sysroot,
    /// Deployments that could be booted, the newest first.
    pub(super) whole: Vec<DeploymentPath>,
    /// The links of each `boot.N.M` that is there, by N and M.
    pub(super) links: BTreeMap<(u8, u8), BootLinks>,
    /// The commits that the refs of deployments name: `ostree/N/M/INDEX`.
    refs: BTreeMap<String, Checksum>,
    /// Boot checksums that were made already; `None` for a tree without a kernel.
    checksums: RefCell<BTreeMap<DeploymentPath, Option<Checksum>>>,
}

/// The facts about an entry whose link does not lead to a deployment.
pub(super) struct Wanted<'e> {
    /// Its `ostree=`.
    pub(super) bootlink: &'e Bootlink,
    /// Its place in the menu, from 0.
    pub(super) index: usize,
    /// The part of it that can be read.
    pub(super) entry: &'e Entry,
}

impl<'a> Evidence<'a> {
    pub(super) fn gather(sysroot: &'a Sysroot) -> Result<Self> {
        let mut whole = Vec::new();
        for path in deployments_in(sysroot.root())? {
            if is_whole(sysroot, &path) {
                whole.push(path);
            }
        }
        whole.sort_by_key(|path| std::cmp::Reverse((made_at(sysroot, path), path.deploy_serial)));
        let mut links = BTreeMap::new();
        for version in [0, 1] {
            for sub in [0, 1] {
                if let Some(found) = boot_links(sysroot.places(), version, sub)? {
                    links.insert((version, sub), found);
                }
            }
        }
        // A repository that is damaged is no reason not to look at the rest.
        let repo = sysroot.repo();
        let commit = |name: &Refspec| repo.read_ref(name).ok().flatten();
        let refs = repo.ref_names(None).unwrap_or_default();
        let refs = refs.iter().filter_map(|name| Some((name.to_string(), commit(name)?))).collect();
        Ok(Self { sysroot, whole, links, refs, checksums: RefCell::default() })
    }

    /// Whether a deployment is there with all that a boot needs.
    pub(super) fn is_whole(&self, path: &DeploymentPath) -> bool {
        self.whole.contains(path)
    }

    /// The commit that was at a place of the menu of a set.
    pub(super) fn commit_at(&self, version: u8, sub: u8, index: usize) -> Option<Checksum> {
        let slot = bootloader::Slot { boot_version: version, sub_boot_version: sub };
        self.refs.get(&menu_refs::name(&slot, index)).copied()
    }

    /// How many deployments the refs of a set name.
    pub(super) fn count_at(&self, version: u8, sub: u8) -> usize {
        (0..).take_while(|index| self.commit_at(version, sub, *index).is_some()).count()
    }

    /// The boot checksum of a deployment's own files.
    pub(super) fn boot_checksum(&self, path: &DeploymentPath) -> Option<Checksum> {
        if let Some(known) = self.checksums.borrow().get(path) {
            return *known;
        }
        let read = || {
            let tree = directory::open(self.sysroot.root(), &path.to_string()).ok()?;
            self.sysroot.kernel_files(tree.as_fd()).ok()?.boot_checksum(tree.as_fd()).ok()
        };
        let made = read();
        self.checksums.borrow_mut().insert(path.clone(), made);
        made
    }

    /// The deployment that an entry meant, among those that no other entry leads to (`free`). What names one is believed when
    /// the boot files are those of the entry; if no such is found, then also without: another version may have made the boot
    /// checksum by another rule.
    pub(super) fn find(&self, wanted: &Wanted<'_>, free: &[DeploymentPath]) -> Option<DeploymentPath> {
        let named = self.named(wanted);
        let is_free = |path: &&DeploymentPath| {
            path.stateroot == wanted.bootlink.stateroot && free.contains(path) && self.is_whole(path)
        };
        let fits = |path: &&DeploymentPath| self.boot_checksum(path) == Some(wanted.bootlink.boot_checksum);
        let sure = named.iter().filter(is_free).find(fits);
        sure.or_else(|| free.iter().filter(is_free).find(fits))
            .or_else(|| named.iter().find(is_free))
            .cloned()
    }

    /// The deployments that something names for an entry, the best witness first.
    fn named(&self, wanted: &Wanted<'_>) -> Vec<DeploymentPath> {
        let Wanted { bootlink, index, entry } = wanted;
        let mut named = Vec::new();
        let sets = |own: bool| {
            self.links.keys().copied().filter(move |(version, _)| (*version == bootlink.boot_version) == own)
        };
        for (version, sub) in sets(true) {
            let commit = self.commit_at(version, sub, *index);
            named.extend(self.whole.iter().filter(|path| Some(path.checksum) == commit).cloned());
        }
        let place = format!("{}/{}/{}", bootlink.stateroot, bootlink.boot_checksum, bootlink.boot_serial);
        for set in sets(true).chain(sets(false)) {
            named.extend(self.links.get(&set).and_then(|links| links.get(&place)?.deployment.clone()));
        }
        named.extend(entry.get("abootcfg").and_then(of_abootcfg));
        named
    }
}

/// The deployment in `/ostree/deploy/STATEROOT/deploy/CHECKSUM.SERIAL/usr/lib/ostree-boot/aboot.cfg`.
fn of_abootcfg(path: &str) -> Option<DeploymentPath> {
    path.strip_prefix('/')?.split_once("/usr/")?.0.parse().ok()
}

fn is_whole(sysroot: &Sysroot, path: &DeploymentPath) -> bool {
    REQUIRED.iter().all(|name| {
        let stat = rustix::fs::statat(sysroot.root(), format!("{path}/{name}"), AtFlags::SYMLINK_NOFOLLOW);
        stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
    })
}

/// When a deployment was made, as far as the file system keeps it; else when it was last changed.
fn made_at(sysroot: &Sysroot, path: &DeploymentPath) -> (i64, u32) {
    let wanted = StatxFlags::BTIME | StatxFlags::CTIME;
    match rustix::fs::statx(sysroot.root(), path.to_string(), AtFlags::empty(), wanted) {
        Ok(found) if StatxFlags::from_bits_retain(found.stx_mask).contains(StatxFlags::BTIME) => {
            (found.stx_btime.tv_sec, found.stx_btime.tv_nsec)
        }
        Ok(found) => (found.stx_ctime.tv_sec, found.stx_ctime.tv_nsec),
        Err(_) => (0, 0),
    }
}
