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

/// Imports an original.
fn imported(name: &str, original: &Value) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(format!("{name}.yaml"));
    std::fs::write(&file, original.to_string()).expect("the original can be written");
    let policy = nexusctl::Nexusctl::new(["import", "envoy", "--strict"])
        .arg(&file)
        .run()
        .expect_code(0);
    policy.stdout_text()
}

/// What a listener has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// The original.
    Native,
    /// Its import.
    Nexus,
    /// Its import, which only reports, before the original.
    Both,
}

impl Side {
    /// How the listener for an original is called.
    fn listener(self, original: &str) -> String {
        format!("{original}/{self:?}")
    }
}

/// The policy as one that only reports, the way docs/migrating.md says it.
fn reporting(policy: &str) -> String {
    fn change(value: &mut Value) {
        match value {
            Value::Object(members) if members.get("auth_type") == Some(&json!("jwt")) => {
                if let Some(mode) = members.insert("mode".to_owned(), json!("report_only")) {
                    let providers = members
                        .remove("providers")
                        .expect("a mode is about providers");
                    let requirement = json!({"any_of": providers, "mode": mode});
                    members.insert("requirement".to_owned(), requirement);
                }
            }
            Value::Object(members) => members.values_mut().for_each(change),
            Value::Array(elements) => elements.iter_mut().for_each(change),
            _ => {}
        }
    }
    let mut policy: Value = serde_json::from_str(policy).expect("a policy is JSON");
    change(&mut policy["apps"]);
    policy.to_string()
}

/// An Envoy with a listener of each of these sides for each original.
fn config(upstream: &Upstream, originals: &Originals, sides: [Side; 2]) -> Config {
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
            let mut policy = imported(name, original);
            if sides.contains(&Side::Both) {
                policy = reporting(&policy);
            }
            let compiled = nexusctl::compile_policy(&policy);
            ((*name).to_owned(), native, compiled)
        })
        .collect();
    config = config.edit(move |bootstrap| {
        let main = bootstrap["static_resources"]["listeners"][0].clone();
        let mut listeners = Vec::new();
        let hcm = |listener: &mut Value| {
            listener["filter_chains"][0]["filters"][0]["typed_config"].take()
        };
        for (name, native, compiled) in &filters {
            for side in sides {
                let mut listener = main.clone();
                let mut manager = hcm(&mut listener);
                let original =
                    json!({"name": "envoy.filters.http.jwt_authn", "typed_config": native});
                let wasm = &mut manager["http_filters"][0]["typed_config"]["config"];
                wasm["configuration"]["value"] = json!(compiled);
                match (side, manager["http_filters"].as_array_mut()) {
                    (Side::Native, Some(filters)) => filters[0] = original,
                    (Side::Both, Some(filters)) => filters.insert(1, original),
                    _ => {}
                }
                manager["stat_prefix"] = json!(format!("{name}_{side:?}"));
                listener["name"] = json!(side.listener(name));
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
    let sides = [Side::Native, Side::Nexus];
    let config = config(&upstream, &originals, sides);
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
            let [native, nexus] = sides.map(|side| {
                let listener = envoy.listener(&side.listener(case.original));
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

/// Takes the report out of what the service saw.
fn without_report(outcome: &mut Outcome) -> Option<String> {
    let Outcome::Upstream { headers, .. } = outcome else {
        return None;
    };
    let report = headers
        .iter()
        .find(|(name, _)| name == "x-nexus-report")
        .cloned()?;
    headers.remove(&report);
    String::from_utf8(report.1).ok()
}

#[test]
fn an_import_that_only_reports_changes_nothing_for_the_original_behind_it() {
    let originals = Originals::new();
    let upstream = Upstream::start();
    let sides = [Side::Native, Side::Both];
    let config = config(&upstream, &originals, sides);
    let cases: Vec<_> = requests::all()
        .into_iter()
        .filter(|case| case.difference.is_none())
        .collect();
    assert!(cases.len() >= LEAST / 2, "{} requests", cases.len());
    envoy::for_oldest_and_newest(|version| {
        let envoy = Envoy::start(version, &config);
        let mut wrong = Vec::new();
        let mut allowed = 0;
        for case in &cases {
            let [native, mut both] = sides.map(|side| {
                let listener = envoy.listener(&side.listener(case.original));
                outcome(&Client::new(listener).send(&case.request))
            });
            let report = without_report(&mut both);
            allowed += usize::from(report.as_deref() == Some("allow"));
            // What the original lets pass the import would, too. A rule for everybody reports nothing.
            let is_right = native == both && report.as_deref().is_none_or(|it| it == "allow");
            if !is_right {
                wrong.push(format!(
                    "{}, {} ({version}): {report:?}\n  native {native:?}\n  both   {both:?}",
                    case.original, case.note
                ));
            }
        }
        assert!(
            allowed >= LEAST / 5,
            "{allowed} requests reported as allowed"
        );
        assert!(
            wrong.is_empty(),
            "{} of {} requests\n{}",
            wrong.len(),
            cases.len(),
            wrong.join("\n")
        );
    });
}
