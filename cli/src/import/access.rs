//! Rules about verified tokens: what Istio, Envoy Gateway and kgateway decide behind their JWT filter.
//!
//! Each of them says in which ways a request may be allowed. Here a way is a provider's token with
//! conditions on its claims, and the ways become requirements: a way without conditions is the provider
//! itself, one with conditions is another provider with the same keys that asks for them.

use super::names::Names;
use super::policy::{
    Auth, Claim, ClaimTest, Mode, Provider, RequiredClaim, Requirement, Test, TextMatch,
};

/// The most ways that the conditions of one rule may become.
pub(crate) const MAX_WAYS: usize = 64;

/// Conditions on a token, all of which have to hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Conditions {
    pub(crate) claims: Vec<RequiredClaim>,
    pub(crate) scopes: Vec<String>,
    /// Any of these; empty for every subject.
    pub(crate) subjects: Vec<TextMatch>,
}

/// A way to be allowed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Way {
    /// The provider, by its place.
    pub(crate) provider: usize,
    pub(crate) conditions: Conditions,
}

/// The providers of an import.
#[derive(Default)]
pub(crate) struct Providers {
    pub(crate) all: Vec<(String, Provider)>,
    pub(crate) names: Names,
    /// Providers with conditions, so that each is written once.
    variants: Vec<(Way, String)>,
}

impl Providers {
    /// Who may pass, when each of the ways is enough. Never without a way.
    pub(crate) fn auth(&mut self, ways: &[Way], allow_missing: bool) -> Auth {
        let is_open = |way: &Way| way.conditions == Conditions::default();
        let mut names: Vec<String> = Vec::new();
        for way in ways {
            let open = ways
                .iter()
                .any(|other| other.provider == way.provider && is_open(other));
            let name = match is_open(way) {
                true => self.all.get(way.provider).map(|(name, _)| name.clone()),
                // The provider itself is enough.
                false if open => None,
                false => self.variant(way),
            };
            names.extend(name.filter(|name| !names.contains(name)));
        }
        Auth::jwt(Requirement::AnyOf {
            any_of: names.into_iter().map(Requirement::Name).collect(),
            mode: allow_missing.then_some(Mode::AllowMissing),
        })
    }

    /// Nobody may pass: the subject would have to be a character that is none.
    pub(crate) fn nobody(&mut self) -> Auth {
        let conditions = Conditions {
            claims: vec![RequiredClaim {
                claim: Claim::Name("sub".to_owned()),
                test: ClaimTest::Matches(TextMatch {
                    test: Test::Regex(r"[^\s\S]".to_owned()),
                    ignore_case: false,
                }),
            }],
            ..Conditions::default()
        };
        let ways: Vec<Way> = (0..self.all.len().min(1))
            .map(|provider| Way {
                provider,
                conditions: conditions.clone(),
            })
            .collect();
        self.auth(&ways, false)
    }

    /// The name of the provider with these conditions.
    fn variant(&mut self, way: &Way) -> Option<String> {
        if let Some((_, name)) = self.variants.iter().find(|(known, _)| known == way) {
            return Some(name.clone());
        }
        let (base, provider) = self.all.get(way.provider)?;
        let mut provider = provider.clone();
        let Conditions {
            claims,
            scopes,
            subjects,
        } = way.conditions.clone();
        provider.required_claims.extend(claims);
        provider.required_scopes.extend(scopes);
        if !subjects.is_empty() {
            provider.subjects = subjects;
        }
        let name = self.names.free(&format!("{base}-allowed"));
        self.all.push((name.clone(), provider));
        self.variants.push((way.clone(), name.clone()));
        Some(name)
    }

    /// The providers that the routes name, in order.
    pub(crate) fn into_named(self, auths: &[&Auth]) -> Vec<(String, Provider)> {
        let names: Vec<&str> = auths.iter().flat_map(|auth| auth.names()).collect();
        self.all
            .into_iter()
            .filter(|(name, _)| names.contains(&name.as_str()))
            .collect()
    }
}

/// Every combination of one of each: the ways in which all of several alternatives can hold. `None` when there
/// are more than [`MAX_WAYS`].
pub(crate) fn all_of(alternatives: &[Vec<Conditions>]) -> Option<Vec<Conditions>> {
    let mut ways = vec![Conditions::default()];
    for choices in alternatives {
        let mut next = Vec::new();
        for way in &ways {
            for choice in choices {
                let mut both = way.clone();
                both.claims.extend(choice.claims.clone());
                both.scopes.extend(choice.scopes.clone());
                // Two lists of subjects would be an intersection.
                if !choice.subjects.is_empty() {
                    if !both.subjects.is_empty() {
                        return None;
                    }
                    both.subjects = choice.subjects.clone();
                }
                next.push(both);
            }
        }
        if next.len() > MAX_WAYS {
            return None;
        }
        ways = next;
    }
    Some(ways)
}
