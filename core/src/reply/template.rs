//! Texts of a policy with places where something about a refusal is put in.
//!
//! What may be put in is a closed list, and none of it comes from the request but
//! [`Substitution::ReturnTo`]. Whatever is put in is escaped for the place where it stands, here and
//! nowhere else.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use serde::Serialize;

use crate::json::Value;
use crate::read::{Read, ReadError, read_variant, read_word};

/// A text with substitutions, as a list of its parts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Template(Vec<Part>);

impl Read for Template {
    fn read(value: &Value<'_>) -> Result<Self, ReadError> {
        Read::read(value).map(Self)
    }
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Text that stays as it is.
    Text(String),
    /// What is put in.
    Value(Substitution),
}

read_variant!(Part { "text" => Text, "value" => Value });

/// What may be put into a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Substitution {
    /// The stable code of the refusal.
    Reason,
    /// The status of the refusal, in digits.
    Status,
    /// The text of the refusal, Envoy's where it has one.
    Message,
    /// The slug of the app; empty where no app matched.
    App,
    /// The URL of the request without tokens, in percent-encoding. Only in the URL of a redirect.
    ReturnTo,
}

read_word!(Substitution);

impl Substitution {
    /// All that there is.
    pub const ALL: [Self; 5] = [
        Self::Reason,
        Self::Status,
        Self::Message,
        Self::App,
        Self::ReturnTo,
    ];

    /// How a template names it: `reason` for `${reason}`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reason => "reason",
            Self::Status => "status",
            Self::Message => "message",
            Self::App => "app",
            Self::ReturnTo => "return_to",
        }
    }
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplateError {
    /// A `${` without its `}`.
    Unclosed,
    /// `${…}` with a name that stands for nothing.
    Unknown {
        /// The name.
        name: String,
    },
}

/// How values are escaped for the place where they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escape {
    /// Not at all: the place has no syntax.
    Plain,
    /// For the inside of a JSON string (RFC 8259 §7).
    Json,
    /// For text and quoted attributes of HTML and XML.
    Html,
    /// Percent-encoding of everything that is not unreserved (RFC 3986 §2.3).
    Percent,
    /// For the value of a header (RFC 9110 §5.5): whatever may not stand there is left out.
    Header,
}

/// The values of a refusal.
#[derive(Debug, Clone, Copy)]
pub struct Values<'v> {
    /// The stable code.
    pub reason: &'v str,
    /// The status.
    pub status: u16,
    /// The text.
    pub message: &'v str,
    /// The slug of the app.
    pub app: &'v str,
    /// The URL of the request, in percent-encoding.
    pub return_to: &'v str,
}

impl Template {
    /// Reads a text: `${name}` is a substitution, `$${` stands for `${` itself.
    ///
    /// # Errors
    /// [`TemplateError`] for the first `${` that is no substitution.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once("${") {
            if let Some(before) = before.strip_suffix('$') {
                literal.push_str(before);
                literal.push_str("${");
                rest = behind;
                continue;
            }
            literal.push_str(before);
            let (name, behind) = behind.split_once('}').ok_or(TemplateError::Unclosed)?;
            let value = Substitution::ALL
                .into_iter()
                .find(|substitution| substitution.name() == name)
                .ok_or_else(|| TemplateError::Unknown { name: name.into() })?;
            if !literal.is_empty() {
                parts.push(Part::Text(core::mem::take(&mut literal)));
            }
            parts.push(Part::Value(value));
            rest = behind;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Self(parts))
    }

    /// The parts, in order.
    pub fn parts(&self) -> &[Part] {
        &self.0
    }

    /// Whether something of this kind is put in.
    pub fn has(&self, substitution: Substitution) -> bool {
        self.0.contains(&Part::Value(substitution))
    }

    /// The text with the values in their places.
    pub fn render(&self, values: &Values<'_>, escape: Escape) -> String {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Value(Substitution::Reason) => escape.push(&mut out, values.reason),
                Part::Value(Substitution::Status) => {
                    // Digits need no escape; writing to a `String` does not fail.
                    let _ = write!(out, "{}", values.status);
                }
                Part::Value(Substitution::Message) => escape.push(&mut out, values.message),
                Part::Value(Substitution::App) => escape.push(&mut out, values.app),
                // It is in percent-encoding already, which every place takes as it is.
                Part::Value(Substitution::ReturnTo) => out.push_str(values.return_to),
            }
        }
        out
    }
}

impl Escape {
    /// How values are escaped in a body of this content type.
    pub fn for_content_type(content_type: &str) -> Self {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let Some((_, subtype)) = essence.split_once('/') else {
            return Self::Plain;
        };
        let suffix = subtype.rsplit('+').next().unwrap_or_default();
        match suffix {
            _ if suffix.eq_ignore_ascii_case("json") => Self::Json,
            _ if suffix.eq_ignore_ascii_case("html") || suffix.eq_ignore_ascii_case("xml") => {
                Self::Html
            }
            _ => Self::Plain,
        }
    }

    fn push(self, out: &mut String, text: &str) {
        match self {
            Self::Plain => out.push_str(text),
            Self::Json => push_json(out, text),
            Self::Html => text.chars().for_each(|character| match character {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '"' => out.push_str("&quot;"),
                '\'' => out.push_str("&#39;"),
                other => out.push(other),
            }),
            Self::Percent => push_percent(out, text.as_bytes()),
            Self::Header => {
                out.extend(
                    text.chars()
                        .filter(|character| matches!(character, ' '..='~')),
                );
            }
        }
    }
}

/// The inside of a JSON string. `<`, `>` and `&` are escaped too, so that it may stand in a page.
fn push_json(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{0}'..='\u{1f}' | '\u{7f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            other => out.push(other),
        }
    }
}

/// Percent-encodes everything but letters, digits, `-`, `.`, `_` and `~` (RFC 3986 §2.3).
pub(super) fn push_percent(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(*byte));
            }
            other => {
                let _ = write!(out, "%{other:02X}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn values() -> Values<'static> {
        Values {
            reason: "token_expired",
            status: 401,
            message: "<\"it's\" \\ & \u{1}\u{2028}é>",
            app: "orders",
            return_to: "https%3A%2F%2Fa.test%2F",
        }
    }

    #[test]
    fn texts_are_read_into_their_parts() {
        use Part::{Text, Value};
        for (text, parts) in [
            ("", vec![]),
            (
                "no substitution, $5 and {braces}",
                vec![Text("no substitution, $5 and {braces}".into())],
            ),
            ("${reason}", vec![Value(Substitution::Reason)]),
            (
                "a${status}${app}b",
                vec![
                    Text("a".into()),
                    Value(Substitution::Status),
                    Value(Substitution::App),
                    Text("b".into()),
                ],
            ),
            ("$${reason}", vec![Text("${reason}".into())]),
            (
                "`$${x}` $${ ${message}$",
                vec![
                    Text("`${x}` ${ ".into()),
                    Value(Substitution::Message),
                    Text("$".into()),
                ],
            ),
            ("$$${reason}", vec![Text("$${reason}".into())]),
            ("${return_to}", vec![Value(Substitution::ReturnTo)]),
        ] {
            assert_eq!(Template::parse(text).unwrap().parts(), parts, "{text}");
        }
    }

    #[test]
    fn what_stands_for_nothing_is_refused() {
        for (text, error) in [
            ("${reason", TemplateError::Unclosed),
            ("a ${", TemplateError::Unclosed),
            ("${}", TemplateError::Unknown { name: "".into() }),
            (
                "${ reason }",
                TemplateError::Unknown {
                    name: " reason ".into(),
                },
            ),
            (
                "${Reason}",
                TemplateError::Unknown {
                    name: "Reason".into(),
                },
            ),
            (
                "${path}",
                TemplateError::Unknown {
                    name: "path".into(),
                },
            ),
            (
                "${a${reason}}",
                TemplateError::Unknown {
                    name: "a${reason".into(),
                },
            ),
        ] {
            assert_eq!(Template::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn values_are_escaped_for_their_place() {
        let template = Template::parse("<${message}>").unwrap();
        for (escape, expected) in [
            (Escape::Plain, "<<\"it's\" \\ & \u{1}\u{2028}é>>"),
            (
                Escape::Json,
                "<\\u003c\\\"it's\\\" \\\\ \\u0026 \\u0001\\u2028é\\u003e>",
            ),
            (
                Escape::Html,
                "<&lt;&quot;it&#39;s&quot; \\ &amp; \u{1}\u{2028}é&gt;>",
            ),
            (
                Escape::Percent,
                "<%3C%22it%27s%22%20%5C%20%26%20%01%E2%80%A8%C3%A9%3E>",
            ),
            (Escape::Header, "<<\"it's\" \\ & >>"),
        ] {
            assert_eq!(template.render(&values(), escape), expected, "{escape:?}");
        }
        let all = Template::parse("${reason} ${status} ${app} ${return_to}").unwrap();
        assert_eq!(
            all.render(&values(), Escape::Percent),
            "token_expired 401 orders https%3A%2F%2Fa.test%2F"
        );
    }

    #[test]
    fn a_content_type_says_how_values_are_escaped() {
        for (content_type, escape) in [
            ("text/plain", Escape::Plain),
            ("text/plain; charset=utf-8", Escape::Plain),
            ("text/html", Escape::Html),
            ("TEXT/HTML; charset=utf-8", Escape::Html),
            ("application/xhtml+xml", Escape::Html),
            ("image/svg+XML", Escape::Html),
            ("text/xml;charset=utf-8", Escape::Html),
            ("application/json", Escape::Json),
            ("application/problem+json; charset=utf-8", Escape::Json),
            ("application/jsonp", Escape::Plain),
            ("json", Escape::Plain),
            ("", Escape::Plain),
        ] {
            assert_eq!(
                Escape::for_content_type(content_type),
                escape,
                "{content_type}"
            );
        }
    }
}
