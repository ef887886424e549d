//! The one normal form in which paths are matched.
//!
//! A proxy, a framework and a file server each have their own idea of what `/a/..//%62` names. Rules
//! are matched against one normal form (RFC 3986 §6.2.2 and duplicate slashes), and what could be
//! read in a way that no normal form settles is refused.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;

use crate::scan::split_once;

/// A path in normal form: starts with `/`, no dot segment, no empty segment but the last, unreserved
/// characters unencoded, the remaining escapes in upper case, no query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NormalPath<'t> {
    bytes: Cow<'t, [u8]>,
    differs: bool,
    decoded: Cow<'t, [u8]>,
    other_readings: Vec<Vec<u8>>,
}

/// Why a path has no normal form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathError {
    /// It does not start with `/`.
    NotAbsolute,
    /// A control character or a space.
    ControlCharacter,
    /// A backslash, which some services read as `/`.
    Backslash,
    /// A `#`, which has no place in a request.
    Fragment,
    /// `%` without two hexadecimal digits behind it.
    InvalidEscape,
    /// An escaped `/`, `\`, or control character: `%2F`, `%5C`, `%00` and their like.
    AmbiguousEscape,
    /// More bytes for a character than UTF-8 has for it, as `%C0%AE` for a dot, which some services read as that (RFC 3629 §3).
    OverlongCharacter,
    /// `.` or `..` with a parameter behind it (`/..;x/`), which some services read as a dot segment.
    DotSegmentWithParameter,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAbsolute => "the path does not start with `/`",
            Self::ControlCharacter => "the path has a control character or a space",
            Self::Backslash => "the path has a backslash",
            Self::Fragment => "the path has a `#`",
            Self::InvalidEscape => "the path has a `%` without two hexadecimal digits",
            Self::AmbiguousEscape => {
                "the path has an escaped slash, backslash or control character"
            }
            Self::OverlongCharacter => {
                "the path has a character in more bytes than UTF-8 has for it"
            }
            Self::DotSegmentWithParameter => "the path has a dot segment with a parameter",
        })
    }
}

impl<'t> NormalPath<'t> {
    /// The normal form of the path in `target`, which may have a query.
    ///
    /// # Errors
    /// Returns why `target` has no normal form.
    pub fn parse(target: &'t [u8]) -> Result<Self, PathError> {
        let path = split_once(target, b'?').map_or(target, |(path, _)| path);
        if path.first() != Some(&b'/') {
            return Err(PathError::NotAbsolute);
        }
        if is_plain(path) {
            return Ok(Self {
                bytes: Cow::Borrowed(path),
                differs: false,
                decoded: Cow::Borrowed(path),
                other_readings: Vec::new(),
            });
        }
        let bytes = resolve(&decode_unreserved(path)?, true);
        refuse_dots_with_parameters(&decode(path, |_| true))?;
        let decoded = decode(&bytes, |_| true);
        let other_readings = other_readings(path, &decoded);
        Ok(Self {
            differs: bytes != path,
            bytes: Cow::Owned(bytes),
            decoded: Cow::Owned(decoded),
            other_readings,
        })
    }

    /// The path.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether the request spelt it in another way.
    pub const fn differs_from_request(&self) -> bool {
        self.differs
    }

    /// The path with every escape decoded, as a service reads it that does what RFC 3986 says.
    pub fn decoded(&self) -> &[u8] {
        &self.decoded
    }

    /// The path as services may read it that do not do what RFC 3986 says: parameters cut off, dots and
    /// slashes in another order, escapes decoded twice. Decoded too. Mostly there is none.
    pub fn other_readings(&self) -> &[Vec<u8>] {
        &self.other_readings
    }
}

/// Whether a path that starts with `/` has nothing in it that any of the steps to its normal form, or any other reading,
/// would change or refuse. Most have not.
fn is_plain(path: &[u8]) -> bool {
    let mut before = 0;
    path.iter().all(|byte| {
        let is_plain = match byte {
            0..=b' ' | 0x7f.. | b'\\' | b'#' | b'%' | b';' => false,
            b'/' | b'.' => before != b'/',
            _ => true,
        };
        before = *byte;
        is_plain
    })
}

/// How services that do not do what RFC 3986 says may read `path`, where that is not `usual`.
///
/// They leave dots and slashes as they are, or escapes of unreserved characters; they cut parameters
/// (`;v=1`) off segments, before dots are resolved or behind; they resolve dots before they merge slashes;
/// they decode twice. A service may do several of these, and a chain of services all of them.
fn other_readings(path: &[u8], usual: &[u8]) -> Vec<Vec<u8>> {
    let is_unusual =
        |pair: &[u8]| matches!(pair, [b'%' | b';', _] | [_, b'%' | b';'] | b"//" | b"/.");
    if !path.windows(2).any(is_unusual) {
        return Vec::new();
    }
    let mut readings: Vec<Vec<u8>> = Vec::new();
    let mut add = |reading: Vec<u8>| {
        if reading != usual && !readings.contains(&reading) {
            readings.push(reading);
        }
    };
    // As it stands, but for the escapes that an honest client has to write.
    add(decode(path, |byte| !is_unreserved(byte)));
    let once = decode(path, |_| true);
    add(once.clone());
    let twice = decode(&once, |_| true);
    for text in [once, twice] {
        let slashed: Vec<u8> = text
            .iter()
            .map(|byte| if *byte == b'\\' { b'/' } else { *byte })
            .collect();
        let cut = cut_parameters(&slashed);
        for text in [&slashed, &cut] {
            add(text.clone());
            add(resolve(text, true));
            add(resolve(&resolve(text, false), true));
            add(cut_parameters(&resolve(text, true)));
        }
    }
    readings
}

/// Every segment without what stands behind its first `;`.
fn cut_parameters(path: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(path.len());
    for (index, segment) in path.split(|byte| *byte == b'/').enumerate() {
        if index > 0 {
            bytes.push(b'/');
        }
        bytes.extend(segment.iter().take_while(|byte| **byte != b';'));
    }
    bytes
}

/// Decodes those escapes whose byte is `wanted`; what is no escape stays as it is.
pub(crate) fn decode(path: &[u8], wanted: impl Fn(u8) -> bool) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((first, behind)) = rest.split_first() {
        match escaped_byte(rest) {
            Some(byte) if wanted(byte) => {
                decoded.push(byte);
                rest = rest.get(3..).unwrap_or_default();
            }
            _ => {
                decoded.push(*first);
                rest = behind;
            }
        }
    }
    decoded
}

/// The byte that the text starts with in escaped form.
pub(crate) fn escaped_byte(text: &[u8]) -> Option<u8> {
    match text {
        [b'%', high, low, ..] => {
            let high = hex_digit(Some(*high)).ok()?;
            let low = hex_digit(Some(*low)).ok()?;
            Some((high << 4) | low)
        }
        _ => None,
    }
}

/// The characters that never need an escape (RFC 3986 §2.3).
pub(crate) const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Resolves dot segments (RFC 3986 §5.2.4), and joins duplicate slashes if `merge` says so.
fn resolve(path: &[u8], merge: bool) -> Vec<u8> {
    let mut segments: Vec<&[u8]> = Vec::new();
    let mut trailing_slash = false;
    for segment in path
        .strip_prefix(b"/")
        .unwrap_or(path)
        .split(|byte| *byte == b'/')
    {
        trailing_slash = false;
        match segment {
            b"." => trailing_slash = true,
            b"" if merge => trailing_slash = true,
            b".." => {
                trailing_slash = true;
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    let mut bytes = Vec::with_capacity(path.len());
    for segment in &segments {
        bytes.push(b'/');
        bytes.extend_from_slice(segment);
    }
    if trailing_slash || segments.is_empty() {
        bytes.push(b'/');
    }
    bytes
}

/// Refuses a dot segment with a parameter: services resolve it, cut it to one, or take it for a name.
fn refuse_dots_with_parameters(decoded: &[u8]) -> Result<(), PathError> {
    let is_refused = |segment: &[u8]| matches!(segment, [b'.', b';', ..] | [b'.', b'.', b';', ..]);
    match decoded.split(|byte| *byte == b'/').any(is_refused) {
        true => Err(PathError::DotSegmentWithParameter),
        false => Ok(()),
    }
}

/// Decodes the escapes of unreserved characters (RFC 3986 §6.2.2.2), and refuses what is ambiguous.
fn decode_unreserved(path: &[u8]) -> Result<Vec<u8>, PathError> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut bytes = path.iter().copied();
    let mut before = 0;
    while let Some(byte) = bytes.next() {
        let read = match byte {
            0..=b' ' | 0x7f => return Err(PathError::ControlCharacter),
            b'\\' => return Err(PathError::Backslash),
            b'#' => return Err(PathError::Fragment),
            b'%' => {
                let high = hex_digit(bytes.next())?;
                let low = hex_digit(bytes.next())?;
                let code = (high << 4) | low;
                match code {
                    code if is_unreserved(code) => decoded.push(code),
                    0..=0x1f | 0x7f | b'/' | b'\\' => return Err(PathError::AmbiguousEscape),
                    _ => decoded.extend_from_slice(&[b'%', upper_hex(high), upper_hex(low)]),
                }
                code
            }
            other => {
                decoded.push(other);
                other
            }
        };
        if is_overlong(before, read) {
            return Err(PathError::OverlongCharacter);
        }
        before = read;
    }
    Ok(decoded)
}

/// Whether a character that begins with these two bytes has a shorter form in UTF-8.
const fn is_overlong(first: u8, second: u8) -> bool {
    matches!(
        (first, second),
        (0xc0 | 0xc1, 0x80..=0xbf) | (0xe0, 0x80..=0x9f) | (0xf0, 0x80..=0x8f)
    )
}

fn hex_digit(byte: Option<u8>) -> Result<u8, PathError> {
    byte.and_then(|byte| char::from(byte).to_digit(16))
        .and_then(|digit| u8::try_from(digit).ok())
        .ok_or(PathError::InvalidEscape)
}

fn upper_hex(digit: u8) -> u8 {
    char::from_digit(u32::from(digit), 16)
        .and_then(|digit| u8::try_from(digit.to_ascii_uppercase()).ok())
        .unwrap_or(b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(target: &str) -> std::string::String {
        let path = NormalPath::parse(target.as_bytes()).expect(target);
        std::string::String::from_utf8(path.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn paths_take_their_normal_form() {
        let cases = [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/b/", "/a/b/"),
            ("/a?x=/../b#", "/a"),
            ("//a///b", "/a/b"),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/a/..", "/"),
            ("/a/b/..", "/a/"),
            ("/../../a", "/a"),
            ("/%61dmin", "/admin"),
            ("/%2e%2E/a", "/a"),
            ("/a/%2e%2e/b", "/b"),
            ("/%2561dmin", "/%2561dmin"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            // Latin 1, and characters of three and four bytes.
            ("/caf%e9", "/caf%E9"),
            ("/%c0x", "/%C0x"),
            ("/%e0%a4%a8", "/%E0%A4%A8"),
            ("/%f0%9f%98%80", "/%F0%9F%98%80"),
            ("/a%20b", "/a%20b"),
            ("/a;v=1/b", "/a;v=1/b"),
            ("/...", "/..."),
        ];
        for (target, expected) in cases {
            assert_eq!(normal(target), expected, "{target}");
            assert_eq!(
                normal(expected),
                expected,
                "a normal form is its own normal form"
            );
            let path = NormalPath::parse(target.as_bytes()).unwrap();
            let spelt = target.split('?').next().unwrap();
            assert_eq!(path.differs_from_request(), spelt != expected, "{target}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        use PathError::*;
        let cases: [(&[u8], PathError); 26] = [
            (b"", NotAbsolute),
            (b"*", NotAbsolute),
            (b"http://example.com/", NotAbsolute),
            (b"?x", NotAbsolute),
            (b"/a\\b", Backslash),
            (b"/a%5cb", AmbiguousEscape),
            (b"/a%2fb", AmbiguousEscape),
            (b"/a%2Fb", AmbiguousEscape),
            (b"/a%00", AmbiguousEscape),
            (b"/a%0d%0a", AmbiguousEscape),
            (b"/a%7f", AmbiguousEscape),
            (b"/a\0", ControlCharacter),
            (b"/a b", ControlCharacter),
            (b"/a#b", Fragment),
            (b"/a%", InvalidEscape),
            (b"/a%zz", InvalidEscape),
            (b"/%c0%ae%c0%ae/a", OverlongCharacter),
            (b"/%C1%9Ca", OverlongCharacter),
            (b"/a%c0%af", OverlongCharacter),
            (b"/%e0%80%ae", OverlongCharacter),
            (b"/%f0%80%80%ae", OverlongCharacter),
            (b"/\xc0\xae", OverlongCharacter),
            (b"/%c0\xae", OverlongCharacter),
            (b"/..;/a", DotSegmentWithParameter),
            (b"/%2e;x/a", DotSegmentWithParameter),
            (b"/..%3bx/a", DotSegmentWithParameter),
        ];
        for (target, expected) in cases {
            assert_eq!(NormalPath::parse(target), Err(expected), "{target:?}");
        }
    }

    #[test]
    fn other_readings_are_those_of_other_services() {
        let readings = |target: &str| {
            NormalPath::parse(target.as_bytes())
                .unwrap()
                .other_readings()
                .iter()
                .map(|reading| std::string::String::from_utf8_lossy(reading).into_owned())
                .collect::<std::vec::Vec<_>>()
        };
        for plain in [
            "/",
            "/a/b",
            "/a.json",
            "/a/100%25",
            "/caf%C3%A9",
            "/a%3Ab",
            "/a%20b?x=..;",
        ] {
            assert_eq!(readings(plain), [""; 0], "{plain}");
        }
        for (target, reading, note) in [
            ("/x/../admin", "/x/../admin", "as it stands"),
            ("/%61dmin", "/%61dmin", "needless escapes as they stand"),
            ("//admin", "//admin", "slashes as they stand"),
            ("/admin;a=b/x;c", "/admin/x", "parameters cut"),
            ("/;/admin", "/admin", "an empty segment behind the cut"),
            ("/p/;/../admin", "/admin", "cut, merged, then resolved"),
            ("/admin%3Bx", "/admin", "an escaped parameter"),
            (
                "/admin;/../p",
                "/admin/../p",
                "cut, and dots left as they are",
            ),
            (
                "/admin%3b//p",
                "/admin//p",
                "cut, and slashes left as they are",
            ),
            ("/admin%253Bx", "/admin", "one that is escaped twice"),
            ("/p/%252e%252e/admin", "/admin", "dots escaped twice"),
            ("/p%252f..%255cadmin", "/admin", "slashes escaped twice"),
            (
                "/p/../admin//../p/x",
                "/admin/p/x",
                "resolved before slashes are merged",
            ),
        ] {
            assert!(
                readings(target).contains(&reading.into()),
                "{note}: {:?}",
                readings(target)
            );
        }
    }

    #[test]
    fn every_escape_is_decoded_for_matching() {
        let decoded = |target: &str| {
            NormalPath::parse(target.as_bytes())
                .unwrap()
                .decoded()
                .to_vec()
        };
        assert_eq!(decoded("/v1/users%3Apurge"), b"/v1/users:purge");
        assert_eq!(decoded("/caf%c3%a9"), "/café".as_bytes());
        assert_eq!(decoded("/a%2541"), b"/a%41");
    }

    proptest::proptest! {
        /// What makes a plain path quick to read changes nothing about it.
        #[test]
        fn a_plain_path_is_its_own_normal_form(
            parts in proptest::collection::vec(
                proptest::sample::select(std::vec!["/", "a", ".", "..", ";", "%", "%2e", "%61", "\\", "#", " ", "\u{e9}", "~"]),
                0..8,
            ),
        ) {
            let path = std::format!("/{}", parts.concat());
            let path = path.as_bytes();
            let long_way = decode_unreserved(path).and_then(|decoded| {
                refuse_dots_with_parameters(&decode(path, |_| true))?;
                Ok(resolve(&decoded, true))
            });
            match NormalPath::parse(path) {
                Ok(normal) => {
                    let decoded = decode(normal.as_bytes(), |_| true);
                    proptest::prop_assert_eq!(Ok(normal.as_bytes().to_vec()), long_way);
                    proptest::prop_assert_eq!(normal.decoded(), &decoded);
                    proptest::prop_assert_eq!(normal.other_readings(), other_readings(path, &decoded));
                    proptest::prop_assert_eq!(normal.differs_from_request(), normal.as_bytes() != path);
                }
                Err(error) => proptest::prop_assert_eq!(Err(error), long_way),
            }
        }
    }
}
