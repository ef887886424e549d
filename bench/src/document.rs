//! `docs/performance.md` and its charts: what was measured goes between markers, the words around them stay.

use std::{fs, path::PathBuf};

use nexus_tests::artifacts;

/// The page.
#[derive(Debug)]
pub(crate) struct Document {
    text: String,
}

impl Document {
    /// # Panics
    /// When the page cannot be read.
    pub(crate) fn open() -> Self {
        let page = page();
        Self {
            text: fs::read_to_string(&page)
                .unwrap_or_else(|error| panic!("cannot read `{}`: {error}", page.display())),
        }
    }

    /// Puts `content` in the place of what stands between the markers `<!-- bench: name -->` and
    /// `<!-- bench: end -->`.
    ///
    /// # Panics
    /// When the page has no such place.
    pub(crate) fn replace(&mut self, name: &str, content: &str) {
        self.text = replaced(&self.text, name, content)
            .unwrap_or_else(|| panic!("`{}` has no place `{name}`", page().display()));
    }

    /// Writes a chart, which the page shows as `performance/name.svg`.
    ///
    /// # Panics
    /// When it cannot be written.
    pub(crate) fn chart(&self, name: &str, svg: &str) {
        let folder = artifacts::repository().join("docs/performance");
        let file = folder.join(format!("{name}.svg"));
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(&file, svg))
            .unwrap_or_else(|error| panic!("cannot write `{}`: {error}", file.display()));
    }

    /// # Panics
    /// When the page cannot be written.
    pub(crate) fn save(&self) {
        let page = page();
        fs::write(&page, &self.text)
            .unwrap_or_else(|error| panic!("cannot write `{}`: {error}", page.display()));
        println!("written to {}", page.display());
    }
}

fn page() -> PathBuf {
    artifacts::repository().join("docs/performance.md")
}

fn replaced(text: &str, name: &str, content: &str) -> Option<String> {
    let begin = format!("<!-- bench: {name} -->\n");
    let (before, rest) = text.split_once(&begin)?;
    let (_, after) = rest.split_once("<!-- bench: end -->")?;
    Some(format!(
        "{before}{begin}{}\n<!-- bench: end -->{after}",
        content.trim_end()
    ))
}

#[cfg(test)]
mod tests {
    use super::replaced;

    #[test]
    fn only_what_stands_between_the_markers_of_that_name_is_replaced() {
        let page = "a\n<!-- bench: one -->\nold\n<!-- bench: end -->\nb\n<!-- bench: two -->\n<!-- bench: end -->\n";
        assert_eq!(
            replaced(page, "two", "new\n").unwrap(),
            "a\n<!-- bench: one -->\nold\n<!-- bench: end -->\nb\n<!-- bench: two -->\nnew\n<!-- bench: end -->\n"
        );
        assert_eq!(replaced(page, "three", "new"), None);
        let twice = replaced(&replaced(page, "one", "1").unwrap(), "one", "1").unwrap();
        assert_eq!(Some(twice), replaced(page, "one", "1"));
    }

    #[test]
    fn page_has_every_place_that_is_written() {
        let page = super::Document::open().text;
        for name in [
            "run",
            "instructions",
            "cpu",
            "rate",
            "latency",
            "memory",
            "goals",
            "scale-run",
            "scale-goals",
            "apps",
            "routes",
            "providers",
            "keys",
            "tokens",
            "startup",
        ] {
            assert!(replaced(&page, name, "").is_some(), "{name}");
        }
    }
}
