//! Whether what a token says is enough: its type, lifetime and subject, its claims and scopes.
//!
//! [`Terms`] are what a provider asks of its tokens. They need no key and cost nothing, so they are looked at
//! before the signature: whoever does not fulfil them is not authenticated. [`Demands`] are what an app
//! asks of those who are: only a genuine token is judged by them, since the answer tells what it lacks.
//!
//! Nothing here may take a missing value, or one of another type, for a fitting one.

use alloc::string::String;
use alloc::vec::Vec;
use core::mem::take;

use super::decision::{Denial, evidence};
use crate::config::{self, ClaimCondition, ClaimTest, Profile, RequiredClaim};
use crate::jose::{Claims, Header};
use crate::json::{Kind, Value};
use crate::text_match::{TextMatchError, TextMatcher};
use crate::time::Timestamp;

/// The media type of an access token (RFC 9068 §2.1).
const ACCESS_TOKEN_TYPE: &str = "application/at+jwt";
/// The claims that an access token has to have (RFC 9068 §2.2).
const ACCESS_TOKEN_CLAIMS: [&str; 7] = ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"];

/// What a provider asks of the form of its tokens.
#[derive(Debug)]
pub(super) struct Terms {
    /// Media types, in full and in lower case. Empty: any.
    types: Vec<String>,
    profile: Option<Profile>,
    /// Empty: any.
    subjects: Vec<TextMatcher>,
    max_lifetime_secs: Option<u64>,
}

impl Terms {
    /// The terms of a provider.
    ///
    /// # Errors
    /// Returns what in the configuration cannot be used.
    pub(super) fn new(provider: &config::Provider) -> Result<Self, &'static str> {
        let types = match provider.profile {
            None => provider.token_types.clone(),
            Some(Profile::Rfc9068) if provider.token_types.is_empty() => {
                Vec::from([ACCESS_TOKEN_TYPE.into()])
            }
            Some(Profile::Rfc9068) => return Err("has token types beside a profile"),
        };
        let subjects: Result<_, TextMatchError> =
            provider.subjects.iter().map(TextMatcher::new).collect();
        Ok(Self {
            types,
            profile: provider.profile,
            subjects: subjects.map_err(|_| "has a subject that cannot be compared with")?,
            max_lifetime_secs: provider.max_lifetime_secs,
        })
    }

    /// Checks a token that nobody has verified yet.
    ///
    /// # Errors
    /// Returns the first term that the token does not fulfil; each is a 401.
    pub(super) fn check(
        &self,
        header: &Header,
        claims: &Claims<'_>,
        now: Timestamp,
    ) -> Result<(), Denial> {
        if !self.types.is_empty() && !self.types.iter().any(|wanted| header.is_of_type(wanted)) {
            return Err(Denial::TypeNotAllowed {
                typ: header.typ().map(evidence),
            });
        }
        if let Some(Profile::Rfc9068) = self.profile {
            check_access_token(claims)?;
        }
        if let Some(max) = self.max_lifetime_secs {
            check_lifetime(max, claims, now)?;
        }
        let is_allowed = |sub: &str| {
            self.subjects
                .iter()
                .any(|subject| subject.matches(sub.as_bytes()))
        };
        if !self.subjects.is_empty() && !claims.sub().is_some_and(is_allowed) {
            return Err(Denial::SubjectNotAllowed {
                sub: claims.sub().map(evidence),
            });
        }
        Ok(())
    }
}

/// RFC 9068 §2.2: what an access token has to say. The types of the registered claims were checked before.
fn check_access_token(claims: &Claims<'_>) -> Result<(), Denial> {
    let is_there = |name: &str| match (name, claims.value(name).map(|value| &value.kind)) {
        (_, None | Some(Kind::Null)) => false,
        ("aud", Some(_)) => claims.aud().next().is_some(),
        ("client_id", Some(kind)) => matches!(kind, Kind::String(_)),
        _ => true,
    };
    match ACCESS_TOKEN_CLAIMS.into_iter().find(|name| !is_there(name)) {
        None => Ok(()),
        Some(claim) => Err(Denial::ProfileClaimMissing { claim }),
    }
}

/// What is left of the token's life has to be less than `max`, as Envoy's `max_lifetime` has it: without
/// leeway, and counted from now, since `iat` is optional (RFC 7519 §4.1.6).
fn check_lifetime(max: u64, claims: &Claims<'_>, now: Timestamp) -> Result<(), Denial> {
    let Some(exp) = claims.exp() else {
        return Err(Denial::ExpirationMissing);
    };
    let exp = exp.as_seconds();
    let millis_left = i128::from(exp)
        .saturating_mul(1000)
        .saturating_sub(i128::from(now.as_millis()));
    if millis_left < i128::from(max).saturating_mul(1000) {
        return Ok(());
    }
    Err(Denial::LifetimeTooLong {
        exp,
        now: now.as_seconds(),
        max,
    })
}

/// Checks that a genuine token is for one of these audiences (RFC 7519 §4.1.3), if there are any.
///
/// # Errors
/// [`Denial::AudienceNotAllowed`], a 403.
pub(super) fn check_audience(audiences: &[String], claims: &Claims<'_>) -> Result<(), Denial> {
    let is_accepted = |aud: &str| audiences.iter().any(|audience| audience == aud);
    if audiences.is_empty() || claims.aud().any(is_accepted) {
        return Ok(());
    }
    Err(Denial::AudienceNotAllowed {
        aud: claims.aud().take(4).map(evidence).collect(),
    })
}

/// What a genuine token has to say so that it is enough.
#[derive(Debug, Default)]
pub(super) struct Demands {
    claims: Vec<Demand>,
    /// All of them.
    scopes: Vec<String>,
    /// At least one of each.
    any_scopes: Vec<Vec<String>>,
}

/// A required claim, ready for use.
#[derive(Debug)]
struct Demand {
    required: RequiredClaim,
    /// For [`ClaimTest::Matches`].
    matcher: Option<TextMatcher>,
}

impl Demands {
    /// The demands of a provider and a rule together, taken out of their handling.
    ///
    /// # Errors
    /// Returns what in the configuration cannot be used.
    pub(super) fn take(handling: &mut config::Handling) -> Result<Self, &'static str> {
        if handling.any_scope.iter().any(Vec::is_empty) {
            return Err("asks for one of no scopes");
        }
        let claims = take(&mut handling.required_claims);
        let claims = claims.into_iter().map(Demand::new);
        Ok(Self {
            claims: claims.collect::<Result<_, _>>()?,
            scopes: take(&mut handling.required_scopes),
            any_scopes: take(&mut handling.any_scope),
        })
    }

    /// Checks the claims of a genuine token.
    ///
    /// # Errors
    /// Returns the first demand that they do not meet; each is a 403.
    pub(super) fn check(&self, claims: &Claims<'_>) -> Result<(), Denial> {
        self.claims
            .iter()
            .try_for_each(|demand| demand.check(claims))?;
        self.check_scopes(claims)
    }

    fn check_scopes(&self, claims: &Claims<'_>) -> Result<(), Denial> {
        let has = |scope: &String| scopes(claims).any(|held| held == scope);
        let lacks_any = |one_of: &&Vec<String>| !one_of.iter().any(has);
        let is_enough =
            self.scopes.iter().all(has) && !self.any_scopes.iter().any(|one_of| lacks_any(&one_of));
        if is_enough {
            return Ok(());
        }
        // What the token needs, whatever it has of it, and the choices where it has none of them.
        let mut needed: Vec<String> = Vec::new();
        let choices = self.any_scopes.iter().filter(lacks_any).flatten();
        for scope in self.scopes.iter().chain(choices) {
            if !needed.contains(scope) {
                needed.push(scope.clone());
            }
        }
        Err(Denial::ScopeMissing { needed })
    }
}

impl Demand {
    fn new(required: RequiredClaim) -> Result<Self, &'static str> {
        let matcher = match &required {
            RequiredClaim::Condition(ClaimCondition {
                test: ClaimTest::Matches(text),
                ..
            }) => Some(
                TextMatcher::new(text).map_err(|_| "has a claim that cannot be compared with")?,
            ),
            _ => None,
        };
        Ok(Self { required, matcher })
    }

    fn check(&self, claims: &Claims<'_>) -> Result<(), Denial> {
        let path = self.required.claim();
        let Some(value) = claims.at(path) else {
            return Err(Denial::ClaimMissing {
                claim: path.clone(),
            });
        };
        let RequiredClaim::Condition(condition) = &self.required else {
            return Ok(());
        };
        let is_met = match &condition.test {
            ClaimTest::Equals(wanted) => wanted.is(value),
            ClaimTest::OneOf(wanted) => any_element(value, condition, |element| match element {
                Element::Value(value) => wanted.iter().any(|wanted| wanted.is(value)),
                Element::Word(word) => wanted.iter().any(|wanted| wanted.is_string(word)),
            }),
            ClaimTest::Contains(wanted) => any_element(value, condition, |element| match element {
                Element::Value(value) => wanted.is(value),
                Element::Word(word) => wanted.is_string(word),
            }),
            ClaimTest::Matches(_) => any_element(value, condition, |element| {
                let text = match element {
                    Element::Value(value) => value.as_str(),
                    Element::Word(word) => Some(word),
                };
                let matcher = self.matcher.as_ref();
                matcher.is_some_and(|matcher| {
                    text.is_some_and(|text| matcher.matches(text.as_bytes()))
                })
            }),
        };
        match is_met {
            true => Ok(()),
            false => Err(Denial::ClaimNotAllowed {
                condition: condition.clone(),
            }),
        }
    }
}

/// One of what a claim lists.
enum Element<'v, 'p> {
    Value(&'v Value<'p>),
    /// One of the words of a text.
    Word(&'v str),
}

/// Whether something holds of any element of a claim: of an array those of the array, of `scope` and `scp` as a
/// text the words that it lists, of everything else the value itself.
fn any_element<'v, 'p>(
    value: &'v Value<'p>,
    condition: &ClaimCondition,
    holds: impl Fn(Element<'v, 'p>) -> bool,
) -> bool {
    match &value.kind {
        Kind::Array(elements) => elements
            .iter()
            .any(|element| holds(Element::Value(element))),
        Kind::String(text) if SCOPE_CLAIMS.iter().any(|name| condition.claim.is_top(name)) => {
            words(text).any(|word| holds(Element::Word(word)))
        }
        _ => holds(Element::Value(value)),
    }
}

/// The claims that list scopes: `scope` is RFC 8693 §4.2's, `scp` what several providers write instead.
const SCOPE_CLAIMS: [&str; 2] = ["scope", "scp"];

/// The scopes of a token, each of the claims a text that lists them or an array of them.
fn scopes<'c>(claims: &'c Claims<'_>) -> impl Iterator<Item = &'c str> {
    SCOPE_CLAIMS
        .into_iter()
        .filter_map(|name| claims.value(name))
        .flat_map(|value| {
            let text = value.as_str().unwrap_or_default();
            let elements = value.as_array().unwrap_or_default();
            words(text).chain(elements.iter().filter_map(Value::as_str))
        })
}

/// What a text lists, separated by spaces and nothing else (RFC 6749 §3.3).
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(' ').filter(|word| !word.is_empty())
}
