//! Requests and responses as a test or a command gives them to a filter, and what came of them.

use std::collections::BTreeMap;

use crate::header_map::HeaderMap;

/// A request of a client.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<Vec<u8>>,
    pub(crate) trailers: Option<HeaderMap>,
    pub(crate) properties: BTreeMap<Vec<String>, Vec<u8>>,
}

impl Request {
    /// A request with this method, host and path (with its query), of scheme `http`.
    #[must_use]
    pub fn new(method: &str, authority: &str, path: &str) -> Self {
        Self::from_headers(HeaderMap::from_pairs([
            (":authority", authority),
            (":path", path),
            (":method", method),
            (":scheme", "http"),
        ]))
    }

    /// A `GET`.
    #[must_use]
    pub fn get(authority: &str, path: &str) -> Self {
        Self::new("GET", authority, path)
    }

    /// A request with exactly these headers, whether or not they make sense.
    #[must_use]
    pub fn from_headers(headers: HeaderMap) -> Self {
        Self {
            headers,
            ..Self::default()
        }
    }

    /// Adds a header. What a client sends twice the filter may see joined by a comma: the host keeps names apart as
    /// Envoy's codec does (`authorization`, for one, is joined).
    #[must_use]
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.headers.push(name, value);
        self
    }

    /// Adds headers.
    #[must_use]
    pub fn headers<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        mut self,
        headers: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        self.headers.extend(headers);
        self
    }

    /// Adds a chunk of body. The filter sees each chunk as one call of `proxy_on_request_body`; the stream ends with the
    /// last. (With HTTP/1.1, Envoy ends a body by an empty chunk of its own: add one to see that.)
    #[must_use]
    pub fn body(mut self, chunk: impl Into<Vec<u8>>) -> Self {
        self.body.push(chunk.into());
        self
    }

    /// Sets the trailers.
    #[must_use]
    pub fn trailers(mut self, trailers: HeaderMap) -> Self {
        self.trailers = Some(trailers);
        self
    }

    /// Sets a property of the stream, before any that the host computes: `source`, `address` for instance.
    #[must_use]
    pub fn property(mut self, path: &[&str], value: impl Into<Vec<u8>>) -> Self {
        self.properties.insert(
            path.iter().map(|&part| part.to_owned()).collect(),
            value.into(),
        );
        self
    }
}

/// A response: an upstream's, or what the client gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The headers, `:status` among them.
    pub headers: HeaderMap,
    /// The body, in the chunks in which it comes.
    pub body: Vec<Vec<u8>>,
    /// The trailers.
    pub trailers: Option<HeaderMap>,
}

impl Response {
    /// A response with this status.
    #[must_use]
    pub fn new(status: u32) -> Self {
        Self {
            headers: HeaderMap::from_pairs([(":status", status.to_string())]),
            ..Self::default()
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.headers.push(name, value);
        self
    }

    /// Adds a chunk of body.
    #[must_use]
    pub fn body(mut self, chunk: impl Into<Vec<u8>>) -> Self {
        self.body.push(chunk.into());
        self
    }

    /// Sets the trailers.
    #[must_use]
    pub fn trailers(mut self, trailers: HeaderMap) -> Self {
        self.trailers = Some(trailers);
        self
    }

    /// The number in `:status`, if it is one.
    #[must_use]
    pub fn status(&self) -> Option<u32> {
        std::str::from_utf8(self.headers.first(":status")?)
            .ok()?
            .parse()
            .ok()
    }

    /// The whole body.
    #[must_use]
    pub fn whole_body(&self) -> Vec<u8> {
        self.body.concat()
    }
}

/// Where a filter holds a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// In the request's headers.
    RequestHeaders,
    /// In the request's body.
    RequestBody,
    /// In the request's trailers.
    RequestTrailers,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The filter holds it.
    Paused(Phase),
    /// It went on to the upstream.
    Forwarded(Forwarded),
    /// It was answered without the upstream.
    Replied(LocalReply),
    /// It was neither: the filter closed the stream, or the client went away before.
    Reset,
}

/// A request as the upstream sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
    /// The trailers.
    pub trailers: Option<HeaderMap>,
}

/// An answer that the filter gave itself, or that the host gave because the filter failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalReply {
    /// The status code.
    pub status: u32,
    /// The headers that the filter gave. What the client gets is in `Stream::client_response`.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
    /// The response code details, white space replaced by `_`.
    pub details: String,
    /// The gRPC status, if the filter gave one (0 to 16).
    pub grpc_status: Option<u32>,
}
