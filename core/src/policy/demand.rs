//! What genuine tokens have to say so that they are enough: claims and scopes.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::compiler::Compiler;
use super::diagnostic::{Code, Diagnostic, quote, quote_list};
use super::node::{Node, opening};
use super::source;
use super::value::{self, Fault};
use crate::claim_path::ClaimPath;
use crate::config::{ClaimCondition, ClaimTest, RequiredClaim};
use crate::json::{Kind, Span};
use crate::scalar::Scalar;

/// The fields that say what a claim has to be, of which a condition has at most one.
const TESTS: [&str; 4] = ["equals", "one_of", "contains", "matches"];

/// The scopes that a token has to have.
#[derive(Debug, Default)]
pub(super) struct Scopes {
    pub(super) all: Vec<String>,
    /// At least one of each; at most one list.
    pub(super) any_scope: Vec<Vec<String>>,
}

impl Compiler<'_> {
    /// The claims that `required_claims` names.
    pub(super) fn required_claims(
        &mut self,
        node: &Node<'_, '_>,
        required: &[source::RequiredClaim],
    ) -> Option<Vec<RequiredClaim>> {
        let Some(list) = node.field("required_claims") else {
            return Some(Vec::new());
        };
        let mut is_valid = true;
        let mut compiled = Vec::new();
        let mut seen = BTreeMap::new();
        let mut equal = BTreeMap::new();
        for (element, claim) in list.elements().zip(required) {
            let Some(claim) = self.required_claim(&element, claim) else {
                is_valid = false;
                continue;
            };
            is_valid &= !self.is_twice(&mut seen, &element, &claim);
            if let RequiredClaim::Condition(ClaimCondition {
                claim: path,
                test: ClaimTest::Equals(value),
            }) = &claim
            {
                is_valid &= !self.differs(&mut equal, &element, path, value);
            }
            compiled.push(claim);
        }
        is_valid.then_some(compiled)
    }

    fn required_claim(
        &mut self,
        element: &Node<'_, '_>,
        required: &source::RequiredClaim,
    ) -> Option<RequiredClaim> {
        let condition = match required {
            source::RequiredClaim::Name(name) => {
                let is_valid = self.is_claim_name(element, name, element.span());
                return is_valid.then(|| RequiredClaim::Present(ClaimPath::top(name.as_str())));
            }
            source::RequiredClaim::Condition(condition) => condition,
        };
        let claim = self.claim_path(&element.field("claim")?, &condition.claim);
        let mut tests = TESTS.into_iter().filter_map(|name| element.field(name));
        let Some(field) = tests.next() else {
            return claim.map(RequiredClaim::Present);
        };
        let mut is_single = true;
        for other in tests {
            let message = format!("{} cannot stand beside {}", other.label(), field.label());
            let hint = "write one condition for each; all of them have to hold";
            self.contradiction(&other, &field, message, Some(hint.into()));
            is_single = false;
        }
        let test = self.claim_test(&field, condition);
        is_single.then_some(RequiredClaim::Condition(ClaimCondition {
            claim: claim?,
            test: test?,
        }))
    }

    fn claim_test(
        &mut self,
        field: &Node<'_, '_>,
        condition: &source::ClaimCondition,
    ) -> Option<ClaimTest> {
        match (field.name(), &condition.matches) {
            (Some("equals"), _) => self.scalar(field).map(ClaimTest::Equals),
            (Some("contains"), _) => self.scalar(field).map(ClaimTest::Contains),
            (Some("matches"), Some(text)) => self.text_match(field, text).map(ClaimTest::Matches),
            _ => {
                let mut seen = BTreeMap::new();
                let mut values = Vec::new();
                let mut is_valid = true;
                for element in field.elements() {
                    let Some(value) = self.scalar(&element) else {
                        is_valid = false;
                        continue;
                    };
                    is_valid &= !self.is_repeated(&mut seen, &format!("{value}"), &element);
                    values.push(value);
                }
                is_valid.then_some(ClaimTest::OneOf(values))
            }
        }
    }

    /// The value that a claim is compared with, read from the document itself: no number is rounded.
    fn scalar(&mut self, node: &Node<'_, '_>) -> Option<Scalar> {
        if let Kind::String(text) = &node.value().kind {
            self.parsed(node, text, value::check_text)?;
        }
        Scalar::of(node.value())
    }

    /// Whether another condition wants the claim to equal something else, which is reported.
    fn differs(
        &mut self,
        seen: &mut BTreeMap<ClaimPath, (Scalar, Span)>,
        element: &Node<'_, '_>,
        path: &ClaimPath,
        value: &Scalar,
    ) -> bool {
        let Some((other, first)) = seen.get(path).cloned() else {
            seen.insert(path.clone(), (value.clone(), element.span()));
            return false;
        };
        if other == *value {
            return false;
        }
        let message = format!(
            "the claim {} cannot equal both {} and {}",
            quote(&format!("{path}")),
            quote(&format!("{other}")),
            quote(&format!("{value}"))
        );
        let error = Diagnostic::error(
            Code::Contradiction,
            opening(element.span()),
            element.path(),
            message,
        );
        self.found.push(
            error
                .with_place(opening(first), "the first is here")
                .with_hint("all conditions have to hold; for any of several values write `one_of`"),
        );
        true
    }

    /// Whether the list had the same before, which is reported.
    fn is_twice(
        &mut self,
        seen: &mut BTreeMap<String, Span>,
        element: &Node<'_, '_>,
        claim: &RequiredClaim,
    ) -> bool {
        let written = format!("{claim:?}");
        let Some(first) = seen.get(&written).copied() else {
            seen.insert(written, element.opening());
            return false;
        };
        let name = quote(&format!("{}", claim.claim()));
        let message = match claim {
            RequiredClaim::Present(_) => format!("{name} is in the list twice"),
            RequiredClaim::Condition(_) => {
                format!("the condition on {name} is in the list twice")
            }
        };
        let error = Diagnostic::error(Code::Duplicate, element.opening(), element.path(), message);
        self.found
            .push(error.with_place(first, "the first is here"));
        true
    }

    /// The scopes that `required_scopes` and `any_scope` name.
    pub(super) fn scopes(
        &mut self,
        node: &Node<'_, '_>,
        provider: &source::Provider,
    ) -> Option<Scopes> {
        let mut required = BTreeMap::new();
        let all = node.field("required_scopes");
        let all = all.map_or(Some(Vec::new()), |list| {
            self.scope_list(&list, &provider.required_scopes, &mut required)
        });
        let Some(list) = node.field("any_scope") else {
            return Some(Scopes {
                all: all?,
                any_scope: Vec::new(),
            });
        };
        let choices = provider.any_scope.as_deref().unwrap_or_default();
        let any = self.scope_list(&list, choices, &mut BTreeMap::new());
        let mut is_valid = true;
        for (element, scope) in list.elements().zip(choices) {
            let Some(first) = required.get(scope) else {
                continue;
            };
            let message = format!("{} is required already", quote(scope));
            let error = Diagnostic::error(
                Code::Contradiction,
                element.span(),
                element.path(),
                message,
            )
            .with_place(*first, "it is required here")
            .with_hint(
                "with it `any_scope` holds for every token that passes; leave one of the two out",
            );
            self.found.push(error);
            is_valid = false;
        }
        let scopes = Scopes {
            all: all?,
            any_scope: Vec::from([any?]),
        };
        is_valid.then_some(scopes)
    }

    fn scope_list(
        &mut self,
        list: &Node<'_, '_>,
        scopes: &[String],
        seen: &mut BTreeMap<String, Span>,
    ) -> Option<Vec<String>> {
        let mut is_valid = true;
        for (element, scope) in list.elements().zip(scopes) {
            is_valid &= self.parsed(&element, scope, check_scope).is_some();
            is_valid &= !self.is_repeated(seen, scope, &element);
        }
        is_valid.then(|| scopes.to_vec())
    }
}

/// A scope (RFC 6749 §3.3), which can stand in `WWW-Authenticate` as it is.
fn check_scope(scope: &str) -> Result<(), Fault> {
    if scope.is_empty() {
        return Err(Fault::new("is empty"));
    }
    if scope.contains(' ') {
        let scopes = scope.split(' ').filter(|scope| !scope.is_empty());
        return Err(
            Fault::new("has a space, which separates scopes").hint(format!(
                "write each as an element of its own: {}",
                quote_list(scopes)
            )),
        );
    }
    let is_scope = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    match scope.bytes().all(is_scope) {
        true => Ok(()),
        false => Err(Fault::new("is no scope")
            .hint("printable ASCII without space, `\"` and `\\` (RFC 6749 §3.3)")),
    }
}
