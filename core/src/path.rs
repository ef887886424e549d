//! The one normal form in which paths are matched.
//!
//! A proxy, a framework and a file server each have their own idea of what `/a/..//%62` names. Rules
//! are matched against one normal form (RFC 3986 §6.2.2 and duplicate slashes), and what could be
//! read in a way that no normal form settles is refused.

use alloc::vec::Vec;
use core::fmt;

/// A path in normal form: starts with `/`, no dot segment, no empty segment but the last, unreserved
/// characters unencoded, the remaining escapes in upper case, no query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NormalPath {
    bytes: Vec<u8>,
    differs: bool,
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
            Self::DotSegmentWithParameter => "the path has a dot segment with a parameter",
        })
    }
}

impl NormalPath {
    /// The normal form of the path in `target`, which may have a query.
    ///
    /// # Errors
    /// Returns why `target` has no normal form.
    pub fn parse(target: &[u8]) -> Result<Self, PathError> {
        let path = target
            .split(|byte| *byte == b'?')
            .next()
            .unwrap_or_default();
        if path.first() != Some(&b'/') {
            return Err(PathError::NotAbsolute);
        }
        let bytes = resolve_segments(&decode_unreserved(path)?)?;
        let differs = bytes != path;
        Ok(Self { bytes, differs })
    }

    /// The path.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether the request spelt it in another way.
    pub const fn differs_from_request(&self) -> bool {
        self.differs
    }

    /// The path as a service reads it that cuts the parameters off every segment (`/a;v=1/b` is
    /// `/a/b`); `None` when there are none.
    pub fn without_parameters(&self) -> Option<Vec<u8>> {
        if !self.bytes.contains(&b';') {
            return None;
        }
        let mut bytes = Vec::with_capacity(self.bytes.len());
        for (index, segment) in self.bytes.split(|byte| *byte == b'/').enumerate() {
            if index > 0 {
                bytes.push(b'/');
            }
            bytes.extend(segment.iter().take_while(|byte| **byte != b';'));
        }
        Some(bytes)
    }

    /// The path as a service reads it that decodes twice (`%252e` is `.`, `%252f` is `/`); `None` when
    /// no escape is escaped.
    ///
    /// # Errors
    /// [`PathError::DotSegmentWithParameter`] for a path that such services read in different ways.
    pub fn decoded_twice(&self) -> Option<Result<Vec<u8>, PathError>> {
        let mut bytes = Vec::with_capacity(self.bytes.len());
        let mut rest = self.bytes.as_slice();
        let mut is_escaped = false;
        while let Some((first, behind)) = rest.split_first() {
            let decoded = match rest {
                [b'%', b'2', b'5', high, low, ..] => {
                    hex_digit(Some(*high)).and_then(|high| Ok((high << 4) | hex_digit(Some(*low))?))
                }
                _ => Err(PathError::InvalidEscape),
            };
            match decoded {
                Ok(byte) => {
                    is_escaped = true;
                    bytes.push(if byte == b'\\' { b'/' } else { byte });
                    rest = rest.get(5..).unwrap_or_default();
                }
                Err(_) => {
                    bytes.push(*first);
                    rest = behind;
                }
            }
        }
        is_escaped.then(|| resolve_segments(&bytes))
    }
}

/// Resolves dot segments (RFC 3986 §5.2.4) and joins duplicate slashes.
fn resolve_segments(path: &[u8]) -> Result<Vec<u8>, PathError> {
    let mut segments: Vec<&[u8]> = Vec::new();
    let mut trailing_slash = false;
    for segment in path.split(|byte| *byte == b'/') {
        trailing_slash = false;
        match segment {
            b"" | b"." => trailing_slash = true,
            b".." => {
                trailing_slash = true;
                segments.pop();
            }
            [b'.', b';', ..] | [b'.', b'.', b';', ..] => {
                return Err(PathError::DotSegmentWithParameter);
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
    Ok(bytes)
}

/// Decodes the escapes of unreserved characters (RFC 3986 §6.2.2.2), and refuses what is ambiguous.
fn decode_unreserved(path: &[u8]) -> Result<Vec<u8>, PathError> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut bytes = path.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            0..=b' ' | 0x7f => return Err(PathError::ControlCharacter),
            b'\\' => return Err(PathError::Backslash),
            b'#' => return Err(PathError::Fragment),
            b'%' => {
                let high = hex_digit(bytes.next())?;
                let low = hex_digit(bytes.next())?;
                let code = (high << 4) | low;
                match code {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                        decoded.push(code);
                    }
                    0..=0x1f | 0x7f | b'/' | b'\\' => return Err(PathError::AmbiguousEscape),
                    _ => decoded.extend_from_slice(&[b'%', upper_hex(high), upper_hex(low)]),
                }
            }
            other => decoded.push(other),
        }
    }
    Ok(decoded)
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
        let cases: [(&[u8], PathError); 18] = [
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
            (b"/..;/a", DotSegmentWithParameter),
            (b"/%2e;x/a", DotSegmentWithParameter),
        ];
        for (target, expected) in cases {
            assert_eq!(NormalPath::parse(target), Err(expected), "{target:?}");
        }
    }

    #[test]
    fn escaped_escapes_are_read_once_more() {
        let twice = |target: &[u8]| NormalPath::parse(target).unwrap().decoded_twice();
        assert_eq!(twice(b"/a/100%25"), None);
        assert_eq!(twice(b"/a/100%25/zz"), None);
        assert_eq!(twice(b"/a%252"), None);
        assert_eq!(
            twice(b"/public/%252e%252E/admin"),
            Some(Ok(b"/admin".to_vec()))
        );
        assert_eq!(
            twice(b"/public%252f..%255cadmin"),
            Some(Ok(b"/admin".to_vec()))
        );
        assert_eq!(twice(b"/%2561dmin"), Some(Ok(b"/admin".to_vec())));
        assert_eq!(twice(b"/%25"), None);
        assert_eq!(
            twice(b"/%252e%252e%253bx"),
            Some(Err(PathError::DotSegmentWithParameter))
        );
    }

    #[test]
    fn parameters_can_be_cut_off() {
        let path = NormalPath::parse(b"/admin;a=b/x;c").unwrap();
        assert_eq!(path.without_parameters().unwrap(), b"/admin/x");
        assert_eq!(
            NormalPath::parse(b"/admin").unwrap().without_parameters(),
            None
        );
    }
}
