//! What of an issuer's tokens is revoked: `revoked`, and the fields of `revocation_url`.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::compiler::Compiler;
use super::diagnostic::Code;
use super::node::Node;
use super::source::{self, RevokedKey, RevokedSubject};
use super::url::JwksUrl;
use super::value::{self, Fault};
use crate::config::{Remote, Revocation, RevokedEntry};
use crate::revocation::RevokedBy;

/// The fields that only mean something for a list from a URL.
const REMOTE_FIELDS: [&str; 4] = [
    "revocation_cluster",
    "revocation_timeout_ms",
    "revocation_cache_ttl_secs",
    "revocation_max_stale_secs",
];

impl Compiler<'_> {
    /// What is revoked, and the cluster and URL that a list is fetched from.
    pub(super) fn revocation(
        &mut self,
        node: &Node<'_, '_>,
        provider: &source::Provider,
    ) -> Option<(Revocation, Option<(String, JwksUrl)>)> {
        let entries = self.revoked(node, provider);
        let remote = self.revocation_list(node, provider);
        let (entries, remote) = (entries?, remote?);
        let (remote, cluster) = remote.unzip();
        Some((Revocation { entries, remote }, cluster))
    }

    /// What the policy itself lists.
    fn revoked(
        &mut self,
        node: &Node<'_, '_>,
        provider: &source::Provider,
    ) -> Option<Vec<RevokedEntry>> {
        let (Some(field), Some(revoked)) = (node.field("revoked"), &provider.revoked) else {
            return Some(Vec::new());
        };
        if field.members().is_empty() {
            let message = "`revoked` names nothing".into();
            let hint = "list what is revoked in `jti`, `sub` or `kid`, or leave the field out";
            self.error(Code::InvalidValue, &field, message, Some(hint.into()));
            return None;
        }
        let mut is_valid = true;
        let mut entries = Vec::new();
        for by in RevokedBy::ALL {
            let Some(list) = field.field(by.name()) else {
                continue;
            };
            let mut seen = BTreeMap::new();
            for (element, entry) in list.elements().zip(entries_of(revoked, by)) {
                let place = element.field(by.name());
                let place = place.as_ref().unwrap_or(&element);
                is_valid &= self
                    .parsed(place, &entry.value, value::check_text)
                    .is_some()
                    && !self.is_repeated(&mut seen, &entry.value, place);
                entries.push(entry);
            }
        }
        is_valid.then_some(entries)
    }

    /// The list of `revocation_url`.
    // `None` because of a fault; `Some(None)` because there is no list.
    fn revocation_list(
        &mut self,
        node: &Node<'_, '_>,
        provider: &source::Provider,
    ) -> Option<Option<(Remote, (String, JwksUrl))>> {
        let (Some(field), Some(text)) = (node.field("revocation_url"), &provider.revocation_url)
        else {
            let mut is_valid = true;
            for extra in REMOTE_FIELDS.iter().filter_map(|name| node.field(name)) {
                let message = format!("{} has no effect without `revocation_url`", extra.label());
                let hint = "say in `revocation_url` where the list is, or leave it out";
                self.named_error(Code::Contradiction, &extra, message, hint);
                is_valid = false;
            }
            return is_valid.then_some(None);
        };
        let url = self.parsed(&field, text, parse_url)?;
        if url.scheme == "http" && !url.is_loopback() {
            let message =
                "the list is fetched without TLS: whoever is on the way can replace it".into();
            let hint = "write `https://…`";
            self.warn(Code::Insecure, &field, message, Some(hint.into()));
        }
        let cluster = match (
            node.field("revocation_cluster"),
            &provider.revocation_cluster,
        ) {
            (Some(field), Some(name)) => self.parsed(&field, name, |name| {
                value::check_text(name).map(|()| String::from(name))
            })?,
            _ => self.options.cluster(&url),
        };
        let remote = Remote {
            url: text.clone(),
            cluster: cluster.clone(),
            scheme: url.scheme.into(),
            authority: url.authority.clone(),
            path: url.path.clone(),
            timeout_ms: provider
                .revocation_timeout_ms
                .unwrap_or(source::DEFAULT_JWKS_TIMEOUT_MS),
            cache_ttl_secs: Some(
                provider
                    .revocation_cache_ttl_secs
                    .unwrap_or(source::DEFAULT_REVOCATION_CACHE_TTL_SECS),
            ),
            max_stale_secs: provider
                .revocation_max_stale_secs
                .unwrap_or(source::DEFAULT_REVOCATION_MAX_STALE_SECS),
        };
        Some(Some((remote, (cluster, url))))
    }
}

fn parse_url(text: &str) -> Result<JwksUrl, Fault> {
    JwksUrl::parse(text).map_err(|fault| match fault.hint {
        // What it says is about key sets.
        Some(_) if !text.starts_with("https://") && !text.starts_with("http://") => {
            fault.hint("write `https://…`, with the host and the path of the list")
        }
        _ => fault,
    })
}

/// The entries of one list of `revoked`, in its order.
fn entries_of(revoked: &source::Revoked, by: RevokedBy) -> impl Iterator<Item = RevokedEntry> + '_ {
    let jti = revoked.jti.iter().flatten().map(|value| (value, None));
    let sub = revoked.sub.iter().flatten().map(|entry| match entry {
        RevokedSubject::Any(sub) => (sub, None),
        RevokedSubject::Earlier(entry) => (&entry.sub, entry.issued_before),
    });
    let kid = revoked.kid.iter().flatten().map(|entry| match entry {
        RevokedKey::Any(kid) => (kid, None),
        RevokedKey::Earlier(entry) => (&entry.kid, entry.issued_before),
    });
    let wanted = move |kind: RevokedBy| kind == by;
    jti.filter(move |_| wanted(RevokedBy::Jti))
        .chain(sub.filter(move |_| wanted(RevokedBy::Sub)))
        .chain(kid.filter(move |_| wanted(RevokedBy::Kid)))
        .map(move |(value, issued_before)| RevokedEntry {
            by,
            value: value.clone(),
            issued_before,
        })
}
