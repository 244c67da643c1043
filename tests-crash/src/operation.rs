// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is done to a system while its disk is recorded: one row a thing that a person or a service does.
//!
//! An operation is plain data, for whoever wants to disturb it in another way than by a power cut: make a
//! [`Machine`](crate::machine::Machine), call its `prepare`, start a [`Session`](crate::session::Session), run the
//! [`commands`](Operation::commands), and see with [`check`](crate::check) whether the disk shows old or new.

/// What is done after a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// The same commands, whatever the disk shows: they lead to the same end from everywhere.
    Always,
    /// The same commands if the disk shows the old default, else a cleanup: a second time they would do something else.
    IfOld,
}

/// Commands, and what they need. All lines are for the shell of a [`Session`](crate::session::Session): `$REPO` is the
/// system's repository, `/run/kit/source` has the commits `one` (deployed by most preparations), `two`, `three` (each with a
/// kernel of its own), `same` (the kernel of `one`) and `main`.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// What `--only` calls it.
    pub name: &'static str,
    /// Done before the recording, from outside; ended by unmounting.
    pub prepare: &'static [&'static str],
    /// Whether the commands are run in the system that was booted from its default deployment, instead of from outside.
    pub booted: bool,
    /// What is recorded.
    pub commands: &'static [&'static str],
    /// What follows a power cut.
    pub again: Again,
    /// Whether Debian's `ostree` has the same commands.
    pub peer: bool,
}

const PULL_ALL: &str = "ostree --repo=$REPO pull-local /run/kit/source one two three same";
const DEPLOY_ONE: &str = "ostree admin deploy --os=testos --karg=root=LABEL=r one";
const DEPLOY_TWO: &str = "ostree admin deploy --os=testos --karg=root=LABEL=r two";
const DEPLOYED: &[&str] = &[PULL_ALL, DEPLOY_ONE];

/// All of them.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        name: "first-deploy",
        prepare: &[PULL_ALL],
        booted: false,
        commands: &[DEPLOY_ONE],
        again: Again::Always,
        peer: true,
    },
    Operation {
        name: "deploy",
        prepare: DEPLOYED,
        booted: false,
        commands: &[DEPLOY_TWO],
        again: Again::Always,
        peer: true,
    },
    Operation {
        name: "deploy-same-kernel",
        prepare: DEPLOYED,
        booted: true,
        commands: &["ostree admin deploy same"],
        again: Again::Always,
        peer: true,
    },
    Operation {
        name: "deploy-booted",
        prepare: DEPLOYED,
        booted: true,
        commands: &["ostree admin deploy two"],
        again: Again::Always,
        peer: true,
    },
    Operation {
        name: "deploy-twice",
        prepare: DEPLOYED,
        booted: false,
        commands: &[DEPLOY_TWO, "ostree admin deploy --os=testos three"],
        again: Again::Always,
        peer: true,
    },
];
