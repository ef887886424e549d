//! What the engine will do behind an answer, for those who ask before there is a proxy.
//!
//! It is said by the functions that the engine itself goes by, so that it cannot be something else than what happens.

use alloc::string::String;

use super::content::read_keys;
use super::fetch::{FetchAnswer, FetchFailure};
use super::source::{Lifetime, refresh_after, retry_after};
use crate::config::Remote;
use crate::time::Millis;

/// The largest jitter, see [`refresh_after`].
const MOST_JITTER: u64 = 1000;

/// What follows from the first answer of a source of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prospect {
    /// Its keys are used.
    Taken {
        /// How long they are fresh.
        time_to_live: Millis,
        /// When they are fetched again: at the earliest and at the latest. Which of the times between is chosen at
        /// random.
        refresh_after: (Millis, Millis),
        /// How long behind their freshness they stay in use while the source fails.
        max_stale: Millis,
        /// The entity tag that the next request has as `if-none-match`.
        if_none_match: Option<String>,
    },
    /// It is of no use.
    Refused {
        /// Why.
        failure: FetchFailure,
        /// When the source is asked again: at the earliest and at the latest, behind the first failure.
        retry_after: (Millis, Millis),
    },
}

impl Prospect {
    /// What follows from this first answer of the source `remote`.
    pub fn of_keys(answer: FetchAnswer<'_>, remote: &Remote) -> Self {
        let freshness = answer.freshness();
        match read_keys(answer, &[]) {
            Ok(_) => {
                let time_to_live = Lifetime::of(remote.cache_ttl_secs).with(freshness.max_age_secs);
                Self::Taken {
                    time_to_live,
                    refresh_after: (
                        refresh_after(time_to_live, 0),
                        refresh_after(time_to_live, MOST_JITTER),
                    ),
                    max_stale: Millis::from_seconds(remote.max_stale_secs),
                    if_none_match: freshness.etag,
                }
            }
            Err(failure) => Self::Refused {
                failure,
                // Jitter makes pauses shorter.
                retry_after: (
                    retry_after(0, MOST_JITTER, freshness.retry_after()),
                    retry_after(0, 0, freshness.retry_after()),
                ),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Freshness;

    const KEYS: &[u8] = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

    fn prospect(
        status: u16,
        body: &[u8],
        freshness: Freshness,
        cache_ttl_secs: Option<u64>,
    ) -> Prospect {
        let remote = Remote {
            url: "https://idp.test/keys".into(),
            cluster: "idp".into(),
            scheme: "https".into(),
            authority: "idp.test".into(),
            path: "/keys".into(),
            timeout_ms: 5000,
            cache_ttl_secs,
            max_stale_secs: 60,
        };
        let answer = FetchAnswer::response(status, body).with_freshness(freshness);
        Prospect::of_keys(answer, &remote)
    }

    fn max_age(seconds: Option<u64>) -> Freshness {
        Freshness {
            max_age_secs: seconds,
            ..Freshness::default()
        }
    }

    #[test]
    fn keys_are_fresh_for_as_long_as_the_policy_or_the_source_says() {
        for (cache_ttl_secs, said, secs) in [
            (None, None, 300),
            (None, Some(1), 60),
            (None, Some(600), 600),
            (None, Some(u64::MAX), 3600),
            (Some(10), Some(600), 10),
            (Some(0), None, 1),
        ] {
            let expected = Prospect::Taken {
                time_to_live: Millis(secs * 1000),
                refresh_after: (Millis(secs * 800), Millis(secs * 900)),
                max_stale: Millis(60_000),
                if_none_match: None,
            };
            let found = prospect(200, KEYS, max_age(said), cache_ttl_secs);
            assert_eq!(found, expected, "{cache_ttl_secs:?} {said:?}");
        }
    }

    #[test]
    fn a_source_of_no_use_is_left_alone_for_as_long_as_it_asks_up_to_a_bound() {
        for (status, body, retry_after_secs, failure, retry_after) in [
            (404, KEYS, None, FetchFailure::Status(404), (900, 1000)),
            (
                429,
                KEYS,
                Some(20),
                FetchFailure::Status(429),
                (20_000, 20_000),
            ),
            (
                503,
                KEYS,
                Some(9999),
                FetchFailure::Status(503),
                (300_000, 300_000),
            ),
            (304, KEYS, None, FetchFailure::Status(304), (900, 1000)),
            (
                200,
                br#"{"keys":[]}"#,
                None,
                FetchFailure::NoUsableKey,
                (900, 1000),
            ),
        ] {
            let freshness = Freshness {
                retry_after_secs,
                ..Freshness::default()
            };
            let expected = Prospect::Refused {
                failure,
                retry_after: (Millis(retry_after.0), Millis(retry_after.1)),
            };
            assert_eq!(
                prospect(status, body, freshness, None),
                expected,
                "{status}"
            );
        }
    }
}
