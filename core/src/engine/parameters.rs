//! The parameters of a query and the cookies of a `Cookie` header, and which of them have a name.
//!
//! Services read both in more ways than one. Frameworks decode names, compare them without case, put `_` for
//! `.`, take `name[]` for `name`, split queries at `;`, cookies at commas and white space. A token that was
//! verified must not stand beside another one that only the service sees. So a parameter has a name when any
//! service may think so, and what only some services see at all is [`Found::Unclear`].

use alloc::borrow::Cow;
use alloc::vec::Vec;

use crate::path::escaped_byte;
use crate::scan::split_once;

/// What there is of a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'v> {
    Nothing,
    /// Its value: of a parameter as it is written, of a cookie without white space and quotes around it.
    One(&'v [u8]),
    /// Several values, or one that only some services see.
    Unclear,
}

impl<'v> Found<'v> {
    /// With one value more.
    fn and(self, value: &'v [u8]) -> Self {
        match self {
            Self::Nothing => Self::One(value),
            Self::One(_) | Self::Unclear => Self::Unclear,
        }
    }
}

/// The query of a request target, without its `?`.
pub(super) fn query_of(target: &[u8]) -> Option<&[u8]> {
    split_once(target, b'?').map(|(_, query)| query)
}

/// Looks for a parameter in a query.
pub(super) fn in_query<'q>(query: &'q [u8], name: &str) -> Found<'q> {
    let mut found = Found::Nothing;
    for parameter in query.split(|byte| *byte == b'&') {
        let is_whole = has_name(parameter, name);
        if is_whole {
            found = found.and(split_at(parameter, b'=').1);
        }
        // Only services that split at `;` see these.
        let parts = parameter.split(|byte| *byte == b';');
        if parts
            .skip(usize::from(is_whole))
            .any(|part| has_name(part, name))
        {
            return Found::Unclear;
        }
    }
    found
}

/// The query without the parameters of these names; all else byte for byte.
pub(super) fn query_without(query: &[u8], names: &[&str]) -> Vec<u8> {
    let mut kept = query
        .split(|byte| *byte == b'&')
        .filter(|parameter| !names.iter().any(|name| has_name(parameter, name)));
    join(&mut kept, b"&", query.len())
}

/// Looks for a cookie in all values of the `Cookie` header (RFC 6265 §5.4).
pub(super) fn in_cookies<'c>(values: impl Iterator<Item = &'c [u8]>, name: &str) -> Found<'c> {
    let mut found = Found::Nothing;
    for cookie in values.flat_map(|value| value.split(|byte| *byte == b';')) {
        if has_name(cookie, name) {
            found = found.and(unquoted(split_at(cookie, b'=').1.trim_ascii()));
        }
        if hides(cookie, name) {
            return Found::Unclear;
        }
    }
    found
}

/// A value of the `Cookie` header without the cookies of these names; all else byte for byte, but for white space
/// where the first one is gone. Empty when nothing is left.
pub(super) fn cookies_without(value: &[u8], names: &[&str]) -> Vec<u8> {
    let mut kept = value
        .split(|byte| *byte == b';')
        .filter(|cookie| !names.iter().any(|name| has_name(cookie, name)));
    let kept = join(&mut kept, b";", value.len());
    match kept.iter().all(|byte| matches!(byte, b' ' | b'\t' | b';')) {
        true => Vec::new(),
        false => kept.trim_ascii_start().to_vec(),
    }
}

/// The bytes that a value of a query stands for.
pub(super) fn decoded_value(value: &[u8]) -> Cow<'_, [u8]> {
    match value.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        true => Cow::Owned(decoded(value).collect()),
        false => Cow::Borrowed(value),
    }
}

/// Whether a service that splits at commas or white space sees a cookie in the midst of this one: its name is
/// the last of several words before a `=`.
fn hides(cookie: &[u8], name: &str) -> bool {
    let is_separator = |byte: &u8| *byte == b',' || !byte.is_ascii_graphic();
    let mut parts = cookie.split(|byte| *byte == b'=').peekable();
    while let Some(part) = parts.next() {
        let part = part.trim_ascii();
        let last = part.rsplit(is_separator).next().unwrap_or_default();
        if parts.peek().is_some() && last.len() < part.len() && is_named(last, name) {
            return true;
        }
    }
    false
}

/// Whether a parameter or cookie, with its value, has this name.
pub(crate) fn has_name(parameter: &[u8], name: &str) -> bool {
    is_named(split_at(parameter, b'=').0, name)
}

/// Whether a service may take what is written for this name: decoded, without case, spaces and bytes that are
/// no text around it, `.` and space for `_`, and what begins with `[` or NUL cut off.
fn is_named(written: &[u8], name: &str) -> bool {
    let mut written = decoded(written).skip_while(|byte| !byte.is_ascii_graphic());
    let begins = name
        .bytes()
        .all(|byte| written.next().map(folded) == Some(folded(byte)));
    begins
        && match written.next() {
            None | Some(b'[' | 0) => true,
            Some(byte) => !byte.is_ascii_graphic() && written.all(|byte| !byte.is_ascii_graphic()),
        }
}

/// Whether two names are the same to a service that folds them.
pub(crate) fn names_fold_alike(name: &str, other: &str) -> bool {
    name.bytes().map(folded).eq(other.bytes().map(folded))
}

const fn folded(byte: u8) -> u8 {
    match byte {
        b' ' | b'.' => b'_',
        other => other.to_ascii_lowercase(),
    }
}

/// What the text stands for in a query: escapes decoded, `+` is a space. What is no escape stays.
fn decoded(text: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = text;
    core::iter::from_fn(move || {
        let (first, behind) = rest.split_first()?;
        match (escaped_byte(rest), first) {
            (Some(byte), _) => {
                rest = rest.get(3..).unwrap_or_default();
                Some(byte)
            }
            (None, b'+') => {
                rest = behind;
                Some(b' ')
            }
            (None, other) => {
                rest = behind;
                Some(*other)
            }
        }
    })
}

/// A value without the quotes around it (RFC 6265 §4.1.1).
fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] => inner,
        other => other,
    }
}

/// What stands before the first `separator`, and what behind it.
fn split_at(text: &[u8], separator: u8) -> (&[u8], &[u8]) {
    match text.iter().position(|byte| *byte == separator) {
        None => (text, b""),
        Some(at) => {
            let (before, behind) = text.split_at_checked(at).unwrap_or((text, b""));
            (before, behind.get(1..).unwrap_or_default())
        }
    }
}

fn join(parts: &mut dyn Iterator<Item = &[u8]>, separator: &[u8], capacity: usize) -> Vec<u8> {
    let mut joined = Vec::with_capacity(capacity);
    for (index, part) in parts.enumerate() {
        if index > 0 {
            joined.extend_from_slice(separator);
        }
        joined.extend_from_slice(part);
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_any_service_may_take_for_it() {
        for (written, note) in [
            ("access_token", "as it is"),
            ("Access_Token", "without case"),
            ("%61ccess%5ftoken", "decoded"),
            ("access.token", "PHP puts `_` for `.`"),
            ("access%20token", "and for a space"),
            ("access+token", "which may be written so"),
            ("+access_token", "spaces before it"),
            ("access_token%20", "and behind"),
            (
                "%c2%a0access_token",
                "no-break space, which scripts cut off",
            ),
            ("access_token[]", "an array"),
            ("access_token%5B0%5D", "one of its elements"),
            ("access_token%00x", "cut at NUL"),
        ] {
            assert!(is_named(written.as_bytes(), "access_token"), "{note}");
        }
        for written in [
            "",
            "access",
            "access_token2",
            "xaccess_token",
            "access_token]",
            "access_token%20x",
            "accesstoken",
            "access-token",
            "%2561ccess_token",
            "%",
            "access_token%",
        ] {
            assert!(!is_named(written.as_bytes(), "access_token"), "{written}");
        }
    }

    #[test]
    fn a_parameter_is_found_once_or_its_place_is_unclear() {
        use Found::{Nothing, One, Unclear};
        let cases: [(&[u8], Found<'_>, &str); 29] = [
            (b"", Nothing, "an empty query"),
            (b"t=a.b.c", One(b"a.b.c"), "alone"),
            (b"x=1&t=a&y=2", One(b"a"), "among others"),
            (b"T=a", One(b"a"), "without case"),
            (b"%74=a", One(b"a"), "an escaped name"),
            (b"t=a%2Eb", One(b"a%2Eb"), "the value as it is written"),
            (b"t=a=b", One(b"a=b"), "only the first `=` ends the name"),
            (b"t=", One(b""), "empty"),
            (b"t", One(b""), "without `=`"),
            (b"t&x", One(b""), "and among others"),
            (b"t=\xff\xfe", One(b"\xff\xfe"), "no UTF-8"),
            (b"tt=a&xt=b&x=t", Nothing, "other names"),
            (b"x=t=a", Nothing, "inside of a value"),
            (b"x=1?t=a", Nothing, "a second `?` is part of a value"),
            (b"&&t=a&&", One(b"a"), "empty parameters"),
            (b"t=a&t=b", Unclear, "twice"),
            (b"t=a&t=a", Unclear, "twice the same"),
            (b"t=a&T=b", Unclear, "twice to who compares without case"),
            (b"t=a&%74=b", Unclear, "twice to who decodes"),
            (b"t=a&t[]=b", Unclear, "twice to who knows arrays"),
            (b"t=a&t", Unclear, "twice, once without value"),
            (b"t=a&=t", One(b"a"), "a parameter without name"),
            (b"x=1;t=b", Unclear, "behind `;`"),
            (b"t=a&x=1;t=b", Unclear, "beside one behind `;`"),
            (b"t=a;t=b", Unclear, "twice to who splits at `;`"),
            (b"t=a;x=1", One(b"a;x=1"), "cut at `;` to some: no token"),
            (b"t=a;", One(b"a;"), "the same without another one"),
            (
                b"t;x=a",
                Unclear,
                "without value to some, another name to others",
            ),
            (b"t;", Unclear, "the same without another one"),
        ];
        for (query, expected, note) in cases {
            assert_eq!(in_query(query, "t"), expected, "{note}");
        }
    }

    #[test]
    fn a_cookie_is_found_once_or_its_place_is_unclear() {
        use Found::{Nothing, One, Unclear};
        type Case<'c> = (&'c [&'c [u8]], Found<'c>, &'c str);
        let cases: [Case<'_>; 33] = [
            (&[], Nothing, "no header"),
            (&[b""], Nothing, "an empty one"),
            (&[b"s=a.b.c"], One(b"a.b.c"), "alone"),
            (&[b"x=1; s=a; y=2"], One(b"a"), "among others"),
            (&[b"x=1", b"s=a"], One(b"a"), "in a second header"),
            (&[b"x=1;s=a;y=2"], One(b"a"), "without spaces"),
            (&[b" s = a "], One(b"a"), "spaces around"),
            (&[b"s=\"a\""], One(b"a"), "quoted"),
            (&[b"s=\"a"], One(b"\"a"), "quoted on one side: no token"),
            (&[b"s=\""], One(b"\""), "one quote"),
            (&[b"s=\"\""], One(b""), "nothing quoted"),
            (&[b"s="], One(b""), "empty"),
            (&[b"s"], One(b""), "without `=`"),
            (&[b"s=a=="], One(b"a=="), "only the first `=` ends the name"),
            (&[b"s=\xff"], One(b"\xff"), "no UTF-8"),
            (&[b"S=a"], One(b"a"), "without case"),
            (&[b"ss=a; xs=b; x=s"], Nothing, "other names"),
            (&[b"x=s=a"], Nothing, "inside of a value"),
            (&[b"s=a; s=b"], Unclear, "twice"),
            (&[b"s=a", b"s=b"], Unclear, "twice, in two headers"),
            (
                &[b"s=a; S=b"],
                Unclear,
                "twice to who compares without case",
            ),
            (&[b"s=a; %73=b"], Unclear, "twice to who decodes names"),
            (
                &[b"s=a; \xa0s=b"],
                Unclear,
                "twice to who cuts Unicode's spaces",
            ),
            (&[b"s=a; s"], Unclear, "twice, once without value"),
            (&[b"x=1 s=a"], Unclear, "behind white space"),
            (&[b"x=1\ts=a"], Unclear, "behind a tab"),
            (&[b"x=1, s=a"], Unclear, "behind a comma"),
            (&[b"s=a; x=1,s=b"], Unclear, "beside one behind a comma"),
            (&[b"s=a; x=1 s = b"], Unclear, "with spaces around `=`"),
            (&[b"s=a; x s=b"], Unclear, "behind a cookie without value"),
            (
                &[b"x=\"1; s=a; y=2\""],
                One(b"a"),
                "what others take for quoted",
            ),
            (&[b"x=1 s"], Nothing, "a word is no cookie"),
            (&[b"x=s"], Nothing, "nor is a value"),
        ];
        for (values, expected, note) in cases {
            assert_eq!(in_cookies(values.iter().copied(), "s"), expected, "{note}");
        }
    }

    #[test]
    fn values_are_decoded_once() {
        for (written, expected) in [
            (&b"a.b.c"[..], &b"a.b.c"[..]),
            (b"a%2Eb%2ec", b"a.b.c"),
            (b"a%252Eb", b"a%2Eb"),
            (b"a+b%20c", b"a b c"),
            (b"%", b"%"),
            (b"%4", b"%4"),
            (b"%4g%", b"%4g%"),
            (b"%ff", b"\xff"),
        ] {
            assert_eq!(decoded_value(written).as_ref(), expected);
        }
    }
}
