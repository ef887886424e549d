//! The reference of the policy language in Markdown, from the schema.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::schema::{self, Definitions, Field, Shape};

/// The objects of the language in the order in which one meets them, and where each stands.
const SECTIONS: &[(&str, &str, &str)] = &[
    ("Policy", "policy", "Policy"),
    ("App", "app", "App"),
    ("Route", "route", "Route"),
    ("HeaderCondition", "header-condition", "Header condition"),
    ("QueryCondition", "query-condition", "Query condition"),
    ("AccessPolicy", "access-policy", "Access policy"),
    ("Auth", "auth", "Auth"),
    ("RequirementPart", "requirement-part", "Requirement part"),
    ("Provider", "provider", "Provider"),
    ("Revoked", "revoked", "Revoked"),
    (
        "RevokedEarlierSubject",
        "revoked-subject",
        "Revoked subject",
    ),
    ("RevokedEarlierKey", "revoked-key", "Revoked key"),
    ("TokenSource", "token-source", "Token source"),
    ("ClaimCondition", "claim-condition", "Claim condition"),
    ("TextCondition", "text-condition", "Text condition"),
    ("Replies", "replies", "Replies"),
    ("StatusReply", "reply-to-a-status", "Reply to a status"),
    ("Redirect", "redirect", "Redirect"),
    ("ForwardedClaim", "forwarded-claim", "Forwarded claim"),
    ("ForwardedPayload", "forwarded-payload", "Forwarded payload"),
];

/// The reference: a table of the fields of each object, with type, range, default and meaning. The same
/// types give the same text.
pub fn reference() -> String {
    let definitions = schema::definitions().unwrap_or_default();
    let mut out = String::from(
        "A policy is one JSON document: a [policy](#policy) or a single [app](#app). A field that does not exist, \
         a wrong type and a contradiction are errors, with file, line and column. A field that is left out has \
         its default; `null` is not a value.\n",
    );
    for (name, _, title) in SECTIONS.iter().copied() {
        section(&mut out, &definitions, name, title);
    }
    out
}

fn section(out: &mut String, definitions: &Definitions, name: &str, title: &str) {
    let Some(definition) = definitions.get(name) else {
        return;
    };
    let Shape::Object {
        fields, required, ..
    } = &definition.shape
    else {
        return;
    };
    out.push_str(&format!("\n## {title}\n\n{}\n\n", definition.description));
    // The fields of a provider can stand in `auth` too, and are described once.
    let provider = match definitions.get("Provider") {
        Some(schema::Definition {
            shape: Shape::Object { fields, .. },
            ..
        }) if name == "Auth" => Some(fields),
        _ => None,
    };
    let is_inherited = |field: &str| provider.is_some_and(|provider| provider.contains_key(field));
    out.push_str("| field | type | default | meaning |\n|---|---|---|---|\n");
    let mut rows: Vec<(&String, &Field)> = fields
        .iter()
        .filter(|(field, _)| !is_inherited(field))
        .collect();
    rows.sort_by_key(|(field, _)| (!required.contains(*field), field.as_str()));
    for (field, content) in rows {
        let default = match (&content.default, required.contains(field)) {
            (_, true) => "required".to_string(),
            (Some(default), false) => format!("`{}`", code(&default.to_string())),
            (None, false) => String::new(),
        };
        out.push_str(&format!(
            "| `{field}` | {} | {default} | {}{} |\n",
            type_name(&content.shape, definitions),
            cell(&content.description),
            words(&content.shape, definitions),
        ));
    }
    if provider.is_some() {
        out.push_str("\nBeside these, every field of a [provider](#provider), where `providers` is left out.\n");
    }
}

/// The type in words, with a link where it is an object of its own, and the range of a number.
fn type_name(shape: &Shape, definitions: &Definitions) -> String {
    match shape {
        Shape::Object { .. } => "object".into(),
        Shape::Map(values) => format!("object: name to {}", type_name(values, definitions)),
        Shape::Array { items, .. } => format!("list of {}", type_name(items, definitions)),
        Shape::Text | Shape::Enum(_) => "string".into(),
        Shape::Number => "number".into(),
        Shape::Union(choices) => choices
            .iter()
            .map(|choice| type_name(&choice.shape, definitions))
            .collect::<Vec<_>>()
            .join(" or "),
        Shape::Integer { min, max } => format!("whole number, {min} to {max}"),
        Shape::Boolean => "boolean".into(),
        Shape::Reference(name) => match SECTIONS.iter().find(|(section, ..)| section == name) {
            Some((_, anchor, title)) => format!("[{}](#{anchor})", title.to_ascii_lowercase()),
            None => definitions
                .get(name)
                .map_or_else(String::new, |definition| {
                    type_name(&definition.shape, definitions)
                }),
        },
    }
}

/// The values of a field that is one of several words, or the choices of a union, with what each means.
fn words(shape: &Shape, definitions: &Definitions) -> String {
    match shape {
        Shape::Array { items, .. } => words(items, definitions),
        Shape::Reference(name) => match definitions.get(name).map(|definition| &definition.shape) {
            Some(Shape::Enum(words)) => words
                .iter()
                .map(|(word, meaning)| format!("<br>`{}`: {}", code(word), cell(meaning)))
                .collect(),
            Some(Shape::Union(choices)) => choices
                .iter()
                .filter(|choice| !choice.description.is_empty())
                .map(|choice| {
                    let kind = type_name(&choice.shape, definitions);
                    format!("<br>{kind}: {}", cell(&choice.description))
                })
                .collect(),
            _ => String::new(),
        },
        _ => String::new(),
    }
}

/// Text inside of a table.
fn cell(text: &str) -> String {
    text.replace("\n\n", "<br>")
        .replace('\n', " ")
        .replace('|', "\\|")
}

/// Code inside of a table.
fn code(text: &str) -> String {
    text.replace('|', "\\|")
}
