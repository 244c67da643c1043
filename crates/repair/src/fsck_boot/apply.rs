// SPDX-License-Identifier: MIT OR Apache-2.0
//! Carrying a repair out. Each action is on the disk before the next one begins.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context, Result, bail};
use bootloader::{BootState, Places, PlanError, Record, Settings};
use durable::{Freezing, Proof, Sharing};
use rustix::fs::{Mode, RenameFlags};
use rustix::io::Errno;
use sysroot::{Sysroot, reserve};

use super::plan::{Task, in_place};

const DIR_MODE: Mode = Mode::from_raw_mode(0o755);
const FILE_MODE: Mode = Mode::from_raw_mode(0o644);

/// Carries a plan out. Gives why a boot loader may still see what was there before, if so.
pub(super) fn run(sysroot: &Sysroot, tasks: &[Task]) -> Result<Option<String>> {
    if tasks.is_empty() {
        return Ok(None);
    }
    let settings = sysroot.boot_settings(&sysroot.load_lenient()?)?;
    let mut repair = Repair {
        places: sysroot.places(),
        freezing: settings.freezing,
        offline: settings.offline,
        proof: None,
        kept: Vec::new(),
    };
    for task in tasks {
        let mut work = || match task {
            Task::ReleaseReserve(_) => {
                reserve::release(sysroot.places());
                Ok(())
            }
            Task::ProvePrevious => prove_previous(sysroot, &settings),
            Task::Notify { .. } => deploy::touch(sysroot),
            task => repair.carry_out(task),
        };
        work().with_context(|| format!("Carrying out: {task}"))?;
    }
    repair.end()
}

fn prove_previous(sysroot: &Sysroot, settings: &Settings) -> Result<()> {
    let state = BootState::read(sysroot.places())?;
    match bootloader::prove_previous_switch(sysroot.places(), &state, settings)? {
        Proof::Proven(_) => Ok(()),
        Proof::Unproven(reason) => Err(PlanError::RebootFirst(reason.to_string()).into()),
    }
}

/// A repair that is being made.
struct Repair<'a> {
    places: Places<'a>,
    freezing: Freezing,
    /// Unmounting the root proves the repair.
    offline: bool,
    /// The outcome of the last proof.
    proof: Option<Proof>,
    /// The files before, under temporary names: a boot loader may still read them.
    kept: Vec<(OwnedFd, String)>,
}

impl Repair<'_> {
    fn carry_out(&mut self, task: &Task) -> Result<()> {
        match task {
            // These are the work of the one who has the whole root.
            Task::ReleaseReserve(_) | Task::ProvePrevious | Task::Notify { .. } => Ok(()),
            Task::Prove => {
                self.proof = Some(self.prove()?);
                Ok(())
            }
            Task::Note { boot_version } => {
                if self.is_unproven() {
                    Record::new(*boot_version).write(self.places.root)?;
                }
                Ok(())
            }
            Task::MakeDirectory(path) => {
                let (dir, name) = self.parent(path)?;
                durable::make_dir(dir.as_fd(), name, DIR_MODE).map(drop)
            }
            Task::Remove(path) => {
                let (dir, name) = self.parent(path)?;
                remove(dir.as_fd(), name)
            }
            Task::Rename { from, to } => {
                let ((old, old_name), (new, new_name)) = (self.parent(from)?, self.parent(to)?);
                rustix::fs::renameat_with(&old, old_name, &new, new_name, RenameFlags::NOREPLACE)?;
                durable::sync_dir(old.as_fd())?;
                durable::sync_dir(new.as_fd())
            }
            Task::Copy { from, to, .. } => {
                let (dir, name) = self.parent(to)?;
                durable::copy_file_new((self.places.root, from.as_str()), (dir.as_fd(), name), Sharing::Link)
            }
            Task::Write { path, text } => {
                let (dir, name) = self.parent(path)?;
                durable::write_new(dir.as_fd(), name, text.as_bytes(), FILE_MODE)
            }
            Task::Stage { path, target } => {
                let (dir, name) = self.parent(path)?;
                durable::stage_link(dir.as_fd(), name, target)
            }
            Task::Switch { path, target } => {
                let (dir, name) = self.parent(path)?;
                durable::switch_link(dir.as_fd(), name, target)
            }
            Task::Exchange { from, to } => {
                let ((dir, temporary), (_, name)) = (self.parent(from)?, self.parent(to)?);
                match rustix::fs::renameat_with(&dir, temporary, &dir, name, RenameFlags::EXCHANGE) {
                    // Nothing has the name, or this file system knows no exchange.
                    Err(Errno::NOENT | Errno::INVAL | Errno::NOSYS) => {
                        rustix::fs::renameat(&dir, temporary, &dir, name)?
                    }
                    other => other?,
                }
                durable::sync_dir(dir.as_fd())
            }
            Task::PutAside { from, to } => {
                let ((dir, name), (_, temporary)) = (self.parent(from)?, self.parent(to)?);
                rustix::fs::renameat(&dir, name, &dir, temporary)?;
                durable::sync_dir(dir.as_fd())
            }
            Task::RemoveAside(path) => {
                let (dir, name) = self.parent(path)?;
                if self.is_unproven() {
                    self.kept.push((dir, name.to_owned()));
                    return Ok(());
                }
                remove(dir.as_fd(), name)
            }
        }
    }

    fn is_unproven(&self) -> bool {
        !self.offline && matches!(self.proof, Some(Proof::Unproven(_)))
    }

    /// A boot loader does not replay the journal; what the root's links are is read by the initramfs, which does.
    fn prove(&self) -> Result<Proof> {
        durable::prove(self.places.boot, self.freezing)
    }

    /// Removes what was kept if the last proof says that no boot loader reads it.
    fn end(self) -> Result<Option<String>> {
        match self.proof {
            Some(Proof::Unproven(reason)) if !self.offline => Ok(Some(reason.to_string())),
            // The note is taken back by the next sweep.
            _ => self.kept.iter().try_for_each(|(dir, name)| remove(dir.as_fd(), name)).map(|()| None),
        }
    }

    /// The directory of a path, and its name.
    fn parent<'p>(&self, path: &'p str) -> Result<(OwnedFd, &'p str)> {
        let (top, below) = in_place(self.places, path);
        let (dirs, name) = below.rsplit_once('/').unwrap_or((".", below));
        let mut dir = top.try_clone_to_owned()?;
        for part in dirs.split('/') {
            dir = durable::open_dir(&dir, part)?;
        }
        Ok((dir, name))
    }
}

/// Removes whatever has the name, if anything has it.
fn remove(dir: BorrowedFd<'_>, name: &str) -> Result<()> {
    let removal = durable::remove_tree(dir, name)?;
    if let Some((left, errno)) = removal.failed.first() {
        bail!("{}: {errno}", left.display());
    }
    durable::sync_dir(dir)
}

#[cfg(test)]
mod tests {
    use super::super::finding::Action;
    use super::super::plan::{Composition, frees_room};
    use super::*;
    use std::fs;

    /// On a tmpfs, where nothing can be proven.
    #[test]
    fn what_was_there_stays_until_the_repair_is_proven() {
        let temp = tempfile::tempdir_in("/dev/shm").unwrap();
        fs::create_dir_all(temp.path().join("ostree")).unwrap();
        fs::create_dir_all(temp.path().join("boot")).unwrap();
        let at = |path: &str| temp.path().join(path);
        let (root, boot) = (fs::File::open(temp.path()).unwrap(), fs::File::open(at("boot")).unwrap());
        let places = Places { root: root.as_fd(), boot: boot.as_fd() };
        let repair = |offline: bool, noted: bool, action: Action| -> Result<Option<String>> {
            let tasks = Composition::of(places, offline, 1, noted).tasks(&[action])?;
            let freezing = Freezing::NotTheRoot;
            let mut repair = Repair { places, freezing, offline, proof: None, kept: Vec::new() };
            tasks.iter().try_for_each(|task| repair.carry_out(task))?;
            repair.end()
        };
        let write = |text: &str| Action::Write { path: "/boot/entry".to_owned(), text: text.to_owned() };
        fs::write(at("boot/entry"), "broken").unwrap();

        let unproven = repair(false, false, write("whole")).unwrap();
        assert_eq!(fs::read(at("boot/entry")).unwrap(), b"whole");
        assert_eq!(
            fs::read(at("boot/.ostree-repair-entry.old")).unwrap(),
            b"broken",
            "a boot loader may still read it"
        );
        let note = fs::read_to_string(at("ostree/boot-switch")).unwrap();
        assert!(note.ends_with("boot-version=1\n"), "{note}");
        assert_eq!(unproven.as_deref(), Some("no way is known for a file system of type tmpfs"));
        // Not even a second repair removes it.
        let error = format!("{:#}", repair(false, true, write("again")).unwrap_err());
        assert!(error.ends_with("reboot first"), "{error}");
        assert_eq!(fs::read(at("boot/.ostree-repair-entry.old")).unwrap(), b"broken");

        fs::create_dir_all(at("boot/loader.1/entries")).unwrap();
        fs::write(at("boot/loader.1/entries/ostree-2.conf"), "twice").unwrap();
        let remove = |path: &str| Action::Remove { path: path.to_owned() };
        let superfluous = remove("/boot/loader.1/entries/ostree-2.conf");
        assert!(!frees_room(&superfluous) && frees_room(&remove("/boot/ostree/testos-0")));
        let unproven = repair(false, true, superfluous).unwrap();
        let aside = at("boot/loader.1/entries/.ostree-repair-ostree-2.conf.old");
        assert!(unproven.is_some());
        assert_eq!(fs::read(aside).unwrap(), b"twice", "an entry that goes is put aside as well");
        assert!(!at("boot/loader.1/entries/ostree-2.conf").exists());

        let offline = repair(true, true, write("again")).unwrap();
        assert_eq!(fs::read(at("boot/entry")).unwrap(), b"again");
        assert!(!at("boot/.ostree-repair-entry.old").exists());
        assert_eq!(offline, None);
    }
}
