//! `nexusctl test-token`, run as a user runs it.

use std::{collections::BTreeMap, fs};

use serde_json::{Value, json};

use super::{Case, NOW_TEXT, Observed, Reply, Seen, Setting, by_name};
use crate::{jwks_server::JwksServer, nexusctl::Nexusctl};

/// Where the key sets of a setting come from for the command.
enum Keys {
    /// Nothing is fetched.
    None,
    /// All fetches are answered from these files in the setting's folder: one for keys, and one for
    /// revocation lists where there are any.
    File(&'static str, Option<&'static str>),
    /// They are really fetched, by this policy, from these servers.
    Live(&'static str, Vec<JwksServer>),
}

/// Runs the command for every case.
pub(super) fn observe(setting: &Setting, cases: &[Case]) -> Vec<Observed> {
    let keys = keys(setting);
    cases
        .iter()
        .map(|case| observe_one(setting, &keys, case))
        .collect()
}

/// `--jwks` knows one key set. Where there are several it has to hold all their keys, or the policy is told
/// the addresses of real servers: that is done where the policy says the URLs itself.
fn keys(setting: &Setting) -> Keys {
    let remotes = setting.remotes();
    let policy = fs::read_to_string(setting.policy_file()).expect("the policy can be read");
    if remotes.is_empty() {
        return Keys::None;
    }
    let quoted = |url: &str| json!(url).to_string();
    let are_key_sets = remotes.iter().all(|remote| {
        setting
            .published(&remote.url)
            .is_some_and(|text| text.contains("\"keys\""))
    });
    if are_key_sets
        && remotes.len() > 1
        && remotes
            .iter()
            .all(|remote| policy.contains(&quoted(&remote.url)))
    {
        let servers: Vec<JwksServer> = remotes
            .iter()
            .map(|remote| JwksServer::start(setting.jwks(&remote.url)))
            .collect();
        let policy = remotes
            .iter()
            .zip(&servers)
            .fold(policy, |policy, (remote, server)| {
                policy.replace(&quoted(&remote.url), &quoted(&server.url()))
            });
        write(setting, "policy-with-servers.json", &policy);
        return Keys::Live("policy-with-servers.json", servers);
    }
    let mut all = Vec::new();
    let mut revoked = None;
    for text in remotes
        .iter()
        .filter_map(|remote| setting.published(&remote.url))
    {
        let mut document: Value = serde_json::from_str(text).expect("JSON");
        if let Some(keys) = document["keys"].as_array_mut() {
            all.append(keys);
        } else if document["jwks_uri"].is_null() {
            // Neither a key set nor what says where one is.
            write(setting, "revoked.json", text);
            revoked = Some("revoked.json");
        }
    }
    write(
        setting,
        "all-keys.json",
        &json!({ "keys": all }).to_string(),
    );
    Keys::File("all-keys.json", revoked)
}

fn write(setting: &Setting, name: &str, text: &str) {
    fs::write(setting.folder().join(name), text).expect("the setting's folder can be written");
}

fn observe_one(setting: &Setting, keys: &Keys, case: &Case) -> Observed {
    let request = &case.request;
    let mut command = Nexusctl::new(["test-token", "--output", "json", "--now", NOW_TEXT])
        .folder(setting.folder())
        .arg("--method")
        .arg(&request.method)
        .arg("--host")
        .arg(&request.host)
        .arg("--path")
        .arg(&request.path);
    command = match keys {
        Keys::None => command.arg("--policy").arg("policy.json"),
        Keys::File(keys, revoked) => {
            let command = command
                .arg("--policy")
                .arg("policy.json")
                .arg("--jwks")
                .arg(keys);
            match revoked {
                Some(file) => command.arg("--revocations").arg(file),
                None => command,
            }
        }
        Keys::Live(policy, servers) => {
            assert!(!servers.is_empty(), "servers run while the command does");
            command.arg("--policy").arg(policy)
        }
    };
    for (name, value) in &request.headers {
        let value = std::str::from_utf8(value)
            .unwrap_or_else(|_| panic!("`{}` cannot go on a command line", case.name));
        command = command.arg("--header").arg(format!("{name}: {value}"));
    }
    for (name, value) in setting.environment() {
        command = command.env(name, value);
    }
    let output = command.run();
    let allowed = match output.code {
        Some(0) => true,
        Some(1) => false,
        _ => panic!(
            "`{}` ends with {:?}\n{}",
            case.name,
            output.code,
            output.stderr_text()
        ),
    };
    let report = output.json();
    let expected = if allowed { "allow" } else { "deny" };
    assert_eq!(report["decision"], expected, "the exit code: {report}");
    let seen = if allowed {
        Seen::Upstream(headers(&report["upstream_headers"]))
    } else {
        let replied = headers(&report["response_headers"]);
        let replied = replied.iter().flat_map(|(name, values)| {
            values
                .iter()
                .map(|value| (name.as_bytes(), value.as_slice()))
        });
        let status = report["status"]
            .as_u64()
            .and_then(|status| u16::try_from(status).ok())
            .unwrap_or_else(|| panic!("no status in {report}"));
        let body = report["body"]
            .as_str()
            .unwrap_or_else(|| panic!("no body in {report}"));
        Seen::Reply(Reply::new(status, body.as_bytes().to_vec(), replied))
    };
    Observed::new(seen, &report)
}

/// Headers as the command prints them: names with arrays of values.
fn headers(report: &Value) -> BTreeMap<String, Vec<Vec<u8>>> {
    let object = report
        .as_object()
        .unwrap_or_else(|| panic!("headers are an object, not {report}"));
    by_name(object.iter().flat_map(|(name, values)| {
        values
            .as_array()
            .unwrap_or_else(|| panic!("values are an array, not {values}"))
            .iter()
            .map(|value| {
                let value = value.as_str().expect("a value is text");
                (name.as_bytes(), value.as_bytes())
            })
    }))
}
