//! What a request needs: `JwtRequirement` trees, and the providers that they name.

use std::collections::BTreeMap;

use super::super::fields::{Fields, Spelling};
use super::super::findings::Findings;
use super::super::policy::{Mode, Provider, Requirement};
use super::super::yaml::{Entry, Kind, Node, Place};
use super::provider::audiences;

/// How deep requirements may be nested.
const MAX_DEPTH: usize = 16;

const KINDS: [&str; 7] = [
    "provider_name",
    "provider_and_audiences",
    "requires_any",
    "requires_all",
    "allow_missing",
    "allow_missing_or_failed",
    "extract_only_without_validation",
];

/// The providers and named requirements of a filter.
#[derive(Default)]
pub(super) struct Requirements {
    providers: Vec<Known>,
    /// What `requirement_map` holds; `None` for a requirement without any condition.
    named: BTreeMap<String, Option<Requirement>>,
}

struct Known {
    original: String,
    name: String,
    place: Place,
    /// `None` when something is wrong with it, which was reported.
    provider: Option<Provider>,
    is_used: bool,
}

impl Requirements {
    pub(super) fn add_provider(
        &mut self,
        original: &str,
        name: String,
        place: Place,
        provider: Option<Provider>,
    ) {
        self.providers.push(Known {
            original: original.to_owned(),
            name,
            place,
            provider,
            is_used: false,
        });
    }

    /// Reads `requirement_map`.
    pub(super) fn add_named(&mut self, map: Option<&Node>, findings: &mut Findings) {
        let entries: &[Entry] = match map.map(|map| &map.kind) {
            None => &[],
            Some(Kind::Object(entries)) => entries,
            Some(_) => {
                if let Some(map) = map {
                    findings.refused(map.place, "`requirement_map` has to be an object");
                }
                &[]
            }
        };
        for entry in entries {
            let used: Vec<bool> = self.providers.iter().map(|known| known.is_used).collect();
            let requirement = self.read(&entry.value, findings);
            // What is only named counts as used where the name is.
            for (known, used) in self.providers.iter_mut().zip(used) {
                known.is_used = used;
            }
            self.named.insert(entry.name.clone(), requirement);
        }
    }

    /// The requirement that a rule names.
    pub(super) fn named(&mut self, node: &Node, findings: &mut Findings) -> Option<Requirement> {
        let name = node.text().unwrap_or_default();
        match self.named.get(name) {
            Some(requirement) => {
                let requirement = requirement.clone();
                if let Some(requirement) = &requirement {
                    self.use_all(requirement);
                }
                requirement
            }
            None => {
                findings.refused(node.place, format!("there is no requirement `{name}`"));
                None
            }
        }
    }

    fn use_all(&mut self, requirement: &Requirement) {
        match requirement {
            Requirement::Name(name) | Requirement::Provider { provider: name, .. } => {
                for known in &mut self.providers {
                    known.is_used |= known.name == *name;
                }
            }
            Requirement::AnyOf { any_of: all, .. } | Requirement::AllOf { all_of: all } => {
                for one in all {
                    self.use_all(one);
                }
            }
        }
    }

    /// Reads a requirement; `None` when there is no condition, or when something was reported.
    pub(super) fn read(&mut self, node: &Node, findings: &mut Findings) -> Option<Requirement> {
        self.requirement(node, &[], 0, findings)
    }

    /// `beside` are the providers that `allow_missing` stands beside.
    fn requirement(
        &mut self,
        node: &Node,
        beside: &[String],
        depth: usize,
        findings: &mut Findings,
    ) -> Option<Requirement> {
        if depth > MAX_DEPTH {
            findings.refused(
                node.place,
                format!("requirements are nested deeper than {MAX_DEPTH} levels"),
            );
            return None;
        }
        let fields = Fields::of(node, Spelling::Proto, "requires", findings)?;
        let kind = fields.one_of(&KINDS, findings);
        fields.finish(findings);
        let (kind, entry) = kind?;
        match kind {
            "provider_name" => {
                let name = entry.value.text().unwrap_or_default();
                self.provider(name, entry.place, findings)
                    .map(Requirement::Name)
            }
            "provider_and_audiences" => self.with_audiences(&entry.value, findings),
            "requires_any" => self.any(&entry.value, depth, findings),
            "requires_all" => self.all(&entry.value, depth, findings),
            "allow_missing" => self.missing(Mode::AllowMissing, beside, entry, findings),
            "allow_missing_or_failed" => {
                self.missing(Mode::AllowMissingOrFailed, beside, entry, findings)
            }
            _ => {
                findings.refused_with_hint(
                    entry.place,
                    "`extract_only_without_validation` cannot be carried over: claims of tokens that \
                     nobody has checked are never handed on",
                    "use `allow_missing_or_failed`, which hands on the claims of good tokens only",
                );
                None
            }
        }
    }

    /// The name in the policy of a provider that is now used.
    fn provider(
        &mut self,
        original: &str,
        place: Place,
        findings: &mut Findings,
    ) -> Option<String> {
        let known = self
            .providers
            .iter_mut()
            .find(|known| known.original == original);
        if known.is_none() {
            findings.refused(place, format!("there is no provider `{original}`"));
        }
        known.map(|known| {
            known.is_used = true;
            known.name.clone()
        })
    }

    fn with_audiences(&mut self, node: &Node, findings: &mut Findings) -> Option<Requirement> {
        let fields = Fields::of(node, Spelling::Proto, "provider_and_audiences", findings)?;
        let name = fields.text("provider_name", findings).unwrap_or_default();
        let listed = fields.texts("audiences", findings);
        fields.finish(findings);
        let provider = self.provider(&name, node.place, findings)?;
        Some(match listed.is_empty() {
            true => Requirement::Name(provider),
            false => Requirement::Provider {
                provider,
                audiences: audiences(&listed),
            },
        })
    }

    /// The parts of `requires_any` and `requires_all`.
    fn parts<'n>(node: &'n Node, what: &str, findings: &mut Findings) -> Vec<&'n Node> {
        let Some(fields) = Fields::of(node, Spelling::Proto, what, findings) else {
            return Vec::new();
        };
        let parts = fields.list("requirements", findings);
        fields.finish(findings);
        if parts.is_empty() {
            findings.refused(node.place, format!("`{what}` is empty"));
        }
        parts
    }

    /// Any of these. What allows a missing token is kept apart, as Envoy does: it counts once, for the
    /// providers that are named beside it.
    fn any(&mut self, node: &Node, depth: usize, findings: &mut Findings) -> Option<Requirement> {
        let mut any_of = Vec::new();
        let mut mode: Option<Mode> = None;
        let mut bypass = None;
        for part in Self::parts(node, "requires_any", findings) {
            let has = |names: [&str; 2]| names.iter().any(|name| part.field(name).is_some());
            if has(["allow_missing_or_failed", "allowMissingOrFailed"]) {
                mode = Some(Mode::AllowMissingOrFailed);
                bypass = Some(part);
            } else if has(["allow_missing", "allowMissing"]) {
                mode = mode.or(Some(Mode::AllowMissing));
                bypass = bypass.or(Some(part));
            } else {
                // A part without any condition is always fulfilled, and so is the whole then.
                any_of.push(self.requirement(part, &[], depth + 1, findings)?);
            }
        }
        let direct: Vec<String> = any_of
            .iter()
            .filter_map(|one| match one {
                Requirement::Name(name) => Some(name.clone()),
                Requirement::Provider { provider, .. } => Some(provider.clone()),
                _ => None,
            })
            .collect();
        let Some(bypass) = bypass else {
            return match any_of.len() {
                0 => None,
                1 => any_of.pop(),
                _ => Some(Requirement::AnyOf { any_of, mode: None }),
            };
        };
        if any_of.is_empty() || direct.is_empty() {
            let allowed = self.requirement(bypass, &direct, depth + 1, findings)?;
            any_of.push(allowed);
            return Some(Requirement::AnyOf { any_of, mode: None });
        }
        Some(Requirement::AnyOf { any_of, mode })
    }

    fn all(&mut self, node: &Node, depth: usize, findings: &mut Findings) -> Option<Requirement> {
        let mut all_of: Vec<Requirement> = Vec::new();
        for part in Self::parts(node, "requires_all", findings) {
            all_of.extend(self.requirement(part, &[], depth + 1, findings));
        }
        match all_of.len() {
            0 | 1 => all_of.pop(),
            _ => Some(Requirement::AllOf { all_of }),
        }
    }

    /// `allow_missing` by itself is about every provider of the filter.
    fn missing(
        &mut self,
        mode: Mode,
        beside: &[String],
        entry: &Entry,
        findings: &mut Findings,
    ) -> Option<Requirement> {
        let names: Vec<String> = match beside {
            [] => {
                for known in &mut self.providers {
                    known.is_used = true;
                }
                self.providers
                    .iter()
                    .map(|known| known.name.clone())
                    .collect()
            }
            names => names.to_vec(),
        };
        if names.is_empty() {
            findings.refused(entry.place, "there is no provider");
            return None;
        }
        Some(Requirement::AnyOf {
            any_of: names.into_iter().map(Requirement::Name).collect(),
            mode: Some(mode),
        })
    }

    /// The providers that requirements name, in the order of the file.
    pub(super) fn into_used(self, findings: &mut Findings) -> Vec<(String, Provider)> {
        let mut used = Vec::new();
        for known in self.providers {
            if !known.is_used {
                findings.note(
                    known.place,
                    format!(
                        "the provider `{}` is left out: no rule needs it",
                        known.original
                    ),
                );
                continue;
            }
            used.extend(known.provider.map(|provider| (known.name, provider)));
        }
        used
    }
}
