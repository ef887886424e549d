//! Callouts that are really made: HTTP/1.1, with TLS where the call's `:scheme` says `https`.
//!
//! A cluster is only a name here: a call goes where its `:scheme` (`http` if it has none), `:authority` and `:path` say.
//! Redirects are not followed, as Envoy follows none. What cannot be reached is answered as Envoy answers: `503`.

use std::time::Duration;

use ureq::http;
use ureq::tls::{RootCerts, TlsConfig};

use super::{Callout, CalloutOutcome, CalloutReply, Callouts, Dispatch, ReplyHandle};
use crate::header_map::HeaderMap;

/// Limits of live callouts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LiveOptions {
    /// Most bytes of a response's body; a larger response is a reset.
    pub max_body: u64,
    /// Longest time of a call that has no timeout of its own, or a longer one.
    pub longest_timeout: Duration,
    /// Whether the proxy that `HTTP_PROXY` and its like name is used.
    pub proxy_from_environment: bool,
}

impl Default for LiveOptions {
    fn default() -> Self {
        Self {
            max_body: 16 * 1024 * 1024,
            longest_timeout: Duration::from_secs(30),
            proxy_from_environment: true,
        }
    }
}

/// Callouts that are really made, each on a thread of its own. Every cluster exists. Certificates are checked against the
/// system's roots.
#[derive(Clone, Debug)]
pub struct LiveCallouts {
    agent: ureq::Agent,
    options: LiveOptions,
}

impl LiveCallouts {
    /// Live callouts within these limits.
    #[must_use]
    pub fn new(options: LiveOptions) -> Self {
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::PlatformVerifier)
            .build();
        let mut config = ureq::Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .accept_encoding("")
            .accept("")
            .user_agent("");
        if !options.proxy_from_environment {
            config = config.proxy(None);
        }
        Self {
            agent: config.build().new_agent(),
            options,
        }
    }
}

impl Default for LiveCallouts {
    fn default() -> Self {
        Self::new(LiveOptions::default())
    }
}

impl Callouts for LiveCallouts {
    fn knows_cluster(&self, _cluster: &str) -> bool {
        true
    }

    fn dispatch(&self, call: &Callout) -> Dispatch {
        let (this, call) = (self.clone(), call.clone());
        Dispatch::InFlight(Box::new(move |reply: ReplyHandle| {
            // The thread ends by itself: within the timeout it has an answer. If there can be no thread, the handle is
            // dropped, which resets the call.
            let _ = std::thread::Builder::new().spawn(move || reply.send(this.make(&call)));
        }))
    }
}

impl LiveCallouts {
    fn make(&self, call: &Callout) -> CalloutOutcome {
        let Some(request) = request(call) else {
            return CalloutOutcome::Reply(CalloutReply::local(400, ""));
        };
        let longest = self.options.longest_timeout;
        let timeout = call.timeout.map_or(longest, |timeout| timeout.min(longest));
        let request = self
            .agent
            .configure_request(request)
            .timeout_global(Some(timeout))
            .build();
        match self.agent.run(request) {
            Ok(response) => self.read(response),
            Err(ureq::Error::Timeout(_)) => CalloutOutcome::Reply(CalloutReply::timed_out()),
            Err(_) => CalloutOutcome::Reply(CalloutReply::unreachable()),
        }
    }

    fn read(&self, response: http::Response<ureq::Body>) -> CalloutOutcome {
        let (parts, mut body) = response.into_parts();
        let mut headers = HeaderMap::from_pairs([(":status", parts.status.as_str())]);
        headers.extend(
            parts
                .headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_bytes())),
        );
        match body
            .with_config()
            .limit(self.options.max_body)
            .read_to_vec()
        {
            Ok(body) => CalloutOutcome::Reply(CalloutReply {
                headers,
                body,
                trailers: HeaderMap::new(),
            }),
            // The response had begun: whatever broke it off is a reset to the filter.
            Err(_) => CalloutOutcome::Reset,
        }
    }
}

/// The HTTP request of a call; `None` if its headers make none.
fn request(call: &Callout) -> Option<http::Request<Vec<u8>>> {
    let text = |name: &str| std::str::from_utf8(call.headers.first(name)?).ok();
    let scheme = text(":scheme").unwrap_or("http");
    let uri = format!("{scheme}://{}{}", text(":authority")?, text(":path")?);
    let mut request = http::Request::builder().method(text(":method")?).uri(uri);
    for (name, value) in call
        .headers
        .iter()
        .filter(|(name, _)| !name.starts_with(b":"))
    {
        // The length is the client's own business.
        if name != b"content-length" {
            request = request.header(name, value);
        }
    }
    request.body(call.body.clone()).ok()
}
