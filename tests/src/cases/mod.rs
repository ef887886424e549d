//! Cases: a request under a policy and what must come of it, decided on every side.
//!
//! A side is a way to get a decision: the engine driven natively, the `.wasm` in `nexus-host` with a
//! fake clock and scripted answers, `nexusctl test-token`, a real Envoy. [`check`] runs the same cases
//! on several sides; each has to give what the case expects, and all have to give the same decision,
//! status, body, challenge, headers for the service, app, route, provider and `kid`. A disagreement is
//! reported with the case's name and what both sides gave.
//!
//! Sides where time is pretended judge at [`NOW`]; Envoy judges now. Cases are therefore made for a
//! time: tokens are minted relative to it.

mod compare;
mod ctl;
mod envoy;
pub mod example;
pub mod native;
mod requests_file;
mod setting;
pub mod wasm;

use std::{collections::BTreeMap, fmt};

pub use compare::{check, check_by_nexusctl};
pub use setting::{Remote, Setting};

use crate::http::escape;

/// When sides with pretended time judge: 2026-01-01T00:00:00Z, in seconds since the epoch.
pub const NOW: i64 = 1_767_225_600;

/// [`NOW`] as `nexusctl` takes it.
pub const NOW_TEXT: &str = "2026-01-01T00:00:00Z";

/// A request, and what must come of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// A sentence.
    pub name: String,
    /// The request.
    pub request: Request,
    /// What must come of it.
    pub expected: Expected,
}

/// A request as a client sends it. No body: nothing is decided by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The `host` header.
    pub host: String,
    /// The request target.
    pub path: String,
    /// Names as the client writes them, and values as bytes.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Request {
    /// A `GET` of `app.example.com`.
    pub fn get(path: &str) -> Self {
        Self {
            method: "GET".to_owned(),
            host: "app.example.com".to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
        }
    }

    /// The same with another host.
    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        host.clone_into(&mut self.host);
        self
    }

    /// The same with a header more.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers
            .push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// The same with `authorization: Bearer TOKEN`.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// The headers as a proxy's filters see them: names in lower case, pseudo-headers first.
    fn as_seen_by_filters(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let pseudo = [
            (":authority", &self.host),
            (":path", &self.path),
            (":method", &self.method),
            (":scheme", &"http".to_owned()),
        ]
        .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        let own = self
            .headers
            .iter()
            .map(|(name, value)| (name.to_ascii_lowercase().into_bytes(), value.clone()));
        pseudo.into_iter().chain(own).collect()
    }
}

/// What must come of a request. What is `None` in `app`, `route`, `provider` and `kid` may be anything;
/// all sides have to agree on it nevertheless.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// The reply, or none when the request passes.
    pub denial: Option<ExpectedDenial>,
    /// For a request that passes: every header, and `:path`, that the service gets otherwise than it was sent, by
    /// its name in lower case. Each has that one value, or is gone.
    pub service_sees: BTreeMap<String, Option<String>>,
    /// The app's slug.
    pub app: Option<String>,
    /// The route's label: `GET /health`.
    pub route: Option<String>,
    /// The provider's name.
    pub provider: Option<String>,
    /// The token's `kid`.
    pub kid: Option<String>,
}

/// The reply to a request that is refused.
#[derive(Clone, Debug)]
pub struct ExpectedDenial {
    /// The status.
    pub status: u16,
    /// The code of `docs/deny-reasons.md`.
    pub reason: String,
    /// The body, whole.
    pub body: String,
    /// Every value of `www-authenticate`, in order; empty: there must be none.
    pub challenges: Vec<String>,
    /// Every other header of the reply, by its name in lower case, but for those of every reply: the date, the
    /// length, and `content-type: text/plain`.
    pub headers: BTreeMap<String, String>,
}

impl Expected {
    /// It passes, and these headers differ: a value, or `None` for one that is gone.
    pub fn allowed<'h>(headers: impl IntoIterator<Item = (&'h str, Option<&'h str>)>) -> Self {
        Self {
            service_sees: headers
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.map(str::to_owned)))
                .collect(),
            ..Self::default()
        }
    }

    /// It is refused so.
    pub fn denied(status: u16, reason: &str, body: &str, challenge: Option<&str>) -> Self {
        Self {
            denial: Some(ExpectedDenial {
                status,
                reason: reason.to_owned(),
                body: body.to_owned(),
                challenges: challenge.map(str::to_owned).into_iter().collect(),
                headers: BTreeMap::new(),
            }),
            ..Self::default()
        }
    }

    /// The same with a header of the reply more.
    ///
    /// # Panics
    /// When it is expected to pass.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        let denial = self.denial.as_mut().expect("a reply has headers");
        denial.headers.insert(name.to_owned(), value.to_owned());
        self
    }

    /// It is refused with 401 and `error="invalid_token"`.
    pub fn invalid_token(reason: &str, body: &str) -> Self {
        Self::denied(401, reason, body, Some("Bearer error=\"invalid_token\""))
    }

    /// It is refused because it carries no token.
    pub fn token_missing() -> Self {
        Self::denied(401, "token_missing", "Jwt is missing", Some("Bearer"))
    }
}

/// What came of a request on one side.
#[derive(Clone, PartialEq, Eq)]
pub struct Observed {
    /// The reply; none when the service got the request.
    pub reply: Option<Reply>,
    /// For a request that passed: the headers that the service got, by name in lower case, and `:path`, without
    /// those that a proxy adds by itself.
    pub upstream_headers: Option<BTreeMap<String, Vec<Vec<u8>>>>,
    /// The code of the refusal.
    pub reason: Option<String>,
    /// The app's slug.
    pub app: Option<String>,
    /// The route's label.
    pub route: Option<String>,
    /// The provider's name.
    pub provider: Option<String>,
    /// The token's `kid`.
    pub kid: Option<String>,
}

/// A reply that did not come from the service.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    /// Every value of `www-authenticate`.
    pub challenges: Vec<Vec<u8>>,
    /// The other headers, by name, without those of every reply.
    pub headers: BTreeMap<String, Vec<Vec<u8>>>,
}

/// Headers that every reply has, whatever the filter says.
const OF_EVERY_REPLY: [&str; 5] = [
    "connection",
    "content-length",
    "date",
    "server",
    "transfer-encoding",
];

impl Reply {
    /// A reply as the client gets it.
    fn new<'h>(
        status: u16,
        body: Vec<u8>,
        headers: impl IntoIterator<Item = (&'h [u8], &'h [u8])>,
    ) -> Self {
        let mut headers = by_name(headers);
        headers.retain(|name, _| !OF_EVERY_REPLY.contains(&name.as_str()));
        if headers.get("content-type") == Some(&vec![b"text/plain".to_vec()]) {
            headers.remove("content-type");
        }
        Self {
            status,
            body,
            challenges: headers.remove("www-authenticate").unwrap_or_default(),
            headers,
        }
    }
}

impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts =
            |values: &[Vec<u8>]| -> Vec<String> { values.iter().map(|it| escape(it)).collect() };
        match &self.reply {
            Some(reply) => {
                write!(f, "DENY {} {:?}", reply.status, escape(&reply.body))?;
                write!(f, ", www-authenticate {:?}", texts(&reply.challenges))?;
                write!(f, ", reason {:?}", self.reason)?;
                for (name, values) in &reply.headers {
                    write!(f, ", {name}: {:?}", texts(values))?;
                }
            }
            None => f.write_str("ALLOW")?,
        }
        write!(f, ", app {:?}, route {:?}", self.app, self.route)?;
        write!(f, ", provider {:?}, kid {:?}", self.provider, self.kid)?;
        for (name, values) in self.upstream_headers.iter().flatten() {
            write!(f, "\n      {name}: {:?}", texts(values))?;
        }
        Ok(())
    }
}

impl Observed {
    /// What a side saw, with what the filter says about it in its explanation.
    fn new(seen: Seen, explanation: &serde_json::Value) -> Self {
        let text = |name: &str| explanation[name].as_str().map(str::to_owned);
        let (reply, upstream_headers) = match seen {
            Seen::Reply(reply) => (Some(reply), None),
            Seen::Upstream(headers) => (None, Some(headers)),
        };
        let decision = if reply.is_some() { "deny" } else { "allow" };
        assert_eq!(
            explanation["decision"], decision,
            "the explanation contradicts what happened: {explanation}"
        );
        Self {
            reply,
            upstream_headers,
            reason: text("reason"),
            app: text("app"),
            route: text("route"),
            provider: text("provider"),
            kid: text("kid"),
        }
    }
}

/// Where a request ended.
enum Seen {
    Reply(Reply),
    Upstream(BTreeMap<String, Vec<Vec<u8>>>),
}

/// Headers by name; values of one name stay apart, in order. Of the pseudo-headers only `:path` is kept.
fn by_name<'h>(
    headers: impl IntoIterator<Item = (&'h [u8], &'h [u8])>,
) -> BTreeMap<String, Vec<Vec<u8>>> {
    let mut map: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for (name, value) in headers {
        if !name.starts_with(b":") || name == b":path" {
            map.entry(escape(&name.to_ascii_lowercase()))
                .or_default()
                .push(value.to_vec());
        }
    }
    map
}

/// When a request comes, seen from the fetch of the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arrival {
    /// The keys are there.
    AfterKeys,
    /// No answer of a fetch has come: what needs keys waits.
    BeforeKeys,
}
