//! Which app and which route a request belongs to.
//!
//! The host chooses first: an exact pattern before a wildcard, a longer wildcard before a shorter,
//! `*` last. Among the apps of one host pattern the longest path prefix wins, on segment boundaries.
//! Where the apps of a more specific host have no such path, the next less specific host is asked.
//! Inside the app the most specific route wins, or the first one where the app says so; where none
//! matches, the app's own policy holds.
//!
//! What a request says may be read in several ways: its path, repeated headers, its query. Where the
//! readings lead to different rules, no rule is chosen.

mod condition;
mod prefix_table;
mod route;

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::config::App;
use crate::path::{NormalPath, PathError};
use crate::regex::RegexError;
use crate::request::Request;
use crate::scan::split_once;
use crate::sort::sort_by;
use crate::sorted::SortedMap;
use crate::text_match::TextMatchError;
use prefix_table::PrefixTable;
use route::Routes;

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
    /// A pseudo-header is missing or stands more than once.
    PseudoHeader(&'static str),
    /// The authority is no host with an optional port.
    Authority,
    /// The path has no normal form.
    Path(PathError),
    /// Services may read the path in two ways, and the ways lead to different rules.
    Ambiguous,
    /// Services may read a header or a parameter of the query in two ways, and the ways lead to
    /// different rules.
    AmbiguousCondition,
}

/// Why an app cannot be matched. `compile-policy` refuses such a one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MatcherError {
    /// The path of a route is no regular expression that can be used.
    Path(RegexError),
    /// A condition of a route cannot be used.
    Condition(TextMatchError),
}

impl fmt::Display for MatcherError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(error) => write!(f, "the path of a route cannot be used: {error}"),
            Self::Condition(error) => write!(f, "a condition of a route cannot be used: {error}"),
        }
    }
}

impl core::error::Error for MatcherError {}

/// What a route is compared with, but for the path.
#[derive(Debug)]
struct Sought<'r> {
    method: &'r [u8],
    query: &'r [u8],
    request: &'r Request<'r>,
    /// What the conditions of routes said, by app and place in the order of its routes. They do not depend on how the
    /// path is read, and a request that can be read in many ways pays for a long query once.
    conditions: SortedMap<(usize, usize), Option<bool>>,
}

/// The apps of a configuration, ordered for matching.
#[derive(Debug, Default)]
pub struct Matcher {
    exact: SortedMap<String, Paths>,
    /// By the suffix behind `*`, dot included.
    wildcard: SortedMap<String, Paths>,
    any: Paths,
    apps: Vec<AppRoutes>,
}

/// The apps of one host pattern, by their path prefix.
type Paths = PrefixTable<AppIndex>;

#[derive(Debug)]
struct AppRoutes {
    /// Length of the app's path prefix; 0 for `/`.
    prefix: usize,
    routes: Routes,
}

/// The apps of one host pattern, as they are found in the configuration.
type Found = Vec<(Vec<u8>, AppIndex)>;

impl Matcher {
    /// Orders the apps of a configuration. Where two apps have the same host pattern and path, which
    /// `compile-policy` refuses, the first one counts.
    ///
    /// # Errors
    /// Returns the index of an app that cannot be matched, and why.
    pub fn new(apps: &[App]) -> Result<Self, (AppIndex, MatcherError)> {
        let mut matcher = Self {
            apps: Vec::with_capacity(apps.len()),
            ..Self::default()
        };
        let (mut exact, mut wildcard, mut any) = (Vec::new(), Vec::new(), Found::new());
        for (index, app) in apps.iter().enumerate() {
            let index = AppIndex(index);
            let prefix = decoded(&app.path);
            for host in &app.hosts {
                let path = (prefix.clone(), index);
                match host.strip_prefix('*') {
                    None => exact.push((host.as_str(), path)),
                    Some("") => any.push(path),
                    Some(suffix) => wildcard.push((suffix, path)),
                }
            }
            let routes =
                Routes::new(&app.routes, app.route_order).map_err(|error| (index, error))?;
            matcher.apps.push(AppRoutes {
                prefix: prefix.len(),
                routes,
            });
        }
        matcher.exact = by_host(exact);
        matcher.wildcard = by_host(wildcard);
        matcher.any = Paths::new(any);
        Ok(matcher)
    }

    /// The rule for a request; `None` when no app matches.
    ///
    /// # Errors
    /// Returns why the request cannot be trusted to mean one thing.
    pub fn rule(&self, request: &Request<'_>) -> Result<Option<Rule>, MatchError> {
        let single =
            |name: &'static str| request.single(name).ok_or(MatchError::PseudoHeader(name));
        let (method, authority, target) =
            (single(":method")?, single(":authority")?, single(":path")?);
        let host = hostname(authority).ok_or(MatchError::Authority)?;
        let path = NormalPath::parse(target).map_err(MatchError::Path)?;
        let mut sought = Sought {
            method,
            query: query(target),
            request,
            conditions: SortedMap::new(),
        };
        let rule = self.find(&host, path.decoded(), &mut sought)?;
        for reading in path.other_readings() {
            if self.find(&host, reading, &mut sought) != Ok(rule) {
                return Err(MatchError::Ambiguous);
            }
        }
        Ok(rule)
    }

    fn find(
        &self,
        host: &str,
        path: &[u8],
        sought: &mut Sought<'_>,
    ) -> Result<Option<Rule>, MatchError> {
        let found = self
            .hosts(host)
            .find_map(|paths| longest_prefix(paths, path))
            .and_then(|app| Some((app, self.apps.get(app.0)?)));
        let Some((app, AppRoutes { prefix, routes })) = found else {
            return Ok(None);
        };
        let below = path.get(*prefix..).unwrap_or_default();
        let route = routes.find(app, below, sought)?;
        Ok(Some(Rule { app, route }))
    }

    /// The apps whose host pattern matches, the most specific pattern first.
    fn hosts(&self, host: &str) -> impl Iterator<Item = &Paths> {
        let dotted = match self.wildcard.is_empty() {
            true => "",
            false => host,
        };
        let wildcards = dotted
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

/// The apps of each host, in their order.
fn by_host(mut found: Vec<(&str, (Vec<u8>, AppIndex))>) -> SortedMap<String, Paths> {
    sort_by(&mut found, |one, other| one.0.cmp(other.0));
    let mut hosts = SortedMap::new();
    let mut found = found.into_iter().peekable();
    while let Some((host, first)) = found.next() {
        let mut paths = Found::from([first]);
        while let Some((_, path)) = found.next_if(|(other, _)| *other == host) {
            paths.push(path);
        }
        hosts.insert(host.into(), Paths::new(paths));
    }
    hosts
}

/// The app with the longest prefix of a path, on segment boundaries.
fn longest_prefix(paths: &Paths, path: &[u8]) -> Option<AppIndex> {
    let (_, apps) = paths
        .prefixes_of(path)
        .find(|(length, _)| *length == 0 || matches!(path.get(*length..), Some([] | [b'/', ..])))?;
    apps.first().copied()
}

/// A path of the configuration as requests are matched against it: decoded, without a slash at the end.
/// One without normal form, which `compile-policy` refuses, matches nothing.
fn decoded(path: &str) -> Vec<u8> {
    match NormalPath::parse(path.as_bytes()) {
        Ok(normal) => {
            let path = normal.decoded();
            path.strip_suffix(b"/").unwrap_or(path).to_vec()
        }
        Err(_) => path.as_bytes().to_vec(),
    }
}

/// What stands behind the first `?` of a request's target.
fn query(target: &[u8]) -> &[u8] {
    split_once(target, b'?').map_or(b"", |(_, query)| query)
}

/// The host of an authority in lower case, without its port; `None` for what is not `host[:port]`.
///
/// What a proxy might route in another way than this is refused: user information, a second port, the dot
/// of the root.
pub(crate) fn hostname(authority: &[u8]) -> Option<Cow<'_, str>> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let is_address = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    let (host, port, is_host) = match authority.strip_prefix(b"[") {
        None => {
            let (host, port) = split_once(authority, b':').unwrap_or((authority, b""));
            let dots_are_inside = !host.ends_with(b".") && !host.starts_with(b".");
            (host, port, dots_are_inside && host.iter().all(is_name))
        }
        Some(rest) => {
            let (address, behind) = split_once(rest, b']')?;
            let port = match behind {
                b"" => b"",
                _ => behind.strip_prefix(b":")?,
            };
            (address, port, address.iter().all(is_address))
        }
    };
    if !is_host || host.is_empty() || !port.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let host = core::str::from_utf8(host).ok()?;
    match host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Some(Cow::Owned(host.to_ascii_lowercase())),
        false => Some(Cow::Borrowed(host)),
    }
}

#[cfg(test)]
mod tests;
