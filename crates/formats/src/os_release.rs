// SPDX-License-Identifier: MIT OR Apache-2.0
//! `os-release(5)`: what a tree calls itself.

/// The assignments of an `os-release` file; of two to the same name the last wins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OsRelease {
    fields: Vec<(String, String)>,
}

impl OsRelease {
    /// Reads `text`. Lines that are no assignment are passed over, as a shell or systemd would do: a title is
    /// no reason to refuse a deployment.
    pub fn parse(text: &str) -> Self {
        let assignment = |line: &str| {
            let (name, value) = line.trim().split_once('=')?;
            let valid = |c: char| c == '_' || c.is_ascii_alphanumeric();
            (!name.is_empty() && name.chars().all(valid)).then(|| (name.to_owned(), unquote(value)))
        };
        Self { fields: text.lines().filter_map(assignment).collect() }
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().rev().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Returns the name for a person: `PRETTY_NAME`, else `ID`, else the specification's default, `Linux`.
    pub fn pretty_name(&self) -> &str {
        let named = |name| self.get(name).filter(|value| !value.is_empty());
        named("PRETTY_NAME").or_else(|| named("ID")).unwrap_or("Linux")
    }
}

/// Undoes a shell's quoting: single quotes keep everything, double quotes and none honour backslashes before
/// the characters that are special there.
fn unquote(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut quote = None;
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(q)) if c == q => quote = None,
            ('\\', None) => out.extend(chars.next()),
            ('\\', Some('"')) => match chars.next() {
                Some(next @ ('"' | '\\' | '$' | '`')) => out.push(next),
                next => {
                    out.push('\\');
                    out.extend(next);
                }
            },
            (c, None) if c.is_whitespace() => break,
            (c, _) => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_a_shells() {
        let file = OsRelease::parse(concat!(
            "# comment\nID=debian\nID=later\nPRETTY_NAME=\"Debian \\\"13\\\" \\n\"\nSINGLE='a \\b'\n",
            "BARE=a\\ b c\nMIXED=a\"b\"'c'\nno assignment\nbad name=1\n=x\nOPEN=\"never closed\n"
        ));
        for (name, value) in [
            ("ID", Some("later")),
            ("PRETTY_NAME", Some("Debian \"13\" \\n")),
            ("SINGLE", Some("a \\b")),
            ("BARE", Some("a b")),
            ("MIXED", Some("abc")),
            ("OPEN", Some("never closed")),
            ("bad name", None),
            ("", None),
        ] {
            assert_eq!(file.get(name), value, "{name}");
        }
    }

    #[test]
    fn a_name_for_every_tree() {
        for (text, name) in [("PRETTY_NAME=P\nID=i\n", "P"), ("PRETTY_NAME=\nID=i\n", "i"), ("", "Linux")] {
            assert_eq!(OsRelease::parse(text).pretty_name(), name, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[A-C='\"\\\\ \n$#]{0,60}") {
            let file = OsRelease::parse(&text);
            prop_assert!(file.pretty_name().len() <= text.len() + "Linux".len());
        }
    }
}
