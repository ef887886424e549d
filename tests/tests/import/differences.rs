//! Where Nexus differs from `jwt_authn` on purpose: the table of `docs/migrating.md`, read from there.

use std::collections::BTreeSet;

use nexus_tests::artifacts;

/// The line before the table.
const MARK: &str = "<!-- differences: each is shown by a request in `tests/tests/import` -->";

/// The names of the differences that the document lists.
pub(crate) fn listed() -> BTreeSet<String> {
    let path = artifacts::repository().join("docs/migrating.md");
    let text = std::fs::read_to_string(&path).expect("docs/migrating.md");
    let (_, behind) = text.split_once(MARK).expect("the table of differences");
    let rows = behind.trim_start().lines().skip(2);
    let names = rows
        .take_while(|line| line.starts_with("| `"))
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| name.to_owned());
    names.collect()
}
