//! A route: whether a request belongs to it, and in which order routes are asked.

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::condition::ReadyCondition;
use super::{AppIndex, MatchError, MatcherError, RouteIndex, Sought, decoded};
use crate::config::{PathKind, Route, RouteOrder};
use crate::regex::Regex;

/// A route, ready for use.
#[derive(Debug)]
pub(super) struct RoutePattern {
    pub(super) index: RouteIndex,
    path: PathPattern,
    methods: Vec<String>,
    headers: Vec<ReadyCondition>,
    query: Vec<ReadyCondition>,
}

/// Paths are decoded, without a slash at the end.
#[derive(Debug)]
enum PathPattern {
    Exact(Vec<u8>),
    Below(Vec<u8>),
    Prefix(Vec<u8>),
    Regex(Regex),
}

/// Whether a request belongs to a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Belongs {
    Yes,
    No,
    /// Readings of the request disagree.
    Open(MatchError),
}

impl RoutePattern {
    fn new(index: usize, route: &Route) -> Result<Self, MatcherError> {
        let conditions = |conditions: &[_]| {
            conditions
                .iter()
                .map(ReadyCondition::new)
                .collect::<Result<Vec<_>, _>>()
                .map_err(MatcherError::Condition)
        };
        Ok(Self {
            index: RouteIndex(index),
            path: match route.path_kind {
                PathKind::Exact => PathPattern::Exact(decoded(&route.path)),
                PathKind::Below => PathPattern::Below(decoded(&route.path)),
                PathKind::Prefix => PathPattern::Prefix(decoded(&route.path)),
                PathKind::Regex => {
                    PathPattern::Regex(Regex::new(&route.path, false).map_err(MatcherError::Path)?)
                }
            },
            methods: route.methods.clone(),
            headers: conditions(&route.headers)?,
            query: conditions(&route.query)?,
        })
    }

    /// Whether a request whose path below that of `app` is `below` belongs here.
    pub(super) fn belongs(&self, app: AppIndex, below: &[u8], sought: &mut Sought<'_>) -> Belongs {
        let method_matches = self.methods.is_empty()
            || self
                .methods
                .iter()
                .any(|allowed| allowed.as_bytes() == sought.method);
        if !method_matches {
            return Belongs::No;
        }
        let path = self.path.matches(below);
        if path == Some(false) {
            return Belongs::No;
        }
        let key = (app.0, self.index.0);
        let conditions = match sought.conditions.get(&key) {
            Some(known) => *known,
            None => {
                let found = self.conditions_hold(sought);
                sought.conditions.insert(key, found);
                found
            }
        };
        match (path, conditions) {
            (_, Some(false)) => Belongs::No,
            (None, _) => Belongs::Open(MatchError::Ambiguous),
            (_, None) => Belongs::Open(MatchError::AmbiguousCondition),
            _ => Belongs::Yes,
        }
    }

    /// Whether all conditions hold; `None` when readings of the request disagree.
    fn conditions_hold(&self, sought: &Sought<'_>) -> Option<bool> {
        let headers = self
            .headers
            .iter()
            .map(|condition| condition.holds_for_headers(sought.request));
        let query = self
            .query
            .iter()
            .map(|condition| condition.holds_for_query(sought.query));
        let mut all = Some(true);
        for holds in headers.chain(query) {
            match holds {
                Some(true) => {}
                Some(false) => return Some(false),
                None => all = None,
            }
        }
        all
    }
}

impl PathPattern {
    /// `None` when it cannot be said: for a regular expression and a path that is not UTF-8.
    fn matches(&self, below: &[u8]) -> Option<bool> {
        Some(match self {
            Self::Exact(path) => matches!(below.strip_prefix(path.as_slice()), Some(b"" | b"/")),
            Self::Below(path) => {
                matches!(below.strip_prefix(path.as_slice()), Some(b"" | [b'/', ..]))
            }
            Self::Prefix(path) => below.starts_with(path),
            Self::Regex(regex) => {
                core::str::from_utf8(below).ok()?;
                let path = if below.is_empty() { b"/" } else { below };
                let bare = path.strip_suffix(b"/").filter(|bare| !bare.is_empty());
                regex.matches(path) || bare.is_some_and(|bare| regex.matches(bare))
            }
        })
    }
}

/// The routes of an app in the order in which they are asked.
pub(super) fn ordered(
    routes: &[Route],
    order: RouteOrder,
) -> Result<Vec<RoutePattern>, MatcherError> {
    let mut patterns = Vec::with_capacity(routes.len());
    for (index, route) in routes.iter().enumerate() {
        patterns.push(RoutePattern::new(index, route)?);
    }
    if order == RouteOrder::MostSpecific {
        patterns.sort_by_key(|pattern| {
            let (kind, length) = match &pattern.path {
                PathPattern::Exact(path) => (0, path.len()),
                // As they are listed; those with the same expression together, where the first one stands.
                PathPattern::Regex(_) => (
                    1,
                    usize::MAX.saturating_sub(first_twin(routes, pattern.index)),
                ),
                // Of two with the same bytes, the one that ends with a segment is for less.
                PathPattern::Below(path) => (2, path.len().saturating_mul(2).saturating_add(1)),
                PathPattern::Prefix(path) => (2, path.len().saturating_mul(2)),
            };
            (
                kind,
                Reverse(length),
                pattern.methods.is_empty(),
                Reverse(pattern.headers.len()),
                Reverse(pattern.query.len()),
            )
        });
    }
    Ok(patterns)
}

/// The index of the first route with the same path.
fn first_twin(routes: &[Route], RouteIndex(index): RouteIndex) -> usize {
    let Some(route) = routes.get(index) else {
        return index;
    };
    routes
        .iter()
        .position(|other| (other.path_kind, &other.path) == (route.path_kind, &route.path))
        .unwrap_or(index)
}
