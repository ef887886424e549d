//! A place where keys are published, and how it fails.

use nexus_core::engine::{Content, FetchAnswer, Freshness};
use serde_json::json;

use super::keys::{self, KEYS, KeySet};
use super::random::Random;
use super::world::{DISCOVERED, LIST_PLACE, PROVIDERS};

/// What a place does with a request.
#[derive(Debug, Clone)]
pub(crate) struct Served {
    /// The keys that it said are published; `None` when it said nothing of use.
    pub(crate) keys: Option<KeySet>,
    pub(crate) answer: FetchAnswer<'static>,
    /// What it said about how long that holds.
    pub(crate) max_age_secs: Option<u64>,
    /// How long it asked to be left alone.
    pub(crate) retry_after_secs: u64,
}

/// What a request is for, and where.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) content: Content,
    pub(crate) path: String,
}

/// How a place behaves for all of a run.
#[derive(Debug, Clone)]
struct Habits {
    /// Of a hundred answers, how many are of no use.
    failing: u64,
    sends_etags: bool,
    /// What it says about freshness, one of these.
    max_ages: &'static [Option<u64>],
    /// Whether the order of its keys changes.
    is_unordered: bool,
    has_decoys: bool,
}

#[derive(Debug)]
pub(crate) struct Place {
    index: usize,
    habits: Habits,
    published: KeySet,
    /// When a key was taken from the set last.
    withdrawn: [Option<u64>; KEYS],
    /// When a key was put into the set last.
    added: [u64; KEYS],
    /// Until when it does not answer at all.
    pub(crate) down_until: u64,
    /// Where its keys are, if their issuer is asked: a number that changes when they move.
    location: u32,
    /// Until when the issuer does not say where they are.
    pub(crate) unsaid_until: u64,
    /// Whether the issuer says so at the first of the paths where it is asked.
    says_at_once: bool,
    /// Whether it works without fault from now on.
    pub(crate) is_healed: bool,
}

impl Place {
    pub(crate) fn new(index: usize, random: &mut Random) -> Self {
        let steady: &[Option<u64>] = &[None];
        let advising: &[Option<u64>] = &[None, Some(0), Some(90), Some(400), Some(u64::MAX)];
        let first = random.index(KEYS);
        Self {
            index,
            habits: Habits {
                failing: random.pick(&[0, 10, 50]),
                sends_etags: random.percent(50),
                max_ages: random.pick(&[steady, advising]),
                is_unordered: random.percent(25),
                has_decoys: random.percent(25),
            },
            published: KeySet::default().with(first),
            withdrawn: [None; KEYS],
            added: [0; KEYS],
            down_until: 0,
            location: 0,
            unsaid_until: 0,
            says_at_once: random.percent(50),
            is_healed: false,
        }
    }

    pub(crate) const fn published(&self) -> KeySet {
        self.published
    }

    /// Since when a key is withdrawn, if it was published and is not any more.
    pub(crate) fn withdrawn_since(&self, key: usize) -> Option<u64> {
        self.withdrawn[key].filter(|_| !self.published.has(key))
    }

    /// Since when a key is published, if it is.
    pub(crate) fn published_since(&self, key: usize) -> Option<u64> {
        self.published.has(key).then_some(self.added[key])
    }

    /// Whether it ever published the key.
    pub(crate) fn knows(&self, key: usize) -> bool {
        self.published.has(key) || self.withdrawn[key].is_some()
    }

    /// Publishes another key, withdraws one, or both; it never is without.
    pub(crate) fn rotate(&mut self, random: &mut Random, now: u64) {
        let (new, old) = (random.index(KEYS), random.index(KEYS));
        if !self.published.has(new) && random.percent(75) {
            self.published = self.published.with(new);
            self.added[new] = now;
        }
        let rest = self.published.without(old);
        if self.published.has(old) && rest != KeySet::default() {
            self.published = rest;
            self.withdrawn[old] = Some(now);
        }
    }

    /// Has the keys somewhere else from now on, and not any more where they were.
    pub(crate) const fn relocate(&mut self) {
        self.location += 1;
    }

    /// What it says to a request that reaches it now: to one for what it publishes, or for where that is.
    pub(crate) fn serve(
        &self,
        asked: &Asked,
        if_none_match: Option<&str>,
        random: &mut Random,
        now: u64,
    ) -> Served {
        if asked.content == Content::Metadata {
            return self.serve_metadata(&asked.path, random, now);
        }
        if self.index == DISCOVERED && asked.path != self.path() {
            return Served::useless(FetchAnswer::response(404, Vec::new()));
        }
        if !self.is_healed && (now < self.down_until || random.percent(self.habits.failing)) {
            return self.fail(random, if_none_match.is_some());
        }
        let max_age_secs = random.pick(self.habits.max_ages);
        let backwards = self.habits.is_unordered && random.percent(50);
        let etag = self
            .habits
            .sends_etags
            .then(|| format!("\"{}-{backwards}\"", self.published.0));
        let is_unchanged = etag.is_some() && etag.as_deref() == if_none_match;
        let freshness = Freshness {
            max_age_secs,
            etag,
            retry_after_secs: None,
        };
        let answer = match is_unchanged {
            true => FetchAnswer::response(304, Vec::new()),
            false => {
                let decoys = self.habits.has_decoys;
                let body = match self.index {
                    LIST_PLACE => keys::list(self.published),
                    _ => keys::body(self.index, self.published, backwards, decoys),
                };
                FetchAnswer::response(200, body)
            }
        };
        Served {
            keys: Some(self.published),
            answer: answer.with_freshness(freshness),
            max_age_secs,
            retry_after_secs: 0,
        }
    }

    fn path(&self) -> String {
        format!("/jwks-{}", self.location)
    }

    fn serve_metadata(&self, path: &str, random: &mut Random, now: u64) -> Served {
        let is_down = now < self.down_until.max(self.unsaid_until);
        if !self.is_healed && (is_down || random.percent(self.habits.failing)) {
            let (status, body) = random.pick(&[
                (500, ""),
                (404, ""),
                (200, "<html>"),
                (200, "{}"),
                (
                    200,
                    r#"{"issuer":"https://idp-2.example.com","jwks_uri":"https://example.com/"}"#,
                ),
                (
                    200,
                    r#"{"issuer":"https://example.com","jwks_uri":"https://idp-2.example.com/"}"#,
                ),
            ]);
            return Served::useless(FetchAnswer::response(status, body.as_bytes()));
        }
        if !self.says_at_once && path.ends_with("one") {
            return Served::useless(FetchAnswer::response(404, Vec::new()));
        }
        let issuer = PROVIDERS
            .iter()
            .find(|provider| provider.place == self.index)
            .expect("somebody has its keys there")
            .issuer;
        let uri = format!("https://idp-2.example.com{}", self.path());
        let document = json!({ "issuer": issuer, "jwks_uri": uri }).to_string();
        Served::useless(FetchAnswer::response(200, document.into_bytes()))
    }

    fn fail(&self, random: &mut Random, is_conditional: bool) -> Served {
        let empty: &[u8] = b"";
        let no_keys: &[u8] = b"{\"keys\":[]}";
        let unusable: &[u8] =
            b"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"X25519\",\"kid\":\"key-0\"}]}";
        let (status, body) = random.pick(&[
            (500, empty),
            (503, empty),
            (429, empty),
            (301, empty),
            // Only what was asked for by an entity tag can be unchanged.
            (304, empty),
            (200, empty),
            (200, b"<html>"),
            (200, b"{}"),
            (200, b"{\"keys\":7}"),
            (200, no_keys),
            (200, unusable),
        ]);
        if random.percent(15) || status == 304 && is_conditional {
            return Served::useless(FetchAnswer::NoResponse);
        }
        // What is an error is no set, whatever it carries.
        let body = match status {
            500 => keys::body(self.index, KeySet(u8::MAX), false, false),
            _ => body.to_vec(),
        };
        let retry_after_secs = match status {
            429 | 503 => random.pick(&[0, 5, 20, 100, 10_000]),
            _ => 0,
        };
        let answer = FetchAnswer::response(status, body).with_freshness(Freshness {
            retry_after_secs: Some(retry_after_secs),
            max_age_secs: Some(10_000),
            etag: Some("\"wrong\"".into()),
        });
        Served {
            retry_after_secs,
            ..Served::useless(answer)
        }
    }
}

impl Served {
    pub(crate) const fn useless(answer: FetchAnswer<'static>) -> Self {
        Self {
            keys: None,
            answer,
            max_age_secs: None,
            retry_after_secs: 0,
        }
    }
}
