//! Which token a request carries.

use super::decision::Denial;
use crate::request::Request;

/// The bearer token of a request; `None` when it has none.
///
/// A token is what stands behind the scheme `Bearer` (compared without case, RFC 9110 §11.1) in
/// `Authorization` (RFC 6750 §2.1). Another scheme is no token. A second value of the header, or a
/// comma in it, is refused: proxies join repeated headers with a comma, a token has none.
pub(super) fn bearer_token<'r>(request: &Request<'r>) -> Result<Option<&'r [u8]>, Denial> {
    let mut values = request.values("authorization");
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Denial::TokenRepeated);
    }
    let value = value.trim_ascii();
    let end = value
        .iter()
        .position(|byte| !is_token_byte(*byte))
        .unwrap_or(value.len());
    let (scheme, credentials) = value.split_at_checked(end).unwrap_or((value, b""));
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        // Joined with something else that might be a token.
        return match contains_second_bearer(value) {
            true => Err(Denial::TokenRepeated),
            false => Ok(None),
        };
    }
    if credentials.contains(&b',') {
        return Err(Denial::TokenRepeated);
    }
    // Behind the scheme stands a space (RFC 9110 §11.4). With anything else there, such as a tab, services
    // that split on white space would see a token: it is one, and it will not parse.
    Ok(Some(match credentials {
        [] => credentials,
        [b' ', token @ ..] => token.trim_ascii_start(),
        other => other,
    }))
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

/// Whether a bearer token stands behind a comma.
fn contains_second_bearer(value: &[u8]) -> bool {
    value.split(|byte| *byte == b',').skip(1).any(|part| {
        part.trim_ascii()
            .get(..6)
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_bearer_token_is_taken() {
        type Case<'c> = (&'c [&'c [u8]], Result<Option<&'c [u8]>, Denial>, &'c str);
        let cases: [Case<'_>; 18] = [
            (&[], Ok(None), "no header"),
            (&[b"Bearer a.b.c"], Ok(Some(b"a.b.c")), "the usual"),
            (
                &[b"bearer a.b.c"],
                Ok(Some(b"a.b.c")),
                "scheme without case",
            ),
            (&[b"BEARER  a.b.c "], Ok(Some(b"a.b.c")), "spaces around"),
            (
                &[b"Bearer a.b.c x"],
                Ok(Some(b"a.b.c x")),
                "no token, and it will not parse",
            ),
            (&[b"Bearer\ta.b.c"], Ok(Some(b"\ta.b.c")), "a tab"),
            (&[b"Bearer\xa0a.b.c"], Ok(Some(b"\xa0a.b.c")), "no ASCII"),
            (&[b"Bearer,a.b.c"], Err(Denial::TokenRepeated), "a comma"),
            (&[b"Bearer"], Ok(Some(b"")), "no credentials"),
            (&[b""], Ok(None), "empty"),
            (&[b"Basic dXNlcg=="], Ok(None), "another scheme"),
            (
                &[b"xBearer a.b.c"],
                Ok(None),
                "another scheme that ends alike",
            ),
            (
                &[b"Bearer-invalid"],
                Ok(None),
                "another scheme that starts alike",
            ),
            (
                &[b"Bearer a.b.c", b"Bearer d.e.f"],
                Err(Denial::TokenRepeated),
                "two headers",
            ),
            (
                &[b"Basic x", b"Bearer d.e.f"],
                Err(Denial::TokenRepeated),
                "two schemes",
            ),
            (
                &[b"Bearer a.b.c,Bearer d.e.f"],
                Err(Denial::TokenRepeated),
                "joined by a proxy",
            ),
            (
                &[b"Basic x, Bearer d.e.f"],
                Err(Denial::TokenRepeated),
                "joined schemes",
            ),
            (
                &[b"Bearer \xff\xfe"],
                Ok(Some(b"\xff\xfe")),
                "bytes that are not UTF-8",
            ),
        ];
        for (values, expected, note) in cases {
            let headers: std::vec::Vec<(&[u8], &[u8])> = values
                .iter()
                .map(|value| (b"Authorization".as_slice(), *value))
                .collect();
            assert_eq!(bearer_token(&Request::new(&headers)), expected, "{note}");
        }
    }
}
