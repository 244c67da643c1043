// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values of a key file: escapes, flags, numbers and lists, as GLib reads them.

/// A value that is not of the kind that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("[{group}] {key}={value}: {why}")]
pub struct ValueError {
    /// The group.
    pub group: String,
    /// The key.
    pub key: String,
    /// The value as it stands in the file.
    pub value: String,
    /// The mistake in it.
    pub why: &'static str,
}

const BAD_ESCAPE: &str = "only \\s \\n \\t \\r \\\\ are escapes";

/// Undoes the escapes of a text.
pub(super) fn unescape(raw: &str) -> Result<String, &'static str> {
    let mut out = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        out.push(if c == '\\' { unescape_one(chars.next())? } else { c });
    }
    Ok(out)
}

fn unescape_one(c: Option<char>) -> Result<char, &'static str> {
    match c {
        Some('s') => Ok(' '),
        Some('n') => Ok('\n'),
        Some('t') => Ok('\t'),
        Some('r') => Ok('\r'),
        Some('\\') => Ok('\\'),
        _ => Err(BAD_ESCAPE),
    }
}

/// Escapes a text: line breaks and backslashes everywhere, blanks where a reader would drop them.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut leading = true;
    for c in text.chars() {
        match c {
            ' ' if leading => out.push_str("\\s"),
            '\t' if leading => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\\' => out.push_str("\\\\"),
            _ => out.push(c),
        }
        // A form feed or vertical tab has no escape; behind one, blanks would be dropped with it.
        leading &= c == ' ' || c == '\t';
    }
    out
}

/// `true` and `1`, `false` and `0`; GLib ignores blanks at the end here.
pub(super) fn boolean(raw: &str) -> Result<bool, &'static str> {
    match raw.trim_end_matches(is_space) {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("neither true nor false"),
    }
}

pub(super) fn integer(raw: &str) -> Result<u64, &'static str> {
    raw.trim_end_matches(is_space).parse().map_err(|_| "not a number")
}

/// Members end in `;`, the last may go without; `\;` is a semicolon inside a member.
pub(super) fn list(raw: &str) -> Result<Vec<String>, &'static str> {
    let mut members = Vec::new();
    let mut member = String::new();
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        match c {
            ';' => members.push(std::mem::take(&mut member)),
            '\\' => match chars.next() {
                Some(';') => member.push(';'),
                other => member.push(unescape_one(other)?),
            },
            _ => member.push(c),
        }
    }
    if !member.is_empty() {
        members.push(member);
    }
    Ok(members)
}

/// C's `isspace` in the C locale, which GLib uses here: the vertical tab counts, unlike in Rust's ASCII test.
pub(super) fn is_space(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\x0b'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        assert_eq!(unescape(r"\sa\tb\\"), Ok(" a\tb\\".to_owned()));
        assert_eq!(unescape(r"a\;b"), Err(BAD_ESCAPE));
        assert_eq!(unescape("a\\"), Err(BAD_ESCAPE));
        assert_eq!(list(r"a;b\;c;"), Ok(vec!["a".to_owned(), "b;c".to_owned()]));
        assert_eq!(list("a;;b"), Ok(vec!["a".to_owned(), String::new(), "b".to_owned()]));
        assert_eq!(list(""), Ok(vec![]));
        for (raw, flag) in
            [("true", Some(true)), ("1 ", Some(true)), ("false", Some(false)), ("0", Some(false))]
        {
            assert_eq!(boolean(raw).ok(), flag, "{raw}");
        }
        for raw in ["", "yes", "TRUE", "2"] {
            assert!(boolean(raw).is_err(), "{raw}");
        }
        assert_eq!(integer("300"), Ok(300));
        assert!(integer("-1").is_err());
    }
}
