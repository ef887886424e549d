//! Keys that stand in the original: as a key set, a single key, or PEM.

use nexus_core::jose::PRIVATE_MEMBERS;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::findings::Findings;
use super::kubernetes::Resource;
use super::policy::Keys;
use super::yaml::{Entry, Node, Place};

/// The keys that a text holds; what is none is reported.
pub(crate) fn inline(text: &str, place: Place, findings: &mut Findings) -> Option<Keys> {
    let text = text.trim();
    if text.starts_with("-----BEGIN ") {
        return Some(Keys::Pem {
            public_key: format!("{text}\n"),
        });
    }
    let Ok(mut set) = serde_json::from_str::<Value>(text) else {
        findings.refused_with_hint(
            place,
            "the inline keys are no JSON",
            "a JWK set is `{\"keys\": [ … ]}`; the line breaks of a copied page may be in it",
        );
        return None;
    };
    let mut changed = false;
    if set.get("kty").is_some() {
        set = json!({ "keys": [set] });
        changed = true;
    }
    let Some(keys) = set.get_mut("keys").and_then(Value::as_array_mut) else {
        findings.refused(place, "the inline keys are no JWK set: there is no `keys`");
        return None;
    };
    for key in keys.iter_mut().filter_map(Value::as_object_mut) {
        if key.get("kty") == Some(&json!("oct")) {
            continue;
        }
        let before = key.len();
        key.retain(|name, _| !PRIVATE_MEMBERS.contains(&name.as_str()));
        if key.len() != before {
            changed = true;
            findings.not_carried(
                place,
                "the private half of a key is left out",
                "whoever has read the original can sign tokens: make a new key",
            );
        }
    }
    let text = match changed {
        true => set.to_string(),
        false => text.to_owned(),
    };
    RawValue::from_string(text)
        .ok()
        .map(|jwks| Keys::Inline { jwks })
}

/// The keys that `found` holds: as a text, or, where its field is `reference`, in a ConfigMap beside `resource`.
pub(crate) fn local(
    found: (&str, &Entry),
    reference: &str,
    resource: &Resource<'_>,
    all: &[Resource<'_>],
    findings: &mut Findings,
) -> Option<Keys> {
    let (kind, entry) = found;
    if kind != reference {
        let text = entry.value.text().unwrap_or_default();
        return inline(text, entry.place, findings);
    }
    let name = entry.value.field("name").and_then(Node::text);
    let name = name.unwrap_or_default();
    let data = all
        .iter()
        .filter(|it| it.kind == "ConfigMap" && it.name == name)
        .filter(|it| it.namespace == resource.namespace)
        .find_map(|it| it.data("jwks"));
    match data {
        Some((text, place)) => inline(text, place, findings),
        None => {
            findings.refused_with_hint(
                entry.place,
                format!("the ConfigMap `{name}` with the key `jwks` is not in the files"),
                "give the file with it, too",
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Place = Place { file: 0, line: 7 };

    fn read(text: &str) -> (Option<String>, Vec<String>) {
        let mut findings = Findings::default();
        let keys = inline(text, HERE, &mut findings);
        (
            keys.map(|keys| serde_json::to_string(&keys).unwrap()),
            findings.lines(),
        )
    }

    #[test]
    fn keys_of_every_form() {
        assert_eq!(
            read(r#" {"keys": [{"kty":"EC"}]} "#).0.unwrap(),
            r#"{"jwks":{"keys": [{"kty":"EC"}]}}"#
        );
        assert_eq!(
            read(r#"{"kty":"oct","k":"AQ"}"#).0.unwrap(),
            r#"{"jwks":{"keys":[{"k":"AQ","kty":"oct"}]}}"#
        );
        assert_eq!(
            read("-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n")
                .0
                .unwrap(),
            r#"{"public_key":"-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n"}"#
        );
    }

    #[test]
    fn private_members_stay_behind() {
        let (keys, found) = read(r#"{"keys":[{"kty":"EC","x":"1","d":"secret"}]}"#);
        assert_eq!(keys.unwrap(), r#"{"jwks":{"keys":[{"kty":"EC","x":"1"}]}}"#);
        assert_eq!(
            found,
            ["7: not carried: the private half of a key is left out"]
        );
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert_eq!(read("{").1, ["7: refused: the inline keys are no JSON"]);
        assert_eq!(
            read(r#"{"a":"-----BEGIN CERTIFICATE-----"}"#).1,
            ["7: refused: the inline keys are no JWK set: there is no `keys`"]
        );
    }
}
