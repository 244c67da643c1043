// SPDX-License-Identifier: MIT OR Apache-2.0
//! Options and other words, as `g_option_context_parse` reads them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use clap::Arg;

use super::fault::Fault;
use super::number;
use super::reading::Reading;
use super::refused::{self, Refusal};
use super::scope::{self, Scope};

/// The words of a command line by their kind.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// In the order in which they were given, with the last of repeated scalars only.
    pub(super) options: Vec<GivenOption>,
    pub(super) others: Vec<OsString>,
    /// Help that is asked for; nothing behind it was read.
    pub(super) request: Option<Request>,
    pub(super) version: bool,
    /// The first option that is refused.
    pub(super) refusal: Option<Refusal>,
}

/// An option that was given.
#[derive(Debug)]
pub(super) struct GivenOption {
    id: clap::Id,
    /// `--long=VALUE` or `--long`.
    pub(super) word: OsString,
}

/// A form of help.
#[derive(Debug, Clone, Copy)]
pub(super) enum Request {
    Short,
    Long,
    All,
}

impl Request {
    pub(super) fn of(self, scope: &Scope<'_>) -> Reading {
        Reading::Help {
            path: scope.path(),
            long: !matches!(self, Self::Short),
            all: matches!(self, Self::All),
        }
    }
}

/// Reads `words`, from which the names of commands were taken.
pub(super) fn read(scope: &Scope<'_>, words: Vec<OsString>) -> Result<Read, Fault> {
    let mut read = Read::default();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        match word.as_bytes() {
            b"--" => {
                // The C tools drop what follows, without a word.
                let is_remote = matches!(&scope.path()[..], [name, _] if name == "remote");
                if is_remote && words.len() > 0 {
                    let text = "remote reads no words behind --: give them before it, or none".to_owned();
                    return Err(Fault::Words { text, help: scope.help() });
                }
                read.others.extend(words);
                break;
            }
            [b'-', b'-', name @ ..] => read.request = long(&mut read, scope, &word, name, &mut words)?,
            [b'-', _, ..] => read.request = bundle(&mut read, scope, &word, &mut words)?,
            _ => read.others.push(word),
        }
        if read.request.is_some() {
            break;
        }
    }
    Ok(read)
}

/// The fault of an option that is not defined. One of a command that is refused needs no definition.
fn unknown(scope: &Scope<'_>, word: &OsStr) -> Fault {
    if let Some(refusal) = scope.refusal() {
        return Fault::Refused(refusal);
    }
    Fault::UnknownOption { word: word.to_string_lossy().into_owned(), help: scope.help() }
}

/// Reads a long option, whose name and value are `text`.
fn long(
    read: &mut Read,
    scope: &Scope<'_>,
    word: &OsStr,
    text: &[u8],
    more: &mut dyn Iterator<Item = OsString>,
) -> Result<Option<Request>, Fault> {
    match text {
        b"help" => return Ok(Some(Request::Long)),
        b"help-all" => return Ok(Some(Request::All)),
        _ => {}
    }
    let (name, value) = match text.iter().position(|&byte| byte == b'=') {
        Some(at) => (&text[..at], Some(OsString::from_vec(text[at + 1..].to_vec()))),
        None => (text, None),
    };
    let arg = std::str::from_utf8(name).ok().and_then(|name| scope.long(name));
    let arg = arg.ok_or_else(|| unknown(scope, word))?;
    let shown = format!("--{}", String::from_utf8_lossy(name));
    let value = match scope::takes_value(arg) {
        false => None,
        true => Some(value.or_else(|| more.next()).ok_or_else(|| Fault::NoValue(shown.clone()))?),
    };
    read.add(scope, arg, value, &shown)?;
    Ok(None)
}

/// Reads letters of short options; one of them may take the next word.
fn bundle(
    read: &mut Read,
    scope: &Scope<'_>,
    word: &OsStr,
    more: &mut dyn Iterator<Item = OsString>,
) -> Result<Option<Request>, Fault> {
    let text = word.to_str().ok_or_else(|| unknown(scope, word))?;
    let mut has_value = false;
    for letter in text.chars().skip(1) {
        let arg = match (letter, scope.short(letter)) {
            ('?', _) | ('h', None) => return Ok(Some(Request::Short)),
            (_, arg) => arg.ok_or_else(|| unknown(scope, word))?,
        };
        let shown = format!("-{letter}");
        let value = match scope::takes_value(arg) {
            false => None,
            true if has_value => return Err(Fault::SecondValue(shown)),
            true => Some(more.next().ok_or_else(|| Fault::NoValue(shown.clone()))?),
        };
        has_value |= value.is_some();
        read.add(scope, arg, value, &shown)?;
    }
    Ok(None)
}

impl Read {
    fn add(
        &mut self,
        scope: &Scope<'_>,
        arg: &Arg,
        value: Option<OsString>,
        shown: &str,
    ) -> Result<(), Fault> {
        if arg.get_id() == "version" {
            self.version = true;
            return Ok(());
        }
        if let Some(refusal) = refused::option(&scope.path(), arg) {
            self.refusal.get_or_insert(refusal);
            return Ok(());
        }
        let value = value.map(|value| number::canonical(arg, value, shown)).transpose()?;
        if !scope::is_list(arg) {
            self.options.retain(|given| given.id != *arg.get_id());
        }
        let mut word = match (arg.get_long(), arg.get_short()) {
            (Some(name), _) => OsString::from(format!("--{name}")),
            (None, letter) => OsString::from(format!("-{}", letter.unwrap_or_default())),
        };
        if let Some(value) = value {
            word.push("=");
            word.push(value);
        }
        self.options.push(GivenOption { id: arg.get_id().clone(), word });
        Ok(())
    }

    /// Whether the option of that name was given.
    pub(super) fn has(&self, id: &str) -> bool {
        self.options.iter().any(|given| given.id == id)
    }
}
