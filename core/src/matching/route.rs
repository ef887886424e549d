//! A route: whether a request belongs to it, and in which order routes are asked.

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::condition::ReadyCondition;
use super::prefix_table::PrefixTable;
use super::{AppIndex, MatchError, MatcherError, RouteIndex, Sought, decoded};
use crate::config::{PathKind, Route, RouteOrder};
use crate::regex::Regex;
use crate::sort::sort_by;

/// A route, ready for use.
#[derive(Debug)]
pub(super) struct RoutePattern {
    index: RouteIndex,
    /// Its place in the order in which routes are asked.
    place: usize,
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
            place: index,
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
        let key = (app.0, self.place);
        let conditions = match sought.conditions.get(&key) {
            _ if self.headers.is_empty() && self.query.is_empty() => Some(true),
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
                let path = text_for_regex(below);
                let bare = path.strip_suffix(b"/").filter(|bare| !bare.is_empty());
                regex.matches(path) || bare.is_some_and(|bare| regex.matches(bare))
            }
        })
    }
}

/// The routes of an app in the order in which they are asked.
#[derive(Debug)]
pub(super) struct Routes {
    list: Vec<RoutePattern>,
    /// Where there are many.
    by_path: Option<ByPath>,
}

/// How many routes are looked at one after the other; more are looked up.
const MAX_SCANNED_ROUTES: usize = 16;

impl Routes {
    pub(super) fn new(routes: &[Route], order: RouteOrder) -> Result<Self, MatcherError> {
        let list = ordered(routes, order)?;
        let by_path = (list.len() > MAX_SCANNED_ROUTES).then(|| ByPath::new(&list));
        Ok(Self { list, by_path })
    }

    /// The route that a request belongs to whose path below that of `app` is `below`; `None` when it is none of
    /// them.
    ///
    /// # Errors
    /// Why that cannot be said.
    pub(super) fn find(
        &self,
        app: AppIndex,
        below: &[u8],
        sought: &mut Sought<'_>,
    ) -> Result<Option<RouteIndex>, MatchError> {
        match &self.by_path {
            None => first(self.list.iter(), app, below, sought),
            Some(by_path) => {
                let candidates = by_path.candidates(below);
                let candidates = candidates.iter().filter_map(|at| self.list.get(*at));
                first(candidates, app, below, sought)
            }
        }
    }
}

/// The first of the routes that a request belongs to. Every route before it was ruled out, or else there are two rules
/// that may be meant.
fn first<'m>(
    routes: impl Iterator<Item = &'m RoutePattern>,
    app: AppIndex,
    below: &[u8],
    sought: &mut Sought<'_>,
) -> Result<Option<RouteIndex>, MatchError> {
    for route in routes {
        match route.belongs(app, below, sought) {
            Belongs::No => {}
            Belongs::Open(error) => return Err(error),
            Belongs::Yes => return Ok(Some(route.index)),
        }
    }
    Ok(None)
}

/// Routes by what the paths of their requests begin with.
#[derive(Debug)]
struct ByPath {
    /// By the path of the route.
    plain: PrefixTable<usize>,
    /// By what all paths begin with that the expression matches.
    regexes: PrefixTable<usize>,
    /// Every one with an expression.
    all_regexes: Vec<usize>,
}

impl ByPath {
    fn new(routes: &[RoutePattern]) -> Self {
        let (mut plain, mut regexes) = (Vec::new(), Vec::new());
        for (at, route) in routes.iter().enumerate() {
            match &route.path {
                PathPattern::Exact(path) | PathPattern::Below(path) | PathPattern::Prefix(path) => {
                    plain.push((path.clone(), at));
                }
                PathPattern::Regex(regex) => {
                    regexes.push((regex.literal_prefix().into_bytes(), at));
                }
            }
        }
        Self {
            plain: PrefixTable::new(plain),
            all_regexes: regexes.iter().map(|(_, at)| *at).collect(),
            regexes: PrefixTable::new(regexes),
        }
    }

    /// The routes that a path may belong to, in their order: no other one [`matches`](PathPattern::matches) it, nor
    /// leaves open whether it does.
    fn candidates(&self, below: &[u8]) -> Vec<usize> {
        let plain = self.plain.prefixes_of(below);
        let mut found: Vec<usize> = plain.flat_map(|(_, routes)| routes).copied().collect();
        if core::str::from_utf8(below).is_ok() {
            let regexes = self.regexes.prefixes_of(text_for_regex(below));
            found.extend(regexes.flat_map(|(_, routes)| routes));
        } else {
            found.extend(&self.all_regexes);
        }
        sort_by(&mut found, usize::cmp);
        found
    }
}

pub(super) fn ordered(
    routes: &[Route],
    order: RouteOrder,
) -> Result<Vec<RoutePattern>, MatcherError> {
    let mut patterns = Vec::with_capacity(routes.len());
    // The expressions, each where it stands first, by their text.
    let mut twins: Vec<(&str, usize)> = Vec::new();
    for (index, route) in routes.iter().enumerate() {
        patterns.push(RoutePattern::new(index, route)?);
        if route.path_kind == PathKind::Regex {
            twins.push((&route.path, index));
        }
    }
    sort_by(&mut twins, Ord::cmp);
    twins.dedup_by(|later, first| later.0 == first.0);
    if order == RouteOrder::MostSpecific {
        let key = |pattern: &RoutePattern| {
            let (kind, length) = match &pattern.path {
                PathPattern::Exact(path) => (0, path.len()),
                // As they are listed; those with the same expression together, where the first one stands.
                PathPattern::Regex(_) => {
                    let route = routes.get(pattern.index.0);
                    let twin = route.and_then(|route| {
                        let place = twins.binary_search_by(|(path, _)| (*path).cmp(&route.path));
                        twins.get(place.ok()?)
                    });
                    let first = twin.map_or(pattern.index.0, |(_, index)| *index);
                    (1, usize::MAX.saturating_sub(first))
                }
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
        };
        let mut keyed: Vec<_> = patterns
            .into_iter()
            .map(|pattern| (key(&pattern), pattern))
            .collect();
        sort_by(&mut keyed, |(one, _), (other, _)| one.cmp(other));
        let in_order = keyed.into_iter().enumerate();
        return Ok(in_order
            .map(|(place, (_, pattern))| RoutePattern { place, ..pattern })
            .collect());
    }
    Ok(patterns)
}

/// A path below that of its app as expressions are matched with it.
fn text_for_regex(below: &[u8]) -> &[u8] {
    if below.is_empty() { b"/" } else { below }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Request;
    use crate::sorted::SortedMap;
    use proptest::prelude::*;

    fn route((path, path_kind, method): (String, PathKind, Option<&'static str>)) -> Route {
        Route {
            path,
            path_kind,
            methods: method.into_iter().map(Into::into).collect(),
            headers: Vec::new(),
            query: Vec::new(),
            auth: crate::config::Auth::None,
        }
    }

    fn any_route() -> impl Strategy<Value = Route> {
        use PathKind::{Below, Exact, Prefix, Regex};
        let kinds = proptest::sample::select(std::vec![Exact, Below, Prefix]);
        let path = ("(/[ab]{1,2}){1,3}|/", kinds);
        let regexes = [
            "/",
            "/a",
            "/a.*",
            "/a+/b",
            "/(a|b)/a",
            ".*",
            "",
            "/ab?",
            "/b/[a-b]+",
            "(?i)/A",
            "/\\x{e9}",
        ];
        let regex = proptest::sample::select(regexes.to_vec());
        let path = prop_oneof![3 => path, 1 => regex.prop_map(|text| (text.into(), Regex))];
        let method = proptest::sample::select(std::vec![None, Some("GET"), Some("PUT")]);
        (path, method).prop_map(|((path, kind), method)| route((path, kind, method)))
    }

    #[test]
    fn of_ten_thousand_routes_a_few_are_looked_at() {
        use PathKind::{Below, Exact, Prefix, Regex};
        let kinds = [Exact, Below, Prefix, Regex];
        let routes: Vec<Route> = (0..10_000)
            .map(|number: usize| {
                let kind = kinds[number % 4];
                let path = match kind {
                    Regex => std::format!("/items/{number}/[0-9]+"),
                    _ => std::format!("/items/{number}/x"),
                };
                route((path, kind, Some("GET")))
            })
            .collect();
        let list = ordered(&routes, RouteOrder::MostSpecific).unwrap();
        let by_path = ByPath::new(&list);
        let looked_at = |path: &[u8]| {
            let candidates = by_path.candidates(path);
            let found = candidates.iter().map(|at| list[*at].index.0);
            found.collect::<Vec<_>>()
        };
        assert_eq!(looked_at(b"/items/9997/x"), [9997]);
        assert_eq!(looked_at(b"/items/9998/xyz"), [9998]);
        assert_eq!(looked_at(b"/items/9999/17"), [9999]);
        assert_eq!(looked_at(b"/items/9999/"), [9999]);
        for nothing in [&b"/items"[..], b"/items/", b"/items/10000/x", b"", b"/zzz"] {
            assert_eq!(looked_at(nothing), [0; 0]);
        }
        // Nobody can say which expressions match what is no text.
        assert_eq!(looked_at(b"/\xff").len(), 2_500);
    }

    proptest! {
        #[test]
        fn a_route_that_is_looked_up_is_the_one_that_is_found_by_looking_at_all(
            routes in proptest::collection::vec(any_route(), 0..40),
            is_ordered in any::<bool>(),
            path in "(/[abc]{1,2}){0,4}/?",
            is_text in any::<bool>(),
        ) {
            let order = match is_ordered {
                true => RouteOrder::MostSpecific,
                false => RouteOrder::FirstMatch,
            };
            let list = ordered(&routes, order).unwrap();
            let by_path = Some(ByPath::new(&list));
            let looked_up = Routes { list, by_path };
            let list = ordered(&routes, order).unwrap();
            let scanned = Routes { list, by_path: None };
            let mut below = path.into_bytes();
            if !is_text {
                below.push(0xe9);
            }
            let find = |routes: &Routes| {
                let request = Request::new(&[]);
                let mut sought = Sought {
                    method: b"GET",
                    query: b"",
                    request: &request,
                    conditions: SortedMap::new(),
                };
                routes.find(AppIndex(0), &below, &mut sought)
            };
            prop_assert_eq!(find(&looked_up), find(&scanned));
        }
    }
}
