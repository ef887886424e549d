//! Who may pass: the `auth` of an app or a route.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::compiler::{Compiler, is_one_of};
use super::diagnostic::{Code, Diagnostic, MAX_FINDINGS, quote, quote_list};
use super::http;
use super::node::Node;
use super::source::{self, AuthType};
use super::suggest;
use super::value;
use crate::config;
use crate::json::Span;
use crate::request::fold_header_name;

/// The fields of `auth` that are not a provider's.
const AUTH_FIELDS: [&str; 6] = [
    "auth_type",
    "required",
    "providers",
    "required_claims",
    "forward_claims_as_headers",
    "forward_token",
];

/// The fields of a provider that may stand beside `providers`.
const REPLACING_FIELDS: [&str; 3] = ["audience", "audiences", "token_sources"];

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
        let (providers, audiences, token_sources) = match (&auth.providers, node.field("providers"))
        {
            (Some(names), Some(list)) => (
                self.referred(node, &list, names),
                self.audiences(node, &auth.provider),
                self.token_sources(node, auth.provider.token_sources.as_deref()),
            ),
            _ => (
                self.inline_provider(node, auth, name),
                Some(Vec::new()),
                Some(Vec::new()),
            ),
        };
        let required_claims = self.required_claims(node, auth);
        let claim_headers = self.claim_headers(node, auth);
        let auth = config::JwtAuth {
            required: auth.required,
            providers: providers?,
            audiences: audiences?,
            token_sources: token_sources?,
            required_claims: required_claims?,
            claim_headers: claim_headers?,
            forward_token: auth.forward_token,
        };
        self.report_unchecked_audience(node, &auth);
        Some(auth)
    }

    /// The provider whose fields stand in `auth` itself.
    fn inline_provider(
        &mut self,
        node: &Node<'_, '_>,
        auth: &source::Auth,
        name: &str,
    ) -> Option<Vec<u32>> {
        let compiled = self.provider(node, &auth.provider, name)?;
        let index = self.add_provider(compiled);
        Some(Vec::from([index]))
    }

    /// The providers that `auth` names.
    fn referred(
        &mut self,
        node: &Node<'_, '_>,
        list: &Node<'_, '_>,
        names: &[String],
    ) -> Option<Vec<u32>> {
        let mut is_valid = true;
        for member in node.members() {
            if !is_one_of(member, &AUTH_FIELDS) && !is_one_of(member, &REPLACING_FIELDS) {
                let field = node.child(member);
                let message = format!("{} cannot stand beside `providers`", field.label());
                let hint = "it belongs to the provider; write it there, or leave `providers` out";
                self.contradiction(&field, list, message, Some(hint.into()));
                is_valid = false;
            }
        }
        let mut seen = BTreeMap::new();
        let mut indices = Vec::new();
        for (element, name) in list.elements().zip(names) {
            if self.is_repeated(&mut seen, name, &element) {
                is_valid = false;
                continue;
            }
            match self.refer(&element, name) {
                Some(index) => indices.push(index),
                None => is_valid = false,
            }
        }
        is_valid.then_some(indices)
    }

    /// The place of a named provider in the configuration.
    fn refer(&mut self, element: &Node<'_, '_>, name: &str) -> Option<u32> {
        let Some(named) = self.named.get_mut(name) else {
            let known = self.named.keys().map(String::as_str);
            // Beyond the limit findings are only counted: no need to look for what was meant.
            let hint = match self.named.is_empty() {
                _ if self.found.errors.len() >= MAX_FINDINGS => String::new(),
                true => "the policy has no `providers`".into(),
                false => suggest::hint(name, known, "the providers are"),
            };
            let message = format!("there is no provider {}", quote(name));
            self.error(Code::UnknownName, element, message, Some(hint));
            return None;
        };
        named.is_used = true;
        if let Some(index) = named.index {
            return Some(index);
        }
        let compiled = named.compiled.take()?;
        let index = self.add_provider(compiled);
        if let Some(named) = self.named.get_mut(name) {
            named.index = Some(index);
        }
        Some(index)
    }

    fn required_claims(&mut self, node: &Node<'_, '_>, auth: &source::Auth) -> Option<Vec<String>> {
        let Some(list) = node.field("required_claims") else {
            return Some(Vec::new());
        };
        let mut seen = BTreeMap::new();
        let mut is_valid = true;
        for (element, claim) in list.elements().zip(&auth.required_claims) {
            is_valid &= self.is_claim(&element, claim, element.span());
            is_valid &= !self.is_repeated(&mut seen, claim, &element);
        }
        is_valid.then(|| auth.required_claims.clone())
    }

    /// Whether a text can be the name of a claim; a fault is reported.
    fn is_claim(&mut self, node: &Node<'_, '_>, claim: &str, span: Span) -> bool {
        if let Err(fault) = value::check_text(claim) {
            let message = match claim {
                "" => "the name of the claim is empty".into(),
                _ => format!("the claim {} {}", quote(claim), fault.message),
            };
            let error = Diagnostic::error(Code::InvalidValue, span, node.path(), message);
            self.found.push(Diagnostic {
                hint: fault.hint,
                ..error
            });
            return false;
        }
        // Claims named by a URL have dots; others with a dot are perhaps meant as a way into an object.
        if claim.contains('.') && !claim.contains("://") {
            let message = format!(
                "{} is taken for the name of one top-level claim",
                quote(claim)
            );
            let warning = Diagnostic::warning(Code::Suspicious, span, node.path(), message);
            self.found
                .push(warning.with_hint("claims inside of other claims cannot be named"));
        }
        true
    }

    fn claim_headers(
        &mut self,
        node: &Node<'_, '_>,
        auth: &source::Auth,
    ) -> Option<Vec<config::ClaimHeader>> {
        let Some(map) = node.field("forward_claims_as_headers") else {
            return Some(Vec::new());
        };
        let mut headers: BTreeMap<Vec<u8>, Span> = BTreeMap::new();
        let mut claims = BTreeMap::new();
        let mut is_valid = true;
        for (member, field) in map.members().iter().zip(map.children()) {
            is_valid &= self.is_claim(&field, &member.name, member.name_span);
            let Some(text) = auth.forward_claims_as_headers.get(member.name.as_ref()) else {
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

    /// Warns where a token that was issued for another service passes.
    fn report_unchecked_audience(&mut self, node: &Node<'_, '_>, auth: &config::JwtAuth) {
        if !auth.audiences.is_empty() {
            return;
        }
        let unchecked: Vec<&str> = auth
            .providers
            .iter()
            .filter_map(|index| self.providers.get(usize::try_from(*index).ok()?))
            .filter(|provider| {
                provider.audiences.is_empty()
                    && matches!(provider.keys, config::KeySource::Remote(_))
            })
            .map(|provider| provider.issuer.as_deref().unwrap_or(&provider.name))
            .collect();
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
