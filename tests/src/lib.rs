//! What the tests of the whole need around the filter: a real Envoy, a JWKS server, an upstream
//! that reports what it saw, a raw HTTP client, keys and tokens, and a way to run `nexusctl`.
//!
//! Everything here looks at Nexus from outside: the `.wasm`, the command, and what goes over the
//! wire. It must not use `nexus-core` or `nexus-filter`, so that a mistake there cannot repeat
//! itself in the test that should find it; tokens are signed by another library for the same
//! reason. The one exception is the native side of [`cases`], which is there to be compared.
//!
//! What cannot work is reported by a panic that says what was expected: this is code for tests.
//!
//! ```no_run
//! use nexus_tests::{
//!     envoy::{self, Config, Envoy},
//!     http::Request,
//!     jwks_server::JwksServer,
//!     keys::{self, Algorithm},
//!     nexusctl,
//!     tokens::Token,
//!     upstream::Upstream,
//! };
//!
//! let key = keys::rsa().with_kid("k1");
//! let jwks = JwksServer::start(keys::jwks([key.public_jwk()]));
//! let upstream = Upstream::start();
//! let policy = format!(r#"{{"name": "app", "jwks_url": "{}"}}"#, jwks.url());
//! let config = Config::new(upstream.addr())
//!     .filter(nexusctl::compile_policy(&policy))
//!     .cluster(&jwks.authority(), jwks.addr());
//! envoy::for_oldest_and_newest(|version| {
//!     let envoy = Envoy::start(version, &config);
//!     let token = Token::new("https://example.com").kid("k1").sign(&key, Algorithm::RS256);
//!     let answer = envoy.client().send(&Request::get("/my-app").bearer(&token));
//!     assert_eq!(answer.status, 200);
//!     assert_eq!(answer.seen().headers.text("x-user-id").as_deref(), Some("user"));
//! });
//! ```

pub mod artifacts;
pub mod cases;
pub mod client;
pub mod envoy;
pub mod flood;
pub mod http;
pub mod http2;
pub mod jwks_server;
pub mod keys;
pub mod load;
pub mod nexusctl;
pub mod proxy_crypto;
mod server;
pub mod tls;
pub mod tokens;
pub mod upstream;

use std::{
    thread,
    time::{Duration, Instant},
};

/// Asks `condition` every 10 ms until it holds or `timeout` has passed; says whether it held.
pub fn eventually(timeout: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + timeout;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
}
