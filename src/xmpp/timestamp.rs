//! Points in time as the protocol writes them (XEP-0082): milliseconds since 1970, UTC.
use std::fmt;

/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    pub fn days_before(self, days: u32) -> Timestamp {
        Timestamp(self.0.saturating_sub(i64::from(days) * DAY_MS))
    }

    /// XEP-0082 §3.2 DateTime: `CCYY-MM-DDThh:mm:ss[.sss]TZD`.
    pub fn parse(text: &str) -> Option<Timestamp> {
        let (date, time) = text.split_at_checked(10)?;
        let days = days_of(date)?;
        let time = time.strip_prefix('T')?;
        let (clock, rest) = time.split_at_checked(8)?;
        let mut parts = clock.split(':');
        let hours = number(parts.next()?, 2, 23)?;
        let minutes = number(parts.next()?, 2, 59)?;
        let seconds = number(parts.next()?, 2, 59)?;
        let (fraction_ms, zone) = split_fraction(rest)?;
        let ms = ((hours * 60 + minutes) * 60 + seconds) * 1000 + fraction_ms;
        Some(Timestamp(days * DAY_MS + ms - zone_offset_ms(zone)?))
    }

    /// Whole seconds since 1970.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }
}

/// Written with milliseconds only where there are any: `2026-11-24T01:02:03Z`, `2026-11-24T01:02:03.450Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.0.div_euclid(DAY_MS));
        let ms = self.0.rem_euclid(DAY_MS);
        let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
        )?;
        match ms % 1000 {
            0 => f.write_str("Z"),
            fraction => write!(f, ".{fraction:03}Z"),
        }
    }
}

fn split_fraction(rest: &str) -> Option<(i64, &str)> {
    let Some(rest) = rest.strip_prefix('.') else {
        return Some((0, rest));
    };
    let end = rest.find(|c: char| !c.is_ascii_digit())?;
    let (digits, zone) = rest.split_at_checked(end)?;
    if digits.is_empty() {
        return None;
    }
    let ms = digits
        .chars()
        .chain("00".chars())
        .take(3)
        .fold(0, |ms, c| ms * 10 + i64::from(c.to_digit(10).unwrap_or(0)));
    Some((ms, zone))
}

fn zone_offset_ms(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let (sign, clock) = match zone.split_at_checked(1)? {
        ("+", clock) => (1, clock),
        ("-", clock) => (-1, clock),
        _ => return None,
    };
    let (hours, minutes) = clock.split_once(':')?;
    Some(sign * (number(hours, 2, 14)? * 60 + number(minutes, 2, 59)?) * 60_000)
}

fn days_of(date: &str) -> Option<i64> {
    let mut parts = date.split('-');
    let year = number(parts.next()?, 4, 9999)?;
    let month = number(parts.next()?, 2, 12)?;
    let day = number(parts.next()?, 2, 31)?;
    if month == 0 || day == 0 {
        return None;
    }
    let days = days_from_civil(year, month, day);
    (civil(days) == (year, month, day)).then_some(days)
}

fn number(text: &str, digits: usize, max: i64) -> Option<i64> {
    let all_digits = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|n| all_digits && *n <= max)
}

/// Days since 1970 of a date of the proleptic Gregorian calendar; years begin in March so that leap days come last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_the_profile() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2002-09-10T23:08:25Z", 1_031_699_305_000),
            ("2010-07-20T17:29:12.123Z", 1_279_646_952_123),
            ("2024-02-29T23:59:59.999Z", 1_709_251_199_999),
            ("1969-12-31T23:59:59Z", -1000),
        ] {
            assert_eq!(Timestamp::parse(text), Some(Timestamp(ms)), "{text}");
            assert_eq!(Timestamp(ms).to_string(), text);
        }
        assert_eq!(
            Timestamp::parse("1969-07-20T21:56:15-05:00"),
            Timestamp::parse("1969-07-21T02:56:15Z")
        );
        assert_eq!(
            Timestamp::parse("2020-01-01T00:00:00.1234567Z"),
            Some(Timestamp(1_577_836_800_123))
        );
    }

    #[test]
    fn refuses_other_shapes() {
        for text in [
            "",
            "2020",
            "2020-13-01T00:00:00Z",
            "2021-02-29T00:00:00Z",
            "2020-01-01 00:00:00Z",
            "2020-01-01T00:00:00",
            "2020-01-01T00:00:00.Z",
            "2020-01-01T24:00:00Z",
            "2020-01-01T23:60:00Z",
            "2016-12-31T23:59:60Z",
        ] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }
}
