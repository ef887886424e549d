//! A strict JSON reader that keeps the place of everything it reads.
//!
//! Token headers, claims, key sets and policies are all read by this one parser, so that no two
//! parts of Nexus can disagree about what a document says. It is stricter than most: a member that
//! appears twice is an error wherever it stands (RFC 8259 §4 leaves it open, RFC 7515 §4 and
//! RFC 7519 §4 allow the refusal), and so are a byte order mark, an unpaired surrogate, bytes that
//! are not UTF-8, and anything after the document. Numbers keep their text, so that an integer
//! beyond 2^53 stays exact.
//!
//! It must not recurse without a bound: [`MAX_DEPTH`] limits nesting.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::scan;
use crate::sort::sort_by;

/// How deep arrays and objects may nest. Identity providers stay below ten; the bound keeps the
/// parser's stack under 64 KiB in a WebAssembly module.
pub const MAX_DEPTH: usize = 64;

/// A range of bytes in the text that was parsed: from `start`, up to and without `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset behind the last byte.
    pub end: usize,
}

/// A JSON value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Value<'a> {
    /// The bytes of the value, quotes and brackets included.
    pub span: Span,
    /// What it is.
    pub kind: Kind<'a>,
}

/// The kinds of JSON values (RFC 8259 §3).
#[derive(Debug, Clone, PartialEq)]
pub enum Kind<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as written.
    Number(Number<'a>),
    /// A string with its escapes resolved.
    String(Cow<'a, str>),
    /// An array.
    Array(Vec<Value<'a>>),
    /// An object, its members in the order of the text. No name appears twice.
    Object(Vec<Member<'a>>),
}

/// One member of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Member<'a> {
    /// The name with its escapes resolved.
    pub name: Cow<'a, str>,
    /// The bytes of the name, quotes included.
    pub name_span: Span,
    /// The value.
    pub value: Value<'a>,
}

/// A JSON number as it was written (RFC 8259 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number<'a>(&'a str);

/// Why a text is not JSON, or not JSON that Nexus accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Error {
    /// What is wrong.
    pub kind: ErrorKind,
    /// Offset of the byte at which it went wrong.
    pub offset: usize,
}

/// What is wrong with a text.
// As large as what stands in its place when nothing is wrong, which is then moved in one piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The text is not UTF-8 (RFC 8259 §8.1).
    NotUtf8,
    /// The text starts with a byte order mark (RFC 8259 §8.1).
    ByteOrderMark,
    /// The text ends in the middle of a value.
    UnexpectedEnd,
    /// A byte that cannot stand here.
    UnexpectedByte,
    /// A number that does not fit the grammar of RFC 8259 §6.
    InvalidNumber,
    /// A control character inside a string (RFC 8259 §7).
    ControlCharacter,
    /// An escape that RFC 8259 §7 does not know, or half a surrogate pair.
    InvalidEscape,
    /// A member whose name the object has already.
    DuplicateMember,
    /// More than [`MAX_DEPTH`] arrays and objects inside each other.
    TooDeep,
    /// Something other than white space after the value.
    TrailingData,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotUtf8 => "the text is not UTF-8",
            Self::ByteOrderMark => "the text starts with a byte order mark",
            Self::UnexpectedEnd => "the text ends too early",
            Self::UnexpectedByte => "a character that cannot stand here",
            Self::InvalidNumber => "an invalid number",
            Self::ControlCharacter => "a control character inside a string",
            Self::InvalidEscape => "an invalid escape in a string",
            Self::DuplicateMember => "a member that appears twice",
            Self::TooDeep => "arrays and objects nested too deep",
            Self::TrailingData => "something after the end of the document",
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.kind, self.offset)
    }
}

impl core::error::Error for Error {}

/// Parses one JSON document.
///
/// # Errors
/// Returns the first [`Error`], with its offset.
pub fn parse(text: &[u8]) -> Result<Value<'_>, Error> {
    let text = core::str::from_utf8(text).map_err(|error| Error {
        kind: ErrorKind::NotUtf8,
        offset: error.valid_up_to(),
    })?;
    if text.starts_with('\u{feff}') {
        return Err(Error {
            kind: ErrorKind::ByteOrderMark,
            offset: 0,
        });
    }
    let mut parser = Parser { text, position: 0 };
    let value = parser.value(0)?;
    match parser.next() {
        None => Ok(value),
        Some(_) => Err(parser.error(ErrorKind::TrailingData)),
    }
}

impl<'a> Value<'a> {
    /// The member `name` of an object; `None` when there is none or this is no object.
    pub fn member(&self, name: &str) -> Option<&Value<'a>> {
        self.as_object()?
            .iter()
            .find(|member| member.name == name)
            .map(|member| &member.value)
    }

    /// The members of an object.
    pub fn as_object(&self) -> Option<&[Member<'a>]> {
        match &self.kind {
            Kind::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The elements of an array.
    pub fn as_array(&self) -> Option<&[Value<'a>]> {
        match &self.kind {
            Kind::Array(elements) => Some(elements),
            _ => None,
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number.
    pub fn as_number(&self) -> Option<Number<'a>> {
        match self.kind {
            Kind::Number(number) => Some(number),
            _ => None,
        }
    }

    /// What it is, in a word that people use: `an object`, `a string`, ….
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            Kind::Null => "null",
            Kind::Bool(_) => "a boolean",
            Kind::Number(_) => "a number",
            Kind::String(_) => "a string",
            Kind::Array(_) => "an array",
            Kind::Object(_) => "an object",
        }
    }
}

/// Writes the value as JSON without white space; numbers stay as they were written.
impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Null => f.write_str("null"),
            Kind::Bool(true) => f.write_str("true"),
            Kind::Bool(false) => f.write_str("false"),
            Kind::Number(number) => f.write_str(number.0),
            Kind::String(text) => write_string(f, text),
            Kind::Array(elements) => {
                f.write_str("[")?;
                for (index, element) in elements.iter().enumerate() {
                    if index > 0 {
                        f.write_str(",")?;
                    }
                    element.fmt(f)?;
                }
                f.write_str("]")
            }
            Kind::Object(members) => {
                f.write_str("{")?;
                for (index, member) in members.iter().enumerate() {
                    if index > 0 {
                        f.write_str(",")?;
                    }
                    write_string(f, &member.name)?;
                    f.write_str(":")?;
                    member.value.fmt(f)?;
                }
                f.write_str("}")
            }
        }
    }
}

/// Writes `text` as a JSON string: quotes, backslashes and control characters escaped, the rest as it is.
///
/// # Errors
/// Those of the writer.
pub fn write_string(writer: &mut impl fmt::Write, text: &str) -> fmt::Result {
    writer.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' => writer.write_str("\\\"")?,
            '\\' => writer.write_str("\\\\")?,
            '\n' => writer.write_str("\\n")?,
            '\r' => writer.write_str("\\r")?,
            '\t' => writer.write_str("\\t")?,
            control if control.is_control() => write!(writer, "\\u{:04x}", u32::from(control))?,
            other => writer.write_char(other)?,
        }
    }
    writer.write_char('"')
}

impl<'a> Number<'a> {
    /// The number as it was written.
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// The number that a text is; `None` when it is something else, or has anything around it.
    pub fn parse(text: &'a str) -> Option<Self> {
        let number = parse(text.as_bytes()).ok()?.as_number()?;
        (number.0.len() == text.len()).then_some(number)
    }

    /// Whether both are the same number, however it is written: `1`, `1.0` and `10e-1` are. A number whose
    /// exponent is beyond `i64` is only the same as one that is written alike.
    pub fn equals(self, other: Number<'_>) -> bool {
        match (self.decimal(), other.decimal()) {
            (Some(one), Some(other)) => {
                let is_zero = one.digits == 0 && other.digits == 0;
                is_zero
                    || one.negative == other.negative
                        && one.exponent == other.exponent
                        && one.significant().eq(other.significant())
            }
            _ => self.0 == other.0,
        }
    }

    /// The number as digits without zeros around them; `None` when its exponent is beyond `i64`.
    fn decimal(self) -> Option<Decimal<'a>> {
        let (negative, magnitude) = match self.0.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, self.0),
        };
        let (mantissa, exponent) = match magnitude.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent),
            None => (magnitude, "0"),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = || whole.bytes().chain(fraction.bytes());
        let zeros_before = digits().take_while(|digit| *digit == b'0').count();
        let zeros_behind = digits().rev().take_while(|digit| *digit == b'0').count();
        let written = whole.len().saturating_add(fraction.len());
        let significant = written
            .saturating_sub(zeros_before)
            .saturating_sub(zeros_behind);
        let exponent = match significant {
            // Nothing but zeros, however often.
            0 => 0,
            _ => exponent
                .parse::<i64>()
                .ok()?
                .checked_add(i64::try_from(zeros_behind).ok()?)?
                .checked_sub(i64::try_from(fraction.len()).ok()?)?,
        };
        Some(Decimal {
            negative,
            whole,
            fraction,
            zeros_before,
            digits: significant,
            exponent,
        })
    }

    /// The number as a whole number of 64 bits without sign, if it is written as one.
    pub fn as_u64(self) -> Option<u64> {
        self.0.parse().ok()
    }

    /// The whole part of the number, cut towards negative infinity and held inside `i64`.
    ///
    /// A number too large or too small for `i64` gives `i64::MAX` or `i64::MIN`, whatever its exponent.
    pub fn floor(self) -> i64 {
        match self.short_whole() {
            Some(value) => value,
            None => self.floor_of_any(),
        }
    }

    /// The number, where it is written as nothing but so few digits that they fit.
    fn short_whole(self) -> Option<i64> {
        if self.0.len() > 18 {
            return None;
        }
        self.0.bytes().try_fold(0_i64, |value, byte| {
            let digit = byte.wrapping_sub(b'0');
            (digit < 10).then(|| value.wrapping_mul(10).wrapping_add(i64::from(digit)))
        })
    }

    fn floor_of_any(self) -> i64 {
        let (negative, magnitude) = match self.0.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, self.0),
        };
        let (mantissa, exponent) = match magnitude.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, saturating_exponent(exponent)),
            None => (magnitude, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        // The digits before the decimal point once the exponent has moved it.
        let point = i64::try_from(whole.len())
            .unwrap_or(i64::MAX)
            .saturating_add(exponent);
        let mut value: i64 = 0;
        let mut remainder = false;
        let mut index: i64 = 0;
        for digit in whole.bytes().chain(fraction.bytes()) {
            let digit = i64::from(digit.wrapping_sub(b'0'));
            if index < point {
                value = value.saturating_mul(10).saturating_add(digit);
            } else if digit != 0 {
                remainder = true;
            }
            index = index.saturating_add(1);
        }
        // Zeros that the exponent adds behind the written digits; 19 of them overflow any digit.
        if value != 0 {
            let zeros = point.saturating_sub(index).clamp(0, 20);
            for _ in 0..zeros {
                value = value.saturating_mul(10);
            }
        }
        match (negative, remainder) {
            (false, _) => value,
            (true, false) if value == i64::MAX => i64::MIN,
            (true, false) => value.saturating_neg(),
            (true, true) => value.saturating_neg().saturating_sub(1),
        }
    }
}

/// A number as digits and the power of ten that the last of them is multiplied with.
struct Decimal<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    zeros_before: usize,
    /// How many digits there are between the zeros before and behind; 0 for zero.
    digits: usize,
    exponent: i64,
}

impl Decimal<'_> {
    fn significant(&self) -> impl Iterator<Item = u8> {
        self.whole
            .bytes()
            .chain(self.fraction.bytes())
            .skip(self.zeros_before)
            .take(self.digits)
    }
}

/// The exponent's digits, with an optional sign, held inside ±`i32::MAX`.
fn saturating_exponent(text: &str) -> i64 {
    let (negative, digits) = match text.as_bytes() {
        [b'-', ..] => (true, text.trim_start_matches('-')),
        [b'+', ..] => (false, text.trim_start_matches('+')),
        _ => (false, text),
    };
    let mut value: i64 = 0;
    for digit in digits.bytes() {
        value = value
            .saturating_mul(10)
            .saturating_add(i64::from(digit.wrapping_sub(b'0')))
            .min(i64::from(i32::MAX));
    }
    if negative {
        value.saturating_neg()
    } else {
        value
    }
}

struct Parser<'a> {
    text: &'a str,
    /// INVARIANT: on a character boundary of `text`, or behind its end.
    position: usize,
}

impl<'a> Parser<'a> {
    fn error(&self, kind: ErrorKind) -> Error {
        Error {
            kind,
            offset: self.position,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.position).copied()
    }

    /// Steps over a byte that was peeked at.
    fn advance(&mut self) {
        self.position = self.position.wrapping_add(1);
    }

    fn slice(&self, start: usize, end: usize) -> &'a str {
        self.text.get(start..end).unwrap_or_default()
    }

    fn span_from(&self, start: usize) -> Span {
        Span {
            start,
            end: self.position,
        }
    }

    /// The next byte that is no white space of RFC 8259 §2, to stand at. Tokens have no white space.
    #[inline]
    fn next(&mut self) -> Option<u8> {
        match self.peek() {
            Some(byte) if byte > b' ' => Some(byte),
            _ => self.skip_whitespace(),
        }
    }

    #[cold]
    fn skip_whitespace(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.advance();
        }
        self.peek()
    }

    /// The error for a byte that cannot stand here, or for the end of the text.
    fn unexpected(&self) -> Error {
        self.error(match self.peek() {
            Some(_) => ErrorKind::UnexpectedByte,
            None => ErrorKind::UnexpectedEnd,
        })
    }

    fn value(&mut self, depth: usize) -> Result<Value<'a>, Error> {
        let first = self.next();
        let start = self.position;
        let kind = match first {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.array(depth)?,
            Some(b'"') => Kind::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => Kind::Number(self.number()?),
            Some(b't') => self.literal("true", Kind::Bool(true))?,
            Some(b'f') => self.literal("false", Kind::Bool(false))?,
            Some(b'n') => self.literal("null", Kind::Null)?,
            _ => return Err(self.unexpected()),
        };
        Ok(Value {
            span: self.span_from(start),
            kind,
        })
    }

    fn literal(&mut self, word: &str, kind: Kind<'a>) -> Result<Kind<'a>, Error> {
        for expected in word.bytes() {
            if self.peek() != Some(expected) {
                return Err(self.unexpected());
            }
            self.advance();
        }
        Ok(kind)
    }

    fn deeper(&self, depth: usize) -> Result<usize, Error> {
        if depth >= MAX_DEPTH {
            return Err(self.error(ErrorKind::TooDeep));
        }
        Ok(depth.saturating_add(1))
    }

    fn array(&mut self, depth: usize) -> Result<Kind<'a>, Error> {
        let depth = self.deeper(depth)?;
        self.advance();
        let mut elements = Vec::new();
        if self.next() == Some(b']') {
            self.advance();
            return Ok(Kind::Array(elements));
        }
        loop {
            elements.push(self.value(depth)?);
            match self.next() {
                Some(b',') => self.advance(),
                Some(b']') => {
                    self.advance();
                    return Ok(Kind::Array(elements));
                }
                _ => return Err(self.unexpected()),
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Kind<'a>, Error> {
        let deeper = self.deeper(depth)?;
        self.advance();
        if self.next() == Some(b'}') {
            self.advance();
            return Ok(Kind::Object(Vec::new()));
        }
        let mut members: Vec<Member<'a>> = Vec::with_capacity(self.likely_members(depth));
        // A bit for each name so far. Names may share one.
        let mut names: u64 = 0;
        let mut may_repeat = false;
        loop {
            if self.next() != Some(b'"') {
                return Err(self.unexpected());
            }
            let start = self.position;
            let name = self.string()?;
            let name_span = self.span_from(start);
            if self.next() != Some(b':') {
                return Err(self.unexpected());
            }
            self.advance();
            let bit = name_bit(&name);
            if names & bit != 0 && !may_repeat {
                may_repeat =
                    members.len() > FEW_MEMBERS || members.iter().any(|member| member.name == name);
            }
            names |= bit;
            let value = self.value(deeper)?;
            members.push(Member {
                name,
                name_span,
                value,
            });
            match self.next() {
                Some(b',') => self.advance(),
                Some(b'}') => {
                    self.advance();
                    if may_repeat {
                        refuse_duplicates(&members)?;
                    }
                    return Ok(Kind::Object(members));
                }
                _ => return Err(self.unexpected()),
            }
        }
    }

    /// For how many members there is room from the start: for those of a usual token, as far as what is left of the
    /// text may have so many. Objects inside of others, of which there may be thousands, get no more than they need.
    fn likely_members(&self, depth: usize) -> usize {
        match depth {
            0 => (self.text.len().saturating_sub(self.position) / 16).clamp(1, 16),
            _ => 0,
        }
    }

    fn number(&mut self) -> Result<Number<'a>, Error> {
        let start = self.position;
        if self.peek() == Some(b'-') {
            self.advance();
        }
        match self.peek() {
            Some(b'0') => self.advance(),
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err(self.error(ErrorKind::InvalidNumber)),
        }
        if self.peek() == Some(b'.') {
            self.advance();
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.advance();
            if let Some(b'+' | b'-') = self.peek() {
                self.advance();
            }
            self.digits()?;
        }
        if let Some(b'0'..=b'9') = self.peek() {
            return Err(self.error(ErrorKind::InvalidNumber));
        }
        Ok(Number(self.slice(start, self.position)))
    }

    /// One digit or more.
    fn digits(&mut self) -> Result<(), Error> {
        let text = self.text.as_bytes();
        let rest = text.get(self.position..).unwrap_or_default();
        let no_digit = |byte: &u8| !byte.is_ascii_digit();
        let count = rest.iter().position(no_digit).unwrap_or(rest.len());
        if count == 0 {
            return Err(self.error(ErrorKind::InvalidNumber));
        }
        self.position = self.position.wrapping_add(count);
        Ok(())
    }

    /// A string, from its opening to behind its closing quote. Borrowed when it has no escape.
    fn string(&mut self) -> Result<Cow<'a, str>, Error> {
        self.advance();
        let run = self.unescaped();
        if self.peek() == Some(b'"') {
            self.advance();
            return Ok(Cow::Borrowed(run));
        }
        self.escaped_string(run).map(Cow::Owned)
    }

    /// The rest of a string of which `text` was read, up to where it is not borrowed any more.
    #[cold]
    fn escaped_string(&mut self, text: &str) -> Result<String, Error> {
        let mut text = String::from(text);
        loop {
            match self.peek() {
                None => return Err(self.error(ErrorKind::UnexpectedEnd)),
                Some(b'"') => {
                    self.advance();
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escape()?),
                Some(_) => return Err(self.error(ErrorKind::ControlCharacter)),
            }
            text.push_str(self.unescaped());
        }
    }

    /// What stands in a string up to its end, or to what is not taken as it is.
    fn unescaped(&mut self) -> &'a str {
        let rest = self.text.get(self.position..).unwrap_or_default();
        let count = scan::count_unescaped(rest.as_bytes());
        let run = rest.get(..count).unwrap_or_default();
        self.position = self.position.wrapping_add(run.len());
        run
    }

    /// An escape sequence, from its backslash on.
    fn escape(&mut self) -> Result<char, Error> {
        let invalid = self.error(ErrorKind::InvalidEscape);
        self.advance();
        let byte = self.peek().ok_or(self.error(ErrorKind::UnexpectedEnd))?;
        self.advance();
        Ok(match byte {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit = self.hex4().ok_or(invalid)?;
                let code = match unit {
                    0xd800..=0xdbff => self.low_surrogate(unit).ok_or(invalid)?,
                    other => other,
                };
                char::from_u32(code).ok_or(invalid)?
            }
            _ => return Err(invalid),
        })
    }

    /// The code point of `high` and the low surrogate that has to follow.
    fn low_surrogate(&mut self, high: u32) -> Option<u32> {
        for expected in *b"\\u" {
            if self.peek()? != expected {
                return None;
            }
            self.advance();
        }
        let low = self.hex4().filter(|low| (0xdc00..=0xdfff).contains(low))?;
        let high = high.checked_sub(0xd800)?.checked_mul(0x400)?;
        high.checked_add(low.checked_sub(0xdc00)?)?
            .checked_add(0x1_0000)
    }

    fn hex4(&mut self) -> Option<u32> {
        let mut value: u32 = 0;
        for _ in 0..4 {
            let digit = char::from(self.peek()?).to_digit(16)?;
            value = value.checked_mul(16)?.checked_add(digit)?;
            self.advance();
        }
        Some(value)
    }
}

/// How many members of an object are looked through for the name of the next one.
const FEW_MEMBERS: usize = 32;

/// One of 64 bits for a name, by its ends and its length. The members of usual headers, claims and keys do not share any.
fn name_bit(name: &str) -> u64 {
    let (first, last) = match name.as_bytes() {
        [] => (0, 0),
        [only] => (*only, *only),
        [first, .., last] => (*first, *last),
    };
    let mixed = usize::from(first)
        .wrapping_mul(37)
        .wrapping_add(usize::from(last).wrapping_mul(7))
        .wrapping_add(name.len());
    1 << (mixed % 64)
}

/// Refuses an object that has a name twice, in time that grows as n log n.
fn refuse_duplicates(members: &[Member<'_>]) -> Result<(), Error> {
    let mut names: Vec<(&str, usize)> = members
        .iter()
        .map(|member| (member.name.as_ref(), member.name_span.start))
        .collect();
    sort_by(&mut names, Ord::cmp);
    let twin = names
        .iter()
        .zip(names.iter().skip(1))
        .filter(|(left, right)| left.0 == right.0)
        .map(|(_, right)| right.1)
        .min();
    match twin {
        None => Ok(()),
        Some(offset) => Err(Error {
            kind: ErrorKind::DuplicateMember,
            offset,
        }),
    }
}

#[cfg(test)]
mod tests;
