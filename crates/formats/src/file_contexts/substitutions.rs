// SPDX-License-Identifier: MIT OR Apache-2.0
//! Paths that count as others: `/usr/etc /etc` gives `/usr/etc/passwd` the label of `/etc/passwd`.

use std::borrow::Cow;

/// The lines of a file with them, longer paths first.
#[derive(Debug, Default)]
pub(super) struct Substitutions(Vec<Substitution>);

/// A line.
#[derive(Debug)]
struct Substitution {
    from: Vec<u8>,
    to: Vec<u8>,
}

impl Substitutions {
    /// Reads them. A line without a second word says nothing.
    pub(super) fn parse(text: &[u8]) -> Self {
        let substitution = |line: &[u8]| {
            let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
            let from = words.next().filter(|word| !word.starts_with(b"#"))?;
            Some(Substitution { from: from.to_vec(), to: words.next()?.to_vec() })
        };
        let mut all: Vec<_> = text.split(|&b| b == b'\n').filter_map(substitution).collect();
        // libselinux has tried the last line first, and tries the first one first since 3.8. Where two lines fit and it
        // matters, the longer one is meant.
        all.sort_by_key(|line| std::cmp::Reverse(line.from.len()));
        Self(all)
    }

    /// The path that `path` counts as.
    pub(super) fn apply<'a>(&self, path: Cow<'a, [u8]>) -> Cow<'a, [u8]> {
        let replaced =
            self.0.iter().find_map(|Substitution { from, to }| match path.strip_prefix(from.as_slice())? {
                [] => Some(to.clone()),
                rest @ [b'/', ..] if to == b"/" => Some(rest.to_vec()),
                rest @ [b'/', ..] => Some([to.as_slice(), rest].concat()),
                _ => None,
            });
        replaced.map_or(path, Cow::Owned)
    }
}
