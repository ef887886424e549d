//! Known identity providers: where their keys are, and what they put into `iss`.

use alloc::format;
use alloc::string::String;

use super::source::Preset;

/// What a preset stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expansion {
    pub(super) jwks_url: String,
    /// `None` where the provider's `iss` cannot be told from what the policy says.
    pub(super) issuer: Option<String>,
}

/// The values of `tenant`, `host` and `realm`; empty where the preset does not take them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameters<'p> {
    pub(super) tenant: &'p str,
    pub(super) host: &'p str,
    pub(super) realm: &'p str,
}

impl Preset {
    /// The word for it in a policy.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Auth0 => "auth0",
            Self::Keycloak => "keycloak",
            Self::Okta => "okta",
            Self::AzureAd => "azure_ad",
            Self::Google => "google",
        }
    }

    /// The fields that it needs beside it.
    pub(super) const fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::Auth0 | Self::Okta | Self::AzureAd => &["tenant"],
            Self::Keycloak => &["host", "realm"],
            Self::Google => &[],
        }
    }

    /// The URL of the keys, and the issuer as the provider writes it.
    pub(super) fn expand(self, given: Parameters<'_>) -> Expansion {
        let Parameters {
            tenant,
            host,
            realm,
        } = given;
        let (jwks_url, issuer) = match self {
            // Auth0's issuer ends in a slash.
            Self::Auth0 => (
                format!("https://{tenant}.auth0.com/.well-known/jwks.json"),
                Some(format!("https://{tenant}.auth0.com/")),
            ),
            Self::Keycloak => (
                format!("https://{host}/realms/{realm}/protocol/openid-connect/certs"),
                Some(format!("https://{host}/realms/{realm}")),
            ),
            Self::Okta => (
                format!("https://{tenant}.okta.com/oauth2/default/v1/keys"),
                Some(format!("https://{tenant}.okta.com/oauth2/default")),
            ),
            // `iss` has the tenant's ID even where the policy has the tenant's domain.
            Self::AzureAd => (
                format!("https://login.microsoftonline.com/{tenant}/discovery/v2.0/keys"),
                is_guid(tenant).then(|| {
                    format!(
                        "https://login.microsoftonline.com/{}/v2.0",
                        tenant.to_ascii_lowercase()
                    )
                }),
            ),
            Self::Google => (
                "https://www.googleapis.com/oauth2/v3/certs".into(),
                Some("https://accounts.google.com".into()),
            ),
        };
        Expansion { jwks_url, issuer }
    }
}

/// Whether the text is a GUID, as `00000000-0000-0000-0000-000000000000`.
fn is_guid(text: &str) -> bool {
    text.len() == 36
        && text.split('-').map(str::len).eq([8, 4, 4, 4, 12])
        && text
            .bytes()
            .all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}
