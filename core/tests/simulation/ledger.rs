//! What the fetches of a process may be: the budget that they have to keep to, worked out from outside.
//!
//! Every round of fetching needs a reason: nothing was fetched yet, what was fetched is due by the time to live of
//! whoever fetches, the last round failed and the pause behind it is over, or somebody brought a `kid` that is not
//! known and the pause behind the last round of that kind is over. And there must be nobody else at work, as far as a
//! lease tells. What happens behind a fault that excuses a process from all that is paid from an allowance.

use super::keys::KeySet;
use super::settings::{Settings, advised_secs};

/// The share of a pause that is certain: jitter takes up to a tenth of it.
fn certain(pause: u64) -> u64 {
    pause * 9 / 10
}

/// The pause behind so many rounds of a kind, counted from 1, in milliseconds.
fn doubled(rounds: u32) -> u64 {
    (1_000 << rounds.saturating_sub(1).min(16)).min(60_000)
}

/// How much longer than its timeout a fetch may take before it is given up.
const GRACE: u64 = 1_000;

/// How long after the last pause for an unknown `kid` they begin anew.
const QUIET: u64 = 600_000;

/// The longest pause that a place may ask for.
const LONGEST_RETRY_AFTER: u64 = 300_000;

/// A round that brought something.
#[derive(Debug, Clone)]
pub(crate) struct Success {
    pub(crate) began: u64,
    pub(crate) done: u64,
    pub(crate) by: u32,
    /// For which provider, or for the list.
    pub(crate) source: usize,
    pub(crate) keys: KeySet,
    pub(crate) max_age_secs: Option<u64>,
}

/// A round that is about to begin.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) at: u64,
    pub(crate) by: u32,
    pub(crate) timeout_ms: u64,
    /// When this engine last could not place the `kid` of a token.
    pub(crate) asked: Option<u64>,
    pub(crate) settings: Settings,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Who is at work, and until when it may be.
    lease: Option<(u32, u64)>,
    successes: Vec<Success>,
    /// Rounds that failed since the last success.
    failures: u32,
    /// Behind failures: when the place may be asked again.
    retry_at: u64,
    refetches: u32,
    refetch_at: u64,
    /// How many rounds without a reason are forgiven.
    allowance: u64,
    /// How many rounds there were.
    pub(crate) rounds: u64,
}

impl Ledger {
    /// Forgives so many rounds that begin without a reason.
    pub(crate) fn forgive(&mut self, rounds: u64) {
        self.allowance += rounds;
    }

    /// The shortest of what a place has said about the freshness of those keys: it is what it said behind a `304` that says
    /// nothing about it, or less.
    pub(crate) fn shortest_max_age(&self, keys: KeySet) -> Option<u64> {
        let said = self.successes.iter().filter(|it| it.keys == keys);
        let said = said.map(|it| it.max_age_secs);
        said.min_by_key(|secs| advised_secs(*secs)).flatten()
    }

    /// What was fetched, the latest last.
    pub(crate) fn successes(&self) -> &[Success] {
        &self.successes
    }

    /// Takes note of a round that begins.
    ///
    /// # Errors
    /// When it has no reason to.
    pub(crate) fn begin(&mut self, round: &Round) -> Result<(), String> {
        self.rounds += 1;
        let verdict = self.judge(round);
        self.lease = Some((round.by, round.at + round.timeout_ms + GRACE));
        match verdict {
            Err(_) if self.allowance > 0 => {
                self.allowance -= 1;
                Ok(())
            }
            verdict => verdict,
        }
    }

    /// Takes note of another request of a round.
    pub(crate) fn go_on(&mut self, by: u32, at: u64, timeout_ms: u64) {
        if self
            .lease
            .is_none_or(|(who, until)| who == by || until <= at)
        {
            self.lease = Some((by, at + timeout_ms + GRACE));
        }
    }

    fn judge(&mut self, round: &Round) -> Result<(), String> {
        if let Some((who, until)) = self.lease {
            if round.at < until {
                return Err(format!("engine {who} may be at work until {until}"));
            }
        }
        if self.failures > 0 {
            return match round.at < self.retry_at {
                true => Err(format!(
                    "it failed {} times and is to be left alone until {}",
                    self.failures, self.retry_at
                )),
                false => Ok(()),
            };
        }
        let Some(last) = self.successes.last() else {
            return Ok(());
        };
        let due = last.done + round.settings.time_to_live(last.max_age_secs) * 8 / 10;
        if due <= round.at {
            return Ok(());
        }
        // Who asked while that was fetched may want what was published meanwhile.
        if round.asked.is_none_or(|asked| asked < last.began) {
            return Err(format!(
                "engine {} has fetched since {}, which is fresh until {due}, and nobody asked for more",
                last.by, last.began
            ));
        }
        if round.at < self.refetch_at {
            return Err(format!(
                "unknown keys had it fetched {} times, and may again at {}",
                self.refetches, self.refetch_at
            ));
        }
        if self.refetch_at + QUIET <= round.at {
            self.refetches = 0;
        }
        self.refetches += 1;
        self.refetch_at = round.at + doubled(self.refetches);
        Ok(())
    }

    /// Takes note of a round that brought something.
    pub(crate) fn succeed(&mut self, success: Success) {
        self.release(success.by);
        self.failures = 0;
        if let Some(last) = self.successes.last() {
            if last.keys != success.keys {
                self.refetches = 0;
                self.refetch_at = success.done + 1_000;
            }
        }
        let at = self
            .successes
            .partition_point(|other| other.began <= success.began);
        self.successes.insert(at, success);
    }

    /// Takes note of a round that was of no use, at a place that wants to be left alone for so long.
    pub(crate) fn fail(&mut self, by: u32, began: u64, now: u64, retry_after_secs: u64) {
        self.release(by);
        // What another one fetched meanwhile shows that the place works, unless it gave way to a round that began later.
        let gave_way = |it: &Success| {
            let mut others = self.successes.iter();
            others.any(|other| it.began < other.began && other.done <= it.done)
        };
        let mut others = self.successes.iter();
        if others.any(|other| other.done > began && !gave_way(other)) {
            return;
        }
        self.failures += 1;
        let asked = retry_after_secs
            .saturating_mul(1_000)
            .min(LONGEST_RETRY_AFTER);
        self.retry_at = now + certain(doubled(self.failures)).max(asked);
    }

    /// Takes note that an engine is not at work any more.
    pub(crate) fn release(&mut self, by: u32) {
        self.lease = self.lease.filter(|(who, _)| *who != by);
    }
}
