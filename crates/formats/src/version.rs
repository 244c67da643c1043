// SPDX-License-Identifier: MIT OR Apache-2.0
//! Version order of the UAPI group's version format specification, by which boot loaders sort their entries.
//! <https://uapi-group.org/specifications/specs/version_format_specification/>

use std::cmp::Ordering;

/// Compares two version strings: `~` is older than the end, then `-`, `^` and `.` in this order, then digits as
/// numbers and letters as text; other characters only separate. The steps are those of systemd's
/// `strverscmp_improved`, so that odd strings sort here as systemd-boot sorts them.
pub fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        take(&mut a, |&c| !is_known(c));
        take(&mut b, |&c| !is_known(c));
        let mut step = separator(b'~', &mut a, &mut b);
        if step.is_eq() && (a.is_empty() || b.is_empty()) {
            return a.len().cmp(&b.len());
        }
        for sign in *b"-^." {
            step = step.then_with(|| separator(sign, &mut a, &mut b));
        }
        let run = if starts_digit(a) || starts_digit(b) { number } else { word };
        step = step.then_with(|| run(&mut a, &mut b));
        if step.is_ne() {
            return step;
        }
    }
}

fn is_known(c: u8) -> bool {
    c.is_ascii_alphanumeric() || b"~-^.".contains(&c)
}

fn starts_digit(s: &[u8]) -> bool {
    s.first().is_some_and(u8::is_ascii_digit)
}

/// The side that has the separator is older; where both have it, it is taken from both.
fn separator(sign: u8, a: &mut &[u8], b: &mut &[u8]) -> Ordering {
    match (a.strip_prefix(&[sign]), b.strip_prefix(&[sign])) {
        (Some(rest_a), Some(rest_b)) => {
            (*a, *b) = (rest_a, rest_b);
            Ordering::Equal
        }
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}

/// Takes a run of bytes that `is` accepts.
fn take<'a>(s: &mut &'a [u8], is: impl Fn(&u8) -> bool) -> &'a [u8] {
    let end = s.iter().position(|c| !is(c)).unwrap_or(s.len());
    let (run, rest) = s.split_at(end);
    *s = rest;
    run
}

/// Numbers of any length: without leading zeros the longer one is greater. No digits are zero.
fn number(a: &mut &[u8], b: &mut &[u8]) -> Ordering {
    let (a, b) = (significant(a), significant(b));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

fn significant<'a>(s: &mut &'a [u8]) -> &'a [u8] {
    take(s, |&c| c == b'0');
    take(s, u8::is_ascii_digit)
}

fn word(a: &mut &[u8], b: &mut &[u8]) -> Ordering {
    take(a, u8::is_ascii_alphabetic).cmp(take(b, u8::is_ascii_alphabetic))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Ascending chains; the first ones are the specification's own examples.
    #[test]
    fn order_of_the_specification() {
        let chains: [&[&str]; 6] = [
            &[
                "122.1",
                "123~rc1-1",
                "123",
                "123-a",
                "123-a.1",
                "123-1",
                "123-1.1",
                "123^post1",
                "123.a-1",
                "123.1-1",
            ],
            &["", "0", "00001", "2", "10"],
            &["~", ""],
            &["1.0~", "1.0~a", "1.0"],
            &["a", "b", "c1", "c2", "c10"],
            &["B", "a"],
        ];
        for chain in chains {
            for pair in chain.windows(2) {
                assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
                assert_eq!(compare(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
            }
        }
    }

    #[test]
    fn equal_in_meaning() {
        for (a, b) in [("1_2", "1+2"), ("1", "01"), ("a ", "a"), ("", ""), ("123.1", "123.01")] {
            assert_eq!(compare(a, b), Ordering::Equal, "{a} {b}");
        }
    }

    proptest! {
        #[test]
        fn is_an_order(a in "[01a~^.+-]{0,8}", b in "[01a~^.+-]{0,8}", c in "[01a~^.+-]{0,8}") {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            if compare(&a, &b) == compare(&b, &c) {
                prop_assert_eq!(compare(&a, &c), compare(&a, &b));
            }
        }
    }
}
