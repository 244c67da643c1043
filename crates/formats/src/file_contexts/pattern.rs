// SPDX-License-Identifier: MIT OR Apache-2.0
//! The path of a line: what it begins with, and the regular expression that it is, if it takes one.
//!
//! The expressions are those of PCRE, on bytes, with a dot that fits everything, and they are for all of a path. They are written
//! anew for the crate `regex`: there some characters mean something that mean nothing in PCRE (`[a[b]`, `[a&&b]`, `\<`), and the
//! reverse. What it cannot do, or what we do not know, is refused.

use std::sync::OnceLock;

use regex::bytes::{Regex, RegexBuilder};

/// A path of a line.
#[derive(Debug)]
pub(super) struct Pattern {
    text: Box<[u8]>,
    prefix: Box<[u8]>,
    shape: Shape,
    compiled: OnceLock<Result<Regex, BadPattern>>,
}

/// The paths that a line fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// The prefix and nothing else.
    Exact,
    /// `PREFIX(/.*)?`: it, and what is below it.
    Tree,
    /// `PREFIX.*`: what begins so.
    Beginning,
    /// Those that the expression fits.
    Regex,
}

/// Why an expression cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    /// It uses something that is not known here.
    #[error("the expression {text:?} has {what}, which this program does not know")]
    Unsupported {
        /// The expression.
        text: String,
        /// What.
        what: Unsupported,
    },
    /// It is none.
    #[error("the expression {text:?} cannot be read: {reason}")]
    Invalid {
        /// The expression.
        text: String,
        /// Why, on one line.
        reason: String,
    },
}

/// A construct of PCRE that is not read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// `(?=…)`, `(?<name>…)`, `(?i)`, `(*VERB)` and their like; only `(?:…)` is known.
    #[error("a group of a special kind")]
    Group,
    /// `\1`, `\Q`, `\X` and their like.
    #[error("an escape with a special meaning")]
    Escape,
    /// `a++`, `a*+`.
    #[error("a repetition that gives nothing back")]
    Possessive,
    /// `[[.a.]]`, `[[=a=]]`, `[[:nothing:]]`.
    #[error("a class of characters of a special kind")]
    Class,
}

/// The characters that mean something outside of a class.
const SPECIAL: &[u8] = b".^$?*+|[({";

impl Pattern {
    /// Looks at what it begins with, and no further.
    pub(super) fn new(text: &[u8]) -> Self {
        let (prefix, rest) = split(text);
        let (prefix, shape) = match rest {
            b"" => (prefix, Shape::Exact),
            b"(/.*)?" => (prefix, Shape::Tree),
            b".*" => (prefix, Shape::Beginning),
            _ if text.contains(&b'|') && has_alternatives(text) => (Vec::new(), Shape::Regex),
            _ => (prefix, Shape::Regex),
        };
        Self { text: text.into(), prefix: prefix.into(), shape, compiled: OnceLock::new() }
    }

    pub(super) fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    /// Whether it fits a path.
    pub(super) fn fits(&self, path: &[u8]) -> Result<bool, BadPattern> {
        let Some(rest) = path.strip_prefix(&*self.prefix) else { return Ok(false) };
        match self.shape {
            Shape::Exact => Ok(rest.is_empty()),
            Shape::Tree => Ok(matches!(rest, [] | [b'/', ..])),
            Shape::Beginning => Ok(true),
            Shape::Regex => match self.compiled.get_or_init(|| compile(&self.text)) {
                Ok(regex) => Ok(regex.is_match(path)),
                Err(bad) => Err(bad.clone()),
            },
        }
    }
}

/// The literal beginning, and what comes after it.
fn split(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut literal = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        let (byte, after) = match rest {
            [] => return (literal, rest),
            // A letter or digit after a backslash is a class, or something that is not known.
            [b'\\', byte, after @ ..] if !byte.is_ascii_alphanumeric() => (*byte, after),
            [b'\\', ..] => return (literal, rest),
            [byte, ..] if SPECIAL.contains(byte) || *byte == b')' => return (literal, rest),
            [byte, after @ ..] => (*byte, after),
        };
        // A character that may be repeated, or be absent, is no part of the beginning.
        if matches!(after.first(), Some(b'?' | b'*' | b'+' | b'{')) {
            return (literal, rest);
        }
        literal.push(byte);
        rest = after;
    }
}

/// Whether there is a `|` outside of all groups: then what is before it is not what every path begins with. A class counts as if
/// it had no groups in it, which at worst makes a line a candidate for every path.
fn has_alternatives(text: &[u8]) -> bool {
    let mut depth = 0_usize;
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'[' => return true,
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b'|' if depth == 0 => return true,
            _ => {}
        }
    }
    false
}

fn compile(text: &[u8]) -> Result<Regex, BadPattern> {
    /// More than any policy needs, in bytes; what is larger was made to use up memory.
    const LARGEST: usize = 1 << 20;
    let given = || String::from_utf8_lossy(text).into_owned();
    let written = translate(text).map_err(|what| BadPattern::Unsupported { text: given(), what })?;
    RegexBuilder::new(&format!("^(?:{written})$"))
        .unicode(false)
        .dot_matches_new_line(true)
        .size_limit(LARGEST)
        .build()
        .map_err(|error| BadPattern::Invalid { text: given(), reason: last_line(&error.to_string()) })
}

/// The crate draws a picture, and says at the end what is wrong.
fn last_line(error: &str) -> String {
    let line = error.lines().next_back().unwrap_or_default();
    line.trim().trim_start_matches("error: ").to_owned()
}

/// Writes an expression of PCRE as one of the crate `regex`.
fn translate(text: &[u8]) -> Result<String, Unsupported> {
    let mut out = String::with_capacity(text.len() * 2);
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        rest = match (byte, after) {
            (b'\\', [escaped, after @ ..]) => {
                escape(*escaped, &mut out)?;
                after
            }
            // The crate says what is wrong with it.
            (b'\\', []) => {
                out.push('\\');
                after
            }
            (b'[', _) => class(after, &mut out)?,
            (b'(', [b'?', b':', after @ ..]) => {
                out.push_str("(?:");
                after
            }
            (b'(', [b'?' | b'*', ..]) => return Err(Unsupported::Group),
            (b'(', _) => {
                out.push_str("(?:");
                after
            }
            (b'{', _) => match repetition(after) {
                Some(count) => {
                    let (count, after) = after.split_at(count);
                    out.push('{');
                    out.extend(count.iter().copied().map(char::from));
                    possessive(after)?;
                    after
                }
                None => {
                    literal(b'{', &mut out);
                    after
                }
            },
            (b'?' | b'*' | b'+', _) => {
                out.push(char::from(*byte));
                possessive(after)?;
                match after {
                    [b'?', after @ ..] => {
                        out.push('?');
                        after
                    }
                    _ => after,
                }
            }
            (b'.' | b'^' | b'$' | b'|' | b')', _) => {
                out.push(char::from(*byte));
                after
            }
            _ => {
                literal(*byte, &mut out);
                after
            }
        };
    }
    Ok(out)
}

fn literal(byte: u8, out: &mut String) {
    if byte.is_ascii_alphanumeric() || byte == b'/' || byte == b'_' {
        out.push(char::from(byte));
    } else {
        out.push_str(&format!("\\x{byte:02x}"));
    }
}

/// Classes, which are the same in both; `\s` has the vertical tab in both.
fn escape(byte: u8, out: &mut String) -> Result<(), Unsupported> {
    match byte {
        b'd' | b'D' | b'w' | b'W' | b's' | b'S' | b'n' | b't' | b'r' | b'f' => {
            out.push('\\');
            out.push(char::from(byte));
        }
        _ if byte.is_ascii_alphanumeric() => return Err(Unsupported::Escape),
        _ => literal(byte, out),
    }
    Ok(())
}

fn possessive(after: &[u8]) -> Result<(), Unsupported> {
    if after.starts_with(b"+") { Err(Unsupported::Possessive) } else { Ok(()) }
}

/// How long `2}`, `2,}` or `2,3}` is; anything else after a brace makes it a brace.
fn repetition(after: &[u8]) -> Option<usize> {
    let end = after.iter().position(|&b| b == b'}')?;
    let (count, _) = after.split_at(end);
    let mut numbers = count.split(|&b| b == b',');
    let is_number = |digits: &[u8]| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let first = numbers.next().is_some_and(is_number);
    let second = numbers.next().is_none_or(|digits| digits.is_empty() || is_number(digits));
    (first && second && numbers.next().is_none()).then_some(end + 1)
}

/// Writes a class, of which the bracket was read; gives what comes after it.
fn class<'a>(text: &'a [u8], out: &mut String) -> Result<&'a [u8], Unsupported> {
    out.push('[');
    let mut rest = text;
    if let [b'^', after @ ..] = rest {
        out.push('^');
        rest = after;
    }
    let mut first = true;
    loop {
        rest = match rest {
            // The crate says that the end is missing.
            [] => return Ok(rest),
            [b']', after @ ..] if !first => {
                out.push(']');
                return Ok(after);
            }
            [b'[', b':', after @ ..] => posix_class(after, out)?,
            [b'[', b'.' | b'=', ..] => return Err(Unsupported::Class),
            [b'\\', byte, after @ ..] => {
                escape(*byte, out)?;
                after
            }
            // Between two others it makes a range; at an end it is itself.
            [b'-', after @ ..] if !first && !after.starts_with(b"]") => {
                out.push('-');
                after
            }
            [byte, after @ ..] => {
                literal(*byte, out);
                after
            }
        };
        first = false;
    }
}

/// `[:alpha:]` and its like, of which `[:` was read.
fn posix_class<'a>(text: &'a [u8], out: &mut String) -> Result<&'a [u8], Unsupported> {
    const NAMES: [&str; 14] = [
        "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
        "upper", "word", "xdigit",
    ];
    for name in NAMES {
        for (sign, negated) in [("", false), ("^", true)] {
            let wanted = format!("{sign}{name}:]");
            if let Some(after) = text.strip_prefix(wanted.as_bytes()) {
                out.push_str(if negated { "[:^" } else { "[:" });
                out.push_str(name);
                out.push_str(":]");
                return Ok(after);
            }
        }
    }
    Err(Unsupported::Class)
}
