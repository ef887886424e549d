//! JSON in front of people: read strictly, with errors that point into it, and printed so that it can
//! be read in a terminal.

use std::fmt::Write as _;

use nexus_core::json::{self, Kind, Span};
use nexus_core::policy::{Code, Diagnostic, Source};

use crate::exit::{Failure, Result};
use crate::output::is_invisible;

/// Parses a JSON text; `name` is how messages name where it comes from: `` `claims.json` ``.
///
/// # Errors
/// [`crate::exit::Blame::Input`], with file, line, column and the line itself. What is a secret there
/// (private members of a JWK) is not shown.
pub(crate) fn parse<'a>(name: &str, text: &'a str) -> Result<json::Value<'a>> {
    json::parse(text.as_bytes()).map_err(|error| {
        let span = Span {
            start: error.offset,
            end: error.offset.saturating_add(1),
        };
        let diagnostic = Diagnostic::error(Code::Syntax, span, "", error.kind.to_string());
        let report = Source::new(name.trim_matches('`'), text.as_bytes()).report(&diagnostic);
        Failure::input(format!("{name} is not valid JSON: {}", report.message))
            .excerpts(report.excerpts)
    })
}

/// The JSON text again, with line breaks and indentation; ends in a line break. Numbers stay as they were
/// written, and what a terminal would act upon is escaped.
///
/// The text has to be JSON that this program made: what is not comes back as it is.
pub(crate) fn prettify(text: &str) -> String {
    match json::parse(text.as_bytes()) {
        Ok(value) => pretty(&value, 0) + "\n",
        Err(_) => text.to_owned(),
    }
}

/// The value with line breaks and indentation, its first line not indented. What fits a line of
/// [`LINE`] characters and holds no object stays on one.
pub(crate) fn pretty(value: &json::Value<'_>, indent: usize) -> String {
    let inner = " ".repeat(indent + 2);
    let outer = " ".repeat(indent);
    match &value.kind {
        Kind::Array(elements) if !elements.is_empty() => {
            let flat = elements.iter().all(
                |element| !matches!(&element.kind, Kind::Object(members) if !members.is_empty()),
            );
            let line = escaped(&value.to_string()).replace("\",\"", "\", \"");
            if flat && indent + line.chars().count() <= LINE {
                return line;
            }
            let lines: Vec<String> = elements
                .iter()
                .map(|element| format!("{inner}{}", pretty(element, indent + 2)))
                .collect();
            format!("[\n{}\n{outer}]", lines.join(",\n"))
        }
        Kind::Object(members) if !members.is_empty() => {
            let lines: Vec<String> = members
                .iter()
                .map(|member| {
                    format!(
                        "{inner}{}: {}",
                        quoted(&member.name),
                        pretty(&member.value, indent + 2)
                    )
                })
                .collect();
            format!("{{\n{}\n{outer}}}", lines.join(",\n"))
        }
        _ => escaped(&value.to_string()),
    }
}

/// The longest line that an array is put on, in characters.
const LINE: usize = 80;

/// The text as a JSON string that a terminal shows as it is.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    // Writing to a string does not fail.
    let _ = json::write_string(&mut quoted, text);
    escaped(&quoted)
}

/// JSON with what a terminal would act upon escaped. Such characters occur in its strings only.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if is_invisible(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(character);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_json_is_the_same_document() {
        let text = r#"{"a":[1,2.50,[true]],"b":{"c":"x\u009b\u202e\ud83d\ude00\u0007"},"d":[{"e":null}],"f":[],"g":{},"h":["x","y"]}"#;
        let printed = prettify(text);
        assert_eq!(
            printed,
            "{\n  \"a\": [1,2.50,[true]],\n  \"b\": {\n    \"c\": \"x\\u009b\\u202e😀\\u0007\"\n  },\n  \"d\": [\n    {\n      \"e\": null\n    }\n  ],\n  \"f\": [],\n  \"g\": {},\n  \"h\": [\"x\", \"y\"]\n}\n"
        );
        assert_eq!(
            json::parse(text.as_bytes()).unwrap().to_string(),
            json::parse(printed.as_bytes()).unwrap().to_string()
        );
    }
}
