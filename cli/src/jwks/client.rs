//! Requests for key sets, made as the filter has the proxy make them: the same headers, no redirects.

use std::io;
use std::path::Path;
use std::time::Duration;

use nexus_core::engine::Content;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::exit::{Failure, Result};
use crate::files;
use crate::output::visible;

/// The most of a body that is read, in bytes. The filter's limit is lower; up to here a body that is too long for it
/// is told with its length.
const MAX_BODY: u64 = 16 << 20;

/// Asks for key sets.
pub(super) struct Client {
    agent: ureq::Agent,
}

/// What a source answered.
pub(super) struct Answer {
    pub(super) status: u16,
    /// Names are in lower case.
    pub(super) headers: Vec<(String, Vec<u8>)>,
    /// The body, or why it broke off.
    pub(super) body: std::result::Result<Vec<u8>, Lost>,
}

/// Why there is no answer, or not the whole of it.
pub(super) struct Lost {
    pub(super) reason: String,
    pub(super) hint: Option<&'static str>,
}

impl Client {
    /// A client that trusts the system's roots, or only those in `ca_file`.
    ///
    /// # Errors
    /// [`crate::exit::Blame::Input`] when the file cannot be read or holds no certificate.
    pub(super) fn new(ca_file: Option<&Path>) -> Result<Self> {
        let roots = match ca_file {
            Some(path) => authorities(path)?,
            None => RootCerts::PlatformVerifier,
        };
        let config = ureq::Agent::config_builder()
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .accept_encoding("")
            .accept(Content::Keys.accept())
            .user_agent(concat!("nexus/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self {
            agent: config.new_agent(),
        })
    }

    /// Asks once; `if_none_match` is the entity tag of what is there already.
    pub(super) fn ask(
        &self,
        url: &str,
        if_none_match: Option<&str>,
        timeout: Duration,
    ) -> std::result::Result<Answer, Lost> {
        let mut request = self
            .agent
            .get(url)
            .config()
            .timeout_global(Some(timeout))
            .build();
        if let Some(etag) = if_none_match {
            request = request.header("if-none-match", etag);
        }
        let lost = |error: &ureq::Error| Lost::of(error, timeout);
        let (parts, mut body) = request.call().map_err(|error| lost(&error))?.into_parts();
        let headers = parts
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
        Ok(Answer {
            status: parts.status.as_u16(),
            headers: headers.collect(),
            body: body
                .with_config()
                .limit(MAX_BODY)
                .read_to_vec()
                .map_err(|error| lost(&error)),
        })
    }
}

impl Answer {
    /// The first header of that name, as far as it is text.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        let found = self.headers.iter().find(|(it, _)| it == name);
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    }
}

impl Lost {
    fn of(error: &ureq::Error, timeout: Duration) -> Self {
        let without_hint = |reason: String| Self { reason, hint: None };
        match error {
            ureq::Error::Timeout(_) => Self {
                reason: format!("it was not there within {} s", timeout.as_secs_f64()),
                hint: Some("`--timeout` waits longer; a policy does with `jwks_timeout_ms`"),
            },
            ureq::Error::HostNotFound => without_hint("the host has no address".to_owned()),
            ureq::Error::BodyExceedsLimit(_) => {
                without_hint(format!("the body has more than {} MiB", MAX_BODY >> 20))
            }
            ureq::Error::Io(error) => Self::of_io(error),
            other => without_hint(visible(&other.to_string())),
        }
    }

    fn of_io(error: &io::Error) -> Self {
        let (reason, hint) = match error.kind() {
            io::ErrorKind::ConnectionRefused => ("the connection was refused".to_owned(), None),
            io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof => {
                ("the connection broke off".to_owned(), None)
            }
            _ => {
                let text = error.to_string();
                let is_trust = text.contains("certificate");
                let hint = "`--ca-file` names an authority of your own; the proxy's cluster has to trust it, too";
                (visible(&text), is_trust.then_some(hint))
            }
        };
        Self { reason, hint }
    }
}

/// The certificates in a file.
fn authorities(path: &Path) -> Result<RootCerts> {
    let text = files::read(path)?;
    let name = files::describe_input(path);
    let refused = |reason: &str| {
        Failure::input(format!("{name} holds no certificates of authorities"))
            .evidence(reason)
            .hint("give certificates in PEM, `-----BEGIN CERTIFICATE-----`")
    };
    let mut certificates: Vec<Certificate<'static>> = Vec::new();
    for item in parse_pem(&text) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(error) => return Err(refused(&error.to_string())),
        }
    }
    if certificates.is_empty() {
        return Err(refused("there is no certificate in it"));
    }
    Ok(RootCerts::new_with_certs(&certificates))
}
