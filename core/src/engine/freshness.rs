//! What the headers of an answer say about how long it holds (RFC 9111), by which name the source knows it
//! (RFC 9110 §8.8.3), and when to ask again (RFC 9110 §10.2.3).
//!
//! They come from a source that is not trusted with more than its own content: what cannot be read is passed over,
//! and whoever uses a length of time from here bounds it.

use alloc::string::String;

use crate::time::{Millis, Timestamp};

/// The longest entity tag that is kept, in bytes.
const MAX_ETAG_BYTES: usize = 256;

/// What the headers of an answer say about its freshness.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Freshness {
    /// How long the answer is fresh from now on, in seconds.
    pub max_age_secs: Option<u64>,
    /// Its entity tag, with the quotes.
    pub etag: Option<String>,
    /// How long the source wants to be left alone, in seconds.
    pub retry_after_secs: Option<u64>,
}

impl Freshness {
    /// Reads the headers of an answer; names are in lower case, as proxies give them. Where they contradict
    /// each other, the shorter freshness and the longer pause count.
    pub fn of<'h>(headers: impl IntoIterator<Item = (&'h [u8], &'h [u8])>, now: Timestamp) -> Self {
        let mut found = Self::default();
        let mut age = 0;
        for (name, value) in headers {
            let Ok(value) = core::str::from_utf8(value) else {
                continue;
            };
            match name {
                b"cache-control" => {
                    let ages = value.split(',').filter_map(max_age);
                    found.max_age_secs = found.max_age_secs.into_iter().chain(ages).min();
                }
                b"age" => age = seconds(value).unwrap_or(0).max(age),
                b"etag" => found.etag = etag(value).map(String::from),
                b"retry-after" => {
                    let pause = seconds(value).or_else(|| seconds_until(value, now));
                    found.retry_after_secs = found.retry_after_secs.max(pause);
                }
                _ => {}
            }
        }
        found.max_age_secs = found
            .max_age_secs
            .map(|max_age| max_age.saturating_sub(age));
        found
    }

    /// How long the source wants to be left alone.
    pub(super) fn retry_after(&self) -> Millis {
        Millis::from_seconds(self.retry_after_secs.unwrap_or(0))
    }
}

/// The freshness in one directive of `Cache-Control` (RFC 9111 §5.2.2). Directives that forbid to keep an answer make
/// it one that is never fresh.
fn max_age(directive: &str) -> Option<u64> {
    let (name, value) = match directive.split_once('=') {
        Some((name, value)) => (name.trim(), value.trim().trim_matches('"')),
        None => (directive.trim(), ""),
    };
    if name.eq_ignore_ascii_case("max-age") {
        return seconds(value);
    }
    let forbids = ["no-store", "no-cache"]
        .iter()
        .any(|forbidding| name.eq_ignore_ascii_case(forbidding));
    forbids.then_some(0)
}

/// RFC 9111 §1.2.2: digits; more than can be counted is a very long time.
fn seconds(text: &str) -> Option<u64> {
    let text = text.trim();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

/// An entity tag, weak or strong, that can be sent back as it is.
pub(super) fn etag(value: &str) -> Option<&str> {
    let value = value.trim();
    let opaque = value.strip_prefix("W/").unwrap_or(value);
    let inner = opaque.strip_prefix('"')?.strip_suffix('"')?;
    let is_sendable = value.len() <= MAX_ETAG_BYTES
        && inner
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'"');
    is_sendable.then_some(value)
}

/// How long it is until a date in the form that RFC 9110 §5.6.7 has senders use, such as
/// `Sun, 06 Nov 1994 08:49:37 GMT`. Zero when it is over.
fn seconds_until(date: &str, now: Timestamp) -> Option<u64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let mut parts = date.trim().split(' ');
    let (_weekday, day, month, year, clock, zone) = (
        parts.next()?,
        number(parts.next()?, 2)?,
        parts.next()?,
        number(parts.next()?, 4)?,
        parts.next()?,
        parts.next()?,
    );
    let month = MONTHS.iter().position(|name| *name == month)?;
    let month = i64::try_from(month).ok()?.checked_add(1)?;
    let mut clock = clock.split(':');
    let (hours, minutes, secs) = (
        number(clock.next()?, 2)?,
        number(clock.next()?, 2)?,
        number(clock.next()?, 2)?,
    );
    let is_date = zone == "GMT"
        && parts.next().is_none()
        && clock.next().is_none()
        && (1..=31).contains(&day)
        && hours < 24
        && minutes < 60
        && secs <= 60;
    if !is_date {
        return None;
    }
    let at = days_from_civil(year, month, day)?
        .checked_mul(86_400)?
        .checked_add(hours.checked_mul(3600)?)?
        .checked_add(minutes.checked_mul(60)?)?
        .checked_add(secs)?;
    u64::try_from(at.checked_sub(now.as_seconds())?.max(0)).ok()
}

fn number(text: &str, digits: usize) -> Option<i64> {
    let is_number = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

/// Days since the epoch in the Gregorian calendar. Years begin in March here, so that a leap day is their last.
fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    let is_before_march = month <= 2;
    let year = year.checked_sub(i64::from(is_before_march))?;
    let month = month.checked_add(if is_before_march { 9 } else { -3 })?;
    let days_before_month = month.checked_mul(153)?.checked_add(2)?.checked_div(5)?;
    let leap_days = year
        .checked_div(4)?
        .checked_sub(year.checked_div(100)?)?
        .checked_add(year.checked_div(400)?)?;
    year.checked_mul(365)?
        .checked_add(leap_days)?
        .checked_add(days_before_month)?
        .checked_add(day)?
        // From the first of March of the year 0.
        .checked_sub(719_469)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(784_111_700);

    fn read(headers: &[(&str, &str)]) -> Freshness {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        Freshness::of(headers, NOW)
    }

    #[test]
    fn max_age_is_read() {
        for (value, expected) in [
            ("max-age=300", Some(300)),
            ("public, Max-Age = \"60\" , immutable", Some(60)),
            ("max-age=300, max-age=20", Some(20)),
            ("max-age=99999999999999999999999", Some(u64::MAX)),
            ("no-store", Some(0)),
            ("max-age=300, no-cache=\"set-cookie\"", Some(0)),
            ("max-age=-1", None),
            ("max-age=", None),
            ("max-age", None),
            ("s-maxage=5", None),
            ("", None),
        ] {
            let found = read(&[("cache-control", value)]);
            assert_eq!(found.max_age_secs, expected, "{value}");
        }
        let aged = read(&[("age", "100"), ("cache-control", "max-age=300")]);
        assert_eq!(aged.max_age_secs, Some(200));
        let old = read(&[("cache-control", "max-age=300"), ("age", "1000")]);
        assert_eq!(old.max_age_secs, Some(0));
        let twice = read(&[
            ("cache-control", "max-age=300"),
            ("cache-control", "max-age=5"),
        ]);
        assert_eq!(twice.max_age_secs, Some(5));
    }

    #[test]
    fn etag_is_kept_if_it_can_be_sent_back() {
        let long = std::format!("\"{}\"", "a".repeat(MAX_ETAG_BYTES));
        for (value, kept) in [
            ("\"abc\"", true),
            ("W/\"abc\"", true),
            ("\"\"", true),
            ("abc", false),
            ("\"a b\"", false),
            ("\"a\"b\"", false),
            ("\"a\r\nx: y\"", false),
            (long.as_str(), false),
        ] {
            let found = read(&[("etag", value)]).etag;
            assert_eq!(found.as_deref(), kept.then_some(value), "{value}");
        }
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        for (value, expected) in [
            ("120", Some(120)),
            ("0", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(77)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("Mon, 07 Nov 1994 08:48:20 GMT", Some(86_400)),
            ("Tue, 07 Mar 1995 08:48:20 GMT", Some(121 * 86_400)),
            ("Sun, 06 Nov 1994 08:49:37 CET", None),
            ("Sun, 6 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 24:49:37 GMT", None),
            ("Sunday, 06-Nov-94 08:49:37 GMT", None),
            ("soon", None),
            ("-5", None),
            ("", None),
        ] {
            let found = read(&[("retry-after", value)]).retry_after_secs;
            assert_eq!(found, expected, "{value}");
        }
    }

    #[test]
    fn days_are_counted_as_in_the_calendar() {
        for (date, days) in [
            ((1970, 1, 1), 0),
            ((1969, 12, 31), -1),
            ((2000, 2, 29), 11_016),
            ((2000, 3, 1), 11_017),
            ((2026, 11, 22), 20_779),
        ] {
            let (year, month, day) = date;
            assert_eq!(days_from_civil(year, month, day), Some(days), "{date:?}");
        }
    }
}
