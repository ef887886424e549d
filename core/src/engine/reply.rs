//! What the client of a request that is refused is told.

use alloc::string::String;
use alloc::vec::Vec;

use super::decision::{Decision, Outcome};
use super::{Access, App, Engine, access_of};
use crate::config::{Auth, Config, Replies, TokenSource};
use crate::jose::dpop::ALGORITHMS;
use crate::reason::Reason;
use crate::reply::{ChallengeHeader, Part, Refusal, Reply, Scheme, Template, reply};
use crate::request::Request;
use crate::sort::sort_and_dedup;

impl Engine {
    /// The reply to a request that is refused, as the replies of its app or of the policy shape it.
    ///
    /// `request` is the one that was decided, for the redirect of browsers. A decision that lets a request pass
    /// gives the reply for a proxy that could not carry it out: a request is answered or passes, never neither.
    pub fn reply(&self, decision: &Decision, request: &Request<'_>) -> Reply<'_> {
        let reason = match &decision.outcome {
            Outcome::Deny(denial) => denial.reason(),
            Outcome::Allow(_) => Reason::Internal,
        };
        let app = decision.rule.and_then(|rule| self.apps.get(rule.app.0));
        let refusal = Refusal {
            reason,
            app: app.map_or("", |app| app.slug.as_str()),
            challenges: self.challenges(decision, reason),
            token_parameters: &self.token_parameters,
        };
        reply(self.replies_of(app), &refusal, request)
    }

    /// What a client can try: the schemes that the rule takes tokens under (RFC 9110 §11.6.1, RFC 9449 §7.2).
    fn challenges<'d>(&self, decision: &'d Decision, reason: Reason) -> Vec<ChallengeHeader<'d>> {
        let Some(own) = ChallengeHeader::of(reason) else {
            return Vec::new();
        };
        let own = match &decision.outcome {
            Outcome::Deny(denial) => ChallengeHeader {
                scope: denial.needed_scopes(),
                ..own
            },
            Outcome::Allow(_) => own,
        };
        let proof = ChallengeHeader {
            algs: &ALGORITHMS,
            scheme: Scheme::Dpop,
            ..own
        };
        if own.scheme == Scheme::Dpop {
            return Vec::from([proof]);
        }
        let access = decision.rule.and_then(|rule| access_of(&self.apps, rule));
        let Some(Access::Tokens(plan)) = access else {
            return Vec::from([own]);
        };
        let bearer = plan.traits.takes_bearer.then_some(own);
        bearer
            .into_iter()
            .chain(plan.traits.takes_proof.then_some(proof))
            .collect()
    }

    fn replies_of<'e>(&'e self, app: Option<&'e App>) -> &'e Replies {
        app.and_then(|app| app.replies.as_ref())
            .unwrap_or(&self.replies)
    }
}

/// The query parameters that tokens are taken from anywhere in a configuration, each once.
pub(super) fn token_parameters(config: &Config) -> Vec<String> {
    let of_apps = config
        .apps
        .iter()
        .flat_map(|app| core::iter::once(&app.auth).chain(app.routes.iter().map(|it| &it.auth)))
        .filter_map(|auth| match auth {
            Auth::None => None,
            Auth::Jwt(auth) => Some(&auth.handling.token_sources),
        });
    let of_providers = config
        .providers
        .iter()
        .map(|provider| &provider.handling.token_sources);
    let mut names: Vec<String> = of_providers
        .chain(of_apps)
        .flatten()
        .filter_map(|source| match source {
            TokenSource::Query(name) => Some(name.clone()),
            TokenSource::Header(_) | TokenSource::Cookie(_) => None,
        })
        .collect();
    sort_and_dedup(&mut names);
    names
}

/// What in replies could not be sent. `compile-policy` has refused all of it.
pub(super) fn check(replies: &Replies) -> Result<(), &'static str> {
    let challenge = replies.realm.iter().chain(&replies.resource_metadata);
    if !challenge.map(String::as_str).all(is_sendable) {
        return Err("has a challenge with a text that cannot be sent");
    }
    for own in &replies.by_status {
        if own.body.is_some() != own.content_type.is_some() {
            return Err("has a reply with a body and no content type, or the other way round");
        }
        let is_type_sendable = own.content_type.as_deref().is_none_or(is_sendable);
        let are_headers_sendable = own
            .headers
            .iter()
            .all(|header| is_name(&header.name) && texts(&header.value).all(is_sendable));
        if !is_type_sendable || !are_headers_sendable {
            return Err("has a reply with a header that cannot be sent");
        }
    }
    match &replies.redirect {
        Some(redirect) if !matches!(redirect.status, 302 | 303 | 307) => {
            Err("has a redirect with a status other than 302, 303 and 307")
        }
        Some(redirect) if !is_location(&redirect.location) => {
            Err("has a redirect to something other than a URL with a fixed host")
        }
        _ => Ok(()),
    }
}

/// Whether a name stands in a header as lower-case token (RFC 9110 §5.1), and is none of those that frame the reply.
fn is_name(name: &str) -> bool {
    let is_token = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte)
    };
    let frames = [
        "content-length",
        "transfer-encoding",
        "connection",
        "upgrade",
        "trailer",
    ];
    !name.is_empty() && name.bytes().all(is_token) && !frames.contains(&name)
}

fn is_sendable(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

fn texts(template: &Template) -> impl Iterator<Item = &str> {
    template.parts().iter().filter_map(|part| match part {
        Part::Text(text) => Some(text.as_str()),
        Part::Value(_) => None,
    })
}

/// Whether a location begins with scheme and host as text, and can be sent.
fn is_location(location: &Template) -> bool {
    let Some(Part::Text(first)) = location.parts().first() else {
        return false;
    };
    let is_host_whole = location.parts().len() == 1
        || first
            .split_once("://")
            .is_some_and(|(_, rest)| rest.contains(['/', '?', '#']));
    let has_scheme = first.starts_with("https://") || first.starts_with("http://");
    has_scheme && is_host_whole && texts(location).all(is_sendable)
}
