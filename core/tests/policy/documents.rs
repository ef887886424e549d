//! The published schema and the reference.

use nexus_core::policy::{reference, schema};
use serde_json::Value;

use crate::{compiled, with_auth};

fn parsed() -> Value {
    serde_json::from_str(&schema()).unwrap()
}

/// Every field of every object that the schema defines.
pub(crate) fn fields(schema: &Value) -> Vec<(&str, &str, &Value)> {
    let definitions = schema["$defs"].as_object().unwrap();
    let mut fields = Vec::new();
    for (owner, definition) in definitions {
        let Some(properties) = definition["properties"].as_object() else {
            continue;
        };
        for (name, field) in properties {
            fields.push((owner.as_str(), name.as_str(), field));
        }
    }
    assert!(fields.len() > 40);
    fields
}

#[test]
fn the_schema_is_a_valid_schema_and_the_same_each_time() {
    let text = schema();
    assert_eq!(text, schema());
    assert!(text.ends_with("}\n"));
    let schema = parsed();
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    assert_eq!(schema["title"], "Nexus policy");
    assert!(jsonschema::draft202012::meta::is_valid(&schema));
}

#[test]
fn every_field_says_what_it_means_and_no_field_takes_null() {
    let schema = parsed();
    for (owner, name, field) in fields(&schema) {
        let description = field["description"].as_str().unwrap_or_default();
        assert!(
            description.ends_with('.') && description.len() > 10,
            "{owner}.{name}: {description}"
        );
        assert!(!field["type"].is_array(), "{owner}.{name}");
        assert!(!field.to_string().contains("\"null\""), "{owner}.{name}");
        if field["type"] == "integer" {
            assert!(
                field["minimum"].is_u64() && field["maximum"].is_u64(),
                "{owner}.{name}"
            );
            // A point in time is told in seconds since 1970, as every time of a token.
            let is_time = name == "issued_before";
            // A number of things has none.
            let is_count = name == "jwt_cache_size";
            assert!(
                is_time
                    || is_count
                    || ["_secs", "_ms", "status"]
                        .iter()
                        .any(|unit| name.ends_with(unit)),
                "{owner}.{name} has no unit"
            );
        }
    }
    for (owner, definition) in schema["$defs"].as_object().unwrap() {
        assert!(definition["description"].is_string(), "{owner}");
        if definition["properties"].is_object() {
            assert_eq!(definition["additionalProperties"], false, "{owner}");
        }
    }
}

#[test]
fn the_defaults_of_the_schema_are_those_of_the_compiler() {
    let schema = parsed();
    let remote = with_auth(
        r#""jwks_url":"https://example.com","revocation_url":"https://example.com","audience":"a""#,
    );
    let mut compared = 0;
    for (owner, name, field) in fields(&schema) {
        let Some(default) = field
            .get("default")
            .filter(|_| ["Auth", "Provider"].contains(&owner))
        else {
            continue;
        };
        // What has no effect by itself stands beside what it belongs to.
        let beside = match name {
            "dpop_max_age_secs" => "\"dpop\":\"allowed\",",
            _ => "",
        };
        let with = |members: &str| {
            let said = remote.replacen("\"audience\"", &format!("{members}\"audience\""), 1);
            compiled(&said).unwrap().json
        };
        let said = with(&format!("{beside}\"{name}\":{default},"));
        assert_eq!(said, with(beside), "{owner}.{name}");
        compared += 1;
    }
    assert!(compared >= 8, "{compared}");
}

#[test]
fn the_reference_has_a_row_for_every_field() {
    let schema = parsed();
    let reference = reference();
    for (owner, name, field) in fields(&schema) {
        let row = format!("| `{name}` |");
        assert!(reference.contains(&row), "{owner}.{name}");
        if let Some(maximum) = field["maximum"].as_u64() {
            let range = format!(
                "| `{name}` | whole number, {} to {maximum} |",
                field["minimum"]
            );
            assert!(reference.contains(&range), "{range}");
        }
    }
    for row in [
        "| `clock_skew_secs` | whole number, 0 to 3600 | `60` |",
        "| `slug` | string | required |",
        "| `hosts` | list of string | `[\"*\"]` |",
        "| `providers` | object: name to [provider](#provider) | `{}` |",
        "`azure_ad`: Azure AD (Microsoft Entra ID)",
    ] {
        assert!(reference.contains(row), "{row}");
    }
    for line in reference.lines().filter(|line| line.starts_with('|')) {
        let cells = line.replace("\\|", "").matches('|').count();
        assert_eq!(cells, 5, "{line}");
    }
}
