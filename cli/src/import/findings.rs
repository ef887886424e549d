//! What an import has to say about what it read: by file, line and name.

use std::fmt::Write as _;

use super::yaml::Place;
use crate::exit::Report;
use crate::output::visible;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Weight {
    /// The policy does the same without it.
    Note,
    /// It is not in the policy, and something is different.
    NotCarried,
    /// Without it the policy would let more requests pass than the original, or the original is not valid.
    Refused,
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Where.
    pub(crate) place: Place,
    /// How much it matters.
    pub(crate) weight: Weight,
    /// Lower case, no final period, user input in backticks.
    pub(crate) message: String,
    /// What to do.
    pub(crate) hint: Option<String>,
}

/// Everything that was found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    all: Vec<Finding>,
}

impl Findings {
    /// The policy does the same without it: `` `field` … ``.
    pub(crate) fn note(&mut self, place: Place, message: impl Into<String>) {
        self.add(place, Weight::Note, message.into(), None);
    }

    /// It is not in the policy.
    pub(crate) fn not_carried(
        &mut self,
        place: Place,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.add(place, Weight::NotCarried, message.into(), Some(hint.into()));
    }

    /// There can be no policy because of it.
    pub(crate) fn refused(&mut self, place: Place, message: impl Into<String>) {
        self.add(place, Weight::Refused, message.into(), None);
    }

    /// There can be no policy because of it, and this is what to do.
    pub(crate) fn refused_with_hint(
        &mut self,
        place: Place,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.add(place, Weight::Refused, message.into(), Some(hint.into()));
    }

    fn add(&mut self, place: Place, weight: Weight, message: String, hint: Option<String>) {
        let finding = Finding {
            place,
            weight,
            message,
            hint,
        };
        if !self.all.contains(&finding) {
            self.all.push(finding);
        }
    }

    /// How many there are of a weight.
    pub(crate) fn count(&self, weight: Weight) -> usize {
        let of_weight = self.all.iter().filter(|finding| finding.weight == weight);
        of_weight.count()
    }

    /// The findings of a weight, in the order of the files, as they are told.
    pub(crate) fn reports(&self, weight: Weight, files: &[String]) -> Vec<Report> {
        let mut found: Vec<&Finding> = self
            .all
            .iter()
            .filter(|finding| finding.weight == weight)
            .collect();
        found.sort_by_key(|finding| finding.place);
        found
            .into_iter()
            .map(|finding| {
                let mut message = String::new();
                let file = files.get(finding.place.file).map_or("", String::as_str);
                // Writing to a string does not fail.
                let _ = write!(message, "{file}:{}: ", finding.place.line);
                message.push_str(&visible(&finding.message));
                Report {
                    hint: finding.hint.as_deref().map(visible),
                    ..Report::new(message)
                }
            })
            .collect()
    }

    /// One finding a line, for tests.
    #[cfg(test)]
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut all: Vec<&Finding> = self.all.iter().collect();
        all.sort_by_key(|finding| finding.place);
        all.iter()
            .map(|finding| {
                let weight = match finding.weight {
                    Weight::Note => "note",
                    Weight::NotCarried => "not carried",
                    Weight::Refused => "refused",
                };
                format!("{}: {weight}: {}", finding.place.line, finding.message)
            })
            .collect()
    }
}
