// SPDX-License-Identifier: MIT OR Apache-2.0
//! A menu as GRUB has it, sub-menus and all, and which of its entries a value of `default` names.

/// An entry or a sub-menu.
#[derive(Debug, Default)]
pub(super) struct Item {
    pub(super) title: String,
    pub(super) id: Option<String>,
    pub(super) kind: Kind,
    /// The sub-menu that it is in, by its place in the list.
    pub(super) parent: Option<usize>,
}

/// The kinds of items.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Submenu,
    /// By its place among the entries.
    Entry(usize),
}

/// The entry that GRUB boots for a value of `default`: a number from 0, an id or a title, and behind a `>` the same for the sub-menu
/// which that is. What names nothing is the first, and so is a number that is too high.
pub(super) fn choose(items: &[Item], default: &str) -> Option<usize> {
    choose_in(items, None, default)
}

fn choose_in(items: &[Item], menu: Option<usize>, default: &str) -> Option<usize> {
    let (name, rest) = split(default);
    let mut all = items.iter().enumerate().filter(|(_, item)| item.parent == menu);
    let first = all.clone().next();
    let named = match number(&name) {
        Some(index) => all.nth(index),
        None => all.find(|(_, item)| item.title == name || item.id.as_deref() == Some(&name)),
    };
    let (place, item) = named.or(first)?;
    match item.kind {
        Kind::Entry(entry) => Some(entry),
        Kind::Submenu => choose_in(items, Some(place), if named.is_some() { rest } else { "" }),
    }
}

/// As far as the first `>`, and what comes after it; `>>` is a `>` that belongs to a title.
fn split(default: &str) -> (String, &str) {
    let mut rest = default;
    let mut name = String::new();
    while let Some((before, after)) = rest.split_once('>') {
        name += before;
        match after.strip_prefix('>') {
            Some(after) => {
                name.push('>');
                rest = after;
            }
            None => return (name, after),
        }
    }
    (name + rest, "")
}

/// GRUB reads as far as there are digits.
fn number(name: &str) -> Option<usize> {
    let name = name.trim_start();
    let end = name.find(|c: char| !c.is_ascii_digit()).unwrap_or(name.len());
    name.get(..end).filter(|digits| !digits.is_empty()).map(|digits| digits.parse().unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(title: &str, id: Option<&str>, kind: Kind, parent: Option<usize>) -> Item {
        Item { title: title.to_owned(), id: id.map(str::to_owned), kind, parent }
    }

    #[test]
    fn what_a_default_names() {
        let items = [
            item("Debian", Some("simple"), Kind::Entry(0), None),
            item("More > of it", Some("more"), Kind::Submenu, None),
            item("Old", Some("old"), Kind::Entry(1), Some(1)),
            item("Older", None, Kind::Entry(2), Some(1)),
            item("Memtest", None, Kind::Entry(3), None),
        ];
        for (default, entry) in [
            ("", 0),
            ("0", 0),
            // The sub-menu is one item, and its own first is booted.
            ("1", 1),
            ("2", 3),
            (" 2nd", 3),
            ("Memtest", 3),
            ("more>1", 2),
            ("1>Older", 2),
            ("More >> of it>old", 1),
            // Nothing: the first.
            ("Older", 0),
            ("7", 0),
            ("99999999999999999999999", 0),
            ("gone>1", 0),
            ("more>gone", 1),
        ] {
            assert_eq!(choose(&items, default), Some(entry), "{default:?}");
        }
        assert_eq!(choose(&[], "0"), None);
        assert_eq!(choose(&items[1..2], "0"), None, "a sub-menu with nothing in it");
    }
}
