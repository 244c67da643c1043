// SPDX-License-Identifier: MIT OR Apache-2.0
//! Owners of files as values of options.

use std::str::FromStr;

/// An owner as the C tools take it: a negative number sets none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner(pub(crate) Option<u32>);

impl FromStr for Owner {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The greatest number is -1 to the kernel, which leaves the owner as it is then.
        match text.parse() {
            Ok(i64::MIN..=-1) => Ok(Self(None)),
            Ok(number) => match u32::try_from(number) {
                Err(_) | Ok(u32::MAX) => Err(format!("{text} is not in 0..={}", u32::MAX - 1)),
                Ok(number) => Ok(Self(Some(number))),
            },
            Err(_) => Err(format!("{text} is no number")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1000", Some(1000)),
            ("-1", None),
            ("-2", None),
            ("4294967294", Some(u32::MAX - 1)),
        ] {
            assert_eq!(text.parse(), Ok(Owner(expected)), "{text}");
        }
        for bad in ["", "x", "4294967295", "4294967296", "1.0"] {
            assert!(bad.parse::<Owner>().is_err(), "{bad}");
        }
    }
}
