//! Whether a document is a whole policy or a single app.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::diagnostic::{Code, Diagnostic, MAX_FINDINGS, quote};
use super::node::{Node, opening};
use super::schema::{APP, Definitions, Shape};
use super::suggest;

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A whole policy.
    Policy,
    /// A single app.
    App,
}

/// The fields that tell a whole policy from a single app.
pub(super) const POLICY_FIELDS: [&str; 5] = [
    "apps",
    "jwt_cache_size",
    "providers",
    "signature_verification",
    "unmatched",
];

/// Whether a document is a whole policy or a single app.
///
/// # Errors
/// A finding when it looks like neither.
pub(super) fn form(node: &Node<'_, '_>, definitions: &Definitions) -> Result<Form, Diagnostic> {
    let error = |span, message: String, hint: String| {
        Diagnostic::error(Code::WrongType, span, "", message).with_hint(hint)
    };
    let neither =
        "a policy has `apps`; a single app has `slug`, `gateway_path` and `default_policy`";
    let members = node.members();
    if node.value().as_object().is_none() {
        let message = format!(
            "expected an object for the policy, found {}",
            node.value().kind_name()
        );
        return Err(error(opening(node.span()), message, neither.to_owned()));
    }
    if node.field("apps").is_some() {
        return Ok(Form::Policy);
    }
    let has = |field: &&str| node.field(field).is_some();
    let is_app = ["slug", "gateway_path", "default_policy"].iter().any(has);
    if !is_app && POLICY_FIELDS.iter().any(has) {
        return Ok(Form::Policy);
    }
    let app_fields: Vec<&str> = object_fields(definitions, APP)
        .into_iter()
        .filter(|field| *field != "$schema")
        .collect();
    if members
        .iter()
        .any(|member| app_fields.contains(&member.name.as_ref()))
    {
        return Ok(Form::App);
    }
    // Nothing is known: perhaps everything is misspelt.
    let misspelt = members.iter().take(MAX_FINDINGS).find_map(|member| {
        let known = POLICY_FIELDS.into_iter().chain(app_fields.iter().copied());
        let near = suggest::nearest(&member.name, known)?;
        Some((member, near))
    });
    match misspelt {
        Some((member, near)) => {
            let message = format!("unknown field {}", quote(&member.name));
            let error = error(
                member.name_span,
                message,
                suggest::meant(&member.name, near),
            );
            Err(Diagnostic {
                code: Code::UnknownField,
                ..error
            })
        }
        None => {
            let message = "neither a policy nor a single app".to_owned();
            let error = error(opening(node.span()), message, neither.to_owned());
            Err(Diagnostic {
                code: Code::MissingField,
                ..error
            })
        }
    }
}

fn object_fields<'d>(definitions: &'d Definitions, name: &str) -> Vec<&'d str> {
    match definitions.get(name).map(|definition| &definition.shape) {
        Some(Shape::Object { fields, .. }) => fields.keys().map(String::as_str).collect(),
        _ => Vec::new(),
    }
}
