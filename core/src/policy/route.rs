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
use super::value;
use crate::config;
use crate::json::Span;

/// The requests that routes of an app are for, and where the first route for them stands: by path, whether
/// everything below belongs to it, and method.
type Taken = BTreeMap<(String, bool, Option<String>), Span>;

impl Compiler<'_> {
    /// Compiles the routes of an app; `None` when something is wrong with one, which was reported.
    pub(super) fn routes(
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
        taken: &mut Taken,
    ) -> Option<config::Route> {
        let path_node = node.field("path")?;
        let path = self.parsed(&path_node, &route.path, value::parse_route_path);
        let methods = self.methods(node, route);
        if let Some((path, prefix)) = &path {
            self.report_repeated_path(&path_node, (path, *prefix), gateway_path);
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
        (path, prefix): (&str, bool),
        gateway_path: Option<&str>,
    ) {
        let Some(above) = gateway_path.filter(|above| *above != "/") else {
            return;
        };
        let Some(below) = path.strip_prefix(above) else {
            return;
        };
        if !(below.is_empty() || below.starts_with('/')) {
            return;
        }
        let message = format!(
            "the route is for {}: its path lies below `gateway_path`",
            quote(&written(&format!("{above}{path}"), prefix))
        );
        let below = match below {
            "" => "/",
            below => below,
        };
        let hint = format!(
            "write {} if that is what you mean",
            quote(&written(below, prefix))
        );
        self.warn(Code::Suspicious, node, message, Some(hint));
    }

    /// Reports a route that is for the same requests as another one.
    fn report_twin(
        &mut self,
        node: &Node<'_, '_>,
        (path, prefix): (&str, bool),
        methods: Option<&[String]>,
        taken: &mut Taken,
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
            let path = written(path, prefix);
            let what = match &key.2 {
                Some(method) => format!("{method} {path}"),
                None => path,
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

/// The path of a route as a policy has it.
fn written(path: &str, prefix: bool) -> String {
    match (prefix, path) {
        (false, _) => path.into(),
        (true, "/") => "/*".into(),
        (true, _) => format!("{path}/*"),
    }
}
