//! Keys and tokens, made once for all runs.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer, SigningKey};
use serde_json::json;

use super::world::{PLACES, PROVIDERS, START_SECS};

/// How many keys a place publishes at one time or another.
pub(crate) const KEYS: usize = 6;

/// How many tokens with made-up `kid`s there are for each provider.
pub(crate) const MADE_UP: usize = 4;

/// A set of the keys of one place, a bit for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct KeySet(pub(crate) u8);

impl KeySet {
    pub(crate) const fn has(self, key: usize) -> bool {
        self.0 & (1 << key) != 0
    }

    pub(crate) const fn with(self, key: usize) -> Self {
        Self(self.0 | (1 << key))
    }

    pub(crate) const fn without(self, key: usize) -> Self {
        Self(self.0 & !(1 << key))
    }

    pub(crate) fn keys(self) -> impl DoubleEndedIterator<Item = usize> {
        (0..KEYS).filter(move |key| self.has(*key))
    }
}

/// What a client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// Signed by that key of the provider's place.
    Genuine(usize),
    /// With the `kid` of that key, signed by one that nobody ever published.
    Forged(usize),
    /// With a `kid` that nobody ever published.
    MadeUp(usize),
}

struct Minted {
    /// The JWKs by place and key, as JSON.
    jwks: Vec<Vec<String>>,
    /// The same `kid`s with keys that sign nothing.
    decoys: Vec<Vec<String>>,
    /// The values of `authorization` by provider.
    genuine: Vec<Vec<String>>,
    forged: Vec<Vec<String>>,
    made_up: Vec<Vec<String>>,
}

static MINTED: LazyLock<Minted> = LazyLock::new(|| {
    let stranger = SigningKey::from_bytes(&[255; 32]);
    let own = |place: usize, key: usize| signing_key(1 + place * KEYS + key);
    let by_place = |make: &dyn Fn(usize, usize) -> String| {
        (0..PLACES)
            .map(|place| (0..KEYS).map(|key| make(place, key)).collect())
            .collect()
    };
    let by_provider = |tokens: usize, make: &dyn Fn(usize, usize) -> String| {
        (0..PROVIDERS.len())
            .map(|provider| (0..tokens).map(|number| make(provider, number)).collect())
            .collect()
    };
    Minted {
        jwks: by_place(&|place, key| jwk(key, &own(place, key))),
        decoys: by_place(&|place, key| jwk(key, &signing_key(100 + place * KEYS + key))),
        genuine: by_provider(KEYS, &|provider, key| {
            token(provider, &kid(key), &own(PROVIDERS[provider].place, key))
        }),
        forged: by_provider(KEYS, &|provider, key| token(provider, &kid(key), &stranger)),
        made_up: by_provider(MADE_UP, &|provider, number| {
            token(provider, &format!("made-up-{number}"), &stranger)
        }),
    }
});

fn signing_key(number: usize) -> SigningKey {
    let byte = u8::try_from(number).expect("there are few keys");
    SigningKey::from_bytes(&[byte; 32])
}

fn kid(key: usize) -> String {
    format!("key-{key}")
}

fn jwk(key: usize, secret: &SigningKey) -> String {
    let x = URL_SAFE_NO_PAD.encode(secret.verifying_key().as_bytes());
    json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid(key), "x": x }).to_string()
}

fn token(provider: usize, kid: &str, secret: &SigningKey) -> String {
    let header = json!({ "alg": "EdDSA", "kid": kid });
    let claims = json!({
        "iss": PROVIDERS[provider].issuer, "sub": "alice", "jti": kid,
        "exp": START_SECS + 1_000_000_000,
    });
    let input = [header, claims]
        .map(|part| URL_SAFE_NO_PAD.encode(part.to_string()))
        .join(".");
    let signature = secret.sign(input.as_bytes()).to_bytes();
    format!("Bearer {input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The value of `authorization` with that token of a provider.
pub(crate) fn authorization(provider: usize, token: Token) -> &'static str {
    match token {
        Token::Genuine(key) => &MINTED.genuine[provider][key],
        Token::Forged(key) => &MINTED.forged[provider][key],
        Token::MadeUp(number) => &MINTED.made_up[provider][number],
    }
}

/// The body in which a place publishes `keys`: backwards where an order does not count, with a second key under the
/// same `kid` where it is to be confusing.
pub(crate) fn body(place: usize, keys: KeySet, backwards: bool, decoys: bool) -> Vec<u8> {
    let mut jwks: Vec<&str> = Vec::new();
    for key in keys.keys() {
        if decoys {
            jwks.push(&MINTED.decoys[place][key]);
        }
        jwks.push(&MINTED.jwks[place][key]);
    }
    if backwards {
        jwks.reverse();
    }
    format!("{{\"keys\":[{}]}}", jwks.join(",")).into_bytes()
}

/// The body of a list that revokes the tokens which are signed by `keys`, by their `jti`s.
pub(crate) fn list(keys: KeySet) -> Vec<u8> {
    let revoked: Vec<String> = keys.keys().map(kid).collect();
    json!({ "jti": revoked }).to_string().into_bytes()
}
