//! Which tokens a request carries.
//!
//! A token stands where the policy says: in a header, a query parameter or a cookie. What is looked at here is
//! only where; whether it is a token at all is told later. What is named is there, even if it is empty: it
//! then fails, and a request with it does not count as one without a token. What stands there twice, or is seen by
//! some services and not by others, is refused: the one that was verified would not be the one that is used.

use alloc::borrow::Cow;

use super::decision::Denial;
use super::parameters::{Found, decoded_value, in_cookies, in_query, names_fold_alike, query_of};
use super::requirement::Plan;
use crate::config::{TokenHeader, TokenSource};
use crate::path::PathError;
use crate::request::{Request, fold_header_name};
use crate::scan;

/// What stands where a token may stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FoundToken<'r>(Cow<'r, [u8]>);

impl FoundToken<'_> {
    /// The token in its compact form, as far as it is one.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The tokens of a request, each with its place as an index into [`Plan::places`].
pub(super) fn tokens<'r>(
    request: &Request<'r>,
    plan: &Plan,
) -> impl Iterator<Item = (usize, Result<FoundToken<'r>, Denial>)> {
    let places = plan.places.iter().enumerate();
    places.filter_map(|(at, place)| Some((at, found(request, &place.source).transpose()?)))
}

/// What stands in `source`; `None` when nothing does.
///
/// # Errors
/// [`Denial::TokenSourceRepeated`] when more than one thing stands there to some service, and what keeps a
/// request from having a query.
pub(super) fn found<'r>(
    request: &Request<'r>,
    source: &TokenSource,
) -> Result<Option<FoundToken<'r>>, Denial> {
    let found = match source {
        TokenSource::Header(header) => in_header(request, header),
        TokenSource::Query(name) => {
            let target = request
                .single(":path")
                .ok_or(Denial::PseudoHeader(":path"))?;
            // Behind `#` nothing is sent (RFC 3986 §3.5); some services read on, others do not.
            if target.contains(&b'#') {
                return Err(Denial::Path(PathError::Fragment));
            }
            in_query(query_of(target).unwrap_or_default(), name)
        }
        TokenSource::Cookie(name) => in_cookies(request.values("cookie"), name),
    };
    match found {
        Found::Nothing => Ok(None),
        Found::One(value) => Ok(Some(FoundToken(match source {
            TokenSource::Query(_) => decoded_value(value),
            _ => Cow::Borrowed(value),
        }))),
        Found::Unclear => Err(Denial::TokenSourceRepeated {
            source: source.clone(),
        }),
    }
}

/// Whether two sources are one place, to whoever sends a token or looks for one.
pub(super) fn is_same_place(source: &TokenSource, other: &TokenSource) -> bool {
    match (source, other) {
        (TokenSource::Header(header), TokenSource::Header(other)) => {
            fold_header_name(&header.name) == fold_header_name(&other.name)
                && header.prefix.eq_ignore_ascii_case(&other.prefix)
        }
        (TokenSource::Query(name), TokenSource::Query(other))
        | (TokenSource::Cookie(name), TokenSource::Cookie(other)) => names_fold_alike(name, other),
        _ => false,
    }
}

/// Looks into a header, under every spelling that a service may take for its name. It may stand only once, and
/// have no comma where a token stands: proxies join repeated headers with one, and a token has none.
fn in_header<'r>(request: &Request<'r>, header: &TokenHeader) -> Found<'r> {
    let mut values = request.folded_values(&header.name);
    let Some(value) = values.next() else {
        return Found::Nothing;
    };
    if values.next().is_some() {
        return Found::Unclear;
    }
    let value = value.trim_ascii();
    match behind_prefix(value, &header.prefix) {
        Some(token) if scan::find(token, b',').is_some() => Found::Unclear,
        Some(token) => Found::One(token),
        None => {
            // Joined with something else by a proxy.
            let is_joined = value
                .split(|byte| *byte == b',')
                .skip(1)
                .any(|part| behind_prefix(part.trim_ascii(), &header.prefix).is_some());
            match is_joined {
                true => Found::Unclear,
                false => Found::Nothing,
            }
        }
    }
}

/// What stands behind the prefix, compared without case; `None` if the value begins in another way.
fn behind_prefix<'v>(value: &'v [u8], prefix: &str) -> Option<&'v [u8]> {
    let start = prefix.trim_end_matches(' ');
    let (before, token) = value.split_at_checked(start.len())?;
    if !before.eq_ignore_ascii_case(start.as_bytes()) {
        return None;
    }
    if start.len() == prefix.len() {
        return Some(token);
    }
    match token {
        // The scheme is a longer one (RFC 9110 §11.1).
        [next, ..] if start.bytes().last().is_some_and(is_token_byte) && is_token_byte(*next) => {
            None
        }
        [b' ', token @ ..] => Some(token.trim_ascii_start()),
        // Behind a scheme stands a space (RFC 9110 §11.4). With anything else there, such as a tab, services
        // that split on white space would see a token: it is one, and it will not parse.
        other => Some(other),
    }
}

/// The characters of a scheme (RFC 9110 §5.6.2).
const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// What comes of a source: a token, nothing, or more than one.
    #[derive(Debug, PartialEq)]
    enum Outcome<'t> {
        Token(&'t [u8]),
        Nothing,
        Repeated,
        Refused,
    }
    use Outcome::{Nothing, Refused, Repeated, Token};

    fn assert_outcome(
        headers: &[(&[u8], &[u8])],
        source: &TokenSource,
        expected: &Outcome<'_>,
        note: &str,
    ) {
        let found = found(&Request::new(headers), source);
        let outcome = match &found {
            Ok(Some(FoundToken(token))) => Token(token),
            Ok(None) => Nothing,
            Err(Denial::TokenSourceRepeated { source: told }) if told == source => Repeated,
            Err(_) => Refused,
        };
        assert_eq!(outcome, *expected, "{note}: {source}");
    }

    fn header(name: &str, prefix: &str) -> TokenSource {
        TokenSource::Header(TokenHeader {
            name: name.into(),
            prefix: prefix.into(),
        })
    }

    #[test]
    fn only_one_bearer_token_is_taken() {
        type Case<'c> = (&'c [&'c [u8]], Outcome<'c>, &'c str);
        let cases: [Case<'_>; 19] = [
            (&[], Nothing, "no header"),
            (&[b"Bearer a.b.c"], Token(b"a.b.c"), "the usual"),
            (&[b"bearer a.b.c"], Token(b"a.b.c"), "scheme without case"),
            (&[b"BEARER  a.b.c "], Token(b"a.b.c"), "spaces around"),
            (
                &[b"Bearer a.b.c x"],
                Token(b"a.b.c x"),
                "no token, and it will not parse",
            ),
            (&[b"Bearer\ta.b.c"], Token(b"\ta.b.c"), "a tab"),
            (&[b"Bearer\xa0a.b.c"], Token(b"\xa0a.b.c"), "no ASCII"),
            (&[b"Bearer,a.b.c"], Repeated, "a comma"),
            (&[b"Bearer"], Token(b""), "no credentials"),
            (&[b""], Nothing, "empty"),
            (&[b"Basic dXNlcg=="], Nothing, "another scheme"),
            (
                &[b"xBearer a.b.c"],
                Nothing,
                "another scheme that ends alike",
            ),
            (
                &[b"Bearer-invalid"],
                Nothing,
                "another scheme that starts alike",
            ),
            (&[b"Bearer a.b.c", b"Bearer d.e.f"], Repeated, "two headers"),
            (&[b"Basic x", b"Bearer d.e.f"], Repeated, "two schemes"),
            (&[b"Basic x", b"Basic y"], Repeated, "neither with a token"),
            (
                &[b"Bearer a.b.c,Bearer d.e.f"],
                Repeated,
                "joined by a proxy",
            ),
            (&[b"Basic x, Bearer d.e.f"], Repeated, "joined schemes"),
            (
                &[b"Bearer \xff\xfe"],
                Token(b"\xff\xfe"),
                "bytes that are not UTF-8",
            ),
        ];
        for (values, expected, note) in cases {
            let headers: Vec<(&[u8], &[u8])> = values
                .iter()
                .map(|value| (b"Authorization".as_slice(), *value))
                .collect();
            assert_outcome(&headers, &TokenSource::bearer(), &expected, note);
        }
    }

    #[test]
    fn a_header_may_have_any_prefix_or_none() {
        type Case<'c> = (&'c str, &'c [u8], Outcome<'c>, &'c str);
        let cases: [Case<'_>; 22] = [
            ("", b"a.b.c", Token(b"a.b.c"), "the whole value"),
            (
                "",
                b" a.b.c\t",
                Token(b"a.b.c"),
                "without white space around it",
            ),
            ("", b"", Token(b""), "which may be empty"),
            (
                "",
                b"Bearer a.b.c",
                Token(b"Bearer a.b.c"),
                "a scheme is part of it",
            ),
            ("", b"a.b.c,d.e.f", Repeated, "joined by a proxy"),
            ("", b",", Repeated, "nothing, twice"),
            (
                "Token ",
                b"token a.b.c",
                Token(b"a.b.c"),
                "a scheme of its own",
            ),
            ("Token ", b"Tokens a.b.c", Nothing, "another one"),
            ("Token ", b"Bearer a.b.c", Nothing, "and another"),
            ("Token ", b"Tok", Nothing, "a part of it"),
            ("Token ", b"Bearer x, token a", Repeated, "joined schemes"),
            ("jwt=", b"JWT=a.b.c", Token(b"a.b.c"), "no scheme"),
            (
                "jwt=",
                b"jwt= a.b.c",
                Token(b" a.b.c"),
                "a space is part of the token",
            ),
            ("jwt=", b"jwt=", Token(b""), "nothing behind it"),
            ("jwt=", b"jwt", Nothing, "a part of it"),
            ("jwt=", b"x jwt=a.b.c", Nothing, "not in the midst"),
            ("jwt=", b"x, jwt=a.b.c", Repeated, "but behind a comma"),
            ("jwt=", b"\xffwt=a", Nothing, "no UTF-8"),
            (
                "JWT: ",
                b"jwt: a.b.c",
                Token(b"a.b.c"),
                "a colon, and a space",
            ),
            ("JWT: ", b"jwt:a.b.c", Token(b"a.b.c"), "or none"),
            ("JWT: ", b"jwt:", Token(b""), "or nothing"),
            (
                "Bearer jwt=",
                b"bearer jwt=a.b.c",
                Token(b"a.b.c"),
                "several words",
            ),
        ];
        for (prefix, value, expected, note) in cases {
            let headers = [(&b"X-Jwt"[..], value)];
            assert_outcome(&headers, &header("x-jwt", prefix), &expected, note);
        }
    }

    #[test]
    fn a_header_counts_in_every_spelling() {
        type Case<'c> = (&'c [(&'c [u8], &'c [u8])], Outcome<'c>, &'c str);
        let cases: [Case<'_>; 6] = [
            (&[(b"X_JWT", b"a")], Token(b"a"), "with an underscore"),
            (
                &[(b"x-jwt", b"a"), (b"x_jwt", b"b")],
                Repeated,
                "two spellings",
            ),
            (
                &[(b"x-jwt", b"a"), (b"X-Jwt", b"a")],
                Repeated,
                "the same twice",
            ),
            (&[(b"x-jwt", b""), (b"x-jwt", b"a")], Repeated, "once empty"),
            (
                &[(b"x-jwt2", b"a"), (b"x-jw", b"b")],
                Nothing,
                "other headers",
            ),
            (&[(b"\xff-jwt", b"a")], Nothing, "a name that is no text"),
        ];
        for (headers, expected, note) in cases {
            assert_outcome(headers, &header("x-jwt", ""), &expected, note);
        }
    }

    #[test]
    fn a_query_parameter_is_decoded_and_stands_once() {
        let cases: [(&[u8], Outcome<'_>, &str); 12] = [
            (b"/x", Nothing, "no query"),
            (b"/x?", Nothing, "an empty one"),
            (b"/t=a", Nothing, "in the path"),
            (b"/x;t=a", Nothing, "in a parameter of the path"),
            (b"/x?a=1&t=a.b.c", Token(b"a.b.c"), "the usual"),
            (b"/x?t=a%2Eb%2ec", Token(b"a.b.c"), "escaped"),
            (b"/x?t=a+b", Token(b"a b"), "`+` is a space"),
            (b"/x?t=", Token(b""), "empty"),
            (b"/x?t=%ff", Token(b"\xff"), "no UTF-8"),
            (b"/x?t=a&t=b", Repeated, "twice"),
            (b"/x?t=a#", Refused, "before a fragment"),
            (b"/x#?t=a", Refused, "behind one"),
        ];
        for (target, expected, note) in cases {
            let headers = [(&b":path"[..], target)];
            assert_outcome(&headers, &TokenSource::Query("t".into()), &expected, note);
        }
        let query = TokenSource::Query("t".into());
        assert_outcome(&[], &query, &Refused, "no target");
        let two: [(&[u8], &[u8]); 2] = [(b":path", b"/x"), (b":path", b"/x?t=a")];
        assert_outcome(&two, &query, &Refused, "two targets");
    }

    #[test]
    fn a_cookie_stands_once_in_all_headers_together() {
        type Case<'c> = (&'c [&'c [u8]], Outcome<'c>, &'c str);
        let cases: [Case<'_>; 7] = [
            (&[], Nothing, "no header"),
            (&[b"a=1", b"b=2"], Nothing, "other cookies"),
            (&[b"a=1; s=a.b.c"], Token(b"a.b.c"), "the usual"),
            (&[b"a=1", b"s=\"a.b.c\""], Token(b"a.b.c"), "quoted"),
            (&[b"s="], Token(b""), "empty"),
            (&[b"s=a%2Eb"], Token(b"a%2Eb"), "nothing is decoded"),
            (&[b"s=a", b"s=a"], Repeated, "twice"),
        ];
        for (values, expected, note) in cases {
            let headers: Vec<(&[u8], &[u8])> = values
                .iter()
                .map(|value| (b"Cookie".as_slice(), *value))
                .collect();
            assert_outcome(&headers, &TokenSource::Cookie("s".into()), &expected, note);
        }
    }

    #[test]
    fn a_huge_request_is_read_once() {
        let many: Vec<u8> = b"a=1; ".repeat(200_000);
        let headers = [(&b"cookie"[..], many.as_slice())];
        let cookie = TokenSource::Cookie("s".into());
        assert_outcome(&headers, &cookie, &Nothing, "200,000 cookies");
        for filler in [&b"&"[..], b";", b"=", b"%", b" ", b",", b"t", b"%20"] {
            let target = [b"/x?", filler.repeat(200_000).as_slice(), b"&t=a"].concat();
            let headers = [(&b":path"[..], target.as_slice())];
            let query = TokenSource::Query("t".into());
            assert_outcome(&headers, &query, &Token(b"a"), "much before it");
            let value = [filler.repeat(200_000).as_slice(), b";s=a"].concat();
            let headers = [(&b"cookie"[..], value.as_slice())];
            assert_outcome(&headers, &cookie, &Token(b"a"), "much before it");
        }
    }
}
