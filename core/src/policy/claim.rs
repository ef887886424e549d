//! Claims as a policy names them.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::compiler::Compiler;
use super::diagnostic::{Code, Diagnostic, quote};
use super::node::Node;
use super::{source, value};
use crate::claim_path::{ClaimPath, MAX_STEPS};
use crate::json::Span;

impl Compiler<'_> {
    /// The claim that `node` names; `None` when it cannot be one, which was reported.
    pub(super) fn claim_path(
        &mut self,
        node: &Node<'_, '_>,
        path: &source::ClaimPath,
    ) -> Option<ClaimPath> {
        let names = match path {
            source::ClaimPath::Name(name) => {
                let is_valid = self.is_claim_name(node, name, node.span());
                return is_valid.then(|| ClaimPath::top(name.as_str()));
            }
            source::ClaimPath::Path(names) => names,
        };
        let mut is_valid = true;
        for (element, name) in node.elements().zip(names) {
            is_valid &= self.is_claim_text(&element, name, element.span());
        }
        if !is_valid {
            return None;
        }
        match ClaimPath::new(names.clone()) {
            Ok(path) => Some(path),
            Err(error) => {
                let message = format!("{error}");
                let hint = format!("claims of a token nest at most {MAX_STEPS} deep");
                self.error(Code::InvalidValue, node, message, Some(hint));
                None
            }
        }
    }

    /// Whether a text, which stands at `span`, can be the name of a top-level claim; a fault is reported.
    pub(super) fn is_claim_name(&mut self, node: &Node<'_, '_>, claim: &str, span: Span) -> bool {
        if !self.is_claim_text(node, claim, span) {
            return false;
        }
        // Claims named by a URL have dots; others with a dot are perhaps meant as a way into an object.
        if claim.contains('.') && !claim.contains("://") {
            let message = format!(
                "{} is taken for the name of one top-level claim",
                quote(claim)
            );
            let names: Vec<String> = claim.split('.').map(|name| format!("\"{name}\"")).collect();
            let warning = Diagnostic::warning(Code::Suspicious, span, node.path(), message);
            self.found.push(warning.with_hint(format!(
                "a claim inside of another is named by a list: {}",
                quote(&format!("[{}]", names.join(", ")))
            )));
        }
        true
    }

    fn is_claim_text(&mut self, node: &Node<'_, '_>, claim: &str, span: Span) -> bool {
        let Err(fault) = value::check_text(claim) else {
            return true;
        };
        let message = match claim {
            "" => "the name of the claim is empty".into(),
            _ => format!("the claim {} {}", quote(claim), fault.message),
        };
        let error = Diagnostic::error(Code::InvalidValue, span, node.path(), message);
        self.found.push(Diagnostic {
            hint: fault.hint,
            ..error
        });
        false
    }
}
