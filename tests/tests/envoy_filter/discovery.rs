//! Issuers that say where their keys are, that move them, and that say nonsense.

use std::time::Duration;

use nexus_tests::{
    envoy::{self, Config, Envoy},
    eventually,
    http::Request,
    jwks_server::{Answer, JwksServer},
    keys::{self, Algorithm, Key},
    tokens::Token,
    upstream::Upstream,
};
use serde_json::{Value, json};

use crate::scene::{Health, assert_denied, assert_passes, compiled, key};

const OPENID: &str = "/tenant/.well-known/openid-configuration";
const OAUTH: &str = "/.well-known/oauth-authorization-server/tenant";

fn issuer(server: &JwksServer) -> String {
    format!("http://{}/tenant", server.authority())
}

fn document(server: &JwksServer, jwks_uri: &str) -> Answer {
    Answer::ok(json!({"issuer": issuer(server), "jwks_uri": jwks_uri}).to_string())
}

fn keys_at(server: &JwksServer, path: &str) -> String {
    format!("http://{}{path}", server.authority())
}

fn keys_of(key: &Key) -> Answer {
    Answer::ok(keys::jwks([key.public_jwk()]))
}

fn provider(server: &JwksServer, host: Option<&JwksServer>) -> Value {
    let mut provider = json!({
        "issuer": issuer(server), "audience": "orders", "oidc_discovery": true,
        "jwks_timeout_ms": 500, "jwks_cache_ttl_secs": 1,
    });
    if let Some(host) = host {
        provider["discovery_hosts"] = json!([host.authority()]);
    }
    provider
}

fn app(name: &str) -> Value {
    json!({
        "slug": name, "gateway_path": format!("/{name}"),
        "default_policy": {"auth": {"auth_type": "jwt", "providers": [name]}},
    })
}

fn request(name: &str, server: &JwksServer, key: &Key) -> Request {
    let token = Token::new(&issuer(server)).audience("orders");
    Request::get(format!("/{name}")).bearer(token.sign(key, Algorithm::RS256))
}

/// An issuer that moves its keys to another host is followed there without anybody's help, and not to a host
/// that the policy does not name.
#[test]
fn discovery_follows_keys_that_move_to_a_host_that_is_allowed() {
    let (old, new) = (key(), keys::other_rsa().with_kid("moved"));
    let upstream = Upstream::start();
    envoy::for_oldest_and_newest(|version| {
        let idp = JwksServer::start("");
        let elsewhere = JwksServer::start(keys::jwks([new.public_jwk()]));
        let first = keys_at(&idp, "/keys?v=1");
        idp.answer_paths([
            (OAUTH, document(&idp, &first)),
            ("/keys?v=1", keys_of(&old)),
        ]);
        let policy = json!({
            "providers": {"idp": provider(&idp, Some(&elsewhere))}, "apps": [app("idp")],
        });
        let config = Config::new(upstream.addr())
            .filter(compiled(&policy))
            .cluster(&idp.authority(), idp.addr())
            .cluster(&elsewhere.authority(), elsewhere.addr());
        let mut envoy = Envoy::start(version, &config);
        let health = Health::of(&envoy);
        let mut client = envoy.client();
        assert_passes(
            &mut client,
            &request("idp", &idp, &old),
            "where the issuer says",
        );
        assert_denied(
            &client.send(&request("idp", &idp, &new)),
            "key_not_found",
            "not yet",
        );
        assert_eq!(elsewhere.count(), 0);

        idp.answer_paths([(OPENID, document(&idp, &elsewhere.url()))]);
        let moved = request("idp", &idp, &new);
        let followed = eventually(Duration::from_secs(15), || {
            client.send(&moved).status == 200
        });
        assert!(followed, "{}", envoy.log_end());
        assert_denied(
            &client.send(&request("idp", &idp, &old)),
            "key_not_found",
            "withdrawn",
        );

        // The host is allowed, but the document leads on to one that is not: the known keys stay.
        let foreign = format!("http://127.0.0.1:9/{}", "keys");
        idp.answer_paths([(OPENID, document(&idp, &foreign))]);
        elsewhere.answer(Answer::status(404));
        let told =
            "is on `127.0.0.1:9`, which is neither the issuer's host nor one of `discovery_hosts`";
        assert!(envoy.wait_for_log(told, Duration::from_secs(10)));
        assert_passes(&mut client, &moved, "stale keys");
        let stats = envoy.stats();
        let count =
            |outcome: &str| stats.value(&format!("wasmcustom.nexus.discovery_fetch.{outcome}"));
        assert!(count("success") > 0 && count("foreign_host") > 0);
        health.assert_unharmed(&mut envoy);
    });
}

/// Documents that are no good deny in bounded time, each with a line in the log that says why.
#[test]
fn discovery_by_documents_that_are_no_good_denies_and_says_why() {
    let good = JwksServer::start("");
    good.answer_paths([
        (OPENID, document(&good, &keys_at(&good, "/keys"))),
        ("/keys", keys_of(&key())),
    ]);
    let redirect = Answer::status(301).header("location", OPENID);
    let row = |name: &'static str, told: &'static str, answer: &dyn Fn(&JwksServer) -> Answer| {
        let server = JwksServer::start("");
        server.answer_paths([(OPENID, answer(&server)), ("/keys", keys_of(&key()))]);
        (name, told, server)
    };
    let own = |server: &JwksServer| keys_at(server, "/keys");
    let rows = [
        row("redirect", "status 404", &|_| redirect.clone()),
        row("html", "the document is not valid JSON", &|_| {
            Answer::ok("<html>Sign in</html>")
        }),
        row("cut", "the document is not valid JSON", &|server| {
            let mut answer = document(server, &own(server));
            answer.body.truncate(answer.body.len() - 1);
            answer
        }),
        row(
            "large",
            "the document has 262145 bytes, the limit is 262144",
            &|_| Answer::ok(" ".repeat(1 << 20)),
        ),
        row("deep", "the document is not valid JSON", &|_| {
            Answer::ok("[".repeat(200_000))
        }),
        row(
            "other",
            "the document is that of the issuer `https://other.example.com`",
            &|server| {
                Answer::ok(
                    json!({"issuer": "https://other.example.com", "jwks_uri": own(server)})
                        .to_string(),
                )
            },
        ),
        row("foreign", "`jwks_uri` of the document is on", &|server| {
            document(server, &own(&good))
        }),
        row("tls", "`jwks_uri` of the document is on", &|server| {
            document(server, &own(server).replace("http:", "https:"))
        }),
        row(
            "plain",
            "`jwks_uri` of the document is not an `https` URL",
            &|server| document(server, "http://keys.example.com/"),
        ),
        row(
            "inject",
            "`jwks_uri` of the document has a character that cannot stand in it",
            &|server| document(server, &format!("{}\r\nx-a: b", own(server))),
        ),
    ];
    let upstream = Upstream::start();
    let mut providers = json!({"good": provider(&good, None)});
    let mut apps = vec![app("good")];
    let mut servers = vec![&good];
    for (name, _, server) in &rows {
        providers[*name] = provider(server, None);
        apps.push(app(name));
        servers.push(server);
    }
    let policy = json!({"providers": providers, "apps": apps});
    let config = servers.iter().fold(
        Config::new(upstream.addr()).filter(compiled(&policy)),
        |config, server| config.cluster(&server.authority(), server.addr()),
    );
    envoy::for_oldest_and_newest(|version| {
        let mut envoy = Envoy::start(version, &config);
        let health = Health::of(&envoy);
        let mut client = envoy.client();
        assert_passes(&mut client, &request("good", &good, &key()), "beside them");
        for (name, told, server) in &rows {
            let denied = client.send(&request(name, server, &key()));
            assert_denied(&denied, "jwks_unavailable", name);
            let line = format!("no metadata from http://{}", server.authority());
            assert!(envoy.wait_for_log(&line, Duration::from_secs(5)), "{name}");
            let log = envoy.log();
            let told = log
                .lines()
                .any(|it| it.contains(&line) && it.contains(told));
            assert!(told, "{name}: {}", envoy.log_end());
            let asked = server.requests();
            assert!(asked.iter().all(|it| it.path != "/keys"), "{name}");
        }
        health.assert_unharmed(&mut envoy);
    });
}
