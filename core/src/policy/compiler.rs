//! From the types of a policy to a configuration: what fields mean together.
//!
//! The structure was checked before: every value has the type that the schema says. What is found here is
//! found for the whole policy, with the exact place. Nothing may be left for the filter to refuse.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::diagnostic::{Code, Diagnostic, Diagnostics, quote};
use super::node::Node;
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

/// Where something stands that may stand only once.
#[derive(Clone, Copy)]
struct Place {
    span: Span,
}

/// What apps must not share.
#[derive(Default)]
struct Taken {
    slugs: BTreeMap<String, Place>,
    /// By host pattern and path.
    locations: BTreeMap<(String, String), Place>,
}

impl Compiler<'_> {
    /// Compiles a whole policy.
    pub(super) fn policy(
        &mut self,
        node: &Node<'_, '_>,
        policy: &source::Policy,
    ) -> config::Config {
        self.compile_named(node, policy);
        let mut taken = Taken::default();
        let mut apps = Vec::new();
        if let Some(list) = node.field("apps") {
            for (element, app) in list.elements().zip(&policy.apps) {
                apps.extend(self.app(&element, app, &mut taken));
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
        self.configuration(apps, policy.unmatched)
    }

    /// Compiles a policy that is a single app.
    pub(super) fn single_app(&mut self, node: &Node<'_, '_>, app: &source::App) -> config::Config {
        let apps = self.app(node, app, &mut Taken::default());
        self.configuration(apps.into_iter().collect(), config::Unmatched::default())
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
                self.fault_at(
                    Code::InvalidValue,
                    member.name_span,
                    node.path(),
                    &member.name,
                    fault,
                );
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

    fn report_unused(&mut self) {
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

    /// Compiles an app; `None` when something is wrong with it, which was reported.
    fn app(
        &mut self,
        node: &Node<'_, '_>,
        app: &source::App,
        taken: &mut Taken,
    ) -> Option<config::App> {
        self.slug(node, app, taken);
        let hosts = self.hosts(node, app);
        let path = node.field("gateway_path").and_then(|node| {
            self.parsed(&node, &app.gateway_path, |path| {
                value::parse_path(path).map_err(|fault| match fault.hint {
                    None if path.ends_with('*') => Fault {
                        hint: Some("it holds for everything below it by itself".into()),
                        ..fault
                    },
                    _ => fault,
                })
            })
        });
        if let Some(path) = &path {
            self.location(node, &hosts, path, taken);
        }
        let auth = node.field("default_policy").and_then(|policy| {
            self.access_policy(
                &policy,
                &app.default_policy,
                &format!("{}/default_policy", app.slug),
            )
        });
        let routes = self.routes(node, app, path.as_deref());
        Some(config::App {
            slug: app.slug.clone(),
            hosts: hosts.into_iter().map(|(host, _)| host).collect(),
            path: path?,
            auth: auth?,
            routes: routes?,
        })
    }

    fn slug(&mut self, node: &Node<'_, '_>, app: &source::App, taken: &mut Taken) {
        let Some(node) = node.field("slug") else {
            return;
        };
        if let Err(fault) = value::check_slug(&app.slug) {
            self.fault(Code::InvalidValue, &node, &app.slug, fault);
        }
        let place = Place { span: node.span() };
        if let Some(first) = taken.slugs.insert(app.slug.clone(), place) {
            taken.slugs.insert(app.slug.clone(), first);
            let message = format!("two apps have the slug {}", quote(&app.slug));
            let error = Diagnostic::error(Code::Duplicate, node.span(), node.path(), message);
            self.found
                .push(error.with_place(first.span, "the first is here"));
        }
    }

    /// The host patterns of an app and where they stand.
    fn hosts(&mut self, node: &Node<'_, '_>, app: &source::App) -> Vec<(String, Span)> {
        let Some(list) = node.field("hosts") else {
            let place = node
                .field("gateway_path")
                .map_or(node.span(), |path| path.span());
            return app.hosts.iter().map(|host| (host.clone(), place)).collect();
        };
        let mut hosts: Vec<(String, Span)> = Vec::new();
        let mut seen = BTreeMap::new();
        for (element, host) in list.elements().zip(&app.hosts) {
            let Some(host) = self.parsed(&element, host, value::parse_host_pattern) else {
                continue;
            };
            if self.is_repeated(&mut seen, &host, &element) {
                continue;
            }
            hosts.push((host, element.span()));
        }
        hosts
    }

    /// Reports an app that answers for the same host and path as another one.
    fn location(
        &mut self,
        node: &Node<'_, '_>,
        hosts: &[(String, Span)],
        path: &str,
        taken: &mut Taken,
    ) {
        for (host, span) in hosts {
            let key = (host.clone(), String::from(path));
            match taken.locations.get(&key) {
                None => {
                    taken.locations.insert(key, Place { span: *span });
                }
                Some(first) => {
                    let message = format!(
                        "two apps answer for the host {} and the path {}",
                        quote(host),
                        quote(path)
                    );
                    let error = Diagnostic::error(Code::Duplicate, *span, node.path(), message);
                    self.found
                        .push(error.with_place(first.span, "the first is here"));
                }
            }
        }
    }

    fn routes(
        &mut self,
        node: &Node<'_, '_>,
        app: &source::App,
        gateway_path: Option<&str>,
    ) -> Option<Vec<config::Route>> {
        let mut taken = BTreeMap::new();
        let mut routes = Vec::new();
        let Some(list) = node.field("routes") else {
            return Some(routes);
        };
        let mut all_valid = true;
        for (index, (element, route)) in list.elements().zip(&app.routes).enumerate() {
            let name = format!("{}/routes[{index}]", app.slug);
            match self.route(&element, route, gateway_path, &name, &mut taken) {
                Some(route) => routes.push(route),
                None => all_valid = false,
            }
        }
        all_valid.then_some(routes)
    }

    fn route(
        &mut self,
        node: &Node<'_, '_>,
        route: &source::Route,
        gateway_path: Option<&str>,
        name: &str,
        taken: &mut BTreeMap<(String, bool, Option<String>), Span>,
    ) -> Option<config::Route> {
        let path_node = node.field("path")?;
        let path = self.parsed(&path_node, &route.path, value::parse_route_path);
        let methods = self.methods(node, route);
        if let Some((path, prefix)) = &path {
            self.report_repeated_path(&path_node, path, gateway_path);
            self.report_twin(&path_node, (path, *prefix), methods.as_deref(), taken);
        }
        let auth = node
            .field("policy")
            .and_then(|policy| self.access_policy(&policy, &route.policy, name));
        let (path, prefix) = path?;
        Some(config::Route {
            path,
            prefix,
            methods: methods?,
            auth: auth?,
        })
    }

    /// Reports a route that was perhaps written with the app's path before its own.
    fn report_repeated_path(
        &mut self,
        node: &Node<'_, '_>,
        path: &str,
        gateway_path: Option<&str>,
    ) {
        let Some(above) = gateway_path.filter(|above| *above != "/") else {
            return;
        };
        let below = path.strip_prefix(above);
        if below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
            let message = format!(
                "the route is for {}: its path lies below `gateway_path`",
                quote(&format!("{above}{path}"))
            );
            let below = below.filter(|rest| !rest.is_empty()).unwrap_or("/");
            self.warn(
                Code::Suspicious,
                node,
                message,
                Some(format!("write {} if that is what you mean", quote(below))),
            );
        }
    }

    /// Reports a route that is for the same requests as another one.
    fn report_twin(
        &mut self,
        node: &Node<'_, '_>,
        (path, prefix): (&str, bool),
        methods: Option<&[String]>,
        taken: &mut BTreeMap<(String, bool, Option<String>), Span>,
    ) {
        // Without methods a route is for every method that no other route of its path names.
        let methods: Vec<Option<String>> = match methods {
            None => return,
            Some([]) => Vec::from([None]),
            Some(names) => names.iter().cloned().map(Some).collect(),
        };
        for method in methods {
            let key = (String::from(path), prefix, method);
            let Some(first) = taken.get(&key).copied() else {
                taken.insert(key, node.span());
                continue;
            };
            let below = match (prefix, path) {
                (false, _) => "",
                (true, "/") => "*",
                (true, _) => "/*",
            };
            let what = match &key.2 {
                Some(method) => format!("{method} {path}{below}"),
                None => format!("{path}{below}"),
            };
            let message = format!("two routes are for {}", quote(&what));
            let error = Diagnostic::error(Code::Duplicate, node.span(), node.path(), message);
            self.found
                .push(error.with_place(first, "the first is here"));
            return;
        }
    }

    /// The methods of a route; empty for every method.
    fn methods(&mut self, node: &Node<'_, '_>, route: &source::Route) -> Option<Vec<String>> {
        let (Some(list), Some(methods)) = (node.field("methods"), &route.methods) else {
            return Some(Vec::new());
        };
        let mut seen = BTreeMap::new();
        let mut all_valid = true;
        for (element, method) in list.elements().zip(methods) {
            if let Err(fault) = value::check_method(method) {
                self.fault(Code::InvalidValue, &element, method, fault);
                all_valid = false;
                continue;
            }
            all_valid &= !self.is_repeated(&mut seen, method, &element);
            if let Some(near) = value::misspelt_method(method) {
                let message = format!("{} is an unusual method", quote(method));
                self.warn(
                    Code::Suspicious,
                    &element,
                    message,
                    Some(format!("did you mean {}?", quote(near))),
                );
            }
        }
        all_valid.then(|| methods.clone())
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
        self.fault_at(code, node.span(), node.path(), text, fault);
    }

    fn fault_at(&mut self, code: Code, span: Span, path: String, text: &str, fault: Fault) {
        let Fault { message, hint } = fault;
        let message = match text {
            "" => format!("the value {message}"),
            _ if holds_credentials(text) => format!("the URL {message}"),
            _ => format!("{} {message}", quote(text)),
        };
        let error = Diagnostic::error(code, span, path, message);
        self.found.push(Diagnostic { hint, ..error });
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
