//! How tokens are bound to whoever may send them.

use serde::Serialize;

use crate::read::{read_object, read_word};

/// What a provider asks of whoever sends its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Possession {
    /// Binding to the client certificate of the connection (RFC 8705 §3).
    pub mtls_bound: Binding,
    /// Binding to a key that signs a proof for each request (RFC 9449).
    pub dpop: Binding,
    /// How old such a proof may be, in seconds; at least 1. The provider's clock skew is added.
    pub dpop_max_age_secs: u64,
}

read_object!(Possession { dpop_max_age_secs } or default { mtls_bound, dpop });

/// How old a proof may be where the policy does not say, in seconds.
pub const DEFAULT_DPOP_MAX_AGE_SECS: u64 = 60;

impl Default for Possession {
    fn default() -> Self {
        Self {
            mtls_bound: Binding::Off,
            dpop: Binding::Off,
            dpop_max_age_secs: DEFAULT_DPOP_MAX_AGE_SECS,
        }
    }
}

impl Possession {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Whether tokens are bound to their sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "policy", derive(serde::Deserialize, schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Binding {
    /// It is not looked at: a bound token is taken from anybody.
    #[default]
    Off,
    /// A token that is bound is only taken from the sender that it is bound to; one that is not bound passes.
    Allowed,
    /// Every token has to be bound, and to come from the sender that it is bound to.
    Required,
}

read_word!(Binding { "off" => Off, "allowed" => Allowed, "required" => Required });
