// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernel arguments: an ordered multi-map in the kernel's own quoting.
//!
//! The kernel (`next_arg` in `lib/cmdline.c`) splits at blanks outside double quotes, takes the first `=` as the
//! end of the key, and drops quotes around the whole argument or around the value. Arguments are kept here as
//! they were written, so that a command line that is not edited is not changed.

use std::fmt;

/// The arguments of one boot, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KernelArgs {
    args: Vec<String>,
}

/// An edit that does not fit the arguments that are there. The words are those of the C tools.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// No argument with this key.
    #[error("No key '{0}' found")]
    NoKey(String),
    /// No argument with this key and this value.
    #[error("No karg '{0}' found")]
    NoArg(String),
    /// The key alone does not say which of its values is meant.
    #[error("Multiple values for key '{0}' found")]
    Ambiguous(String),
}

impl KernelArgs {
    /// Splits a command line. Anything is a command line: a quote that is never closed ends with the line.
    pub fn parse(line: &str) -> Self {
        let mut quoted = false;
        let words = line.split(|c: char| {
            quoted ^= c == '"';
            c.is_ascii_whitespace() && !quoted
        });
        Self { args: words.filter(|word| !word.is_empty()).map(str::to_owned).collect() }
    }

    /// The arguments as they were written.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.args.iter().map(String::as_str)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.args.is_empty()
    }

    /// The first value of a key without its quotes; `Some(None)` for a key that stands alone.
    pub fn first(&self, key: &str) -> Option<Option<&str>> {
        self.values(key).next()
    }

    /// The last value of a key without its quotes: the one that counts for most parameters of the kernel.
    pub fn last(&self, key: &str) -> Option<Option<&str>> {
        self.values(key).next_back()
    }

    /// All values of a key without their quotes; `None` where the key stands alone.
    pub fn values(&self, key: &str) -> impl DoubleEndedIterator<Item = Option<&str>> {
        self.iter().map(split).filter(move |(k, _)| *k == key).map(|(_, value)| value)
    }

    /// Whether this very argument, quotes aside, is there.
    pub fn contains(&self, arg: &str) -> bool {
        self.iter().any(|a| split(a) == split(arg))
    }

    /// Adds an argument (or several in one text) at the end.
    pub fn append(&mut self, args: &str) {
        self.args.extend(Self::parse(args).args);
    }

    /// Adds an argument at the end unless this key with this value is there.
    pub fn append_if_missing(&mut self, arg: &str) {
        if !self.contains(arg) {
            self.append(arg);
        }
    }

    /// Drops all arguments with the key of `arg` and adds `arg` at the end, as `deploy --karg` does.
    pub fn set(&mut self, arg: &str) {
        self.remove_key(split(arg).0);
        self.append(arg);
    }

    /// Drops all arguments with this key; says whether there were any.
    pub fn remove_key(&mut self, key: &str) -> bool {
        let before = self.args.len();
        self.args.retain(|arg| split(arg).0 != key);
        self.args.len() != before
    }

    /// Replaces in place: `key=new` the only value of a key, `key=old=new` one of several.
    pub fn replace(&mut self, arg: &str) -> Result<(), EditError> {
        let (key, value) = split(arg);
        let places = self.places_of(key)?;
        if let Some((old, new)) = value.and_then(|v| v.split_once('=')) {
            let at = places.into_iter().find(|&i| split(&self.args[i]).1 == Some(old));
            let at = at.ok_or_else(|| EditError::NoArg(format!("{key}={old}")))?;
            self.args[at] = format!("{key}={new}");
        } else if let [at] = places[..] {
            self.args[at] = arg.to_owned();
        } else {
            return Err(EditError::Ambiguous(key.to_owned()));
        }
        Ok(())
    }

    /// Removes `key=value`, or `key` where it has one value or stands alone.
    pub fn delete(&mut self, arg: &str) -> Result<(), EditError> {
        let (key, value) = split(arg);
        let places = self.places_of(key)?;
        let exact = places.iter().find(|&&i| split(&self.args[i]).1 == value);
        let at = match (exact, value, &places[..]) {
            (Some(&at), ..) => at,
            (None, None, &[only]) => only,
            (None, None, _) => return Err(EditError::Ambiguous(key.to_owned())),
            (None, Some(_), _) => return Err(EditError::NoArg(arg.to_owned())),
        };
        self.args.remove(at);
        Ok(())
    }

    /// Drops this very argument, quotes aside, wherever it stands; says whether it was there.
    pub fn delete_exactly(&mut self, arg: &str) -> bool {
        let before = self.args.len();
        self.args.retain(|present| split(present) != split(arg));
        self.args.len() != before
    }

    /// As [`Self::delete`], but an argument that is not there is no error.
    pub fn delete_if_present(&mut self, arg: &str) -> Result<(), EditError> {
        match self.delete(arg) {
            Err(EditError::NoKey(_) | EditError::NoArg(_)) => Ok(()),
            other => other,
        }
    }

    /// What is different in `after`: `-ARG` for each that is gone, `+ARG` for each that is new, a line each. `ostree=` is
    /// left out, since it belongs to the boot entry.
    pub fn diff(&self, after: &Self) -> String {
        let only_in = |here: &Self, there: &Self, sign: char| -> String {
            let mut left: Vec<&str> = there.iter().collect();
            let mut lines = String::new();
            for arg in here.iter().filter(|arg| split(arg).0 != "ostree") {
                match left.iter().position(|other| split(other) == split(arg)) {
                    Some(at) => drop(left.swap_remove(at)),
                    None => lines.push_str(&format!("{sign}{arg}\n")),
                }
            }
            lines
        };
        only_in(self, after, '-') + &only_in(after, self, '+')
    }

    /// Where the arguments with this key stand; none is an error.
    fn places_of(&self, key: &str) -> Result<Vec<usize>, EditError> {
        let has_key = |(i, arg): (usize, &String)| (split(arg).0 == key).then_some(i);
        let places: Vec<usize> = self.args.iter().enumerate().filter_map(has_key).collect();
        if places.is_empty() { Err(EditError::NoKey(key.to_owned())) } else { Ok(places) }
    }
}

impl fmt::Display for KernelArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, arg) in self.args.iter().enumerate() {
            write!(f, "{}{arg}", if index == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

/// Key and value of an argument, without the quotes that the kernel drops.
fn split(arg: &str) -> (&str, Option<&str>) {
    let arg = arg.strip_prefix('"').map_or(arg, |inner| inner.strip_suffix('"').unwrap_or(inner));
    match arg.split_once('=') {
        None => (arg, None),
        Some((key, value)) => {
            let value =
                value.strip_prefix('"').map_or(value, |inner| inner.strip_suffix('"').unwrap_or(inner));
            (key, Some(value))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn args(line: &str) -> KernelArgs {
        KernelArgs::parse(line)
    }

    #[test]
    fn quotes_are_the_kernels() {
        let line = args("a  b=1 c=\"x y\" \"d=p q\" e=f=g \"lone h\" i=\"open j");
        assert_eq!(line.iter().count(), 7);
        for (key, value) in [
            ("a", Some(None)),
            ("b", Some(Some("1"))),
            ("c", Some(Some("x y"))),
            ("d", Some(Some("p q"))),
            ("e", Some(Some("f=g"))),
            ("lone h", Some(None)),
            ("i", Some(Some("open j"))),
            ("j", None),
        ] {
            assert_eq!(line.first(key), value, "{key}");
        }
        assert_eq!(args("ostree=/1 ostree=/2").first("ostree"), Some(Some("/1")));
        assert_eq!(args("ostree=/1 ostree=/2").last("ostree"), Some(Some("/2")));
    }

    #[test]
    fn what_is_different() {
        for (before, after, expected) in [
            ("", "", ""),
            ("a b=1 ostree=/x", "b=1 ostree=/y a", ""),
            ("a b=1", "b=2 c", "-a\n-b=1\n+b=2\n+c\n"),
            ("a a", "a", "-a\n"),
            ("a=\"x\"", "a=x", ""),
        ] {
            assert_eq!(args(before).diff(&args(after)), expected, "{before:?} {after:?}");
        }
    }

    #[test]
    fn edits() {
        type Edit = fn(&mut KernelArgs) -> Result<(), EditError>;
        let no_key = |key: &str| Err(EditError::NoKey(key.to_owned()));
        let no_arg = |arg: &str| Err(EditError::NoArg(arg.to_owned()));
        let ambiguous = |key: &str| Err(EditError::Ambiguous(key.to_owned()));
        let cases: [(&str, Edit, Result<&str, EditError>); 17] = [
            (
                "a",
                |k| {
                    k.append("b=1 c");
                    Ok(())
                },
                Ok("a b=1 c"),
            ),
            (
                "a b=1",
                |k| {
                    k.append_if_missing("b=\"1\"");
                    Ok(())
                },
                Ok("a b=1"),
            ),
            (
                "a b=1",
                |k| {
                    k.append_if_missing("b=2");
                    Ok(())
                },
                Ok("a b=1 b=2"),
            ),
            (
                "a=1 b a=2",
                |k| {
                    k.set("a=3");
                    Ok(())
                },
                Ok("b a=3"),
            ),
            (
                "b",
                |k| {
                    k.set("a=3");
                    Ok(())
                },
                Ok("b a=3"),
            ),
            ("a=1 b", |k| k.replace("a=2"), Ok("a=2 b")),
            ("a=1 a=2", |k| k.replace("a=2=3"), Ok("a=1 a=3")),
            ("a=1 a=2", |k| k.replace("a=3"), ambiguous("a")),
            ("a=1", |k| k.replace("a=2=3"), no_arg("a=2")),
            ("a=1", |k| k.replace("b=2"), no_key("b")),
            ("a=1 b", |k| k.delete("a"), Ok("b")),
            ("a=1 a=2", |k| k.delete("a=2"), Ok("a=1")),
            ("a=1 a a=2", |k| k.delete("a"), Ok("a=1 a=2")),
            ("a=1 a=2", |k| k.delete("a"), ambiguous("a")),
            ("a=1", |k| k.delete("a=2"), no_arg("a=2")),
            ("a=1", |k| k.delete("b"), no_key("b")),
            ("a=1", |k| k.delete_if_present("b"), Ok("a=1")),
        ];
        for (before, edit, expected) in cases {
            let mut line = args(before);
            let result = edit(&mut line).map(|()| line.to_string());
            assert_eq!(result, expected.map(str::to_owned), "{before}");
        }
    }

    proptest! {
        #[test]
        fn display_reads_again(line in "[ab=\" \t]{0,24}") {
            let once = args(&line);
            prop_assert_eq!(args(&once.to_string()), once);
        }
    }
}
