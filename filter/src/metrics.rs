//! The filter's counters. Envoy shows them as `wasmcustom.nexus.…`.

use std::cell::Cell;

use nexus_core::engine::{Content, FetchFailure};
use nexus_core::reason::Reason;
use nexus_core::time::Millis;

use crate::host;

/// How long the proxy may go without being told what was counted.
pub(crate) const LONGEST_UNTOLD: Millis = Millis(1_000);

/// What is fetched to be kept.
const KEPT: [Content; 2] = [Content::Keys, Content::Revocations];

/// Counters by what they count. One that the host refuses to define is not counted.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    allowed: Tally,
    denied: Counters,
    would_deny: Counters,
    fetched: Counters,
    unchanged: Counters,
    stale: Counters,
    fetch_failed: Vec<((Content, &'static str), u32)>,
    cache_hit: Tally,
    cache_miss: Option<u32>,
    token_hit: Tally,
    token_miss: Option<u32>,
}

/// Counters by the number of what they count.
#[derive(Debug, Default)]
struct Counters(Vec<Option<u32>>);

impl Counters {
    fn set(&mut self, number: usize, counter: Option<u32>) {
        if self.0.len() <= number {
            self.0.resize(number.saturating_add(1), None);
        }
        if let Some(place) = self.0.get_mut(number) {
            *place = counter;
        }
    }

    fn count(&self, number: usize) {
        count(self.0.get(number).copied().flatten());
    }
}

/// A counter of what happens with most requests: the proxy is told of many at once.
#[derive(Debug, Default)]
struct Tally {
    counter: Option<u32>,
    /// How many it has not been told of.
    untold: Cell<u32>,
}

impl Tally {
    fn count(&self) {
        self.untold.set(self.untold.get().saturating_add(1));
    }

    fn tell(&self) {
        if let (Some(id), many @ 1..) = (self.counter, self.untold.take()) {
            add(id, many);
        }
    }
}

impl Metrics {
    /// Defines every counter, so that all of them are there from the start.
    pub(crate) fn define() -> Self {
        let counter = |name: &str| host::define_counter(&format!("nexus.{name}")).ok();
        let tally = |name: &str| Tally {
            counter: counter(name),
            untold: Cell::default(),
        };
        let for_reasons = |kind: &str| {
            let mut counters = Counters::default();
            for reason in Reason::ALL {
                let name = format!("{kind}.{}", reason.code());
                counters.set(*reason as usize, counter(&name));
            }
            counters
        };
        let of_contents = |contents: &[Content], name: fn(Content) -> String| {
            let mut counters = Counters::default();
            for content in contents {
                counters.set(*content as usize, counter(&name(*content)));
            }
            counters
        };
        Self {
            allowed: tally("allowed"),
            denied: for_reasons("denied"),
            would_deny: for_reasons("would_deny"),
            fetched: of_contents(&Content::ALL, |content| {
                format!("{}.success", content.counter())
            }),
            unchanged: of_contents(&KEPT, |content| format!("{}.unchanged", content.counter())),
            stale: of_contents(&KEPT, |content| {
                format!("{}.stale", content.counter().replace("fetch", "cache"))
            }),
            fetch_failed: Content::ALL
                .into_iter()
                .flat_map(|content| content.failures().iter().map(move |code| (content, *code)))
                .filter_map(|(content, code)| {
                    let id = counter(&format!("{}.{code}", content.counter()))?;
                    Some(((content, code), id))
                })
                .collect(),
            cache_hit: tally("jwks_cache.hit"),
            cache_miss: counter("jwks_cache.miss"),
            token_hit: tally("jwt_cache.hit"),
            token_miss: counter("jwt_cache.miss"),
        }
    }

    /// Whether there is something that the proxy has not been told of.
    pub(crate) fn has_untold(&self) -> bool {
        self.tallies().iter().any(|tally| tally.untold.get() > 0)
    }

    /// Tells the proxy.
    pub(crate) fn tell(&self) {
        for tally in self.tallies() {
            tally.tell();
        }
    }

    const fn tallies(&self) -> [&Tally; 3] {
        [&self.allowed, &self.cache_hit, &self.token_hit]
    }

    pub(crate) fn count_allowed(&self) {
        self.allowed.count();
    }

    pub(crate) fn count_denied(&self, reason: Reason) {
        self.denied.count(reason as usize);
    }

    /// A rule that only reports would have denied.
    pub(crate) fn count_would_deny(&self, reason: Reason) {
        self.would_deny.count(reason as usize);
    }

    pub(crate) fn count_fetched(&self, content: Content) {
        self.fetched.count(content as usize);
    }

    /// A source said that it has not changed.
    pub(crate) fn count_unchanged(&self, content: Content) {
        self.unchanged.count(content as usize);
    }

    /// Something stale came into use because its source fails.
    pub(crate) fn count_stale(&self, content: Content) {
        self.stale.count(content as usize);
    }

    pub(crate) fn count_fetch_failed(&self, content: Content, failure: &FetchFailure) {
        let wanted = (content, failure.code());
        let mut counters = self.fetch_failed.iter();
        let counter = counters.find(|(counted, _)| *counted == wanted);
        count(counter.map(|(_, id)| *id));
    }

    /// A request was judged with keys that were there already.
    pub(crate) fn count_cache_hit(&self) {
        self.cache_hit.count();
    }

    /// The tokens of a request were remembered, or one of them was not.
    pub(crate) fn count_token(&self, is_hit: bool) {
        match is_hit {
            true => self.token_hit.count(),
            false => count(self.token_miss),
        }
    }

    /// A request has to wait for keys.
    pub(crate) fn count_cache_miss(&self) {
        count(self.cache_miss);
    }
}

fn count(counter: Option<u32>) {
    if let Some(id) = counter {
        add(id, 1);
    }
}

fn add(id: u32, many: u32) {
    // A host that defined a counter counts; nothing depends on it.
    let _ = host::increment(id, many);
}
