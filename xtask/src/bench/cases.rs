// SPDX-License-Identifier: MIT OR Apache-2.0
//! The cases that are measured, a row each.

use std::ffi::OsString;

use anyhow::Result;

use super::sides::{Bench, Side, clear, repo_option};
use super::system;

/// One thing that both programs do.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Our time over the peer's that we want at most.
    pub(crate) target: f64,
    /// Rounds for each run asked for: short programs need more of them.
    pub(crate) times: u32,
    /// It writes to the disk, so each run begins with nothing left to write.
    pub(crate) writes: bool,
    /// Makes what all runs of a side start from; not measured.
    pub(crate) setup: fn(&Bench, &Side) -> Result<()>,
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
        setup: nothing,
        prepare: nothing,
        line: |_, side| side.line(["--version"]),
    },
    Case {
        name: "start-up (`refs`)",
        target: 0.5,
        times: 20,
        writes: false,
        setup: nothing,
        prepare: nothing,
        line: |bench, side| side.line([repo_option(&bench.repo), "refs".into()]),
    },
    Case {
        name: "commit into a fresh bare repo",
        target: 0.6,
        times: 1,
        writes: true,
        setup: nothing,
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
        setup: nothing,
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
        setup: nothing,
        prepare: nothing,
        line: |bench, side| side.line([repo_option(&bench.repo), "fsck".into()]),
    },
    Case {
        name: "first deploy",
        target: 0.6,
        times: 1,
        writes: true,
        setup: nothing,
        prepare: system::empty,
        line: |_, side| system::deploy(side, system::FIRST),
    },
    Case {
        name: "second deploy, with the merge of `/etc`",
        target: 0.5,
        times: 1,
        writes: true,
        setup: system::first_deployed,
        prepare: |bench, side| system::undeploy_second(bench, side),
        line: |_, side| system::deploy(side, system::SECOND),
    },
    Case {
        name: "`admin status`",
        target: 0.5,
        times: 20,
        writes: false,
        setup: system::both_deployed,
        prepare: nothing,
        line: |bench, side| side.line(["admin".into(), system::option(&bench.shared), "status".into()]),
    },
    Case {
        name: "`admin config-diff`",
        target: 0.5,
        times: 5,
        writes: false,
        setup: system::both_deployed,
        prepare: nothing,
        line: |bench, side| {
            side.line([
                "admin".into(),
                system::option(&bench.shared),
                "config-diff".into(),
                "--os=bench".into(),
            ])
        },
    },
];

fn nothing(_: &Bench, _: &Side) -> Result<()> {
    Ok(())
}
