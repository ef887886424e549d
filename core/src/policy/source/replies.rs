//! What people write about the replies to requests that are refused.

use alloc::collections::BTreeMap;
use alloc::string::String;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::ReplyFormat;

/// The status of a redirect where the policy does not say.
pub const DEFAULT_REDIRECT_STATUS: u16 = 302;

/// What clients hear of refusals. The status, the reason and its text are those of `docs/deny-reasons.md`; nothing
/// of the request is echoed but its URL in a `redirect`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Replies {
    /// The form of the body. A client of gRPC gets the text in any case, as `grpc-message`.
    #[serde(default)]
    pub format: ReplyFormat,
    /// The realm of `WWW-Authenticate`: visible ASCII and spaces, at most 256 characters. None when left out.
    #[schemars(length(min = 1, max = 256))]
    pub realm: Option<String>,
    /// The `https` URL of the API's metadata (RFC 9728), for `resource_metadata` in `WWW-Authenticate`, by which
    /// clients find out where to get a token.
    pub resource_metadata: Option<String>,
    /// An own body and headers for a status, by the status: `"401"`.
    #[serde(default)]
    #[schemars(extend("default" = {}))]
    pub by_status: BTreeMap<String, StatusReply>,
    /// Where browsers are sent to log in, instead of being answered 401.
    pub redirect: Option<Redirect>,
}

/// What a status is answered with. In `body` and in the values of `headers` these are put in: `${reason}`, the
/// code of the refusal; `${message}`, its text; `${status}`; `${app}`, the app's slug, empty where none
/// matched. `$${` stands for `${` itself.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusReply {
    /// The body, at most 65536 bytes; what is put in is escaped for `content_type`. An empty one is none. That of
    /// `format` when left out.
    pub body: Option<String>,
    /// The content type of `body`; `text/plain` when left out. The body is UTF-8, which is added to types of text.
    /// A body of JSON has to be JSON once values are put in.
    pub content_type: Option<String>,
    /// Headers of the reply, name to value. Those that say where the reply ends, that the proxy sets, that have
    /// a field of their own here, and `Set-Cookie` are refused.
    #[serde(default)]
    #[schemars(extend("default" = {}))]
    pub headers: BTreeMap<String, String>,
}

/// Where browsers are sent to log in: a `GET` or `HEAD` whose `Accept` names `text/html`, refused with 401 for want
/// of a good token. Everybody else is answered 401. A redirect is never cached.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Redirect {
    /// The `https` URL of the login page (`http` only to this machine). Besides what a `body` takes,
    /// `${return_to}` is put in, outside of the host: the URL of the request in percent-encoding, without
    /// tokens, at most 2048 bytes before it is encoded (a longer one without its query or path). Its host is the
    /// one that the client named: the login page has to check it before it sends anybody back there.
    pub location: String,
    /// The status: 302, 303 or 307.
    #[schemars(range(min = 302, max = 307), extend("default" = DEFAULT_REDIRECT_STATUS))]
    pub status: Option<u16>,
}
