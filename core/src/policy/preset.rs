//! Known identity providers: where their keys are, and what they put into `iss`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::compiler::Compiler;
use super::diagnostic::{Code, quote};
use super::key_sources::{Keys, PRESET_FIELDS};
use super::node::Node;
use super::source::{self, Preset};
use super::terms::names_issuers;
use super::url::{JwksUrl, split_port};
use super::value::{self, Fault};

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

impl Compiler<'_> {
    /// The keys of a preset, and its issuer.
    pub(super) fn preset(
        &mut self,
        node: &Node<'_, '_>,
        field: &Node<'_, '_>,
        provider: &source::Provider,
    ) -> Option<Keys> {
        let preset = provider.preset?;
        if !self.has_parameters(node, field, preset) {
            return None;
        }
        let expansion = preset.expand(Parameters {
            tenant: provider.tenant.as_deref().unwrap_or_default(),
            host: provider.host.as_deref().unwrap_or_default(),
            realm: provider.realm.as_deref().unwrap_or_default(),
        });
        if expansion.issuer.is_none() && !names_issuers(provider) {
            let tenant = node.field("tenant")?;
            let message = format!(
                "{} is not the ID of a tenant",
                quote(provider.tenant.as_deref()?)
            );
            let hint =
                "Azure AD writes the ID (a GUID) into `iss`; write the ID, or set `issuer` as well";
            self.error(Code::InvalidValue, &tenant, message, Some(hint.into()));
            return None;
        }
        let url = JwksUrl::parse(&expansion.jwks_url);
        let url = self.parsed(field, &expansion.jwks_url, |_| url)?;
        self.remote(
            node,
            field,
            provider,
            (&expansion.jwks_url, url),
            expansion.issuer,
        )
    }

    /// Whether a preset has the fields that it needs, and no other, each with a value that fits into a URL.
    fn has_parameters(
        &mut self,
        node: &Node<'_, '_>,
        field: &Node<'_, '_>,
        preset: Preset,
    ) -> bool {
        let mut is_valid = true;
        for name in PRESET_FIELDS {
            let is_needed = preset.parameters().contains(&name);
            match node.field(name) {
                None if is_needed => {
                    let message =
                        format!("the preset {} needs {}", quote(preset.name()), quote(name));
                    let hint = format!("write {} beside it", needed(preset));
                    self.error(Code::MissingField, field, message, Some(hint));
                    is_valid = false;
                }
                Some(extra) if !is_needed => {
                    let message = format!(
                        "the preset {} does not take {}",
                        quote(preset.name()),
                        quote(name)
                    );
                    let hint = match preset.parameters() {
                        [] => "it takes nothing".into(),
                        _ => format!("it takes {}", needed(preset)),
                    };
                    self.contradiction(&extra, field, message, Some(hint));
                    is_valid = false;
                }
                Some(given) => {
                    let text = given.value().as_str().unwrap_or_default();
                    is_valid &= self
                        .parsed(&given, text, |text| check_parameter(name, text))
                        .is_some();
                }
                None => {}
            }
        }
        is_valid
    }
}

/// Whether a text can be the `tenant`, `host` or `realm` in a preset's URL.
fn check_parameter(name: &str, text: &str) -> Result<(), Fault> {
    let fault = |message: &str, hint: &str| Fault {
        message: message.into(),
        hint: Some(hint.into()),
    };
    match name {
        "host" => {
            if text.contains('/') {
                return Err(fault(
                    "is not a host alone",
                    "without `https://` and path, as in `sso.example.com`",
                ));
            }
            let (host, _) = split_port(text, 443)?;
            value::parse_host(host).map(|_| ())
        }
        // A tenant is a part of a host, or of a path.
        "tenant" if text.contains(['/', ':', '*']) => Err(fault(
            "is not a tenant alone",
            "as in `<tenant>.auth0.com`, without the rest of the URL",
        )),
        "tenant" => value::parse_host(text).map(|_| ()),
        _ => {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            if !text.is_empty() && text.bytes().all(is_plain) && !matches!(text, "." | "..") {
                return Ok(());
            }
            Err(fault(
                "cannot stand in the preset's URL as it is",
                "write `jwks_url` and `issuer` instead of the preset",
            ))
        }
    }
}

/// The fields that a preset needs, in words.
fn needed(preset: Preset) -> String {
    let names: Vec<String> = preset.parameters().iter().map(|name| quote(name)).collect();
    names.join(" and ")
}
