//! Where a token may stand in a request.
//!
//! Every place is read by itself, and every token that is found has to verify. So two places may not be
//! the same to a service, and none may hold all that another one holds.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::compiler::Compiler;
use super::diagnostic::{Code, Diagnostic, quote};
use super::http;
use super::node::Node;
use super::source;
use crate::config::{TokenHeader, TokenSource};
use crate::engine::names_fold_alike;
use crate::json::Span;
use crate::request::fold_header_name;

/// The fields of which a token source has exactly one.
const PLACES: [&str; 3] = ["header", "query", "cookie"];

/// Schemes, behind which stands a space (RFC 6750 §2.1, RFC 9449 §7.1).
const SCHEMES: [&str; 2] = ["Bearer", "DPoP"];

impl Compiler<'_> {
    /// The places that `token_sources` names, in order; none when it is left out. `None` when something is wrong
    /// with one, which was reported.
    pub(super) fn token_sources(
        &mut self,
        node: &Node<'_, '_>,
        named: Option<&[source::TokenSource]>,
    ) -> Option<Vec<TokenSource>> {
        let (Some(list), Some(named)) = (node.field("token_sources"), named) else {
            return Some(Vec::new());
        };
        let mut seen: Vec<(TokenSource, Span)> = Vec::new();
        let mut is_valid = true;
        for (element, named) in list.elements().zip(named) {
            let Some(source) = self.token_source(&element, named) else {
                is_valid = false;
                continue;
            };
            let clash = seen
                .iter()
                .find_map(|(other, span)| Some((clash(&source, other)?, *span)));
            match clash {
                None => seen.push((source, element.span())),
                Some(((message, hint), first)) => {
                    is_valid = false;
                    let error =
                        Diagnostic::error(Code::Duplicate, element.span(), element.path(), message)
                            .with_place(first, "the first is here");
                    self.found.push(Diagnostic {
                        hint: hint.map(Into::into),
                        ..error
                    });
                }
            }
        }
        is_valid.then(|| seen.into_iter().map(|(source, _)| source).collect())
    }

    fn token_source(
        &mut self,
        node: &Node<'_, '_>,
        named: &source::TokenSource,
    ) -> Option<TokenSource> {
        let (place, mut is_valid) = self.single_field(
            node,
            &PLACES,
            (
                "names no place",
                "write one of `header`, `query` and `cookie`",
            ),
            "write each place as an element of its own",
        )?;
        let prefix = node.field("prefix");
        if let (Some(prefix), false) = (&prefix, named.header.is_some()) {
            let message = format!("`prefix` has no effect beside {}", place.label());
            let hint = "it is for `header`; leave it out";
            self.contradiction(prefix, &place, message, Some(hint.into()));
            is_valid = false;
        }
        let source = match (&named.header, &named.query, &named.cookie) {
            (Some(name), ..) => self
                .token_header(&place, name, prefix.zip(named.prefix.as_deref()))
                .map(TokenSource::Header),
            (_, Some(name), _) => self
                .parsed(&place, name, http::parse_parameter_name)
                .map(TokenSource::Query),
            (.., Some(name)) => self
                .parsed(&place, name, http::parse_parameter_name)
                .map(TokenSource::Cookie),
            _ => None,
        };
        source.filter(|_| is_valid)
    }

    fn token_header(
        &mut self,
        node: &Node<'_, '_>,
        name: &str,
        written: Option<(Node<'_, '_>, &str)>,
    ) -> Option<TokenHeader> {
        let header = self.parsed(node, name, http::parse_token_header);
        let prefix = match &written {
            None => Some(String::new()),
            Some((field, prefix)) => self.parsed(field, prefix, http::parse_prefix),
        };
        let (name, mut prefix) = (header?, prefix?);
        let is_scheme = SCHEMES
            .iter()
            .any(|scheme| prefix.eq_ignore_ascii_case(scheme));
        if let (Some((field, text)), true) = (&written, is_scheme && name != "authorization") {
            let message = format!("the token has to stand right behind {}", quote(text));
            let hint = format!(
                "write {} where spaces stand between",
                quote(&format!("{text} "))
            );
            self.warn(Code::Suspicious, field, message, Some(hint));
        }
        if name == "authorization" {
            match prefix.bytes().last() {
                None => {
                    let message = "the scheme in `Authorization` is taken for a part of the token";
                    let hint = "write `\"prefix\": \"Bearer \"` beside it, or leave it as it is for clients \
                                that send no scheme";
                    self.warn(Code::Suspicious, node, message.into(), Some(hint.into()));
                }
                // What stands there is a scheme, and behind it a space (RFC 9110 §11.4).
                Some(last) if http::is_token_byte(last) => prefix.push(' '),
                Some(_) => {}
            }
        }
        Some(TokenHeader { name, prefix })
    }
}

/// Why a place cannot stand beside an earlier one, and a hint.
fn clash(source: &TokenSource, earlier: &TokenSource) -> Option<(String, Option<&'static str>)> {
    let (is_same, is_spelt_alike) = match (source, earlier) {
        (TokenSource::Header(header), TokenSource::Header(earlier)) => {
            if fold_header_name(&header.name) != fold_header_name(&earlier.name) {
                return None;
            }
            let [start, other] =
                [header, earlier].map(|it| it.prefix.trim_end().to_ascii_lowercase());
            if start != other && (start.starts_with(&other) || other.starts_with(&start)) {
                let message = format!(
                    "what one prefix finds in {} is found with the other one too, as another token",
                    quote(&header.name)
                );
                let hint = "every token that is found has to be good; keep one of the two";
                return Some((message, Some(hint)));
            }
            (start == other, header.name == earlier.name)
        }
        (TokenSource::Query(name), TokenSource::Query(earlier))
        | (TokenSource::Cookie(name), TokenSource::Cookie(earlier)) => {
            (names_fold_alike(name, earlier), name == earlier)
        }
        _ => (false, false),
    };
    let hint = (!is_spelt_alike).then_some(
        "some services take names that differ only in case, `.`, `_` or `-` for the same",
    );
    is_same.then(|| (format!("{source} is in the list twice"), hint))
}
