//! Where tokens may stand, as all that is made of `jwt_authn` says it: lists of headers, parameters and cookies.

use super::fields::Fields;
use super::findings::Findings;
use super::policy::TokenSource;

/// What a product calls the fields.
pub(crate) struct Names {
    /// The list of headers, each with a `name`.
    pub(crate) headers: &'static str,
    /// The member of a header with what stands before the token.
    pub(crate) prefix: &'static str,
    /// The list of query parameters.
    pub(crate) params: &'static str,
    /// The list of cookies.
    pub(crate) cookies: &'static str,
}

/// The places that are named, each once; where none is, those in which `jwt_authn` looks by itself.
pub(crate) fn read(
    fields: &Fields<'_>,
    names: &Names,
    findings: &mut Findings,
) -> Vec<TokenSource> {
    let mut sources = Vec::new();
    for node in fields.list(names.headers, findings) {
        let Some(header) = Fields::of(node, fields.spelling(), names.headers, findings) else {
            continue;
        };
        let prefix = header.text(names.prefix, findings).unwrap_or_default();
        if let Some(name) = header.text("name", findings) {
            sources.push(TokenSource::of_header(name, prefix));
        }
        header.finish(findings);
    }
    for query in fields.texts(names.params, findings) {
        sources.push(TokenSource::Query { query });
    }
    for cookie in fields.texts(names.cookies, findings) {
        sources.push(TokenSource::Cookie { cookie });
    }
    if sources.is_empty() {
        sources = TokenSource::of_envoy();
    }
    TokenSource::distinct(sources)
}
