//! Input of whatever kind never makes the filter trap, and never lets anybody pass who has no good token.
//! What the `.wasm` decides is compared with the engine driven natively each time.

use std::{cell::RefCell, time::Duration};

use nexus_host::{Answer, HeaderMap, Outcome, Request, StartError, VmConfig};
use nexus_tests::{
    cases::{
        NOW, Setting, native,
        wasm::{self, Bed},
    },
    keys::Algorithm,
    tokens::{self, Token},
};
use proptest::{collection::vec, prelude::*};

use crate::{CLUSTER, ISSUER, PATH, bed, bed_with_keys, key, next_key, send, setting, token_by};

/// Cases of each property. All together take some seconds.
const CASES: u32 = 300;

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: CASES,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// A process, a VM and an engine that live through all cases of a property, as a proxy's do.
struct Pair<'s> {
    bed: Bed,
    vm: nexus_host::Vm,
    engine: RefCell<native::Bed<'s>>,
}

impl<'s> Pair<'s> {
    fn new(setting: &'s Setting) -> Self {
        let bed = Bed::serving(setting);
        let vm = bed.start_with_keys(setting);
        let mut engine = native::Bed::new(setting);
        engine.fetch_all();
        Self {
            bed,
            vm,
            engine: RefCell::new(engine),
        }
    }

    /// Sends a request that no good token is in: it must be refused, on both sides alike.
    fn refuses(&self, request: Request) -> Result<(), TestCaseError> {
        drop(self.bed.proxy.log().take());
        let stream = self.vm.request(request);
        prop_assert_eq!(self.vm.failure(), None);
        let headers = stream
            .original_headers()
            .iter()
            .map(|(name, value)| (name.to_vec(), value.to_vec()))
            .collect();
        let decided = wasm::observed(&self.bed, &stream);
        prop_assert_eq!(self.vm.failure(), None);
        prop_assert!(decided.reply.is_some(), "it passes: {:?}", decided);
        prop_assert_eq!(decided, self.engine.borrow_mut().decide_headers(headers));
        Ok(())
    }
}

/// Bytes that parsers stumble over, and any others.
fn nasty_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..40),
        vec(
            prop::sample::select(b"eyJ.-_=,; \t\0\r\n\xff\xc3\xa9{}[]\"\\:0129aZ%/+".to_vec()),
            0..60
        ),
        any::<String>().prop_map(String::into_bytes),
    ]
}

fn header_name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::sample::select(vec![
            ":path",
            ":method",
            ":authority",
            ":scheme",
            "host",
            "authorization",
            "Authorization",
            "x-user-id",
            "X_User_Id",
            "cookie",
            "content-length",
            "",
        ])
        .prop_map(|name| name.as_bytes().to_vec()),
        nasty_bytes(),
    ]
}

fn header_value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        nasty_bytes(),
        nasty_bytes().prop_map(|bytes| [b"Bearer ".as_slice(), &bytes].concat()),
        broken_token().prop_map(|token| format!("Bearer {token}").into_bytes()),
        prop::sample::select(vec![
            "/app",
            "/app/x",
            "/app/../app",
            "/",
            "GET",
            "app.example.com"
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ]
}

/// A claim or parameter of any type.
fn json_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
        prop::sample::select(vec![
            ISSUER, "client", "alice", "none", "HS256", "EdDSA", "key-1"
        ])
        .prop_map(Into::into),
        (NOW - 100..NOW + 100).prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(serde_json::Value::Array),
            prop::collection::hash_map(".{0,4}", inner, 0..4)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A token that is never good: any claims and parameters, signed by a key that is not published.
fn forged_token() -> impl Strategy<Value = String> {
    let names = |names: &'static [&'static str]| prop::sample::select(names.to_vec());
    let claims = vec(
        (
            names(&["iss", "aud", "sub", "exp", "nbf", "iat", "jti", "email"]),
            json_value(),
        ),
        0..6,
    );
    let header = vec(
        (
            names(&[
                "kid", "typ", "alg", "crit", "b64", "jwk", "jku", "x5c", "zip",
            ]),
            json_value(),
        ),
        0..3,
    );
    (claims, header).prop_map(|(claims, header)| {
        let good = Token::empty()
            .claim("iss", ISSUER)
            .claim("aud", "client")
            .claim("sub", "alice")
            .claim("exp", NOW + 60)
            .kid("key-1");
        let token = claims
            .into_iter()
            .fold(good, |token, (name, value)| token.claim(name, value));
        let token = header
            .into_iter()
            .fold(token, |token, (name, value)| token.header(name, value));
        token.sign(&next_key(), Algorithm::EdDSA)
    })
}

/// What was a good token before something happened to it.
fn broken_token() -> impl Strategy<Value = String> {
    let good = token_by(&key());
    let length = good.len();
    prop_oneof![
        forged_token(),
        (nasty_bytes(), nasty_bytes(), nasty_bytes())
            .prop_map(|(header, payload, signature)| tokens::assembled(header, payload, signature)),
        // A byte of it becomes another one of the alphabet, or of none.
        (0..length, prop::sample::select(b"AZaz09-_.=+/ ".to_vec())).prop_filter_map(
            "it has to change",
            {
                let good = good.clone();
                move |(at, byte)| {
                    let mut bytes = good.clone().into_bytes();
                    let changed = std::mem::replace(&mut bytes[at], byte) != byte;
                    changed.then(|| String::from_utf8(bytes).expect("ASCII"))
                }
            }
        ),
        // It is cut, or something is put in.
        (0..length).prop_map({
            let good = good.clone();
            move |at| good[..at].to_owned()
        }),
        (0..length, "[A-Za-z0-9._=-]{1,5}")
            .prop_map(move |(at, more)| { format!("{}{more}{}", &good[..at], &good[at..]) }),
    ]
}

#[test]
fn header_maps_of_any_bytes_are_refused_without_a_trap() {
    let setting = setting();
    let pair = Pair::new(&setting);
    proptest!(config(), |(headers in vec((header_name(), header_value()), 0..12), whole in any::<bool>())| {
        let mut map = HeaderMap::new();
        if whole {
            for (name, value) in [(":method", "GET"), (":authority", "app.example.com"), (":path", "/app")] {
                map.push(name, value);
            }
        }
        for (name, value) in &headers {
            map.push(name, value);
        }
        pair.refuses(Request::from_headers(map))?;
    });
}

#[test]
fn tokens_that_are_not_good_are_refused_without_a_trap() {
    let setting = setting();
    let pair = Pair::new(&setting);
    proptest!(config(), |(token in broken_token())| {
        pair.refuses(crate::request(&token))?;
    });
    // And the VM has lost nothing of its mind.
    assert_eq!(crate::fate(&send(&pair.vm, &token_by(&key()))), "allow");
}

#[test]
fn authorization_of_any_bytes_is_refused_without_a_trap() {
    let setting = setting();
    let pair = Pair::new(&setting);
    proptest!(config(), |(value in nasty_bytes(), second in prop::option::of(nasty_bytes()))| {
        let mut request = Request::get("app.example.com", "/app")
            .header("authorization", [b"Bearer ".as_slice(), &value].concat());
        if let Some(second) = second {
            request = request.header("authorization", second);
        }
        pair.refuses(request)?;
    });
}

#[test]
fn configurations_of_any_bytes_never_trap() {
    let good = setting().compiled().as_bytes().to_vec();
    let length = good.len();
    let mutated = vec((0..length, any::<u8>()), 1..4).prop_map(move |changes| {
        let mut bytes = good.clone();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        bytes
    });
    let good = setting().compiled().to_owned();
    let cut = (0..length, 0..length).prop_map(move |(from, to)| {
        let (from, to) = (from.min(to), from.max(to));
        format!("{}{}", &good[..from], &good[to..]).into_bytes()
    });
    let nested = (
        1_usize..5_000,
        prop::sample::select(vec!["[", "{\"nexus\":", "{\"a\":"]),
    )
        .prop_map(|(depth, text)| text.repeat(depth).into_bytes());
    let configuration = prop_oneof![mutated, cut, nested, nasty_bytes()];
    proptest!(config(), |(configuration in configuration)| {
        let bed = bed_with_keys(&[&key()]);
        let started = bed.proxy.start_vm(wasm::module(), VmConfig {
            plugin_configuration: configuration,
            ..VmConfig::default()
        });
        match started {
            Err(StartError::ConfigureRefused { .. }) => {}
            Err(other) => prop_assert!(false, "{}", other),
            Ok(vm) => {
                // Some changes leave a configuration that means something: it works, or denies.
                bed.proxy.advance(Duration::from_secs(1));
                for token in [token_by(&key()), token_by(&next_key())] {
                    let stream = send(&vm, &token);
                    bed.proxy.advance(Duration::from_secs(1));
                    prop_assert_eq!(vm.failure(), None);
                    drop(stream);
                }
            }
        }
    });
}

#[test]
fn key_sets_of_any_bytes_never_trap_and_let_nobody_pass() {
    // What the server answers never has the key that signs.
    let published = crate::jwks(&[&key()]);
    let length = published.len();
    let changed = (vec((0..length, any::<u8>()), 1..4)).prop_map(move |changes| {
        let mut bytes = published.clone().into_bytes();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        bytes
    });
    let members = prop::sample::select(vec![
        "kty", "crv", "x", "y", "n", "e", "k", "kid", "alg", "use", "key_ops",
    ]);
    let made_up = vec(vec((members, json_value()), 0..8), 0..4).prop_map(|keys| {
        let keys: Vec<serde_json::Value> = keys
            .into_iter()
            .map(|members| {
                members
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect()
            })
            .collect();
        serde_json::json!({ "keys": keys }).to_string().into_bytes()
    });
    let body = prop_oneof![changed, made_up, nasty_bytes()];
    let status = prop_oneof![Just(200_u32), 0..700_u32];
    let setting = setting();
    proptest!(config(), |(body in body, status in status)| {
        let bed = bed(Answer::status(status).body(body));
        let vm = bed.start_with_keys(&setting);
        let stream = send(&vm, &token_by(&next_key().with_kid("key-1")));
        let outcome = stream.wait(Duration::from_secs(10));
        prop_assert_eq!(vm.failure(), None);
        prop_assert!(matches!(outcome, Outcome::Replied(_)), "{:?}", outcome);
    });
}

#[test]
fn an_answer_counts_only_with_status_200() {
    // 65736 is 200 in sixteen bits.
    for status in [0, 1, 99, 199, 201, 204, 206, 304, 600, 65_736, u32::MAX] {
        let answer = Answer::status(status).body(crate::jwks(&[&key()]));
        let bed = bed(answer);
        let vm = bed.start_with_keys(&setting());
        let stream = send(&vm, &token_by(&key()));
        bed.proxy.advance(Duration::from_secs(6));
        assert_eq!(crate::fate(&stream), crate::UNAVAILABLE, "{status}");
        assert_eq!(vm.failure(), None, "{status}");
    }
}

#[test]
fn a_key_set_of_many_megabytes_is_refused_without_a_trap() {
    let bed = bed(Answer::json(vec![b' '; 64 << 20]));
    let vm = bed.start_with_keys(&setting());
    let stream = send(&vm, &token_by(&key()));
    let outcome = stream.wait(Duration::from_secs(10));
    assert!(matches!(outcome, Outcome::Replied(_)), "{outcome:?}");
    assert_eq!(vm.failure(), None);
    // It recovers once the source is sane again.
    bed.callouts
        .answer(CLUSTER, PATH, Answer::json(crate::jwks(&[&key()])));
    bed.proxy.advance(Duration::from_secs(120));
    assert_eq!(crate::fate(&send(&vm, &token_by(&key()))), "allow");
}

#[test]
fn thousands_of_headers_are_read_without_a_trap() {
    let bed = bed_with_keys(&[&key()]);
    let vm = bed.start_with_keys(&setting());
    let mut request = crate::request(&token_by(&key()));
    for number in 0..1_000 {
        request = request.header(format!("X_User_ID_{number}"), vec![0xff; 64]);
        request = request.header("X_User_Id", "root");
    }
    let stream = vm.request(request);
    let Outcome::Forwarded(forwarded) = stream.outcome() else {
        panic!("it has to pass: {stream:?}");
    };
    assert_eq!(vm.failure(), None);
    assert!(!forwarded.headers.contains("x_user_id"));
    assert_eq!(
        forwarded.headers.first("x-user-id"),
        Some(b"alice".as_slice())
    );
}
