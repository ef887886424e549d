//! Every folder under `examples/` does what its `requests.json` says: natively and through the `.wasm`, by
//! `nexusctl test-token`, and in the newest Envoy. What the READMEs show is run by `documents.rs`.

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
};

use nexus_tests::{
    cases::{
        self,
        example::{Example, folders},
    },
    envoy,
};

/// Runs all examples, so that one that fails does not hide another.
fn for_each_example(check: impl Fn(&Example)) {
    let mut failed = BTreeSet::new();
    for folder in folders() {
        // The panic's own message is printed where it happens.
        let passed = catch_unwind(AssertUnwindSafe(|| check(&Example::load(&folder))));
        if passed.is_err() {
            failed.insert(folder.file_name().unwrap_or_default().to_owned());
        }
    }
    assert!(failed.is_empty(), "these examples fail: {failed:?}");
}

#[test]
fn examples_hold_natively_through_the_wasm_and_in_envoy() {
    let newest = [envoy::newest()];
    for_each_example(|example| {
        cases::check(&example.setting(), |now| example.cases(now), &newest);
    });
}

#[test]
fn examples_hold_by_nexusctl() {
    for_each_example(|example| {
        cases::check_by_nexusctl(&example.setting(), |now| example.cases(now));
    });
}

#[test]
fn the_overview_names_every_example() {
    let root = nexus_tests::artifacts::repository().join("examples");
    let text = std::fs::read_to_string(root.join("README.md")).expect("examples/README.md");
    let listed: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| {
            line.strip_prefix("| [`")?
                .split_once("`](")
                .map(|(name, _)| name)
        })
        .collect();
    let folders = folders();
    let present: BTreeSet<&str> = folders
        .iter()
        .filter_map(|folder| folder.file_name()?.to_str())
        .collect();
    assert_eq!(listed, present);
}
