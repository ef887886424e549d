//! A real Envoy with the filter, real key servers and a real service behind it.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use super::{Case, Observed, Reply, Seen, Setting, by_name};
use crate::{
    envoy::{Config, Envoy, Version},
    eventually,
    http::{Request, Response},
    jwks_server::{Answer, Behaviour, JwksServer},
    upstream::{self, Upstream},
};

/// Headers that Envoy itself sets on what it forwards.
const OF_ENVOY: [&str; 7] = [
    "content-length",
    "host",
    "transfer-encoding",
    "x-envoy-expected-rq-timeout-ms",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-request-id",
];

/// What the filter's debug line holds before the explanation.
const EXPLANATION: &str = "nexus.decision {";

/// Sends every case through one Envoy, one after the other.
pub(super) fn observe(setting: &Setting, cases: &[Case], version: &Version) -> Vec<Observed> {
    let upstream = Upstream::start();
    let mut config = Config::new(upstream.addr()).filter(setting.compiled());
    let mut by_cluster: BTreeMap<String, BTreeMap<String, Answer>> = BTreeMap::new();
    for remote in setting.remotes() {
        let answer = setting
            .published(&remote.url)
            .map_or_else(|| Answer::status(404), Answer::ok);
        let answers = by_cluster.entry(remote.cluster).or_default();
        answers.insert(remote.path, answer);
    }
    let mut servers = Vec::new();
    for (cluster, answers) in by_cluster {
        let server = JwksServer::start("");
        server.behave(Behaviour::ByPath(answers));
        config = config.cluster(&cluster, server.addr());
        servers.push(server);
    }
    for (name, value) in setting.environment() {
        config = config.host_env(name, value);
    }
    let envoy = Envoy::start(version, &config);
    let mut client = envoy.client();
    let seen: Vec<Seen> = cases
        .iter()
        .map(|case| seen(client.send(&request(case))))
        .collect();
    let explanations = explanations(&envoy, cases.len());
    let accesses = envoy.wait_for_access_log(cases.len());
    let mut all = Vec::new();
    for (index, seen) in seen.into_iter().enumerate() {
        let (explanation, access) = (&explanations[index], &accesses[index]);
        let details = match explanation["reason"].as_str() {
            Some(code) => format!("nexus_denied{{{code}}}"),
            None => "via_upstream".to_owned(),
        };
        assert_eq!(
            access.details, details,
            "`{}`: the response code details of envoy {version}",
            cases[index].name
        );
        all.push(Observed::new(seen, explanation));
    }
    all
}

fn request(case: &Case) -> Request {
    let request = &case.request;
    request.headers.iter().fold(
        Request::new(&request.method, &request.path).host(&request.host),
        |request, (name, value)| request.header(name, value),
    )
}

fn seen(response: Response) -> Seen {
    if response.headers.contains(upstream::MARK) {
        let seen = response.seen();
        let own = seen
            .headers
            .0
            .iter()
            .filter(|(name, _)| !OF_ENVOY.contains(&name.to_ascii_lowercase().as_str()))
            .map(|(name, value)| (name.as_bytes(), value.as_slice()));
        let path: (&[u8], &[u8]) = (b":path", seen.path.as_bytes());
        return Seen::Upstream(by_name(own.chain([path])));
    }
    let headers = response
        .headers
        .0
        .iter()
        .map(|(name, value)| (name.as_bytes(), value.as_slice()));
    Seen::Reply(Reply::new(response.status, response.body, headers))
}

/// What the filter says about each request, in their order: requests come one after the other, and each
/// is explained before it is answered.
fn explanations(envoy: &Envoy, count: usize) -> Vec<Value> {
    let mut found = Vec::new();
    eventually(Duration::from_secs(5), || {
        found = envoy
            .log()
            .lines()
            .filter_map(|line| {
                let at = line.find(EXPLANATION)? + EXPLANATION.len() - 1;
                serde_json::from_str(&line[at..]).ok()
            })
            .collect();
        found.len() >= count
    });
    assert_eq!(found.len(), count, "one explanation for each request");
    found
}
