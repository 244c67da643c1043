// SPDX-License-Identifier: MIT OR Apache-2.0
//! The systems that are deployed: two versions of the tree, and what an administrator has changed in `/etc`.
//!
//! The tree has the `/etc` of a small system. The versions have many more files there, so that a merge has something
//! to do, and the second one has another initramfs and some other files.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use fn_error_context::context;

use rustix::fs::{CWD, IFlags, Mode, OFlags};

use super::sides::{Bench, Side, clear, repo_option};

/// The ref of the first version.
pub(super) const FIRST: &str = "first";
/// The ref of the second version.
pub(super) const SECOND: &str = "second";

/// Where the deployments are below the directory of a side.
pub(super) const DEPLOYMENTS: &str = "sysroot/ostree/deploy/bench/deploy";

/// Files that a version has in `/etc` beside those of the tree: with these, as many as a server of Debian.
const DEFAULTS: usize = 1500;
/// A directory for each so many of them.
const IN_A_DIRECTORY: usize = 15;

/// Commits both versions to the repository of the bench.
#[context("Committing two versions of a system")]
pub(super) fn commit_versions(bench: &Bench) -> Result<()> {
    let overlay = bench.shared.dir.join("overlay");
    let every = |step: usize| (0..DEFAULTS).filter(move |index| index % step == 0);
    for index in every(1) {
        write(&overlay.join("usr/etc").join(default(index)), &text(index, "default"))?;
    }
    commit(bench, "bench", FIRST, &overlay)?;
    clear(&overlay)?;
    for index in every(10) {
        write(&overlay.join("usr/etc").join(default(index)), &text(index, "new default"))?;
        write(&overlay.join(format!("usr/share/bench/{index}")), &text(index, "new"))?;
    }
    let initramfs = find_initramfs(&bench.tree)?;
    let mut content = fs::read(&initramfs).with_context(|| format!("Reading {}", initramfs.display()))?;
    // An archive may end in any number of zeros.
    content.extend_from_slice(&[0; 512]);
    let below = initramfs.strip_prefix(&bench.tree).context("It is not in the tree")?;
    write(&overlay.join(below), &content)?;
    commit(bench, FIRST, SECOND, &overlay)?;
    clear(&overlay)
}

fn commit(bench: &Bench, from: &str, to: &str, overlay: &Path) -> Result<()> {
    let mut with = OsString::from("--tree=dir=");
    with.push(overlay);
    bench.theirs.run([
        repo_option(&bench.repo),
        "commit".into(),
        format!("--branch={to}").into(),
        format!("--tree=ref={from}").into(),
        with,
    ])
}

/// A tree with what every version has: boot files, directories to mount on, and defaults.
pub(super) fn skeleton(bench: &Bench, tree: &Path) -> Result<()> {
    for name in ["sysroot", "var", "run", "proc", "sys", "dev", "boot", "tmp"] {
        fs::create_dir_all(tree.join(name)).with_context(|| format!("Creating {name}"))?;
    }
    for index in 0..DEFAULTS {
        write(&tree.join("usr/etc").join(default(index)), &text(index, "default"))?;
    }
    let initramfs = find_initramfs(&bench.tree)?;
    for from in [initramfs.with_file_name("vmlinuz"), initramfs] {
        let below = from.strip_prefix(&bench.tree).context("It is not in the tree")?;
        write(&tree.join(below), &fs::read(&from).with_context(|| format!("Reading {}", from.display()))?)?;
    }
    Ok(())
}

/// Commits a directory.
pub(super) fn commit_dir(bench: &Bench, to: &str, tree: &Path) -> Result<()> {
    let line =
        [repo_option(&bench.repo), "commit".into(), format!("--branch={to}").into(), OsString::from(tree)];
    bench.theirs.run(line)
}

fn find_initramfs(tree: &Path) -> Result<PathBuf> {
    let modules = tree.join("usr/lib/modules");
    let mut entries = fs::read_dir(&modules).with_context(|| format!("Reading {}", modules.display()))?;
    let version = entries.next().with_context(|| format!("{} is empty", modules.display()))??;
    Ok(version.path().join("initramfs.img"))
}

/// A sysroot without deployments that has both versions; the peer makes it, with hard links to the objects of the
/// repository.
pub(super) fn empty(bench: &Bench, side: &Side) -> Result<()> {
    empty_with(bench, side, &[FIRST, SECOND])
}

/// The same with these refs.
fn empty_with(bench: &Bench, side: &Side, refs: &[&str]) -> Result<()> {
    clear(&side.dir.join("checkout"))?;
    let sysroot = side.dir.join("sysroot");
    make_deployments_mutable(&side.dir)?;
    clear(&sysroot)?;
    fs::create_dir_all(&sysroot).with_context(|| format!("Creating {}", sysroot.display()))?;
    let peer = &bench.theirs;
    peer.run(["admin".into(), "init-fs".into(), OsString::from(&sysroot)])?;
    peer.run(["admin".into(), "os-init".into(), option(side), "bench".into()])?;
    let mut line =
        vec![repo_option(&sysroot.join("ostree/repo")), "pull-local".into(), OsString::from(&bench.repo)];
    line.extend(refs.iter().map(OsString::from));
    peer.run(line)
}

/// A sysroot with the first version deployed by the peer, in which an administrator has been at work.
pub(super) fn first_deployed(bench: &Bench, side: &Side) -> Result<()> {
    deployed(bench, side, &[FIRST, SECOND].map(str::to_owned))
}

/// The same of these versions.
pub(super) fn deployed(bench: &Bench, side: &Side, versions: &[String; 2]) -> Result<()> {
    let [first, second] = versions;
    empty_with(bench, side, &[first, second])?;
    run_peer(bench, &deploy(side, first))?;
    let [only] = deployments(side)?.try_into().map_err(|_| anyhow::anyhow!("One deployment was expected"))?;
    change_etc(&only.join("etc"))
}

/// 150 files changed, 100 removed, 150 added.
#[context("Changing {}", etc.display())]
fn change_etc(etc: &Path) -> Result<()> {
    for index in 0..DEFAULTS {
        let path = etc.join(default(index));
        match index % 30 {
            1..=3 => write(&path, &text(index, "local"))?,
            4 | 5 => fs::remove_file(&path).with_context(|| format!("Removing {}", path.display()))?,
            6..=8 => write(&path.with_extension("local"), &text(index, "local"))?,
            _ => {}
        }
    }
    Ok(())
}

/// As [`first_deployed`], once that is so: what a run has deployed over it goes, by the peer.
pub(super) fn undeploy_second(bench: &Bench, side: &Side) -> Result<()> {
    if deployments(side)?.len() == 1 {
        return Ok(());
    }
    bench.theirs.run(["admin".into(), option(side), "undeploy".into(), "0".into()])
}

/// The sysroot that both programs read, made by the peer unless it is there: two deployments.
pub(super) fn both_deployed(bench: &Bench, _: &Side) -> Result<()> {
    let side = &bench.shared;
    if side.dir.join("sysroot").exists() {
        return Ok(());
    }
    first_deployed(bench, side)?;
    run_peer(bench, &deploy(side, SECOND))
}

/// The command line that deploys a ref.
pub(super) fn deploy(side: &Side, reference: &str) -> Vec<OsString> {
    side.line(["admin".into(), option(side), "deploy".into(), "--os=bench".into(), reference.into()])
}

/// `--sysroot=PATH` of a side.
pub(super) fn option(side: &Side) -> OsString {
    let mut option = OsString::from("--sysroot=");
    option.push(side.dir.join("sysroot"));
    option
}

/// Runs a command line of a side with the peer in place of the side's program.
fn run_peer(bench: &Bench, line: &[OsString]) -> Result<()> {
    let at = line.iter().position(|word| word == "admin").unwrap_or_default();
    bench.theirs.run(line.get(at..).unwrap_or_default())
}

fn deployments(side: &Side) -> Result<Vec<PathBuf>> {
    let dir = side.dir.join(DEPLOYMENTS);
    let entries = fs::read_dir(&dir).with_context(|| format!("Reading {}", dir.display()))?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    Ok(paths.into_iter().filter(|path| path.is_dir()).collect())
}

/// The path of a default, below `/etc`.
fn default(index: usize) -> String {
    format!("bench/{}/{index}.conf", index / IN_A_DIRECTORY)
}

/// Some 2 KiB, as configuration has on average.
fn text(index: usize, what: &str) -> Vec<u8> {
    format!("# {what} {index}\nkey = value of a setting\n").repeat(50).into_bytes()
}

pub(super) fn write(path: &Path, content: &[u8]) -> Result<()> {
    let dir = path.parent().context("It has no directory")?;
    fs::create_dir_all(dir).with_context(|| format!("Creating {}", dir.display()))?;
    // A file of a version may be a link to an object, which must stay as it is.
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("Removing {}", path.display()));
        }
        _ => {}
    }
    fs::write(path, content).with_context(|| format!("Writing {}", path.display()))
}

/// Clears the flag on the deployments of the sysroot in the directory of a side.
pub(super) fn make_deployments_mutable(side: &Path) -> Result<()> {
    let Ok(entries) = std::fs::read_dir(side.join(DEPLOYMENTS)) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            make_mutable(&path)?;
        }
    }
    Ok(())
}

fn make_mutable(dir: &Path) -> Result<()> {
    let fd =
        rustix::fs::openat(CWD, dir, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .with_context(|| format!("Opening {}", dir.display()))?;
    // A file system without flags has none that could be in the way.
    if let Ok(flags) = rustix::fs::ioctl_getflags(&fd) {
        rustix::fs::ioctl_setflags(&fd, flags - IFlags::IMMUTABLE)
            .with_context(|| format!("Making {} mutable", dir.display()))?;
    }
    Ok(())
}
