// SPDX-License-Identifier: MIT OR Apache-2.0
//! The steps of a printed plan, and the changes that each of them announces.

use std::fmt;

use serde_json::Value;

use super::change::{Change, Effect};

const REPO: &str = "/ostree/repo";
/// A tree that a removal may leave for the next check-out.
const CACHE: &str = "/ostree/repo/tmp/retired-tree";

/// A step as it is printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its name.
    pub kind: String,
    /// The path that it names, if it does.
    pub path: String,
    /// The path that it takes from, where something is renamed.
    pub from: Option<String>,
    /// The program that it runs.
    pub command: String,
}

/// A plan, as far as it is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Printed {
    /// The steps of the command itself.
    pub steps: Vec<Step>,
    /// The steps that wait for the shutdown.
    pub at_shutdown: Vec<Step>,
}

/// Reads the output of `--dry-run --json`; `None` if that is no plan.
pub fn read(text: &str) -> Option<Printed> {
    // Warnings come before it, on the other output.
    let plan: Value = serde_json::from_str(text.get(text.find('{')?..)?).ok()?;
    let steps = |key: &str| plan.get(key)?.as_array()?.iter().map(Step::read).collect::<Option<Vec<_>>>();
    Some(Printed { steps: steps("steps")?, at_shutdown: steps("at-shutdown").unwrap_or_default() })
}

impl Step {
    fn read(value: &Value) -> Option<Self> {
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        let kind = text("step")?.to_owned();
        let path = match (text("name"), text("path"), text("to")) {
            (Some(name), ..) => reference(name),
            // In the plan of a repository.
            (_, Some(path), _) if !path.starts_with('/') => format!("{REPO}/{path}"),
            (_, Some(path), _) | (.., Some(path)) => path.to_owned(),
            _ => String::new(),
        };
        let from = text("from").filter(|_| kind == "rename").map(str::to_owned);
        Some(Self { kind, path, from, command: text("command").unwrap_or_default().to_owned() })
    }

    /// How closely this step announces a change: the length of the path that it names; `None` if it does not.
    ///
    /// The path itself is announced by each step that names it. What is below it only by one that makes or removes the whole
    /// directory.
    pub fn announces(&self, change: &Change) -> Option<usize> {
        if self.kind == "run" {
            let program = self.command.split(' ').next().and_then(|program| program.rsplit('/').next());
            let is_its = |path: &str| path.rsplit('/').next() == program;
            let by = change.program.as_deref().is_some_and(is_its);
            return (by || change.effect == Effect::Run && is_its(&change.path)).then_some(usize::MAX);
        }
        if change.program.is_some() {
            return None;
        }
        let path = &change.path;
        let is_at = *path == self.path || self.from.as_ref() == Some(path) || self.is_aside(change);
        let is_below = is_below(path, &self.path);
        let length = if is_at { Some(path.len()) } else { Some(self.path.len()) };
        let when = |holds: bool| length.filter(|_| holds);
        match (self.kind.as_str(), change.effect) {
            ("prove", Effect::Settle) => Some(0),
            // A loader's first file may be in a directory that is a file system of its own.
            ("switch", Effect::Settle) => {
                let (dir, _) = self.path.rsplit_once('/')?;
                (dir != "/boot" && dir == path.as_str()).then_some(0)
            }
            (_, Effect::Settle | Effect::Mount | Effect::Run) => None,
            // With the directories that it needs.
            ("set-ref" | "set-alias", Effect::Make) => when(is_at || is_parent_of_ref(path, &self.path)),
            // The time of the repository tells those who watch it.
            ("set-ref" | "set-alias" | "delete-ref", Effect::Modify) if path == REPO => Some(0),
            ("set-ref", Effect::Modify) => when(is_at),
            ("delete-ref", Effect::Remove) => when(is_at || is_parent_of_ref(path, &self.path)),
            // It begins with the checkout cache.
            ("check-out", _) if is_at_or_below(path, CACHE) => Some(CACHE.len()),
            // The tree of a commit has no `/etc`: that is a step of its own.
            ("check-out", _) => {
                when((is_at || is_below) && !is_at_or_below(path, &format!("{}/etc", self.path)))
            }
            // The copy makes the directory in which the merge works.
            ("merge-etc", Effect::Make) => when(is_below),
            (
                "copy-etc" | "merge-etc" | "refresh-policy" | "fill-var" | "fill-reserve"
                | "remake-directory" | "make-stateroot",
                _,
            ) => when(is_at || is_below),
            ("label", Effect::Modify) => when((is_at || is_below) && change.call.contains("xattr")),
            ("seal", Effect::Modify) => when(is_at && change.call == "ioctl"),
            ("notify", Effect::Modify) => when(is_at && change.call == "utimensat"),
            ("make-directory", Effect::Make | Effect::Modify) => when(is_at),
            // It may have to become writable before it can go.
            ("remove", Effect::Remove | Effect::Modify) => when(is_at || is_below),
            ("remove", Effect::Make) if self.path.contains("/deploy/") => {
                (path == CACHE).then_some(CACHE.len())
            }
            ("forget", Effect::Remove) => when(is_at),
            ("write" | "copy" | "link" | "switch" | "rename" | "record", _) => when(is_at),
            ("trim-cache", Effect::Remove | Effect::Modify) => {
                is_at_or_below(path, CACHE).then_some(CACHE.len())
            }
            ("write-objects", _) if ["objects", "tmp"].iter().any(|dir| is_in_repo(path, dir)) => {
                Some(CACHE.len())
            }
            // The mark of a commit that was partial.
            ("write-objects", Effect::Remove) => is_in_repo(path, "state").then_some(CACHE.len()),
            ("prune" | "remove-objects", Effect::Remove | Effect::Modify) => {
                let of_objects = ["objects", "tmp", "state", "deltas", "extensions"];
                let is_object = of_objects.iter().any(|dir| is_in_repo(path, dir));
                is_object.then_some(CACHE.len())
            }
            _ => None,
        }
    }

    /// Whether a name is that under which this step puts the old one aside.
    fn is_aside(&self, change: &Change) -> bool {
        let path = change.path.as_str();
        let Some((dir, name)) = self.path.rsplit_once('/') else { return false };
        let exchanges = ["switch", "write", "remake-directory"].contains(&self.kind.as_str());
        // The new link is a step of its own until the two are exchanged.
        let is_exchanged = change.effect != Effect::Make;
        let is_loader = self.path == "/boot/loader" && path == "/boot/loader.tmp" && is_exchanged;
        exchanges && (is_loader || path == format!("{dir}/.ostree-aside-{name}"))
    }

    /// Whether it may find nothing to do: the plan says so of such steps.
    pub fn is_conditional(&self) -> bool {
        [
            "prove",
            "sync",
            "verify",
            "fill-var",
            "merge-etc",
            "prune",
            "remove-objects",
            "forget",
            "record",
            "refresh-policy",
            "label",
            "seal",
            "trim-cache",
        ]
        .contains(&self.kind.as_str())
    }
}

/// The file of a ref.
fn reference(name: &str) -> String {
    match name.split_once(':') {
        Some((remote, name)) => format!("{REPO}/refs/remotes/{remote}/{name}"),
        None => format!("{REPO}/refs/heads/{name}"),
    }
}

fn is_below(path: &str, top: &str) -> bool {
    path.strip_prefix(top).is_some_and(|rest| rest.starts_with('/'))
}

fn is_at_or_below(path: &str, top: &str) -> bool {
    path == top || is_below(path, top)
}

fn is_in_repo(path: &str, dir: &str) -> bool {
    is_at_or_below(path, &format!("{REPO}/{dir}"))
}

/// Whether a directory is one between `refs` and a ref.
fn is_parent_of_ref(path: &str, of: &str) -> bool {
    is_below(of, path) && is_below(path, "/ostree/repo/refs")
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str([&self.kind, &self.path, &self.command].map(String::as_str).join(" ").trim_end())
    }
}
