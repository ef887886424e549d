//! The policy that an import writes, field by field in the order in which people read one.
//!
//! These types only ever write. What their fields mean is said by the language itself
//! (`nexus_core::policy::source`), whose compiler passes every import before anybody sees it.

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::json_text;

/// A whole policy.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Policy {
    /// By name, in the order of the original.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "as_object")]
    pub(crate) providers: Vec<(String, Provider)>,
    pub(crate) apps: Vec<App>,
    /// What happens where no app matches: `deny` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unmatched: Option<&'static str>,
}

/// An app.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct App {
    pub(crate) name: String,
    pub(crate) slug: String,
    pub(crate) hosts: Vec<String>,
    pub(crate) gateway_path: &'static str,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) bypass_cors_preflight: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) route_order: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) replies: Option<Replies>,
    pub(crate) default_policy: AccessPolicy,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) routes: Vec<Route>,
}

/// How denials are answered.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Replies {
    pub(crate) format: &'static str,
}

/// A part of an app.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Route {
    #[serde(flatten)]
    pub(crate) path: Path,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) methods: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) headers: Vec<Condition>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) query: Vec<Condition>,
    pub(crate) policy: AccessPolicy,
}

/// Which paths a route is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) enum Path {
    /// `/x`, `/x/*` or `/x*`.
    #[serde(rename = "path")]
    Pattern(String),
    /// A regular expression for the whole path.
    #[serde(rename = "path_regex")]
    Regex(String),
}

/// A condition on a header or a query parameter.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Condition {
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) present: Option<bool>,
    #[serde(flatten)]
    pub(crate) value: Option<TextMatch>,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) invert: bool,
}

/// A condition on a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct TextMatch {
    #[serde(flatten)]
    pub(crate) test: Test,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) ignore_case: bool,
}

/// How a text is compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Test {
    Exact(String),
    Prefix(String),
    Suffix(String),
    Contains(String),
    Regex(String),
}

/// What holds in an app or a route.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct AccessPolicy {
    pub(crate) auth: Auth,
}

/// Who may pass.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Auth {
    auth_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<Mode>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    providers: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requirement: Option<Requirement>,
}

/// What happens to a request without a token, or with one that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    AllowMissing,
    AllowMissingOrFailed,
}

/// What a request has to present.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Requirement {
    Name(String),
    Provider {
        provider: String,
        audiences: Vec<String>,
    },
    AnyOf {
        any_of: Vec<Requirement>,
        #[serde(skip_serializing_if = "Option::is_none")]
        mode: Option<Mode>,
    },
    AllOf {
        all_of: Vec<Requirement>,
    },
}

/// An issuer and its keys.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Provider {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) issuer: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) audiences: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) subjects: Vec<TextMatch>,
    #[serde(flatten)]
    pub(crate) keys: Option<Keys>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) clock_skew_secs: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) require_expiration: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_lifetime_secs: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) required_claims: Vec<RequiredClaim>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) required_scopes: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) token_sources: Vec<TokenSource>,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) forward_token: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) forward_claims: Vec<ForwardClaim>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) forward_payload: Option<ForwardPayload>,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) clear_route_cache: bool,
}

/// Where the keys of a provider are.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(crate) enum Keys {
    Remote {
        jwks_url: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        jwks_cluster: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        jwks_timeout_ms: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        jwks_cache_ttl_secs: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        jwks_max_stale_secs: Option<u64>,
    },
    Discovery {
        oidc_discovery: bool,
    },
    Inline {
        jwks: Box<RawValue>,
    },
    File {
        jwks_file: String,
    },
    Pem {
        public_key: String,
    },
}

/// The name of a claim: of the top level, or a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Claim {
    Name(String),
    Path(Vec<String>),
}

impl Claim {
    /// The claim that Envoy means by a name with dots in it, which lead into objects.
    pub(crate) fn dotted(name: &str) -> Self {
        Self::of_path(name.split('.').map(str::to_owned).collect())
    }

    /// The claim at the end of a path.
    pub(crate) fn of_path(mut path: Vec<String>) -> Self {
        match path.len() {
            1 => Self::Name(path.remove(0)),
            _ => Self::Path(path),
        }
    }
}

/// What a claim has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequiredClaim {
    pub(crate) claim: Claim,
    pub(crate) test: ClaimTest,
}

impl Serialize for RequiredClaim {
    /// The claim alone where it only has to be there, by its name if it has one.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Compared<'c> {
            claim: &'c Claim,
            #[serde(flatten)]
            test: &'c ClaimTest,
        }
        match &self.test {
            ClaimTest::Present => match &self.claim {
                Claim::Name(name) => name.serialize(serializer),
                claim => {
                    let mut object = serializer.serialize_map(Some(1))?;
                    object.serialize_entry("claim", claim)?;
                    object.end()
                }
            },
            test => Compared {
                claim: &self.claim,
                test,
            }
            .serialize(serializer),
        }
    }
}

/// How a claim is compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClaimTest {
    /// It is this text.
    Equals(String),
    /// It is one of these, or a list with one of them in it.
    OneOf(Vec<String>),
    /// It is a list with this in it.
    Contains(String),
    /// It matches, or is a list with something in it that does.
    Matches(TextMatch),
    /// It is there.
    #[serde(skip)]
    Present,
}

/// A place of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum TokenSource {
    Header {
        header: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        prefix: String,
    },
    Query {
        query: String,
    },
    Cookie {
        cookie: String,
    },
}

impl TokenSource {
    /// A header with what stands before the token. Envoy skips what stands between the two; a policy does so for
    /// spaces, where a word ends in one.
    pub(crate) fn of_header(header: String, mut prefix: String) -> Self {
        if prefix.ends_with(|last: char| last.is_ascii_alphanumeric()) {
            prefix.push(' ');
        }
        Self::Header { header, prefix }
    }

    /// The sources, each once.
    pub(crate) fn distinct(sources: Vec<Self>) -> Vec<Self> {
        let mut distinct: Vec<Self> = Vec::new();
        for source in sources {
            if !distinct.contains(&source) {
                distinct.push(source);
            }
        }
        distinct
    }

    /// Where `jwt_authn` looks unless it is told otherwise.
    pub(crate) fn of_envoy() -> Vec<Self> {
        vec![
            Self::Header {
                header: "Authorization".to_owned(),
                prefix: "Bearer ".to_owned(),
            },
            Self::Query {
                query: "access_token".to_owned(),
            },
        ]
    }
}

/// A claim in a header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ForwardClaim {
    pub(crate) claim: Claim,
    pub(crate) header: String,
    /// How Envoy writes arrays and objects.
    pub(crate) format: &'static str,
}

/// The payload in a header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ForwardPayload {
    pub(crate) header: String,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) padding: bool,
}

impl Route {
    /// Whether every request of the other route is one of this one, as far as can be told from their words.
    pub(crate) fn hides(&self, other: &Self) -> bool {
        self.path == other.path
            && (self.methods.is_empty()
                || !other.methods.is_empty()
                    && other
                        .methods
                        .iter()
                        .all(|method| self.methods.contains(method)))
            && self.headers.iter().all(|it| other.headers.contains(it))
            && self.query.iter().all(|it| other.query.contains(it))
    }
}

impl Auth {
    /// Everybody passes.
    pub(crate) fn none() -> Self {
        Self {
            auth_type: "none",
            mode: None,
            providers: Vec::new(),
            requirement: None,
        }
    }

    /// A token, as the requirement says. A list of providers is written as such.
    pub(crate) fn jwt(requirement: Requirement) -> Self {
        let jwt = |mode, providers, requirement| Self {
            auth_type: "jwt",
            mode,
            providers,
            requirement,
        };
        match requirement {
            Requirement::Name(name) => jwt(None, vec![name], None),
            Requirement::AnyOf { any_of, mode } => {
                let names: Option<Vec<String>> = any_of
                    .iter()
                    .map(|one| match one {
                        Requirement::Name(name) => Some(name.clone()),
                        _ => None,
                    })
                    .collect();
                match names {
                    Some(names) => jwt(mode, names, None),
                    None => jwt(None, Vec::new(), Some(Requirement::AnyOf { any_of, mode })),
                }
            }
            requirement => jwt(None, Vec::new(), Some(requirement)),
        }
    }

    /// The providers that it names.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.providers.iter().map(String::as_str).collect();
        let mut open: Vec<&Requirement> = self.requirement.iter().collect();
        while let Some(requirement) = open.pop() {
            match requirement {
                Requirement::Name(name) | Requirement::Provider { provider: name, .. } => {
                    names.push(name);
                }
                Requirement::AnyOf { any_of: all, .. } | Requirement::AllOf { all_of: all } => {
                    open.extend(all);
                }
            }
        }
        names
    }

    /// As an access policy.
    pub(crate) fn policy(self) -> AccessPolicy {
        AccessPolicy { auth: self }
    }
}

impl Policy {
    /// The policy as it is written into a file: JSON, with line breaks.
    ///
    /// # Errors
    /// When it cannot be written as JSON, which is a bug.
    pub(crate) fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self).map(|text| json_text::prettify(&text))
    }
}

fn as_object<S: Serializer>(
    providers: &[(String, Provider)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut object = serializer.serialize_map(Some(providers.len()))?;
    for (name, provider) in providers {
        object.serialize_entry(name, provider)?;
    }
    object.end()
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}
