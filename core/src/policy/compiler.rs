//! From the types of a policy to a configuration: what fields mean together.
//!
//! The structure was checked before: every value has the type that the schema says. What is found here is
//! found for the whole policy, with the exact place. Nothing may be left for the filter to refuse.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::app::Taken;
use super::diagnostic::{Code, Diagnostic, Diagnostics, quote};
use super::node::{Node, opening};
use super::provider::CompiledProvider;
use super::requirements::Collector;
use super::value::{self, Fault};
use super::{CompileOptions, FileReader, source};
use crate::config;
use crate::json::{Member, Span};

/// Everything that the compilation of one policy needs and finds.
pub(super) struct Compiler<'c> {
    pub(super) options: &'c CompileOptions,
    pub(super) files: FileReader<'c>,
    pub(super) found: &'c mut Diagnostics,
    pub(super) requirements: Collector,
    /// The providers of the configuration so far.
    pub(super) providers: Vec<config::Provider>,
    pub(super) named: BTreeMap<String, NamedProvider>,
}

/// An entry of the policy's `providers`.
pub(super) struct NamedProvider {
    pub(super) name_span: Span,
    /// `None` when something is wrong with it, which was reported.
    pub(super) compiled: Option<CompiledProvider>,
    /// Its place in the configuration, once an app uses it.
    pub(super) index: Option<u32>,
    pub(super) is_used: bool,
}

impl Compiler<'_> {
    /// Compiles a whole policy.
    pub(super) fn policy(
        &mut self,
        node: &Node<'_, '_>,
        policy: &source::Policy,
    ) -> config::Config {
        self.compile_named(node, policy);
        let replies = node
            .field("replies")
            .zip(policy.replies.as_ref())
            .and_then(|(node, replies)| self.replies(&node, replies));
        let mut taken = Taken::default();
        let mut apps = Vec::new();
        if let Some(list) = node.field("apps") {
            for (element, app) in list.elements().zip(&policy.apps) {
                let app = self.app(&element, app, &mut taken);
                self.redirect_of_policy(node, replies.as_ref(), app.as_ref());
                apps.extend(app);
            }
            if policy.apps.is_empty() && policy.unmatched == config::Unmatched::Deny {
                self.warn(
                    Code::Suspicious,
                    &list,
                    "there is no app: every request is refused".into(),
                    None,
                );
            }
        }
        self.report_unused();
        config::Config {
            jwt_cache_size: policy
                .jwt_cache_size
                .unwrap_or(config::DEFAULT_JWT_CACHE_SIZE),
            signature_verification: policy.signature_verification,
            replies,
            ..self.configuration(apps, policy.unmatched)
        }
    }

    /// Compiles a policy that is a single app.
    pub(super) fn single_app(&mut self, node: &Node<'_, '_>, app: &source::App) -> config::Config {
        let mut app = self.app(node, app, &mut Taken::default());
        // It is the whole policy: what it says holds for requests that it does not match, too.
        let replies = app.as_mut().and_then(|app| app.replies.take());
        config::Config {
            replies,
            ..self.configuration(app.into_iter().collect(), config::Unmatched::default())
        }
    }

    fn configuration(
        &mut self,
        apps: Vec<config::App>,
        unmatched: config::Unmatched,
    ) -> config::Config {
        config::Config {
            nexus: config::FORMAT_VERSION,
            providers: core::mem::take(&mut self.providers),
            apps,
            unmatched,
            jwt_cache_size: config::DEFAULT_JWT_CACHE_SIZE,
            signature_verification: config::SignatureVerification::default(),
            replies: None,
        }
    }

    fn compile_named(&mut self, node: &Node<'_, '_>, policy: &source::Policy) {
        let Some(list) = node.field("providers") else {
            return;
        };
        for member in list.members() {
            let Some(provider) = policy.providers.get(member.name.as_ref()) else {
                continue;
            };
            let node = list.child(member);
            if let Err(fault) = value::check_provider_name(&member.name) {
                let message = format!("{} {}", quote(&member.name), fault.message);
                let error =
                    Diagnostic::error(Code::InvalidValue, member.name_span, node.path(), message);
                self.found.push(Diagnostic {
                    hint: fault.hint,
                    ..error
                });
            }
            let compiled = self.provider(&node, provider, &member.name);
            self.named.insert(
                member.name.clone().into_owned(),
                NamedProvider {
                    name_span: member.name_span,
                    compiled,
                    index: None,
                    is_used: false,
                },
            );
        }
    }

    /// Warns of providers that nobody refers to, unless a reference may have been misspelt.
    fn report_unused(&mut self) {
        if !self.found.errors.is_empty() {
            return;
        }
        for (name, provider) in &self.named {
            if !provider.is_used {
                let message = format!("the provider {} is not used", quote(name));
                let warning = Diagnostic::warning(
                    Code::Suspicious,
                    provider.name_span,
                    format!("providers.{name}"),
                    message,
                );
                self.found.push(warning.with_hint(
                    "it is left out of the configuration, and its keys are not fetched",
                ));
            }
        }
    }

    /// The value that a text stands for; a fault is reported.
    pub(super) fn parsed<T>(
        &mut self,
        node: &Node<'_, '_>,
        text: &str,
        parse: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        match parse(text) {
            Ok(value) => Some(value),
            Err(fault) => {
                self.fault(Code::InvalidValue, node, text, fault);
                None
            }
        }
    }

    /// Whether the list had this element before, which is reported.
    pub(super) fn is_repeated(
        &mut self,
        seen: &mut BTreeMap<String, Span>,
        text: &str,
        element: &Node<'_, '_>,
    ) -> bool {
        let Some(first) = seen.get(text).copied() else {
            seen.insert(text.into(), element.span());
            return false;
        };
        let message = format!("{} is in the list twice", quote(text));
        let error = Diagnostic::error(Code::Duplicate, element.span(), element.path(), message);
        self.found
            .push(error.with_place(first, "the first is here"));
        true
    }

    pub(super) fn fault(&mut self, code: Code, node: &Node<'_, '_>, text: &str, fault: Fault) {
        let subject = match text {
            "" => node.label(),
            _ if holds_credentials(text) => "the URL".into(),
            _ => quote(text),
        };
        let Fault { message, hint } = fault;
        self.error(code, node, format!("{subject} {message}"), hint);
    }

    pub(super) fn error(
        &mut self,
        code: Code,
        node: &Node<'_, '_>,
        message: String,
        hint: Option<String>,
    ) {
        let error = Diagnostic::error(code, node.span(), node.path(), message);
        self.found.push(Diagnostic { hint, ..error });
    }

    /// Reports a field by its name.
    pub(super) fn named_error(
        &mut self,
        code: Code,
        field: &Node<'_, '_>,
        message: String,
        hint: &str,
    ) {
        let error = Diagnostic::error(code, field.name_span(), field.path(), message);
        self.found.push(error.with_hint(hint));
    }

    pub(super) fn warn(
        &mut self,
        code: Code,
        node: &Node<'_, '_>,
        message: String,
        hint: Option<String>,
    ) {
        let warning = Diagnostic::warning(code, node.span(), node.path(), message);
        self.found.push(Diagnostic { hint, ..warning });
    }

    /// The one field of `node` that is called one of `names`, and whether it is the only one; what is wrong is
    /// reported. `nothing` is said where there is none.
    pub(super) fn single_field<'n, 'a>(
        &mut self,
        node: &Node<'n, 'a>,
        names: &[&str],
        nothing: (&str, &str),
        several: &str,
    ) -> Option<(Node<'n, 'a>, bool)> {
        let mut fields = node
            .children()
            .filter(|field| field.name().is_some_and(|name| names.contains(&name)));
        let Some(first) = fields.next() else {
            let (message, hint) = nothing;
            let message = format!("{} {message}", node.label());
            let span = opening(node.span());
            let error = Diagnostic::error(Code::MissingField, span, node.path(), message);
            self.found.push(error.with_hint(hint));
            return None;
        };
        let mut is_single = true;
        for other in fields {
            let message = format!("{} cannot stand beside {}", other.label(), first.label());
            self.contradiction(&other, &first, message, Some(several.into()));
            is_single = false;
        }
        Some((first, is_single))
    }

    /// Reports a field that cannot stand beside another one.
    pub(super) fn contradiction(
        &mut self,
        field: &Node<'_, '_>,
        other: &Node<'_, '_>,
        message: String,
        hint: Option<String>,
    ) {
        let other_name = other.name().map(quote).unwrap_or_default();
        let error = Diagnostic::error(
            Code::Contradiction,
            field.name_span(),
            field.path(),
            message,
        )
        .with_place(other.name_span(), format!("{other_name} is here"));
        self.found.push(Diagnostic { hint, ..error });
    }
}

/// Whether a message must not repeat the text, because it is a URL with a password in it.
fn holds_credentials(text: &str) -> bool {
    text.split_once("://")
        .is_some_and(|(_, rest)| rest.contains('@'))
}

/// Whether a member is one of these.
pub(super) fn is_one_of(member: &Member<'_>, names: &[&str]) -> bool {
    names.contains(&member.name.as_ref())
}
