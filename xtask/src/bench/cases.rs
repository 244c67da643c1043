// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is measured, a row each.

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context, Result};

use super::{Bench, Side};

/// One thing that both programs do.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Our time over the peer's that we want at most.
    pub(crate) target: f64,
    /// Rounds for each run asked for: short programs need more of them.
    pub(crate) times: u32,
    /// It writes to the disk, so each run begins with nothing left to write.
    pub(crate) writes: bool,
    /// Makes the place as before the first run; not measured.
    pub(crate) prepare: fn(&Bench, &Side) -> Result<()>,
    /// The command line to measure.
    pub(crate) line: fn(&Bench, &Side) -> Vec<OsString>,
}

/// The rows.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "start-up (`--version`)",
        target: 0.5,
        times: 20,
        writes: false,
        prepare: |_, _| Ok(()),
        line: |_, side| side.line(["--version"]),
    },
    Case {
        name: "start-up (`refs`)",
        target: 0.5,
        times: 20,
        writes: false,
        prepare: |_, _| Ok(()),
        line: |bench, side| side.line([repo_option(&bench.repo), "refs".into()]),
    },
    Case {
        name: "commit into a fresh bare repo",
        target: 0.6,
        times: 1,
        writes: true,
        prepare: |_, side| {
            let repo = side.dir.join("repo");
            clear(&repo)?;
            side.run([repo_option(&repo), "init".into()])
        },
        line: |bench, side| {
            let tree = bench.tree.clone().into();
            side.line([repo_option(&side.dir.join("repo")), "commit".into(), "--branch=bench".into(), tree])
        },
    },
    Case {
        name: "hardlink checkout",
        target: 0.9,
        times: 1,
        writes: true,
        prepare: |_, side| clear(&side.dir.join("checkout")),
        line: |bench, side| {
            let to = side.dir.join("checkout").into();
            side.line([repo_option(&bench.repo), "checkout".into(), "-H".into(), "bench".into(), to])
        },
    },
    Case {
        name: "fsck",
        target: 0.5,
        times: 1,
        writes: false,
        prepare: |_, _| Ok(()),
        line: |bench, side| side.line([repo_option(&bench.repo), "fsck".into()]),
    },
    Case {
        name: "first deploy",
        target: 0.9,
        times: 1,
        writes: true,
        prepare: fresh_sysroot,
        line: |_, side| {
            let sysroot = sysroot_option(&side.dir.join("sysroot"));
            side.line(["admin".into(), "deploy".into(), sysroot, "--os=bench".into(), "bench".into()])
        },
    },
];

/// Both start from a sysroot that the peer made; the objects are hard links to those of the shared repository.
fn fresh_sysroot(bench: &Bench, side: &Side) -> Result<()> {
    clear(&side.dir.join("checkout"))?;
    let sysroot = side.dir.join("sysroot");
    remove_sysroot(side)?;
    std::fs::create_dir_all(&sysroot).with_context(|| format!("Creating {}", sysroot.display()))?;
    let peer = &bench.theirs;
    peer.run(["admin".into(), "init-fs".into(), OsString::from(&sysroot)])?;
    peer.run(["admin".into(), "os-init".into(), sysroot_option(&sysroot), "bench".into()])?;
    peer.run([
        repo_option(&sysroot.join("ostree/repo")),
        "pull-local".into(),
        OsString::from(&bench.repo),
        "bench".into(),
    ])
}

fn remove_sysroot(side: &Side) -> Result<()> {
    let bench_dir = side.dir.parent().context("a side without a bench")?;
    super::make_deployments_mutable(bench_dir)?;
    clear(&side.dir.join("sysroot"))
}

fn clear(dir: &Path) -> Result<()> {
    if dir.exists() {
        std::fs::remove_dir_all(dir).with_context(|| format!("Removing {}", dir.display()))?;
    }
    Ok(())
}

/// `--repo=PATH`.
pub(crate) fn repo_option(repo: &Path) -> OsString {
    option("--repo=", repo)
}

fn sysroot_option(sysroot: &Path) -> OsString {
    option("--sysroot=", sysroot)
}

fn option(name: &str, path: &Path) -> OsString {
    let mut option = OsString::from(name);
    option.push(path);
    option
}
