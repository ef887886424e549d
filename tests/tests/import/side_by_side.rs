//! The originals in Envoy's own filter and their imports in Nexus, in one Envoy: the same requests through
//! both.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use nexus_tests::{
    client::Client,
    envoy::{self, Config, Envoy},
    http::Response,
    nexusctl,
    upstream::{self, Upstream},
};
use serde_json::{Value, json};

use crate::{differences, originals::Originals, requests};

/// The least that makes the comparison worth something.
const LEAST: usize = 150;

/// What came of a request. Replies are compared but for the challenge's parameters, which differ always:
/// Envoy names the whole URL as `realm`, Nexus what the policy says.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Reply {
        status: u16,
        body: Vec<u8>,
        challenge: bool,
    },
    Upstream {
        status: u16,
        path: String,
        headers: BTreeSet<(String, Vec<u8>)>,
    },
}

/// Headers that tell the two listeners or requests apart, and say nothing else.
const OF_THE_HOP: [&str; 3] = [
    "x-request-id",
    "x-forwarded-for",
    "x-envoy-expected-rq-timeout-ms",
];

fn outcome(response: &Response) -> Outcome {
    if !response.headers.contains(upstream::MARK) {
        return Outcome::Reply {
            status: response.status,
            body: response.body.clone(),
            challenge: response.headers.contains("www-authenticate"),
        };
    }
    // The answer to HEAD has no body that could tell.
    if response.body.is_empty() {
        return Outcome::Upstream {
            status: response.status,
            path: String::new(),
            headers: BTreeSet::new(),
        };
    }
    let seen = response.seen();
    let headers = seen.headers.0.iter();
    Outcome::Upstream {
        status: response.status,
        path: seen.path.clone(),
        headers: headers
            .map(|(name, value)| (name.to_ascii_lowercase(), in_one_order(value)))
            .filter(|(name, _)| !OF_THE_HOP.contains(&name.as_str()))
            .collect(),
    }
}

/// A value as it is, but for an object in base64: Envoy writes its members in an order that changes from process to
/// process, so they are compared in the order of their names.
fn in_one_order(value: &[u8]) -> Vec<u8> {
    let decoded = STANDARD.decode(value);
    let object = decoded
        .ok()
        .and_then(|text| serde_json::from_slice::<BTreeMap<String, Value>>(&text).ok());
    match object {
        Some(object) => serde_json::to_vec(&object).expect("an object can be written"),
        None => value.to_vec(),
    }
}

/// Imports an original and compiles what comes of it.
fn compiled(name: &str, original: &Value) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(format!("{name}.yaml"));
    std::fs::write(&file, original.to_string()).expect("the original can be written");
    let policy = nexusctl::Nexusctl::new(["import", "envoy", "--strict"])
        .arg(&file)
        .run()
        .expect_code(0);
    nexusctl::compile_policy(&policy.stdout_text())
}

/// An Envoy with two listeners for each original: `NAME/native` and `NAME/nexus`.
fn config(upstream: &Upstream, originals: &Originals) -> Config {
    let mut config = Config::new(upstream.addr())
        .filter("")
        .concurrency(1)
        .log_level("info", "info")
        .cluster(&originals.good.authority(), originals.good.addr())
        .cluster(&originals.failing.authority(), originals.failing.addr());
    let filters: Vec<(String, Value, String)> = originals
        .all
        .iter()
        .map(|(name, original)| {
            let mut native = original.clone();
            native["@type"] = json!(
                "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication"
            );
            ((*name).to_owned(), native, compiled(name, original))
        })
        .collect();
    config = config.edit(move |bootstrap| {
        let main = bootstrap["static_resources"]["listeners"][0].clone();
        let mut listeners = Vec::new();
        let hcm = |listener: &mut Value| {
            listener["filter_chains"][0]["filters"][0]["typed_config"].take()
        };
        for (name, native, compiled) in &filters {
            for side in ["native", "nexus"] {
                let mut listener = main.clone();
                let mut manager = hcm(&mut listener);
                if side == "native" {
                    manager["http_filters"][0] =
                        json!({"name": "envoy.filters.http.jwt_authn", "typed_config": native});
                } else {
                    let wasm = &mut manager["http_filters"][0]["typed_config"]["config"];
                    wasm["configuration"]["value"] = json!(compiled);
                }
                manager["stat_prefix"] = json!(format!("{name}_{side}"));
                listener["name"] = json!(format!("{name}/{side}"));
                listener["filter_chains"][0]["filters"][0]["typed_config"] = manager;
                listeners.push(listener);
            }
        }
        listeners.push(json!({
            "name": "main",
            "address": main["address"],
            "filter_chains": main["filter_chains"],
        }));
        // The listener of the harness has no policy, and is not needed.
        let last = listeners.last_mut().expect("a listener");
        if let Some(filters) =
            last["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"].as_array_mut()
        {
            filters.remove(0);
        }
        bootstrap["static_resources"]["listeners"] = json!(listeners);
    });
    config
}

#[test]
fn imports_do_what_their_originals_do() {
    let originals = Originals::new();
    let upstream = Upstream::start();
    let config = config(&upstream, &originals);
    let cases = requests::all();
    assert!(cases.len() >= LEAST, "{} requests", cases.len());
    let listed = differences::listed();
    let shown: BTreeSet<String> = cases
        .iter()
        .filter_map(|case| case.difference.map(str::to_owned))
        .collect();
    assert_eq!(
        shown, listed,
        "the differences that are shown, and those that docs/migrating.md lists"
    );
    envoy::for_oldest_and_newest(|version| {
        let envoy = Envoy::start(version, &config);
        let mut wrong = Vec::new();
        for case in &cases {
            let [native, nexus] = ["native", "nexus"].map(|side| {
                let listener = envoy.listener(&format!("{}/{side}", case.original));
                outcome(&Client::new(listener).send(&case.request))
            });
            let told = |what: &str| {
                format!(
                    "{}, {} ({version}): {what}\n  native {native:?}\n  nexus  {nexus:?}",
                    case.original, case.note
                )
            };
            match case.difference {
                None if native != nexus => wrong.push(told("they differ")),
                Some(name) if native == nexus => {
                    wrong.push(told(&format!(
                        "they agree, and `{name}` is listed as a difference"
                    )));
                }
                _ => {}
            }
        }
        assert!(
            wrong.is_empty(),
            "{} of {} requests\n{}",
            wrong.len(),
            cases.len(),
            wrong.join("\n")
        );
    });
}
