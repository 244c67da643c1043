// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the power cut tests reach in.
//!
//! Without the cargo feature `faults` everything here is a constant, and the compiler drops it. With it, the
//! environment names what goes wrong:
//!
//! - `DURABLE_STOP=POINT`: the process ends at this [`point`] with status 77, as if it had been killed there.
//! - `DURABLE_SIGNAL=INT` or `TERM`: and before that it sends itself this signal.
//! - `DURABLE_PAUSE=POINT:FILE`: the process makes this file at this [`point`], and goes on once it is gone.
//! - `DURABLE_MUTANT=NAME`: the program does on purpose what it must not (see [`Mutant`]). A test of power cuts
//!   that does not notice this is no test.

/// A mistake that a test of power cuts has to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// `no-file-sync`: files are not synced, nor whole file systems but by a proof.
    NoFileSync,
    /// `record-unsynced`: what is kept of a staged deployment gets its name before its contents are on the disk.
    RecordUnsynced,
    /// `no-directory-sync`: directories are not synced, nor whole file systems but by a proof.
    NoDirectorySync,
    /// `commit-by-unlink`: a link is switched by removing the old one and making a new one.
    CommitByUnlink,
    /// `commit-before-stage`: the entries are switched before they are written.
    CommitBeforeStage,
    /// `loader-before-links`: the entries are switched before the links that they name are made.
    LoaderBeforeLinks,
    /// `sweep-before-prove`: the old entries' files go while a boot loader may still read the old entries.
    SweepBeforeProve,
    /// `proof-by-sync`: `syncfs` is taken for a proof.
    ProofBySync,
    /// `running-root-not-pushed`: the same, on the running root alone.
    RunningRootNotPushed,
    /// `running-root-frozen`: the running root is frozen, without being asked to.
    RunningRootFrozen,
    /// `first-file-by-rename`: a boot loader's first file is replaced by a rename, as if it replayed the journal.
    FirstFileByRename,
    /// `temporary-by-name`: what is made as a whole is `NAME.tmp` until then, and whatever has that name is taken or removed.
    TemporaryByName,
    /// `record-before-lock`: what is staged is read before the lock is taken, and acted on after that.
    RecordBeforeLock,
    /// `refs-of-others-go`: every ref below `ostree/` is taken for one of a deployment.
    RefsOfOthersGo,
    /// `write-errors-ignored`: what could not be written is taken for written.
    WriteErrorsIgnored,
    /// `plan-hides-refs`: a plan does not print the steps of refs.
    PlanHidesRefs,
    /// `plan-hides-removals`: a plan does not print what it removes.
    PlanHidesRemovals,
    /// `plan-hides-files`: a plan does not print the files that it writes.
    PlanHidesFiles,
    /// `plan-hides-switch`: a plan does not print the links that it switches.
    PlanHidesSwitch,
}

impl Mutant {
    /// The name in `DURABLE_MUTANT`.
    #[cfg(feature = "faults")]
    fn name(self) -> &'static str {
        match self {
            Self::NoFileSync => "no-file-sync",
            Self::RecordUnsynced => "record-unsynced",
            Self::NoDirectorySync => "no-directory-sync",
            Self::CommitByUnlink => "commit-by-unlink",
            Self::CommitBeforeStage => "commit-before-stage",
            Self::LoaderBeforeLinks => "loader-before-links",
            Self::SweepBeforeProve => "sweep-before-prove",
            Self::ProofBySync => "proof-by-sync",
            Self::RunningRootNotPushed => "running-root-not-pushed",
            Self::RunningRootFrozen => "running-root-frozen",
            Self::FirstFileByRename => "first-file-by-rename",
            Self::TemporaryByName => "temporary-by-name",
            Self::RecordBeforeLock => "record-before-lock",
            Self::RefsOfOthersGo => "refs-of-others-go",
            Self::WriteErrorsIgnored => "write-errors-ignored",
            Self::PlanHidesRefs => "plan-hides-refs",
            Self::PlanHidesRemovals => "plan-hides-removals",
            Self::PlanHidesFiles => "plan-hides-files",
            Self::PlanHidesSwitch => "plan-hides-switch",
        }
    }

    /// Whether this mistake is to be made.
    #[cfg(feature = "faults")]
    pub fn is_on(self) -> bool {
        std::env::var_os("DURABLE_MUTANT").is_some_and(|name| name == self.name())
    }

    /// Whether this mistake is to be made: never, in this build.
    #[cfg(not(feature = "faults"))]
    pub const fn is_on(self) -> bool {
        false
    }
}

/// A named moment between two writes. Ends the process if `DURABLE_STOP` names it, and waits if `DURABLE_PAUSE` does.
#[cfg(feature = "faults")]
pub fn point(name: &str) {
    let pause = std::env::var("DURABLE_PAUSE").unwrap_or_default();
    if let Some((_, file)) = pause.split_once(':').filter(|(at, _)| *at == name) {
        let made = std::fs::write(file, "");
        while made.is_ok() && std::path::Path::new(file).exists() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
    /// The status by which tests know that it stopped where it was told to.
    const STOPPED: i32 = 77;
    if std::env::var_os("DURABLE_STOP").is_some_and(|stop| stop == name) {
        let signal = match std::env::var("DURABLE_SIGNAL").as_deref() {
            Ok("INT") => Some(rustix::process::Signal::INT),
            Ok("TERM") => Some(rustix::process::Signal::TERM),
            _ => None,
        };
        if let Some(signal) = signal {
            let _ = rustix::process::kill_process(rustix::process::getpid(), signal);
        }
        std::process::exit(STOPPED);
    }
}

/// A named moment between two writes: nothing, in this build.
#[cfg(not(feature = "faults"))]
pub const fn point(_name: &str) {}
