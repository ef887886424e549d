//! What a provider asks of its tokens before any key is tried: issuer, subject, lifetime and type.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::compiler::Compiler;
use super::diagnostic::{Code, Diagnostic, quote};
use super::node::Node;
use super::source::{self, Profile};
use super::value::{self, Fault};
use crate::config;
use crate::issuer_pattern::{
    IssuerPattern, MAX_PATTERN_BYTES, MAX_WILDCARD_CHARS, MAX_WILDCARDS, PatternError,
};

/// The fields that say who issues the tokens, of which a provider has at most one.
const ISSUER_FIELDS: [&str; 3] = ["issuer", "issuers", "issuer_pattern"];

/// Who issues a provider's tokens, as the configuration has it.
#[derive(Debug, Default)]
pub(super) struct Issuers {
    pub(super) one: Option<String>,
    pub(super) several: Vec<String>,
    pub(super) pattern: Option<IssuerPattern>,
}

impl Issuers {
    /// Whether any issuer will do.
    fn is_any(&self) -> bool {
        self.one.is_none() && self.several.is_empty() && self.pattern.is_none()
    }

    /// These, or where there are none the one that the preset knows.
    pub(super) fn or_preset(self, preset: Option<String>) -> Self {
        match self.is_any() {
            true => Self {
                one: preset,
                ..self
            },
            false => self,
        }
    }
}

/// What a provider asks of its tokens, as the configuration has it.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) subjects: Vec<config::TextMatch>,
    pub(super) token_types: Vec<String>,
    pub(super) profile: Option<config::Profile>,
}

/// Whether a provider says itself who issues its tokens, so that a preset need not know.
pub(super) fn names_issuers(provider: &source::Provider) -> bool {
    provider.issuer.is_some() || provider.issuers.is_some() || provider.issuer_pattern.is_some()
}

impl Compiler<'_> {
    /// The issuers that a provider names; `None` when something is wrong with them, which was reported.
    pub(super) fn issuers(
        &mut self,
        node: &Node<'_, '_>,
        provider: &source::Provider,
    ) -> Option<Issuers> {
        let mut fields = ISSUER_FIELDS
            .into_iter()
            .filter_map(|name| node.field(name));
        let Some(field) = fields.next() else {
            return Some(Issuers::default());
        };
        let mut is_single = true;
        for other in fields {
            let message = format!("{} cannot stand beside {}", other.label(), field.label());
            let hint =
                "a provider says in one way who issues its tokens; put several into `issuers`";
            self.contradiction(&other, &field, message, Some(hint.into()));
            is_single = false;
        }
        let issuers = match field.name() {
            Some("issuer") => {
                let text = provider.issuer.as_deref().unwrap_or_default();
                self.parsed(&field, text, value::check_text)?;
                if text.contains('*') {
                    let message = format!("`*` in {} stands for itself", field.label());
                    let hint =
                        "for issuers that differ in a part of their name there is `issuer_pattern`";
                    self.warn(Code::Suspicious, &field, message, Some(hint.into()));
                }
                Issuers {
                    one: Some(text.into()),
                    ..Issuers::default()
                }
            }
            Some("issuers") => Issuers {
                several: self.texts(&field, provider.issuers.as_deref().unwrap_or_default())?,
                ..Issuers::default()
            },
            _ => {
                let text = provider.issuer_pattern.as_deref().unwrap_or_default();
                Issuers {
                    pattern: Some(self.parsed(&field, text, parse_issuer_pattern)?),
                    ..Issuers::default()
                }
            }
        };
        is_single.then_some(issuers)
    }

    /// The subjects, types and profile of a provider; `None` when something is wrong with them, which was
    /// reported. Only with a profile it matters who the issuers are: they are not known where that was reported.
    pub(super) fn terms(
        &mut self,
        node: &Node<'_, '_>,
        provider: &source::Provider,
        issuers: Option<&Issuers>,
    ) -> Option<Terms> {
        let subjects = self.subjects(node, provider);
        let token_types = self.token_types(node, provider);
        let is_consistent = self.is_consistent(node, provider, issuers);
        let terms = Terms {
            subjects: subjects?,
            token_types: token_types?,
            profile: provider.profile.map(|profile| match profile {
                Profile::Rfc9068 => config::Profile::Rfc9068,
            }),
        };
        is_consistent.then_some(terms)
    }

    /// A list of texts that are compared byte for byte, each once.
    pub(super) fn texts(&mut self, list: &Node<'_, '_>, texts: &[String]) -> Option<Vec<String>> {
        let mut seen = BTreeMap::new();
        let mut is_valid = true;
        for (element, text) in list.elements().zip(texts) {
            is_valid &= self.parsed(&element, text, value::check_text).is_some();
            is_valid &= !self.is_repeated(&mut seen, text, &element);
        }
        is_valid.then(|| texts.to_vec())
    }

    fn subjects(
        &mut self,
        node: &Node<'_, '_>,
        provider: &source::Provider,
    ) -> Option<Vec<config::TextMatch>> {
        let (Some(list), Some(subjects)) = (node.field("subjects"), &provider.subjects) else {
            return Some(Vec::new());
        };
        let mut seen = BTreeMap::new();
        let mut compiled = Vec::new();
        let mut is_valid = true;
        for (element, subject) in list.elements().zip(subjects) {
            let text = format!("{}", element.value());
            if self.is_repeated(&mut seen, text.trim_matches('"'), &element) {
                is_valid = false;
                continue;
            }
            match self.text_match(&element, subject) {
                Some(subject) => compiled.push(subject),
                None => is_valid = false,
            }
        }
        is_valid.then_some(compiled)
    }

    /// The media types of tokens, in full and in lower case.
    fn token_types(
        &mut self,
        node: &Node<'_, '_>,
        provider: &source::Provider,
    ) -> Option<Vec<String>> {
        let (Some(list), Some(types)) = (node.field("token_types"), &provider.token_types) else {
            return Some(Vec::new());
        };
        let mut seen = BTreeMap::new();
        let mut compiled = Vec::new();
        let mut is_valid = true;
        for (element, text) in list.elements().zip(types) {
            let Some(media_type) = self.parsed(&element, text, parse_token_type) else {
                is_valid = false;
                continue;
            };
            is_valid &= !self.is_repeated(&mut seen, &media_type, &element);
            compiled.push(media_type);
        }
        is_valid.then_some(compiled)
    }

    /// Whether the fields of a provider can hold together; what cannot is reported.
    fn is_consistent(
        &mut self,
        node: &Node<'_, '_>,
        provider: &source::Provider,
        issuers: Option<&Issuers>,
    ) -> bool {
        let mut is_valid = true;
        // A token without `exp` is refused in any case then.
        let optional = node
            .field("require_expiration")
            .filter(|_| provider.require_expiration == Some(false));
        let requiring = node.field("profile").or(node.field("max_lifetime_secs"));
        if let (Some(optional), Some(requiring)) = (optional, requiring) {
            let message = format!(
                "`require_expiration` `false` has no effect beside {}",
                requiring.label()
            );
            let hint = "it refuses a token without `exp`; leave `require_expiration` out";
            self.contradiction(&optional, &requiring, message, Some(hint.into()));
            is_valid = false;
        }
        let Some(profile) = node.field("profile") else {
            return is_valid;
        };
        if let Some(types) = node.field("token_types") {
            let message = "`token_types` cannot stand beside `profile`".into();
            let hint = "the profile `rfc9068` asks for `at+jwt`; leave one of the two out";
            self.contradiction(&types, &profile, message, Some(hint.into()));
            is_valid = false;
        }
        if issuers.is_some_and(Issuers::is_any) {
            let message = "the profile `rfc9068` needs an issuer".into();
            let hint = "write `issuer`, `issuers` or `issuer_pattern` beside it (RFC 9068 §4)";
            self.error(Code::MissingField, &profile, message, Some(hint.into()));
            is_valid = false;
        }
        is_valid
    }

    /// Reports at `place` that nobody says for whom the access tokens of a provider have to be.
    pub(super) fn report_missing_audience(&mut self, place: &Node<'_, '_>, provider: &str) {
        let message = format!(
            "the profile `rfc9068` of {} needs an audience, and there is none",
            quote(provider)
        );
        let span = place
            .field("auth_type")
            .map_or(place.span(), |field| field.span());
        let error = Diagnostic::error(Code::MissingField, span, place.path(), message);
        self.found.push(error.with_hint(
            "say in `audience` whom tokens have to be for, here or in the provider (RFC 9068 §4)",
        ));
    }
}

/// The pattern that a text is.
fn parse_issuer_pattern(text: &str) -> Result<IssuerPattern, Fault> {
    value::check_text(text)?;
    IssuerPattern::new(text).map_err(|error| {
        let hint = match error {
            PatternError::NoWildcard => "an issuer without `*` is written as `issuer`".into(),
            PatternError::OnlyWildcard => {
                "leave it out to accept any issuer, or write what does not vary".into()
            }
            PatternError::TooLong => format!("an issuer has at most {MAX_PATTERN_BYTES} bytes"),
            _ => format!(
                "each of at most {MAX_WILDCARDS} `*` stands for 1 to {MAX_WILDCARD_CHARS} letters, digits, `-` and `_`"
            ),
        };
        Fault::new(format!("{error}")).hint(hint)
    })
}

/// The longest name of a type or subtype, in characters (RFC 6838 §4.2).
const MAX_TYPE_NAME: usize = 127;

/// A media type in full and in lower case, of one that may be written without `application/` (RFC 7515 §4.1.9).
fn parse_token_type(text: &str) -> Result<String, Fault> {
    let (top, sub) = text.split_once('/').unwrap_or(("application", text));
    let is_name = |name: &str| {
        name.len() <= MAX_TYPE_NAME
            && name.starts_with(|first: char| first.is_ascii_alphanumeric())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    match is_name(top) && is_name(sub) {
        true => Ok(format!("{top}/{sub}").to_ascii_lowercase()),
        false => Err(Fault::new("is no media type")
            .hint("as the header `typ` has it, for example `JWT` or `at+jwt`")),
    }
}
