//! How long things hold and how long to wait: freshness, refreshes, and the pauses behind failures.

use crate::config::DEFAULT_CACHE_TTL_SECS;
use crate::time::Millis;

/// The first pause behind a fetch that failed, and between fetches because of an unknown `kid`.
pub(super) const FIRST_PAUSE: Millis = Millis(1_000);

/// The longest of these pauses.
pub(super) const LONGEST_PAUSE: Millis = Millis(60_000);

/// The longest pause that a source may ask for.
pub const LONGEST_RETRY_AFTER: Millis = Millis(300_000);

/// The bounds of what a source says about its freshness, in seconds.
pub const MAX_AGE_BOUNDS_SECS: (u64, u64) = (60, 3_600);

/// How long something fetched is fresh.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) enum Lifetime {
    /// As the operator says.
    Fixed(Millis),
    /// As the source says, within [`MAX_AGE_BOUNDS_SECS`], else [`DEFAULT_CACHE_TTL_SECS`].
    Advised,
}

impl Lifetime {
    /// As the operator says, if there is a say; at least a second.
    pub(in crate::engine) fn of(cache_ttl_secs: Option<u64>) -> Self {
        match cache_ttl_secs {
            Some(seconds) => Self::Fixed(Millis::from_seconds(seconds.max(1))),
            None => Self::Advised,
        }
    }

    /// How long it is, where the source says this about its freshness.
    pub(in crate::engine) fn with(self, max_age_secs: Option<u64>) -> Millis {
        let (least, most) = MAX_AGE_BOUNDS_SECS;
        match (self, max_age_secs) {
            (Self::Fixed(time), _) => time,
            (Self::Advised, Some(seconds)) => Millis::from_seconds(seconds.clamp(least, most)),
            (Self::Advised, None) => Millis::from_seconds(DEFAULT_CACHE_TTL_SECS),
        }
    }
}

/// When something fetched is refreshed: between 80 % and 90 % of their time to live.
pub(in crate::engine) fn refresh_after(time_to_live: Millis, jitter: u64) -> Millis {
    let share = jitter.min(1000).saturating_add(8000);
    Millis(
        time_to_live
            .0
            .saturating_mul(share)
            .checked_div(10_000)
            .unwrap_or(0)
            .max(1),
    )
}

/// How long a source is left alone behind its failure number `failures` in a row, counted from 0: our own pause, or
/// the longer one that it `asked` for, up to [`LONGEST_RETRY_AFTER`].
pub(in crate::engine) fn retry_after(failures: u32, jitter: u64, asked: Millis) -> Millis {
    pause(failures, jitter).max(asked).min(LONGEST_RETRY_AFTER)
}

/// The pause behind the failure number `failures` in a row, counted from 0: it doubles from
/// [`FIRST_PAUSE`] to [`LONGEST_PAUSE`], less up to a tenth.
pub(super) fn pause(failures: u32, jitter: u64) -> Millis {
    let doubled = FIRST_PAUSE
        .0
        .saturating_mul(1_u64.checked_shl(failures.min(16)).unwrap_or(u64::MAX))
        .min(LONGEST_PAUSE.0);
    let less = doubled
        .saturating_mul(jitter.min(1000))
        .checked_div(10_000)
        .unwrap_or(0);
    Millis(doubled.saturating_sub(less))
}
