// SPDX-License-Identifier: MIT OR Apache-2.0
//! The operations on a system while its disk is recorded: one row a thing that a person or a service does.
//!
//! An operation is plain data, for whoever wants to disturb it in another way than by a power cut: make a
//! [`Machine`](crate::machine::Machine), call its `prepare`, start a [`Session`](crate::session::Session), run the
//! [`commands`](Operation::commands), and see with [`check`](crate::check) whether the disk shows old or new.

/// The commands after a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// The same commands, whatever the disk shows: they lead to the same end from everywhere.
    Always,
    /// The same commands if the disk shows the old default, else a cleanup: a second time they would do something else.
    IfOld,
    /// If an update is kept on the disk, in one case of two what the units make of that: it is taken up at boot, and finished
    /// at shutdown, without being staged again. Else it is staged and finished.
    TakeUp,
}

/// The persistent record of a staged deployment, below the root.
pub(crate) const KEPT: &str = "ostree/staged-deployment";

/// An update that is made at shutdown.
pub(crate) const STAGE: &[&str] = &["ostree admin deploy --stage two", "ostree admin finalize-staged"];

/// The next boot and its shutdown. The first call tells once, by its exit status, what the last finalization failed with.
pub(crate) const TAKE_UP: &[&str] =
    &["ostree-boot-complete || ostree-boot-complete", "ostree admin finalize-staged"];

/// Commands, and what they need. All lines are for the shell of a [`Session`](crate::session::Session): `$REPO` is the
/// system's repository, `/run/kit/source` has the commits `one` (deployed by most preparations), `two`, `three` (each with a
/// kernel of its own), `same` (the kernel of `one`) and `main`.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// Its name for `--only`.
    pub name: &'static str,
    /// Done before the recording, from outside; ended by unmounting.
    pub prepare: &'static [&'static str],
    /// Done after that in the booted system, which is then shut down.
    pub prepare_booted: &'static [&'static str],
    /// Whether the commands are run in the system that was booted from its default deployment, instead of from outside.
    pub booted: bool,
    /// The commands that are recorded.
    pub commands: &'static [&'static str],
    /// The commands that follow a power cut.
    pub again: Again,
    /// The command that must succeed after that.
    pub finally: &'static str,
    /// Whether Debian's `ostree` has the same commands.
    pub peer: bool,
    /// Whether it changes `/boot`, so that it matters on what that is.
    pub in_boot: bool,
    /// Whether it begins with an entry that is broken, which may stay so until it ends.
    pub repairs: bool,
    /// Whether `/etc` of a deployment is changed in place, file by file: each is that of before or that of after.
    pub by_file: bool,
    /// Whether programs run at the same time, so that the calls of one cannot be told by counting.
    pub at_once: bool,
}

/// The operation with the values that most have in common.
const USUAL: Operation = Operation {
    name: "",
    prepare: &[PULL_ALL, DEPLOY_ONE],
    prepare_booted: &[],
    booted: false,
    commands: &[],
    again: Again::Always,
    finally: "true",
    peer: true,
    in_boot: true,
    repairs: false,
    by_file: false,
    at_once: false,
};

const PULL_ALL: &str = "ostree --repo=$REPO pull-local /run/kit/source one two three same";
const PULL_ONE: &str = "ostree --repo=$REPO pull-local /run/kit/source one";
const DEPLOY_ONE: &str = "ostree admin deploy --os=testos --karg=root=LABEL=r one";
const DEPLOY_ONE_BY_PEER: &str = "peer admin deploy --os=testos --karg=root=LABEL=r one";
const DEPLOY_TWO: &str = "ostree admin deploy --os=testos --karg=root=LABEL=r two";
/// Changes to `/etc` that a merge has to carry over.
const EDIT_ETC: &str = "cd $OSTREE_SYSROOT/ostree/deploy/testos/deploy/*.0/etc && echo local >conf && echo new >added && rm d/more";
/// The command that leaves behind, as an interrupted update may, a deployment and boot files that nothing names.
const LEAVE_BEHIND: &str = "cd $OSTREE_SYSROOT && name=$(printf %064d 7) && mkdir boot/ostree/testos-$name && \
                            echo old >boot/ostree/testos-$name/vmlinuz && cd ostree/deploy/testos/deploy && set -- *.0 && \
                            cp -a $1 ${1%.0}.7";
/// The same in the older of two deployments; the other has what the update brings.
const EDIT_OLD_ETC: &str = "cd $OSTREE_SYSROOT/ostree/deploy/testos/deploy && cd $(dirname $(grep -l 'default 1' *.0/etc/conf)) && \
                            echo late >conf && echo late >added && rm d/more";
/// The kernel of the older deployment loses its end.
const DAMAGE_KERNEL: &str = "kernel=$(echo $OSTREE_SYSROOT/boot/ostree/*/vmlinuz-6.1.0) && head -c 1000 $kernel >$kernel.new && \
                             mv $kernel.new $kernel";
const FOLLOW_MAIN: &str = "ostree admin set-origin r file:///run/kit/source main --set=gpg-verify=false";

/// The update of a system of its usual size, with the commits that only a run with `--full-size` has.
pub const FULL_SIZE: Operation = Operation {
    name: "deploy-full-size",
    prepare: &[
        "ostree --repo=$REPO pull-local /run/kit/source full-one full-two",
        "ostree admin deploy --os=testos --karg=root=LABEL=r full-one",
    ],
    commands: &["ostree admin deploy --os=testos --karg=root=LABEL=r full-two"],
    ..USUAL
};

/// The things that another tool keeps in the same repository: a commit that nothing else names, under a name beside those of deployments.
const KEEP_LAYER: &str = "ostree --repo=$REPO refs --create=ostree/container/blob/ab three && \
                          ostree --repo=$REPO refs --create=ostree/1/1/foo three && ostree --repo=$REPO refs --delete three";
const HAS_LAYER: &str = "for name in container/blob/ab 1/1/foo; do \
                         test $(ostree --repo=$REPO rev-parse ostree/$name) = $(ostree --repo=/run/kit/source rev-parse three) && \
                         ostree --repo=$REPO ls -R ostree/$name || exit 1; done";
/// A stateroot and a ref of somebody, whose names were those of things that are being made.
const NAMES_OF_OTHERS: &str = "mkdir -p $OSTREE_SYSROOT/ostree/deploy/other.tmp/var && \
                               echo data >$OSTREE_SYSROOT/ostree/deploy/other.tmp/var/data && \
                               ostree --repo=$REPO refs --create=new.tmp one";
/// They are as they were, and what was made is there, or can be made.
const HAS_NAMES_OF_OTHERS: &str = "cd $OSTREE_SYSROOT/ostree/deploy && test $(cat other.tmp/var/data) = data && \
                                   test $(ostree --repo=$REPO rev-parse new.tmp) = $(ostree --repo=/run/kit/source rev-parse one) && \
                                   { test -e other || ostree admin stateroot-init other; } && \
                                   test -d other/var && test -z \"$(ls other/var)\"";

/// All of them.
pub const OPERATIONS: &[Operation] = &[
    Operation { name: "deploy", commands: &[DEPLOY_TWO], ..USUAL },
    // On xfs a `/boot/ostree` of others is exchanged for one that stays in a block.
    Operation {
        name: "deploy-after-c",
        prepare: &[PULL_ALL, DEPLOY_ONE_BY_PEER],
        commands: &[DEPLOY_TWO],
        peer: false,
        ..USUAL
    },
    // Over the tree of a deployment that went; another one goes.
    Operation {
        name: "deploy-over-retired",
        prepare: &[
            PULL_ALL,
            DEPLOY_ONE,
            DEPLOY_TWO,
            "ostree admin deploy --os=testos three",
            "test -d $REPO/tmp/retired-tree",
        ],
        commands: &["ostree admin deploy --os=testos same"],
        finally: "test -d $REPO/tmp/retired-tree",
        peer: false,
        ..USUAL
    },
    Operation { name: "first-deploy", prepare: &[PULL_ALL], commands: &[DEPLOY_ONE], ..USUAL },
    Operation {
        name: "stage",
        prepare: &[PULL_ALL, DEPLOY_ONE, EDIT_ETC],
        booted: true,
        commands: STAGE,
        again: Again::TakeUp,
        ..USUAL
    },
    Operation {
        name: "take-up",
        prepare: &[PULL_ALL, DEPLOY_ONE, EDIT_ETC],
        prepare_booted: &["ostree admin deploy --stage two"],
        booted: true,
        commands: &["ostree-boot-complete", "ostree admin finalize-staged"],
        again: Again::TakeUp,
        peer: false,
        ..USUAL
    },
    // Another one is staged while the finalization of the first waits for the lock.
    Operation {
        name: "stage-again",
        prepare: &[PULL_ALL, DEPLOY_ONE, EDIT_ETC],
        booted: true,
        commands: &["ostree admin deploy --stage two", "sh /run/kit/stage-again"],
        finally: "ostree admin status | head -n 1 | grep $(ostree --repo=/run/kit/source rev-parse three)",
        peer: false,
        at_once: true,
        ..USUAL
    },
    Operation { name: "deploy-booted", booted: true, commands: &["ostree admin deploy two"], ..USUAL },
    Operation { name: "deploy-same-kernel", booted: true, commands: &["ostree admin deploy same"], ..USUAL },
    Operation {
        name: "deploy-twice",
        booted: true,
        commands: &["ostree admin deploy two", "ostree admin deploy three"],
        ..USUAL
    },
    Operation {
        name: "upgrade",
        prepare: &[PULL_ONE, DEPLOY_ONE],
        prepare_booted: &[FOLLOW_MAIN],
        booted: true,
        commands: &["ostree admin upgrade"],
        ..USUAL
    },
    Operation {
        name: "switch",
        prepare: &[PULL_ONE, DEPLOY_ONE],
        prepare_booted: &[FOLLOW_MAIN],
        booted: true,
        commands: &["ostree admin switch r:two"],
        again: Again::IfOld,
        ..USUAL
    },
    Operation {
        name: "kargs",
        commands: &["ostree admin kargs edit-in-place --append-if-missing=quiet"],
        ..USUAL
    },
    Operation {
        name: "undeploy",
        prepare: &[PULL_ALL, DEPLOY_ONE, DEPLOY_TWO],
        commands: &["ostree admin undeploy 1"],
        again: Again::IfOld,
        ..USUAL
    },
    Operation {
        name: "rollback",
        prepare: &[PULL_ALL, DEPLOY_ONE, DEPLOY_TWO],
        booted: true,
        commands: &["ostree admin rollback"],
        again: Again::IfOld,
        peer: false,
        ..USUAL
    },
    Operation {
        name: "set-default",
        prepare: &[PULL_ALL, DEPLOY_ONE, DEPLOY_TWO],
        commands: &["ostree admin set-default 1"],
        again: Again::IfOld,
        ..USUAL
    },
    Operation {
        name: "pin",
        commands: &["ostree admin pin 0"],
        finally: "ostree admin status | grep -q 'Pinned: yes'",
        in_boot: false,
        ..USUAL
    },
    Operation {
        name: "etc-merge",
        prepare: &[PULL_ALL, DEPLOY_ONE, DEPLOY_TWO, EDIT_OLD_ETC],
        commands: &["ostree admin etc-merge --from 1 --into 0"],
        finally: "cd $OSTREE_SYSROOT/ostree/deploy && test $(cat */deploy/*.0/etc/added | uniq -c | tr -d ' ') = 2late && \
                  test -z \"$(find . -name '.#ostree*')\"",
        peer: false,
        in_boot: false,
        by_file: true,
        ..USUAL
    },
    Operation {
        name: "fsck-boot",
        prepare: &[PULL_ALL, DEPLOY_ONE, DEPLOY_TWO, DAMAGE_KERNEL],
        commands: &["ostree admin fsck-boot --repair"],
        finally: "ostree admin fsck-boot",
        peer: false,
        repairs: true,
        ..USUAL
    },
    Operation {
        name: "cleanup",
        prepare: &[PULL_ALL, DEPLOY_ONE, LEAVE_BEHIND, "ostree --repo=$REPO refs --delete three"],
        commands: &["ostree admin cleanup"],
        ..USUAL
    },
    Operation {
        name: "refs-of-others",
        prepare: &[PULL_ALL, DEPLOY_ONE, KEEP_LAYER],
        commands: &[DEPLOY_TWO],
        finally: HAS_LAYER,
        peer: false,
        ..USUAL
    },
    Operation {
        name: "names-of-others",
        prepare: &[PULL_ALL, DEPLOY_ONE, NAMES_OF_OTHERS],
        commands: &[
            "ostree admin stateroot-init other",
            "ostree --repo=$REPO commit --branch=new --timestamp=@1700000000 /run/kit/tree-three",
        ],
        again: Again::IfOld,
        finally: HAS_NAMES_OF_OTHERS,
        peer: false,
        in_boot: false,
        ..USUAL
    },
    Operation {
        name: "boot-good",
        prepare_booted: &["ostree admin deploy two"],
        booted: true,
        commands: &["ostree-boot-good"],
        peer: false,
        ..USUAL
    },
    Operation {
        name: "prune",
        prepare: &[PULL_ALL, DEPLOY_ONE, "ostree --repo=$REPO refs --delete three"],
        commands: &["ostree --repo=$REPO prune --refs-only"],
        finally: "ostree --repo=$REPO rev-parse one && ostree --repo=$REPO rev-parse two",
        ..USUAL
    },
    Operation {
        name: "pull-local",
        prepare: &[PULL_ONE, DEPLOY_ONE],
        commands: &["ostree --repo=$REPO pull-local /run/kit/source two"],
        finally: "ostree --repo=$REPO ls -R two",
        ..USUAL
    },
    Operation {
        name: "commit",
        commands: &["ostree --repo=$REPO commit --branch=new --timestamp=@1700000000 /run/kit/tree-three"],
        finally: "ostree --repo=$REPO ls -R new",
        ..USUAL
    },
];
