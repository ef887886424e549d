//! What clients hear of refusals, as the filter reads it.

use alloc::string::String;
use alloc::vec::Vec;

use serde::Serialize;

use crate::read::{read_object, read_word};
use crate::reply::Template;

/// What clients hear of refusals.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Replies {
    /// The form of bodies that `by_status` does not replace.
    pub format: ReplyFormat,
    /// The realm of challenges: visible ASCII and spaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realm: Option<String>,
    /// The URL of the resource's metadata for challenges (RFC 9728 §5.1): visible ASCII.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_metadata: Option<String>,
    /// What single statuses are answered with, each at most once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by_status: Vec<StatusReply>,
    /// Where browsers without a token are sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect: Option<Redirect>,
}

read_object!(Replies {} or default { format, realm, resource_metadata, by_status, redirect });

/// The form of the body of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "policy", derive(serde::Deserialize, schemars::JsonSchema))]
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

read_word!(ReplyFormat { "text" => Text, "problem" => Problem, "empty" => Empty });

/// What a status is answered with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatusReply {
    /// The status.
    pub status: u16,
    /// The body; `None` leaves that of the format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Template>,
    /// The content type of `body`; there if and only if that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Headers to add.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<ReplyHeader>,
}

read_object!(StatusReply { status } or default { body, content_type, headers });

/// A header of a reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReplyHeader {
    /// The name, in lower case.
    pub name: String,
    /// The value.
    pub value: Template,
}

read_object!(ReplyHeader { name, value });

/// Where browsers without a token are sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Redirect {
    /// The URL; its scheme and host are fixed text.
    pub location: Template,
    /// 302, 303 or 307.
    pub status: u16,
}

read_object!(Redirect { location, status });
