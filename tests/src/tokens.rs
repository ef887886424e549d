//! Tokens, well made and broken in every way: each part can be given as bytes.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use nexus_core::jose::Sha256Digest;
use serde_json::{Map, Value, json};

use crate::keys::{Algorithm, Key, random_text};

/// Seconds since the epoch.
pub fn now() -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("the clock is past 1970");
    i64::try_from(now.as_secs()).expect("seconds fit")
}

/// A token to be signed (RFC 7519).
#[derive(Clone, Debug)]
pub struct Token {
    header: Map<String, Value>,
    claims: Map<String, Value>,
}

impl Token {
    /// A token of this issuer: `sub` is `user`, `iat` is now, `exp` in 5 minutes.
    pub fn new(issuer: &str) -> Self {
        Self::empty()
            .claim("iss", issuer)
            .claim("sub", "user")
            .claim("iat", now())
            .expires_in(300)
    }

    /// A token without any claim.
    pub fn empty() -> Self {
        Self {
            header: Map::from_iter([("typ".to_owned(), json!("JWT"))]),
            claims: Map::new(),
        }
    }

    /// A DPoP proof (RFC 9449 §4.2), to be signed with the same `key`: that its holder sends a request with this
    /// method, URL and access token. `iat` is `now`, in seconds since the epoch, and `jti` a new one.
    pub fn proof(key: &Key, method: &str, url: &str, token: &str, now: i64) -> Self {
        Self::empty()
            .header("typ", "dpop+jwt")
            .header("jwk", key.without_kid().public_jwk())
            .claim("jti", random_text(16))
            .claim("htm", method)
            .claim("htu", url)
            .claim("iat", now)
            .claim("ath", Sha256Digest::of(token.as_bytes()).to_base64url())
    }

    /// Sets a claim.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// Removes a claim.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// Sets `aud`.
    #[must_use]
    pub fn audience(self, audience: impl Into<Value>) -> Self {
        self.claim("aud", audience)
    }

    /// Sets `exp` to so many seconds from now; negative for a token that has expired.
    #[must_use]
    pub fn expires_in(self, seconds: i64) -> Self {
        self.claim("exp", now() + seconds)
    }

    /// Sets `nbf` to so many seconds from now.
    #[must_use]
    pub fn valid_in(self, seconds: i64) -> Self {
        self.claim("nbf", now() + seconds)
    }

    /// Sets a header parameter; `alg` is set on signing unless it was set here.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    /// Sets the header's `kid`.
    #[must_use]
    pub fn kid(self, kid: &str) -> Self {
        self.header("kid", kid)
    }

    /// The signed token.
    ///
    /// The header's `kid` is the key's unless it was set; `alg` is the algorithm's name unless it
    /// was set.
    ///
    /// # Panics
    /// When the key is not one for the algorithm.
    pub fn sign(&self, key: &Key, algorithm: Algorithm) -> String {
        let mut header = self.header.clone();
        header
            .entry("alg")
            .or_insert_with(|| json!(algorithm.name()));
        if let Some(kid) = key.kid() {
            header.entry("kid").or_insert_with(|| json!(kid));
        }
        signed(
            Value::Object(header).to_string(),
            Value::Object(self.claims.clone()).to_string(),
            key,
            algorithm,
        )
    }
}

/// A token of these bytes, truly signed: for headers and payloads that are no good JSON.
///
/// # Panics
/// When the key is not one for the algorithm.
pub fn signed(
    header: impl AsRef<[u8]>,
    payload: impl AsRef<[u8]>,
    key: &Key,
    algorithm: Algorithm,
) -> String {
    let message = format!("{}.{}", base64url(header), base64url(payload));
    let signature = key.sign(algorithm, message.as_bytes());
    format!("{message}.{}", base64url(signature))
}

/// A token of these bytes with any signature.
pub fn assembled(
    header: impl AsRef<[u8]>,
    payload: impl AsRef<[u8]>,
    signature: impl AsRef<[u8]>,
) -> String {
    [base64url(header), base64url(payload), base64url(signature)].join(".")
}

/// A signed token's three parts as they stand between the dots, to be put together otherwise.
///
/// # Panics
/// When there are not three.
pub fn parts(token: &str) -> [&str; 3] {
    let parts: Vec<&str> = token.split('.').collect();
    parts
        .try_into()
        .unwrap_or_else(|parts: Vec<&str>| panic!("{} parts instead of 3", parts.len()))
}

/// The same token with one bit of its signature turned.
pub fn with_broken_signature(token: &str) -> String {
    let [header, payload, signature] = parts(token);
    let mut signature = URL_SAFE_NO_PAD
        .decode(signature)
        .expect("a signature is base64url");
    let byte = signature.last_mut().expect("a signature is not empty");
    *byte ^= 1;
    format!("{header}.{payload}.{}", base64url(signature))
}

/// Base64url without padding (RFC 7515 §2).
pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
