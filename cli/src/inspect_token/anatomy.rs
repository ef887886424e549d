//! The parts of a token's text, taken apart with more patience than the filter has.
//!
//! What the filter would refuse as malformed is a problem; what only people and clients do to a token
//! on its way (a pasted `Bearer`, a line break at the end) is unusual.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD};
use nexus_core::json::{self, Value};

use super::Finding;
use crate::output::{count, visible};

/// Takes what strict base64url refuses but what still has one meaning.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Longer than any proxy takes a header with its defaults, in bytes (Envoy: 60 KiB for all headers).
const LONG: usize = 8 * 1024;

/// A token in its parts.
pub(crate) struct Anatomy {
    pub(crate) header: Part,
    pub(crate) claims: Part,
    /// The length of the decoded signature; `None` when there is none to decode.
    pub(crate) signature_bytes: Option<usize>,
    /// Why it is malformed (RFC 7515 §5.2, RFC 7519 §7.2).
    pub(crate) problems: Vec<Finding>,
    /// What was done to its text.
    pub(crate) unusual: Vec<Finding>,
}

/// The header or the claims.
#[derive(Default)]
pub(crate) struct Part {
    bytes: Option<Vec<u8>>,
}

impl Part {
    /// Whether there was anything to decode.
    pub(crate) fn is_present(&self) -> bool {
        self.bytes.is_some()
    }

    /// The part as JSON, when it is.
    pub(crate) fn json(&self) -> Option<Value<'_>> {
        json::parse(self.bytes.as_deref()?).ok()
    }

    /// The part as a terminal may show it, whatever it is.
    pub(crate) fn shown(&self) -> String {
        let bytes = self.bytes.as_deref().unwrap_or_default();
        match std::str::from_utf8(bytes) {
            Ok(text) => visible(text),
            Err(_) => format!("{}, not text", count(bytes.len(), "byte")),
        }
    }
}

/// The token in a text: without white space around it and without `Bearer` before it, and what of
/// that there was.
pub(crate) fn cleaned(text: &str) -> (&str, Vec<Finding>) {
    let mut unusual = Vec::new();
    let mut token = text.trim();
    // One line break at the end is how files and pipes end.
    if text.trim_end_matches(['\r', '\n']) != token {
        unusual.push(Finding::new(
            "whitespace",
            "there is white space around the token",
        ));
    }
    // A scheme is case-insensitive (RFC 9110 §11.1).
    if let Some((scheme, rest)) = token.split_once(char::is_whitespace)
        && (scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("authorization:"))
    {
        unusual.push(Finding::new(
            "bearer_prefix",
            format!("the text starts with `{scheme}`, which is not part of the token"),
        ));
        let (inner, more) = cleaned(rest);
        token = inner;
        unusual.extend(
            more.into_iter()
                .filter(|finding| finding.code != "whitespace"),
        );
    }
    (token, unusual)
}

impl Anatomy {
    /// Takes a text apart.
    pub(crate) fn of(text: &[u8]) -> Self {
        let mut anatomy = Self {
            header: Part::default(),
            claims: Part::default(),
            signature_bytes: None,
            problems: Vec::new(),
            unusual: Vec::new(),
        };
        let text = String::from_utf8_lossy(text);
        let (token, unusual) = cleaned(&text);
        anatomy.unusual = unusual;
        if token.len() > LONG {
            anatomy.unusual.push(Finding::new(
                "long",
                format!(
                    "the token has {} bytes, and many servers refuse headers over {LONG}",
                    token.len()
                ),
            ));
        }
        anatomy.take_apart(token);
        anatomy
    }

    fn take_apart(&mut self, token: &str) {
        let parts: Vec<&str> = token.split('.').collect();
        match parts.as_slice() {
            [""] => self.problem("empty", "there is no token"),
            [_, _, _] => {}
            [_, _, _, _, _] => self.problem(
                "encrypted",
                "five parts: it is encrypted (JWE, RFC 7516), and Nexus reads signed tokens only",
            ),
            _ => {
                let parts = count(parts.len(), "part");
                self.problem(
                    "parts",
                    format!("{parts} between dots, a token has three (RFC 7515 §7.1)"),
                );
            }
        }
        let is_encrypted = parts.len() == 5;
        if let Some(part) = parts.first().filter(|part| !part.is_empty()) {
            self.header.bytes = self.decode("header", part);
            self.check_json("header", self.header.bytes.clone());
        } else if parts.len() > 1 {
            self.problem("header_empty", "the header is empty");
        }
        if is_encrypted {
            return;
        }
        match parts.get(1) {
            Some(&"") => self.problem("claims_empty", "the claims set is empty"),
            Some(part) => {
                self.claims.bytes = self.decode("claims set", part);
                self.check_json("claims set", self.claims.bytes.clone());
            }
            None => {}
        }
        if let Some(part) = parts.get(2) {
            self.signature_bytes = self.decode("signature", part).map(|bytes| bytes.len());
        }
    }

    fn problem(&mut self, code: &'static str, text: impl Into<String>) {
        self.problems.push(Finding::new(code, text));
    }

    fn decode(&mut self, name: &str, part: &str) -> Option<Vec<u8>> {
        if let Ok(bytes) = URL_SAFE_NO_PAD.decode(part) {
            return Some(bytes);
        }
        let mut reasons = Vec::new();
        if part.contains('=') {
            reasons.push("has padding (`=`)");
        }
        if part.contains(['+', '/']) {
            reasons.push("is in plain base64, with `+` or `/`");
        }
        let compact: String = part
            .chars()
            .filter(|character| !character.is_whitespace() && *character != '=')
            .map(|character| match character {
                '+' => '-',
                '/' => '_',
                other => other,
            })
            .collect();
        if part.contains(char::is_whitespace) {
            reasons.push("has white space inside");
        }
        let decoded = LENIENT.decode(&compact).ok();
        if reasons.is_empty() {
            reasons.push(match decoded {
                Some(_) => "has bits behind its last byte (RFC 4648 §3.5)",
                None => "is not base64url",
            });
        }
        // What cannot be decoded is unreadable whatever else is wrong with it.
        if decoded.is_none() && !reasons.contains(&"is not base64url") {
            reasons.push("cannot be decoded");
        }
        self.problem("base64url", format!("the {name} {}", reasons.join(" and ")));
        decoded
    }

    fn check_json(&mut self, name: &'static str, bytes: Option<Vec<u8>>) {
        let Some(bytes) = bytes else { return };
        match json::parse(&bytes) {
            Ok(value) if value.as_object().is_some() => {}
            Ok(value) => self.problem(
                "not_an_object",
                format!("the {name} is {}, not an object", value.kind_name()),
            ),
            Err(error) if error.kind == json::ErrorKind::DuplicateMember => self.problem(
                "duplicate_member",
                format!(
                    "the {name} has a member twice, at byte {} (RFC 7515 §4, RFC 7519 §4)",
                    error.offset
                ),
            ),
            Err(error) => self.problem("not_json", format!("the {name} is not JSON: {error}")),
        }
    }
}
