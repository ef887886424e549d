//! The policies that the engines of a run get, one after the other.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};

use nexus_core::config::Config;
use serde_json::{Value, json};

use super::random::Random;
use super::world::PROVIDERS;

/// What a policy says about fetching.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Settings {
    /// Which providers it has, a bit for each.
    providers: u8,
    pub(crate) cache_ttl_secs: Option<u64>,
    pub(crate) max_stale_secs: u64,
    timeout_ms: u64,
}

impl Settings {
    pub(crate) fn new(random: &mut Random) -> Self {
        Self {
            providers: random.pick(&[0b001, 0b001, 0b011, 0b101, 0b111]),
            cache_ttl_secs: random.pick(&[None, Some(20), Some(100), Some(300)]),
            max_stale_secs: random.pick(&[0, 60, 3_600]),
            timeout_ms: random.pick(&[1_000, 5_000]),
        }
    }

    pub(crate) const fn has(&self, provider: usize) -> bool {
        self.providers & (1 << provider) != 0
    }

    /// How long the answer to a fetch for this provider may take.
    pub(crate) const fn timeout_ms(&self, provider: usize) -> u64 {
        // Sources at one place that are not the same.
        self.timeout_ms + 500 * provider as u64
    }

    /// How long a request may wait.
    pub(crate) fn longest_wait(&self) -> u64 {
        let providers = (0..PROVIDERS.len()).filter(|provider| self.has(*provider));
        providers
            .map(|provider| self.timeout_ms(provider))
            .max()
            .unwrap_or(0)
    }

    /// How long what was fetched with that `max-age` is fresh, in milliseconds.
    pub(crate) fn time_to_live(&self, max_age_secs: Option<u64>) -> u64 {
        let advised = max_age_secs.map_or(300, |seconds| seconds.clamp(60, 3_600));
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
        let authority = format!("idp-{}.example.com", provider.place);
        json!({
            "name": provider.issuer, "issuer": provider.issuer, "algorithms": ["EdDSA"],
            "clock_skew_secs": 60, "require_expiration": true,
            "keys": { "remote": [{ "url": {
                "url": format!("https://{authority}/jwks"), "cluster": "idp", "scheme": "https",
                "authority": authority, "path": "/jwks", "timeout_ms": self.timeout_ms(index),
                "cache_ttl_secs": self.cache_ttl_secs, "max_stale_secs": self.max_stale_secs,
            }}]},
        })
    }
}
