//! The reply to a request that is refused: status, headers and body.
//!
//! A policy may shape it: another form of the body, an own text for a status, a redirect for browsers.
//! Whatever it says, a client hears the reason and never the evidence, and nothing of its request is
//! echoed but its URL in a redirect, percent-encoded as a whole. Making a reply cannot fail.

mod browser;
mod challenge;
mod template;

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

pub use browser::MAX_RETURN_TO_BYTES;
pub use challenge::{ChallengeHeader, Scheme};
pub use template::{Escape, Part, Substitution, Template, TemplateError, Values};

use crate::config::{Redirect, Replies, ReplyFormat, StatusReply};
use crate::json::write_string;
use crate::reason::{Reason, Row};
use crate::request::Request;

/// The content type of problem details (RFC 9457 §3).
const PROBLEM_JSON: &str = "application/problem+json";

/// The query parameter that a bearer token has to be in, if it is in the query (RFC 6750 §2.3). It is kept
/// out of redirects whether or not a policy takes tokens from there.
const STANDARD_TOKEN_PARAMETER: &str = "access_token";

/// What no policy shapes.
static NO_REPLIES: Replies = Replies {
    format: ReplyFormat::Text,
    realm: None,
    resource_metadata: None,
    by_status: Vec::new(),
    redirect: None,
};

/// A reply, ready to be sent.
///
/// A reply to `HEAD` has the body that one to `GET` has; proxies send its headers and leave it out
/// (RFC 9110 §9.3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply<'r> {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case, and values without control characters. A name may stand more than once. Without
    /// `content-type`, a body is plain text.
    pub headers: Vec<(&'r str, Cow<'r, str>)>,
    /// The body; empty for none.
    pub body: Cow<'r, str>,
    /// For the proxy's access log: Envoy's response code details.
    pub details: String,
}

impl Reply<'static> {
    /// The reply that no policy has a say in: there is none, or the proxy did not do what was asked.
    pub fn without_policy(reason: Reason) -> Self {
        let refusal = Refusal {
            reason,
            app: "",
            challenges: ChallengeHeader::of(reason).into_iter().collect(),
            token_parameters: &[],
        };
        reply(&NO_REPLIES, &refusal, &Request::new(&[]))
    }
}

/// What is refused, as far as a reply depends on it.
#[derive(Debug, Clone)]
pub(crate) struct Refusal<'r> {
    pub(crate) reason: Reason,
    /// The slug of the app; empty where none matched.
    pub(crate) app: &'r str,
    /// The challenges, each of which becomes a `WWW-Authenticate`; the realm and the metadata of the policy
    /// are put in.
    pub(crate) challenges: Vec<ChallengeHeader<'r>>,
    /// The query parameters that tokens are taken from.
    pub(crate) token_parameters: &'r [String],
}

/// The reply to `request`.
pub(crate) fn reply<'r>(
    replies: &'r Replies,
    refusal: &Refusal<'_>,
    request: &Request<'_>,
) -> Reply<'r> {
    let row = refusal.reason.row();
    let mut reply = Reply {
        status: row.status,
        headers: Vec::new(),
        body: Cow::Borrowed(""),
        details: ["nexus_denied{", row.code, "}"].concat(),
    };
    if let Some(redirect) = &replies.redirect {
        if refusal.reason.is_cured_by_login() {
            // Another client gets another answer (RFC 9110 §12.5.5).
            reply.push_header("vary", "accept");
            if browser::is_navigation(request) {
                reply.redirect(redirect, refusal, request);
                return reply;
            }
        }
    }
    reply.challenge(replies, refusal);
    // The body of a reply to gRPC becomes `grpc-message`, which is plain text.
    if is_grpc(request) {
        reply.body = row.body.into();
        return reply;
    }
    reply.fill(replies, refusal, row);
    reply
}

impl<'r> Reply<'r> {
    fn push_header(&mut self, name: &'r str, value: impl Into<Cow<'r, str>>) {
        self.headers.push((name, value.into()));
    }

    fn redirect(&mut self, redirect: &Redirect, refusal: &Refusal<'_>, request: &Request<'_>) {
        let mut secrets: Vec<&str> = Vec::from([STANDARD_TOKEN_PARAMETER]);
        secrets.extend(refusal.token_parameters.iter().map(String::as_str));
        let return_to = match redirect.location.has(Substitution::ReturnTo) {
            true => browser::return_to(request, &secrets),
            false => String::new(),
        };
        let location = redirect
            .location
            .render(&values(refusal, &return_to), Escape::Percent);
        self.status = redirect.status;
        self.push_header("location", location);
        // It leads to a login for this request; nobody else is to get it.
        self.push_header("cache-control", "no-store");
    }

    /// `WWW-Authenticate` (RFC 6750 §3), except for the form without any text.
    fn challenge(&mut self, replies: &'r Replies, refusal: &Refusal<'_>) {
        if replies.format == ReplyFormat::Empty {
            return;
        }
        for challenge in &refusal.challenges {
            let challenge = ChallengeHeader {
                realm: replies.realm.as_deref(),
                resource_metadata: replies.resource_metadata.as_deref(),
                ..*challenge
            };
            self.push_header("www-authenticate", challenge.to_string());
        }
    }

    /// The body and the headers of the policy.
    fn fill(&mut self, replies: &'r Replies, refusal: &Refusal<'_>, row: Row) {
        let own = replies
            .by_status
            .iter()
            .find(|own| own.status == row.status);
        match own.and_then(|own| own.body.as_ref().zip(own.content_type.as_deref())) {
            Some((body, content_type)) => {
                let escape = Escape::for_content_type(content_type);
                self.body = body.render(&values(refusal, ""), escape).into();
                if !self.body.is_empty() {
                    self.push_header("content-type", content_type);
                }
            }
            None => match replies.format {
                ReplyFormat::Text => self.body = row.body.into(),
                ReplyFormat::Problem => {
                    self.body = problem(row).into();
                    self.push_header("content-type", PROBLEM_JSON);
                }
                ReplyFormat::Empty => {}
            },
        }
        if let Some(StatusReply { headers, .. }) = own {
            for header in headers {
                let value = header.value.render(&values(refusal, ""), Escape::Header);
                match self
                    .headers
                    .iter_mut()
                    .find(|(name, _)| *name == header.name)
                {
                    // The one of the redirect: proxies join lists in different ways.
                    Some((_, list)) => {
                        let list = list.to_mut();
                        list.push_str(", ");
                        list.push_str(&value);
                    }
                    None => self.push_header(&header.name, value),
                }
            }
        }
    }
}

fn values<'v>(refusal: &Refusal<'v>, return_to: &'v str) -> Values<'v> {
    let row = refusal.reason.row();
    Values {
        reason: row.code,
        status: row.status,
        message: row.body,
        app: refusal.app,
        return_to,
    }
}

/// Problem details (RFC 9457 §3). Without `type`, the title is that of the status.
fn problem(row: Row) -> String {
    let mut body = format!(
        "{{\"title\":\"{}\",\"status\":{},\"detail\":",
        status_phrase(row.status),
        row.status
    );
    // Writing to a `String` does not fail.
    let _ = write_string(&mut body, row.body);
    body.push_str(",\"reason\":\"");
    body.push_str(row.code);
    body.push_str("\"}");
    body
}

/// The phrase of a status (RFC 9110 §15) that a request may be refused with.
const fn status_phrase(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Error",
    }
}

/// Whether the client speaks gRPC, as Envoy tells it: by the content type of the request.
fn is_grpc(request: &Request<'_>) -> bool {
    request.values("content-type").any(|value| {
        value
            .strip_prefix(b"application/grpc".as_slice())
            .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
    })
}

#[cfg(test)]
mod tests;
