//! The challenges of a reply: the values of `WWW-Authenticate` (RFC 9110 §11.6.1).

use alloc::string::String;
use core::fmt::{self, Write};

use crate::reason::{Challenge, Reason};

/// An authentication scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `Bearer` (RFC 6750 §3).
    Bearer,
    /// `DPoP` (RFC 9449 §7.1).
    Dpop,
}

impl Scheme {
    /// The scheme's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Dpop => "DPoP",
        }
    }
}

/// One challenge. What is `None` or empty is left out.
#[derive(Debug, Clone, Copy)]
pub struct ChallengeHeader<'c> {
    /// The scheme.
    pub scheme: Scheme,
    /// The protection space (RFC 9110 §11.5), from the policy.
    pub realm: Option<&'c str>,
    /// What is wrong (RFC 6750 §3.1, RFC 9449 §7.1).
    pub error: Option<&'c str>,
    /// The scopes that are needed (RFC 6750 §3), from the policy.
    pub scope: &'c [String],
    /// The algorithms that a proof may be signed with (RFC 9449 §7.1).
    pub algs: &'c [&'c str],
    /// Where the metadata of the resource are (RFC 9728 §5.1), from the policy.
    pub resource_metadata: Option<&'c str>,
}

impl<'c> ChallengeHeader<'c> {
    /// A challenge that names its scheme and nothing else.
    pub const fn new(scheme: Scheme) -> Self {
        Self {
            scheme,
            realm: None,
            error: None,
            scope: &[],
            algs: &[],
            resource_metadata: None,
        }
    }

    /// The challenge of a reason, if it has one.
    pub fn of(reason: Reason) -> Option<Self> {
        match reason.row().challenge {
            Challenge::None => None,
            challenge => Some(Self {
                error: challenge.error(),
                ..Self::new(challenge.scheme())
            }),
        }
    }
}

/// The value of `WWW-Authenticate`.
impl fmt::Display for ChallengeHeader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.scheme.name())?;
        let mut parameters = Parameters {
            out: f,
            is_first: true,
        };
        parameters.push("realm", self.realm.into_iter())?;
        parameters.push("error", self.error.into_iter())?;
        parameters.push("scope", self.scope.iter().map(String::as_str))?;
        parameters.push("algs", self.algs.iter().copied())?;
        parameters.push("resource_metadata", self.resource_metadata.into_iter())
    }
}

struct Parameters<'f, 'b> {
    out: &'f mut fmt::Formatter<'b>,
    is_first: bool,
}

impl Parameters<'_, '_> {
    /// A parameter whose value is these words with a space between each two; nothing when there is none.
    fn push<'w>(&mut self, name: &str, words: impl Iterator<Item = &'w str>) -> fmt::Result {
        let mut words = words.peekable();
        if words.peek().is_none() {
            return Ok(());
        }
        let separator = if self.is_first { " " } else { ", " };
        self.is_first = false;
        for text in [separator, name, "=\""] {
            self.out.write_str(text)?;
        }
        for (index, word) in words.enumerate() {
            if index > 0 {
                self.out.write_char(' ')?;
            }
            write_quoted(self.out, word)?;
        }
        self.out.write_char('"')
    }
}

/// The inside of a quoted string (RFC 9110 §5.6.4). What may not stand in one, a control character or
/// anything beyond ASCII, is left out.
fn write_quoted(out: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    // Of each piece only the last character may be another one than stands for itself.
    for piece in text.split_inclusive(|it| !matches!(it, ' '..='~') || matches!(it, '"' | '\\')) {
        let last = piece.chars().next_back().unwrap_or(' ');
        let plain = piece.strip_suffix(last).unwrap_or(piece);
        match last {
            '"' | '\\' => {
                out.write_str(plain)?;
                out.write_char('\\')?;
                out.write_char(last)?;
            }
            ' '..='~' => out.write_str(piece)?,
            _ => out.write_str(plain)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn parameters_stand_behind_the_scheme_and_are_quoted() {
        let bearer = ChallengeHeader::new(Scheme::Bearer);
        assert_eq!(bearer.to_string(), "Bearer");
        let scopes = ["orders:read".to_string(), "orders:write".to_string()];
        let all = ChallengeHeader {
            realm: Some("a \"b\" \\ c"),
            error: Some("insufficient_scope"),
            scope: &scopes,
            resource_metadata: Some("https://api.example.com/.well-known/oauth-protected-resource"),
            ..bearer
        };
        assert_eq!(
            all.to_string(),
            "Bearer realm=\"a \\\"b\\\" \\\\ c\", error=\"insufficient_scope\", scope=\"orders:read orders:write\", \
             resource_metadata=\"https://api.example.com/.well-known/oauth-protected-resource\""
        );
        let proof = ChallengeHeader {
            error: Some("invalid_dpop_proof"),
            algs: &["ES256", "EdDSA"],
            ..ChallengeHeader::new(Scheme::Dpop)
        };
        assert_eq!(
            proof.to_string(),
            "DPoP error=\"invalid_dpop_proof\", algs=\"ES256 EdDSA\""
        );
    }

    #[test]
    fn nothing_leaves_its_quotes() {
        let hostile = ChallengeHeader {
            realm: Some("a\r\nset-cookie: x\u{0}é\u{7f}\", error=\"none"),
            ..ChallengeHeader::new(Scheme::Bearer)
        };
        assert_eq!(
            hostile.to_string(),
            "Bearer realm=\"aset-cookie: x\\\", error=\\\"none\""
        );
    }
}
