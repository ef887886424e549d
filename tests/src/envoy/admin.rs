//! What Envoy's admin interface tells.

use std::{collections::BTreeMap, net::SocketAddr};

use serde_json::Value;

use crate::{
    client,
    http::{Request, Response},
};

/// Counters and gauges by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats(pub BTreeMap<String, u64>);

impl Stats {
    /// Reads the text form of `/stats`; histograms and texts are left out.
    pub fn parse(text: &str) -> Self {
        Self(
            text.lines()
                .filter_map(|line| {
                    // Names may have colons (a cluster named by an address), values never do.
                    let (name, value) = line.rsplit_once(": ")?;
                    Some((name.to_owned(), value.parse().ok()?))
                })
                .collect(),
        )
    }

    /// A value; 0 when Envoy has no such statistic (yet).
    pub fn value(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// Those whose name contains `part`.
    pub fn with(&self, part: &str) -> BTreeMap<&str, u64> {
        self.0
            .iter()
            .filter(|(name, _)| name.contains(part))
            .map(|(name, value)| (name.as_str(), *value))
            .collect()
    }

    /// The sum of those whose name contains `part`.
    pub fn sum(&self, part: &str) -> u64 {
        self.with(part).values().sum()
    }
}

/// Envoy's own view of its memory, in bytes. V8's memory is not in it: see
/// [`Envoy::resident_bytes`](super::Envoy::resident_bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// In use.
    pub allocated: u64,
    /// Reserved by the allocator.
    pub heap_size: u64,
}

/// The admin interface at an address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Admin {
    addr: SocketAddr,
}

impl Admin {
    pub(super) fn new(addr: SocketAddr) -> Self {
        Self { addr }
    }

    pub(super) fn addr(self) -> SocketAddr {
        self.addr
    }

    /// One request; `None` when there is no answer.
    pub(super) fn ask(self, method: &str, path: &str) -> Option<Response> {
        let request = Request::new(method, path).header("connection", "close");
        client::Client::new(self.addr).try_send(&request).ok()
    }

    /// The body of a page.
    ///
    /// # Panics
    /// When it is not answered with 200.
    pub(super) fn page(self, path: &str) -> Response {
        let response = self
            .ask("GET", path)
            .unwrap_or_else(|| panic!("Envoy's admin interface does not answer `{path}`"));
        assert_eq!(response.status, 200, "`{path}`: {}", response.text());
        response
    }

    pub(super) fn is_ready(self) -> bool {
        self.ask("GET", "/ready")
            .is_some_and(|answer| answer.status == 200)
    }

    pub(super) fn stats(self) -> Stats {
        Stats::parse(&self.page("/stats").text())
    }

    pub(super) fn memory(self) -> Memory {
        let memory = self.page("/memory").json();
        let number = |name: &str| {
            memory[name]
                .as_str()
                .and_then(|text| text.parse().ok())
                .unwrap_or_else(|| panic!("no number `{name}` in {memory}"))
        };
        Memory {
            allocated: number("allocated"),
            heap_size: number("heap_size"),
        }
    }

    /// The listeners' names and addresses; the unspecified address becomes the loopback one.
    pub(super) fn listeners(self) -> Vec<(String, SocketAddr)> {
        let page = self.page("/listeners?format=json").json();
        page["listener_statuses"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(listener)
            .collect()
    }
}

fn listener(status: &Value) -> Option<(String, SocketAddr)> {
    let socket = &status["local_address"]["socket_address"];
    let port = u16::try_from(socket["port_value"].as_u64()?).ok()?;
    let mut addr = SocketAddr::new(socket["address"].as_str()?.parse().ok()?, port);
    if addr.ip().is_unspecified() {
        addr.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    Some((status["name"].as_str()?.to_owned(), addr))
}
