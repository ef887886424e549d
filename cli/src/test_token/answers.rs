//! Where the filter's fetches are answered from: of key sets, of where they are, and of revocation lists.

use std::time::Duration;

use nexus_core::config::{Config, Discovery, RemoteKeys};
use nexus_core::json::{self, Value};
use nexus_core::revocation::{MAX_LIST_BYTES, RevocationList};
use nexus_host::{Answer, LiveCallouts, ProxyBuilder, ScriptedCallouts};

use crate::exit::{Failure, Result};
use crate::files;
use crate::json_text;

/// How long fetching what an option names may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest document that is read from a URL, in bytes: no list is larger.
const MAX_DOCUMENT: u64 = MAX_LIST_BYTES as u64 + 1;

/// The path of the keys of an issuer that nothing but this command asks.
const DISCOVERED_PATH: &str = "/jwks";

/// How the fetches of the filter are answered.
pub(super) enum Answers {
    /// As the network answers them.
    Live,
    /// From what was given; what was not given is not there.
    Given {
        /// A JWK set, for every fetch of keys.
        keys: Option<Vec<u8>>,
        /// A list, for every fetch of one.
        revocations: Option<Vec<u8>>,
    },
}

impl Answers {
    /// The key set and the list in files or behind URLs; without either, the network.
    ///
    /// # Errors
    /// [`crate::exit::Blame::Input`] when one cannot be read, or is not what it should be.
    pub(super) fn of(keys: Option<&str>, revocations: Option<&str>) -> Result<Self> {
        if keys.is_none() && revocations.is_none() {
            return Ok(Self::Live);
        }
        Ok(Self::Given {
            keys: keys.map(key_set).transpose()?,
            revocations: revocations.map(revocation_list).transpose()?,
        })
    }

    /// Whether the filter's fetches go to the network.
    pub(super) fn are_live(&self) -> bool {
        matches!(self, Self::Live)
    }

    /// A process whose fetches are answered like this.
    pub(super) fn install(self, builder: ProxyBuilder, config: &Config) -> ProxyBuilder {
        let Self::Given { keys, revocations } = self else {
            return builder.callouts(LiveCallouts::default());
        };
        let script = ScriptedCallouts::new();
        for provider in &config.providers {
            if let Some(keys) = &keys {
                for source in &provider.keys.remote {
                    answer_keys(&script, source, keys);
                }
            }
            if let (Some(remote), Some(list)) = (&provider.revocation.remote, &revocations) {
                script.answer(
                    &remote.cluster,
                    &remote.path,
                    Answer::status(200).body(list.clone()),
                );
            }
        }
        builder.callouts(script)
    }
}

/// Answers every fetch of keys from one source with this set.
fn answer_keys(script: &ScriptedCallouts, source: &RemoteKeys, keys: &[u8]) {
    match source {
        RemoteKeys::Url(remote) => {
            script.answer(&remote.cluster, &remote.path, Answer::json(keys));
        }
        RemoteKeys::Discovery(discovery) => {
            let (Some(host), Some(path)) = (discovery.hosts.first(), discovery.paths.first())
            else {
                return;
            };
            script.answer(&host.cluster, path, Answer::json(metadata(discovery)));
            script.answer(&host.cluster, DISCOVERED_PATH, Answer::json(keys));
        }
    }
}

/// What the issuer would say about itself if its keys were at [`DISCOVERED_PATH`].
fn metadata(discovery: &Discovery) -> Vec<u8> {
    let place = discovery
        .hosts
        .first()
        .map(|host| format!("{}://{}", host.scheme, host.authority))
        .unwrap_or_default();
    let mut text = String::from("{\"issuer\":");
    // Writing to a string does not fail.
    let _ = json::write_string(&mut text, &discovery.issuer);
    text.push_str(",\"jwks_uri\":");
    let _ = json::write_string(&mut text, &format!("{place}{DISCOVERED_PATH}"));
    text.push('}');
    text.into_bytes()
}

/// The content of a file or URL, and how messages name it.
fn read(source: &str, what: &str) -> Result<(String, Vec<u8>)> {
    if source.starts_with("https://") || source.starts_with("http://") {
        return Ok((format!("`{source}`"), fetch(source, what)?));
    }
    let name = files::describe_input(source.as_ref());
    Ok((name, files::read(source.as_ref())?))
}

fn key_set(source: &str) -> Result<Vec<u8>> {
    let (name, bytes) = read(source, "key set")?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::input(format!("{name} is no JWK set")).evidence("it is not UTF-8"))?;
    let document = json_text::parse(&name, &text)?;
    if document.member("keys").and_then(Value::as_array).is_none() {
        return Err(Failure::input(format!("{name} is no JWK set"))
            .evidence("it has no array `keys` (RFC 7517 §5)")
            .hint("for a single key write `{\"keys\": [KEY]}`"));
    }
    Ok(text.into_bytes())
}

fn revocation_list(source: &str) -> Result<Vec<u8>> {
    let (name, bytes) = read(source, "revocation list")?;
    match RevocationList::parse(bytes.as_slice().into()) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(Failure::input(format!("{name} is no revocation list"))
            .evidence(error.to_string())
            .hint("the list is JSON, or what `nexusctl compile-revocations` writes")),
    }
}

fn fetch(url: &str, what: &str) -> Result<Vec<u8>> {
    let refused = |reason: String| {
        Failure::input(format!("cannot fetch the {what} `{url}`")).evidence(reason)
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
        .limit(MAX_DOCUMENT)
        .read_to_vec()
        .map_err(|error| refused(error.to_string()))
}
