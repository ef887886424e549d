//! Which app and which route a request belongs to.
//!
//! The host chooses first: an exact pattern before a wildcard, a longer wildcard before a shorter,
//! `*` last. Among the apps of one host pattern the longest path prefix wins, on segment boundaries.
//! Where the apps of a more specific host have no such path, the next less specific host is asked.
//! Inside the app the most specific route wins; where none matches, the app's own policy holds.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::config::{App, Route};
use crate::path::{NormalPath, PathError};

/// An index into the apps of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppIndex(pub usize);

/// An index into the routes of an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteIndex(pub usize);

/// The rule that a request belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// The app.
    pub app: AppIndex,
    /// Its route; `None` for the app's own policy.
    pub route: Option<RouteIndex>,
}

/// Why a request belongs to no rule although one might be meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MatchError {
    /// The path has no normal form.
    Path(PathError),
    /// Services may read the path in two ways, and the ways lead to different rules.
    Ambiguous,
}

/// The apps of a configuration, ordered for matching.
#[derive(Debug, Default)]
pub struct Matcher {
    exact: BTreeMap<String, Paths>,
    /// By the suffix behind `*`, dot included.
    wildcard: BTreeMap<String, Paths>,
    any: Paths,
    apps: Vec<AppRoutes>,
}

/// The apps of one host pattern.
#[derive(Debug, Default)]
struct Paths {
    by_prefix: BTreeMap<Vec<u8>, AppIndex>,
    /// The number of segments of the longest prefix.
    depth: usize,
}

#[derive(Debug)]
struct AppRoutes {
    /// Length of the app's path prefix; 0 for `/`.
    prefix: usize,
    /// Most specific first.
    routes: Vec<(RouteIndex, Route)>,
}

impl Matcher {
    /// Orders the apps of a configuration. Where two apps have the same host pattern and path, which
    /// `compile-policy` refuses, the first one counts.
    pub fn new(apps: &[App]) -> Self {
        let mut matcher = Self::default();
        for (index, app) in apps.iter().enumerate() {
            let prefix = app.path.trim_end_matches('/').as_bytes();
            for host in &app.hosts {
                let paths = match host.strip_prefix('*') {
                    None => matcher.exact.entry(host.clone()).or_default(),
                    Some("") => &mut matcher.any,
                    Some(suffix) => matcher.wildcard.entry(suffix.into()).or_default(),
                };
                paths.insert(prefix, AppIndex(index));
            }
            let mut routes: Vec<_> = app
                .routes
                .iter()
                .enumerate()
                .map(|(index, route)| (RouteIndex(index), route.clone()))
                .collect();
            // A longer path is more specific, then an exact path, then a list of methods.
            routes.sort_by_key(|(_, route)| {
                (
                    core::cmp::Reverse(route.path.trim_end_matches('/').len()),
                    route.prefix,
                    route.methods.is_empty(),
                )
            });
            matcher.apps.push(AppRoutes {
                prefix: prefix.len(),
                routes,
            });
        }
        matcher
    }

    /// The rule for a request; `None` when no app matches.
    ///
    /// # Errors
    /// Returns why the path cannot be trusted to mean one thing.
    pub fn rule(
        &self,
        authority: &[u8],
        target: &[u8],
        method: &[u8],
    ) -> Result<Option<Rule>, MatchError> {
        let path = NormalPath::parse(target).map_err(MatchError::Path)?;
        let host = hostname(authority);
        let rule = self.find(&host, path.as_bytes(), method);
        let literal = target.split(|byte| *byte == b'?').next();
        let other_readings = [
            literal
                .filter(|_| path.differs_from_request())
                .map(|literal| Ok(literal.to_vec())),
            path.without_parameters().map(Ok),
            path.decoded_twice(),
        ];
        for reading in other_readings.into_iter().flatten() {
            let reading = reading.map_err(MatchError::Path)?;
            if self.find(&host, &reading, method) != rule {
                return Err(MatchError::Ambiguous);
            }
        }
        Ok(rule)
    }

    fn find(&self, host: &str, path: &[u8], method: &[u8]) -> Option<Rule> {
        let app = self
            .hosts(host)
            .find_map(|paths| paths.longest_prefix(path))?;
        let routes = self.apps.get(app.0)?;
        let below = path.get(routes.prefix..).unwrap_or_default();
        let route = routes
            .routes
            .iter()
            .find(|(_, route)| route_matches(route, below, method))
            .map(|(index, _)| *index);
        Some(Rule { app, route })
    }

    /// The apps whose host pattern matches, the most specific pattern first.
    fn hosts(&self, host: &str) -> impl Iterator<Item = &Paths> {
        let wildcards = host
            .match_indices('.')
            // `*.example.com` is for hosts below `example.com`: something stands before the dot.
            .filter(|(at, _)| *at > 0)
            .filter_map(|(at, _)| self.wildcard.get(host.get(at..)?));
        self.exact
            .get(host)
            .into_iter()
            .chain(wildcards)
            .chain(core::iter::once(&self.any))
    }
}

impl Paths {
    fn insert(&mut self, prefix: &[u8], app: AppIndex) {
        self.depth = self.depth.max(segment_ends(prefix).count());
        self.by_prefix.entry(prefix.to_vec()).or_insert(app);
    }

    fn longest_prefix(&self, path: &[u8]) -> Option<AppIndex> {
        // Ends of the prefixes that can match, longest last; the root prefix is empty.
        let ends = segment_ends(path).take(self.depth);
        core::iter::once(0)
            .chain(ends)
            .filter_map(|end| self.by_prefix.get(path.get(..end)?))
            .last()
            .copied()
    }
}

/// The offsets behind each segment of a path that starts with `/`.
fn segment_ends(path: &[u8]) -> impl Iterator<Item = usize> {
    path.iter()
        .enumerate()
        .skip(1)
        .filter(|(_, byte)| **byte == b'/')
        .map(|(at, _)| at)
        .chain(Some(path.len()).filter(|length| *length > 1))
}

fn route_matches(route: &Route, below: &[u8], method: &[u8]) -> bool {
    let path = route.path.trim_end_matches('/').as_bytes();
    let path_matches = match below.strip_prefix(path) {
        Some(b"" | b"/") => true,
        Some([b'/', ..]) => route.prefix,
        _ => false,
    };
    path_matches
        && (route.methods.is_empty()
            || route
                .methods
                .iter()
                .any(|allowed| allowed.as_bytes() == method))
}

/// The host of an authority: lower case, without port and without the dot of the root.
fn hostname(authority: &[u8]) -> String {
    let text = String::from_utf8_lossy(authority).to_ascii_lowercase();
    let host = match text.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => &text,
    };
    host.strip_suffix('.').unwrap_or(host).into()
}

#[cfg(test)]
mod tests;
