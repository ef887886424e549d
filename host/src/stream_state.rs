//! The state of one HTTP stream, as the proxy holds it for a stream context of the guest.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::filter_state::{Declarations, FilterState};
use crate::header_map::{HeaderMap, MapKind};
use crate::http::{Forwarded, LocalReply, Outcome, Phase, Request, Response};
use crate::side::{Side, Step};

/// How far the guest's context of a stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Context {
    /// `proxy_on_context_create` has not been called.
    None,
    /// It exists in the guest.
    Alive,
    /// It is being written to the access log.
    Logging,
    /// It has been deleted, or its VM is gone.
    Gone,
}

pub(crate) struct HttpStream {
    pub(crate) context: Context,
    pub(crate) request: Side,
    pub(crate) response: Option<Side>,
    pub(crate) original: HeaderMap,
    pub(crate) properties: BTreeMap<Vec<String>, Vec<u8>>,
    pub(crate) filter_state: FilterState,
    /// Declarations in the stream's own context. Envoy takes them, and looks only at the root context's.
    pub(crate) declarations: Declarations,
    /// How often a filter had the route of the request found anew.
    pub(crate) route_cache_clears: usize,
    pub(crate) started_at: Duration,
    pub(crate) reply: Option<LocalReply>,
    /// What the client gets without the filter seeing it: a reply of the host itself.
    pub(crate) direct: Option<Response>,
    pub(crate) was_reset: bool,
    pub(crate) failed: bool,
    pub(crate) details: Option<String>,
}

impl HttpStream {
    pub(crate) fn new(request: Request, started_at: Duration) -> Self {
        let side = Side::new(
            MapKind::RequestHeaders,
            &request.headers,
            request.body,
            request.trailers.as_ref(),
        );
        Self {
            context: Context::None,
            original: side.headers().clone(),
            request: side,
            response: None,
            properties: request.properties,
            filter_state: FilterState::default(),
            declarations: Declarations::new(),
            route_cache_clears: 0,
            started_at,
            reply: None,
            direct: None,
            was_reset: false,
            failed: false,
            details: None,
        }
    }

    pub(crate) fn is_live(&self) -> bool {
        matches!(self.context, Context::Alive | Context::Logging)
    }

    /// The side whose callbacks are due: the response's once there is one.
    pub(crate) fn active_side(&mut self) -> Option<&mut Side> {
        if self.was_reset || self.direct.is_some() {
            return None;
        }
        match &mut self.response {
            Some(response) => Some(response),
            None if self.reply.is_none() => Some(&mut self.request),
            None => None,
        }
    }

    pub(crate) fn outcome(&self) -> Outcome {
        if let Some(reply) = &self.reply {
            return Outcome::Replied(reply.clone());
        }
        if self.request.is_complete() {
            return Outcome::Forwarded(Forwarded {
                headers: self.request.headers().clone(),
                body: self.request.passed_body().to_vec(),
                trailers: self.request.trailers().cloned(),
            });
        }
        if self.was_reset {
            return Outcome::Reset;
        }
        Outcome::Paused(match self.request.paused_in() {
            Step::Headers => Phase::RequestHeaders,
            Step::Body => Phase::RequestBody,
            Step::Trailers | Step::Finished => Phase::RequestTrailers,
        })
    }

    /// Begins a reply of the filter's own. Like Envoy, sends it through the filter unless a response has begun; a second
    /// reply is ignored.
    pub(crate) fn begin_reply(&mut self, reply: LocalReply) {
        if self.was_reset || self.reply.is_some() || self.direct.is_some() {
            return;
        }
        self.details = Some(reply.details.clone());
        let response = client_view(&reply, self.request.headers());
        if self.response.is_none() {
            let map = &response.headers;
            self.response = Some(Side::new(
                MapKind::ResponseHeaders,
                map,
                response.body,
                response.trailers.as_ref(),
            ));
        } else {
            self.direct = Some(response);
        }
        self.reply = Some(reply);
    }

    /// Answers for a filter that failed: `503`, nothing in it, past the filter.
    pub(crate) fn fail(&mut self) {
        if self.failed || self.was_reset {
            return;
        }
        self.failed = true;
        let reply = LocalReply {
            status: 503,
            headers: HeaderMap::new(),
            body: Vec::new(),
            details: "wasm_fail_stream".to_owned(),
            grpc_status: Some(14),
        };
        self.details = Some(reply.details.clone());
        self.direct = Some(client_view(&reply, self.request.headers()));
        self.reply = Some(reply);
    }

    pub(crate) fn reset(&mut self, details: &str) {
        self.was_reset = true;
        self.details.get_or_insert_with(|| details.to_owned());
    }

    /// What the client has got, once it has got all of it.
    pub(crate) fn client_response(&self) -> Option<Response> {
        if let Some(direct) = &self.direct {
            return Some(direct.clone());
        }
        let side = self
            .response
            .as_ref()
            .filter(|side| side.is_complete() && !self.was_reset)?;
        let body = side.passed_body();
        Some(Response {
            headers: side.headers().clone(),
            body: if body.is_empty() {
                Vec::new()
            } else {
                vec![body.to_vec()]
            },
            trailers: side.trailers().cloned(),
        })
    }

    pub(crate) fn is_over(&self) -> bool {
        self.was_reset || self.client_response().is_some()
    }
}

/// The response that Envoy makes of a local reply: it sets the length and, where the filter has not, the type; a gRPC
/// client gets the status in headers instead (`Http::Utility::prepareLocalReply`).
fn client_view(reply: &LocalReply, request: &HeaderMap) -> Response {
    let mut headers = HeaderMap::from_pairs([(":status", reply.status.to_string())]);
    for (name, value) in reply.headers.iter() {
        MapKind::ResponseHeaders.add(&mut headers, name, value);
    }
    if is_grpc(request) {
        return grpc_view(reply, headers);
    }
    let set = |headers: &mut HeaderMap, name: &str, value: &[u8]| {
        MapKind::ResponseHeaders.replace(headers, name.as_bytes(), value);
    };
    headers.remove("content-length");
    if reply.body.is_empty() {
        headers.remove("content-type");
        return Response {
            headers,
            ..Response::default()
        };
    }
    set(
        &mut headers,
        "content-length",
        reply.body.len().to_string().as_bytes(),
    );
    if !headers.contains("content-type") {
        set(&mut headers, "content-type", b"text/plain");
    }
    let is_head = request.first(":method") == Some(b"HEAD");
    let body = if is_head {
        Vec::new()
    } else {
        vec![reply.body.clone()]
    };
    Response {
        headers,
        body,
        trailers: None,
    }
}

fn is_grpc(request: &HeaderMap) -> bool {
    let Some(rest) = request
        .first("content-type")
        .and_then(|value| value.strip_prefix(b"application/grpc"))
    else {
        return false;
    };
    matches!(rest.first(), None | Some(b'+' | b';'))
}

fn grpc_view(reply: &LocalReply, mut headers: HeaderMap) -> Response {
    let status = reply
        .grpc_status
        .unwrap_or_else(|| grpc_status_of(reply.status));
    let mut set = |name: &str, value: &[u8]| {
        MapKind::ResponseHeaders.replace(&mut headers, name.as_bytes(), value)
    };
    set(":status", b"200");
    set("content-type", b"application/grpc");
    set("grpc-status", status.to_string().as_bytes());
    if !reply.body.is_empty() {
        set("grpc-message", percent_encoded(&reply.body).as_bytes());
    }
    Response {
        headers,
        ..Response::default()
    }
}

/// The gRPC status of an HTTP status, as the gRPC specification maps them.
fn grpc_status_of(http: u32) -> u32 {
    match http {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502 | 503 | 504 => 14,
        _ => 2,
    }
}

/// The encoding of `grpc-message`: everything but printable ASCII, and `%`, as `%XX`.
fn percent_encoded(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        match byte {
            b' '..=b'~' if *byte != b'%' => text.push(char::from(*byte)),
            // Writing to a string cannot fail.
            _ => drop(write!(text, "%{byte:02X}")),
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(body: &str, headers: &[(&str, &str)]) -> LocalReply {
        LocalReply {
            status: 401,
            headers: HeaderMap::from_pairs(headers.iter().copied()),
            body: body.into(),
            details: String::new(),
            grpc_status: None,
        }
    }

    #[test]
    fn a_reply_gets_length_and_type_as_from_envoy() {
        let response = client_view(
            &reply("no", &[("www-authenticate", "Bearer")]),
            &HeaderMap::new(),
        );
        let expected = [
            (":status", "401"),
            ("www-authenticate", "Bearer"),
            ("content-length", "2"),
            ("content-type", "text/plain"),
        ];
        assert_eq!(response.headers, HeaderMap::from_pairs(expected));
    }

    #[test]
    fn a_reply_keeps_the_type_that_the_filter_gave() {
        let response = client_view(
            &reply("{}", &[("content-type", "application/json")]),
            &HeaderMap::new(),
        );
        assert_eq!(
            response.headers.first("content-type"),
            Some(&b"application/json"[..])
        );
    }

    #[test]
    fn a_reply_without_body_has_neither_length_nor_type() {
        let response = client_view(
            &reply("", &[("content-type", "application/json")]),
            &HeaderMap::new(),
        );
        assert_eq!(
            response.headers,
            HeaderMap::from_pairs([(":status", "401")])
        );
    }

    #[test]
    fn a_grpc_client_gets_the_status_in_headers() {
        let request = HeaderMap::from_pairs([("content-type", "application/grpc+proto")]);
        let response = client_view(&reply("no\u{e9}", &[]), &request);
        let expected = [
            (":status", "200"),
            ("content-type", "application/grpc"),
            ("grpc-status", "16"),
            ("grpc-message", "no%C3%A9"),
        ];
        assert_eq!(response.headers, HeaderMap::from_pairs(expected));
        assert!(response.body.is_empty());
    }

    #[test]
    fn a_type_that_only_begins_like_grpc_is_not_grpc() {
        assert!(!is_grpc(&HeaderMap::from_pairs([(
            "content-type",
            "application/grpc-web"
        )])));
    }
}
