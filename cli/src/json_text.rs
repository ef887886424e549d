//! JSON in front of people: read strictly, with errors that point into it, and printed so that it can
//! be read in a terminal.

use std::fmt::Write as _;
use std::ops::Range;

use nexus_core::json::{self, Kind};

use crate::exit::{Failure, Result};
use crate::output::{is_invisible, visible};

/// Parses a JSON text that `name` (as messages name it: `claims.json`) holds.
///
/// # Errors
/// [`crate::exit::Blame::Input`], with file, line, column and the line itself.
pub(crate) fn parse<'a>(name: &str, text: &'a str) -> Result<json::Value<'a>> {
    json::parse(text.as_bytes()).map_err(|error| {
        let place = Place::of(text, error.offset..error.offset + 1);
        Failure::input(format!("{name} is not valid JSON: {}", error.kind))
            .evidence(place.render(name))
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

/// A place in a text: line and column count from 1, the column in characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Counts from 1.
    pub(crate) line: usize,
    /// Counts from 1, in characters.
    pub(crate) column: usize,
    /// The text of the line before, in and behind the place.
    before: String,
    marked: String,
    behind: String,
}

/// How much of a line is shown on either side of the place, in characters.
const CONTEXT: usize = 60;

impl Place {
    /// The place of these bytes, as far as they reach on their first line.
    pub(crate) fn of(text: &str, range: Range<usize>) -> Self {
        let start = floor_boundary(text, range.start);
        let end = ceil_boundary(text, range.end.max(start));
        let (head, tail) = text.split_at(start);
        let line_start = head.rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = tail.find('\n').map_or(text.len(), |offset| start + offset);
        let end = end.min(line_end).max(start);
        let before = &text[line_start..start];
        Self {
            line: head.matches('\n').count() + 1,
            column: before.chars().count() + 1,
            before: last_characters(before),
            marked: text[start..end].trim_end_matches('\r').to_owned(),
            behind: first_characters(text[end..line_end].trim_end_matches('\r')),
        }
    }

    /// `--> name:line:column`, the line, and carets below the place.
    pub(crate) fn render(&self, name: &str) -> String {
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let before = visible(&self.before);
        let marked = visible(&self.marked);
        let gap = " ".repeat(before.chars().count());
        let carets = "^".repeat(marked.chars().count().max(1));
        let name = name.trim_matches('`');
        format!(
            "{margin}--> {name}:{}:{}\n{margin} |\n{number} | {before}{marked}{}\n{margin} | {gap}{carets}",
            self.line,
            self.column,
            visible(&self.behind),
        )
    }
}

fn floor_boundary(text: &str, offset: usize) -> usize {
    (0..=offset.min(text.len()))
        .rev()
        .find(|&candidate| text.is_char_boundary(candidate))
        .unwrap_or(0)
}

fn ceil_boundary(text: &str, offset: usize) -> usize {
    (offset..text.len())
        .find(|&candidate| text.is_char_boundary(candidate))
        .unwrap_or(text.len())
}

fn last_characters(text: &str) -> String {
    let count = text.chars().count();
    if count <= CONTEXT {
        return text.to_owned();
    }
    let kept: String = text.chars().skip(count - CONTEXT).collect();
    format!("…{kept}")
}

fn first_characters(text: &str) -> String {
    if text.chars().count() <= CONTEXT {
        return text.to_owned();
    }
    let kept: String = text.chars().take(CONTEXT).collect();
    format!("{kept}…")
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

    #[test]
    fn a_place_is_shown_with_its_line() {
        let text = "{\n  \"á\": tru,\n}\n";
        let offset = text.find("tru").unwrap();
        let place = Place::of(text, offset..offset + 3);
        assert_eq!((place.line, place.column), (2, 8));
        assert_eq!(
            place.render("`claims.json`"),
            " --> claims.json:2:8\n  |\n2 |   \"á\": tru,\n  |        ^^^"
        );
    }

    #[test]
    fn the_end_of_the_text_is_a_place() {
        let place = Place::of("{", 1..2);
        assert_eq!(place.render("x"), " --> x:1:2\n  |\n1 | {\n  |  ^");
        assert_eq!(
            Place::of("", 5..9).render("x"),
            " --> x:1:1\n  |\n1 | \n  | ^"
        );
        let inside = Place::of("é", 1..1);
        assert_eq!((inside.line, inside.column), (1, 1));
    }
}
