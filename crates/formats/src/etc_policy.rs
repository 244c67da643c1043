// SPDX-License-Identifier: MIT OR Apache-2.0
//! Policies for the merge of `/etc`: whose side is taken where an administrator and an update have both changed something.
//!
//! A drop-in has a policy and a pattern in each line:
//!
//! ```text
//! # what we ship and nobody should edit
//! take-new   /etc/vendor.d
//! keep-both  /etc/ssh/*_config
//! fail       /etc/pam.d/**/login
//! ```
//!
//! In a pattern `*` stands for any characters of one name, `?` for one of them, and `**` for any number of directories. What
//! is in a directory that a pattern names is meant as well. The last line that fits counts.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};
use std::str::FromStr;

/// The side that wins where both have changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Policy {
    /// The local side stays.
    #[default]
    KeepLocal,
    /// The new default is taken.
    TakeNew,
    /// The local side stays, and the new default is put beside it as `NAME.new`.
    KeepBoth,
    /// There is to be no such deployment.
    Fail,
}

impl Policy {
    const ALL: [Self; 4] = [Self::KeepLocal, Self::TakeNew, Self::KeepBoth, Self::Fail];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::KeepLocal => "keep-local",
            Self::TakeNew => "take-new",
            Self::KeepBoth => "keep-both",
            Self::Fail => "fail",
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Policy {
    type Err = Mistake;

    fn from_str(word: &str) -> Result<Self, Mistake> {
        Self::ALL.into_iter().find(|policy| policy.word() == word).ok_or(Mistake::Policy(word.to_owned()))
    }
}

/// Which paths a policy is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// The names below `/etc`.
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// `**`
    AnyNumber,
    /// One name.
    Name(Vec<char>),
}

/// The mistakes that a line may have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// The first word.
    #[error("{0:?} is none of keep-local, take-new, keep-both, fail")]
    Policy(String),
    /// There is only one word.
    #[error("there is no pattern after the policy")]
    NoPattern,
    /// The pattern is for something else.
    #[error("{0:?} is not /etc, nor a path below it")]
    NotInEtc(String),
    /// It can fit nothing.
    #[error("{0:?} has an empty name, . or .. in it")]
    NoName(String),
    /// Kept for later.
    #[error("{0:?} has {1} in it, which means nothing here: use * or ?")]
    Reserved(String, char),
    /// `**` and more.
    #[error("{0:?} has ** beside other characters: it stands for whole directories")]
    PartialAnyNumber(String),
}

/// A mistake in a drop-in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {mistake}")]
pub struct PolicyError {
    /// From 1.
    pub line: usize,
    /// The mistake in it.
    pub mistake: Mistake,
}

impl FromStr for Pattern {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        let given = || text.to_owned();
        let inside = match text.strip_prefix("/etc") {
            Some("" | "/") => return Ok(Self { parts: Vec::new() }),
            Some(rest) => rest.strip_prefix('/').ok_or_else(|| Mistake::NotInEtc(given()))?,
            None => return Err(Mistake::NotInEtc(given())),
        };
        let part = |name: &str| match name {
            "" | "." | ".." => Err(Mistake::NoName(given())),
            "**" => Ok(Part::AnyNumber),
            _ if name.contains("**") => Err(Mistake::PartialAnyNumber(given())),
            _ => match name.chars().find(|c| "[]{}\\".contains(*c)) {
                Some(reserved) => Err(Mistake::Reserved(given(), reserved)),
                None => Ok(Part::Name(name.chars().collect())),
            },
        };
        let parts =
            inside.strip_suffix('/').unwrap_or(inside).split('/').map(part).collect::<Result<_, _>>()?;
        Ok(Self { parts })
    }
}

impl Pattern {
    /// Whether it fits `path`, which is relative to `/etc`, or a directory that it lies in.
    pub fn fits(&self, path: &Path) -> bool {
        let names: Vec<Vec<char>> = path
            .components()
            .filter_map(|part| match part {
                // A name that is no text is matched by wildcards alone.
                Component::Normal(name) => Some(String::from_utf8_lossy(name.as_bytes()).chars().collect()),
                _ => None,
            })
            .collect();
        let below = [Part::AnyNumber];
        let parts: Vec<&Part> = self.parts.iter().chain(&below).collect();
        fits(
            &parts,
            &names,
            |part| **part == Part::AnyNumber,
            |part, name| match part {
                Part::AnyNumber => false,
                Part::Name(pattern) => fits(pattern, name, |c| *c == '*', |p, c| *p == '?' || p == c),
            },
        )
    }
}

/// Whether a pattern fits a text, both in parts: one that `is_any` says fits any number of parts, every other one a part for
/// which `one` holds. Takes at most the product of both lengths.
fn fits<P, T>(pattern: &[P], text: &[T], is_any: impl Fn(&P) -> bool, one: impl Fn(&P, &T) -> bool) -> bool {
    let (mut p, mut t) = (0, 0);
    // The last part for any number, and how much of the text was left to what follows it.
    let mut again = None;
    loop {
        match (pattern.get(p), text.get(t)) {
            (Some(part), _) if is_any(part) => {
                p += 1;
                again = Some((p, t));
            }
            (Some(part), Some(element)) if one(part, element) => (p, t) = (p + 1, t + 1),
            (None, None) => return true,
            _ => match again {
                Some((after, taken)) if taken < text.len() => {
                    again = Some((after, taken + 1));
                    (p, t) = (after, taken + 1);
                }
                _ => return false,
            },
        }
    }
}

/// A line of a drop-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Which paths it is for.
    pub pattern: Pattern,
    /// The policy for these paths.
    pub policy: Policy,
}

/// Reads a drop-in.
///
/// # Errors
///
/// The first line that is neither empty nor a comment nor a rule.
pub fn parse(text: &str) -> Result<Vec<Rule>, PolicyError> {
    let mut rules = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        rules.push(line.parse().map_err(|mistake| PolicyError { line: index + 1, mistake })?);
    }
    Ok(rules)
}

impl FromStr for Rule {
    type Err = Mistake;

    fn from_str(line: &str) -> Result<Self, Mistake> {
        let (policy, pattern) = line.split_once(char::is_whitespace).ok_or(Mistake::NoPattern)?;
        Ok(Self { policy: policy.parse()?, pattern: pattern.trim().parse()? })
    }
}

/// All rules that count, the strongest last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policies {
    rules: Vec<Rule>,
}

impl Policies {
    /// Of drop-ins, the strongest last.
    pub fn new(drop_ins: impl IntoIterator<Item = Vec<Rule>>) -> Self {
        Self { rules: drop_ins.into_iter().flatten().collect() }
    }

    /// The policy for `path`, relative to `/etc`.
    pub fn of(&self, path: &Path) -> Policy {
        let fitting = self.rules.iter().rev().find(|rule| rule.pattern.fits(path));
        fitting.map(|rule| rule.policy).unwrap_or_default()
    }

    /// Whether there is a path at all that is not to be deployed.
    pub fn may_fail(&self) -> bool {
        self.rules.iter().any(|rule| rule.policy == Policy::Fail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_patterns_fit() {
        for (pattern, fitting, others) in [
            ("/etc", &["a", "a/b"][..], &[][..]),
            ("/etc/**", &["a", "a/b"], &[]),
            ("/etc/a", &["a", "a/b", "a/b/c"], &["b", "aa", "b/a"]),
            ("/etc/a/", &["a", "a/b"], &["b"]),
            ("/etc/*.conf", &["x.conf", ".conf", "x.conf/below"], &["x.conf.new", "d/x.conf"]),
            ("/etc/**/login", &["login", "a/login", "a/b/login", "login/x"], &["a/login.new"]),
            ("/etc/a/**/b/*", &["a/b/x", "a/x/y/b/z", "a/b/b/b"], &["a/b", "b/x"]),
            ("/etc/a?c", &["abc", "aäc"], &["ac", "abbc"]),
            ("/etc/*a*b*", &["ab", "xaybz", "aab"], &["ba", "a", "b"]),
            ("/etc/two words", &["two words"], &["two"]),
        ] {
            let parsed: Pattern = pattern.parse().unwrap();
            for path in fitting {
                assert!(parsed.fits(Path::new(path)), "{pattern} {path}");
            }
            for path in others {
                assert!(!parsed.fits(Path::new(path)), "{pattern} {path}");
            }
        }
    }

    #[test]
    fn the_last_rule_that_fits_counts() {
        let vendor = parse("# vendor\n\nfail /etc/ssh\n  keep-both\t/etc/ssh/*_config  \n").unwrap();
        let admin = parse("take-new /etc/ssh/ssh_config\n").unwrap();
        let policies = Policies::new([vendor, admin]);
        for (path, policy) in [
            ("ssh/moduli", Policy::Fail),
            ("ssh/sshd_config", Policy::KeepBoth),
            ("ssh/ssh_config", Policy::TakeNew),
            ("passwd", Policy::KeepLocal),
        ] {
            assert_eq!(policies.of(Path::new(path)), policy, "{path}");
        }
        assert!(policies.may_fail());
    }

    #[test]
    fn a_mistake_is_told_with_its_line() {
        for (text, line, message) in [
            ("keep /etc/a", 1, "\"keep\" is none of keep-local"),
            ("\n#\nfail", 3, "no pattern"),
            ("fail /usr/etc/a", 1, "not /etc"),
            ("fail etc/a", 1, "not /etc"),
            ("fail /etca", 1, "not /etc"),
            ("fail /etc//a", 1, "empty name"),
            ("fail /etc/../a", 1, "empty name"),
            ("fail /etc/[ab]", 1, "has [ in it"),
            ("fail /etc/a**", 1, "has ** beside"),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.line, line, "{text}");
            assert!(error.to_string().contains(message), "{error}");
        }
    }

    /// Each star doubles the work of a matcher that tries everything.
    #[test]
    fn many_stars_take_no_time() {
        let pattern: Pattern = format!("/etc/{}b", "*a".repeat(2000)).parse().unwrap();
        assert!(!pattern.fits(Path::new(&"a".repeat(200))));
        let pattern: Pattern = format!("/etc/{}b", "**/a/".repeat(2000)).parse().unwrap();
        assert!(!pattern.fits(Path::new(&"a/".repeat(200))));
    }
}
