//! A route: the part of an app that it is for.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::compiler::Compiler;
use super::diagnostic::{Code, Diagnostic, quote};
use super::http;
use super::node::Node;
use super::source;
use super::text_match::check_regex;
use super::value::{self, Fault};
use crate::config::{self, Condition, PathKind, RouteOrder};
use crate::json::Span;
use crate::regex::Regex;

/// What routes of an app are for, and where the first one for it stands.
type Taken = BTreeMap<Purpose, Span>;

/// What a route is for. Without a method: for every one that no other route like it names.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Purpose {
    kind: PathKind,
    path: String,
    method: Option<String>,
    headers: Vec<Condition>,
    query: Vec<Condition>,
}

impl Compiler<'_> {
    /// Compiles the routes of an app and the paths that are excluded from its policy, which go first;
    /// `None` when something is wrong with one, which was reported.
    pub(super) fn routes(
        &mut self,
        node: &Node<'_, '_>,
        app: &source::App,
        gateway_path: Option<&str>,
    ) -> Option<Vec<config::Route>> {
        let excluded = self.excluded_paths(node, app, gateway_path);
        let mut taken = BTreeMap::new();
        let mut compiled: Vec<(config::Route, Node<'_, '_>)> = Vec::new();
        let mut all_valid = true;
        if let Some(list) = node.field("routes") {
            for (index, (element, route)) in list.elements().zip(&app.routes).enumerate() {
                let name = format!("{}/routes[{index}]", app.slug);
                match self.route(&element, route, gateway_path, &name, &mut taken) {
                    Some(route) => compiled.push((route, element)),
                    None => all_valid = false,
                }
            }
        }
        let excluded = excluded?;
        all_valid &= self.report_excluded(&excluded, &compiled);
        if app.route_order == RouteOrder::FirstMatch {
            self.report_unreachable(&excluded, &compiled);
        }
        let routes = excluded.into_iter().chain(compiled);
        all_valid.then(|| routes.map(|(route, _)| route).collect())
    }

    fn route(
        &mut self,
        node: &Node<'_, '_>,
        route: &source::Route,
        gateway_path: Option<&str>,
        name: &str,
        taken: &mut Taken,
    ) -> Option<config::Route> {
        let path = self.route_path(node, route, gateway_path);
        let methods = self.methods(node, route);
        let headers = self.header_conditions(node, route);
        let query = self.query_conditions(node, route);
        let auth = node
            .field("policy")
            .and_then(|policy| self.access_policy(&policy, &route.policy, name));
        let (path_node, path, path_kind) = path?;
        let route = config::Route {
            path,
            path_kind,
            methods: methods?,
            headers: headers?,
            query: query?,
            auth: auth?,
        };
        self.report_twin(&path_node, &route, taken);
        self.report_open(node, &route);
        Some(route)
    }

    /// The path of a route, how it is compared, and where it stands.
    fn route_path<'n, 'a>(
        &mut self,
        node: &Node<'n, 'a>,
        route: &source::Route,
        gateway_path: Option<&str>,
    ) -> Option<(Node<'n, 'a>, String, PathKind)> {
        match (node.field("path"), node.field("path_regex")) {
            (Some(path), None) => {
                let (text, kind) =
                    self.checked_path(&path, route.path.as_deref()?, gateway_path)?;
                Some((path, text, kind))
            }
            (None, Some(regex)) => {
                let text = route.path_regex.as_deref()?;
                self.parsed(&regex, text, check_path_regex)?;
                if text.contains('%') {
                    let message = format!("{} has a `%`", quote(text));
                    let hint = "paths are matched decoded: write the character that is meant";
                    self.warn(Code::Suspicious, &regex, message, Some(hint.into()));
                }
                Some((regex, text.into(), PathKind::Regex))
            }
            (Some(path), Some(regex)) => {
                let message = "`path` and `path_regex` cannot stand together: a route has one path";
                self.contradiction(&regex, &path, message.into(), None);
                None
            }
            (None, None) => {
                // A misspelt one was reported as an unknown field.
                let error = Diagnostic::error(
                    Code::MissingField,
                    node.opening(),
                    node.path(),
                    format!("no path in {}", node.label()),
                );
                let hint = "write `path`, such as `/health` or `/files/*`, or `path_regex`";
                self.found.push(error.with_hint(hint));
                None
            }
        }
    }

    fn checked_path(
        &mut self,
        node: &Node<'_, '_>,
        path: &str,
        gateway_path: Option<&str>,
    ) -> Option<(String, PathKind)> {
        let (path, kind) = self.parsed(node, path, value::parse_route_path)?;
        self.report_repeated_path(node, (&path, kind), gateway_path);
        Some((path, kind))
    }

    /// The paths that are excluded from the app's policy, as routes, and where they stand.
    fn excluded_paths<'n, 'a>(
        &mut self,
        node: &Node<'n, 'a>,
        app: &source::App,
        gateway_path: Option<&str>,
    ) -> Option<Vec<(config::Route, Node<'n, 'a>)>> {
        let mut routes = Vec::new();
        let Some(list) = node.field("excluded_paths") else {
            return Some(routes);
        };
        let mut seen = BTreeMap::new();
        let mut all_valid = true;
        for (element, path) in list.elements().zip(&app.excluded_paths) {
            let Some((path, path_kind)) = self.checked_path(&element, path, gateway_path) else {
                all_valid = false;
                continue;
            };
            all_valid &= !self.is_repeated(&mut seen, &written(&path, path_kind), &element);
            let route = config::Route {
                path,
                path_kind,
                methods: Vec::new(),
                headers: Vec::new(),
                query: Vec::new(),
                auth: config::Auth::None,
            };
            routes.push((route, element));
        }
        all_valid.then_some(routes)
    }

    /// Reports routes whose path is excluded; whether there is none.
    fn report_excluded(
        &mut self,
        excluded: &[(config::Route, Node<'_, '_>)],
        routes: &[(config::Route, Node<'_, '_>)],
    ) -> bool {
        let mut is_valid = true;
        for (route, node) in routes {
            let twin = excluded.iter().find(|(excluded, _)| {
                (excluded.path_kind, &excluded.path) == (route.path_kind, &route.path)
            });
            if let (Some((_, first)), Some(path)) = (twin, node.field("path")) {
                let path_text = written(&route.path, route.path_kind);
                let message = format!("{} has a route and is excluded", quote(&path_text));
                let error =
                    Diagnostic::error(Code::Contradiction, path.span(), path.path(), message)
                        .with_place(first.span(), "it is excluded here")
                        .with_hint("an excluded path is open to everybody; leave one of them out");
                self.found.push(error);
                is_valid = false;
            }
        }
        is_valid
    }

    /// Warns of routes that no request reaches, because routes before them are for all of theirs.
    fn report_unreachable(
        &mut self,
        excluded: &[(config::Route, Node<'_, '_>)],
        routes: &[(config::Route, Node<'_, '_>)],
    ) {
        let all: Vec<_> = excluded.iter().chain(routes).collect();
        for (index, (route, node)) in all.iter().enumerate() {
            let covering = all
                .iter()
                .take(index)
                .find(|(before, _)| covers(before, route));
            if let Some((_, first)) = covering {
                let message =
                    "no request reaches this: what stands before it is for all of its requests";
                let warning = Diagnostic::warning(
                    Code::Suspicious,
                    node.opening(),
                    node.path(),
                    message.into(),
                );
                self.found.push(
                    warning
                        .with_place(first.opening(), "what stands before it is here")
                        .with_hint(
                            "with `route_order` `first_match` the more specific one goes first",
                        ),
                );
            }
        }
    }

    /// Warns of a route that clients open for themselves.
    fn report_open(&mut self, node: &Node<'_, '_>, route: &config::Route) {
        let field = match (route.headers.is_empty(), route.query.is_empty()) {
            (false, _) => "headers",
            (true, false) => "query",
            (true, true) => return,
        };
        let (config::Auth::None, Some(field)) = (&route.auth, node.field(field)) else {
            return;
        };
        let what = match field.name() {
            Some("headers") => "headers",
            _ => "the query",
        };
        let message = format!("everybody passes who fulfils {}", field.label());
        let hint = format!(
            "clients write {what} themselves; unless the proxy sets it anew, ask for a token here"
        );
        let warning = Diagnostic::warning(Code::Insecure, field.name_span(), field.path(), message);
        self.found.push(warning.with_hint(hint));
    }

    /// Reports a route that was perhaps written with the app's path before its own.
    fn report_repeated_path(
        &mut self,
        node: &Node<'_, '_>,
        (path, kind): (&str, PathKind),
        gateway_path: Option<&str>,
    ) {
        let Some(above) = gateway_path.filter(|above| *above != "/") else {
            return;
        };
        let Some(below) = path.strip_prefix(above) else {
            return;
        };
        let is_below = below.is_empty() && kind != PathKind::Prefix || below.starts_with('/');
        if !is_below {
            return;
        }
        let message = format!(
            "the route is for {}: its path lies below `gateway_path`",
            quote(&written(&format!("{above}{path}"), kind))
        );
        let below = match below {
            "" => "/",
            below => below,
        };
        let hint = format!(
            "write {} if that is what you mean",
            quote(&written(below, kind))
        );
        self.warn(Code::Suspicious, node, message, Some(hint));
    }

    /// Reports a route that is for the same requests as another one.
    fn report_twin(&mut self, node: &Node<'_, '_>, route: &config::Route, taken: &mut Taken) {
        let methods: Vec<Option<String>> = match route.methods.as_slice() {
            [] => Vec::from([None]),
            names => names.iter().cloned().map(Some).collect(),
        };
        for method in methods {
            let purpose = Purpose {
                kind: route.path_kind,
                path: route.path.clone(),
                method,
                headers: route.headers.clone(),
                query: route.query.clone(),
            };
            let Some(first) = taken.get(&purpose).copied() else {
                taken.insert(purpose, node.span());
                continue;
            };
            let path = written(&route.path, route.path_kind);
            let what = match &purpose.method {
                Some(method) => format!("{method} {path}"),
                None => path,
            };
            let message = match route.headers.is_empty() && route.query.is_empty() {
                true => format!("two routes are for {}", quote(&what)),
                false => format!(
                    "two routes are for {} with the same conditions",
                    quote(&what)
                ),
            };
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
            if let Err(fault) = http::check_method(method) {
                self.fault(Code::InvalidValue, &element, method, fault);
                all_valid = false;
                continue;
            }
            all_valid &= !self.is_repeated(&mut seen, method, &element);
            if let Some(near) = http::misspelt_method(method) {
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
}

/// A regular expression for a path below `gateway_path`.
fn check_path_regex(text: &str) -> Result<(), Fault> {
    check_regex(text, false)?;
    let begins = Regex::new(text, false).is_ok_and(|regex| regex.may_begin_with('/'));
    match begins {
        true => Ok(()),
        false => Err(Fault::new("matches no path: a path begins with `/`")
            .hint(format!("write {}", quote(&format!("/{text}"))))),
    }
}

/// Whether every request of `route` belongs to `before` as well, as far as that is plain to see.
fn covers(before: &config::Route, route: &config::Route) -> bool {
    let path = match before.path_kind {
        PathKind::Exact | PathKind::Regex => {
            (before.path_kind, &before.path) == (route.path_kind, &route.path)
        }
        _ if route.path_kind == PathKind::Regex => before.path == "/",
        PathKind::Prefix => route.path.starts_with(&before.path),
        PathKind::Below => {
            let above = before.path.strip_suffix('/').unwrap_or(&before.path);
            let below = route.path.strip_prefix(above);
            match route.path_kind {
                PathKind::Prefix => below.is_some_and(|below| below.starts_with('/')),
                _ => below.is_some_and(|below| below.is_empty() || below.starts_with('/')),
            }
        }
    };
    let methods = before.methods.is_empty()
        || !route.methods.is_empty()
            && route
                .methods
                .iter()
                .all(|method| before.methods.contains(method));
    let conditions = |before: &[Condition], route: &[Condition]| {
        before.iter().all(|condition| route.contains(condition))
    };
    path && methods
        && conditions(&before.headers, &route.headers)
        && conditions(&before.query, &route.query)
}

/// The path of a route as a policy has it.
fn written(path: &str, kind: PathKind) -> String {
    match (kind, path) {
        (PathKind::Exact | PathKind::Regex, _) => path.into(),
        (PathKind::Below, "/") => "/*".into(),
        (PathKind::Below, _) => format!("{path}/*"),
        (PathKind::Prefix, _) => format!("{path}*"),
    }
}
