//! base64url as JOSE has it (RFC 7515 §2), and nothing more lenient.
//!
//! Two texts must never decode to the same bytes: a token that was revoked by its text would come back
//! in another spelling. So padding, `+` and `/`, white space and trailing bits that are not zero are refused.

use alloc::string::String;
use alloc::vec::Vec;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core::fmt;

/// A text is not base64url without padding in its only spelling (RFC 7515 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Base64urlError;

impl fmt::Display for Base64urlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not base64url without padding")
    }
}

impl core::error::Error for Base64urlError {}

/// Decodes `text`. The empty text is the empty sequence of bytes.
///
/// # Errors
/// [`Base64urlError`] for anything that [`encode`] would not have written.
pub fn decode(text: &[u8]) -> Result<Vec<u8>, Base64urlError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Base64urlError)
}

/// Encodes `bytes`, without padding.
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
