//! What the service and the proxy get of a token.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::claim_text;
use super::decision::{Denial, HeaderEdits};
use crate::config::{ForwardTarget, ForwardedPayload, Handling};
use crate::jose::{Claims, UntrustedToken};

/// What a token says about who sent the request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Identity {
    /// Everything that the rule wants passed on; `None` where the token has nothing for it.
    entries: Vec<(ForwardTarget, Option<Vec<u8>>)>,
    clear_route_cache: bool,
}

impl Identity {
    /// Takes in what another token says.
    ///
    /// # Errors
    /// [`Denial::TokensDisagree`] when the two do not say the same about something that both are asked for.
    pub(super) fn unite(&mut self, other: &Self) -> Result<(), Denial> {
        for (target, value) in &other.entries {
            match self.entries.iter().find(|(known, _)| known == target) {
                None => self.entries.push((target.clone(), value.clone())),
                Some((_, known)) if known == value => {}
                Some(_) => {
                    return Err(Denial::TokensDisagree {
                        target: target.clone(),
                    });
                }
            }
        }
        self.clear_route_cache |= other.clear_route_cache;
        Ok(())
    }

    /// How many bytes it takes, about.
    pub(super) fn size(&self) -> usize {
        let of_entry = |(target, value): &(ForwardTarget, Option<Vec<u8>>)| {
            let name = match target {
                ForwardTarget::Header(name) => name.len(),
                ForwardTarget::FilterState(key) => key.len(),
            };
            size_of::<(ForwardTarget, Option<Vec<u8>>)>()
                .saturating_add(name)
                .saturating_add(value.as_ref().map_or(0, Vec::len))
        };
        self.entries
            .iter()
            .map(of_entry)
            .fold(0, usize::saturating_add)
    }

    /// Passes it on.
    pub(super) fn apply(self, edits: &mut HeaderEdits) {
        for (target, value) in self.entries {
            let Some(value) = value else { continue };
            match target {
                ForwardTarget::Header(name) => edits.set.push((name, value)),
                ForwardTarget::FilterState(key) => edits.filter_state.push((key, value)),
            }
        }
        edits.clear_route_cache |= self.clear_route_cache;
    }
}

/// What a genuine token says about who sent the request. A claim that is absent, `null` or an empty string
/// says nothing.
///
/// # Errors
/// Returns [`Denial::ClaimNotForwardable`] for a value that cannot be passed on as it is: it is never
/// cut or altered, since the service would take it for the identity of somebody else.
#[inline(never)]
pub(super) fn identity(
    token: &UntrustedToken<'_>,
    claims: &Claims<'_>,
    handling: &Handling,
) -> Result<Identity, Denial> {
    let mut entries = Vec::with_capacity(handling.forward_claims.len().saturating_add(1));
    for wanted in &handling.forward_claims {
        let text = match claims.at(&wanted.claim) {
            None => None,
            Some(value) => claim_text::write(value, wanted.format).map_err(|problem| {
                Denial::ClaimNotForwardable {
                    claim: wanted.claim.to_string(),
                    problem,
                }
            })?,
        };
        entries.push((wanted.to.clone(), text.map(String::into_bytes)));
    }
    if let Some(wanted) = &handling.forward_payload {
        entries.push((wanted.to.clone(), Some(payload(token, claims, wanted))));
    }
    Ok(Identity {
        entries,
        clear_route_cache: handling.clear_route_cache == Some(true),
    })
}

/// The whole payload. It is not longer than the token was, padding aside, and has no control character: base64url
/// has none, and JSON escapes them.
fn payload(token: &UntrustedToken<'_>, claims: &Claims<'_>, wanted: &ForwardedPayload) -> Vec<u8> {
    if let ForwardTarget::FilterState(_) = wanted.to {
        return claims.json().to_string().into_bytes();
    }
    let mut text = token.payload_segment().to_vec();
    while wanted.padding && text.len() & 3 != 0 {
        text.push(b'=');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ClaimFormat, ForwardedClaim};
    use crate::read::read_text;
    use serde_json::json;

    /// What becomes of a payload, as `(headers, filter state, clear_route_cache)`.
    type Passed = (Vec<(String, String)>, Vec<(String, String)>, bool);

    fn passed(payload: &str, handling: &serde_json::Value) -> Result<Passed, Denial> {
        let compact = [
            br#"{"alg":"EdDSA"}"#,
            payload.as_bytes(),
            b"0".repeat(64).as_slice(),
        ]
        .map(crate::jose::base64url::encode)
        .join(".");
        let token = UntrustedToken::parse(compact.as_bytes()).unwrap();
        let handling = read_text(&handling.to_string()).unwrap();
        let identity = identity(&token, &token.claims().unwrap(), &handling)?;
        let mut edits = HeaderEdits::default();
        identity.apply(&mut edits);
        let text = |pairs: Vec<(String, Vec<u8>)>| {
            pairs
                .into_iter()
                .map(|(name, value)| (name, String::from_utf8(value).unwrap()))
                .collect()
        };
        Ok((
            text(edits.set),
            text(edits.filter_state),
            edits.clear_route_cache,
        ))
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect()
    }

    #[test]
    fn claims_go_where_they_are_wanted() {
        let handling = json!({"forward_claims": [
            {"claim": "sub", "to": {"header": "x-user"}},
            {"claim": "sub", "to": {"header": "x-actor"}, "format": "percent"},
            {"claim": "sub", "to": {"filter_state": "sub"}},
            {"claim": ["a", "b"], "to": {"header": "x-b"}, "format": "comma"},
            {"claim": "a.b", "to": {"header": "x-a.b"}},
        ]});
        let given = passed(r#"{"sub":"zoë","a":{"b":[1,"c"]},"a.b":true}"#, &handling).unwrap();
        let headers = [
            ("x-user", "zoë"),
            ("x-actor", "zo%C3%AB"),
            ("x-b", "1,c"),
            ("x-a.b", "true"),
        ];
        assert_eq!(given, (pairs(&headers), pairs(&[("sub", "zoë")]), false));

        for nothing in [
            "{}",
            r#"{"sub":"","a":{"b":[]}}"#,
            r#"{"a":{"b":null},"a.b":null}"#,
            r#"{"a":["b"]}"#,
            r#"{"a":"b"}"#,
        ] {
            let given = passed(nothing, &handling).unwrap();
            assert_eq!(given, (Vec::new(), Vec::new(), false), "{nothing}");
        }
        assert_eq!(
            passed(r#"{"a":{"b":["c,d"]}}"#, &handling),
            Err(Denial::ClaimNotForwardable {
                claim: r#"["a","b"]"#.into(),
                problem: claim_text::ClaimProblem::ElementSeparator,
            })
        );
    }

    #[test]
    fn the_payload_goes_on_as_it_was_signed_or_as_json() {
        // Lengths of 3, 4 and 5 bytes: no, two and one characters of padding.
        let cases = [
            ("{ }", "eyB9", "eyB9", "{}"),
            ("{  }", "eyAgfQ", "eyAgfQ==", "{}"),
            ("{   }", "eyAgIH0", "eyAgIH0=", "{}"),
            (
                "{\"a\":\n 9007199254740993, \"b\": \"\u{85}\u{3fe}\"}",
                "eyJhIjoKIDkwMDcxOTkyNTQ3NDA5OTMsICJiIjogIsKFz74ifQ",
                "eyJhIjoKIDkwMDcxOTkyNTQ3NDA5OTMsICJiIjogIsKFz74ifQ==",
                "{\"a\":9007199254740993,\"b\":\"\\u0085\u{3fe}\"}",
            ),
        ];
        for (payload, plain, padded, json) in cases {
            let header = |padding: bool| {
                let handling =
                    json!({"forward_payload": {"to": {"header": "x-p"}, "padding": padding}});
                passed(payload, &handling).unwrap().0
            };
            assert_eq!(header(false), pairs(&[("x-p", plain)]));
            assert_eq!(header(true), pairs(&[("x-p", padded)]));
            let handling = json!({"forward_payload": {"to": {"filter_state": "p"}}});
            assert_eq!(passed(payload, &handling).unwrap().1, pairs(&[("p", json)]));
        }
    }

    #[test]
    fn two_tokens_have_to_agree_on_everything_that_both_are_asked_for() {
        let entry = |target: ForwardTarget, value: Option<&str>| Identity {
            entries: Vec::from([(target, value.map(|value| value.as_bytes().to_vec()))]),
            clear_route_cache: false,
        };
        let header = || ForwardTarget::Header("x-a".into());
        let state = || ForwardTarget::FilterState("x-a".into());
        let unite = |first: Identity, other: &Identity| {
            let mut united = first;
            united.unite(other).map(|()| united.entries.len())
        };
        assert_eq!(
            unite(entry(header(), Some("1")), &entry(header(), Some("1"))),
            Ok(1)
        );
        assert_eq!(unite(entry(header(), None), &entry(header(), None)), Ok(1));
        assert_eq!(
            unite(entry(header(), Some("1")), &entry(state(), Some("2"))),
            Ok(2)
        );
        for target in [header(), state()] {
            for (one, other) in [(Some("1"), Some("2")), (Some("1"), None), (None, Some("1"))] {
                assert_eq!(
                    unite(entry(target.clone(), one), &entry(target.clone(), other)),
                    Err(Denial::TokensDisagree {
                        target: target.clone()
                    })
                );
            }
        }
        let clearing = Identity {
            clear_route_cache: true,
            ..Identity::default()
        };
        let mut united = Identity::default();
        united.unite(&clearing).unwrap();
        assert!(united.clear_route_cache);
    }

    #[test]
    fn a_rule_adds_claims_and_replaces_the_rest() {
        let claim = |claim: &str| ForwardedClaim {
            claim: crate::claim_path::ClaimPath::top(claim),
            to: ForwardTarget::Header(claim.into()),
            format: ClaimFormat::Text,
        };
        let payload = |key: &str| ForwardedPayload {
            to: ForwardTarget::FilterState(key.into()),
            padding: false,
        };
        let provider = Handling {
            forward_claims: Vec::from([claim("a")]),
            forward_payload: Some(payload("provider")),
            clear_route_cache: Some(true),
            ..Handling::default()
        };
        assert_eq!(provider.merged(&Handling::default()), provider);
        let rule = Handling {
            forward_claims: Vec::from([claim("b")]),
            forward_payload: Some(payload("rule")),
            clear_route_cache: Some(false),
            ..Handling::default()
        };
        let merged = provider.merged(&rule);
        assert_eq!(merged.forward_claims, [claim("a"), claim("b")]);
        assert_eq!(merged.forward_payload, Some(payload("rule")));
        assert_eq!(merged.clear_route_cache, Some(false));
    }
}
