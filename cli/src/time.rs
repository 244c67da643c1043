// SPDX-License-Identifier: MIT OR Apache-2.0
//! Times as values of options, in the words of GNU date.

use anyhow::{Context as _, Result, ensure};
use formats::date;
use parse_datetime::{ParsedDateTime, parse_datetime};

/// Reads a time: a date, a time of day, a number of units `ago`, `@SECONDS`, and combinations. Without a zone it is local time.
///
/// # Errors
/// The text is no time, or one before 1970 or after the last that a commit can have.
pub(crate) fn parse(text: &str) -> Result<u64> {
    let advice = "give a time such as 2026-11-22, '2026-11-22 13:09:30 +0000', '30 days ago' or @SECONDS";
    let not_parsed = || format!("Could not parse '{text}'; {advice}");
    let words = text.trim();
    if let Some(seconds) =
        words.strip_prefix('@').and_then(|seconds| seconds.trim_start().parse::<i64>().ok())
    {
        return in_range(seconds, text);
    }
    // An empty time is the beginning of the day.
    match parse_datetime(if words.is_empty() { "0:00" } else { words }).with_context(not_parsed)? {
        ParsedDateTime::InRange(time) => in_range(time.timestamp().as_second(), text),
        // A year after 9999, or so close to its end that a zone leads there.
        ParsedDateTime::Extended(time) => {
            let day = [time.year.into(), time.month.into(), time.day.into()];
            let clock = [time.hour.into(), time.minute.into(), time.second.into()];
            in_range(date::seconds(day, clock) - i64::from(time.offset_seconds), text)
        }
    }
}

fn in_range(seconds: i64, text: &str) -> Result<u64> {
    ensure!(seconds >= 0, "Could not parse '{text}': it lies before 1970, and a commit counts from there");
    Ok(seconds.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, expected) in [
            ("@5", Some(5)),
            (" @ 5 ", Some(5)),
            ("@9223372036854775807", Some(9_223_372_036_854_775_807)),
            ("1970-01-02 00:00Z", Some(86_400)),
            ("October 25 1985 00:00 UTC", Some(499_046_400)),
            ("1970-01-01 00:00:00 -0030", Some(1800)),
            ("10000-01-01 00:00 UTC", Some(253_402_300_800)),
            ("@9223372036854775808", None),
            ("@-1", None),
            ("1969-12-31", None),
            ("2026-02-30", None),
            ("yesterday nonsense", None),
            ("292277026597-01-01", None),
        ] {
            assert_eq!(parse(text).ok(), expected, "{text}");
        }
        assert!(
            parse("30 days ago").unwrap() < parse("now").unwrap()
                && parse("").unwrap() <= parse("now").unwrap()
        );
    }
}
