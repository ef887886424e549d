//! The structure of a policy: every field, type, word and number against the schema.
//!
//! All problems are collected, not only the first, so that an author repairs a policy in one go. What
//! this check accepts, serde accepts; a property test holds it to that.

use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::diagnostic::{Code, Diagnostic, Diagnostics, MAX_FINDINGS, quote, quote_list};
use super::form::POLICY_FIELDS;
use super::node::{Node, opening};
use super::schema::{Choice, Definition, Definitions, Field, JsonKind, Shape};
use super::suggest::{self, Resemblance};
use crate::json::{Kind, Member, Number};

/// Checks the structure of values against the definitions of the schema.
pub(super) struct Checker<'c> {
    definitions: &'c Definitions,
    found: &'c mut Diagnostics,
}

impl<'c> Checker<'c> {
    pub(super) fn new(definitions: &'c Definitions, found: &'c mut Diagnostics) -> Self {
        Self { definitions, found }
    }

    /// Checks a value against the definition `name`.
    pub(super) fn check(&mut self, node: &Node<'_, '_>, name: &str) {
        match self.definitions.get(name) {
            Some(Definition { shape, .. }) => self.shape(node, shape),
            None => self.found.push(Diagnostic::error(
                Code::Internal,
                node.span(),
                node.path(),
                format!("the schema does not define {}", quote(name)),
            )),
        }
    }

    // Recursion is bounded by the depth of the document (`json::MAX_DEPTH`): every step goes into a value but
    // those through references and unions, of which only a few follow each other (`schema::definitions`).
    fn shape(&mut self, node: &Node<'_, '_>, shape: &Shape) {
        match (shape, &node.value().kind) {
            (Shape::Reference(name), _) => self.check(node, name),
            (Shape::Union(choices), _) => match self.choice(node, choices) {
                Some(choice) => self.shape(node, &choice.shape),
                None => self.found.push(self.wrong_type(node, shape)),
            },
            (
                Shape::Object {
                    fields,
                    required,
                    open,
                },
                Kind::Object(members),
            ) => {
                if !*open {
                    self.unknown_fields(node, members, fields);
                    for (member, field) in members
                        .iter()
                        .filter_map(|member| Some((member, fields.get(member.name.as_ref())?)))
                    {
                        self.shape(&node.child(member), &field.shape);
                    }
                }
                self.missing_fields(node, members, fields, required);
            }
            (Shape::Map(values), Kind::Object(members)) => {
                for member in members {
                    self.shape(&node.child(member), values);
                }
            }
            (Shape::Array { items, min_items }, Kind::Array(elements)) => {
                if (elements.len() as u64) < *min_items {
                    self.found.push(short_list(node, *min_items));
                }
                for (index, _) in elements.iter().enumerate() {
                    if let Some(element) = node.element(index) {
                        self.shape(&element, items);
                    }
                }
            }
            (Shape::Integer { min, max }, Kind::Number(number)) => {
                self.integer(node, *number, *min..=*max)
            }
            (Shape::Enum(words), Kind::String(text)) => {
                if !words.iter().any(|(word, _)| word == text) {
                    self.found.push(unknown_word(node, text, words));
                }
            }
            (Shape::Text, Kind::String(_))
            | (Shape::Number, Kind::Number(_))
            | (Shape::Boolean, Kind::Bool(_)) => {}
            _ => self.found.push(self.wrong_type(node, shape)),
        }
    }

    /// The choice of a union for values of the kind of this one.
    fn choice<'s>(&self, node: &Node<'_, '_>, choices: &'s [Choice]) -> Option<&'s Choice> {
        let kind = kind(&node.value().kind)?;
        choices.iter().find(|choice| {
            let kinds = choice.shape.kinds(self.definitions);
            kinds.is_some_and(|kinds| kinds.contains(&kind))
        })
    }

    fn unknown_fields(
        &mut self,
        node: &Node<'_, '_>,
        members: &[Member<'_>],
        fields: &BTreeMap<String, Field>,
    ) {
        for member in members {
            if fields.contains_key(member.name.as_ref()) {
                continue;
            }
            // Beyond the limit findings are only counted: no need to look for what was meant.
            let hint = (self.found.errors.len() < MAX_FINDINGS)
                .then(|| self.unknown_field_hint(&member.name, fields));
            self.found.push(Diagnostic {
                hint,
                ..Diagnostic::error(
                    Code::UnknownField,
                    member.name_span,
                    node.child(member).path(),
                    format!("unknown field {}", quote(&member.name)),
                )
            });
        }
    }

    /// What was meant by an unknown field: a field here, a field elsewhere, or else what there is here.
    fn unknown_field_hint(&self, name: &str, fields: &BTreeMap<String, Field>) -> String {
        if let Some(near) = self.meant_field(name, fields) {
            let known = fields.keys().map(String::as_str);
            return match suggest::of_part(name, known).as_slice() {
                [] | [_] => suggest::meant(name, near),
                several => format!(
                    "did you mean one of {}?",
                    quote_list(several.iter().copied())
                ),
            };
        }
        if POLICY_FIELDS.contains(&name) && fields.contains_key("slug") {
            return format!(
                "{} belongs to a whole policy, which has its apps in `apps`",
                quote(name)
            );
        }
        let owners = self.owners(name);
        if !owners.is_empty() {
            return format!(
                "{} belongs into {}",
                quote(name),
                owners.into_iter().collect::<Vec<_>>().join(" or ")
            );
        }
        format!(
            "the fields here are {}",
            quote_list(fields.keys().map(String::as_str))
        )
    }

    /// The field of this object that an unknown one is meant as. What is the name of a field elsewhere is meant
    /// as such, unless a slip of the pen makes one of these of it.
    fn meant_field<'f>(&self, name: &str, fields: &'f BTreeMap<String, Field>) -> Option<&'f str> {
        match suggest::ranked(name, fields.keys().map(String::as_str))? {
            (Resemblance::Slip(_), near) => Some(near),
            (Resemblance::Beginning(_) | Resemblance::Part(_), near) => {
                self.owners(name).is_empty().then_some(near)
            }
        }
    }

    /// Where in a policy the field `name` may stand.
    fn owners(&self, name: &str) -> BTreeSet<String> {
        let has_field = |definition: &Definition| matches!(&definition.shape, Shape::Object { fields, .. } if fields.contains_key(name));
        let owners: BTreeSet<&str> = self
            .definitions
            .iter()
            .filter(|(_, definition)| has_field(definition))
            .map(|(owner, _)| owner.as_str())
            .collect();
        let mut places = BTreeSet::new();
        for definition in self.definitions.values() {
            let Shape::Object { fields, .. } = &definition.shape else {
                continue;
            };
            for (field, Field { shape, .. }) in fields {
                let name = quote(field);
                let place = match self.inside_of_unions(shape, &owners) {
                    Some(Container::Itself) => name,
                    Some(Container::Map) => format!("an entry of {name}"),
                    Some(Container::Array) => format!("an element of {name}"),
                    None => continue,
                };
                places.insert(place);
            }
        }
        places
    }

    /// How a value of this shape holds one of the definitions `wanted`: as a choice of its own, or as one of
    /// what it contains.
    fn inside_of_unions(&self, shape: &Shape, wanted: &BTreeSet<&str>) -> Option<Container> {
        match shape {
            Shape::Map(values) => self.is_any(values, wanted).then_some(Container::Map),
            Shape::Array { items, .. } => self.is_any(items, wanted).then_some(Container::Array),
            Shape::Union(choices) => choices
                .iter()
                .find_map(|choice| self.inside_of_unions(&choice.shape, wanted)),
            _ => self.is_any(shape, wanted).then_some(Container::Itself),
        }
    }

    /// Whether a shape is one of the definitions `wanted`, or has it as a choice.
    fn is_any(&self, shape: &Shape, wanted: &BTreeSet<&str>) -> bool {
        match shape {
            Shape::Reference(name) if wanted.contains(name.as_str()) => true,
            Shape::Reference(name) => match self.definitions.get(name) {
                Some(Definition {
                    shape: union @ Shape::Union(_),
                    ..
                }) => self.is_any(union, wanted),
                _ => false,
            },
            Shape::Union(choices) => choices
                .iter()
                .any(|choice| self.is_any(&choice.shape, wanted)),
            _ => false,
        }
    }

    fn missing_fields(
        &mut self,
        node: &Node<'_, '_>,
        members: &[Member<'_>],
        fields: &BTreeMap<String, Field>,
        required: &BTreeSet<String>,
    ) {
        for name in required {
            let is_here = members.iter().any(|member| member.name == name.as_str());
            // A misspelt name was reported as such.
            let is_misspelt = || {
                members.iter().take(MAX_FINDINGS).any(|member| {
                    !fields.contains_key(member.name.as_ref())
                        && suggest::nearest(&member.name, fields.keys().map(String::as_str))
                            == Some(name)
                })
            };
            if is_here || is_misspelt() {
                continue;
            }
            let meaning = fields
                .get(name)
                .map(|field| first_sentence(&field.description));
            self.found.push(Diagnostic {
                hint: meaning.map(|meaning| format!("{}: {meaning}", quote(name))),
                ..Diagnostic::error(
                    Code::MissingField,
                    opening(node.span()),
                    node.path(),
                    match node.is_root() {
                        true => format!("missing field {}", quote(name)),
                        false => format!("missing field {} in {}", quote(name), node.label()),
                    },
                )
            });
        }
    }

    fn integer(
        &mut self,
        node: &Node<'_, '_>,
        number: Number<'_>,
        range: core::ops::RangeInclusive<u64>,
    ) {
        let written = node.value().to_string();
        let name = node.label();
        let (code, message) = match number.as_u64() {
            Some(value) if range.contains(&value) => return,
            None if !written
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'-') =>
            {
                (
                    Code::WrongType,
                    format!(
                        "expected a whole number for {name}, found {}",
                        quote(&written)
                    ),
                )
            }
            _ => (
                Code::OutOfRange,
                format!("{name} cannot be {}", quote(&written)),
            ),
        };
        let hint = format!(
            "it may be from {} to {}{}",
            range.start(),
            range.end(),
            unit(node.name())
        );
        self.found
            .push(Diagnostic::error(code, node.span(), node.path(), message).with_hint(hint));
    }

    fn wrong_type(&self, node: &Node<'_, '_>, shape: &Shape) -> Diagnostic {
        let found = node.value().kind_name();
        let diagnostic = Diagnostic::error(
            Code::WrongType,
            node.opening(),
            node.path(),
            format!(
                "expected {} for {}, found {found}",
                self.expected(shape),
                node.label()
            ),
        );
        match self.type_hint(node, shape) {
            Some(hint) => diagnostic.with_hint(hint),
            None => diagnostic,
        }
    }

    /// What a shape is, in words that people use.
    fn expected(&self, shape: &Shape) -> String {
        if matches!(shape, Shape::Integer { .. }) {
            return "a whole number".to_owned();
        }
        let kinds = shape.kinds(self.definitions).unwrap_or_default();
        let is_single = kinds.len() == 1;
        let words: Vec<&str> = kinds
            .into_iter()
            .map(|kind| match kind {
                JsonKind::Object => "an object",
                JsonKind::Array => "an array",
                JsonKind::String => "a string",
                JsonKind::Number => "a number",
                JsonKind::Boolean if is_single => "`true` or `false`",
                JsonKind::Boolean => "a boolean",
            })
            .collect();
        match words.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
            _ => words.concat(),
        }
    }

    fn type_hint(&self, node: &Node<'_, '_>, shape: &Shape) -> Option<String> {
        match (shape, &node.value().kind) {
            (_, Kind::Null) => Some("a field without a value is left out".to_owned()),
            (Shape::Integer { .. } | Shape::Boolean, Kind::String(text)) => {
                let is_meant = match shape {
                    Shape::Boolean => matches!(text.as_ref(), "true" | "false"),
                    _ => {
                        !text.is_empty()
                            && text.len() < 20
                            && text.bytes().all(|byte| byte.is_ascii_digit())
                    }
                };
                is_meant.then(|| format!("write it without quotes: {}", quote(text)))
            }
            (Shape::Array { items, .. }, Kind::String(_))
                if matches!(**items, Shape::Text | Shape::Enum(_)) =>
            {
                Some("put it into brackets: `[\"…\"]`".to_owned())
            }
            (Shape::Enum(words), _) => Some(allowed(words)),
            (Shape::Text, Kind::Array(_)) if node.name() == Some("audience") => {
                Some("a list is written as `audiences`".to_owned())
            }
            _ => None,
        }
    }
}

fn short_list(node: &Node<'_, '_>, least: u64) -> Diagnostic {
    let error = |message| Diagnostic::error(Code::InvalidValue, node.span(), node.path(), message);
    match least {
        1 => error(format!("{} is empty", node.label()))
            .with_hint("name at least one, or leave the field out"),
        _ => error(format!("{} has fewer than {least} elements", node.label())),
    }
}

fn unknown_word(node: &Node<'_, '_>, text: &str, words: &[(String, String)]) -> Diagnostic {
    let names = words.iter().map(|(word, _)| word.as_str());
    let hint = match suggest::nearest(text, names) {
        Some(near) => suggest::meant(text, near),
        None => allowed(words),
    };
    Diagnostic::error(
        Code::InvalidValue,
        node.span(),
        node.path(),
        format!("{} cannot be {}", node.label(), quote(text)),
    )
    .with_hint(hint)
}

fn allowed(words: &[(String, String)]) -> String {
    let names = words.iter().map(|(word, _)| word.as_str());
    match words {
        [(only, _)] => format!("the only value is {}", quote(only)),
        _ => format!("the values are {}", quote_list(names)),
    }
}

/// The unit of a field, which its name ends in.
fn unit(name: Option<&str>) -> &'static str {
    match name {
        Some(name) if name.ends_with("_secs") => " seconds",
        Some(name) if name.ends_with("_ms") => " milliseconds",
        _ => "",
    }
}

/// How a field holds objects.
enum Container {
    Itself,
    Map,
    Array,
}

/// What JSON calls a value; `None` for `null`, which nothing of the language is.
const fn kind(kind: &Kind<'_>) -> Option<JsonKind> {
    match kind {
        Kind::Null => None,
        Kind::Bool(_) => Some(JsonKind::Boolean),
        Kind::Number(_) => Some(JsonKind::Number),
        Kind::String(_) => Some(JsonKind::String),
        Kind::Array(_) => Some(JsonKind::Array),
        Kind::Object(_) => Some(JsonKind::Object),
    }
}

/// The first sentence of a description, without its period and as it stands behind a colon.
fn first_sentence(description: &str) -> String {
    let sentence = description.split(['\n']).next().unwrap_or_default();
    let end = sentence.find(". ").unwrap_or(sentence.len());
    let sentence = sentence
        .get(..end)
        .unwrap_or_default()
        .trim_end_matches('.');
    let mut characters = sentence.chars();
    match characters.next() {
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => String::new(),
    }
}
