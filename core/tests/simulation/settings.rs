//! The policies that the engines of a run get, one after the other.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};

use nexus_core::config::Config;
use serde_json::{Value, json};

use super::random::Random;
use super::world::{DISCOVERED, LIST, LISTED, PROVIDERS};

/// What a policy says about fetching.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Settings {
    /// Which providers it has, a bit for each; and whether one of them has a list of what is revoked.
    sources: u8,
    pub(crate) cache_ttl_secs: Option<u64>,
    pub(crate) max_stale_secs: u64,
    timeout_ms: u64,
}

/// How long what was fetched with that `max-age` is fresh where the policy does not say, in seconds.
pub(crate) fn advised_secs(max_age_secs: Option<u64>) -> u64 {
    max_age_secs.map_or(300, |seconds| seconds.clamp(60, 3_600))
}

impl Settings {
    pub(crate) fn new(random: &mut Random) -> Self {
        Self {
            sources: random.pick(&[
                0b0_0001, 0b0_0001, 0b0_0011, 0b0_0101, 0b0_0111, 0b0_1000, 0b0_1000, 0b0_1001,
                0b1_0010, 0b1_0010, 0b1_0111, 0b1_1010,
            ]),
            cache_ttl_secs: random.pick(&[None, Some(20), Some(100), Some(300)]),
            max_stale_secs: random.pick(&[0, 60, 3_600]),
            timeout_ms: random.pick(&[1_000, 5_000]),
        }
    }

    /// Whether it has that provider, or the list.
    pub(crate) const fn has(&self, source: usize) -> bool {
        self.sources & (1 << source) != 0
    }

    /// Whether it has a list of which tokens of that provider are revoked.
    pub(crate) const fn has_list(&self, provider: usize) -> bool {
        provider == LISTED && self.has(LIST)
    }

    /// How long the answer to a fetch for this provider, or of the list, may take.
    pub(crate) const fn timeout_ms(&self, source: usize) -> u64 {
        // Sources at one place that are not the same.
        self.timeout_ms + 500 * source as u64
    }

    /// How long a request may wait.
    pub(crate) fn longest_wait(&self) -> u64 {
        let sources = (0..=LIST).filter(|source| self.has(*source));
        sources
            .map(|source| match PROVIDERS.get(source) {
                // An issuer is asked first.
                Some(provider) if provider.place == DISCOVERED => 2 * self.timeout_ms(source),
                _ => self.timeout_ms(source),
            })
            .max()
            .unwrap_or(0)
    }

    /// How long what was fetched with that `max-age` is fresh, in milliseconds.
    pub(crate) fn time_to_live(&self, max_age_secs: Option<u64>) -> u64 {
        let advised = advised_secs(max_age_secs);
        self.cache_ttl_secs.unwrap_or(advised) * 1_000
    }

    /// The policy.
    pub(crate) fn config(&self) -> Config {
        static CONFIGS: LazyLock<Mutex<BTreeMap<Settings, Config>>> = LazyLock::new(Mutex::default);
        let mut configs = CONFIGS.lock().unwrap_or_else(|held| held.into_inner());
        let config = configs.entry(*self).or_insert_with(|| {
            let text = self.text().to_string();
            Config::parse(text.as_bytes()).expect("the policy is valid")
        });
        config.clone()
    }

    fn text(&self) -> Value {
        let configured = || (0..PROVIDERS.len()).filter(|provider| self.has(*provider));
        let providers: Vec<Value> = configured()
            .map(|provider| self.provider(provider))
            .collect();
        let any_of: Vec<Value> = (0..providers.len())
            .map(|index| json!({ "provider": { "index": index } }))
            .collect();
        json!({
            "nexus": nexus_core::config::FORMAT_VERSION, "unmatched": "deny", "providers": providers,
            "apps": [{
                "slug": "app", "hosts": ["*"], "path": "/",
                "auth": { "jwt": { "requirement": { "any_of": any_of }, "handling": {} } },
            }],
        })
    }

    fn provider(&self, index: usize) -> Value {
        let provider = &PROVIDERS[index];
        let keys = match provider.place {
            DISCOVERED => json!({ "discovery": self.discovery(index) }),
            place => json!({ "url": self.remote(index, &format!("idp-{place}.example.com")) }),
        };
        let revocation = match self.has_list(index) {
            true => json!({ "remote": self.remote(LIST, "idp-3.example.com") }),
            false => json!({}),
        };
        json!({
            "name": provider.issuer, "issuer": provider.issuer, "algorithms": ["EdDSA"],
            "clock_skew_secs": 60, "require_expiration": true,
            "keys": { "remote": [keys] }, "revocation": revocation,
        })
    }

    fn remote(&self, source: usize, authority: &str) -> Value {
        json!({
            "url": format!("https://{authority}/jwks"), "cluster": "idp", "scheme": "https",
            "authority": authority, "path": "/jwks", "timeout_ms": self.timeout_ms(source),
            "cache_ttl_secs": self.cache_ttl_secs, "max_stale_secs": self.max_stale_secs,
        })
    }

    fn discovery(&self, source: usize) -> Value {
        let issuer = PROVIDERS[source].issuer;
        json!({
            "issuer": issuer, "paths": ["/.well-known/one", "/.well-known/two"],
            "hosts": [{ "scheme": "https", "authority": "idp-2.example.com", "cluster": "idp" }],
            "timeout_ms": self.timeout_ms(source), "cache_ttl_secs": self.cache_ttl_secs,
            "max_stale_secs": self.max_stale_secs,
        })
    }
}
