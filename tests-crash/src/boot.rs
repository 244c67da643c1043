// SPDX-License-Identifier: MIT OR Apache-2.0
//! Booting replayed disks in QEMU: a real kernel replays the journal, and our program of the initramfs finds the deployment of the
//! entry that GRUB saw.
//!
//! The kernel and its one module are those of a Debian tree; those in the small tree are noise, whose contents are checked without a
//! machine. The initramfs is busybox and `ostree-prepare-root`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use fn_error_context::context;

use crate::disk::{Kind, Layout};
use crate::grub::Grub;
use crate::kit::{Programs, Side};
use crate::menu::{Menu, MenuEntry};
use crate::operation::OPERATIONS;
use crate::program::{output, run};
use crate::row::{Recorded, Row};
use crate::schedule::Shop;
use crate::snapshot::{Item, Node, Snapshot};
use crate::workshop::text;

const INIT: &str = include_str!("../host/boot-init.sh");
/// Under emulation it takes about five seconds; beside builds several times as long.
const SECONDS: u32 = 180;
const ARGUMENTS: &str = "console=ttyS0 quiet mitigations=off audit=0 panic=-1 8250.nr_uarts=1";

/// A kernel and an initramfs.
#[derive(Debug)]
struct Starter {
    kernel: PathBuf,
    initramfs: PathBuf,
}

impl Starter {
    /// Makes them of a Debian tree, in an empty directory.
    #[context("Making an initramfs")]
    fn new(programs: &Programs, tree: &Path, directory: &Path) -> Result<Self> {
        let modules = tree.join("usr/lib/modules");
        let version = std::fs::read_dir(&modules)?.next().context("There is no kernel")??.path();
        let root = directory.join("initramfs");
        for name in ["bin", "proc", "sys", "dev", "run", "sysroot", "usr/lib/ostree"] {
            std::fs::create_dir_all(root.join(name))?;
        }
        let init = directory.join("init");
        std::fs::write(&init, INIT)?;
        for (from, to, mode) in [
            (init, "init", "0755"),
            (tree.join("usr/bin/busybox"), "bin/busybox", "0755"),
            (version.join("kernel/drivers/block/virtio_blk.ko"), "virtio_blk.ko", "0644"),
            (programs.prepare_root(), "usr/lib/ostree/ostree-prepare-root", "0755"),
        ] {
            run("install", ["-m", mode, &text(&from), &text(&root.join(to))])?;
        }
        let initramfs = directory.join("initramfs.cpio");
        let mut archive = Command::new("sh");
        archive.args(["-euc", "cd \"$1\"; find . | cpio --quiet -o -H newc >\"$2\"", "sh"]);
        output(archive.arg(&root).arg(&initramfs))?;
        Ok(Self { kernel: version.join("vmlinuz"), initramfs })
    }

    /// Boots a disk by an entry, without changing it. Gives what the console showed.
    fn boot(&self, image: &Path, entry: &MenuEntry) -> Result<String> {
        let mut qemu = Command::new("timeout");
        qemu.args([&SECONDS.to_string(), "qemu-system-x86_64", "-machine", "q35,sata=off,smbus=off,usb=off"]);
        qemu.args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "1", "-m", "512", "-nodefaults"]);
        qemu.args(["-no-reboot", "-display", "none", "-serial", "stdio"]);
        qemu.arg("-kernel").arg(&self.kernel).arg("-initrd").arg(&self.initramfs);
        qemu.arg("-append").arg(format!("{} {ARGUMENTS}", entry.arguments));
        qemu.arg("-drive").arg(format!("if=virtio,format=raw,snapshot=on,cache=unsafe,file={}", text(image)));
        output(&mut qemu)
    }
}

/// The Debian tree whose kernel is booted, and which is updated as a whole.
pub(crate) fn debian_tree() -> Result<PathBuf> {
    let tree = std::env::var_os("OSTREE_RS_DEBIAN_TREE").map(PathBuf::from);
    let tree = tree.context("OSTREE_RS_DEBIAN_TREE is not set; use ./run crash")?;
    ensure!(tree.join("usr/lib/modules").is_dir(), "{} has no kernel", tree.display());
    Ok(tree)
}

/// Which operations are cut for it.
const CUT: [&str; 3] = ["deploy", "stage", "kargs"];

/// Boots about so many states of some operations on ext4; gives how many were booted, and what was wrong.
pub(crate) fn boot_some(shop: &Shop<'_>, count: usize) -> Result<(usize, Vec<String>)> {
    let directory = shop.workshop.directory("boot")?;
    let starter = Starter::new(shop.programs, &debian_tree()?, &directory)?;
    let layout = Layout::new(Kind::Ext4, None);
    let (mut booted, mut problems) = (0, Vec::new());
    for operation in OPERATIONS.iter().filter(|operation| CUT.contains(&operation.name)) {
        let row = Row { operation, layout, side: Side::Ours, mutant: None };
        let recorded = Recorded::new(row, shop.kit, shop.workshop)?;
        recorded.some_states(&directory, count.div_ceil(CUT.len()), shop.seed, |image, place| {
            booted += 1;
            let problem = starter.try_state(image, &directory, layout, shop)?;
            problems.extend(problem.map(|problem| format!("{}: {problem}\n      {place}", recorded.row)));
            Ok(())
        })?;
    }
    Ok((booted, problems))
}

impl Starter {
    /// Boots the default that GRUB sees on a disk, and says if that is not the system that it names.
    fn try_state(
        &self,
        image: &Path,
        directory: &Path,
        layout: Layout,
        shop: &Shop<'_>,
    ) -> Result<Option<String>> {
        let at = directory.join("grub");
        std::fs::create_dir_all(&at)?;
        let menu = match Grub::mount(layout, image, &at) {
            Ok(grub) => Menu::visible(&grub.boot, layout.loader),
            Err(error) => return Ok(Some(format!("{error:#}"))),
        };
        let Some(entry) = menu.entries.first() else { return Ok(Some(menu.problems.join("; "))) };
        let is_its = |commit: &&Snapshot| {
            let has = |hash| commit.items.values().any(|item| item.node == Node::File(hash));
            entry.files.iter().all(|hash| has(*hash))
        };
        let commit = shop.kit.commits.values().find(is_its).context("A kernel of no commit")?;
        let Some(Item { node: Node::File(version), .. }) = commit.get("usr/version") else {
            return Ok(Some("its commit has no version".to_owned()));
        };
        let version: String = version.iter().map(|byte| format!("{byte:02x}")).collect();
        let said = self.boot(image, entry)?;
        Ok((!said.contains(&format!("booted {version}"))).then(|| format!("{}: {said}", entry.arguments)))
    }
}
