//! Signatures of RSA, which the module computes with other instructions than any native program: it must find the
//! same of them, for keys of every kind of length.

use nexus_host::Request;
use nexus_tests::{
    cases::{
        NOW, Setting, native,
        wasm::{self, Bed},
    },
    keys::{Algorithm, Key},
    tokens::{self, Token},
};
use serde_json::json;

use crate::{ISSUER, URL, jwks, request};

const ALGORITHMS: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// Lengths of keys in bits, and exponents. 2056 is no multiple of 32 bits, 2050 and 2049 are none of 8; with 2049
/// what PSS signs is a byte shorter than the key.
const KEYS: [(usize, u32); 7] = [
    (2048, 65_537),
    (2048, 3),
    (2049, 65_537),
    (2050, 17),
    (2056, 65_537),
    (3072, 65_537),
    (4096, 65_537),
];

#[test]
fn the_module_judges_rsa_signatures_as_the_native_engine_does() {
    let keys: Vec<Key> = KEYS
        .iter()
        .enumerate()
        .map(|(at, (bits, exponent))| {
            Key::generate_rsa_with_exponent(*bits, *exponent).with_kid(&format!("key-{at}"))
        })
        .collect();
    let policy = json!({
        "slug": "app", "gateway_path": "/app",
        "default_policy": {"auth": {
            "auth_type": "jwt", "issuer": ISSUER, "audience": "client", "jwks_url": URL,
            "algorithms": ALGORITHMS.map(Algorithm::name),
        }},
    });
    let published = jwks(&keys.iter().collect::<Vec<_>>());
    let setting = Setting::new("app", &policy.to_string()).key_set(URL, &published);
    let bed = Bed::serving(&setting);
    let vm = bed.start_with_keys(&setting);
    let mut engine = native::Bed::new(&setting);
    engine.fetch_all();
    let mut decide = |request: Request| {
        drop(bed.proxy.log().take());
        let stream = vm.request(request);
        let headers = stream
            .original_headers()
            .iter()
            .map(|(name, value)| (name.to_vec(), value.to_vec()))
            .collect();
        let decided = wasm::observed(&bed, &stream);
        assert_eq!(vm.failure(), None);
        assert_eq!(decided, engine.decide_headers(headers));
        decided.reply.is_none()
    };
    for (key, (bits, exponent)) in keys.iter().zip(KEYS) {
        for algorithm in ALGORITHMS {
            let note = format!("{algorithm:?}, {bits} bits, exponent {exponent}");
            let token = Token::empty()
                .claim("iss", ISSUER)
                .claim("aud", "client")
                .claim("exp", NOW + 1_000)
                .sign(key, algorithm);
            assert!(decide(request(&token)), "{note}");
            let broken = tokens::with_broken_signature(&token);
            assert!(!decide(request(&broken)), "{note}, a bit changed");
            let [header, payload, _] = tokens::parts(&token);
            for (byte, note_of) in [
                (0x00, "zeros"),
                (0x01, "ones"),
                (0xff, "the largest number"),
            ] {
                let signature = tokens::base64url(vec![byte; bits.div_ceil(8)]);
                let forged = format!("{header}.{payload}.{signature}");
                assert!(!decide(request(&forged)), "{note}, {note_of}");
            }
        }
    }
}
