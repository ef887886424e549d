//! Which requests a rule is for: `RouteMatch`.

use super::super::fields::{Fields, Spelling};
use super::super::findings::Findings;
use super::super::policy::{AccessPolicy, Condition, Path, Route, Test};
use super::super::yaml::Node;
use super::conditions::{header, query, regex};

/// The requests of a rule or of a route.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Matched {
    path: PathMatch,
    /// Whether letters of both cases are the same in the path.
    ignore_case: bool,
    /// Empty for every method.
    methods: Vec<String>,
    headers: Vec<Condition>,
    query: Vec<Condition>,
}

/// How a path is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
enum PathMatch {
    /// It begins so.
    Prefix(String),
    /// It is this and nothing else.
    Exact(String),
    /// It is this, or something below it.
    Below(String),
    /// It matches, as a whole.
    Regex(String),
}

/// Fields of a route's match that `jwt_authn` does not look at.
const OVERLOOKED: [&str; 6] = [
    "runtime_fraction",
    "grpc",
    "tls_context",
    "dynamic_metadata",
    "filter_state",
    "cookies",
];

/// Whose match it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// A rule of `jwt_authn`, which does not look at all of its fields.
    Rule,
    /// A route of the connection manager.
    Route,
}

/// Reads a match; `None` when it cannot be carried over, which was reported.
pub(super) fn read(node: &Node, of: Of, findings: &mut Findings) -> Option<Matched> {
    let fields = Fields::of(node, Spelling::Proto, "match", findings)?;
    let kinds = [
        "prefix",
        "path",
        "path_separated_prefix",
        "safe_regex",
        "connect_matcher",
        "path_match_policy",
    ];
    let path = match fields.one_of(&kinds, findings) {
        Some((kind, entry)) => {
            let text = entry.value.text().unwrap_or_default().to_owned();
            match kind {
                "prefix" => Some(PathMatch::Prefix(text)),
                "path" => Some(PathMatch::Exact(text)),
                "path_separated_prefix" => Some(PathMatch::Below(text)),
                "safe_regex" => regex(&entry.value, findings).map(PathMatch::Regex),
                "connect_matcher" => {
                    findings.not_carried(
                        entry.place,
                        "the rule with `connect_matcher` is left out",
                        "a request without a path is always refused",
                    );
                    None
                }
                _ => {
                    findings.refused_with_hint(
                        entry.place,
                        "`path_match_policy` cannot be carried over",
                        "write it as `safe_regex`",
                    );
                    None
                }
            }
        }
        // An empty text is the default of `prefix`.
        None if node.field("prefix").is_some() => Some(PathMatch::Prefix(String::new())),
        None => {
            findings.refused(fields.place(), "a match without a path");
            None
        }
    };
    let mut matched = Matched {
        path: PathMatch::Prefix(String::new()),
        ignore_case: ignores_case(&fields, findings),
        methods: Vec::new(),
        headers: Vec::new(),
        query: Vec::new(),
    };
    for header in fields.list("headers", findings) {
        matched.add_header(header, findings);
    }
    for parameter in fields.list("query_parameters", findings) {
        matched.query.extend(query(parameter, findings));
    }
    for name in OVERLOOKED {
        match of {
            Of::Rule => fields.needless(name, "`jwt_authn` does not look at it", findings),
            Of::Route => {
                if let Some(entry) = fields.entry(name, findings) {
                    findings.refused(
                        entry.place,
                        format!("a route with `{name}` cannot be carried over"),
                    );
                }
            }
        }
    }
    fields.finish(findings);
    matched.path = path?;
    Some(matched)
}

fn ignores_case(fields: &Fields<'_>, findings: &mut Findings) -> bool {
    fields.boolean("case_sensitive", findings) == Some(false)
}

impl Matched {
    /// A route for these requests.
    pub(super) fn route(&self, policy: AccessPolicy) -> Route {
        Route {
            path: self.path(),
            methods: self.methods.clone(),
            headers: self.headers.clone(),
            query: self.query.clone(),
            policy,
        }
    }

    /// The path as a policy has it: `/x*` where Envoy has the prefix `/x`. A policy takes a path with a slash at
    /// its end for the same as without.
    fn path(&self) -> Path {
        let (flag, flags) = match self.ignore_case {
            true => ("(?i)", "(?si)"),
            false => ("", "(?s)"),
        };
        let is_plain = |text: &str| !self.ignore_case && is_plain(text);
        match &self.path {
            PathMatch::Prefix(text) if text.is_empty() || text == "/" => {
                Path::Pattern("/*".to_owned())
            }
            PathMatch::Prefix(text) if is_plain(text) => Path::Pattern(format!("{text}*")),
            PathMatch::Prefix(text) => Path::Regex(format!("{flags}{}.*", escape(text))),
            PathMatch::Below(text) if is_plain(text) => Path::Pattern(format!("{text}/*")),
            PathMatch::Below(text) => Path::Regex(format!("{flags}{}(/.*)?", escape(text))),
            PathMatch::Exact(text) if is_plain(text) => Path::Pattern(text.clone()),
            PathMatch::Exact(text) => Path::Regex(format!("{flag}{}", escape(text))),
            PathMatch::Regex(text) => Path::Regex(text.clone()),
        }
    }

    /// The requests of both; `None` when there are none.
    ///
    /// # Errors
    /// When it cannot be told which they are.
    pub(super) fn and(&self, other: &Self) -> Result<Option<Self>, Undecidable> {
        let path = match (self.path.is_all(), other.path.is_all()) {
            (true, _) => Some((other.path.clone(), other.ignore_case)),
            (_, true) => Some((self.path.clone(), self.ignore_case)),
            _ if self.ignore_case || other.ignore_case => return Err(Undecidable),
            _ => self.path.and(&other.path)?.map(|path| (path, false)),
        };
        let Some((path, ignore_case)) = path else {
            return Ok(None);
        };
        let methods = match (self.methods.is_empty(), other.methods.is_empty()) {
            (true, _) => other.methods.clone(),
            (_, true) => self.methods.clone(),
            _ => {
                let both = |method: &&String| other.methods.contains(method);
                let methods: Vec<String> = self.methods.iter().filter(both).cloned().collect();
                if methods.is_empty() {
                    return Ok(None);
                }
                methods
            }
        };
        let both = |one: &[Condition], other: &[Condition]| {
            let mut all = one.to_vec();
            all.extend(other.iter().filter(|it| !one.contains(it)).cloned());
            all
        };
        Ok(Some(Self {
            path,
            ignore_case,
            methods,
            headers: both(&self.headers, &other.headers),
            query: both(&self.query, &other.query),
        }))
    }

    fn add_header(&mut self, node: &Node, findings: &mut Findings) {
        let Some(condition) = header(node, findings) else {
            return;
        };
        if !condition.name.starts_with(':') {
            self.headers.push(condition);
            return;
        }
        match methods(&condition) {
            Some(methods) if condition.name == ":method" && self.methods.is_empty() => {
                self.methods = methods;
            }
            _ => findings.refused_with_hint(
                node.place,
                format!("a condition on `{}` cannot be carried over like this", condition.name),
                "only `:method` can, with `exact` or as `GET|POST`; hosts are the `hosts` of an app",
            ),
        }
    }
}

/// Which requests two matches have in common cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Undecidable;

impl PathMatch {
    fn is_all(&self) -> bool {
        matches!(self, Self::Prefix(text) if text.is_empty() || text == "/")
    }

    fn and(&self, other: &Self) -> Result<Option<Self>, Undecidable> {
        use PathMatch::{Below, Exact, Prefix, Regex};
        let lies_below = |text: &str, above: &str| {
            text.strip_prefix(above)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let narrower = |is_within: bool, path: Self| is_within.then_some(path);
        Ok(match (self, other) {
            (one, other) if one == other => Some(one.clone()),
            (Regex(_), _) | (_, Regex(_)) => return Err(Undecidable),
            (Exact(_), Exact(_)) => None,
            (Exact(text), Prefix(prefix)) | (Prefix(prefix), Exact(text)) => {
                narrower(text.starts_with(prefix), Exact(text.clone()))
            }
            (Exact(text), Below(above)) | (Below(above), Exact(text)) => {
                narrower(lies_below(text, above), Exact(text.clone()))
            }
            (Prefix(one), Prefix(other)) if one.len() >= other.len() => {
                narrower(one.starts_with(other), Prefix(one.clone()))
            }
            (Prefix(one), Prefix(other)) => narrower(other.starts_with(one), Prefix(other.clone())),
            (Below(one), Below(other)) if one.len() >= other.len() => {
                narrower(lies_below(one, other), Below(one.clone()))
            }
            (Below(one), Below(other)) => narrower(lies_below(other, one), Below(other.clone())),
            (Below(above), Prefix(prefix)) | (Prefix(prefix), Below(above)) => {
                if above.starts_with(prefix) {
                    Some(Below(above.clone()))
                } else {
                    let is_within = prefix.starts_with(&format!("{above}/"));
                    narrower(is_within, Prefix(prefix.clone()))
                }
            }
        })
    }
}

/// The methods that a condition on `:method` leaves.
fn methods(condition: &Condition) -> Option<Vec<String>> {
    let is_method = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte == b'-')
    };
    let value = condition.value.as_ref()?;
    if condition.invert || condition.present.is_some() || value.ignore_case {
        return None;
    }
    let listed: Vec<String> = match &value.test {
        Test::Exact(method) => vec![method.clone()],
        Test::Regex(regex) => {
            let inner = regex
                .trim_start_matches('^')
                .trim_end_matches('$')
                .trim_start_matches('(')
                .trim_end_matches(')');
            inner.split('|').map(str::to_owned).collect()
        }
        _ => return None,
    };
    listed
        .iter()
        .all(|method| is_method(method))
        .then_some(listed)
}

/// Whether a path has one spelling only, so that it can stand in a policy as it is.
pub(crate) fn is_plain(text: &str) -> bool {
    text.starts_with('/')
        && !text.contains("//")
        && !text.contains("/.")
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte))
}

/// The text with everything escaped that means something in a regular expression.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if r"\.+*?()|[]{}^$".contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::super::policy::Auth;
    use super::super::super::yaml::documents;
    use super::*;

    fn route(text: &str) -> (String, Vec<String>) {
        let node = &documents(text, 0).unwrap()[0];
        let mut findings = Findings::default();
        let matched = read(node, Of::Rule, &mut findings);
        let json = matched.map_or_else(String::new, |matched| {
            let json = serde_json::to_string(&matched.route(Auth::none().policy())).unwrap();
            json.replace(r#","policy":{"auth":{"auth_type":"none"}}"#, "")
        });
        (json, findings.lines())
    }

    #[test]
    fn matches_mean_the_same_in_a_policy() {
        for (text, expected) in [
            ("prefix: /", r#"{"path":"/*"}"#),
            ("prefix: ''", r#"{"path":"/*"}"#),
            ("prefix: /x", r#"{"path":"/x*"}"#),
            ("prefix: /x/", r#"{"path":"/x/*"}"#),
            (
                "{prefix: /x, case_sensitive: false}",
                r#"{"path_regex":"(?si)/x.*"}"#,
            ),
            ("path: /a.b", r#"{"path":"/a.b"}"#),
            (
                "{path: /a, caseSensitive: false}",
                r#"{"path_regex":"(?i)/a"}"#,
            ),
            ("pathSeparatedPrefix: /api/v1", r#"{"path":"/api/v1/*"}"#),
            (
                "safe_regex: {regex: '/(a|b)/.*', google_re2: {}}",
                r#"{"path_regex":"/(a|b)/.*"}"#,
            ),
            (
                "{prefix: /, headers: [{name: ':method', exact_match: GET}]}",
                r#"{"path":"/*","methods":["GET"]}"#,
            ),
            (
                "{prefix: /, headers: [{name: ':method', string_match: {safe_regex: {regex: '^(GET|POST)$'}}}]}",
                r#"{"path":"/*","methods":["GET","POST"]}"#,
            ),
            (
                "{prefix: /, headers: [{name: a, stringMatch: {prefix: x, ignoreCase: true}, invertMatch: true}, {name: b}, {name: c, present_match: false}]}",
                r#"{"path":"/*","headers":[{"name":"a","prefix":"x","ignore_case":true,"invert":true},{"name":"b","present":true},{"name":"c","present":false}]}"#,
            ),
            (
                "{prefix: /, query_parameters: [{name: a, string_match: {exact: '1'}}, {name: b, present_match: true}]}",
                r#"{"path":"/*","query":[{"name":"a","exact":"1"},{"name":"b","present":true}]}"#,
            ),
        ] {
            assert_eq!(route(text), (expected.to_owned(), vec![]), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_carried_over_is_named() {
        for (text, expected) in [
            (
                "{prefix: /, headers: [{name: n, range_match: {start: 1, end: 2}}]}",
                "1: refused: `range_match` cannot be carried over",
            ),
            (
                "{prefix: /, headers: [{name: ':authority', exact_match: a}]}",
                "1: refused: a condition on `:authority` cannot be carried over like this",
            ),
            (
                "connect_matcher: {}",
                "1: not carried: the rule with `connect_matcher` is left out",
            ),
            (
                "path_match_policy: {name: x}",
                "1: refused: `path_match_policy` cannot be carried over",
            ),
            (
                "{prefix: /, grpc: {}}",
                "1: note: `grpc` is not needed: `jwt_authn` does not look at it",
            ),
            (
                "{prefix: /, prefx: /}",
                "1: refused: `prefx` is not known here: without it, more requests may pass",
            ),
            (
                "{prefix: /, path: /}",
                "1: refused: `path` cannot stand beside `prefix`",
            ),
            ("headers: []", "1: refused: a match without a path"),
        ] {
            assert_eq!(route(text).1, [expected], "{text}");
        }
    }

    #[test]
    fn the_requests_of_two_matches() {
        use PathMatch::{Below, Exact, Prefix, Regex};
        let [a, ab, abc] = ["/a", "/a/b", "/a/bc"].map(str::to_owned);
        for (one, other, expected) in [
            (
                Prefix(a.clone()),
                Prefix(ab.clone()),
                Ok(Some(Prefix(ab.clone()))),
            ),
            (Prefix(ab.clone()), Prefix("/c".into()), Ok(None)),
            (
                Exact(ab.clone()),
                Prefix(a.clone()),
                Ok(Some(Exact(ab.clone()))),
            ),
            (
                Exact(ab.clone()),
                Below(a.clone()),
                Ok(Some(Exact(ab.clone()))),
            ),
            (Exact("/ab".into()), Below(a.clone()), Ok(None)),
            (Exact(a.clone()), Exact(ab.clone()), Ok(None)),
            (
                Below(a.clone()),
                Prefix(abc.clone()),
                Ok(Some(Prefix(abc.clone()))),
            ),
            (
                Below(ab.clone()),
                Prefix(a.clone()),
                Ok(Some(Below(ab.clone()))),
            ),
            (
                Below(a.clone()),
                Below(ab.clone()),
                Ok(Some(Below(ab.clone()))),
            ),
            (Below(ab.clone()), Below(abc.clone()), Ok(None)),
            (
                Regex("x".into()),
                Regex("x".into()),
                Ok(Some(Regex("x".into()))),
            ),
            (Regex("x".into()), Exact(a.clone()), Err(Undecidable)),
        ] {
            assert_eq!(one.and(&other), expected, "{one:?} {other:?}");
            assert_eq!(other.and(&one), expected, "{other:?} {one:?}");
        }
    }
}
