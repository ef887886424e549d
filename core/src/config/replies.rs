//! What clients hear of refusals, as the filter reads it.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::reply::Template;

/// What clients hear of refusals.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replies {
    /// The form of bodies that `by_status` does not replace.
    #[serde(default)]
    pub format: ReplyFormat,
    /// The realm of challenges: visible ASCII and spaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realm: Option<String>,
    /// The URL of the resource's metadata for challenges (RFC 9728 §5.1): visible ASCII.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_metadata: Option<String>,
    /// What single statuses are answered with, each at most once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_status: Vec<StatusReply>,
    /// Where browsers without a token are sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect: Option<Redirect>,
}

/// The form of the body of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "policy", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ReplyFormat {
    /// The text that Envoy's `jwt_authn` answers with, as `text/plain`.
    #[default]
    Text,
    /// Problem details (RFC 9457), as `application/problem+json`: `title`, `status`, `detail` with the text,
    /// and `reason` with the code.
    Problem,
    /// No body and no `WWW-Authenticate`: Envoy's `strip_failure_response`.
    Empty,
}

/// What a status is answered with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusReply {
    /// The status.
    pub status: u16,
    /// The body; `None` leaves that of the format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Template>,
    /// The content type of `body`; there if and only if that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Headers to add.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<ReplyHeader>,
}

/// A header of a reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplyHeader {
    /// The name, in lower case.
    pub name: String,
    /// The value.
    pub value: Template,
}

/// Where browsers without a token are sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redirect {
    /// The URL; its scheme and host are fixed text.
    pub location: Template,
    /// 302, 303 or 307.
    pub status: u16,
}
