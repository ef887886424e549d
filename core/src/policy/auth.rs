//! Who may pass: the `auth` of an app or a route.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::compiler::{Compiler, is_one_of};
use super::demand::Scopes;
use super::diagnostic::{Code, Diagnostic, quote_list};
use super::node::Node;
use super::requirement::{fill_audiences, leaves};
use super::source::{self, AuthType, Mode};
use crate::config::{self, Enforcement, Requirement};

/// The fields of `auth` that are not a provider's.
const AUTH_FIELDS: [&str; 5] = ["auth_type", "required", "mode", "providers", "requirement"];

/// The fields of a provider that may stand beside `providers` or `requirement`.
const RULE_FIELDS: [&str; 11] = [
    "audience",
    "audiences",
    "token_sources",
    "required_claims",
    "required_scopes",
    "any_scope",
    "forward_claims_as_headers",
    "forward_claims",
    "forward_payload",
    "forward_token",
    "clear_route_cache",
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
                .map(|auth| config::Auth::Jwt(Box::new(auth))),
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
        let are_sources_fit = self.are_sources_fit(node, &auth);
        let has_no_twins = self.report_twins_of_providers(node, &auth);
        if !has_audiences || !are_sources_fit || !has_no_twins {
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
        let forward_claims = self.forward_claims(node, provider);
        let forward_payload = self.forward_payload(node, provider);
        let has_no_twins = self.report_twins(node);
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
            forward_claims: forward_claims?,
            forward_token: provider.forward_token,
            forward_payload: forward_payload?,
            clear_route_cache: provider.clear_route_cache,
        })
        .filter(|_| has_no_twins)
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

    pub(super) fn provider_at(&self, index: u32) -> Option<&config::Provider> {
        self.providers.get(usize::try_from(index).ok()?)
    }

    /// Warns where a token that was issued for another service passes.
    fn report_unchecked_audience(&mut self, node: &Node<'_, '_>, auth: &config::JwtAuth) {
        let mut unchecked: Vec<&str> = leaves(&auth.requirement)
            .into_iter()
            .filter(|part| part.audiences.is_empty())
            .filter_map(|part| self.provider_at(part.index))
            .filter(|provider| provider.audiences.is_empty() && !provider.keys.remote.is_empty())
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
