//! The URI that a request is for, in the form in which a client signs it (RFC 9110 §7.1, RFC 9449 §4.3).

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::matching::hostname;
use crate::path::NormalPath;
use crate::request::Request;

/// The URI of a request without query and fragment, in normal form: scheme and host in lower case, the port spelt
/// out, the path in the one normal form that rules are matched in (RFC 3986 §6.2.2 and §6.2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetUri {
    scheme: Scheme,
    /// Lower case, without the brackets of an IPv6 address.
    host: String,
    port: u16,
    path: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

impl TargetUri {
    /// The URI of a request; `None` when it has no single scheme, host or path.
    ///
    /// The scheme is what `x-forwarded-proto` says: Envoy sets it for every request, from the connection or from a
    /// proxy in front that it was told to trust, while the `:scheme` of HTTP/2 is whatever the client wrote. A
    /// proxy that sets none is believed its `:scheme`.
    pub fn of(request: &Request<'_>) -> Option<Self> {
        let scheme = match request.values("x-forwarded-proto").next() {
            Some(_) => request.single("x-forwarded-proto")?,
            None => request.single(":scheme")?,
        };
        let scheme = Scheme::parse(scheme)?;
        let authority = request.single(":authority")?;
        Self::new(scheme, authority, request.single(":path")?)
    }

    /// Reads an absolute URI of scheme `http` or `https`; query and fragment are dropped (RFC 9449 §4.3). `None`
    /// for any other text, for one with user information, and for a path that services may read in several ways.
    pub fn parse(uri: &str) -> Option<Self> {
        let (scheme, rest) = uri.split_once("://")?;
        let scheme = Scheme::parse(scheme.as_bytes())?;
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at_checked(slash)?,
            // RFC 3986 §6.2.3.
            None => (rest, "/"),
        };
        Self::new(scheme, authority.as_bytes(), path.as_bytes())
    }

    fn new(scheme: Scheme, authority: &[u8], path: &[u8]) -> Option<Self> {
        let host = hostname(authority)?.into_owned();
        let port = match port(authority) {
            b"" => scheme.default_port(),
            digits => core::str::from_utf8(digits).ok()?.parse().ok()?,
        };
        Some(Self {
            scheme,
            host,
            port,
            path: NormalPath::parse(path).ok()?.as_bytes().to_vec(),
        })
    }

    /// How many bytes it holds.
    pub fn size(&self) -> usize {
        self.host.len().saturating_add(self.path.len())
    }
}

/// How much of a host and of a path is told, in bytes each.
const MAX_SHOWN_BYTES: usize = 128;

/// The URI as evidence: escaped, and cut where it is long.
impl fmt::Display for TargetUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        let shown = |text: &[u8]| match text.get(..MAX_SHOWN_BYTES) {
            Some(cut) if text.len() > MAX_SHOWN_BYTES => format!("{}…", cut.escape_ascii()),
            _ => text.escape_ascii().to_string(),
        };
        let host = shown(self.host.as_bytes());
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{host}]")?,
            false => write!(f, "{scheme}://{host}")?,
        }
        if self.port != self.scheme.default_port() {
            write!(f, ":{}", self.port)?;
        }
        f.write_str(&shown(&self.path))
    }
}

/// The digits of the port of an authority that [`hostname`] accepts; none where there is no port.
fn port(authority: &[u8]) -> &[u8] {
    match authority.rsplit(|byte| *byte == b':').next() {
        // No colon at all, or one inside the brackets of an address.
        Some(last) if last.len() == authority.len() || last.contains(&b']') => b"",
        Some(last) => last,
        None => b"",
    }
}

impl Scheme {
    fn parse(text: &[u8]) -> Option<Self> {
        if text.eq_ignore_ascii_case(b"https") {
            Some(Self::Https)
        } else if text.eq_ignore_ascii_case(b"http") {
            Some(Self::Http)
        } else {
            None
        }
    }

    const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_is_told_escaped_and_cut() {
        let long = "a".repeat(60_000);
        for (uri, expected) in [
            (
                "HTTPS://A.example.com:443/x?token=y#z",
                "https://a.example.com/x".into(),
            ),
            ("http://[::1]:8080", "http://[::1]:8080/".into()),
            (
                "http://a.test:443/b%C3%A4'",
                "http://a.test:443/b%C3%A4\\'".into(),
            ),
            (
                &std::format!("https://a.test/{long}"),
                std::format!("https://a.test/{}…", &long[..127]),
            ),
        ] {
            let told = TargetUri::parse(uri).map(|uri| uri.to_string());
            assert_eq!(told.unwrap_or_else(|| "none".into()), expected);
        }
    }

    #[test]
    fn spellings_of_one_uri_are_equal() {
        let cases = [
            ("https://a.example.com", "https://a.example.com/"),
            ("https://a.example.com:443/x", "https://a.example.com/x"),
            ("https://a.example.com:/x", "https://a.example.com/x"),
            ("http://a.example.com:80/x", "http://a.example.com/x"),
            ("HTTPS://A.Example.COM/x", "https://a.example.com/x"),
            ("https://a.example.com/x?y=1#z", "https://a.example.com/x"),
            ("https://a.example.com?y=/..", "https://a.example.com/"),
            ("https://a.example.com#/z", "https://a.example.com/"),
            (
                "https://a.example.com/%7Ex/%c3%a9",
                "https://a.example.com/~x/%C3%A9",
            ),
            (
                "https://a.example.com/a/../b/./c",
                "https://a.example.com/b/c",
            ),
            ("https://[2001:DB8::1]:443/", "https://[2001:db8::1]"),
        ];
        for (one, other) in cases {
            let uri = TargetUri::parse(one);
            assert!(uri.is_some(), "{one}");
            assert_eq!(uri, TargetUri::parse(other), "{one}");
        }
    }

    #[test]
    fn other_uris_are_not_equal() {
        let uri = TargetUri::parse("https://a.example.com/x");
        for other in [
            "http://a.example.com/x",
            "https://a.example.com:8443/x",
            "https://a.example.com:80/x",
            "https://b.example.com/x",
            "https://a.example.com/X",
            "https://a.example.com/x/",
            "https://a.example.com/x/y",
            "https://a.example.com/",
            "https://a.example.com/x%20",
        ] {
            let other_uri = TargetUri::parse(other);
            assert!(other_uri.is_some(), "{other}");
            assert_ne!(uri, other_uri, "{other}");
        }
    }

    #[test]
    fn what_is_no_clear_uri_is_none() {
        for uri in [
            "",
            "/x",
            "a.example.com/x",
            "//a.example.com/x",
            "https:a.example.com",
            "https:///x",
            "https://user@a.example.com/x",
            "https://user:pw@a.example.com/x",
            "https://a.example.com:99999/x",
            "https://a.example.com:8x/x",
            "https://a.example.com:1:2/x",
            "https://a.example.com./x",
            "https://a.example.com/%2f",
            "https://a.example.com/%zz",
            "https://a.example.com\\@b.example.com/x",
            "https://a.example.com/a b",
            " https://a.example.com/",
            "ftp://a.example.com/",
            "https://[::1/x",
        ] {
            assert_eq!(TargetUri::parse(uri), None, "{uri}");
        }
    }

    #[test]
    fn the_uri_of_a_request_is_the_one_that_the_client_signed() {
        type Headers<'h> = &'h [(&'h [u8], &'h [u8])];
        let cases: [(Headers<'_>, Option<&str>, &str); 9] = [
            (
                &[
                    (b":scheme", b"https"),
                    (b":authority", b"a.test"),
                    (b":path", b"/x?y"),
                ],
                Some("https://a.test/x"),
                "the scheme of HTTP/2 where no proxy says more",
            ),
            (
                &[
                    (b":scheme", b"https"),
                    (b"x-forwarded-proto", b"http"),
                    (b":authority", b"a.test:8080"),
                    (b":path", b"/"),
                ],
                Some("http://a.test:8080/"),
                "what the proxy knows counts",
            ),
            (
                &[
                    (b":scheme", b"http"),
                    (b"X-Forwarded-Proto", b"HTTPS"),
                    (b":authority", b"A.test:443"),
                    (b":path", b"/"),
                ],
                Some("https://a.test/"),
                "a proxy in front speaks TLS",
            ),
            (
                &[(b":authority", b"a.test"), (b":path", b"/")],
                None,
                "no scheme",
            ),
            (
                &[
                    (b":scheme", b"https"),
                    (b"x-forwarded-proto", b"https,http"),
                    (b":authority", b"a.test"),
                    (b":path", b"/"),
                ],
                None,
                "two schemes in one value",
            ),
            (
                &[
                    (b":scheme", b"https"),
                    (b"x-forwarded-proto", b"https"),
                    (b"x-forwarded-proto", b"https"),
                    (b":authority", b"a.test"),
                    (b":path", b"/"),
                ],
                None,
                "two values",
            ),
            (&[(b":scheme", b"https"), (b":path", b"/")], None, "no host"),
            (
                &[
                    (b":scheme", b"https"),
                    (b":authority", b"a.test"),
                    (b":path", b"*"),
                ],
                None,
                "no path",
            ),
            (
                &[
                    (b":scheme", b"\xff"),
                    (b":authority", b"a.test"),
                    (b":path", b"/"),
                ],
                None,
                "no UTF-8",
            ),
        ];
        for (headers, expected, note) in cases {
            let uri = TargetUri::of(&Request::new(headers));
            assert_eq!(uri, expected.and_then(TargetUri::parse), "{note}");
            assert_eq!(uri.is_some(), expected.is_some(), "{note}");
        }
    }
}
