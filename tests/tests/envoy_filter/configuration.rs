//! Configurations that do not load: Envoy refuses them, with the reason in its log, at the start and
//! while it runs.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use nexus_tests::{
    envoy::{self, Config, Envoy},
    eventually,
    http::Request,
    keys::{self, Algorithm},
    tokens::Token,
    upstream::Upstream,
};
use serde_json::{Value, json};

use crate::scene::{
    ISSUER, assert_denied, assert_passes, compiled, good_token, inline_provider, key,
};

/// An app with this `auth`.
fn app(auth: Value) -> Value {
    json!({"slug": "app", "gateway_path": "/", "default_policy": {"auth": auth}})
}

/// The compiled form of a policy, changed by hand as `compile-policy` would never write it.
fn altered(change: impl FnOnce(&mut Value)) -> String {
    let mut auth = inline_provider();
    auth["auth_type"] = json!("jwt");
    let mut config = serde_json::from_str(&compiled(&app(auth))).expect("JSON");
    change(&mut config);
    config.to_string()
}

/// An app that takes its secret from a variable.
fn with_secret(variable: &str) -> String {
    compiled(&app(
        json!({"auth_type": "jwt", "issuer": ISSUER, "jwt_secret_env": variable}),
    ))
}

/// An app that takes its public key from a variable.
fn with_key(variable: &str) -> String {
    compiled(&app(
        json!({"auth_type": "jwt", "issuer": ISSUER, "jwt_public_key_env": variable}),
    ))
}

const NOT_COMPILED: &str = "is not one that `nexusctl compile-policy` wrote";

#[test]
fn envoy_does_not_start_with_a_configuration_that_the_filter_refuses() {
    let upstream = Upstream::start();
    let with = |configuration: &str| Config::new(upstream.addr()).filter(configuration);
    let good = altered(|_| {});
    let rows = [
        (
            "another version",
            with(&altered(|it| it["nexus"] = json!(1))),
            "has version 1, this filter reads version 3",
        ),
        (
            "a secret that is not there",
            with(&with_secret("NEXUS_SECRET")).missing_host_env("NEXUS_SECRET"),
            "the environment variable `NEXUS_SECRET` is not set",
        ),
        (
            "a time that is none",
            with(&good).host_env("GATEWAY_JWKS__CACHE_TTL_SECS", "5m"),
            "`GATEWAY_JWKS__CACHE_TTL_SECS` is not a whole number of seconds",
        ),
    ];
    envoy::for_oldest_and_newest(|version| {
        for (note, config, message) in &rows {
            let Err(error) = Envoy::try_start(version, config) else {
                panic!("{note}: Envoy starts");
            };
            let log = error.log();
            assert!(log.contains(message), "{note}: no `{message}` in {error}");
            assert!(
                log.contains("Unable to create Wasm plugin nexus"),
                "{note}: {error}"
            );
            assert!(!log.contains("Uncaught"), "refused, not broken: {error}");
        }
    });
}

/// What is wrong, the configuration, and what the log has to say.
fn bad_configurations() -> Vec<(&'static str, String, &'static str)> {
    let good = altered(|_| {});
    vec![
        ("none", String::new(), "there is no configuration"),
        ("no JSON", "nexus: 1".into(), NOT_COMPILED),
        (
            "a policy that was not compiled",
            app(json!({"auth_type": "none"})).to_string(),
            NOT_COMPILED,
        ),
        (
            "cut in the middle",
            good[..good.len() / 2].into(),
            NOT_COMPILED,
        ),
        (
            "another version",
            altered(|it| it["nexus"] = json!(1)),
            "has version 1, this filter reads version 3",
        ),
        (
            "an unknown field",
            altered(|it| it["apps"][0]["auht"] = json!(1)),
            "unknown field `auht`",
        ),
        (
            "no provider of that number",
            altered(|it| {
                it["apps"][0]["auth"]["jwt"]["requirement"] = json!({"provider": {"index": 7}})
            }),
            "names a provider that does not exist",
        ),
        (
            "no algorithm",
            altered(|it| it["providers"][0]["algorithms"] = json!([])),
            "allows no algorithm",
        ),
        (
            "a pseudo-header for a claim",
            altered(|it| {
                it["apps"][0]["auth"]["jwt"]["handling"] =
                    json!({"forward_claims": [{"claim": "sub", "to": {"header": ":path"}}]})
            }),
            "no header that something can be passed on in",
        ),
        (
            "a secret that is not passed on",
            with_secret("NEXUS_NOT_PASSED_ON"),
            "the environment variable `NEXUS_NOT_PASSED_ON` is not set",
        ),
        (
            "a secret that is not there",
            with_secret("NEXUS_NOT_THERE"),
            "the environment variable `NEXUS_NOT_THERE` is not set",
        ),
        (
            "an empty secret",
            with_secret("NEXUS_EMPTY"),
            "the secret has 0 bytes",
        ),
        (
            "a short secret",
            with_secret("NEXUS_SHORT"),
            "the secret has 6 bytes, HS256 asks for at least 32",
        ),
        (
            "a public key for a secret",
            with_secret("NEXUS_KEY"),
            "the secret is the text of a public key",
        ),
        (
            "a key that is none",
            with_key("NEXUS_SHORT"),
            "the environment variable `NEXUS_SHORT` holds no public key",
        ),
        (
            "a private key",
            with_key("NEXUS_PRIVATE"),
            "the environment variable `NEXUS_PRIVATE` holds no public key",
        ),
    ]
}

/// As an operator or a control plane does it: a policy is replaced in an Envoy that serves requests.
#[test]
fn a_bad_update_is_rejected_and_the_policy_in_force_stays() {
    const OTHER: &str = "https://other.example.com";
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("listeners.json");
    let private = keys::for_algorithm(Algorithm::ES256).private_pem();
    let initial = Config::new(upstream.addr())
        .filter(altered(|_| {}))
        .host_env("NEXUS_EMPTY", "")
        .host_env("NEXUS_SHORT", "secret")
        .host_env("NEXUS_KEY", &keys::rsa().public_pem())
        .host_env("NEXUS_PRIVATE", &private)
        .missing_host_env("NEXUS_NOT_THERE");
    let config = dynamic(initial, &file);
    let good = Request::get("/").bearer(good_token());
    let other_token = Token::new(OTHER)
        .audience("orders")
        .sign(&key(), Algorithm::RS256);
    let good_elsewhere = Request::get("/").bearer(other_token);
    let rows = bad_configurations();
    envoy::for_oldest_and_newest(|version| {
        let mut envoy = Envoy::start(version, &config);
        let listener = fs::read(&file).expect("the file is there");
        let listener: Value = serde_json::from_slice(&listener).expect("JSON");
        let update = |configuration: &str, number: usize| {
            let mut listener = listener.clone();
            listener["version_info"] = json!(number.to_string());
            *filter_configuration(&mut listener) = json!(configuration);
            replace(&file, &listener);
        };
        assert_passes(&mut envoy.client(), &good, "the initial policy");
        for (number, (note, configuration, message)) in (2..).zip(&rows) {
            let before = envoy.log().len();
            update(configuration, number);
            envoy.wait_for_stats("lds", Duration::from_secs(10), |stats| {
                stats.value("listener_manager.lds.update_rejected") > (number - 2) as u64
            });
            let told = eventually(Duration::from_secs(5), || {
                envoy.log()[before..].contains(message)
            });
            assert!(told, "{note}: no `{message}` in {}", &envoy.log()[before..]);
            assert_passes(&mut envoy.client(), &good, note);
            let denied = envoy.client().send(&good_elsewhere);
            assert_denied(&denied, "token_issuer_unknown", note);
        }
        update(
            &altered(|it| it["providers"][0]["issuer"] = json!(OTHER)),
            100,
        );
        let in_force = eventually(Duration::from_secs(10), || {
            envoy.client().send(&good_elsewhere).status == 200
        });
        assert!(
            in_force,
            "the good update is not in force: {}",
            envoy.log_end()
        );
        let denied = envoy.client().send(&good);
        assert_denied(&denied, "token_issuer_unknown", "the issuer of old");
        assert!(envoy.is_alive());
        let log = envoy.log();
        assert!(
            !log.contains("Uncaught"),
            "refused, not broken: {}",
            envoy.log_end()
        );
        assert!(
            !log.contains("BEGIN PUBLIC") && !log.contains(&private[40..80]),
            "a key is logged"
        );
    });
}

/// Moves the listener into a file that Envoy watches.
fn dynamic(config: Config, file: &Path) -> Config {
    let file: PathBuf = file.to_owned();
    config.edit(move |bootstrap| {
        let mut listener = bootstrap["static_resources"]["listeners"][0].take();
        listener["@type"] = json!("type.googleapis.com/envoy.config.listener.v3.Listener");
        replace(
            &file,
            &json!({"version_info": "1", "resources": [listener]}),
        );
        bootstrap["static_resources"]
            .as_object_mut()
            .expect("an object")
            .remove("listeners");
        bootstrap["node"] = json!({"id": "test", "cluster": "test"});
        bootstrap["dynamic_resources"] = json!({"lds_config": {
            "resource_api_version": "V3",
            "path_config_source": {"path": file},
        }});
    })
}

/// Envoy sees a file that is moved, not one that is written to.
fn replace(file: &Path, content: &Value) {
    let fresh = file.with_extension("new");
    fs::write(&fresh, content.to_string()).expect("writing the file");
    fs::rename(&fresh, file).expect("moving the file");
}

fn filter_configuration(listener: &mut Value) -> &mut Value {
    &mut listener["resources"][0]["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"]
        [0]["typed_config"]["config"]["configuration"]["value"]
}
