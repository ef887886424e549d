//! Replies: what a policy may let clients hear, and where it may send browsers.
//!
//! A reply goes out under the name of the service, so whatever could break its framing, be read as
//! something else, or send people elsewhere is refused here.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::compiler::Compiler;
use super::diagnostic::{Code, Diagnostic, quote, quote_list};
use super::node::Node;
use super::reply_header::{check_header_value, check_line, parse_content_type, parse_reply_header};
use super::source::{self, DEFAULT_REDIRECT_STATUS};
use super::suggest;
use super::url::{check_target, is_loopback, split_port};
use super::value::{Fault, parse_host};
use crate::config::{self, ReplyFormat, ReplyHeader};
use crate::json::{self, Span};
use crate::reason::Reason;
use crate::reply::{Escape, Part, Substitution, Template, TemplateError, Values};

/// The longest body, in bytes.
const MAX_BODY_BYTES: usize = 65_536;
/// The longest realm, in characters.
const MAX_REALM: usize = 256;
/// What a substitution counts for where a length is limited, in bytes: more than any value has.
const SUBSTITUTION_BYTES: usize = 256;
/// The statuses that send a browser somewhere else with `GET`, or with the method that it had.
const REDIRECT_STATUSES: [u16; 3] = [302, 303, 307];

impl Compiler<'_> {
    /// Compiles the `replies` of a policy or an app; `None` when something is wrong with them, which was reported.
    pub(super) fn replies(
        &mut self,
        node: &Node<'_, '_>,
        replies: &source::Replies,
    ) -> Option<config::Replies> {
        let errors = self.found.errors.len();
        let realm = self.own_field(node, "realm", replies.realm.as_ref(), parse_realm);
        let resource_metadata = self.own_field(
            node,
            "resource_metadata",
            replies.resource_metadata.as_ref(),
            parse_metadata_url,
        );
        self.challenge_of_nothing(node, replies);
        let by_status = match node.field("by_status") {
            Some(list) => self.by_status(&list, &replies.by_status),
            None => Vec::new(),
        };
        let redirect = match (node.field("redirect"), &replies.redirect) {
            (Some(node), Some(redirect)) => self.redirect(&node, redirect),
            _ => None,
        };
        (self.found.errors.len() == errors).then_some(config::Replies {
            format: replies.format,
            realm,
            resource_metadata,
            by_status,
            redirect,
        })
    }

    /// The `replies` of an app among others: it is never answered for what no app matches.
    pub(super) fn replies_of_app(
        &mut self,
        node: &Node<'_, '_>,
        replies: &source::Replies,
    ) -> Option<config::Replies> {
        let not_found = node
            .field("by_status")
            .and_then(|by_status| by_status.field("404"));
        if let Some(field) = not_found {
            let message = "`404` has no effect in an app".into();
            let error = Diagnostic::error(
                Code::Contradiction,
                field.name_span(),
                field.path(),
                message,
            );
            self.found.push(error.with_hint(
                "it is the answer where no app matches; write it in the `replies` of the policy",
            ));
        }
        self.replies(node, replies)
    }

    /// [`redirect_from_any_host`](Self::redirect_from_any_host) for an app that takes the replies of the whole policy.
    pub(super) fn redirect_of_policy(
        &mut self,
        policy: &Node<'_, '_>,
        replies: Option<&config::Replies>,
        app: Option<&config::App>,
    ) {
        if let (Some(node), Some(replies), Some(app)) = (policy.field("replies"), replies, app) {
            if app.replies.is_none() {
                self.redirect_from_any_host(&node, replies, app);
            }
        }
    }

    /// Warns when a redirect tells the login page a host that the policy does not fix.
    pub(super) fn redirect_from_any_host(
        &mut self,
        node: &Node<'_, '_>,
        replies: &config::Replies,
        app: &config::App,
    ) {
        let tells_host = replies
            .redirect
            .as_ref()
            .is_some_and(|redirect| redirect.location.has(Substitution::ReturnTo));
        let is_open = |auth: &config::Auth| *auth == config::Auth::None;
        let is_never_refused =
            is_open(&app.auth) && app.routes.iter().all(|route| is_open(&route.auth));
        if !tells_host || is_never_refused || !app.hosts.iter().any(|host| host == "*") {
            return;
        }
        let Some(location) = node
            .field("redirect")
            .and_then(|redirect| redirect.field("location"))
        else {
            return;
        };
        let message = format!(
            "the host in `${{return_to}}` is whatever the client of the app {} names",
            quote(&app.slug)
        );
        let hint =
            "name the app's `hosts`; and let the login page send nobody back to another host";
        self.warn(Code::Insecure, &location, message, Some(hint.into()));
    }

    fn own_field<T>(
        &mut self,
        node: &Node<'_, '_>,
        name: &str,
        text: Option<&String>,
        parse: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        let field = node.field(name)?;
        self.parsed(&field, text?, parse)
    }

    /// Without `WWW-Authenticate` nothing can stand in it.
    fn challenge_of_nothing(&mut self, node: &Node<'_, '_>, replies: &source::Replies) {
        let Some(format) = node
            .field("format")
            .filter(|_| replies.format == ReplyFormat::Empty)
        else {
            return;
        };
        for name in ["realm", "resource_metadata"] {
            if let Some(field) = node.field(name) {
                let message = format!("{} has no effect beside `format` `empty`", field.label());
                let hint = "it stands in `WWW-Authenticate`, which such a reply does not have";
                self.contradiction(&field, &format, message, Some(hint.into()));
            }
        }
    }

    fn by_status(
        &mut self,
        list: &Node<'_, '_>,
        replies: &BTreeMap<String, source::StatusReply>,
    ) -> Vec<config::StatusReply> {
        let mut compiled: Vec<config::StatusReply> = Vec::new();
        for member in list.members() {
            let Some(reply) = replies.get(member.name.as_ref()) else {
                continue;
            };
            let node = list.child(member);
            let Some(status) = status(&member.name) else {
                self.unknown_status(&node, &member.name);
                continue;
            };
            compiled.extend(self.status_reply(&node, reply, status));
        }
        compiled.sort_by_key(|reply| reply.status);
        compiled
    }

    fn unknown_status(&mut self, node: &Node<'_, '_>, name: &str) {
        let message = format!(
            "{} is not a status that requests are refused with",
            quote(name)
        );
        let error = Diagnostic::error(Code::InvalidValue, node.name_span(), node.path(), message);
        let statuses: Vec<String> = statuses().iter().map(u16::to_string).collect();
        let all = quote_list(statuses.iter().map(String::as_str));
        self.found
            .push(error.with_hint(format!("possible are {all}")));
    }

    fn status_reply(
        &mut self,
        node: &Node<'_, '_>,
        reply: &source::StatusReply,
        status: u16,
    ) -> Option<config::StatusReply> {
        let body = node.field("body").zip(reply.body.as_ref());
        let content_type = node.field("content_type").zip(reply.content_type.as_ref());
        if body.is_none() && reply.headers.is_empty() && content_type.is_none() {
            let message = format!("{} says nothing", node.label());
            let error =
                Diagnostic::error(Code::MissingField, node.name_span(), node.path(), message);
            self.found
                .push(error.with_hint("write `body` or `headers`, or leave the status out"));
        }
        let parsed_type = match (&content_type, &body) {
            (Some((field, text)), Some((body_field, body))) if body.is_empty() => {
                let message = format!("{} has no effect beside an empty `body`", field.label());
                self.contradiction(field, body_field, message, None);
                self.parsed(field, text, parse_content_type)
            }
            (Some((field, text)), Some(_)) => self.parsed(field, text, parse_content_type),
            (Some((field, _)), None) => {
                let message = format!("{} has no effect without `body`", field.label());
                let error = Diagnostic::error(
                    Code::Contradiction,
                    field.name_span(),
                    field.path(),
                    message,
                );
                self.found.push(error.with_hint(
                    "the body of `format` has a content type of its own; write `body`, or leave it out",
                ));
                None
            }
            (None, _) => Some(String::from("text/plain; charset=utf-8")),
        };
        let parsed_body = match (&body, &parsed_type) {
            (Some((field, text)), Some(content_type)) => {
                Some(self.body(field, text, content_type, status)?)
            }
            _ => None,
        };
        let headers = match node.field("headers") {
            Some(list) => self.reply_headers(&list, &reply.headers),
            None => Vec::new(),
        };
        Some(config::StatusReply {
            status,
            content_type: parsed_type.filter(|_| parsed_body.is_some()),
            body: parsed_body,
            headers,
        })
    }

    fn body(
        &mut self,
        field: &Node<'_, '_>,
        text: &str,
        content_type: &str,
        status: u16,
    ) -> Option<Template> {
        let template = self.template(field, text, "a body")?;
        let bytes = longest(&template);
        if bytes > MAX_BODY_BYTES {
            let message = format!(
                "{} has up to {bytes} bytes, the limit is {MAX_BODY_BYTES}",
                field.label()
            );
            let hint = format!("each substitution counts for {SUBSTITUTION_BYTES} bytes");
            self.error(Code::OutOfRange, field, message, Some(hint));
            return None;
        }
        if Escape::for_content_type(content_type) == Escape::Json && !text.is_empty() {
            // A sample: what is put in later differs in the text of strings and the digits of a number only.
            let sample = Values {
                reason: "reason",
                status,
                message: "message",
                app: "app",
                return_to: "",
            };
            if let Err(error) = json::parse(template.render(&sample, Escape::Json).as_bytes()) {
                let message = format!("{} is not JSON: {error}", field.label());
                let hint = "texts stand in quotes, `\"${reason}\"`; `${status}` is a number";
                self.error(Code::InvalidValue, field, message, Some(hint.into()));
                return None;
            }
        }
        Some(template)
    }

    fn reply_headers(
        &mut self,
        list: &Node<'_, '_>,
        headers: &BTreeMap<String, String>,
    ) -> Vec<ReplyHeader> {
        let mut seen: BTreeMap<String, Span> = BTreeMap::new();
        let mut compiled = Vec::new();
        for member in list.members() {
            let Some(text) = headers.get(member.name.as_ref()) else {
                continue;
            };
            let node = list.child(member);
            let name = match parse_reply_header(&member.name) {
                Ok(name) => name,
                Err(fault) => {
                    let name = match member.name.is_empty() {
                        true => "an empty name".into(),
                        false => quote(&member.name),
                    };
                    let message = format!("{name} {}", fault.message);
                    let error = Diagnostic::error(
                        Code::InvalidValue,
                        member.name_span,
                        node.path(),
                        message,
                    );
                    self.found.push(Diagnostic {
                        hint: fault.hint,
                        ..error
                    });
                    continue;
                }
            };
            if let Some(first) = seen.insert(name.clone(), member.name_span) {
                let message = format!(
                    "{} is the same header in another spelling",
                    quote(&member.name)
                );
                let error =
                    Diagnostic::error(Code::Duplicate, member.name_span, node.path(), message);
                self.found
                    .push(error.with_place(first, "the first is here"));
            }
            let is_valid = self.parsed(&node, text, check_header_value).is_some();
            if let Some(value) = self.template(&node, text, "a header").filter(|_| is_valid) {
                compiled.push(ReplyHeader { name, value });
            }
        }
        compiled.sort_by(|left, right| left.name.cmp(&right.name));
        compiled
    }

    fn redirect(
        &mut self,
        node: &Node<'_, '_>,
        redirect: &source::Redirect,
    ) -> Option<config::Redirect> {
        let status = redirect.status.unwrap_or(DEFAULT_REDIRECT_STATUS);
        if let Some(field) = node
            .field("status")
            .filter(|_| !REDIRECT_STATUSES.contains(&status))
        {
            let message = format!("`status` cannot be `{status}`");
            let hint =
                "possible are `302`, `303` and `307`: a browser goes there, and forgets it again";
            self.error(Code::InvalidValue, &field, message, Some(hint.into()));
        }
        let field = node.field("location")?;
        let template = self.template(&field, &redirect.location, "a redirect")?;
        let location = self.parsed(&field, &redirect.location, |_| check_location(template))?;
        Some(config::Redirect { location, status })
    }

    /// A text with substitutions, of which `place` takes some.
    fn template(&mut self, field: &Node<'_, '_>, text: &str, place: &str) -> Option<Template> {
        let takes_url = place == "a redirect";
        let possible = || {
            Substitution::ALL
                .into_iter()
                .filter(move |one| takes_url || *one != Substitution::ReturnTo)
        };
        let written = |one: Substitution| format!("${{{}}}", one.name());
        let (message, hint) = match Template::parse(text) {
            Ok(template) if takes_url || !template.has(Substitution::ReturnTo) => {
                return Some(template);
            }
            Ok(_) => (
                format!("`${{return_to}}` cannot stand in {place}"),
                "the URL of a request is put into the `location` of a `redirect` only".to_string(),
            ),
            Err(TemplateError::Unclosed) => (
                format!("{} has a `${{` without its `}}`", field.label()),
                "`$${` stands for `${` itself".to_string(),
            ),
            Err(TemplateError::Unknown { name }) => {
                let all: Vec<String> = possible().map(written).collect();
                let hint = match suggest::nearest(&name, possible().map(Substitution::name)) {
                    Some(meant) => format!("did you mean `${{{meant}}}`?"),
                    None => format!(
                        "possible are {}; `$${{` stands for `${{` itself",
                        quote_list(all.iter().map(String::as_str))
                    ),
                };
                let unknown = quote(&format!("${{{name}}}"));
                (format!("nothing is put in for {unknown}"), hint)
            }
        };
        self.error(Code::UnknownName, field, message, Some(hint));
        None
    }
}

/// Every status that requests are refused with, in order.
fn statuses() -> Vec<u16> {
    let mut statuses: Vec<u16> = Reason::ALL
        .iter()
        .map(|reason| reason.row().status)
        .collect();
    statuses.sort_unstable();
    statuses.dedup();
    statuses
}

/// The status that a member of `by_status` is for: three digits, as in the table.
fn status(name: &str) -> Option<u16> {
    statuses()
        .into_iter()
        .find(|status| status.to_string() == name)
}

/// An upper bound of the length of what a template becomes, in bytes.
fn longest(template: &Template) -> usize {
    template.parts().iter().fold(0, |sum: usize, part| {
        sum.saturating_add(match part {
            Part::Text(text) => text.len(),
            Part::Value(_) => SUBSTITUTION_BYTES,
        })
    })
}

/// What may stand in quotes (RFC 9110 §5.6.4); without what clients read in different ways.
fn parse_realm(realm: &str) -> Result<String, Fault> {
    check_line(realm)?;
    if !realm.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err(Fault::new("has a character beyond ASCII")
            .hint("clients read such a `WWW-Authenticate` in different ways"));
    }
    if realm.len() > MAX_REALM {
        return Err(Fault::new(format!("has more than {MAX_REALM} characters")));
    }
    Ok(realm.into())
}

/// RFC 9728 §3: an `https` URL without fragment.
fn parse_metadata_url(url: &str) -> Result<String, Fault> {
    check_line(url)?;
    let hint =
        "write `https://…`, as in `https://api.example.com/.well-known/oauth-protected-resource`";
    let rest = behind_scheme(url, false, hint)?;
    check_authority_and_target(rest)?;
    if url.contains('#') {
        return Err(Fault::new("has a fragment (`#`), which is never sent"));
    }
    Ok(url.into())
}

/// The URL of a redirect: whatever is put in, it leads to the host that the policy names.
fn check_location(location: Template) -> Result<Template, Fault> {
    let mut sample = String::new();
    let mut is_host_fixed = true;
    for part in location.parts() {
        match part {
            Part::Text(text) => sample.push_str(text),
            Part::Value(_) => {
                is_host_fixed &= sample
                    .split_once("://")
                    .is_some_and(|(_, rest)| rest.contains(['/', '?', '#']));
                // A letter is what every value is in percent-encoding, as far as the form of a URL goes.
                sample.push('x');
            }
        }
    }
    check_line(&sample)?;
    if !is_host_fixed {
        return Err(Fault::new("has a substitution in its host or before it")
            .hint("write the host itself, and the substitution behind it: `https://login.example.com/?app=${app}`"));
    }
    let rest = behind_scheme(
        &sample,
        true,
        "write `https://…`, with the host and the path of the login page",
    )?;
    check_authority_and_target(rest)?;
    Ok(location)
}

/// What stands behind `https://`, or behind `http://` where that may lead to this machine.
fn behind_scheme<'u>(url: &'u str, may_be_local: bool, hint: &str) -> Result<&'u str, Fault> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(Fault::new("is not an absolute URL").hint(hint));
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_local = || split_port(authority, 80).is_ok_and(|(host, _)| is_loopback(host));
    match scheme.to_ascii_lowercase().as_str() {
        "https" => Ok(rest),
        "http" if may_be_local && is_local() => Ok(rest),
        _ => Err(Fault::new("is not an `https` URL").hint(hint)),
    }
}

/// Host, port, path, query and fragment of a URL, from behind `://` on.
fn check_authority_and_target(rest: &str) -> Result<(), Fault> {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at_checked(end).unwrap_or((rest, ""));
    if authority.contains('@') {
        return Err(Fault::new("has a user name or password before its host"));
    }
    if rest.contains(['<', '>', '{', '}']) {
        return Err(super::value::placeholder());
    }
    let (host, _) = split_port(authority, 443)?;
    parse_host(host)?;
    check_target(target)
}
