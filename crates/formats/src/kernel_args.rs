// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernel arguments: an ordered multi-map in the kernel's own quoting.
//!
//! The kernel (`next_arg` in `lib/cmdline.c`) splits at blanks outside double quotes, takes the first `=` as the
//! end of the key, and drops quotes around the whole argument or around the value. Arguments are kept here as
//! they were written, so that a command line that is not edited is not changed; only a quote that is never closed is
//! closed at the end of the line, where it ends for the kernel. So nothing that is added later is swallowed by it.
//!
//! Each edit takes several arguments in one text, split by the same rules. There an open quote is refused.

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
    /// The arguments after it, `ostree=` included, would become a part of its value.
    #[error("A double quote is never closed in '{0}'; close it, or leave it out")]
    OpenQuote(String),
}

impl KernelArgs {
    /// Splits a command line. Anything is a command line: a quote that is never closed ends with the line.
    pub fn parse(line: &str) -> Self {
        let line = line.trim_end_matches('\n');
        let mut quoted = false;
        let words = line.split(|c: char| {
            quoted ^= c == '"';
            (c.is_ascii_whitespace() || c == '\x0b') && !quoted
        });
        let mut args: Vec<String> = words.filter(|word| !word.is_empty()).map(str::to_owned).collect();
        if let Some(last) = args.last_mut().filter(|_| has_open_quote(line)) {
            last.push('"');
        }
        Self { args }
    }

    /// Splits what somebody wants to add, replace or delete.
    ///
    /// # Errors
    ///
    /// [`EditError::OpenQuote`].
    pub fn parse_closed(text: &str) -> Result<Self, EditError> {
        if has_open_quote(text) { Err(EditError::OpenQuote(text.to_owned())) } else { Ok(Self::parse(text)) }
    }

    /// Puts a list together, of which each may be several. What is open in one ends with it.
    pub fn of_list(list: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        Self { args: list.into_iter().flat_map(|text| Self::parse(text.as_ref()).args).collect() }
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

    /// The keys without their quotes, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|arg| split(arg).0)
    }

    /// The arguments that a boot loader or an initramfs can take for one with this key, however they are quoted: to the kernel
    /// `"key"=value` has another one, and GRUB takes its quotes off.
    pub fn named(&self, key: &str) -> impl Iterator<Item = &str> {
        self.iter().filter(move |arg| is_named(arg, key))
    }

    /// Whether this very argument, quotes aside, is there.
    pub fn contains(&self, arg: &str) -> bool {
        self.iter().any(|a| split(a) == split(arg))
    }

    /// Adds an argument (or several in one text) at the end.
    pub fn append(&mut self, text: &str) -> Result<(), EditError> {
        self.args.extend(Self::parse_closed(text)?.args);
        Ok(())
    }

    /// Adds an argument (or several in one text) at the end, each unless this key with this value is there.
    pub fn append_if_missing(&mut self, text: &str) -> Result<(), EditError> {
        Self::parse_closed(text)?.iter().for_each(|arg| self.add_missing(arg));
        Ok(())
    }

    /// The same for one argument of a command line that was [parsed](Self::parse).
    pub fn add_missing(&mut self, arg: &str) {
        if !self.contains(arg) {
            self.args.push(arg.to_owned());
        }
    }

    /// Puts an argument in the place of the first with its key, or at the end, and drops all others with that key, as `deploy --karg`
    /// does. Of several in one text each replaces those of its key that were there before.
    pub fn set(&mut self, text: &str) -> Result<(), EditError> {
        let mut keys: Vec<String> = Vec::new();
        for arg in Self::parse_closed(text)?.args {
            let key = split(&arg).0.to_owned();
            if keys.contains(&key) {
                self.args.push(arg);
            } else {
                self.put(arg, |present| split(present).0 == key);
                keys.push(key);
            }
        }
        Ok(())
    }

    /// Gives a key this one value, in the place of the first argument that is [`named`](Self::named) so, or at the end.
    pub fn set_only(&mut self, key: &str, value: &str) {
        self.put(format!("{key}={value}"), |arg| is_named(arg, key));
    }

    /// In the place of the first of these, or at the end; the others go.
    fn put(&mut self, arg: String, replaces: impl Fn(&str) -> bool) {
        let at = self.args.iter().position(|present| replaces(present)).unwrap_or(self.args.len());
        self.args.retain(|present| !replaces(present));
        self.args.insert(at, arg);
    }

    /// Drops all arguments with this key; says whether there were any.
    pub fn remove_key(&mut self, key: &str) -> bool {
        self.retain(|present, _| present != key)
    }

    /// Keeps the arguments that this is true of, by key and value; says whether any has gone.
    pub fn retain(&mut self, keep: impl Fn(&str, Option<&str>) -> bool) -> bool {
        let before = self.args.len();
        self.args.retain(|arg| {
            let (key, value) = split(arg);
            keep(key, value)
        });
        self.args.len() != before
    }

    /// Replaces in place: `key=new` the only value of a key, `key=old=new` one of several. Several in one text are replaced one after the
    /// other.
    pub fn replace(&mut self, text: &str) -> Result<(), EditError> {
        for arg in Self::parse_closed(text)?.args {
            self.replace_one(&arg)?;
        }
        Ok(())
    }

    fn replace_one(&mut self, arg: &str) -> Result<(), EditError> {
        let (key, _) = split(arg);
        let places = self.places_of(key)?;
        if let Some((old, new)) = old_and_new(arg) {
            let at = places.into_iter().find(|&i| self.value_at(i) == Some(old));
            let at = at.ok_or_else(|| EditError::NoArg(format!("{key}={old}")))?;
            let new = quoted(key, new);
            // The quotes of the text may belong together across the two values.
            if Self::parse_closed(&new)?.args != [new.as_str()] {
                return Err(EditError::OpenQuote(arg.to_owned()));
            }
            self.put_at(at, new);
        } else if let [at] = places[..] {
            self.put_at(at, arg.to_owned());
        } else {
            return Err(EditError::Ambiguous(key.to_owned()));
        }
        Ok(())
    }

    /// Removes `key=value`, or `key` where it has one value or stands alone. Several in one text go one after the other.
    pub fn delete(&mut self, text: &str) -> Result<(), EditError> {
        for arg in Self::parse_closed(text)?.args {
            self.delete_one(&arg)?;
        }
        Ok(())
    }

    fn delete_one(&mut self, arg: &str) -> Result<(), EditError> {
        let (key, value) = split(arg);
        let places = self.places_of(key)?;
        let exact = places.iter().find(|&&i| self.value_at(i) == value);
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
        self.retain(|key, value| (key, value) != split(arg))
    }

    /// As [`Self::delete`], but an argument that is not there is no error.
    pub fn delete_if_present(&mut self, text: &str) -> Result<(), EditError> {
        for arg in Self::parse_closed(text)?.args {
            match self.delete_one(&arg) {
                Ok(()) | Err(EditError::NoKey(_) | EditError::NoArg(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Lists the differences in `after`: `-ARG` for each that is gone, `+ARG` for each that is new, a line each. `ostree=` is
    /// left out, since it belongs to the boot entry.
    pub fn diff(&self, after: &Self) -> String {
        let only_in = |here: &Self, there: &Self, sign: char| -> String {
            let mut left: Vec<&str> = there.iter().collect();
            let mut lines = String::new();
            for arg in here.iter().filter(|arg| !is_named(arg, "ostree")) {
                match left.iter().position(|other| split(other) == split(arg)) {
                    Some(at) => drop(left.swap_remove(at)),
                    None => lines.push_str(&format!("{sign}{arg}\n")),
                }
            }
            lines
        };
        only_in(self, after, '-') + &only_in(after, self, '+')
    }

    fn value_at(&self, at: usize) -> Option<&str> {
        self.args.get(at).and_then(|arg| split(arg).1)
    }

    fn put_at(&mut self, at: usize, arg: String) {
        if let Some(place) = self.args.get_mut(at) {
            *place = arg;
        }
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

/// Whether what follows would be taken for a part of this.
fn has_open_quote(text: &str) -> bool {
    text.matches('"').count() % 2 == 1
}

/// Whether the key is this one once all quotes are off.
fn is_named(arg: &str, key: &str) -> bool {
    let bare: String = arg.chars().filter(|&c| c != '"').collect();
    bare.split('=').next() == Some(key)
}

/// An argument with quotes around its value where a blank in it would split it.
fn quoted(key: &str, value: &str) -> String {
    let quote =
        if value.contains(|c: char| c.is_ascii_whitespace()) && !value.contains('"') { "\"" } else { "" };
    format!("{key}={quote}{value}{quote}")
}

/// Key and value of an argument, without the quotes that the kernel drops.
fn split(arg: &str) -> (&str, Option<&str>) {
    match unquoted(arg).split_once('=') {
        None => (unquoted(arg), None),
        Some((key, value)) => (key, Some(unquoted(value))),
    }
}

/// The values of `key=old=new`, of which each may be quoted, or all of it.
fn old_and_new(arg: &str) -> Option<(&str, &str)> {
    let (old, new) = unquoted(arg).split_once('=')?.1.split_once('=')?;
    Some((unquoted(old), unquoted(new)))
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').map_or(text, |inner| inner.strip_suffix('"').unwrap_or(inner))
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

    type Edit = fn(&mut KernelArgs) -> Result<(), EditError>;

    fn check(cases: &[(&str, Edit, Result<&str, EditError>)]) {
        for (before, edit, expected) in cases {
            let mut line = args(before);
            let result = edit(&mut line).map(|()| line.to_string());
            assert_eq!(result, expected.clone().map(str::to_owned), "{before}");
        }
    }

    fn no_key(key: &str) -> Result<&str, EditError> {
        Err(EditError::NoKey(key.to_owned()))
    }

    fn no_arg(arg: &str) -> Result<&str, EditError> {
        Err(EditError::NoArg(arg.to_owned()))
    }

    #[test]
    fn edits() {
        let ambiguous = |key: &str| Err(EditError::Ambiguous(key.to_owned()));
        check(&[
            ("a", |k| k.append("b=1 c"), Ok("a b=1 c")),
            ("a b=1", |k| k.append_if_missing("b=\"1\""), Ok("a b=1")),
            ("a b=1", |k| k.append_if_missing("b=2"), Ok("a b=1 b=2")),
            ("a=1 b a=2", |k| k.set("a=3"), Ok("a=3 b")),
            ("b", |k| k.set("a=3"), Ok("b a=3")),
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
        ]);
    }

    #[test]
    fn several_in_one_text_are_split_by_the_kernels_rules() {
        check(&[
            ("a", |k| k.append("b=1 c=\"x y\""), Ok("a b=1 c=\"x y\"")),
            ("a=1", |k| k.append_if_missing("a=1 b=2"), Ok("a=1 b=2")),
            ("a=1 b=2", |k| k.append_if_missing("a=1 b=2"), Ok("a=1 b=2")),
            ("a=1 b=\"x y\"", |k| k.append_if_missing("\"b=x y\" a=1"), Ok("a=1 b=\"x y\"")),
            ("a=1 b=2 c", |k| k.set("a=3 b=4"), Ok("a=3 b=4 c")),
            ("tty=1 b tty=2", |k| k.set("tty=3 tty=4"), Ok("tty=3 b tty=4")),
            ("a=1 b=2", |k| k.replace("a=3 b=4"), Ok("a=3 b=4")),
            ("a=1 b=2", |k| k.replace("a=3 x=4"), no_key("x")),
            ("a=\"x y\" a=2", |k| k.replace("a=\"x y\"=\"p q\""), Ok("a=\"p q\" a=2")),
            ("a=1 b=2 c", |k| k.delete("a=1 b"), Ok("c")),
            ("a=1 b=2 c", |k| k.delete("a=1 x"), no_key("x")),
            ("a=1 b=2 c", |k| k.delete_if_present("x a=1 y=2 b=2"), Ok("c")),
            ("a=\"x y\" b", |k| k.delete("\"a=x y\""), Ok("b")),
        ]);
    }

    #[test]
    fn an_open_quote_is_refused() {
        let open = || Err(EditError::OpenQuote("c v=\"x".to_owned()));
        check(&[
            ("v=x", |k| k.append("c v=\"x"), open()),
            ("v=x", |k| k.append_if_missing("c v=\"x"), open()),
            ("v=x", |k| k.set("c v=\"x"), open()),
            ("v=x", |k| k.replace("c v=\"x"), open()),
            ("v=x", |k| k.delete("c v=\"x"), open()),
            ("v=x", |k| k.delete_if_present("c v=\"x"), open()),
        ]);
    }

    #[test]
    fn a_replacement_is_one_argument() {
        for arg in ["a=\"1=2\"x", "a=1=\"x\" \"y", "\"a=1=&\n\"="] {
            let mut line = args("a=1 b a=\"1=2");
            let before = line.clone();
            let replaced = line.replace(arg);
            assert_eq!(args(&line.to_string()), line, "{arg}");
            assert!(replaced.is_err() && line == before, "{arg}: {line}");
        }
    }

    #[test]
    fn what_is_there_with_an_open_quote_swallows_nothing() {
        let mut line = args("a v=\"x y\n");
        assert_eq!(line.first("v"), Some(Some("x y")));
        line.set_only("ostree", "/new");
        assert_eq!(line.to_string(), "a v=\"x y\" ostree=/new");
        assert_eq!(args(&line.to_string()).first("ostree"), Some(Some("/new")));
        assert_eq!(KernelArgs::of_list(["a v=\"x", "b"]).to_string(), "a v=\"x\" b");
    }

    #[test]
    fn a_key_has_one_value_however_it_was_quoted() {
        for (before, after) in [
            ("root=LABEL=x quiet", "root=LABEL=x quiet ostree=/new"),
            ("a ostree=/old b=\"c d\"", "a ostree=/new b=\"c d\""),
            ("ostree=/old ostree=/older b", "ostree=/new b"),
            ("ostreex=1 ostree", "ostreex=1 ostree=/new"),
            ("\"ostree=/x\" a ostree=/y", "ostree=/new a"),
            ("a ostree=\"/x y\"", "a ostree=/new"),
            ("\"ostree\"=/x a", "ostree=/new a"),
            ("a os\"tree=/x y\"", "a ostree=/new"),
            ("a v=\"b ostree=/x\"", "a v=\"b ostree=/x\" ostree=/new"),
            ("", "ostree=/new"),
        ] {
            let mut line = args(before);
            line.set_only("ostree", "/new");
            assert_eq!((line.to_string().as_str(), line.named("ostree").count()), (after, 1), "{before}");
        }
    }

    proptest! {
        #[test]
        fn display_reads_again(line in "[ab=\" \t]{0,24}") {
            let once = args(&line);
            prop_assert_eq!(args(&once.to_string()), once);
        }

        #[test]
        fn one_value_is_read_back(line in "[os=\" x]{0,12}(ostree=?)?[ostre=\" /]{0,24}") {
            let mut edited = args(&line);
            edited.set_only("ostree", "/new");
            let again = args(&edited.to_string());
            prop_assert_eq!(again.named("ostree").collect::<Vec<_>>(), ["ostree=/new"]);
            prop_assert_eq!(again.first("ostree"), Some(Some("/new")));
        }

        #[test]
        fn what_was_added_once_is_there(line in "[ab=\" ]{0,12}", more in "[ab=\" ]{0,12}") {
            let mut once = args(&line);
            if once.append_if_missing(&more).is_ok() {
                let mut twice = once.clone();
                twice.append_if_missing(&more).unwrap();
                prop_assert_eq!(args(&twice.to_string()), once);
            } else {
                prop_assert_eq!(once, args(&line));
            }
        }
    }
}
