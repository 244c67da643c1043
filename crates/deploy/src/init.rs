// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making a physical root, and a stateroot in it.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use durable::Occupied;
use fn_error_context::context;
use formats::bootlink::is_stateroot;
use repo::{InitOptions, Repo};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, statat};
use rustix::io::Errno;
use serde::Serialize;
use sysroot::directory::{self, make_dir};
use sysroot::staged::persistent::PATH;
use sysroot::{Lock, Sysroot};

use crate::plan::{SCHEMA, Step};
use crate::staged::persistent;
use crate::unfinished::unfinished;

const REPO: &str = "ostree/repo";

/// How much of a traditional root is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Epoch {
    /// Also `dev`, `home`, `proc`, `root`, `run`, `sys` and `tmp`: for a root that is entered without a boot.
    #[default]
    Legacy,
    /// Only `boot` and `ostree`.
    Modern,
    /// As `Modern`, with an `ostree` that only root may enter (ostree#3211).
    Private,
}

impl TryFrom<u8> for Epoch {
    type Error = anyhow::Error;

    fn try_from(number: u8) -> Result<Self> {
        Ok(match number {
            0 => Self::Legacy,
            1 => Self::Modern,
            2 => Self::Private,
            _ => bail!("Invalid epoch {number}: must be 0, 1 or 2"),
        })
    }
}

/// Directories of [`Epoch::Legacy`] and their modes.
const LEGACY: [(&str, u32); 7] = [
    ("dev", 0o755),
    ("home", 0o755),
    ("proc", 0o755),
    ("root", 0o700),
    ("run", 0o755),
    ("sys", 0o755),
    ("tmp", 0o1777),
];

/// The steps that make a physical root or a stateroot. Paths begin at the physical root; keys and steps are those of
/// [`Plan`](crate::Plan).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct InitPlan {
    /// The version of the JSON form.
    pub schema: u32,
    /// The name of the command that asks for it.
    pub operation: &'static str,
    /// The steps, in this order.
    #[serde(serialize_with = "crate::plan::printed_steps")]
    pub steps: Vec<Step>,
}

impl fmt::Display for InitPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Steps:")?;
        self.steps.iter().try_for_each(|step| writeln!(f, "  {step}"))
    }
}

/// Plans a physical root with an empty repository in `path`, an existing directory, without writing anything.
///
/// # Errors
///
/// The directory, or one in it, cannot be looked at.
#[context("Initializing {}", path.display())]
pub fn plan_init_fs(path: &Path, epoch: Epoch) -> Result<InitPlan> {
    let root = open_root(path)?;
    let mut steps = Vec::new();
    for (name, _) in directories(epoch) {
        if !is_there(root.as_fd(), name)? {
            steps.push(Step::MakeDirectory { path: format!("/{name}") });
        }
    }
    for part in Repo::missing_parts(&root, REPO)? {
        let path = format!("/{REPO}/{part}");
        let path = path.trim_end_matches('/').to_owned();
        steps.push(match part {
            "config" => Step::write(path),
            _ => Step::MakeDirectory { path },
        });
    }
    steps.push(Step::Sync { path: "/".to_owned() });
    Ok(InitPlan { schema: SCHEMA, operation: "init-fs", steps })
}

/// Makes `path`, an existing directory, a physical root with an empty repository. What is there already stays.
///
/// # Errors
///
/// As [`plan_init_fs`], and the file system says no.
#[context("Initializing {}", path.display())]
pub fn init_fs(path: &Path, epoch: Epoch) -> Result<()> {
    let plan = plan_init_fs(path, epoch)?;
    let root = open_root(path)?;
    for (name, mode) in directories(epoch) {
        let step = Step::MakeDirectory { path: format!("/{name}") };
        if plan.steps.contains(&step) {
            make_dir(&root, name, mode)?;
        }
    }
    Repo::init_at(&root, REPO, &InitOptions { mode: repo::Mode::Bare, collection_id: None })?;
    durable::sync_fs(root.as_fd())
}

fn open_root(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::empty())
        .with_context(|| format!("opendir({})", path.display()))
}

/// The directories of a physical root beside the repository, with their modes.
fn directories(epoch: Epoch) -> impl Iterator<Item = (&'static str, u32)> {
    let legacy = if epoch == Epoch::Legacy { &LEGACY[..] } else { &[] };
    let ostree = if epoch == Epoch::Private { 0o700 } else { 0o755 };
    legacy.iter().copied().chain([("boot", 0o755), ("ostree", ostree), ("ostree/deploy", 0o755)])
}

/// Whether something has the name `path`, a link that leads nowhere included.
fn is_there(at: BorrowedFd<'_>, path: &str) -> Result<bool> {
    match statat(at, path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error).with_context(|| path.to_owned()),
    }
}

/// Plans an empty stateroot, without writing anything.
///
/// # Errors
///
/// The name is none for a stateroot, or something has it already.
#[context("Creating stateroot {name}")]
pub fn plan_stateroot(sysroot: &Sysroot, name: &str) -> Result<InitPlan> {
    compose_stateroot(sysroot, name)
}

/// As [`plan_stateroot`], without telling in an error that it is one.
fn compose_stateroot(sysroot: &Sysroot, name: &str) -> Result<InitPlan> {
    ensure!(is_stateroot(name), "a stateroot's name is one word without slashes and quotes");
    let ostree = directory::open(sysroot.root(), "ostree")?;
    if is_there(directory::open(&ostree, "deploy")?.as_fd(), name)? {
        return Err(Errno::EXIST).with_context(|| format!("Creating ostree/deploy/{name}"));
    }
    let unfinished = unfinished(ostree.as_fd())?.into_iter();
    let mut steps: Vec<Step> = unfinished.map(|name| Step::remove(format!("/ostree/{name}"))).collect();
    let path = format!("/ostree/deploy/{name}");
    steps.extend([
        Step::MakeStateroot { path },
        Step::Notify { path: "/ostree/deploy".to_owned() },
        Step::Record { path: PATH.to_owned() },
    ]);
    Ok(InitPlan { schema: SCHEMA, operation: "stateroot-init", steps })
}

/// Makes an empty stateroot: beside `ostree/deploy`, where every name is that of a stateroot, and renamed into it.
///
/// # Errors
///
/// As [`plan_stateroot`], and the file system says no.
#[context("Creating stateroot {name}")]
pub fn init_stateroot(lock: &Lock<'_>, name: &str) -> Result<()> {
    let sysroot = lock.sysroot();
    let plan = compose_stateroot(sysroot, name)?;
    let ostree = directory::open(sysroot.root(), "ostree")?;
    for step in &plan.steps {
        // Their maker held the lock, and is gone.
        if let Step::Remove { path } = step {
            durable::remove_tree(ostree.as_fd(), path.trim_start_matches("/ostree/"))?;
        }
    }
    let deploy = directory::open(&ostree, "deploy")?;
    let mode = Mode::from_raw_mode(0o755);
    let place = (deploy.as_fd(), name);
    durable::new_tree(ostree.as_fd(), place, mode, Occupied::ByNothing, |stateroot| {
        make_dir(stateroot, "var", 0o755)
    })
    .with_context(|| format!("Creating ostree/deploy/{name}"))?;
    persistent::touch(sysroot)
}
