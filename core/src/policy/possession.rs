//! What a provider asks of whoever sends its tokens, and whether its tokens can stand where they then have to.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::compiler::Compiler;
use super::diagnostic::{Code, Diagnostic, quote};
use super::node::Node;
use super::requirement::leaves;
use super::source;
use crate::config::{self, Binding, DEFAULT_DPOP_MAX_AGE_SECS, Possession, TokenSource};

impl Compiler<'_> {
    /// What `mtls_bound`, `dpop` and `dpop_max_age_secs` say; `None` when they contradict each other, which was
    /// reported.
    pub(super) fn possession(
        &mut self,
        node: &Node<'_, '_>,
        provider: &source::Provider,
    ) -> Option<Possession> {
        let dpop = provider.dpop.unwrap_or_default();
        if let (Some(age), Binding::Off) = (node.field("dpop_max_age_secs"), dpop) {
            let hint = "it is for proofs, which `dpop` asks for: make that `allowed` or `required`, or leave \
                        this out";
            match node.field("dpop") {
                Some(field) => {
                    let message = format!("{} has no effect beside {}", age.label(), field.label());
                    self.contradiction(&age, &field, message, Some(hint.into()));
                }
                None => {
                    let message = format!("{} has no effect without `dpop`", age.label());
                    let error = Diagnostic::error(
                        Code::Contradiction,
                        age.name_span(),
                        age.path(),
                        message,
                    );
                    self.found.push(error.with_hint(hint));
                }
            }
            return None;
        }
        Some(Possession {
            mtls_bound: provider.mtls_bound.unwrap_or_default(),
            dpop,
            dpop_max_age_secs: provider
                .dpop_max_age_secs
                .unwrap_or(DEFAULT_DPOP_MAX_AGE_SECS),
        })
    }

    /// Where the tokens of a provider are: `sources`, or where they are if the policy does not say. `None` when that
    /// contradicts `dpop`, which was reported.
    pub(super) fn sources_for(
        &mut self,
        node: &Node<'_, '_>,
        sources: Vec<TokenSource>,
        dpop: Binding,
    ) -> Option<Vec<TokenSource>> {
        match (node.field("token_sources"), dpop) {
            (None, Binding::Off) => Some(sources),
            (None, Binding::Allowed | Binding::Required) => {
                Some(Vec::from([TokenSource::bearer(), TokenSource::dpop()]))
            }
            (Some(list), _) => match problem(&sources, dpop, None) {
                None => Some(sources),
                Some(problem) => {
                    self.report(&list, problem, node.field("dpop"));
                    None
                }
            },
        }
    }

    /// Whether the `token_sources` of a rule fit `dpop` of each of its providers; what does not is reported.
    pub(super) fn are_sources_fit(&mut self, node: &Node<'_, '_>, auth: &config::JwtAuth) -> bool {
        let own = &auth.handling.token_sources;
        let Some(list) = node.field("token_sources").filter(|_| !own.is_empty()) else {
            return true;
        };
        // One that is wrong for several providers is wrong once.
        let problem = leaves(&auth.requirement).into_iter().find_map(|part| {
            let provider = self.provider_at(part.index)?;
            problem(own, provider.possession.dpop, Some(&provider.name))
        });
        match problem {
            None => true,
            Some(problem) => {
                self.report(&list, problem, None);
                false
            }
        }
    }

    fn report(&mut self, list: &Node<'_, '_>, problem: Problem, dpop: Option<Node<'_, '_>>) {
        let place = match problem.at.and_then(|at| list.element(at)) {
            Some(element) => (element.span(), element.path()),
            None => (list.name_span(), list.path()),
        };
        let error = Diagnostic::error(Code::Contradiction, place.0, place.1, problem.message);
        let error = match dpop {
            Some(dpop) => error.with_place(dpop.name_span(), "`dpop` is here"),
            None => error,
        };
        self.found.push(error.with_hint(problem.hint));
    }
}

/// Why tokens cannot stand where they are said to.
struct Problem {
    /// The source that is wrong; `None` when one is missing.
    at: Option<usize>,
    message: String,
    hint: &'static str,
}

/// RFC 9449 §7.1: bound tokens come under the scheme `DPoP` and nowhere else, and tokens under that scheme are bound.
fn problem(sources: &[TokenSource], dpop: Binding, provider: Option<&str>) -> Option<Problem> {
    let of_provider = provider.map_or(String::new(), |name| format!(" of {}", quote(name)));
    let at = sources.iter().position(TokenSource::is_dpop);
    match (dpop, at) {
        (Binding::Off, None) | (Binding::Allowed | Binding::Required, Some(_)) => None,
        (Binding::Off, Some(_)) => Some(Problem {
            at,
            message: format!(
                "nobody would check the proofs of tokens{of_provider} under the scheme `DPoP`"
            ),
            hint: "make `dpop` of the provider `allowed` or `required`, or leave this place out",
        }),
        (Binding::Allowed | Binding::Required, None) => Some(Problem {
            at,
            message: format!("bound tokens{of_provider} can stand in none of these places"),
            hint: "they come under the scheme `DPoP`: add \
                   `{\"header\": \"Authorization\", \"prefix\": \"DPoP\"}`",
        }),
    }
}
