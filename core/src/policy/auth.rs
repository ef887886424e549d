//! Who may pass: the `auth` of an app or a route.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::compiler::{Compiler, is_one_of};
use super::demand::Scopes;
use super::diagnostic::{Code, Diagnostic, quote, quote_list};
use super::http;
use super::node::Node;
use super::requirement::{fill_audiences, leaves};
use super::source::{self, AuthType, Mode};
use crate::config::{self, Enforcement, Requirement};
use crate::json::Span;
use crate::request::fold_header_name;

/// The fields of `auth` that are not a provider's.
const AUTH_FIELDS: [&str; 5] = ["auth_type", "required", "mode", "providers", "requirement"];

/// The fields of a provider that may stand beside `providers` or `requirement`.
const RULE_FIELDS: [&str; 8] = [
    "audience",
    "audiences",
    "token_sources",
    "required_claims",
    "required_scopes",
    "any_scope",
    "forward_claims_as_headers",
    "forward_token",
];

impl Compiler<'_> {
    /// Compiles the policy of an app or route; `None` when something is wrong with it, which was reported.
    pub(super) fn access_policy(
        &mut self,
        node: &Node<'_, '_>,
        policy: &source::AccessPolicy,
        name: &str,
    ) -> Option<config::Auth> {
        let node = node.field("auth")?;
        match policy.auth.auth_type {
            AuthType::None => self.no_auth(&node),
            AuthType::Jwt => self
                .jwt_auth(&node, &policy.auth, name)
                .map(config::Auth::Jwt),
        }
    }

    fn no_auth(&mut self, node: &Node<'_, '_>) -> Option<config::Auth> {
        let auth_type = node.field("auth_type")?;
        let mut is_valid = true;
        for field in node
            .children()
            .filter(|field| field.name() != Some("auth_type"))
        {
            let message = format!("{} has no effect beside `auth_type` `none`", field.label());
            let hint = "with `none` everybody passes; to ask for a token write `jwt`";
            self.contradiction(&field, &auth_type, message, Some(hint.into()));
            is_valid = false;
        }
        is_valid.then_some(config::Auth::None)
    }

    fn jwt_auth(
        &mut self,
        node: &Node<'_, '_>,
        auth: &source::Auth,
        name: &str,
    ) -> Option<config::JwtAuth> {
        let mode = self.mode(node, auth);
        let requirement = self.requirement(node, auth, name);
        let handling = match node.field("providers").or(node.field("requirement")) {
            Some(_) => self.handling(node, &auth.provider),
            None => Some(config::Handling::default()),
        };
        let (mode, requirement, handling) = (mode?, requirement?, handling?);
        let (enforcement, requirement) = match mode {
            Mode::Strict => (Enforcement::Deny, requirement),
            Mode::ReportOnly => (Enforcement::Report, requirement),
            Mode::AllowMissing => (
                Enforcement::Deny,
                Requirement::AllowMissing(Box::new(requirement)),
            ),
            Mode::AllowMissingOrFailed => (
                Enforcement::Deny,
                Requirement::AllowMissingOrFailed(Box::new(requirement)),
            ),
        };
        let auth = config::JwtAuth {
            enforcement,
            requirement,
            handling,
        };
        let has_audiences = self.has_needed_audiences(node, &auth);
        let has_no_twins = self.report_claim_header_twins(node, &auth);
        if !has_audiences || !has_no_twins {
            return None;
        }
        self.report_unchecked_audience(node, &auth);
        Some(auth)
    }

    fn mode(&mut self, node: &Node<'_, '_>, auth: &source::Auth) -> Option<Mode> {
        if let (Some(mode), Some(required)) = (node.field("mode"), node.field("required")) {
            let message = "`required` cannot stand beside `mode`".into();
            let hint = "`mode` says it alone; leave `required` out";
            self.contradiction(&required, &mode, message, Some(hint.into()));
            return None;
        }
        Some(match (auth.mode, auth.required) {
            (Some(mode), _) => mode,
            (None, Some(false)) => Mode::AllowMissing,
            (None, _) => Mode::Strict,
        })
    }

    /// What `providers`, `requirement` or the provider in `auth` itself asks for.
    fn requirement(
        &mut self,
        node: &Node<'_, '_>,
        auth: &source::Auth,
        name: &str,
    ) -> Option<Requirement> {
        let (providers, requirement) = (node.field("providers"), node.field("requirement"));
        let Some(referring) = requirement.as_ref().or(providers.as_ref()) else {
            let compiled = self.provider(node, &auth.provider, name)?;
            return Some(Requirement::Provider {
                index: self.add_provider(compiled),
                audiences: Vec::new(),
            });
        };
        let mut is_valid = true;
        if let (Some(providers), Some(requirement)) = (&providers, &requirement) {
            let message = "`providers` cannot stand beside `requirement`".into();
            let hint = "`providers` is `requirement` with `any_of`; write one of the two";
            self.contradiction(providers, requirement, message, Some(hint.into()));
            is_valid = false;
        }
        for member in node.members() {
            if !is_one_of(member, &AUTH_FIELDS) && !is_one_of(member, &RULE_FIELDS) {
                let field = node.child(member);
                let beside = referring.label();
                let message = format!("{} cannot stand beside {beside}", field.label());
                let hint =
                    format!("it belongs to the provider; write it there, or leave {beside} out");
                self.contradiction(&field, referring, message, Some(hint));
                is_valid = false;
            }
        }
        let audiences = self.audiences(node, &auth.provider);
        let requirement = match (&auth.requirement, &auth.providers) {
            (Some(requirement), _) => self.combination(referring, requirement),
            (None, names) => self.any_of(referring, names.as_deref().unwrap_or_default()),
        };
        let mut requirement = requirement?;
        fill_audiences(&mut requirement, &audiences?);
        is_valid.then_some(requirement)
    }

    /// What is done with tokens, as a provider or a rule says it.
    pub(super) fn handling(
        &mut self,
        node: &Node<'_, '_>,
        provider: &source::Provider,
    ) -> Option<config::Handling> {
        let required_claims = self.required_claims(node, &provider.required_claims);
        let scopes = self.scopes(node, provider);
        let claim_headers = self.claim_headers(node, provider);
        let token_sources = self.token_sources(node, provider.token_sources.as_deref());
        let Scopes {
            all: required_scopes,
            any_scope,
        } = scopes?;
        Some(config::Handling {
            token_sources: token_sources?,
            required_claims: required_claims?,
            required_scopes,
            any_scope,
            claim_headers: claim_headers?,
            forward_token: provider.forward_token,
        })
    }

    fn claim_headers(
        &mut self,
        node: &Node<'_, '_>,
        provider: &source::Provider,
    ) -> Option<Vec<config::ClaimHeader>> {
        let Some(map) = node.field("forward_claims_as_headers") else {
            return Some(Vec::new());
        };
        let mut headers: BTreeMap<Vec<u8>, Span> = BTreeMap::new();
        let mut claims = BTreeMap::new();
        let mut is_valid = true;
        for (member, field) in map.members().iter().zip(map.children()) {
            is_valid &= self.is_claim_name(&field, &member.name, member.name_span);
            let Some(text) = provider.forward_claims_as_headers.get(member.name.as_ref()) else {
                continue;
            };
            let Some(header) = self.parsed(&field, text, http::parse_claim_header) else {
                is_valid = false;
                continue;
            };
            match headers.get(&fold_header_name(&header)) {
                None => {
                    headers.insert(fold_header_name(&header), field.span());
                    claims.insert(member.name.as_ref(), header);
                }
                Some(first) => {
                    let message = format!("two claims go into the header {}", quote(text));
                    let error = Diagnostic::error(
                        Code::Duplicate,
                        field.span(),
                        field.path(),
                        message,
                    )
                    .with_place(*first, "the first is here")
                    .with_hint(
                        "services take names that differ only in case, `_` and `-` for the same",
                    );
                    self.found.push(error);
                    is_valid = false;
                }
            }
        }
        let headers = claims
            .into_iter()
            .map(|(claim, header)| config::ClaimHeader {
                claim: claim.into(),
                header,
            });
        is_valid.then(|| headers.collect())
    }

    /// Whether no header gets one claim from a provider and another from the rule; one that does is reported.
    fn report_claim_header_twins(&mut self, node: &Node<'_, '_>, auth: &config::JwtAuth) -> bool {
        let Some(map) = node.field("forward_claims_as_headers") else {
            return true;
        };
        let mut twins = Vec::new();
        for part in leaves(&auth.requirement) {
            let Some(provider) = self.provider_at(part.index) else {
                continue;
            };
            for own in &auth.handling.claim_headers {
                let is_twin = |other: &&config::ClaimHeader| {
                    other.claim != own.claim
                        && fold_header_name(&other.header) == fold_header_name(&own.header)
                };
                if let Some(other) = provider.handling.claim_headers.iter().find(is_twin) {
                    let message = format!(
                        "the provider {} puts the claim {} into the header {} already",
                        quote(&provider.name),
                        quote(&other.claim),
                        quote(&own.header),
                    );
                    twins.push((own.claim.clone(), message));
                }
            }
        }
        for (claim, message) in &twins {
            if let Some(field) = map.field(claim) {
                self.error(Code::Duplicate, &field, message.clone(), None);
            }
        }
        twins.is_empty()
    }

    /// Whether somebody says for whom tokens have to be, where a profile needs it; what is missing is reported.
    fn has_needed_audiences(&mut self, node: &Node<'_, '_>, auth: &config::JwtAuth) -> bool {
        let lacking: Vec<String> = leaves(&auth.requirement)
            .into_iter()
            .filter(|part| part.audiences.is_empty())
            .filter_map(|part| self.provider_at(part.index))
            .filter(|provider| provider.profile.is_some() && provider.audiences.is_empty())
            .map(|provider| provider.name.clone())
            .collect();
        if let Some(provider) = lacking.first() {
            self.report_missing_audience(node, provider);
        }
        lacking.is_empty()
    }

    fn provider_at(&self, index: u32) -> Option<&config::Provider> {
        self.providers.get(usize::try_from(index).ok()?)
    }

    /// Warns where a token that was issued for another service passes.
    fn report_unchecked_audience(&mut self, node: &Node<'_, '_>, auth: &config::JwtAuth) {
        let mut unchecked: Vec<&str> = leaves(&auth.requirement)
            .into_iter()
            .filter(|part| part.audiences.is_empty())
            .filter_map(|part| self.provider_at(part.index))
            .filter(|provider| {
                provider.audiences.is_empty()
                    && matches!(
                        provider.keys,
                        config::KeySource::Remote(_) | config::KeySource::Discovery(_)
                    )
            })
            .map(|provider| provider.issuer.as_deref().unwrap_or(&provider.name))
            .collect();
        unchecked.dedup();
        if unchecked.is_empty() {
            return;
        }
        let message = format!(
            "a token that {} issued for any other service passes too",
            quote_list(unchecked)
        );
        let place = node
            .field("auth_type")
            .map_or(node.span(), |field| field.span());
        let warning = Diagnostic::warning(Code::Insecure, place, node.path(), message);
        self.found
            .push(warning.with_hint("say in `audience` whom tokens have to be for"));
    }
}
