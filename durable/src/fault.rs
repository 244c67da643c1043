// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the power cut tests reach in.
//!
//! Without the cargo feature `faults` everything here is a constant, and the compiler drops it. With it, the
//! environment names what goes wrong:
//!
//! - `DURABLE_STOP=POINT`: the process ends at this [`point`] with status 77, as if it had been killed there.
//! - `DURABLE_SIGNAL=INT` or `TERM`: and before that it sends itself this signal.
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
    /// `write-errors-ignored`: what could not be written is taken for written.
    WriteErrorsIgnored,
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
            Self::WriteErrorsIgnored => "write-errors-ignored",
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

/// A named moment between two writes. Ends the process if `DURABLE_STOP` names it.
#[cfg(feature = "faults")]
pub fn point(name: &str) {
    /// What the tests take for "stopped where it was told to".
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
