//! An app: which requests belong to it.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::compiler::Compiler;
use super::diagnostic::{Code, Diagnostic, quote};
use super::node::Node;
use super::source;
use super::value::{self, Fault};
use crate::config;
use crate::json::Span;

/// What apps must not share, and where it stands first.
#[derive(Default)]
pub(super) struct Taken {
    slugs: BTreeMap<String, Span>,
    /// By host pattern and path.
    locations: BTreeMap<(String, String), Span>,
}

impl Compiler<'_> {
    /// Compiles an app; `None` when something is wrong with it, which was reported.
    pub(super) fn app(
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
        let is_whole_policy = node.is_root();
        let own = node.field("replies").zip(app.replies.as_ref());
        let replies = own.as_ref().map(|(node, replies)| match is_whole_policy {
            true => self.replies(node, replies),
            false => self.replies_of_app(node, replies),
        });
        let app = config::App {
            slug: app.slug.clone(),
            hosts: hosts.into_iter().map(|(host, _)| host).collect(),
            path: path?,
            auth: auth?,
            bypass_cors_preflight: app.bypass_cors_preflight,
            route_order: app.route_order,
            routes: routes?,
            replies: match replies {
                None => None,
                Some(replies) => Some(replies?),
            },
        };
        if let (Some((node, _)), Some(replies)) = (own, &app.replies) {
            self.redirect_from_any_host(&node, replies, &app);
        }
        Some(app)
    }

    fn slug(&mut self, node: &Node<'_, '_>, app: &source::App, taken: &mut Taken) {
        let Some(node) = node.field("slug") else {
            return;
        };
        if let Err(fault) = value::check_slug(&app.slug) {
            self.fault(Code::InvalidValue, &node, &app.slug, fault);
        }
        let Some(first) = taken.slugs.get(&app.slug).copied() else {
            taken.slugs.insert(app.slug.clone(), node.span());
            return;
        };
        let message = format!("two apps have the slug {}", quote(&app.slug));
        let error = Diagnostic::error(Code::Duplicate, node.span(), node.path(), message);
        self.found
            .push(error.with_place(first, "the first is here"));
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
                    taken.locations.insert(key, *span);
                }
                Some(first) => {
                    let message = format!(
                        "two apps answer for the host {} and the path {}",
                        quote(host),
                        quote(path)
                    );
                    let error = Diagnostic::error(Code::Duplicate, *span, node.path(), message);
                    self.found
                        .push(error.with_place(*first, "the first is here"));
                }
            }
        }
    }
}
