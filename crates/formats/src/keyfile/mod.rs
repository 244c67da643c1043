// SPDX-License-Identifier: MIT OR Apache-2.0
//! Key files: repository configs, origins, remotes, `prepare-root.conf`.
//!
//! The grammar is GLib's `GKeyFile`, since that is what wrote the files that we meet: groups of the same name
//! are one group, the last of two equal keys wins, `#` starts a comment only at the start of a line, `;` never
//! does, blanks around `=` are dropped and blanks at the end of a value are kept. Unlike `GKeyFile`, a file
//! that is read and written again keeps its comments, its order and its blank lines.
//!
//! ```text
//! # comment
//! [group "with any name"]
//! key=value with \s \n \t \r \\ escapes
//! list=one;two;
//! flag=true
//! ```

mod value;

#[cfg(feature = "typed")]
pub mod typed;

use std::fmt;

pub use value::ValueError;

/// A key file, line by line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keyfile {
    lines: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Line {
    /// A comment or an empty line, as it was.
    Other(String),
    /// A group header; `text` is the line as it was.
    Group { name: String, text: String },
    /// A key and its raw value; `text` is the line as it was.
    Item { key: String, value: String, text: String },
}

/// A line that is no comment, no group and no `key=value`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {kind}: {text:?}")]
pub struct KeyfileError {
    /// Counted from 1.
    pub line: usize,
    /// The mistake in it.
    pub kind: KeyfileErrorKind,
    /// The line.
    pub text: String,
}

/// The mistakes that a line of a key file may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyfileErrorKind {
    /// Neither `[group]` nor `key=value` nor `#`.
    #[error("not a group, a key=value pair or a comment")]
    Syntax,
    /// A key before the first `[group]`.
    #[error("a key before the first [group]")]
    NoGroup,
    /// A group name with brackets or control characters, or none.
    #[error("not a valid group name")]
    GroupName,
    /// A key with brackets that are not a locale, or none.
    #[error("not a valid key name")]
    KeyName,
}

impl Keyfile {
    /// Reads `text`.
    pub fn parse(text: &str) -> Result<Self, KeyfileError> {
        let mut file = Self::default();
        if text.is_empty() {
            return Ok(file);
        }
        // A newline at the end closes the last line; it does not begin another.
        let body = text.strip_suffix('\n').unwrap_or(text);
        for (index, text) in body.split('\n').enumerate() {
            let error = |kind| KeyfileError { line: index + 1, kind, text: text.to_owned() };
            let line = Line::parse(text).map_err(error)?;
            let first_group = file.lines.iter().any(|l| matches!(l, Line::Group { .. }));
            if matches!(line, Line::Item { .. }) && !first_group {
                return Err(error(KeyfileErrorKind::NoGroup));
            }
            file.lines.push(line);
        }
        Ok(file)
    }

    /// The groups in the order of their first appearance.
    pub fn groups(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for line in &self.lines {
            if let Line::Group { name, .. } = line
                && !names.contains(&name.as_str())
            {
                names.push(name.as_str());
            }
        }
        names
    }

    /// Whether the group is there, even without keys.
    pub fn has_group(&self, group: &str) -> bool {
        self.lines.iter().any(|line| matches!(line, Line::Group { name, .. } if name == group))
    }

    /// The keys of a group in the order of their first appearance.
    pub fn keys(&self, group: &str) -> Vec<&str> {
        let mut keys = Vec::new();
        for (key, _) in self.items_of(group) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }

    /// The value as it stands in the file, escapes and all.
    pub fn raw(&self, group: &str, key: &str) -> Option<&str> {
        self.items_of(group).into_iter().rfind(|(k, _)| *k == key).map(|(_, value)| value)
    }

    /// The value with its escapes undone.
    pub fn string(&self, group: &str, key: &str) -> Result<Option<String>, ValueError> {
        self.value(group, key, value::unescape)
    }

    /// The value as `true` or `false` (also `1` and `0`).
    pub fn boolean(&self, group: &str, key: &str) -> Result<Option<bool>, ValueError> {
        self.value(group, key, value::boolean)
    }

    /// The value as an unsigned decimal number.
    pub fn integer(&self, group: &str, key: &str) -> Result<Option<u64>, ValueError> {
        self.value(group, key, value::integer)
    }

    /// The value as a list whose members end in `;`.
    pub fn list(&self, group: &str, key: &str) -> Result<Option<Vec<String>>, ValueError> {
        self.value(group, key, value::list)
    }

    /// Sets a key to a text, escaping what must be.
    pub fn set_string(&mut self, group: &str, key: &str, text: &str) {
        self.set_raw(group, key, &value::escape(text));
    }

    /// Sets a key to a list, whose members end in `;`.
    pub fn set_list<T: AsRef<str>>(&mut self, group: &str, key: &str, members: &[T]) {
        let member = |text: &T| format!("{};", value::escape(text.as_ref()).replace(';', "\\;"));
        self.set_raw(group, key, &members.iter().map(member).collect::<String>());
    }

    /// Sets a key to `true` or `false`.
    pub fn set_boolean(&mut self, group: &str, key: &str, flag: bool) {
        self.set_raw(group, key, if flag { "true" } else { "false" });
    }

    /// Sets a key to a value that is escaped already and has no line break. An existing key keeps its place;
    /// a new one comes after the group's last; a new group comes at the end, after an empty line.
    pub fn set_raw(&mut self, group: &str, key: &str, raw: &str) {
        let item = Line::item(key, raw);
        let places = self.places_of(group);
        let last = places.iter().rfind(|&&i| matches!(&self.lines[i], Line::Item { key: k, .. } if k == key));
        if let Some(&at) = last {
            self.lines[at] = item;
        } else if let Some(&at) = places.iter().rfind(|&&i| !matches!(self.lines[i], Line::Other(_))) {
            self.lines.insert(at + 1, item);
        } else {
            let blank = |line: &Line| matches!(line, Line::Other(text) if text.is_empty());
            if self.lines.last().is_some_and(|last| !blank(last)) {
                self.lines.push(Line::Other(String::new()));
            }
            self.lines.push(Line::Group { name: group.to_owned(), text: format!("[{group}]") });
            self.lines.push(item);
        }
    }

    /// Removes every line of a key; says whether there was one.
    pub fn remove_key(&mut self, group: &str, key: &str) -> bool {
        let doomed: Vec<usize> = self
            .places_of(group)
            .into_iter()
            .filter(|&i| matches!(&self.lines[i], Line::Item { key: k, .. } if k == key))
            .collect();
        self.remove_lines(&doomed)
    }

    /// Removes a group with all that stands in it; says whether there was one.
    pub fn remove_group(&mut self, group: &str) -> bool {
        let doomed = self.places_of(group);
        self.remove_lines(&doomed)
    }

    /// Lays `over` on top, key by key: its keys win, ours that it does not name stay.
    pub fn merge(&mut self, over: &Keyfile) {
        for group in over.groups() {
            for key in over.keys(group) {
                if let Some(raw) = over.raw(group, key) {
                    self.set_raw(group, key, raw);
                }
            }
        }
    }

    fn value<T>(
        &self,
        group: &str,
        key: &str,
        read: impl FnOnce(&str) -> Result<T, &'static str>,
    ) -> Result<Option<T>, ValueError> {
        let error = |raw: &str, why| ValueError {
            group: group.to_owned(),
            key: key.to_owned(),
            value: raw.to_owned(),
            why,
        };
        self.raw(group, key).map(|raw| read(raw).map_err(|why| error(raw, why))).transpose()
    }

    /// Keys and raw values of a group, duplicates included, over all its blocks.
    fn items_of(&self, group: &str) -> Vec<(&str, &str)> {
        let mut within = false;
        let mut items = Vec::new();
        for line in &self.lines {
            match line {
                Line::Group { name, .. } => within = name == group,
                Line::Item { key, value, .. } if within => items.push((key.as_str(), value.as_str())),
                Line::Item { .. } | Line::Other(_) => {}
            }
        }
        items
    }

    /// The lines that belong to a group, its headers and comments included.
    fn places_of(&self, group: &str) -> Vec<usize> {
        let mut within = false;
        let mut places = Vec::new();
        for (index, line) in self.lines.iter().enumerate() {
            if let Line::Group { name, .. } = line {
                within = name == group;
            }
            if within {
                places.push(index);
            }
        }
        places
    }

    fn remove_lines(&mut self, doomed: &[usize]) -> bool {
        let mut index = 0;
        self.lines.retain(|_| {
            index += 1;
            !doomed.contains(&(index - 1))
        });
        !doomed.is_empty()
    }
}

impl Line {
    fn item(key: &str, raw: &str) -> Self {
        Self::Item { key: key.to_owned(), value: raw.to_owned(), text: format!("{key}={raw}") }
    }

    /// Reads one line, in GKeyFile's order of attempts: comment, group, pair.
    fn parse(text: &str) -> Result<Self, KeyfileErrorKind> {
        let own = || text.to_owned();
        // GLib drops one carriage return before the newline, and blanks before anything.
        let line = text.strip_suffix('\r').unwrap_or(text).trim_start_matches(value::is_space);
        if line.is_empty() || line.starts_with('#') {
            return Ok(Self::Other(own()));
        }
        if let Some((name, rest)) = line.strip_prefix('[').and_then(|rest| rest.split_once(']'))
            && rest.trim_matches([' ', '\t']).is_empty()
        {
            let valid = !name.is_empty() && !name.contains(|c: char| c == '[' || c.is_control());
            return valid
                .then(|| Self::Group { name: name.to_owned(), text: own() })
                .ok_or(KeyfileErrorKind::GroupName);
        }
        let Some((key, value)) = line.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return Err(KeyfileErrorKind::Syntax);
        };
        let key = key.trim_end_matches(value::is_space);
        if !is_key_name(key) {
            return Err(KeyfileErrorKind::KeyName);
        }
        let value = value.trim_start_matches(value::is_space);
        Ok(Self::Item { key: key.to_owned(), value: value.to_owned(), text: own() })
    }

    fn text(&self) -> &str {
        match self {
            Self::Other(text) | Self::Group { text, .. } | Self::Item { text, .. } => text,
        }
    }
}

/// No brackets but one locale at the end, as in `Name[de_DE.UTF-8@euro]`.
fn is_key_name(key: &str) -> bool {
    let (base, locale) = match key.split_once('[') {
        None => (key, None),
        Some((base, locale)) => (base, Some(locale)),
    };
    let locale_char = |c: char| c.is_alphanumeric() || "-_.@".contains(c);
    !base.is_empty()
        && !base.ends_with(' ')
        && !base.contains(']')
        && locale.is_none_or(|l| l.strip_suffix(']').is_some_and(|l| l.chars().all(locale_char)))
}

impl fmt::Display for Keyfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{}", line.text()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Keyfile {
        Keyfile::parse(text).unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn reads_as_gkeyfile_does() {
        let file = parse(concat!(
            "# top\n[a]\nk=1\nk = 2  \n  spaced key =v\ncolon:key=x\n",
            "[remote \"origin\"]\nurl=file:///x=y#z;w\n[a] \nlate=3\nName[de_DE.UTF-8@euro]=n\n"
        ));
        assert_eq!(file.groups(), ["a", "remote \"origin\""]);
        assert_eq!(file.keys("a"), ["k", "spaced key", "colon:key", "late", "Name[de_DE.UTF-8@euro]"]);
        for (group, key, value) in [
            ("a", "k", Some("2  ")),
            ("a", "spaced key", Some("v")),
            ("a", "colon:key", Some("x")),
            ("a", "late", Some("3")),
            ("a", "none", None),
            ("remote \"origin\"", "url", Some("file:///x=y#z;w")),
        ] {
            assert_eq!(file.raw(group, key), value, "{group} {key}");
        }
    }

    #[test]
    fn lists_round_trip() {
        let mut file = Keyfile::default();
        file.set_list("a", "k", &["m;n", "x\\", " y"]);
        assert_eq!(file.to_string(), "[a]\nk=m\\;n;x\\\\;\\sy;\n");
        assert_eq!(file.list("a", "k").unwrap().unwrap(), ["m;n", "x\\", " y"]);
    }

    #[test]
    fn one_empty_line_parts_groups() {
        let mut file = parse("[a]\nk=1\n\n[b]\nk=1\n");
        file.remove_group("b");
        file.set_string("c", "k", "2");
        assert_eq!(file.to_string(), "[a]\nk=1\n\n[c]\nk=2\n");
    }

    #[test]
    fn refuses_as_gkeyfile_does() {
        use KeyfileErrorKind::*;
        for (text, line, kind) in [
            ("k=v\n", 1, NoGroup),
            ("# c\n\nk=v\n", 3, NoGroup),
            ("[a]\n; no comment\n", 2, Syntax),
            ("[a]\n=v\n", 2, Syntax),
            ("[a]\n =v\n", 2, Syntax),
            ("[a]\nword\n", 2, Syntax),
            ("[a] tail\n", 1, Syntax),
            ("[]\n", 1, GroupName),
            ("[a[b]\n", 1, GroupName),
            ("[a]\nk[=v\n", 2, KeyName),
            ("[a]\nk]=v\n", 2, KeyName),
        ] {
            let error = Keyfile::parse(text).expect_err(text);
            assert_eq!((error.line, error.kind), (line, kind), "{text:?}");
        }
    }

    #[test]
    fn edits_keep_what_they_do_not_touch() {
        let mut file = parse("# top\n\n[a]\n# about k\nk=1\n\n[b]\nx=y\n");
        file.set_string("a", "k", "two");
        file.set_string("a", "new", " lead\ttab\\");
        file.set_boolean("c", "flag", true);
        assert!(file.remove_key("b", "x"));
        assert!(!file.remove_key("b", "x"));
        let text = "# top\n\n[a]\n# about k\nk=two\nnew=\\slead\ttab\\\\\n\n[b]\n\n[c]\nflag=true\n";
        assert_eq!(file.to_string(), text);
        assert!(file.remove_group("a"));
        assert_eq!(file.to_string(), "# top\n\n[b]\n\n[c]\nflag=true\n");
    }

    #[test]
    fn layers_merge_key_by_key() {
        let mut file = parse("[sysroot]\nreadonly=true\n[composefs]\nenabled=no\n");
        file.merge(&parse("[composefs]\nenabled=maybe\n[etc]\ntransient=false\n"));
        assert_eq!(file.raw("sysroot", "readonly"), Some("true"));
        assert_eq!(file.raw("composefs", "enabled"), Some("maybe"));
        assert_eq!(file.raw("etc", "transient"), Some("false"));
    }

    proptest! {
        #[test]
        fn what_is_read_is_written(text in r"(\[[a-z]{1,3}\]\n([a-z ]{0,4}[a-z]=[^\n\r]{0,8}\n|#.{0,4}\n|\n){0,5}){0,4}") {
            if let Ok(file) = Keyfile::parse(&text) {
                prop_assert_eq!(file.to_string(), text);
            }
        }

        #[test]
        fn any_text_is_a_result(text in "[\\[\\]=#; \t\r\na-c\\\\]{0,40}") {
            if let Ok(file) = Keyfile::parse(&text) {
                prop_assert_eq!(Keyfile::parse(&file.to_string()), Ok(file));
            }
        }

        #[test]
        fn strings_come_back(value in "[^\0\x0b\x0c]{0,20}") {
            let mut file = Keyfile::default();
            file.set_string("g", "k", &value);
            let again = parse(&file.to_string());
            prop_assert_eq!(again.string("g", "k"), Ok(Some(value)));
        }
    }
}
