// SPDX-License-Identifier: MIT OR Apache-2.0
//! Dates as people write them.

/// The last second of the year 9999, after which a year has more digits.
pub const LAST: u64 = 253_402_300_799;
/// Seconds of a day.
const DAY: i64 = 86_400;

/// `2026-11-22 13:09:30 +0000`.
pub fn format(timestamp: u64) -> String {
    let Ok(seconds) = i64::try_from(timestamp) else { return format!("@{timestamp}") };
    let (year, month, day) = civil(seconds.div_euclid(DAY));
    let second = seconds.rem_euclid(DAY);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{:02} +0000", second % 60)
}

/// `Sun Nov 22 13:09:30 2026`, in UTC.
pub fn format_ctime(timestamp: u64) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    // The first day of the count, 1970-01-01, was one.
    const FROM_THURSDAY: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let Ok(seconds) = i64::try_from(timestamp) else { return format!("@{timestamp}") };
    let days = seconds.div_euclid(DAY);
    let (year, month, day) = civil(days);
    let name = |names: &[&'static str], index: i64| {
        usize::try_from(index).ok().and_then(|index| names.get(index).copied()).unwrap_or("?")
    };
    let (weekday, month) = (name(&FROM_THURSDAY, days.rem_euclid(7)), name(&MONTHS, month - 1));
    let second = seconds.rem_euclid(DAY);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{weekday} {month} {day:2} {hour:02}:{minute:02}:{:02} {year}", second % 60)
}

/// Year, month and day of a day since 1970-01-01, in the proleptic Gregorian calendar: years begin in March here,
/// so that the day that is sometimes there comes last, and 400 of them have 146,097 days.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// Returns the seconds since 1970-01-01 of a time in UTC; of a day that its month lacks, those of a day after it.
pub fn seconds([year, month, day]: [i64; 3], [hour, minute, second]: [i64; 3]) -> i64 {
    days(year, month, day) * DAY + hour * 3600 + minute * 60 + second
}

/// The inverse of [`civil`].
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (timestamp, text, day, time) in [
            (0, "1970-01-01 00:00:00 +0000", [1970, 1, 1], [0, 0, 0]),
            (951_782_400, "2000-02-29 00:00:00 +0000", [2000, 2, 29], [0, 0, 0]),
            (1_795_352_970, "2026-11-22 13:09:30 +0000", [2026, 11, 22], [13, 9, 30]),
        ] {
            assert_eq!(format(timestamp), text);
            assert_eq!(u64::try_from(seconds(day, time)), Ok(timestamp));
        }
    }

    #[test]
    fn ctime() {
        assert_eq!(format_ctime(1500), "Thu Jan  1 00:25:00 1970");
        assert_eq!(format_ctime(1_795_352_970), "Sun Nov 22 13:09:30 2026");
        assert_eq!(format_ctime(u64::MAX), "@18446744073709551615");
    }
}
