//! Takes verified tokens out of a request.
//!
//! Only the token goes: its header, its query parameter, its cookie. The rest of the query and the other
//! cookies reach the service byte for byte, for it may have signed or hashed them. Nothing is decoded and
//! encoded anew.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::parameters::{cookies_without, query_of, query_without};
use crate::config::TokenSource;
use crate::request::{Request, folds_alike};

/// The edits that take tokens out of a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Removal {
    /// Headers to remove with all their values, as the request spells them.
    pub(super) remove: Vec<Vec<u8>>,
    /// Headers, or `:path`, and the one value that each has then.
    pub(super) set: Vec<(String, Vec<u8>)>,
}

/// What takes out of `request` all that a service may take for a token in one of `sources`.
pub(super) fn removal<'s>(
    request: &Request<'_>,
    sources: impl Iterator<Item = &'s TokenSource> + Clone,
) -> Removal {
    let mut removal = Removal::default();
    let is_taken = |name: &[u8]| {
        sources.clone().any(
            |source| matches!(source, TokenSource::Header(header) if folds_alike(name, &header.name)),
        )
    };
    let taken = request.spellings_of(is_taken);
    removal.remove.extend(taken.into_iter().map(<[u8]>::to_vec));
    let parameters: Vec<&str> = sources
        .clone()
        .filter_map(|source| match source {
            TokenSource::Query(name) => Some(name.as_str()),
            _ => None,
        })
        .collect();
    let cookies: Vec<&str> = sources
        .filter_map(|source| match source {
            TokenSource::Cookie(name) => Some(name.as_str()),
            _ => None,
        })
        .collect();
    if !parameters.is_empty() {
        removal.take_parameters(request, &parameters);
    }
    if !cookies.is_empty() {
        removal.take_cookies(request, &cookies);
    }
    removal
}

impl Removal {
    fn take_parameters(&mut self, request: &Request<'_>, names: &[&str]) {
        for target in request.values(":path") {
            let path = target_without(target, names);
            if path != target {
                self.set.push((":path".to_string(), path));
            }
        }
    }

    fn take_cookies(&mut self, request: &Request<'_>, names: &[&str]) {
        let mut joined = Vec::new();
        let mut is_changed = false;
        for value in request.values("cookie") {
            let kept = cookies_without(value, names);
            is_changed |= kept != value;
            if kept.is_empty() {
                continue;
            }
            // Several values are joined as proxies join them (RFC 9113 §8.2.3).
            if !joined.is_empty() {
                joined.extend_from_slice(b"; ");
            }
            joined.extend_from_slice(&kept);
        }
        match (is_changed, joined.is_empty()) {
            (false, _) => {}
            (true, true) => self.remove.push(b"cookie".to_vec()),
            (true, false) => self.set.push(("cookie".to_string(), joined)),
        }
    }
}

/// The request target without the query parameters of these names, all else byte for byte. The `?` goes when
/// nothing is left behind it.
pub(super) fn target_without(target: &[u8], names: &[&str]) -> Vec<u8> {
    let Some(query) = query_of(target) else {
        return target.to_vec();
    };
    let kept = query_without(query, names);
    if kept.len() == query.len() {
        return target.to_vec();
    }
    let before = target.len().saturating_sub(query.len());
    let mut path = target.get(..before).unwrap_or_default().to_vec();
    match kept.is_empty() {
        true => {
            path.pop();
        }
        false => path.extend_from_slice(&kept),
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TokenHeader;
    use crate::engine::parameters::{Found, in_cookies, in_query};

    fn text(bytes: &[u8]) -> String {
        bytes.escape_ascii().to_string()
    }

    #[test]
    fn only_the_one_parameter_goes() {
        let cases: [(&[u8], &[u8], &str); 20] = [
            (b"/x", b"/x", "no query"),
            (b"/x?", b"/x?", "an empty query"),
            (b"/x?a=1", b"/x?a=1", "another parameter"),
            (b"/x?t=T", b"/x", "alone: the `?` goes too"),
            (b"/x?t", b"/x", "without value"),
            (b"/x?t=T&a=1", b"/x?a=1", "the first"),
            (b"/x?a=1&t=T", b"/x?a=1", "the last"),
            (b"/x?a=1&t=T&b=2", b"/x?a=1&b=2", "in the midst"),
            (
                b"/x?b=%26c%3D1&t=T",
                b"/x?b=%26c%3D1",
                "escapes stay as they are",
            ),
            (
                b"/x?t=T&b=a+b%20%2f%2F",
                b"/x?b=a+b%20%2f%2F",
                "in their case",
            ),
            (
                b"/x?a=&t=T&a&=b",
                b"/x?a=&a&=b",
                "empty values and names stay",
            ),
            (b"/x?&&t=T&&", b"/x?&&&", "empty parameters stay"),
            (b"/x?t=T&", b"/x", "but for one alone"),
            (
                b"/x?a=\xff\xfe&t=T",
                b"/x?a=\xff\xfe",
                "bytes that are not UTF-8",
            ),
            (b"/x?%74=T&a=1", b"/x?a=1", "an escaped name"),
            (
                b"/x?tt=1&t=T&at=2",
                b"/x?tt=1&at=2",
                "names that are alike stay",
            ),
            (b"/t=T?t=T", b"/t=T", "the path stays"),
            (
                b"/x?a=1?t=2&t=T",
                b"/x?a=1?t=2",
                "a second `?` is part of a value",
            ),
            (b"/x?t=a=b&c=d=e", b"/x?c=d=e", "`=` in values"),
            (
                b"/a%2Fb/../c?t=T",
                b"/a%2Fb/../c",
                "the path is not touched",
            ),
        ];
        for (target, expected, note) in cases {
            let found = target_without(target, &["t"]);
            assert_eq!(text(&found), text(expected), "{note}");
        }
        let several = target_without(b"/x?a=1&t=T&b=2&u=U", &["t", "u"]);
        assert_eq!(text(&several), "/x?a=1&b=2");
    }

    #[test]
    fn only_the_one_cookie_goes() {
        type Case<'c> = (&'c [&'c [u8]], Option<Option<&'c [u8]>>, &'c str);
        let cases: [Case<'_>; 16] = [
            (&[], None, "no header"),
            (&[b"a=1"], None, "another cookie"),
            (&[b"a=1", b"b=2"], None, "others in two headers stay in two"),
            (&[b"s=T"], Some(None), "alone: the header goes"),
            (&[b"s=T;"], Some(None), "with a semicolon"),
            (&[b" ; s=T ; "], Some(None), "and white space"),
            (&[b"s=T; a=1"], Some(Some(b"a=1")), "the first"),
            (&[b"a=1; s=T"], Some(Some(b"a=1")), "the last"),
            (&[b"a=1; s=T; b=2"], Some(Some(b"a=1; b=2")), "in the midst"),
            (
                &[b"a=\"1\";s=T;b = 2"],
                Some(Some(b"a=\"1\";b = 2")),
                "the rest as it is",
            ),
            (&[b"a=1;; s=T"], Some(Some(b"a=1;")), "empty ones stay"),
            (
                &[b"a=\xff; s=T"],
                Some(Some(b"a=\xff")),
                "bytes that are not UTF-8",
            ),
            (
                &[b"ss=1; s=T; xs=2"],
                Some(Some(b"ss=1; xs=2")),
                "names that are alike stay",
            ),
            (
                &[b"a=1", b"s=T", b"b=2"],
                Some(Some(b"a=1; b=2")),
                "a header of its own",
            ),
            (
                &[b"a=1; s=T", b"b=2"],
                Some(Some(b"a=1; b=2")),
                "one of two headers",
            ),
            (&[b"s=\"T\"; a=1"], Some(Some(b"a=1")), "quoted"),
        ];
        for (values, expected, note) in cases {
            let headers: Vec<(&[u8], &[u8])> = values
                .iter()
                .map(|value| (&b"Cookie"[..], *value))
                .collect();
            let found = removal(
                &Request::new(&headers),
                [TokenSource::Cookie("s".into())].iter(),
            );
            let expected = match expected {
                None => Removal::default(),
                Some(None) => Removal {
                    remove: Vec::from([b"cookie".to_vec()]),
                    set: Vec::new(),
                },
                Some(Some(value)) => Removal {
                    remove: Vec::new(),
                    set: Vec::from([("cookie".to_string(), value.to_vec())]),
                },
            };
            assert_eq!(found, expected, "{note}");
        }
    }

    #[test]
    fn a_header_goes_in_every_spelling_and_several_sources_at_once() {
        let headers: [(&[u8], &[u8]); 6] = [
            (b":path", b"/x?a=1&t=T&b=2"),
            (b"x-jwt", b"T"),
            (b"X_Jwt", b"T"),
            (b"x-jwt-other", b"kept"),
            (b"authorization", b"Basic eA=="),
            (b"cookie", b"s=T; a=1"),
        ];
        let sources = [
            TokenSource::Header(TokenHeader {
                name: "x-jwt".into(),
                prefix: String::new(),
            }),
            TokenSource::Query("t".into()),
            TokenSource::Query("b".into()),
            TokenSource::Cookie("s".into()),
            TokenSource::Cookie("a".into()),
        ];
        let found = removal(&Request::new(&headers), sources.iter());
        assert_eq!(
            found.remove,
            [&b"x-jwt"[..], b"X_Jwt", b"cookie"].map(<[u8]>::to_vec)
        );
        assert_eq!(found.set, [(":path".to_string(), b"/x?a=1".to_vec())]);
        assert_eq!(
            removal(&Request::new(&headers), [].iter()),
            Removal::default()
        );
    }

    proptest::proptest! {
        /// Behind the removal nothing is left that some service could take for the token, and what is left is what
        /// was there, in its order.
        #[test]
        fn nothing_is_left_and_nothing_else_goes(
            parts in proptest::collection::vec(
                proptest::sample::select(std::vec![
                    "t", "T", "=", "&", ";", "; ", ",", " ", "a", "%74", "%", "+", "[]", "\"", "%26", "a.b.c", "?",
                ]),
                0..20,
            ),
        ) {
            let text = parts.concat();
            let target = std::format!("/x?{text}");
            let left = target_without(target.as_bytes(), &["t"]);
            assert_is_part(&left, target.as_bytes());
            if in_query(text.as_bytes(), "t") != Found::Unclear {
                let query = query_of(&left).unwrap_or_default();
                proptest::prop_assert_eq!(in_query(query, "t"), Found::Nothing);
            }
            let left = cookies_without(text.as_bytes(), &["t"]);
            assert_is_part(&left, text.as_bytes());
            if in_cookies([text.as_bytes()].into_iter(), "t") != Found::Unclear {
                proptest::prop_assert_eq!(
                    in_cookies([left.as_slice()].into_iter(), "t"),
                    Found::Nothing
                );
            }
        }
    }

    /// What is left is the whole without some of its bytes.
    fn assert_is_part(left: &[u8], whole: &[u8]) {
        let mut rest = whole.iter();
        let is_part = left.iter().all(|byte| rest.any(|other| other == byte));
        assert!(is_part, "{} of {}", text(left), text(whole));
    }
}
