//! What a configuration asks of the proxy: clusters to send requests to, environment variables to pass.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use super::url::JwksUrl;
use crate::config::CACHE_TTL_VARIABLE;

/// What the proxy has to have so that the configuration works.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Requirements {
    /// The clusters that requests for keys are sent to, ordered by name.
    pub clusters: Vec<ClusterRequirement>,
    /// The environment variables that have to be passed to the filter (Envoy's `host_env_keys`), ordered.
    pub env: Vec<String>,
    /// Environment variables that the filter reads where they are passed, and does without, ordered.
    pub optional_env: Vec<String>,
}

/// A cluster that requests for keys are sent to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClusterRequirement {
    /// The name of the cluster.
    pub name: String,
    /// `https`: the cluster has to speak TLS; or `http`.
    pub scheme: String,
    /// Host and port as the URL has them, in lower case.
    pub authority: String,
    /// The host.
    pub host: String,
    /// The port, the scheme's own where the URL has none.
    pub port: u16,
    /// The providers that use it, ordered by name.
    pub used_by: Vec<String>,
}

/// Collects requirements while a policy is compiled.
#[derive(Debug, Default)]
pub(super) struct Collector {
    clusters: BTreeMap<ClusterRequirement, BTreeSet<String>>,
    env: BTreeSet<String>,
    reads_cache_ttl: bool,
}

impl Collector {
    pub(super) fn cluster(&mut self, name: &str, url: &JwksUrl, provider: &str) {
        let key = ClusterRequirement {
            name: name.into(),
            scheme: url.scheme.into(),
            authority: url.authority.clone(),
            host: url.host.clone(),
            port: url.port,
            used_by: Vec::new(),
        };
        self.clusters
            .entry(key)
            .or_default()
            .insert(provider.into());
    }

    pub(super) fn env(&mut self, name: &str) {
        self.env.insert(name.into());
    }

    pub(super) fn cache_ttl(&mut self) {
        self.reads_cache_ttl = true;
    }

    pub(super) fn finish(self) -> Requirements {
        let clusters = self
            .clusters
            .into_iter()
            .map(|(cluster, used_by)| ClusterRequirement {
                used_by: used_by.into_iter().collect(),
                ..cluster
            })
            .collect();
        let optional_env = match self.reads_cache_ttl {
            true => Vec::from([CACHE_TTL_VARIABLE.into()]),
            false => Vec::new(),
        };
        Requirements {
            clusters,
            env: self.env.into_iter().collect(),
            optional_env,
        }
    }
}
