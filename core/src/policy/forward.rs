//! What is passed on of a token, and where to.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::compiler::Compiler;
use super::diagnostic::{Code, Diagnostic, quote};
use super::http;
use super::node::Node;
use super::requirement::leaves;
use super::source;
use super::value::Fault;
use crate::claim_path::ClaimPath;
use crate::config::{
    self, ClaimFormat, ForwardTarget, ForwardedClaim, ForwardedPayload, MAX_FILTER_STATE_KEY_BYTES,
};
use crate::json::Span;

impl Compiler<'_> {
    /// The claims that a provider or a rule passes on; `None` when something is wrong with them, which was reported.
    pub(super) fn forward_claims(
        &mut self,
        node: &Node<'_, '_>,
        provider: &source::Provider,
    ) -> Option<Vec<ForwardedClaim>> {
        let short = self.claims_as_headers(node, provider);
        let mut claims = Vec::new();
        let mut is_valid = true;
        if let Some(list) = node.field("forward_claims") {
            for (element, entry) in list.elements().zip(&provider.forward_claims) {
                let claim = element
                    .field("claim")
                    .and_then(|field| self.claim_path(&field, &entry.claim));
                let to = self.target(
                    &element,
                    entry.header.as_deref(),
                    entry.filter_state.as_deref(),
                );
                match (claim, to) {
                    (Some(claim), Some(to)) => claims.push(ForwardedClaim {
                        claim,
                        to,
                        format: entry.format,
                    }),
                    _ => is_valid = false,
                }
            }
        }
        let mut all = short?;
        all.extend(claims);
        is_valid.then_some(all)
    }

    /// The short form, in the order of the claims' names.
    fn claims_as_headers(
        &mut self,
        node: &Node<'_, '_>,
        provider: &source::Provider,
    ) -> Option<Vec<ForwardedClaim>> {
        let Some(map) = node.field("forward_claims_as_headers") else {
            return Some(Vec::new());
        };
        let mut claims = BTreeMap::new();
        let mut is_valid = true;
        for (member, field) in map.members().iter().zip(map.children()) {
            is_valid &= self.is_claim_name(&field, &member.name, member.name_span);
            let Some(text) = provider.forward_claims_as_headers.get(member.name.as_ref()) else {
                continue;
            };
            match self.parsed(&field, text, http::parse_claim_header) {
                Some(header) => drop(claims.insert(member.name.as_ref(), header)),
                None => is_valid = false,
            }
        }
        let claims = claims.into_iter().map(|(claim, header)| ForwardedClaim {
            claim: ClaimPath::top(claim),
            to: ForwardTarget::Header(header),
            format: ClaimFormat::Text,
        });
        is_valid.then(|| claims.collect())
    }

    /// Where the payload goes; `None` when that is wrong, which was reported.
    pub(super) fn forward_payload(
        &mut self,
        node: &Node<'_, '_>,
        provider: &source::Provider,
    ) -> Option<Option<ForwardedPayload>> {
        let (Some(field), Some(payload)) =
            (node.field("forward_payload"), &provider.forward_payload)
        else {
            return Some(None);
        };
        let to = self.target(
            &field,
            payload.header.as_deref(),
            payload.filter_state.as_deref(),
        )?;
        if let (ForwardTarget::FilterState(_), Some(padding), Some(state)) =
            (&to, field.field("padding"), field.field("filter_state"))
        {
            let message = "`padding` has no effect beside `filter_state`".into();
            let hint =
                "the filter state gets JSON, and only a header base64url; leave `padding` out";
            self.contradiction(&padding, &state, message, Some(hint.into()));
            return None;
        }
        Some(Some(ForwardedPayload {
            to,
            padding: payload.padding == Some(true),
        }))
    }

    /// The one target of an object that may name a header or a key of filter state.
    fn target(
        &mut self,
        node: &Node<'_, '_>,
        header: Option<&str>,
        filter_state: Option<&str>,
    ) -> Option<ForwardTarget> {
        match (
            node.field("header").zip(header),
            node.field("filter_state").zip(filter_state),
        ) {
            (Some((header, _)), Some((state, _))) => {
                let message = "`filter_state` cannot stand beside `header`".into();
                let hint = match node.name() {
                    Some(_) => "the payload goes to one of the two; leave the other out",
                    None => "write two entries of the same claim",
                };
                self.contradiction(&state, &header, message, Some(hint.into()));
                None
            }
            (Some((field, text)), None) => self
                .parsed(&field, text, http::parse_claim_header)
                .map(ForwardTarget::Header),
            (None, Some((field, text))) => self
                .parsed(&field, text, parse_filter_state_key)
                .map(ForwardTarget::FilterState),
            (None, None) => {
                let what = match node.name() {
                    Some(_) => "the payload",
                    None => "the claim",
                };
                let message = format!("nothing says where {what} goes");
                let error =
                    Diagnostic::error(Code::MissingField, node.opening(), node.path(), message);
                let hint = "write `header`, for the service, or `filter_state`, for the proxy";
                self.found.push(error.with_hint(hint));
                None
            }
        }
    }

    /// Whether no two values go to one place in what one provider or rule says; one that does is reported.
    pub(super) fn report_twins(&mut self, node: &Node<'_, '_>) -> bool {
        let mut seen: BTreeMap<ForwardTarget, Span> = BTreeMap::new();
        let mut is_unique = true;
        for (target, field) in targets(node) {
            if let Some(source) = token_header(node, &target) {
                let message =
                    format!("tokens are taken from {target}, which cannot carry a claim as well");
                self.contradiction(&field, &source, message, None);
                is_unique = false;
                continue;
            }
            let Some(first) = seen.get(&target.folded()) else {
                seen.insert(target.folded(), field.span());
                continue;
            };
            let text = field.value().as_str().unwrap_or_default();
            let (place, hint) = match target {
                ForwardTarget::Header(_) => (
                    "header",
                    Some("services take names that differ only in case, `_` and `-` for the same"),
                ),
                ForwardTarget::FilterState(_) => ("filter state", None),
            };
            let message = format!("two values go into the {place} {}", quote(text));
            let error = Diagnostic::error(Code::Duplicate, field.span(), field.path(), message)
                .with_place(*first, "the first is here");
            self.found.push(Diagnostic {
                hint: hint.map(String::from),
                ..error
            });
            is_unique = false;
        }
        is_unique
    }

    /// Whether nothing gets one value from a provider and another from the rule; what does is reported.
    pub(super) fn report_twins_of_providers(
        &mut self,
        node: &Node<'_, '_>,
        auth: &config::JwtAuth,
    ) -> bool {
        let places = targets(node);
        let mut twins = Vec::new();
        for part in leaves(&auth.requirement) {
            let Some(provider) = self.provider_at(part.index) else {
                continue;
            };
            for (own, value) in values(&auth.handling, None) {
                let theirs = values(&provider.handling, auth.handling.forward_payload.as_ref());
                let twin = theirs
                    .into_iter()
                    .find(|(target, other)| target.folded() == own.folded() && *other != value);
                let Some((_, twin)) = twin else { continue };
                let what = match twin {
                    Some((claim, _)) => format!("the claim {}", quote(&format!("{claim}"))),
                    None => "the payload".into(),
                };
                let message = format!(
                    "the provider {} puts {what} into {own} already",
                    quote(&provider.name),
                );
                twins.push((own.folded(), message));
            }
        }
        for (target, message) in &twins {
            let place = places.iter().find(|(place, _)| place.folded() == *target);
            if let Some((_, field)) = place {
                self.error(Code::Duplicate, field, message.clone(), None);
            }
        }
        twins.is_empty()
    }
}

/// What a handling passes on: where to, and the claim with its format, or nothing for the payload. A payload
/// goes nowhere where the rule has another place for it.
fn values<'h>(
    handling: &'h config::Handling,
    replaced: Option<&ForwardedPayload>,
) -> Vec<(&'h ForwardTarget, Option<(&'h ClaimPath, ClaimFormat)>)> {
    let claims = handling
        .forward_claims
        .iter()
        .map(|claim| (&claim.to, Some((&claim.claim, claim.format))));
    let payload = handling
        .forward_payload
        .iter()
        .filter(|_| replaced.is_none())
        .map(|payload| (&payload.to, None));
    claims.chain(payload).collect()
}

/// Every place that an object names for a claim or the payload, right or wrong, in the order of the document's kinds.
fn targets<'n, 'a>(node: &Node<'n, 'a>) -> Vec<(ForwardTarget, Node<'n, 'a>)> {
    let header = |field: Node<'n, 'a>| {
        let name = field.value().as_str()?.to_ascii_lowercase();
        Some((ForwardTarget::Header(name), field))
    };
    let mut targets = Vec::new();
    if let Some(map) = node.field("forward_claims_as_headers") {
        targets.extend(map.children().filter_map(header));
    }
    let mut add = |entry: &Node<'n, 'a>| {
        targets.extend(entry.field("header").and_then(header));
        if let Some(field) = entry.field("filter_state") {
            let key = field.value().as_str().map(String::from);
            targets.extend(key.map(|key| (ForwardTarget::FilterState(key), field)));
        }
    };
    if let Some(list) = node.field("forward_claims") {
        list.elements().for_each(|entry| add(&entry));
    }
    if let Some(payload) = node.field("forward_payload") {
        add(&payload);
    }
    targets
}

/// The token source of this object that is the header of a target.
fn token_header<'n, 'a>(node: &Node<'n, 'a>, target: &ForwardTarget) -> Option<Node<'n, 'a>> {
    let list = node.field("token_sources")?;
    list.elements().find_map(|source| {
        let header = source.field("header")?;
        let name = header.value().as_str()?.to_ascii_lowercase();
        (ForwardTarget::Header(name).folded() == target.folded()).then_some(header)
    })
}

/// A key of filter state.
fn parse_filter_state_key(key: &str) -> Result<String, Fault> {
    let is_key = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if key.is_empty() || !key.bytes().all(is_key) {
        return Err(Fault::new("is not a key of filter state")
            .hint("letters, digits, `.`, `-` and `_`, as in `user.id`"));
    }
    if key.len() > MAX_FILTER_STATE_KEY_BYTES {
        return Err(Fault::new(format!(
            "is longer than {MAX_FILTER_STATE_KEY_BYTES} characters"
        )));
    }
    if let Some(rest) = key.strip_prefix("wasm.") {
        return Err(Fault::new("has the prefix of Envoy's filter state already")
            .hint(format!("Envoy adds `wasm.` itself; write {}", quote(rest))));
    }
    Ok(key.into())
}
