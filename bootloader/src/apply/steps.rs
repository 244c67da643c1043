// SPDX-License-Identifier: MIT OR Apache-2.0
//! The writes of a switch, one after the other. After each of them the disk shows the old or the new entries.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context, Result};
use durable::fault::{self, Mutant};
use durable::{
    Place, Sharing, commit_link, copy_file_new, copy_file_replace, make_dir, stage_link, switch_link,
    write_new,
};
use rustix::fs::{AtFlags, Mode, OFlags, Stat, XattrFlags};
use rustix::io::Errno;

use super::{Pending, after, rehearse, verify};
use crate::former::{Record, ostree};
use crate::loader::AfterSwitch;
use crate::plan::{Change, CopyFile, Generate, NewFile, NewLink, Settings, SwitchPlan};
use crate::state::Places;
use crate::state::read::{open_dir, read_link};

/// Directories are readable whatever the umask of the caller.
const DIR_MODE: Mode = Mode::from_raw_mode(0o755);
/// So are entries.
pub(super) const FILE_MODE: Mode = Mode::from_raw_mode(0o644);

/// One write of a switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// What the deployments consist of reaches the disk.
    SyncDeployments,
    /// `/ostree/boot-switch` says that there is a switch to be proven.
    Note,
    /// What a former or an interrupted switch has left in the new slot goes.
    ClearSlot,
    /// A boot file comes to `/boot`.
    Copy(CopyFile),
    /// An entry, or a file in the loader's own format.
    Write(NewFile),
    /// A program writes the file in the loader's own format.
    Generate(Generate),
    /// A file of others comes along.
    Carry(String),
    /// `/boot` says that something is to be done after the commit.
    Stamp,
    /// The new `boot.N.M`, empty.
    ClearLinks,
    /// A link from an entry to its deployment.
    Link(NewLink),
    /// `boot.N` leads to the new `boot.N.M`.
    ChooseLinks,
    /// `/boot/boot`, a link to where it is: so paths with `/boot/` work on a file system of its own too.
    SelfLink,
    /// `loader.tmp`, to be renamed.
    StageLoader,
    /// Everything is read again, by a loader's rules.
    Verify,
    /// All of it gets to its place on the device, so that the commit is the only thing that a boot loader may see
    /// or not see.
    Settle,
    /// `loader.tmp` becomes `loader`.
    Commit,
}

impl Step {
    /// Whether this is the write that decides, so that an error cannot be undone: it may have been made all the same.
    pub(crate) fn is_commit(&self, change: Change) -> bool {
        match change {
            Change::Nothing => false,
            Change::Bootlinks => matches!(self, Self::ChooseLinks),
            Change::Entries => matches!(self, Self::Commit),
        }
    }
}

impl SwitchPlan {
    /// The writes, in their order. Proof and sweep come after them.
    pub fn steps(&self) -> Vec<Step> {
        let links = self.links.iter().cloned().map(Step::Link);
        let mut steps = match self.change {
            Change::Nothing => return Vec::new(),
            Change::Bootlinks => {
                let mut steps = vec![Step::SyncDeployments, Step::ClearLinks];
                steps.extend(links);
                steps.extend([Step::Verify, Step::ChooseLinks]);
                return steps;
            }
            Change::Entries => vec![Step::SyncDeployments, Step::Note, Step::ClearSlot],
        };
        steps.extend(self.copy.iter().cloned().map(Step::Copy));
        steps.extend(self.entries.iter().chain(&self.native).cloned().map(Step::Write));
        steps.extend(self.generate.iter().cloned().map(Step::Generate));
        steps.extend(self.carry.iter().cloned().map(Step::Carry));
        steps.push(Step::ClearLinks);
        steps.extend(links);
        steps.extend([Step::ChooseLinks, Step::SelfLink, Step::StageLoader]);
        if self.after != AfterSwitch::Nothing {
            steps.push(Step::Stamp);
        }
        steps.extend([Step::Verify, Step::Settle, Step::Commit]);
        if Mutant::CommitBeforeStage.is_on() {
            let early = [Step::StageLoader, Step::Commit];
            steps.retain(|step| !early.contains(step));
            steps.splice(3..3, early);
        }
        if Mutant::LoaderBeforeLinks.is_on() {
            // It would be seen.
            steps.retain(|step| *step != Step::Verify);
            let early = [Step::StageLoader, Step::Settle, Step::Commit];
            steps.retain(|step| !early.contains(step));
            let links = steps.iter().position(|step| *step == Step::ClearLinks).unwrap_or(0);
            steps.splice(links..links, early);
        }
        steps
    }

    /// Does one of [`Self::steps`]; for [`Self::apply`], and for tests that stop in between.
    pub fn run(&self, step: &Step, places: Places<'_>, settings: &Settings) -> Result<()> {
        fault::point(step.name());
        let (root, boot) = (places.root, places.boot);
        match step {
            Step::SyncDeployments => durable::sync_fs(root),
            Step::Note => Record::new(self.to.boot_version).write(root),
            Step::ClearSlot => self.clear_slot(places),
            Step::Copy(copy) => copy_boot_file(copy, places),
            Step::Write(file) => {
                let (dir, name) = self.place(boot, &file.path)?;
                if rehearse::take(file, boot, dir.as_fd(), &name)? {
                    return Ok(());
                }
                write_new(dir.as_fd(), &name, file.text.as_bytes(), FILE_MODE)
            }
            Step::Generate(generate) => {
                after::generate(generate, &self.to.loader_dir(), boot, self.to.boot_version)
            }
            Step::Carry(path) => self.carry(path, boot),
            Step::Stamp => Pending::write(boot, "the switch was interrupted"),
            Step::ClearLinks => {
                let ostree = ostree(root)?;
                clear(ostree.as_fd(), &self.to.links_dir())?;
                make_dir(ostree.as_fd(), &self.to.links_dir(), DIR_MODE).map(drop)
            }
            Step::Link(link) => {
                let path = format!("{}/{}", self.to.links_dir(), link.path);
                let (dir, name) = make_parents(ostree(root)?, &path)?;
                stage_link(dir.as_fd(), &name, &link.target)
            }
            Step::ChooseLinks => switch_link(ostree(root)?.as_fd(), &self.to.link(), &self.to.links_dir()),
            Step::SelfLink => match rustix::fs::symlinkat(".", boot, "boot") {
                Ok(()) | Err(Errno::EXIST) => Ok(()),
                Err(err) => Err(err).context("Making link /boot/boot"),
            },
            Step::StageLoader => stage_link(boot, "loader.tmp", &self.to.loader_dir()),
            Step::Verify => verify::verify(self, places, settings),
            Step::Settle => durable::prove(boot, settings.freezing).map(drop),
            Step::Commit => commit_link(boot, "loader.tmp", "loader"),
        }
    }

    fn clear_slot(&self, places: Places<'_>) -> Result<()> {
        self.clear_set(places.boot)?;
        let loader = make_dir(places.boot, &self.to.loader_dir(), DIR_MODE)?;
        make_dir(loader.as_fd(), "entries", DIR_MODE).map(drop)
    }

    /// Removes what is in the place of the new set.
    pub(super) fn clear_set(&self, boot: BorrowedFd<'_>) -> Result<()> {
        clear(boot, "loader.tmp")?;
        clear(boot, &self.to.loader_dir())
    }

    /// Copies a file of others from the old set to the new one: not a link, for whoever edits it in place
    /// edits one of them.
    fn carry(&self, path: &str, boot: BorrowedFd<'_>) -> Result<()> {
        let old = format!("{}/{path}", self.from.loader_dir());
        let (dir, name) = self.place(boot, path)?;
        if let Some(target) = read_link(boot, &old)? {
            return stage_link(dir.as_fd(), &name, &target);
        }
        copy_file_new((boot, &old), (dir.as_fd(), &name), Sharing::Blocks)
    }

    /// The directory and the name of a file below the new `loader.N`.
    fn place(&self, boot: BorrowedFd<'_>, path: &str) -> Result<(OwnedFd, String)> {
        let boot = open_dir(boot, ".")?.context("/boot cannot be opened")?;
        make_parents(boot, &format!("{}/{path}", self.to.loader_dir()))
    }
}

fn copy_boot_file(copy: &CopyFile, places: Places<'_>) -> Result<()> {
    let boot = open_dir(places.boot, ".")?.context("/boot cannot be opened")?;
    let (dir, name) = make_parents(boot, &copy.to)?;
    let (from, to) = ((places.root, copy.from.as_str()), (dir.as_fd(), name.as_str()));
    let copied =
        if copy.replaces { copy_file_replace(from, to) } else { copy_file_new(from, to, Sharing::Link) };
    copied?;
    copy.label.as_deref().map_or(Ok(()), |label| label_copy(label, from, to))
}

/// Labels a copy, and brings the label to the disk. No boot loader asks for it: where the file system has no labels, or the
/// running policy does not let us set them, there is none.
fn label_copy(label: &str, from: Place<'_>, to: Place<'_>) -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(to.0, to.1, flags, Mode::empty())?;
    let inode = |stat: Stat| (stat.st_dev, stat.st_ino);
    let source = rustix::fs::statat(from.0, from.1, AtFlags::SYMLINK_NOFOLLOW)?;
    if inode(rustix::fs::fstat(&file)?) == inode(source) {
        return Ok(());
    }
    let value = [label.as_bytes(), b"\0"].concat();
    match rustix::fs::fsetxattr(&file, "security.selinux", &value, XattrFlags::empty()) {
        Ok(()) => Ok(rustix::fs::fsync(&file)?),
        Err(Errno::OPNOTSUPP | Errno::PERM | Errno::ACCESS | Errno::INVAL) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("Labelling /boot/{}", to.1)),
    }
}

/// Makes the directories on the way to `path`, durably, and opens the last of them.
pub(super) fn make_parents(mut dir: OwnedFd, path: &str) -> Result<(OwnedFd, String)> {
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return Ok((dir, part.to_owned()));
        }
        dir = make_dir(dir.as_fd(), part, DIR_MODE)?;
    }
    anyhow::bail!("An empty path")
}

/// Removes what is in the way; what cannot be removed is an error.
pub(super) fn clear(dir: BorrowedFd<'_>, name: &str) -> Result<()> {
    let removal = durable::remove_tree(dir, name)?;
    match removal.left.first() {
        None => Ok(()),
        Some((path, errno)) => Err(*errno).with_context(|| format!("Removing {}", path.display())),
    }
}

impl Step {
    /// What the power cut tests call it.
    fn name(&self) -> &'static str {
        match self {
            Self::SyncDeployments => "sync-deployments",
            Self::Note => "note",
            Self::ClearSlot => "clear-slot",
            Self::Copy(_) => "copy",
            Self::Write(_) => "write",
            Self::Generate(_) => "generate",
            Self::Carry(_) => "carry",
            Self::Stamp => "stamp",
            Self::ClearLinks => "clear-links",
            Self::Link(_) => "link",
            Self::ChooseLinks => "choose-links",
            Self::SelfLink => "self-link",
            Self::StageLoader => "stage-loader",
            Self::Verify => "verify",
            Self::Settle => "settle",
            Self::Commit => "commit",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SyncDeployments => f.write_str("Syncing the deployments"),
            Self::Note => f.write_str("Writing /ostree/boot-switch"),
            Self::ClearSlot => f.write_str("Clearing the place for new boot entries"),
            Self::Copy(copy) => write!(f, "Installing /boot/{}", copy.to),
            Self::Write(file) => write!(f, "Writing boot entry {}", file.path),
            Self::Generate(generate) => write!(f, "Running {}", generate.program),
            Self::Carry(path) => write!(f, "Carrying over {path}"),
            Self::Stamp => f.write_str("Noting that the boot loader has to be updated"),
            Self::ClearLinks => f.write_str("Clearing the place for new boot links"),
            Self::Link(link) => write!(f, "Making boot link {}", link.path),
            Self::ChooseLinks => f.write_str("Switching the boot links"),
            Self::SelfLink => f.write_str("Making /boot/boot"),
            Self::StageLoader => f.write_str("Staging /boot/loader"),
            Self::Verify => f.write_str("Verifying the new boot entries"),
            Self::Settle => f.write_str("Bringing the new boot entries to the device"),
            Self::Commit => f.write_str("Switching /boot/loader"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `boot.N` leads to already must not be removed because a sync after it has failed.
    #[test]
    fn each_change_has_one_write_that_decides() {
        for (change, step, decides) in [
            (Change::Entries, Step::Commit, true),
            (Change::Entries, Step::ChooseLinks, false),
            (Change::Bootlinks, Step::ChooseLinks, true),
            (Change::Bootlinks, Step::Verify, false),
        ] {
            assert_eq!(step.is_commit(change), decides, "{change:?} {step:?}");
        }
    }
}
