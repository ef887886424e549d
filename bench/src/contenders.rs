//! What is compared: Envoys that differ in their filter only.

use std::time::Duration;

use nexus_tests::{
    artifacts,
    envoy::{self, Config, Envoy},
    nexusctl,
};
use serde_json::{Value, json};

use crate::{
    cpu::{Clock, Used},
    driver::{Answers, Driver, End, Requests},
    tokens::{AUDIENCE, ISSUER},
};

/// What is protected.
pub(crate) const PREFIX: &str = "/api";
/// What is asked for.
pub(crate) const PATH: &str = "/api/orders/1042?expand=items";

/// How long an Envoy may take until it is ready: several start at once, and each compiles its module.
const READY_WITHIN: Duration = Duration::from_secs(180);

/// How many tokens the native filter's cache holds: all that are repeated, and more.
const NATIVE_CACHE_SIZE: usize = 1_000;

/// A filter to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Contender {
    /// What it is called on the command line and in results.
    pub(crate) name: &'static str,
    /// What it is, for people.
    pub(crate) about: &'static str,
    /// The colour of its bars.
    pub(crate) colour: &'static str,
    filter: Filter,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filter {
    None,
    Empty,
    Native {
        cache: bool,
    },
    Nexus {
        /// Its `signature_verification`.
        by: &'static str,
    },
}

/// Every contender.
pub(crate) const CONTENDERS: [Contender; 6] = [
    Contender {
        name: "none",
        about: "no filter",
        colour: "#9aa0a6",
        filter: Filter::None,
    },
    Contender {
        name: "empty",
        about: "an empty WebAssembly filter",
        colour: "#5f6368",
        filter: Filter::Empty,
    },
    Contender {
        name: "native",
        about: "`jwt_authn` as it comes, without a cache",
        colour: "#e8710a",
        filter: Filter::Native { cache: false },
    },
    Contender {
        name: "native-cache",
        about: "`jwt_authn` with its cache of tokens",
        colour: "#f9ab00",
        filter: Filter::Native { cache: true },
    },
    Contender {
        name: "nexus",
        about: "Nexus",
        colour: "#1a73e8",
        filter: Filter::Nexus { by: "auto" },
    },
    Contender {
        name: "nexus-module",
        about: "Nexus without the proxy's cryptography",
        colour: "#8ab4f8",
        filter: Filter::Nexus { by: "module" },
    },
];

impl Contender {
    /// Whether it looks at tokens at all.
    pub(crate) fn checks_tokens(&self) -> bool {
        !matches!(self.filter, Filter::None | Filter::Empty)
    }

    /// Starts an Envoy with this filter and these keys.
    ///
    /// # Panics
    /// When it does not start.
    pub(crate) fn start(&self, version: &envoy::Version, keys: &[Value]) -> Running {
        let config = direct(1);
        let config = match self.filter {
            Filter::None => config,
            Filter::Empty => config.filter("").module(artifacts::empty_filter()),
            Filter::Native { cache } => config.http_filter_after(native(keys, cache)),
            Filter::Nexus { by } => config.filter(nexusctl::compile_policy(&policy(keys, by))),
        };
        Running::start(version, &config)
    }
}

/// An Envoy that runs, with connections to it.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) envoy: Envoy,
    pub(crate) clock: Clock,
    pub(crate) driver: Driver,
}

impl Running {
    /// # Panics
    /// When Envoy does not start.
    pub(crate) fn start(version: &envoy::Version, config: &Config) -> Self {
        let envoy = Envoy::start(version, config);
        Self {
            clock: Clock::of(envoy.pid()),
            driver: Driver::connect(envoy.addr()).expect("an Envoy that is ready accepts"),
            envoy,
        }
    }

    /// Sends requests as fast as they are answered; gives the answers, and what Envoy has used for them.
    ///
    /// # Panics
    /// When a connection fails, or an answer is none.
    pub(crate) fn saturate(&mut self, mut requests: Requests<'_>, end: End) -> (Answers, Used) {
        let before = self.clock.read();
        let answers = self
            .driver
            .saturate(&mut requests, end)
            .unwrap_or_else(|error| panic!("{error}\n{}", self.envoy.log_end()));
        (answers, self.clock.read_settled().since(before))
    }
}

/// An Envoy that answers all that gets past the filter itself, and logs neither requests nor decisions, so that
/// little but the filter is measured.
pub(crate) fn direct(workers: u32) -> Config {
    // No request gets to a cluster.
    let nowhere = ([127, 0, 0, 1], 9).into();
    Config::new(nowhere)
        .concurrency(workers)
        .ready_within(READY_WITHIN)
        .log_level("warning", "warning")
        .edit_connection_manager(|manager| {
            manager["access_log"] = json!([]);
            manager["route_config"]["virtual_hosts"][0]["routes"] = json!([{
                "match": {"prefix": "/"},
                "direct_response": {"status": 200, "body": {"inline_string": "fine"}},
            }]);
        })
}

/// What Nexus is told.
pub(crate) fn policy(keys: &[Value], verification: &str) -> String {
    json!({"signature_verification": verification, "apps": [{
        "slug": "orders",
        "gateway_path": PREFIX,
        "default_policy": {"auth": {
            "auth_type": "jwt",
            "issuer": ISSUER,
            "audience": AUDIENCE,
            "jwks": {"keys": keys},
            "forward_claims_as_headers": {"sub": "x-user-id"},
        }},
    }]})
    .to_string()
}

/// The same for `jwt_authn`.
fn native(keys: &[Value], cache: bool) -> Value {
    let mut provider = json!({
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "local_jwks": {"inline_string": json!({"keys": keys}).to_string()},
        "claim_to_headers": [{"header_name": "x-user-id", "claim_name": "sub"}],
    });
    if cache {
        provider["jwt_cache_config"] = json!({"jwt_cache_size": NATIVE_CACHE_SIZE});
    }
    json!({
        "name": "envoy.filters.http.jwt_authn",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": {"sso": provider},
            "rules": [{"match": {"prefix": PREFIX}, "requires": {"provider_name": "sso"}}],
        },
    })
}
