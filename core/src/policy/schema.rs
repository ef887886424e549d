//! The JSON Schema of the policy language, and the same as a tree to walk.
//!
//! The schema is generated from the types in [`source`] and is the one truth about which
//! fields exist, of which type they are, which have to be there and what they mean: the check, the reference
//! and the published schema are all read from it. What it cannot say, the compiler checks.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::source;

/// The name under which the schema defines a whole policy.
pub(super) const POLICY: &str = "Policy";
/// The name under which the schema defines a single app.
pub(super) const APP: &str = "App";

/// What a value may be.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    Object {
        fields: BTreeMap<String, Field>,
        required: BTreeSet<String>,
        /// Whether members that no field names are left alone.
        open: bool,
    },
    Map(Box<Shape>),
    Array {
        items: Box<Shape>,
        min_items: u64,
    },
    Text,
    Integer {
        min: u64,
        max: u64,
    },
    /// Any number; its text is read from the document, since no type of Rust holds every number.
    Number,
    Boolean,
    /// One of these words; each with what it means.
    Enum(Vec<(String, String)>),
    /// What the schema defines under this name.
    Reference(String),
    /// One of these, told apart by the kind of the value alone.
    // INVARIANT: no two choices have a kind in common, which `definitions` sees to.
    Union(Vec<Choice>),
}

/// One choice of a [`Shape::Union`].
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Choice {
    pub(super) shape: Shape,
    pub(super) description: String,
}

/// What JSON tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JsonKind {
    Object,
    Array,
    String,
    Number,
    Boolean,
}

/// A field of an object.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    pub(super) shape: Shape,
    pub(super) description: String,
    pub(super) default: Option<Value>,
}

/// What the schema defines under a name.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Definition {
    pub(super) shape: Shape,
    pub(super) description: String,
}

/// Everything that the schema defines, by name.
pub(super) type Definitions = BTreeMap<String, Definition>;

/// How many references and unions may lead from one to the next before a value has to come.
const MAX_STEPS: usize = 8;

impl Shape {
    /// The kinds of JSON values that have this shape, in the order of the schema. `None` when references go round
    /// in a circle or lead nowhere, or when a value of one kind may have two shapes.
    pub(super) fn kinds(&self, definitions: &Definitions) -> Option<Vec<JsonKind>> {
        let mut kinds = Vec::new();
        self.collect_kinds(definitions, MAX_STEPS, &mut kinds)?;
        Some(kinds)
    }

    fn collect_kinds(
        &self,
        definitions: &Definitions,
        steps: usize,
        kinds: &mut Vec<JsonKind>,
    ) -> Option<()> {
        let steps = steps.checked_sub(1)?;
        let kind = match self {
            Self::Reference(name) => {
                return definitions
                    .get(name)?
                    .shape
                    .collect_kinds(definitions, steps, kinds);
            }
            Self::Union(choices) => {
                return choices
                    .iter()
                    .try_for_each(|choice| choice.shape.collect_kinds(definitions, steps, kinds));
            }
            Self::Object { .. } | Self::Map(_) => JsonKind::Object,
            Self::Array { .. } => JsonKind::Array,
            Self::Text | Self::Enum(_) => JsonKind::String,
            Self::Integer { .. } | Self::Number => JsonKind::Number,
            Self::Boolean => JsonKind::Boolean,
        };
        if kinds.contains(&kind) {
            return None;
        }
        kinds.push(kind);
        Some(())
    }

    /// Whether every shape inside of this one has kinds.
    fn is_sound(&self, definitions: &Definitions) -> bool {
        let is_sound = |shape: &Self| shape.is_sound(definitions);
        self.kinds(definitions).is_some()
            && match self {
                Self::Object { fields, .. } => fields.values().all(|field| is_sound(&field.shape)),
                Self::Map(values) => is_sound(values),
                Self::Array { items, .. } => is_sound(items),
                Self::Union(choices) => choices.iter().all(|choice| is_sound(&choice.shape)),
                _ => true,
            }
    }
}

/// The definitions of the schema; `None` if it says something that [`Shape`] has no word for, which a test
/// rules out.
pub(super) fn definitions() -> Option<Definitions> {
    definitions_of(&generated())
}

fn definitions_of(generated: &Map<String, Value>) -> Option<Definitions> {
    let definitions: Definitions = generated
        .iter()
        .map(|(name, schema)| {
            let definition = Definition {
                shape: shape(schema)?,
                description: text(schema, "description"),
            };
            Some((name.clone(), definition))
        })
        .collect::<Option<_>>()?;
    definitions
        .values()
        .all(|definition| definition.shape.is_sound(&definitions))
        .then_some(definitions)
}

/// The JSON Schema (2020-12) of a policy, for editors; ends in a line feed.
pub fn schema() -> String {
    let document = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Nexus policy",
        "description": "A whole policy, which has `apps`, or a single app.",
        "type": "object",
        "if": { "required": ["apps"] },
        "then": { "$ref": "#/$defs/Policy" },
        "else": { "$ref": "#/$defs/App" },
        "$defs": generated(),
    });
    let mut text = String::new();
    write_pretty(&mut text, &document, 0);
    text.push('\n');
    text
}

/// What schemars makes of the types, in one form: no `null`, no line breaks inside of paragraphs.
fn generated() -> Map<String, Value> {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    generator.subschema_for::<source::Policy>();
    generator.subschema_for::<source::App>();
    simplified(&mut generator)
}

fn simplified(generator: &mut SchemaGenerator) -> Map<String, Value> {
    let mut definitions = generator.take_definitions(true);
    for definition in definitions.values_mut() {
        simplify(definition);
    }
    definitions
}

/// A field that is left out is not written as `null`: where `null` was allowed, it is not.
fn simplify(schema: &mut Value) {
    if let Some(object) = schema.as_object_mut() {
        if let Some(Value::String(description)) = object.get_mut("description") {
            *description = description
                .split("\n\n")
                .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
                .collect::<Vec<_>>()
                .join("\n\n");
        }
        if let Some(Value::Array(types)) = object.get("type") {
            let rest: Vec<&Value> = types.iter().filter(|kind| *kind != "null").collect();
            if let [only] = rest.as_slice() {
                let only = (*only).clone();
                object.insert("type".to_owned(), only);
            }
        }
        if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
            choices.retain(|choice| choice.get("type") != Some(&json!("null")));
            if let [Value::Object(only)] = choices.as_slice() {
                let only = only.clone();
                object.remove("anyOf");
                object.extend(only);
            }
        }
        if object.get("default") == Some(&Value::Null) {
            object.remove("default");
        }
        // A width of the type in Rust, which the range says better. A field may have that name too.
        if object.get("format").is_some_and(Value::is_string) {
            object.remove("format");
        }
    }
    match schema {
        Value::Object(members) => members.values_mut().for_each(simplify),
        Value::Array(elements) => elements.iter_mut().for_each(simplify),
        _ => {}
    }
}

fn shape(schema: &Value) -> Option<Shape> {
    if let Some(reference) = schema.get("$ref") {
        let name = reference.as_str()?.strip_prefix("#/$defs/")?;
        return Some(Shape::Reference(name.to_owned()));
    }
    if let Some(choices) = schema.get("oneOf") {
        return choices
            .as_array()?
            .iter()
            .map(word)
            .collect::<Option<_>>()
            .map(Shape::Enum);
    }
    if let Some(choices) = schema.get("anyOf") {
        return choices
            .as_array()?
            .iter()
            .map(choice)
            .collect::<Option<_>>()
            .map(Shape::Union);
    }
    match schema.get("type")?.as_str()? {
        "object" => object(schema),
        "array" => Some(Shape::Array {
            items: Box::new(shape(schema.get("items")?)?),
            min_items: schema.get("minItems").map_or(Some(0), Value::as_u64)?,
        }),
        "string" => Some(Shape::Text),
        "integer" => Some(Shape::Integer {
            min: schema.get("minimum")?.as_u64()?,
            max: schema.get("maximum")?.as_u64()?,
        }),
        "number" => Some(Shape::Number),
        "boolean" => Some(Shape::Boolean),
        _ => None,
    }
}

fn word(schema: &Value) -> Option<(String, String)> {
    let word = schema.get("const")?.as_str()?;
    Some((word.to_owned(), text(schema, "description")))
}

fn choice(schema: &Value) -> Option<Choice> {
    Some(Choice {
        shape: shape(schema)?,
        description: text(schema, "description"),
    })
}

fn object(schema: &Value) -> Option<Shape> {
    let additional = schema.get("additionalProperties");
    if let Some(values @ Value::Object(_)) = additional {
        return Some(Shape::Map(Box::new(shape(values)?)));
    }
    let mut fields = BTreeMap::new();
    if let Some(properties) = schema.get("properties") {
        for (name, property) in properties.as_object()? {
            let field = Field {
                shape: shape(property)?,
                description: text(property, "description"),
                default: property.get("default").cloned(),
            };
            fields.insert(name.clone(), field);
        }
    }
    let required = match schema.get("required") {
        None => BTreeSet::new(),
        Some(names) => names
            .as_array()?
            .iter()
            .map(|name| name.as_str().map(ToOwned::to_owned))
            .collect::<Option<_>>()?,
    };
    let open = match additional {
        Some(Value::Bool(false)) => false,
        None if fields.is_empty() => true,
        _ => return None,
    };
    Some(Shape::Object {
        fields,
        required,
        open,
    })
}

fn text(schema: &Value, member: &str) -> String {
    schema
        .get(member)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// Writes JSON with members in one order, whatever order the map of this build keeps.
fn write_pretty(out: &mut String, value: &Value, depth: usize) {
    let inner = depth.saturating_add(1);
    match value {
        Value::Object(members) if !members.is_empty() => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by_key(|(name, _)| (rank(name), name.as_str()));
            out.push('{');
            for (index, (name, member)) in sorted.into_iter().enumerate() {
                separate(out, index, inner);
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push_str(": ");
                write_pretty(out, member, inner);
            }
            separate(out, 0, depth);
            out.push('}');
        }
        Value::Array(elements) if !elements.is_empty() => {
            out.push('[');
            for (index, element) in elements.iter().enumerate() {
                separate(out, index, inner);
                write_pretty(out, element, inner);
            }
            separate(out, 0, depth);
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
    }
}

fn separate(out: &mut String, index: usize, depth: usize) {
    if index > 0 {
        out.push(',');
    }
    out.push('\n');
    for _ in 0..depth {
        out.push_str("  ");
    }
}

/// What a reader of a schema wants to see first.
fn rank(name: &str) -> usize {
    [
        "$schema",
        "title",
        "description",
        "type",
        "const",
        "if",
        "then",
        "else",
    ]
    .iter()
    .position(|first| *first == name)
    .unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use std::assert_eq;

    use schemars::JsonSchema;
    use serde::Deserialize;

    use super::*;
    use crate::policy::check::Checker;
    use crate::policy::diagnostic::Diagnostics;
    use crate::policy::node::Node;
    use crate::policy::read::read;

    /// A name, or a tree of them.
    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    #[serde(untagged)]
    enum Tree {
        /// A name.
        Name(String),
        /// Several.
        List(Vec<String>),
        /// A branch.
        Branch(Branch),
    }

    /// A branch.
    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Branch {
        /// What is below.
        any_of: Option<Vec<Tree>>,
        /// How much.
        weight: Option<Scalar>,
    }

    /// A number or a truth.
    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    #[serde(untagged)]
    enum Scalar {
        /// A number.
        Number(f64),
        /// A truth.
        Truth(bool),
    }

    fn definitions_for<T: JsonSchema>() -> Option<Definitions> {
        let mut generator = SchemaSettings::draft2020_12().into_generator();
        generator.subschema_for::<T>();
        definitions_of(&simplified(&mut generator))
    }

    /// What the check says of a text, `path: message (hint)` each.
    fn said(text: &str) -> Vec<String> {
        let definitions = definitions_for::<Tree>().unwrap();
        let value = crate::json::parse(text.as_bytes()).unwrap();
        let mut found = Diagnostics::default();
        Checker::new(&definitions, &mut found).check(&Node::root(&value), "Tree");
        if found.errors.is_empty() {
            let _: Tree = read(&value).unwrap();
        }
        found
            .errors
            .into_iter()
            .map(|error| {
                let hint = error.hint.unwrap_or_default();
                format!("{}: {} ({hint})", error.path, error.message)
            })
            .collect()
    }

    #[test]
    fn a_value_of_a_union_is_checked_against_the_choice_for_its_kind() {
        let accepted = [
            r#""a""#,
            r#"["a"]"#,
            r#"{"any_of":["a",["b"],{"any_of":[{}]}],"weight":1.5}"#,
            r#"{"weight":false}"#,
        ];
        for text in accepted {
            assert_eq!(said(text), [""; 0], "{text}");
        }
        let refused = [
            (
                "7",
                ": expected a string, an array or an object for the document, found a number ()",
            ),
            (
                r#"{"any_of":[null]}"#,
                "any_of[0]: expected a string, an array or an object for an element of `any_of`, found null \
                 (a field without a value is left out)",
            ),
            (
                r#"{"any_of":[["a",1]]}"#,
                "any_of[0][1]: expected a string for an element of `any_of`, found a number ()",
            ),
            (
                r#"{"weight":"1"}"#,
                "weight: expected a number or a boolean for `weight`, found a string ()",
            ),
            (
                r#"{"any_of":[{"anyof":[]}]}"#,
                "any_of[0].anyof: unknown field `anyof` (did you mean `any_of`?)",
            ),
        ];
        for (text, expected) in refused {
            assert_eq!(said(text), [expected], "{text}");
        }
    }

    /// Two choices that a value could be.
    #[derive(JsonSchema)]
    #[serde(untagged)]
    #[expect(dead_code, reason = "only its schema matters")]
    enum Ambiguous {
        /// One.
        One(Branch),
        /// The other.
        Other(BTreeMap<String, String>),
    }

    #[test]
    fn a_union_whose_choices_have_a_kind_in_common_is_no_schema() {
        assert!(definitions_for::<Scalar>().is_some());
        assert_eq!(definitions_for::<Ambiguous>(), None);
    }
}
