//! Conditions of a route on headers and on parameters of the query.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::compiler::Compiler;
use super::diagnostic::{Code, Diagnostic, quote};
use super::http;
use super::node::Node;
use super::source::{self, MAX_CONDITIONS, TextCondition};
use super::text_match::TEXT_MATCH_FIELDS;
use super::value::{self, Fault};
use crate::config::{Condition, ConditionTest, TextMatchKind};

/// A condition as a policy has it, whatever it is on.
struct Written<'s> {
    name: &'s str,
    present: Option<bool>,
    invert: bool,
    text: &'s TextCondition,
}

/// What a list of conditions is on.
#[derive(Clone, Copy)]
enum Subject {
    Header,
    Parameter,
}

impl Compiler<'_> {
    /// Compiles the conditions of a route on headers, in order; `None` when something is wrong with one.
    pub(super) fn header_conditions(
        &mut self,
        node: &Node<'_, '_>,
        route: &source::Route,
    ) -> Option<Vec<Condition>> {
        let written = route.headers.iter().map(|condition| Written {
            name: &condition.name,
            present: condition.present,
            invert: condition.invert,
            text: &condition.text,
        });
        self.conditions(node.field("headers"), Subject::Header, written)
    }

    /// Compiles the conditions of a route on the query, in order; `None` when something is wrong with one.
    pub(super) fn query_conditions(
        &mut self,
        node: &Node<'_, '_>,
        route: &source::Route,
    ) -> Option<Vec<Condition>> {
        let written = route.query.iter().map(|condition| Written {
            name: &condition.name,
            present: condition.present,
            invert: condition.invert,
            text: &condition.text,
        });
        self.conditions(node.field("query"), Subject::Parameter, written)
    }

    fn conditions<'s>(
        &mut self,
        list: Option<Node<'_, '_>>,
        subject: Subject,
        written: impl Iterator<Item = Written<'s>>,
    ) -> Option<Vec<Condition>> {
        let Some(list) = list else {
            return Some(Vec::new());
        };
        let mut compiled: Vec<(Condition, Node<'_, '_>)> = Vec::new();
        let mut is_valid = true;
        for (index, (element, written)) in list.elements().zip(written).enumerate() {
            if index == MAX_CONDITIONS {
                let message = format!("{} has more than {MAX_CONDITIONS} elements", list.label());
                self.error(Code::OutOfRange, &element, message, None);
                return None;
            }
            match self.condition(&element, subject, &written) {
                Some(condition) if self.goes_with(&condition, &element, &compiled) => {
                    compiled.push((condition, element));
                }
                _ => is_valid = false,
            }
        }
        let mut conditions: Vec<Condition> = compiled
            .into_iter()
            .map(|(condition, _)| condition)
            .collect();
        // All of them have to hold, in whatever order: the same ones are one configuration.
        conditions.sort();
        is_valid.then_some(conditions)
    }

    fn condition(
        &mut self,
        node: &Node<'_, '_>,
        subject: Subject,
        written: &Written<'_>,
    ) -> Option<Condition> {
        let name = node.field("name").and_then(|field| {
            self.parsed(&field, written.name, |name| match subject {
                Subject::Header => http::parse_condition_header(name),
                Subject::Parameter => parse_parameter(name),
            })
        });
        let text = self.text_condition(node, written.text)?;
        let present = node.field("present");
        let compared = TEXT_MATCH_FIELDS.iter().find_map(|field| node.field(field));
        if let (Some(present), Some(compared)) = (&present, &compared) {
            let message = format!(
                "`present` and {} cannot stand together: a condition is of one kind",
                compared.label()
            );
            let hint = "what is compared has to be there anyway; leave `present` out";
            self.contradiction(present, compared, message, Some(hint.into()));
            return None;
        }
        if let (Some(invert), None) = (node.field("invert").filter(|_| written.invert), &compared) {
            let message = "`invert` has no comparison to invert".into();
            let hint = "that something must not be there is written `\"present\": false`";
            self.error(Code::Contradiction, &invert, message, Some(hint.into()));
            return None;
        }
        let test = match (text, written.present) {
            (Some(text), _) if written.invert => ConditionTest::Differs(text),
            (Some(text), _) => ConditionTest::Matches(text),
            (None, Some(true)) => ConditionTest::Present,
            (None, Some(false)) => ConditionTest::Absent,
            (None, None) => {
                let mut fields = Vec::from(["present"]);
                fields.extend(TEXT_MATCH_FIELDS);
                self.no_comparison(node, &fields);
                return None;
            }
        };
        Some(Condition { name: name?, test })
    }

    /// Whether a condition can hold together with those before it, and says something that they do not;
    /// otherwise it is reported.
    fn goes_with(
        &mut self,
        condition: &Condition,
        node: &Node<'_, '_>,
        others: &[(Condition, Node<'_, '_>)],
    ) -> bool {
        let same_name = others
            .iter()
            .filter(|(other, _)| other.name == condition.name);
        for (other, first) in same_name {
            let (code, message) = if other == condition {
                let message = format!(
                    "the condition on {} is in the list twice",
                    quote(&condition.name)
                );
                (Code::Duplicate, message)
            } else if exclude(&condition.test, &other.test) {
                let message = format!(
                    "two conditions on {} never hold together",
                    quote(&condition.name)
                );
                (Code::Contradiction, message)
            } else {
                continue;
            };
            let error = Diagnostic::error(code, node.opening(), node.path(), message);
            self.found
                .push(error.with_place(first.opening(), "the first is here"));
            return false;
        }
        true
    }
}

/// Whether no header or parameter fulfils both, as far as that is plain to see.
fn exclude(one: &ConditionTest, other: &ConditionTest) -> bool {
    match (one, other) {
        (ConditionTest::Absent, _) | (_, ConditionTest::Absent) => true,
        (ConditionTest::Matches(one), ConditionTest::Differs(other))
        | (ConditionTest::Differs(other), ConditionTest::Matches(one)) => one == other,
        (ConditionTest::Matches(one), ConditionTest::Matches(other)) => {
            let is_same = match one.ignore_case || other.ignore_case {
                true => one.text.eq_ignore_ascii_case(&other.text),
                false => one.text == other.text,
            };
            one.kind == TextMatchKind::Exact && other.kind == TextMatchKind::Exact && !is_same
        }
        _ => false,
    }
}

/// The name of a parameter of a query, decoded.
fn parse_parameter(name: &str) -> Result<String, Fault> {
    value::check_text(name)?;
    if name.contains('%') {
        return Err(Fault::new("has a `%`, and names are written decoded")
            .hint("write the character that is meant"));
    }
    if let Some(separator) = name.chars().find(|character| "&=;#".contains(*character)) {
        return Err(Fault::new(format!(
            "has {} in it, which separates parameters",
            quote(separator.encode_utf8(&mut [0; 4]))
        )));
    }
    Ok(name.into())
}
