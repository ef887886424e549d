//! Keys where the issuer says they are.

use super::*;

const NOT_FOUND: u16 = 404;

/// A bed whose provider finds its keys by asking its issuer.
fn bed() -> Bed {
    Bed::new(config(&discovery()))
}

fn discovery() -> Value {
    json!({ "remote": [{ "discovery": {
        "issuer": "https://idp.example.com",
        "paths": ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"],
        "hosts": [
            { "scheme": "https", "authority": "idp.example.com", "cluster": "idp" },
            { "scheme": "https", "authority": "keys.example.com", "cluster": "keys" },
        ],
        "timeout_ms": 5000, "cache_ttl_secs": 300, "max_stale_secs": 3600,
    }}]})
}

fn document(jwks_uri: &str) -> String {
    json!({ "issuer": "https://idp.example.com", "jwks_uri": jwks_uri }).to_string()
}

impl Bed {
    /// Answers the one fetch that is due, which has to be for that URL.
    fn answer(&mut self, url: &str, status: u16, body: impl Into<Vec<u8>>) {
        let fetch = self.engine.poll_fetch(self.now).expect("a fetch is due");
        assert_eq!(fetch.target.url, url);
        assert_eq!(self.fetch(), None, "one fetch at a time");
        let answer = FetchAnswer::response(status, body.into());
        self.engine.handle_answer(fetch.id, answer, self.now);
    }

    fn answer_document(&mut self, jwks_uri: &str) {
        self.answer(OPENID, 200, document(jwks_uri));
    }

    fn answer_keys(&mut self, url: &str, keys: &[u8]) {
        self.answer(url, 200, jwks(keys).to_string());
    }
}

const OPENID: &str = "https://idp.example.com/.well-known/openid-configuration";
const OAUTH: &str = "https://idp.example.com/.well-known/oauth-authorization-server";
const KEYS: &str = "https://idp.example.com/jwks";
const MOVED: &str = "https://keys.example.com/v2?tenant=a";

/// A bed that knows the key 1 at [`KEYS`].
fn warm() -> Bed {
    let mut bed = bed();
    bed.answer_document(KEYS);
    bed.answer_keys(KEYS, &[1]);
    bed.events();
    bed
}

#[test]
fn a_request_at_a_cold_start_waits_for_the_document_and_the_keys() {
    let mut bed = bed();
    let id = bed.get(&good(1)).waits();
    let fetch = bed.engine.poll_fetch(bed.now).unwrap();
    assert_eq!(fetch.content, Content::Metadata);
    assert_eq!(fetch.target.cluster, "idp");
    assert_eq!(fetch.target.authority, "idp.example.com");
    assert_eq!(fetch.target.path, "/.well-known/openid-configuration");
    assert_eq!(bed.fetch(), None);
    bed.advance(4000);
    let answer = FetchAnswer::response(200, document(MOVED).into_bytes());
    bed.engine.handle_answer(fetch.id, answer, bed.now);
    assert_eq!(bed.fates(), []);
    let late = bed.get(&good(1)).waits();
    let fetch = bed.engine.poll_fetch(bed.now).unwrap();
    assert_eq!(fetch.content, Content::Keys);
    assert_eq!(fetch.target.cluster, "keys");
    assert_eq!(fetch.target.authority, "keys.example.com");
    assert_eq!(fetch.target.path, "/v2?tenant=a");
    bed.advance(4000);
    assert_eq!(bed.fates(), []);
    let answer = FetchAnswer::response(200, jwks(&[1]).to_string().into_bytes());
    bed.engine.handle_answer(fetch.id, answer, bed.now);
    let fates = bed.fates();
    assert!(fates.iter().all(|(_, fate)| fate.is_allowed()), "{fates:?}");
    assert_eq!((fates[0].0, fates[1].0), (id, late));
    assert_eq!(
        bed.events(),
        [
            "fetched metadata from https://idp.example.com/.well-known/openid-configuration: \
             the keys are at https://keys.example.com/v2",
            "fetched 1 usable keys from https://keys.example.com/v2",
        ],
        "a query is not logged"
    );
}

#[test]
fn a_request_at_a_cold_start_waits_for_two_answers_and_no_longer() {
    let mut bed = bed();
    let id = bed.get(&good(1)).waits();
    let hangs = bed.fetch().unwrap();
    bed.advance(6000);
    assert_eq!(bed.fates(), [], "the next try is near");
    bed.advance(1000);
    assert!(hangs < bed.fetch().unwrap());
    bed.advance(2999);
    assert_eq!(bed.fates(), []);
    bed.advance(1);
    assert_eq!(bed.fate_of(id), Fate::Denied("jwks_unavailable"));
}

#[test]
fn the_path_of_rfc_8414_is_asked_where_the_other_brings_no_document() {
    for (status, body) in [
        (404, "{}".to_string()),
        (301, String::new()),
        (200, "<html>Sign in</html>".to_string()),
        (200, "{\"issuer\": \"https://idp.exa".to_string()),
        (200, document("https://evil.test/keys")),
        (
            200,
            document(KEYS).replace("idp.example.com", "other.example.com"),
        ),
        (200, " ".repeat(1 << 20)),
    ] {
        let mut bed = bed();
        let id = bed.get(&good(1)).waits();
        bed.answer(OPENID, status, body);
        bed.answer(OAUTH, 200, document(KEYS));
        bed.answer_keys(KEYS, &[1]);
        assert!(bed.fate_of(id).is_allowed());
        assert!(
            bed.events()[0]
                .starts_with("fetched metadata from https://idp.example.com/.well-known/oauth")
        );
    }
    // Whoever cannot be reached is not asked twice at once.
    for answer in [
        FetchAnswer::NoResponse,
        FetchAnswer::NotSent,
        FetchAnswer::response(503, &b""[..]),
    ] {
        let mut bed = bed();
        bed.serve(answer);
        assert_eq!(bed.fetch(), None);
        assert!(bed.events()[0].contains("next try in"));
    }
}

#[test]
fn a_document_that_may_not_be_followed_is_a_failed_fetch_that_says_why() {
    let mut foreign =
        json!({ "issuer": "https://idp.example.com", "jwks_uri": "https://evil.test/keys" });
    let rows = [
        (
            foreign.to_string(),
            "`jwks_uri` of the document is on `evil.test`, which is neither the issuer's host nor one of `discovery_hosts`",
            "foreign_host",
        ),
        (
            {
                foreign["issuer"] = json!("https://evil.test");
                foreign.to_string()
            },
            "the document is that of the issuer `https://evil.test`",
            "issuer_mismatch",
        ),
        ("{}".into(), "the document has no `issuer`", "invalid"),
        (
            document("http://idp.example.com/jwks"),
            "`jwks_uri` of the document is not an `https` URL",
            "invalid",
        ),
        (
            "x".repeat(1 << 20),
            "the document has 1048576 bytes, the limit is 262144",
            "invalid",
        ),
    ];
    for (body, message, code) in rows {
        let mut bed = bed();
        let id = bed.get(&good(1)).waits();
        bed.answer(OPENID, 200, body);
        bed.answer(OAUTH, NOT_FOUND, "");
        let event = bed.engine.poll_event().unwrap();
        assert!(
            event.to_string().starts_with(&std::format!(
                "no metadata from {OPENID}: {message}; next try in "
            )),
            "{event}"
        );
        let Event::FetchFailed {
            content, failure, ..
        } = event
        else {
            panic!("{event:?}");
        };
        assert_eq!((content, failure.code()), (Content::Metadata, code));
        assert!(Content::Metadata.failures().contains(&code));
        bed.advance(10_000);
        assert_eq!(bed.fate_of(id), Fate::Denied("jwks_unavailable"));
    }
}

#[test]
fn keys_are_refreshed_without_asking_again_until_the_document_is_old() {
    let mut bed = warm();
    let token = token(1, &claims(&json!({ "exp": START + 100_000 })));
    let mut asked = 0;
    let end = bed.now.after(Millis::from_seconds(3600 + 400));
    while bed.now < end {
        bed.advance(10_000);
        while let Some(fetch) = bed.engine.poll_fetch(bed.now) {
            let body = match fetch.content {
                Content::Metadata => document(KEYS),
                _ => jwks(&[1]).to_string(),
            };
            asked += usize::from(fetch.content == Content::Metadata);
            let answer = FetchAnswer::response(200, body.into_bytes());
            bed.engine.handle_answer(fetch.id, answer, bed.now);
        }
    }
    assert_eq!(asked, 1, "once an hour");
    assert!(bed.get(&token).is_allowed());
}

#[test]
fn keys_that_have_moved_are_followed_at_once() {
    let mut bed = warm();
    bed.advance(280_000);
    bed.answer(KEYS, NOT_FOUND, "");
    assert!(bed.get(&good(1)).is_allowed(), "the known keys stay in use");
    bed.answer_document(MOVED);
    bed.answer_keys(MOVED, &[2]);
    assert_eq!(
        bed.events(),
        [
            "fetched metadata from https://idp.example.com/.well-known/openid-configuration: \
             the keys are at https://keys.example.com/v2",
            "no keys from https://idp.example.com/jwks: status 404",
            "fetched 1 usable keys from https://keys.example.com/v2",
        ]
    );
    assert!(bed.get(&good(2)).is_allowed());
    assert_eq!(bed.get(&good(1)), Fate::Denied("key_not_found"));
}

#[test]
fn keys_that_fail_where_they_still_are_wait_for_the_next_round() {
    let mut bed = warm();
    bed.advance(280_000);
    bed.answer(KEYS, 500, "");
    bed.answer_document(KEYS);
    let events = bed.events();
    assert_eq!(events.len(), 2, "{events:?}");
    assert!(
        events[1]
            .starts_with("no keys from https://idp.example.com/jwks: status 500; next try in ")
    );
    assert_eq!(bed.fetch(), None, "after a pause");
    assert!(bed.get(&good(1)).is_allowed());
    bed.advance(1000);
    bed.answer_keys(KEYS, &[1, 2]);
    assert!(bed.get(&good(2)).is_allowed());
}

#[test]
fn documents_that_fail_cost_nothing_while_the_keys_are_where_they_were() {
    let mut bed = warm();
    let token = token(3, &claims(&json!({ "exp": START + 1_000_000 })));
    // The document is old, and cannot be fetched.
    bed.advance(3_700_000);
    bed.answer(OPENID, 500, "");
    bed.answer_keys(KEYS, &[3]);
    let events = bed.events();
    assert_eq!(
        events[0],
        std::format!("no metadata from {OPENID}: status 500")
    );
    assert!(bed.get(&token).is_allowed());
    // Not for ever: an hour behind its hour, an issuer that does not answer is not believed any more.
    bed.advance(3_700_000);
    bed.answer(OPENID, 500, "");
    assert_eq!(bed.fetch(), None);
    assert!(
        bed.events()
            .iter()
            .any(|event| event.contains("status 500; next try in"))
    );
}

#[test]
fn an_unknown_kid_is_looked_for_where_the_keys_are() {
    let mut bed = warm();
    bed.advance(1_000);
    let id = bed.get(&good(2)).waits();
    bed.answer_keys(KEYS, &[1, 2]);
    assert!(bed.fate_of(id).is_allowed());
}

#[test]
fn a_request_in_the_middle_of_a_round_waits_for_its_end() {
    let mut bed = warm();
    bed.advance(280_000);
    bed.answer(KEYS, NOT_FOUND, "");
    // Between two requests: what is unknown now may be known soon.
    let id = bed.get(&good(2)).waits();
    bed.answer_document(MOVED);
    bed.answer_keys(MOVED, &[2]);
    assert!(bed.fate_of(id).is_allowed());
}

#[test]
fn nothing_that_an_issuer_says_makes_the_engine_ask_without_end() {
    let mut bed = bed();
    let mut fetches = 0;
    // An issuer whose keys move with every answer and are never there.
    for step in 0..10_000_u64 {
        while let Some(fetch) = bed.engine.poll_fetch(bed.now) {
            fetches += 1;
            let answer = match fetch.content {
                Content::Metadata => {
                    let uri = std::format!("https://keys.example.com/{step}-{fetches}");
                    FetchAnswer::response(200, document(&uri).into_bytes())
                }
                _ => FetchAnswer::response(NOT_FOUND, &b""[..]),
            };
            bed.engine.handle_answer(fetch.id, answer, bed.now);
        }
        bed.advance(100);
    }
    assert!(fetches < 100, "{fetches} fetches in 1000 s");
}

#[test]
fn providers_with_one_issuer_share_its_keys() {
    let mut policy = config(&discovery());
    let mut second = provider(&discovery());
    second["audiences"] = json!(["other"]);
    policy["providers"].as_array_mut().unwrap().push(second);
    let bed = Bed::new(policy);
    assert_eq!(bed.engine.sources.len(), 1);
}

#[test]
fn a_configuration_that_names_no_place_or_shares_a_secret_is_refused() {
    for (change, message) in [
        ("hosts", "`idp` says nowhere that its keys may be"),
        ("paths", "`idp` says nowhere that its keys may be"),
    ] {
        let mut policy = config(&discovery());
        policy["providers"][0]["keys"]["remote"][0]["discovery"][change] = json!([]);
        assert_eq!(refusal(policy), message);
    }
    let mut policy = config(&discovery());
    policy["providers"][0]["algorithms"] = json!(["HS256"]);
    assert_eq!(
        refusal(policy),
        "`idp` allows a symmetric algorithm with a remote key set"
    );
}

fn refusal(policy: Value) -> String {
    let config = Config::parse(policy.to_string().as_bytes()).unwrap();
    Engine::new(config, &environment, 7, Timestamp::from_seconds(START))
        .unwrap_err()
        .to_string()
}
