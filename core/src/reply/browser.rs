//! Browsers: whether a request comes from one, and the URL that it shall come back to.

use alloc::string::String;
use alloc::vec::Vec;

use super::template::push_percent;
use crate::engine::parameters::has_name;
use crate::request::Request;
use crate::scan::split_once;

/// The longest URL that a redirect carries along, in bytes before it is percent-encoded. Of a longer one
/// the query is left out, and of one that is too long still the path; behind a host of such a length, all of it.
pub const MAX_RETURN_TO_BYTES: usize = 2048;

/// Whether somebody looks at the answer: a `GET` or `HEAD` whose `Accept` names `text/html`
/// (RFC 9110 §12.5.1). `*/*`, which every program sends, is not enough.
pub(super) fn is_navigation(request: &Request<'_>) -> bool {
    matches!(request.single(":method"), Some(b"GET" | b"HEAD"))
        && request
            .values("accept")
            .flat_map(|value| value.split(|byte| *byte == b','))
            .any(asks_for_html)
}

fn asks_for_html(range: &[u8]) -> bool {
    let mut parts = range.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let is_html = parts
        .next()
        .is_some_and(|essence| essence.eq_ignore_ascii_case(b"text/html"));
    is_html && !parts.any(is_refusal)
}

/// Whether a parameter is a quality of zero (RFC 9110 §12.4.2).
fn is_refusal(parameter: &[u8]) -> bool {
    match parameter {
        [b'q' | b'Q', b'=', b'0', rest @ ..] => rest.iter().all(|byte| matches!(byte, b'.' | b'0')),
        _ => false,
    }
}

/// The URL of a request in percent-encoding, every reserved character included, without the query parameters
/// of these names.
///
/// The scheme, host and path are the client's own words: whoever is sent back there has to be sure of the host.
pub(super) fn return_to(request: &Request<'_>, secrets: &[&str]) -> String {
    let scheme: &[u8] = match request.single(":scheme") {
        Some(b"http") => b"http",
        _ => b"https",
    };
    let authority = request.single(":authority").unwrap_or_default();
    let target = request.single(":path").unwrap_or_default();
    let target = target
        .split(|byte| *byte == b'#')
        .next()
        .unwrap_or_default();
    let (path, query) = match split_once(target, b'?') {
        None => (target, None),
        Some((path, query)) => (path, Some(query)),
    };
    let path: &[u8] = if path.first() == Some(&b'/') {
        path
    } else {
        b"/"
    };
    let query = query
        .map(|query| without(query, secrets))
        .unwrap_or_default();
    let origin = [scheme, b"://".as_slice(), authority].concat();
    let whole = match query.is_empty() {
        true => [origin.as_slice(), path].concat(),
        false => [origin.as_slice(), path, b"?", &query].concat(),
    };
    let candidates = [
        whole,
        [origin.as_slice(), path].concat(),
        [origin.as_slice(), b"/"].concat(),
    ];
    let url = candidates
        .into_iter()
        .find(|url| url.len() <= MAX_RETURN_TO_BYTES)
        .unwrap_or_default();
    let mut encoded = String::new();
    push_percent(&mut encoded, &url);
    encoded
}

/// A query without the parameters of these names; the others byte for byte.
fn without(query: &[u8], names: &[&str]) -> Vec<u8> {
    let is_secret = |pair: &[u8]| names.iter().any(|name| has_name(pair, name));
    let kept: Vec<&[u8]> = query
        .split(|byte| *byte == b'&')
        // Some services take `;` for `&`.
        .filter(|parameter| !parameter.split(|byte| *byte == b';').any(is_secret))
        .collect();
    kept.join(&b'&')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn navigates(method: &[u8], accept: &[&[u8]]) -> bool {
        let mut headers: Vec<(&[u8], &[u8])> = alloc::vec![(b":method".as_slice(), method)];
        headers.extend(accept.iter().map(|value| (b"Accept".as_slice(), *value)));
        is_navigation(&Request::new(&headers))
    }

    #[test]
    fn only_what_asks_for_html_is_a_browser() {
        let firefox = b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8".as_slice();
        for (method, accept, expected) in [
            (b"GET".as_slice(), [firefox].as_slice(), true),
            (b"HEAD", &[firefox], true),
            (b"POST", &[firefox], false),
            (b"get", &[firefox], false),
            (b"GET", &[], false),
            (b"GET", &[b""], false),
            (b"GET", &[b"*/*"], false),
            (b"GET", &[b"text/*"], false),
            (b"GET", &[b"application/json, */*"], false),
            (b"GET", &[b"TEXT/HTML"], true),
            (b"GET", &[b"application/json", b"text/html;level=1"], true),
            (b"GET", &[b" text/html ; q=0.5 "], true),
            (b"GET", &[b"text/html;q=0"], false),
            (b"GET", &[b"text/html; Q=0.000"], false),
            (b"GET", &[b"text/html;q=0.001"], true),
            (b"GET", &[b"text/htmlx"], false),
            (b"GET", &[b"\xff,text/html"], true),
        ] {
            assert_eq!(navigates(method, accept), expected, "{method:?} {accept:?}");
        }
        assert!(!is_navigation(&Request::new(&[])));
    }

    fn url(scheme: &str, authority: &str, path: &[u8]) -> String {
        let headers = [
            (b":scheme".as_slice(), scheme.as_bytes()),
            (b":authority", authority.as_bytes()),
            (b":path", path),
        ];
        return_to(&Request::new(&headers), &["access_token", "t"])
    }

    #[test]
    fn the_url_of_the_request_is_one_value_without_tokens() {
        for (path, expected) in [
            (b"/".as_slice(), "https%3A%2F%2Fa.test%2F"),
            (
                b"/a?b=c&d=%20",
                "https%3A%2F%2Fa.test%2Fa%3Fb%3Dc%26d%3D%2520",
            ),
            (b"/a?access_token=x", "https%3A%2F%2Fa.test%2Fa"),
            (
                b"/a?x=1&access_token=x&y=2&t=3&t",
                "https%3A%2F%2Fa.test%2Fa%3Fx%3D1%26y%3D2",
            ),
            (
                b"/a?access%5ftoken=x&%74=1&Access.Token=1&t[]=1",
                "https%3A%2F%2Fa.test%2Fa",
            ),
            (b"/a?x=1;t=2&y=3", "https%3A%2F%2Fa.test%2Fa%3Fy%3D3"),
            (
                b"/a?tt=1&at=2",
                "https%3A%2F%2Fa.test%2Fa%3Ftt%3D1%26at%3D2",
            ),
            (
                b"/a?%7=1&%zz&%",
                "https%3A%2F%2Fa.test%2Fa%3F%257%3D1%26%25zz%26%25",
            ),
            (b"/a?", "https%3A%2F%2Fa.test%2Fa"),
            (b"/a?b?c#d", "https%3A%2F%2Fa.test%2Fa%3Fb%3Fc"),
            (b"//evil.test/", "https%3A%2F%2Fa.test%2F%2Fevil.test%2F"),
            (b"@evil.test/", "https%3A%2F%2Fa.test%2F"),
            (b"*", "https%3A%2F%2Fa.test%2F"),
            (b"", "https%3A%2F%2Fa.test%2F"),
            (b"/\xff\r\n\"<", "https%3A%2F%2Fa.test%2F%FF%0D%0A%22%3C"),
        ] {
            assert_eq!(url("https", "a.test", path), expected, "{path:?}");
        }
        assert_eq!(
            url("http", "a.test:8080", b"/"),
            "http%3A%2F%2Fa.test%3A8080%2F"
        );
        assert_eq!(url("javascript", "a.test", b"/"), "https%3A%2F%2Fa.test%2F");
        assert_eq!(
            url("https", "a.test\r\nx: y", b"/"),
            "https%3A%2F%2Fa.test%0D%0Ax%3A%20y%2F"
        );
        assert_eq!(return_to(&Request::new(&[]), &[]), "https%3A%2F%2F%2F");
    }

    #[test]
    fn a_long_url_loses_its_query_then_its_path() {
        let origin = "https://a.test".len();
        let path = |length: usize| {
            let mut path = Vec::from(b"/".as_slice());
            path.resize(length, b'a');
            path
        };
        let fits = path(MAX_RETURN_TO_BYTES - origin);
        assert_eq!(
            url("https", "a.test", &fits).len(),
            MAX_RETURN_TO_BYTES + 2 * "://".len() + 2
        );
        let with_query = [path(1000), b"?".to_vec(), path(1100)].concat();
        let short = url("https", "a.test", &with_query);
        assert!(short.ends_with('a') && short.len() < 1100, "{short}");
        let too_long = path(MAX_RETURN_TO_BYTES - origin + 1);
        assert_eq!(url("https", "a.test", &too_long), "https%3A%2F%2Fa.test%2F");
        assert_eq!(url("https", &"a".repeat(MAX_RETURN_TO_BYTES), b"/"), "");
    }
}
