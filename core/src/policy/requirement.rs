//! Which providers have to accept: `providers` and `requirement` of an `auth`.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::compiler::Compiler;
use super::diagnostic::{Code, MAX_FINDINGS, quote};
use super::node::Node;
use super::source::{self, PartMode};
use super::suggest;
use super::value;
use crate::config::Requirement;

/// How deep a requirement may be nested. With its `mode` each level is two of the configuration's, and the `mode`
/// of the whole is one more: [`crate::config::MAX_REQUIREMENT_DEPTH`].
const MAX_LEVELS: usize = 8;

/// What a part of a requirement is made of: exactly one of these.
const KINDS: [&str; 3] = ["provider", "any_of", "all_of"];

impl Compiler<'_> {
    /// The providers of `providers`.
    pub(super) fn any_of(&mut self, list: &Node<'_, '_>, names: &[String]) -> Option<Requirement> {
        let mut is_valid = true;
        let mut seen = BTreeMap::new();
        let mut parts = Vec::new();
        for (element, name) in list.elements().zip(names) {
            if self.is_repeated(&mut seen, name, &element) {
                is_valid = false;
                continue;
            }
            match self.refer(&element, name) {
                Some(index) => parts.push(provider(index, Vec::new())),
                None => is_valid = false,
            }
        }
        is_valid.then(|| single_or(parts, Requirement::AnyOf))
    }

    /// The combination of `requirement`.
    pub(super) fn combination(
        &mut self,
        node: &Node<'_, '_>,
        requirement: &source::Requirement,
    ) -> Option<Requirement> {
        self.part(node, requirement, MAX_LEVELS)
    }

    // Recursion is bounded by `levels`.
    fn part(
        &mut self,
        node: &Node<'_, '_>,
        requirement: &source::Requirement,
        levels: usize,
    ) -> Option<Requirement> {
        let Some(levels) = levels.checked_sub(1) else {
            let message = format!("the requirement is nested deeper than {MAX_LEVELS} levels");
            self.error(Code::InvalidValue, node, message, None);
            return None;
        };
        let part = match requirement {
            source::Requirement::Name(name) => {
                return self
                    .refer(node, name)
                    .map(|index| provider(index, Vec::new()));
            }
            source::Requirement::Part(part) => part,
        };
        let kind = self.kind(node)?;
        let requirement = match kind.name() {
            Some("provider") => {
                let audiences = self.part_audiences(node, part);
                let name = part.provider.as_deref().unwrap_or_default();
                let index = self.refer(&kind, name);
                provider(index?, audiences?)
            }
            Some("any_of") => {
                let parts = self.parts(&kind, part.any_of.as_deref(), levels)?;
                single_or(parts, Requirement::AnyOf)
            }
            _ => {
                let parts = self.parts(&kind, part.all_of.as_deref(), levels)?;
                single_or(parts, Requirement::AllOf)
            }
        };
        Some(match part.mode {
            None => requirement,
            Some(PartMode::AllowMissing) => Requirement::AllowMissing(Box::new(requirement)),
            Some(PartMode::AllowMissingOrFailed) => {
                Requirement::AllowMissingOrFailed(Box::new(requirement))
            }
        })
    }

    fn parts(
        &mut self,
        list: &Node<'_, '_>,
        parts: Option<&[source::Requirement]>,
        levels: usize,
    ) -> Option<Vec<Requirement>> {
        let mut is_valid = true;
        let mut compiled = Vec::new();
        for (element, part) in list.elements().zip(parts.unwrap_or_default()) {
            match self.part(&element, part, levels) {
                Some(part) => compiled.push(part),
                None => is_valid = false,
            }
        }
        is_valid.then_some(compiled)
    }

    /// The one field that says what a part is; none or several are reported, and `audiences` in a wrong place.
    fn kind<'n, 'a>(&mut self, node: &Node<'n, 'a>) -> Option<Node<'n, 'a>> {
        let (first, mut is_valid) = self.single_field(
            node,
            &KINDS,
            (
                "says nothing",
                "write one of `provider`, `any_of` and `all_of`",
            ),
            "put each into an object of its own, in a list of `any_of` or `all_of`",
        )?;
        if let (Some(audiences), Some("any_of" | "all_of")) =
            (node.field("audiences"), first.name())
        {
            let message = format!("`audiences` has no effect beside {}", first.label());
            let hint = "write it beside `provider`";
            self.contradiction(&audiences, &first, message, Some(hint.into()));
            is_valid = false;
        }
        is_valid.then_some(first)
    }

    fn part_audiences(
        &mut self,
        node: &Node<'_, '_>,
        part: &source::RequirementPart,
    ) -> Option<Vec<String>> {
        let (Some(list), Some(audiences)) = (node.field("audiences"), &part.audiences) else {
            return Some(Vec::new());
        };
        let mut seen = BTreeMap::new();
        let mut is_valid = true;
        for (element, text) in list.elements().zip(audiences) {
            is_valid &= self.parsed(&element, text, value::check_text).is_some();
            is_valid &= !self.is_repeated(&mut seen, text, &element);
        }
        is_valid.then(|| audiences.clone())
    }

    /// The place of a named provider in the configuration.
    fn refer(&mut self, element: &Node<'_, '_>, name: &str) -> Option<u32> {
        let Some(named) = self.named.get_mut(name) else {
            let known = self.named.keys().map(String::as_str);
            // Beyond the limit findings are only counted: no need to look for what was meant.
            let hint = match self.named.is_empty() {
                _ if self.found.errors.len() >= MAX_FINDINGS => String::new(),
                true => "the policy has no `providers`".into(),
                false => suggest::hint(name, known, "the providers are"),
            };
            let message = format!("there is no provider {}", quote(name));
            self.error(Code::UnknownName, element, message, Some(hint));
            return None;
        };
        named.is_used = true;
        if let Some(index) = named.index {
            return Some(index);
        }
        let compiled = named.compiled.take()?;
        let index = self.add_provider(compiled);
        if let Some(named) = self.named.get_mut(name) {
            named.index = Some(index);
        }
        Some(index)
    }
}

fn provider(index: u32, audiences: Vec<String>) -> Requirement {
    Requirement::Provider { index, audiences }
}

/// A list of one is that one.
fn single_or(
    mut parts: Vec<Requirement>,
    combine: impl FnOnce(Vec<Requirement>) -> Requirement,
) -> Requirement {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            combine(parts)
        }
    }
}

/// Gives these audiences to every part that names none.
pub(super) fn fill_audiences(requirement: &mut Requirement, default: &[String]) {
    let mut open = Vec::from([requirement]);
    while let Some(requirement) = open.pop() {
        match requirement {
            Requirement::Provider { audiences, .. } if audiences.is_empty() => {
                audiences.extend_from_slice(default);
            }
            Requirement::Provider { .. } => {}
            Requirement::AnyOf(parts) | Requirement::AllOf(parts) => open.extend(parts),
            Requirement::AllowMissing(inner) | Requirement::AllowMissingOrFailed(inner) => {
                open.push(inner);
            }
        }
    }
}

/// A provider in a requirement.
pub(super) struct Leaf<'r> {
    pub(super) index: u32,
    pub(super) audiences: &'r [String],
}

/// The providers of a requirement, in its order.
pub(super) fn leaves(requirement: &Requirement) -> Vec<Leaf<'_>> {
    let mut found = Vec::new();
    let mut open = Vec::from([requirement]);
    while let Some(requirement) = open.pop() {
        match requirement {
            Requirement::Provider { index, audiences } => found.push(Leaf {
                index: *index,
                audiences,
            }),
            Requirement::AnyOf(parts) | Requirement::AllOf(parts) => {
                open.extend(parts.iter().rev());
            }
            Requirement::AllowMissing(inner) | Requirement::AllowMissingOrFailed(inner) => {
                open.push(inner);
            }
        }
    }
    found
}
