//! The JSON reader against JSONTestSuite, when the folder of vectors lies beside the repository.

use std::io::Write as _;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nexus_core::json;
use serde_json::Value;

/// Documents that the suite accepts and Nexus does not, with why.
const STRICTER: [(&str, &str); 2] = [
    (
        "y_object_duplicated_key.json",
        "names are unique (RFC 7515 §4, RFC 7519 §4)",
    ),
    (
        "y_object_duplicated_key_and_value.json",
        "names are unique, whatever their values",
    ),
];

/// Documents that the suite leaves open and Nexus accepts: numbers keep their text, so none is too large.
const OPEN_ACCEPTED: [&str; 10] = [
    "i_number_double_huge_neg_exp.json",
    "i_number_huge_exp.json",
    "i_number_neg_int_huge_exp.json",
    "i_number_pos_double_huge_exp.json",
    "i_number_real_neg_overflow.json",
    "i_number_real_pos_overflow.json",
    "i_number_real_underflow.json",
    "i_number_too_big_neg_int.json",
    "i_number_too_big_pos_int.json",
    "i_number_very_big_negative_int.json",
];

#[test]
fn json_test_suite() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/vectors/jsontestsuite/test_parsing.json");
    let Ok(text) = std::fs::read(&path) else {
        // Not by a macro: those are captured when the test passes.
        let _ = writeln!(
            std::io::stderr(),
            "not run: JSONTestSuite, which is not at ../shared/vectors beside the repository"
        );
        return;
    };
    let suite: Value = serde_json::from_slice(&text).unwrap();
    let files = suite["files"].as_array().unwrap();
    assert_eq!(files.len(), 318);
    let mut open = Vec::new();
    let mut stricter = 0;
    for file in files {
        let name = file["name"].as_str().unwrap();
        let document = STANDARD.decode(file["b64"].as_str().unwrap()).unwrap();
        let accepted = json::parse(&document).is_ok();
        if STRICTER.iter().any(|(other, _)| *other == name) {
            assert!(!accepted, "{name} is accepted, so it is no difference");
            stricter += 1;
            continue;
        }
        match name.get(..2).unwrap() {
            "y_" => assert!(accepted, "{name}"),
            "n_" => assert!(!accepted, "{name}"),
            _ if accepted => open.push(name.to_owned()),
            _ => {}
        }
    }
    assert_eq!(stricter, STRICTER.len());
    assert_eq!(open, OPEN_ACCEPTED);
}
