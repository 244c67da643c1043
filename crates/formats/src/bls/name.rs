// SPDX-License-Identifier: MIT OR Apache-2.0
//! The file name of an entry: its id, and the boot counters of automatic boot assessment.
//! <https://systemd.io/AUTOMATIC_BOOT_ASSESSMENT/>

use std::fmt;
use std::str::FromStr;

/// `ID.conf`, `ID+LEFT.conf` or `ID+LEFT-DONE.conf`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EntryName {
    /// The name without counters and `.conf`: what stays the same while a loader counts.
    pub id: String,
    /// The counters, if boots of this entry are counted.
    pub tries: Option<Tries>,
}

/// The counters of an entry; `done` is written only when it is not zero, as systemd does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tries {
    /// Boots that are still allowed.
    pub left: u32,
    /// Boots that were tried and not blessed.
    pub done: u32,
}

/// A file in `entries/` that no loader reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the name of a boot entry (it must end in .conf)")]
pub struct NameError(pub String);

impl FromStr for EntryName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let stem = text.strip_suffix(".conf").filter(|stem| !stem.is_empty() && !stem.contains('/'));
        let stem = stem.ok_or_else(|| NameError(text.to_owned()))?;
        let counted = stem.rsplit_once('+').and_then(|(id, counters)| Some((id, Tries::parse(counters)?)));
        Ok(match counted {
            Some((id, tries)) if !id.is_empty() => Self { id: id.to_owned(), tries: Some(tries) },
            _ => Self { id: stem.to_owned(), tries: None },
        })
    }
}

impl Tries {
    fn parse(text: &str) -> Option<Self> {
        let number = |digits: &str| digits.parse::<u32>().ok().filter(|_| !digits.starts_with('+'));
        let (left, done) = text.split_once('-').unwrap_or((text, "0"));
        Some(Self { left: number(left)?, done: number(done)? })
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tries {
            None => write!(f, "{}.conf", self.id),
            Some(Tries { left, done: 0 }) => write!(f, "{}+{left}.conf", self.id),
            Some(Tries { left, done }) => write!(f, "{}+{left}-{done}.conf", self.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_not_part_of_the_id() {
        for (text, id, tries) in [
            ("ostree-2.conf", "ostree-2", None),
            ("ostree-2+3.conf", "ostree-2", Some((3, 0))),
            ("ostree-2+2-1.conf", "ostree-2", Some((2, 1))),
            ("a+b+0-3.conf", "a+b", Some((0, 3))),
            ("a+b.conf", "a+b", None),
            ("a+1-x.conf", "a+1-x", None),
            ("a++1.conf", "a+", Some((1, 0))),
            ("+1.conf", "+1", None),
        ] {
            let name: EntryName = text.parse().unwrap();
            let tries = tries.map(|(left, done)| Tries { left, done });
            assert_eq!(name, EntryName { id: id.to_owned(), tries }, "{text}");
            assert_eq!(name.to_string(), text);
        }
    }

    #[test]
    fn other_files_are_no_entries() {
        for text in ["", ".conf", "ostree-2.conf.new", "a/b.conf", "README"] {
            assert!(text.parse::<EntryName>().is_err(), "{text}");
        }
    }
}
