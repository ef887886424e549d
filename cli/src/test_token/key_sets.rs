//! Where the filter's fetches of key sets are answered from.

use std::time::Duration;

use nexus_core::config::{Config, KeySource};
use nexus_core::json::Value;
use nexus_host::{Answer, LiveCallouts, ProxyBuilder, ScriptedCallouts};

use crate::exit::{Failure, Result};
use crate::files;
use crate::json_text;

/// How long fetching the key set of `--jwks` may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest key set that is read from a URL, in bytes.
const MAX_KEY_SET: u64 = 16 << 20;

/// How the fetches of the filter are answered.
pub(super) enum KeySets {
    /// As the network answers them.
    Live,
    /// All of them with this key set.
    Given(Vec<u8>),
}

impl KeySets {
    /// The key set in a file or behind a URL; without either, the network.
    ///
    /// # Errors
    /// [`crate::exit::Blame::Input`] when it cannot be read, or is no key set.
    pub(super) fn of(source: Option<&str>) -> Result<Self> {
        let Some(source) = source else {
            return Ok(Self::Live);
        };
        let is_url = source.starts_with("https://") || source.starts_with("http://");
        let text = if is_url {
            fetch(source)?
        } else {
            files::read_text(source.as_ref())?
        };
        let name = if is_url {
            format!("`{source}`")
        } else {
            files::describe_input(source.as_ref())
        };
        let document = json_text::parse(&name, &text)?;
        if document.member("keys").and_then(Value::as_array).is_none() {
            return Err(Failure::input(format!("{name} is no JWK set"))
                .evidence("it has no array `keys` (RFC 7517 §5)")
                .hint("for a single key write `{\"keys\": [KEY]}`"));
        }
        Ok(Self::Given(text.into_bytes()))
    }

    /// Whether the filter's fetches go to the network.
    pub(super) fn are_live(&self) -> bool {
        matches!(self, Self::Live)
    }

    /// A process whose fetches are answered like this.
    pub(super) fn install(self, builder: ProxyBuilder, config: &Config) -> ProxyBuilder {
        match self {
            Self::Live => builder.callouts(LiveCallouts::default()),
            Self::Given(jwks) => {
                let script = ScriptedCallouts::new();
                for provider in &config.providers {
                    if let KeySource::Remote(remote) = &provider.keys {
                        script.answer(&remote.cluster, &remote.path, Answer::json(jwks.clone()));
                    }
                }
                builder.callouts(script)
            }
        }
    }
}

fn fetch(url: &str) -> Result<String> {
    let refused = |reason: String| {
        Failure::input(format!("cannot fetch the key set `{url}`")).evidence(reason)
    };
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(FETCH_TIMEOUT))
        .http_status_as_error(false)
        .tls_config(
            ureq::tls::TlsConfig::builder()
                .root_certs(ureq::tls::RootCerts::PlatformVerifier)
                .build(),
        )
        .build()
        .into();
    let mut response = agent
        .get(url)
        .call()
        .map_err(|error| refused(error.to_string()))?;
    if response.status() != 200 {
        return Err(refused(format!("it was answered {}", response.status())));
    }
    response
        .body_mut()
        .with_config()
        .limit(MAX_KEY_SET)
        .read_to_string()
        .map_err(|error| refused(error.to_string()))
}
