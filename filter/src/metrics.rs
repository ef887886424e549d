//! The filter's counters. Envoy shows them as `wasmcustom.nexus.…`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::Cell;

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
    allowed: Counter,
    denied: Counters,
    would_deny: Counters,
    fetched: Counters,
    unchanged: Counters,
    stale: Counters,
    fetch_failed: Vec<((Content, &'static str), Counter)>,
    cache_hit: Counter,
    cache_miss: Counter,
    token_hit: Counter,
    token_miss: Counter,
    /// Whether the proxy has not been told of all that was counted.
    has_untold: Cell<bool>,
}

/// A counter, and what the proxy has not been told of it: that happens many times for one call.
#[derive(Debug, Default)]
struct Counter {
    id: Option<u32>,
    untold: Cell<u32>,
}

impl Counter {
    fn define(name: &str) -> Self {
        Self {
            id: host::define_counter(&format!("nexus.{name}")).ok(),
            untold: Cell::default(),
        }
    }

    fn tell(&self) {
        if let (Some(id), many @ 1..) = (self.id, self.untold.take()) {
            // A host that defined a counter counts; nothing depends on it.
            let _ = host::increment(id, many);
        }
    }
}

/// Counters by the number of what they count.
#[derive(Debug, Default)]
struct Counters(Vec<Counter>);

impl Counters {
    /// Of the counters of these numbers, those between that are none of them are not defined.
    fn define(names: impl Iterator<Item = (usize, String)>) -> Self {
        let mut counters = Vec::new();
        for (number, name) in names {
            if counters.len() <= number {
                counters.resize_with(number.saturating_add(1), Counter::default);
            }
            if let Some(place) = counters.get_mut(number) {
                *place = Counter::define(&name);
            }
        }
        Self(counters)
    }
}

impl Metrics {
    /// Defines every counter, so that all of them are there from the start.
    pub(crate) fn define() -> Self {
        let for_reasons = |kind: &str| {
            let reasons = Reason::ALL.iter();
            Counters::define(
                reasons.map(|reason| (*reason as usize, format!("{kind}.{}", reason.code()))),
            )
        };
        let of_contents = |contents: &[Content], name: fn(Content) -> String| {
            let contents = contents.iter();
            Counters::define(contents.map(|content| (*content as usize, name(*content))))
        };
        Self {
            allowed: Counter::define("allowed"),
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
                .map(|(content, code)| {
                    let name = format!("{}.{code}", content.counter());
                    ((content, code), Counter::define(&name))
                })
                .collect(),
            cache_hit: Counter::define("jwks_cache.hit"),
            cache_miss: Counter::define("jwks_cache.miss"),
            token_hit: Counter::define("jwt_cache.hit"),
            token_miss: Counter::define("jwt_cache.miss"),
            has_untold: Cell::default(),
        }
    }

    /// Whether there is something that the proxy has not been told of.
    pub(crate) fn has_untold(&self) -> bool {
        self.has_untold.get()
    }

    /// Tells the proxy.
    pub(crate) fn tell(&self) {
        if !self.has_untold.take() {
            return;
        }
        let kinds = [
            &self.denied,
            &self.would_deny,
            &self.fetched,
            &self.unchanged,
            &self.stale,
        ];
        let failed = self.fetch_failed.iter().map(|(_, counter)| counter);
        [
            &self.allowed,
            &self.cache_hit,
            &self.cache_miss,
            &self.token_hit,
            &self.token_miss,
        ]
        .into_iter()
        .chain(kinds.into_iter().flat_map(|counters| &counters.0))
        .chain(failed)
        .for_each(Counter::tell);
    }

    fn count(&self, counter: Option<&Counter>) {
        if let Some(Counter { untold, .. }) = counter {
            untold.set(untold.get().saturating_add(1));
            self.has_untold.set(true);
        }
    }

    fn count_one(&self, counters: &Counters, number: usize) {
        self.count(counters.0.get(number));
    }

    pub(crate) fn count_allowed(&self) {
        self.count(Some(&self.allowed));
    }

    pub(crate) fn count_denied(&self, reason: Reason) {
        self.count_one(&self.denied, reason as usize);
    }

    /// A rule that only reports would have denied.
    pub(crate) fn count_would_deny(&self, reason: Reason) {
        self.count_one(&self.would_deny, reason as usize);
    }

    pub(crate) fn count_fetched(&self, content: Content) {
        self.count_one(&self.fetched, content as usize);
    }

    /// A source said that it has not changed.
    pub(crate) fn count_unchanged(&self, content: Content) {
        self.count_one(&self.unchanged, content as usize);
    }

    /// Something stale came into use because its source fails.
    pub(crate) fn count_stale(&self, content: Content) {
        self.count_one(&self.stale, content as usize);
    }

    pub(crate) fn count_fetch_failed(&self, content: Content, failure: &FetchFailure) {
        let wanted = (content, failure.code());
        let mut counters = self.fetch_failed.iter();
        let counter = counters.find(|(counted, _)| *counted == wanted);
        self.count(counter.map(|(_, counter)| counter));
    }

    /// A request was judged with keys that were there already.
    pub(crate) fn count_cache_hit(&self) {
        self.count(Some(&self.cache_hit));
    }

    /// A request has to wait for keys.
    pub(crate) fn count_cache_miss(&self) {
        self.count(Some(&self.cache_miss));
    }

    /// The tokens of a request were remembered, or one of them was not.
    pub(crate) fn count_token(&self, is_hit: bool) {
        self.count(Some(match is_hit {
            true => &self.token_hit,
            false => &self.token_miss,
        }));
    }
}
