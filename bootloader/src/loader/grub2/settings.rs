// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which settings of a script count: its variables, those that `load_env` takes from GRUB's environment block, and conditions that
//! depend on nothing else. What depends on the machine is not decided: then both ways count, and the last setting wins.

use std::collections::BTreeMap;

use crate::loader::beside::Beside;

/// Variables that are empty until somebody sets them; of any other one it is not known what the machine has set.
const OURS: [&str; 5] = ["boot_once", "default", "next_entry", "prev_saved_entry", "saved_entry"];

/// The state of a script that is being read.
pub(super) struct Settings<'a> {
    beside: &'a Beside,
    /// `None`: set to something that depends on the machine.
    variables: BTreeMap<String, Option<Value>>,
    branches: Vec<Branch>,
}

/// The value of a variable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) text: String,
    /// The variable in the environment block that it is the value of.
    pub(super) from: Option<String>,
}

/// An open `if`; `None` is undecided.
struct Branch {
    /// Whether one of its branches so far was the one.
    taken: Option<bool>,
    /// Whether this one is.
    now: Option<bool>,
}

impl<'a> Settings<'a> {
    pub(super) fn new(beside: &'a Beside) -> Self {
        Self { beside, variables: BTreeMap::new(), branches: Vec::new() }
    }

    /// The value of a variable, as far as it is known.
    pub(super) fn get(&self, name: &str) -> Option<Value> {
        match self.variables.get(name) {
            Some(value) => value.clone(),
            None => OURS.contains(&name).then(Value::default),
        }
    }

    /// Takes `if` and what belongs to it from a command; gives what is left of that.
    pub(super) fn control<'w>(&mut self, words: &'w [&'w str]) -> &'w [&'w str] {
        match words {
            ["if", condition @ ..] => {
                let now = self.condition(condition);
                self.branches.push(Branch { taken: now, now });
                &[]
            }
            ["elif", condition @ ..] => {
                let condition = self.condition(condition);
                self.next_branch(condition);
                &[]
            }
            ["else", rest @ ..] => {
                self.next_branch(Some(true));
                self.control(rest)
            }
            ["fi", ..] => {
                self.branches.pop();
                &[]
            }
            ["then" | "do", rest @ ..] => self.control(rest),
            words => words,
        }
    }

    fn next_branch(&mut self, condition: Option<bool>) {
        if let Some(branch) = self.branches.last_mut() {
            branch.now = and(branch.taken.map(|taken| !taken), condition);
            branch.taken = or(branch.taken, condition);
        }
    }

    /// Whether a command is not run.
    pub(super) fn is_passed_over(&self) -> bool {
        self.branches.iter().any(|branch| branch.now == Some(false))
    }

    /// Does what a command does to variables.
    pub(super) fn run(&mut self, words: &[&str]) {
        match words {
            _ if self.is_passed_over() => {}
            ["set", setting] | ["set", "--", setting] => self.set(setting),
            ["unset", names @ ..] => {
                for name in names {
                    self.variables.insert((*name).to_owned(), Some(Value::default()));
                }
            }
            ["load_env", arguments @ ..] => self.load(arguments),
            [setting] if setting.contains('=') => self.set(setting),
            _ => {}
        }
    }

    fn set(&mut self, setting: &str) {
        let Some((name, value)) = setting.split_once('=') else { return };
        let value = self.expand(value);
        // A default that cannot be told leaves the one before it.
        if value.is_some() || name != "default" {
            self.variables.insert(name.to_owned(), value);
        }
    }

    /// `load_env [--skip-sig] [-f FILE] [NAME]…`
    fn load(&mut self, arguments: &[&str]) {
        let mut names = Vec::new();
        let mut arguments = arguments.iter();
        while let Some(&argument) = arguments.next() {
            match argument {
                "-f" | "--file" => match arguments.next() {
                    Some(file) if file.ends_with("/grubenv") => {}
                    _ => return,
                },
                _ if argument.starts_with('-') => {}
                name => names.push(name),
            }
        }
        for (name, text) in self.beside.environment.iter().flat_map(|environment| environment.iter()) {
            if names.is_empty() || names.contains(&name) {
                let value = Value { text: text.to_owned(), from: Some(name.to_owned()) };
                self.variables.insert(name.to_owned(), Some(value));
            }
        }
    }

    /// Whether a condition holds, if that can be told.
    fn condition(&self, words: &[&str]) -> Option<bool> {
        match words {
            ["!", rest @ ..] => self.condition(rest).map(|holds| !holds),
            ["[", inner @ .., "]"] | ["test", inner @ ..] => self.test(inner),
            _ => None,
        }
    }

    fn test(&self, words: &[&str]) -> Option<bool> {
        let text = |word: &str| self.expand(word).map(|value| value.text);
        match words {
            ["!", rest @ ..] => self.test(rest).map(|holds| !holds),
            ["-n", word] | [word] => text(word).map(|text| !text.is_empty()),
            ["-z", word] => text(word).map(|text| text.is_empty()),
            ["-s" | "-f" | "-e", path] if path.ends_with("/grubenv") => {
                Some(self.beside.environment.is_some())
            }
            ["-s" | "-f" | "-e", path] if path.ends_with("/custom.cfg") => Some(self.beside.custom.is_some()),
            [left, "=" | "==", right] => Some(text(left)? == text(right)?),
            [left, "!=", right] => Some(text(left)? != text(right)?),
            _ => None,
        }
    }

    /// A word with the values of its variables; `None` if one is not known.
    fn expand(&self, word: &str) -> Option<Value> {
        let Some((before, after)) = word.split_once('$') else {
            return Some(Value { text: word.to_owned(), from: None });
        };
        let (name, rest) = match after.strip_prefix('{') {
            Some(braced) => braced.split_once('}')?,
            None => {
                let end = after.find(|c: char| c != '_' && !c.is_ascii_alphanumeric());
                after.split_at(end.unwrap_or(after.len()))
            }
        };
        let value = self.get(name)?;
        if before.is_empty() && rest.is_empty() {
            return Some(value);
        }
        let text = format!("{before}{}{}", value.text, self.expand(rest)?.text);
        Some(Value { text, from: None })
    }
}

fn and(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (a, b) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

fn or(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    and(a.map(|a| !a), b.map(|b| !b)).map(|neither| !neither)
}
