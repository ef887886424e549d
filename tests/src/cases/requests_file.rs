//! `requests.json` as its author writes it; `examples/README.md` says what it means.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Expected, ExpectedDenial};

/// `requests.json`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) keys: BTreeMap<String, KeyEntry>,
    #[serde(default)]
    pub(super) key_sets: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub(super) documents: BTreeMap<String, Value>,
    #[serde(default)]
    pub(super) files: BTreeMap<String, Content>,
    #[serde(default)]
    pub(super) environment: BTreeMap<String, Content>,
    #[serde(default)]
    pub(super) tokens: BTreeMap<String, TokenEntry>,
    pub(super) requests: Vec<RequestEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyEntry {
    pub(super) alg: String,
    pub(super) kid: Option<String>,
    /// A committed, test-only private JWK.
    pub(super) file: Option<String>,
}

/// What a generated file or a variable holds.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Content {
    Text(String),
    JwksOf(Vec<String>),
    PublicPemOf(String),
    SecretOf(String),
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenEntry {
    pub(super) like: Option<String>,
    pub(super) key: Option<String>,
    #[serde(default)]
    pub(super) header: Map<String, Value>,
    #[serde(default)]
    pub(super) claims: Map<String, Value>,
    /// The key whose thumbprint is `cnf.jkt`.
    pub(super) bound_to: Option<String>,
    pub(super) expires_in_secs: Option<i64>,
    pub(super) valid_in_secs: Option<i64>,
    pub(super) no_exp: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RequestEntry {
    pub(super) name: String,
    #[serde(default = "get")]
    pub(super) method: String,
    #[serde(default = "host")]
    pub(super) host: String,
    pub(super) path: String,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, Values>,
    pub(super) token: Option<String>,
    pub(super) proof: Option<ProofEntry>,
    pub(super) expect: Expect,
}

/// A DPoP proof; what is left out is that of the request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProofEntry {
    pub(super) key: String,
    pub(super) method: Option<String>,
    pub(super) url: Option<String>,
    pub(super) token: Option<String>,
    pub(super) made_in_secs: Option<i64>,
}

/// One value of a header, or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Values {
    One(String),
    Several(Vec<String>),
}

impl Values {
    /// All of them.
    pub(super) fn as_slice(&self) -> &[String] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Several(values) => values,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Expect {
    Allow {
        service_sees: BTreeMap<String, Option<String>>,
        app: Option<String>,
        route: Option<String>,
        provider: Option<String>,
        kid: Option<String>,
    },
    Deny {
        status: u16,
        reason: String,
        body: String,
        www_authenticate: Option<Values>,
        #[serde(default)]
        headers: BTreeMap<String, String>,
        app: Option<String>,
        route: Option<String>,
        provider: Option<String>,
        kid: Option<String>,
    },
}

fn get() -> String {
    "GET".to_owned()
}

fn host() -> String {
    "app.example.com".to_owned()
}

impl Expect {
    pub(super) fn to_expected(&self) -> Expected {
        let (app, route, provider, kid) = match self {
            Self::Allow {
                app,
                route,
                provider,
                kid,
                ..
            }
            | Self::Deny {
                app,
                route,
                provider,
                kid,
                ..
            } => (app, route, provider, kid),
        };
        let (denial, service_sees) = match self {
            Self::Allow { service_sees, .. } => (None, service_sees.clone()),
            Self::Deny {
                status,
                reason,
                body,
                www_authenticate,
                headers,
                ..
            } => (
                Some(ExpectedDenial {
                    status: *status,
                    reason: reason.clone(),
                    body: body.clone(),
                    challenges: www_authenticate
                        .iter()
                        .flat_map(Values::as_slice)
                        .cloned()
                        .collect(),
                    headers: headers.clone(),
                }),
                BTreeMap::new(),
            ),
        };
        Expected {
            denial,
            service_sees,
            app: app.clone(),
            route: route.clone(),
            provider: provider.clone(),
            kid: kid.clone(),
        }
    }
}
