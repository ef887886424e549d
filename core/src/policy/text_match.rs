//! A condition on a text: what a policy writes, and whether it can be meant.

use alloc::format;
use alloc::string::{String, ToString};

use super::compiler::Compiler;
use super::diagnostic::{Code, Diagnostic, is_unprintable, quote, quote_list};
use super::node::Node;
use super::source;
use super::value::Fault;
use crate::config::{MAX_TEXT_MATCH_BYTES, TextMatch, TextMatchKind};
use crate::regex::{Regex, RegexError};

/// The fields that say how a text is compared, of which a condition has one.
pub(super) const TEXT_MATCH_FIELDS: [&str; 5] = ["exact", "prefix", "suffix", "contains", "regex"];

impl Compiler<'_> {
    /// Compiles a condition; `None` when something is wrong with it, which was reported.
    pub(super) fn text_match(
        &mut self,
        node: &Node<'_, '_>,
        condition: &source::TextMatch,
    ) -> Option<TextMatch> {
        match condition {
            source::TextMatch::Exact(text) => {
                self.text_of_condition(node, TextMatchKind::Exact, text, false)
            }
            source::TextMatch::Condition(condition) => {
                let compiled = self.text_condition(node, condition)?;
                if compiled.is_none() {
                    self.no_comparison(node, &TEXT_MATCH_FIELDS);
                }
                compiled
            }
        }
    }

    /// Compiles the fields of a condition that stand in an object, perhaps beside others. The inner `None`
    /// is for an object that has none of them; the outer one for what was reported.
    pub(super) fn text_condition(
        &mut self,
        node: &Node<'_, '_>,
        condition: &source::TextCondition,
    ) -> Option<Option<TextMatch>> {
        let mut given = [
            (TextMatchKind::Exact, "exact", &condition.exact),
            (TextMatchKind::Prefix, "prefix", &condition.prefix),
            (TextMatchKind::Suffix, "suffix", &condition.suffix),
            (TextMatchKind::Contains, "contains", &condition.contains),
            (TextMatchKind::Regex, "regex", &condition.regex),
        ]
        .into_iter()
        .filter_map(|(kind, name, text)| Some((kind, node.field(name)?, text.as_ref()?)));
        let Some((kind, field, text)) = given.next() else {
            if let (true, Some(field)) = (condition.ignore_case, node.field("ignore_case")) {
                let message = "`ignore_case` has nothing to compare".to_string();
                self.error(
                    Code::Contradiction,
                    &field,
                    message,
                    Some(format!("write one of {}", quote_list(TEXT_MATCH_FIELDS))),
                );
                return None;
            }
            return Some(None);
        };
        let mut is_single = true;
        for (_, other, _) in given {
            let message = format!(
                "{} and {} cannot stand together: a condition compares in one way",
                field.label(),
                other.label()
            );
            self.contradiction(&other, &field, message, None);
            is_single = false;
        }
        let compiled = self.text_of_condition(&field, kind, text, condition.ignore_case)?;
        is_single.then_some(Some(compiled))
    }

    /// Reports an object that does not say how to compare.
    pub(super) fn no_comparison(&mut self, node: &Node<'_, '_>, fields: &[&str]) {
        let error = Diagnostic::error(
            Code::MissingField,
            node.opening(),
            node.path(),
            format!("no condition in {}", node.label()),
        );
        let hint = format!("write one of {}", quote_list(fields.iter().copied()));
        self.found.push(error.with_hint(hint));
    }

    fn text_of_condition(
        &mut self,
        node: &Node<'_, '_>,
        kind: TextMatchKind,
        text: &str,
        ignore_case: bool,
    ) -> Option<TextMatch> {
        self.parsed(node, text, |text| match kind {
            TextMatchKind::Regex => check_regex(text, ignore_case),
            _ => check_compared(text),
        })?;
        Some(TextMatch {
            kind,
            text: text.into(),
            ignore_case,
        })
    }
}

/// A text that others are compared with.
fn check_compared(text: &str) -> Result<(), Fault> {
    if text.is_empty() {
        return Err(Fault::new("is empty"));
    }
    if text.len() > MAX_TEXT_MATCH_BYTES {
        return Err(too_long());
    }
    if let Some(hidden) = text.chars().find(|character| is_unprintable(*character)) {
        return Err(Fault::new(format!(
            "has the invisible character U+{:04X}",
            u32::from(hidden)
        )));
    }
    Ok(())
}

/// A regular expression.
pub(super) fn check_regex(text: &str, ignore_case: bool) -> Result<(), Fault> {
    if text.is_empty() {
        return Err(Fault::new("is empty").hint("`.*` is any text, `.+` any but the empty one"));
    }
    let error = match Regex::new(text, ignore_case) {
        Ok(_) => return Ok(()),
        Err(RegexError::TooLong) => return Err(too_long()),
        Err(error) => error,
    };
    let fault = Fault::new(format!("is no regular expression: {error}"));
    Err(match hint(error) {
        Some(hint) => fault.hint(hint),
        None => fault,
    })
}

fn too_long() -> Fault {
    Fault::new(format!("is longer than {MAX_TEXT_MATCH_BYTES} bytes"))
}

/// What to write instead.
fn hint(error: RegexError) -> Option<String> {
    Some(match error {
        RegexError::UnknownEscape {
            escaped: Some('p' | 'P'),
            ..
        } => "write the characters as a class, such as `[A-Za-z]`".into(),
        RegexError::UnknownEscape {
            escaped: Some('Z'), ..
        } => format!("write {}", quote("\\z")),
        RegexError::UnknownGroup { .. } => {
            "RE2 has no look-around and no back-references; it matches in linear time".into()
        }
        RegexError::TooLarge => "repetitions are written out: make their numbers smaller".into(),
        _ => return None,
    })
}
