//! Header maps: ordered pairs of bytes, with the editing rules of Envoy's own map.
//!
//! A value is bytes, not text: nothing here may assume UTF-8. The rules that Envoy adds to a plain list of pairs (some
//! names hold one comma-joined value, `host` is `:authority`, pseudo-headers stay in front) live in [`MapKind`].

use std::fmt;

/// An ordered list of header or trailer fields. Names are lower-case, as every HTTP codec of Envoy makes them.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct HeaderMap {
    fields: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What distinguishes two header maps: what a filter did to a request, for instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderChanges {
    /// Fields whose name was not there before, in order.
    pub added: HeaderMap,
    /// Fields whose name was there before with other values: all of its values now, in order.
    pub changed: HeaderMap,
    /// Fields whose name is gone: all of its values before, in order.
    pub removed: HeaderMap,
}

impl HeaderMap {
    /// An empty map.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A map of exactly these fields; names are made lower-case, values are taken as they are.
    pub fn from_pairs<N, V>(pairs: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        let mut map = Self::new();
        for (name, value) in pairs {
            map.push(name, value);
        }
        map
    }

    /// Adds a field at the end, next to any of the same name.
    pub fn push(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        self.fields
            .push((name.as_ref().to_ascii_lowercase(), value.as_ref().to_vec()));
    }

    /// The first value of a name.
    #[must_use]
    pub fn first(&self, name: impl AsRef<[u8]>) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// Every value of a name, in order.
    pub fn all(&self, name: impl AsRef<[u8]>) -> impl Iterator<Item = &[u8]> {
        let name = name.as_ref().to_ascii_lowercase();
        self.iter()
            .filter(move |(known, _)| *known == name.as_slice())
            .map(|(_, value)| value)
    }

    /// Whether there is a field of this name.
    #[must_use]
    pub fn contains(&self, name: impl AsRef<[u8]>) -> bool {
        self.first(name).is_some()
    }

    /// Removes every field of a name and tells how many there were.
    pub fn remove(&mut self, name: impl AsRef<[u8]>) -> usize {
        let name = name.as_ref().to_ascii_lowercase();
        let before = self.fields.len();
        self.fields.retain(|(known, _)| *known != name);
        before - self.fields.len()
    }

    /// The fields, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        self.fields
            .iter()
            .map(|(name, value)| (name.as_slice(), value.as_slice()))
    }

    /// How many fields there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there are no fields.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The sum of the lengths of all names and values, in bytes.
    #[must_use]
    pub fn byte_size(&self) -> usize {
        self.iter()
            .map(|(name, value)| name.len() + value.len())
            .sum()
    }

    /// The fields as text, for people to read: bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn to_strings(&self) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.iter()
            .map(|(name, value)| (text(name), text(value)))
            .collect()
    }

    /// What has to be done to `original` to get this map. The order of fields of different names does not count.
    #[must_use]
    pub fn changes_from(&self, original: &Self) -> HeaderChanges {
        let same = |name: &[u8]| self.all(name).eq(original.all(name));
        let mut changes = HeaderChanges::default();
        for (name, value) in self.iter() {
            if !original.contains(name) {
                changes.added.push(name, value);
            } else if !same(name) {
                changes.changed.push(name, value);
            }
        }
        for (name, value) in original.iter().filter(|(name, _)| !self.contains(name)) {
            changes.removed.push(name, value);
        }
        changes
    }

    /// Inserts where Envoy does: a pseudo-header behind the other pseudo-headers, everything else at the end.
    fn insert(&mut self, name: Vec<u8>, value: Vec<u8>) {
        if name.first() == Some(&b':') {
            let end = self
                .fields
                .iter()
                .take_while(|(known, _)| known.first() == Some(&b':'))
                .count();
            self.fields.insert(end, (name, value));
        } else {
            self.fields.push((name, value));
        }
    }

    fn first_mut(&mut self, name: &[u8]) -> Option<&mut Vec<u8>> {
        self.fields
            .iter_mut()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }
}

impl fmt::Debug for HeaderMap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
        formatter
            .debug_map()
            .entries(self.iter().map(|(name, value)| (text(name), text(value))))
            .finish()
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(N, V)> for HeaderMap {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self::from_pairs(pairs)
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> Extend<(N, V)> for HeaderMap {
    fn extend<I: IntoIterator<Item = (N, V)>>(&mut self, pairs: I) {
        for (name, value) in pairs {
            self.push(name, value);
        }
    }
}

/// Whose fields a map holds, which decides how Envoy edits it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MapKind {
    RequestHeaders,
    ResponseHeaders,
    Trailers,
}

impl MapKind {
    /// Adds as Envoy's `addCopy` does: a name of which Envoy keeps one value has it joined to the old one by a comma,
    /// any other name gets one more field.
    pub(crate) fn add(self, map: &mut HeaderMap, name: &[u8], value: &[u8]) {
        let name = self.canonical(name);
        if self.holds_one_value(&name)
            && let Some(existing) = map.first_mut(&name)
        {
            if !existing.is_empty() && !value.is_empty() {
                existing.push(b',');
            }
            existing.extend_from_slice(value);
            return;
        }
        map.insert(name, value.to_vec());
    }

    /// Replaces as Envoy's `setCopy` does: every field of the name goes, one with the value comes at the end.
    pub(crate) fn replace(self, map: &mut HeaderMap, name: &[u8], value: &[u8]) {
        let name = self.canonical(name);
        map.remove(&name);
        map.insert(name, value.to_vec());
    }

    /// Removes every field of the name.
    pub(crate) fn remove(self, map: &mut HeaderMap, name: &[u8]) {
        map.remove(self.canonical(name));
    }

    /// The first value of a name: all that Envoy's getter gives, however many there are.
    pub(crate) fn first(self, map: &HeaderMap, name: &[u8]) -> Option<Vec<u8>> {
        map.first(self.canonical(name)).map(<[u8]>::to_vec)
    }

    /// The map that Envoy's codec makes of fields as they came over the wire.
    pub(crate) fn receive(self, fields: &HeaderMap) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields.iter() {
            self.add(&mut map, name, value);
        }
        map
    }

    fn canonical(self, name: &[u8]) -> Vec<u8> {
        let name = name.to_ascii_lowercase();
        match self {
            Self::RequestHeaders if name == b"host" => b":authority".to_vec(),
            _ => name,
        }
    }

    fn holds_one_value(self, name: &[u8]) -> bool {
        let Ok(name) = std::str::from_utf8(name) else {
            return false;
        };
        match self {
            Self::RequestHeaders => {
                ONE_VALUE_REQUEST.contains(&name) || ONE_VALUE_BOTH.contains(&name)
            }
            Self::ResponseHeaders => {
                ONE_VALUE_RESPONSE.contains(&name) || ONE_VALUE_BOTH.contains(&name)
            }
            Self::Trailers => ONE_VALUE_TRAILERS.contains(&name),
        }
    }
}

// The names of which Envoy holds one value ("inline" headers). Those of `envoy/http/header_map.h`, and those that the
// extensions of an official build register; measured with Envoy 1.40 by sending each name twice.

/// In request headers.
const ONE_VALUE_REQUEST: &[&str] = &[
    ":authority",
    ":method",
    ":path",
    ":protocol",
    ":scheme",
    "accept",
    "accept-encoding",
    "access-control-request-headers",
    "access-control-request-method",
    "authentication",
    "authorization",
    "cache-control",
    "cdn-loop",
    "content-encoding",
    "expect",
    "grpc-accept-encoding",
    "grpc-timeout",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "origin",
    "pragma",
    "referer",
    "te",
    "user-agent",
    "x-client-trace-id",
    "x-envoy-downstream-service-cluster",
    "x-envoy-downstream-service-node",
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-external-address",
    "x-envoy-force-trace",
    "x-envoy-hedge-on-per-try-timeout",
    "x-envoy-internal",
    "x-envoy-ip-tags",
    "x-envoy-is-timeout-retry",
    "x-envoy-max-retries",
    "x-envoy-original-path",
    "x-envoy-original-url",
    "x-envoy-retriable-header-names",
    "x-envoy-retriable-status-codes",
    "x-envoy-retry-grpc-on",
    "x-envoy-retry-on",
    "x-envoy-upstream-alt-stat-name",
    "x-envoy-upstream-rq-per-try-timeout-ms",
    "x-envoy-upstream-rq-timeout-alt-response",
    "x-envoy-upstream-rq-timeout-ms",
    "x-envoy-upstream-stream-duration-ms",
    "x-forwarded-client-cert",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
];

/// In response headers.
const ONE_VALUE_RESPONSE: &[&str] = &[
    ":status",
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-allow-private-network",
    "access-control-expose-headers",
    "access-control-max-age",
    "age",
    "cache-control",
    "content-encoding",
    "date",
    "etag",
    "expires",
    "grpc-message",
    "grpc-status",
    "last-modified",
    "location",
    "pragma",
    "server",
    "vary",
    "x-envoy-degraded",
    "x-envoy-immediate-health-check-fail",
    "x-envoy-ratelimited",
    "x-envoy-upstream-canary",
    "x-envoy-upstream-healthchecked-cluster",
    "x-envoy-upstream-service-time",
];

/// In request and in response headers.
const ONE_VALUE_BOTH: &[&str] = &[
    "connection",
    "content-length",
    "content-type",
    "keep-alive",
    "proxy-connection",
    "proxy-status",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-envoy-attempt-count",
    "x-envoy-decorator-operation",
    "x-request-id",
];

/// In trailers.
const ONE_VALUE_TRAILERS: &[&str] = &["grpc-message", "grpc-status"];

#[cfg(test)]
mod tests {
    use super::*;

    fn received(fields: &[(&str, &str)]) -> Vec<(String, String)> {
        MapKind::RequestHeaders
            .receive(&HeaderMap::from_pairs(fields.iter().copied()))
            .to_strings()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn two_authorization_headers_arrive_as_one_joined_by_a_comma() {
        let map = received(&[
            ("Authorization", "Bearer a"),
            ("x", "1"),
            ("authorization", "Bearer b"),
        ]);
        assert_eq!(
            map,
            [pair("authorization", "Bearer a,Bearer b"), pair("x", "1")]
        );
    }

    #[test]
    fn two_headers_of_no_known_name_stay_two() {
        assert_eq!(
            received(&[("X-Multi", "a"), ("x-multi", "b")]),
            [pair("x-multi", "a"), pair("x-multi", "b")]
        );
    }

    #[test]
    fn cookies_stay_apart() {
        assert_eq!(received(&[("cookie", "a=1"), ("cookie", "b=2")]).len(), 2);
    }

    #[test]
    fn host_is_the_authority_of_a_request_only() {
        assert_eq!(
            received(&[("Host", "a.test")]),
            [pair(":authority", "a.test")]
        );
        let mut response = HeaderMap::new();
        MapKind::ResponseHeaders.add(&mut response, b"Host", b"a.test");
        assert_eq!(response.to_strings(), [pair("host", "a.test")]);
    }

    #[test]
    fn pseudo_headers_stay_in_front() {
        let mut map = HeaderMap::from_pairs([(":method", "GET"), (":path", "/"), ("x", "1")]);
        MapKind::RequestHeaders.replace(&mut map, b":method", b"PUT");
        MapKind::RequestHeaders.add(&mut map, b":foo", b"bar");
        let names: Vec<_> = map.to_strings().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, [":path", ":method", ":foo", "x"]);
    }

    #[test]
    fn a_replaced_header_leaves_all_its_places_for_the_last() {
        let mut map = HeaderMap::from_pairs([("x-multi", "a"), ("mid", "m"), ("x-multi", "b")]);
        MapKind::RequestHeaders.replace(&mut map, b"X-Multi", b"new");
        assert_eq!(map.to_strings(), [pair("mid", "m"), pair("x-multi", "new")]);
    }

    #[test]
    fn an_empty_value_is_not_joined() {
        assert_eq!(
            received(&[("accept", ""), ("accept", "a"), ("accept", "")]),
            [pair("accept", "a")]
        );
    }

    #[test]
    fn changes_tell_added_changed_and_removed_apart() {
        let before =
            HeaderMap::from_pairs([("keep", "1"), ("change", "1"), ("drop", "1"), ("drop", "2")]);
        let after = HeaderMap::from_pairs([
            ("change", "1"),
            ("change", "2"),
            ("new", "x"),
            ("keep", "1"),
        ]);
        let changes = after.changes_from(&before);
        assert_eq!(changes.added, HeaderMap::from_pairs([("new", "x")]));
        assert_eq!(
            changes.changed,
            HeaderMap::from_pairs([("change", "1"), ("change", "2")])
        );
        assert_eq!(
            changes.removed,
            HeaderMap::from_pairs([("drop", "1"), ("drop", "2")])
        );
    }

    #[test]
    fn bytes_that_are_not_text_are_kept() {
        let map = HeaderMap::from_pairs([("x", [0xFF_u8, b'a'])]);
        assert_eq!(map.first("X"), Some(&[0xFF_u8, b'a'][..]));
        assert_eq!(format!("{map:?}"), r#"{"x": "\\xffa"}"#);
    }
}
