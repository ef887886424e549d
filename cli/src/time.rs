//! Times and durations as people write and read them.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};

/// How the help texts describe a TIME.
pub(crate) const TIME_HELP: &str = "seconds since the epoch (`1700000000`), RFC 3339 \
     (`2023-11-14T22:13:20Z`), `now`, or an offset from now (`+5m`, `-1h30m`)";

/// A time as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Time {
    /// A point in time.
    At(Timestamp),
    /// So long after now; before it when negative.
    FromNow(SignedDuration),
}

impl Time {
    /// The point in time, where `now` is now. Saturates at the years -9999 and 9999.
    pub(crate) fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(timestamp) => timestamp,
            Self::FromNow(offset) => now.saturating_add(offset).unwrap_or(Timestamp::MAX),
        }
    }
}

/// Parses a [`Time`].
///
/// # Errors
/// A sentence for the user.
pub(crate) fn parse_time(text: &str) -> Result<Time, String> {
    if text == "now" {
        return Ok(Time::FromNow(SignedDuration::ZERO));
    }
    if let Ok(seconds) = text.parse::<i64>()
        && !text.starts_with(['+', '-'])
    {
        return Timestamp::from_second(seconds).map(Time::At).map_err(|_| {
            "seconds since the epoch end with the year 9999; are these milliseconds?".to_owned()
        });
    }
    if text.starts_with(['+', '-']) {
        let offset = text.strip_prefix('+').unwrap_or(text);
        return parse_duration(offset).map(Time::FromNow);
    }
    text.parse::<Timestamp>()
        .map(Time::At)
        .map_err(|_| format!("expected {TIME_HELP}"))
}

/// Parses a duration: numbers with units, `1h30m`, `90s`, `7 days`; a day has 24 hours.
///
/// # Errors
/// A sentence for the user.
pub(crate) fn parse_duration(text: &str) -> Result<SignedDuration, String> {
    let span: Span = text.parse().map_err(|_| {
        if text.parse::<f64>().is_ok() {
            format!("a duration needs a unit, as in `{text}s`")
        } else {
            "expected a duration such as `90s`, `1h30m` or `7d`".to_owned()
        }
    })?;
    span.to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| "months and years differ in length: use days or smaller units".to_owned())
}

/// What the machine's clock says.
pub(crate) fn system_now() -> Timestamp {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    SignedDuration::try_from(since_epoch)
        .ok()
        .and_then(|duration| Timestamp::from_duration(duration).ok())
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

/// A `--now` in effect: as given, else the machine's clock.
pub(crate) fn resolve_now(now: Option<Time>) -> Timestamp {
    let system = system_now();
    now.map_or(system, |time| time.resolve(system))
}

/// A NumericDate (RFC 7519 §2) in words: `2023-11-14T22:13:20Z, 372 s ago`.
pub(crate) fn date_in_words(seconds: i64, now: Timestamp) -> String {
    match Timestamp::from_second(seconds) {
        Ok(date) => format!("{date}, {}", distance(seconds, now)),
        Err(_) => "outside the years -9999 to 9999".to_owned(),
    }
}

/// How far a NumericDate is from now: `372 s ago`, `in 2 h 5 min`, `now`.
pub(crate) fn distance(seconds: i64, now: Timestamp) -> String {
    let difference = seconds.saturating_sub(now.as_second());
    let words = length_in_words(difference.unsigned_abs());
    match difference {
        0 => "now".to_owned(),
        1.. => format!("in {words}"),
        _ => format!("{words} ago"),
    }
}

/// A length of time in its two largest units; seconds alone below ten minutes.
pub(crate) fn length_in_words(seconds: u64) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    const YEAR: u64 = 365 * DAY;
    let days = |count: u64| format!("{count} day{}", if count == 1 { "" } else { "s" });
    let years = |count: u64| format!("{count} year{}", if count == 1 { "" } else { "s" });
    let two = |large: String, small_count: u64, small: String| match small_count {
        0 => large,
        _ => format!("{large} {small}"),
    };
    match seconds {
        0..600 => format!("{seconds} s"),
        600..HOUR => two(
            format!("{} min", seconds / MINUTE),
            seconds % MINUTE,
            format!("{} s", seconds % MINUTE),
        ),
        HOUR..DAY => {
            let minutes = seconds % HOUR / MINUTE;
            two(
                format!("{} h", seconds / HOUR),
                minutes,
                format!("{minutes} min"),
            )
        }
        DAY..YEAR => {
            let hours = seconds % DAY / HOUR;
            two(days(seconds / DAY), hours, format!("{hours} h"))
        }
        YEAR.. => {
            let rest = seconds % YEAR / DAY;
            two(years(seconds / YEAR), rest, days(rest))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn a_time_is_written_in_any_of_its_forms() {
        let now = at(1_700_000_000);
        for (text, seconds) in [
            ("0", 0),
            ("1700000000", 1_700_000_000),
            ("2023-11-14T22:13:20Z", 1_700_000_000),
            ("2023-11-14T23:13:20+01:00", 1_700_000_000),
            ("now", 1_700_000_000),
            ("+5m", 1_700_000_300),
            ("-1h30m", 1_700_000_000 - 5400),
            ("+7d", 1_700_000_000 + 7 * 86400),
        ] {
            let time = parse_time(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(time.resolve(now).as_second(), seconds, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_a_reason() {
        for (text, part) in [
            ("", "expected seconds"),
            ("yesterday", "expected seconds"),
            ("2023-11-14", "expected seconds"),
            ("1700000000000", "milliseconds"),
            ("-300", "needs a unit"),
            ("+1month", "use days"),
        ] {
            let error = parse_time(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn lengths_are_told_in_two_units() {
        for (seconds, words) in [
            (0, "0 s"),
            (372, "372 s"),
            (599, "599 s"),
            (600, "10 min"),
            (601, "10 min 1 s"),
            (3600, "1 h"),
            (5400, "1 h 30 min"),
            (86_400, "1 day"),
            (2 * 86_400 + 3 * 3600, "2 days 3 h"),
            (366 * 86_400, "1 year 1 day"),
            (3650 * 86_400, "10 years"),
        ] {
            assert_eq!(length_in_words(seconds), words);
        }
    }

    #[test]
    fn dates_are_told_with_their_distance() {
        let now = at(1_700_000_372);
        assert_eq!(
            date_in_words(1_700_000_000, now),
            "2023-11-14T22:13:20Z, 372 s ago"
        );
        assert_eq!(distance(1_700_000_372, now), "now");
        assert_eq!(distance(1_700_000_373, now), "in 1 s");
        assert_eq!(
            date_in_words(i64::MAX, now),
            "outside the years -9999 to 9999"
        );
        assert_eq!(
            date_in_words(i64::MIN, now),
            "outside the years -9999 to 9999"
        );
    }
}
