// SPDX-License-Identifier: MIT OR Apache-2.0
//! One of two directories in which a case is played.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use rustix::fs::{FileType, Mode, XattrFlags, lsetxattr, mknodat};

use crate::case::{Call, Entry, Kind};
use crate::ended::Ended;
use crate::mutant::Mutant;

/// The programs that are compared.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    /// Ours.
    pub(crate) ours: PathBuf,
    /// The peer.
    pub(crate) peer: PathBuf,
    /// The mistake that ours shall make.
    pub(crate) mutant: Option<Mutant>,
}

/// A directory, and the commits that calls have printed in it.
#[derive(Debug)]
pub(crate) struct World {
    /// The directory.
    pub(crate) dir: PathBuf,
    /// Whether ours runs here when the programs have not changed places.
    ours: bool,
    commits: BTreeMap<usize, String>,
}

impl World {
    /// An empty one.
    pub(crate) fn new(dir: PathBuf, ours: bool) -> Result<Self> {
        fs::create_dir(&dir).with_context(|| format!("Making {}", dir.display()))?;
        Ok(Self { dir, ours, commits: BTreeMap::new() })
    }

    /// Makes entries. One that cannot be made is left out, as in the other world.
    pub(crate) fn make(&self, entries: &[Entry]) {
        for entry in entries {
            _ = make(&self.dir, entry);
        }
    }

    /// Runs a call with the program whose turn it is here.
    pub(crate) fn run(&mut self, programs: &Programs, call: &Call) -> Result<Ended> {
        let words: Vec<String> = call.words().iter().map(|word| self.with_commits(word)).collect();
        let ended = if self.ours != call.swapped {
            let mutant = programs.mutant;
            let bent = mutant.map_or_else(|| words.clone(), |mutant| mutant.bend(words.clone()));
            let mut ended = run(&programs.ours, &self.dir, &bent)?;
            if let Some(mutant) = mutant {
                mutant.after(&self.dir, &words, &mut ended);
            }
            ended
        } else {
            run(&programs.peer, &self.dir, &words)?
        };
        let first = ended.output.lines().next().unwrap_or_default();
        self.commits.insert(call.number, first.to_owned());
        Ok(ended)
    }

    /// The word with commits in the place of their numbers; one that was not made is a checksum that nothing has.
    fn with_commits(&self, word: &str) -> String {
        let mut parts = word.split("@C");
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (number, rest) = part.split_once('@').unwrap_or((part, ""));
            let commit = number.parse().ok().and_then(|number: usize| self.commits.get(&number));
            match commit.filter(|commit| commit.len() == 64) {
                Some(commit) => out.push_str(commit),
                None => out.push_str(&"0".repeat(64)),
            }
            out.push_str(rest);
        }
        out
    }
}

/// Runs a program to its end, with the same surroundings always.
pub(crate) fn run(program: &Path, dir: &Path, words: &[String]) -> Result<Ended> {
    let output = Command::new("timeout")
        .args(["--signal=KILL", "60"])
        .arg(program)
        .args(words)
        .current_dir(dir)
        .env_clear()
        .envs([
            ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            ("LC_ALL", "C.UTF-8"),
            ("TZ", "UTC"),
            ("HOME", "/"),
        ])
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("Running {}", program.display()))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code();
    Ok(Ended {
        good: code == Some(0),
        // 101 is a panic, 124 and more are signals and the end of the time.
        crashed: code.is_none_or(|code| code == 101 || code >= 124),
        output: text(&output.stdout),
        said: text(&output.stderr),
    })
}

fn make(dir: &Path, entry: &Entry) -> Result<()> {
    let path = dir.join(&entry.path);
    match &entry.kind {
        Kind::Directory => {
            fs::create_dir_all(&path)?;
        }
        Kind::Filled(size, number) => {
            let text = format!("{number}\n").into_bytes();
            let content: Vec<u8> = text.into_iter().cycle().take(*size).collect();
            fs::write(&path, content)?;
        }
        Kind::Text(text) => fs::write(&path, text)?,
        Kind::Link(target) => {
            _ = fs::remove_file(&path);
            symlink(target, &path)?;
        }
        Kind::Hard(target) => {
            _ = fs::remove_file(&path);
            fs::hard_link(dir.join(target), &path)?;
        }
        Kind::Fifo => mknodat(rustix::fs::CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o644), 0)?,
    }
    for (name, value) in &entry.xattrs {
        lsetxattr(&path, name.as_str(), value.as_bytes(), XattrFlags::empty())?;
    }
    if matches!(entry.kind, Kind::Hard(_)) {
        return Ok(());
    }
    if entry.owner != (0, 0) {
        lchown(&path, Some(entry.owner.0), Some(entry.owner.1))?;
    }
    if !matches!(entry.kind, Kind::Link(_)) {
        fs::set_permissions(&path, fs::Permissions::from_mode(entry.mode))?;
    }
    Ok(())
}
