// SPDX-License-Identifier: MIT OR Apache-2.0
//! Integers as values of options: decimal, `0x…`, `0b…` or with a zero in front octal, as `strtol` reads them.

use std::any::TypeId;
use std::ffi::OsString;
use std::ops::RangeInclusive;

use clap::Arg;

use super::fault::Fault;
use crate::owner::Owner;

/// The numbers of an option: the C tools keep each in 32 bits with a sign.
const SIGNED: RangeInclusive<i128> = i32::MIN as i128..=i32::MAX as i128;
/// The numbers of an owner, of which the C tools take half; the greatest means no owner to the kernel.
const OWNERS: RangeInclusive<i128> = i32::MIN as i128..=u32::MAX as i128 - 1;

/// Gives the value in decimal if the option is a number; any other value as it is.
///
/// # Errors
///
/// It is no integer, or out of range.
pub(super) fn canonical(arg: &Arg, value: OsString, shown: &str) -> Result<OsString, Fault> {
    let kind = arg.get_value_parser().type_id();
    let numbers = [TypeId::of::<i64>(), TypeId::of::<usize>(), TypeId::of::<u32>(), TypeId::of::<u8>()];
    let range = match () {
        () if kind == TypeId::of::<Owner>() => OWNERS,
        () if numbers.iter().any(|number| kind == *number) => SIGNED,
        () => return Ok(value),
    };
    let text = value.to_string_lossy().into_owned();
    let option = shown.to_owned();
    match parse(&text) {
        None => Err(Fault::NoInteger { text, option }),
        Some(number) if range.contains(&number) => Ok(number.to_string().into()),
        Some(_) => Err(Fault::OutOfRange { text, option }),
    }
}

fn parse(text: &str) -> Option<i128> {
    let text = text.trim_start_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']);
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = match digits.get(..2) {
        Some("0x" | "0X") => (16, digits.get(2..).unwrap_or_default()),
        // Since C23, and so since glibc 2.38.
        Some("0b" | "0B") => (2, digits.get(2..).unwrap_or_default()),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, digits),
        _ => (10, digits),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    // More digits than these are out of range in any case.
    let number = i128::from_str_radix(digits, radix).unwrap_or(i128::MAX);
    Some(if negative { -number } else { number })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn radix_is_told_by_the_beginning() {
        for (text, number) in [
            ("0", Some(0)),
            ("-1", Some(-1)),
            ("+7", Some(7)),
            (" 7", Some(7)),
            ("010", Some(8)),
            ("0x1F", Some(31)),
            ("7 ", None),
            ("", None),
            ("08", None),
            ("+-1", None),
            ("0x", None),
        ] {
            assert_eq!(parse(text), number, "{text:?}");
        }
        assert_eq!(parse(&"9".repeat(60)), Some(i128::MAX));
    }
}
