//! Which of the known names somebody may have meant.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::diagnostic::{quote, quote_list};

/// Names longer than this are not compared: no known name comes near.
const MAX_COMPARED: usize = 64;
/// How many known names are compared. The language has fewer; a policy may have more providers.
const MAX_KNOWN: usize = 1000;
/// The shortest name that is looked for in others, in characters: shorter ones stand in too many.
const MIN_PART: usize = 5;

/// How much names resemble each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Resemblance {
    /// A slip of the pen lies between them: this many edits.
    Slip(usize),
    /// One is the beginning of the other, `iss` of `issuer`; this many edits lie between them.
    Beginning(usize),
    /// One stands in the other, `scopes` in `required_scopes`; this many edits lie between them.
    Part(usize),
}

/// The known name that `name` most resembles, if one does: by a slip of the pen, or as its beginning or a part of it.
/// Case, `_`, `-` and spaces make no difference.
#[must_use]
pub fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    ranked(name, known).map(|(_, candidate)| candidate)
}

/// The known name that `name` most resembles, and how much.
pub(super) fn ranked<'k>(
    name: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<(Resemblance, &'k str)> {
    let length = name.chars().count();
    if length == 0 || length > MAX_COMPARED {
        return None;
    }
    let folded = fold(name);
    known
        .into_iter()
        .take(MAX_KNOWN)
        .filter_map(|candidate| Some((resemblance(&folded, &fold(candidate))?, candidate)))
        .min()
}

/// The known names that `name` is a part of or that are parts of it, where it resembles none more.
pub(super) fn of_part<'k>(
    name: &str,
    known: impl IntoIterator<Item = &'k str> + Clone,
) -> Vec<&'k str> {
    if !matches!(ranked(name, known.clone()), Some((Resemblance::Part(_), _))) {
        return Vec::new();
    }
    let folded = fold(name);
    let is_part = |candidate: &&str| {
        matches!(
            resemblance(&folded, &fold(candidate)),
            Some(Resemblance::Part(_))
        )
    };
    known.into_iter().take(MAX_KNOWN).filter(is_part).collect()
}

/// A hint for a name that is not known: the one that was meant, or all there are.
pub(super) fn hint<'k>(
    name: &str,
    known: impl IntoIterator<Item = &'k str> + Clone,
    all: &str,
) -> String {
    match nearest(name, known.clone()) {
        Some(candidate) => meant(name, candidate),
        None => format!("{all} {}", quote_list(known)),
    }
}

/// `did you mean …?`, and why it is not that already where both look the same.
pub(super) fn meant(name: &str, candidate: &str) -> String {
    match name.chars().find(|character| !character.is_ascii()) {
        Some(stranger) => format!(
            "did you mean {}? `{}` is U+{:04X}, not an ASCII character",
            quote(candidate),
            stranger.escape_default(),
            u32::from(stranger)
        ),
        None => format!("did you mean {}?", quote(candidate)),
    }
}

/// Case, `_`, `-` and spaces make no difference when names are compared: `jwksUrl` is meant as `jwks_url`.
fn fold(name: &str) -> Vec<char> {
    name.chars()
        .filter(|character| !matches!(character, '_' | '-' | ' '))
        .map(|character| character.to_ascii_lowercase())
        .collect()
}

/// How much two names resemble each other; `None` when they do not.
fn resemblance(name: &[char], candidate: &[char]) -> Option<Resemblance> {
    let limit = match name.len().min(candidate.len()) {
        0..=2 => 0,
        3..=5 => 1,
        6..=9 => 2,
        _ => 3,
    };
    let distance = distance(name, candidate);
    if distance <= limit {
        return Some(Resemblance::Slip(distance));
    }
    let is_beginning = name.len().min(candidate.len()) >= 3
        && (candidate.starts_with(name) || name.starts_with(candidate));
    if is_beginning {
        return Some(Resemblance::Beginning(distance));
    }
    let holds = |long: &[char], short: &[char]| {
        short.len() >= MIN_PART && long.windows(short.len()).any(|part| part == short)
    };
    (holds(candidate, name) || holds(name, candidate)).then_some(Resemblance::Part(distance))
}

/// The Damerau-Levenshtein distance in its form without overlapping swaps: insertions, deletions,
/// substitutions, and swaps of neighbours.
fn distance(left: &[char], right: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    let mut left_before: Option<char> = None;
    for (row, left_char) in left.iter().enumerate() {
        let mut current: Vec<usize> = Vec::with_capacity(last.len());
        let mut diagonal_before: Option<usize> = None;
        let mut beside = row.saturating_add(1);
        current.push(beside);
        let mut right_before: Option<char> = None;
        for (column, right_char) in right.iter().enumerate() {
            let diagonal = last.get(column).copied().unwrap_or(usize::MAX);
            let above = last
                .get(column.saturating_add(1))
                .copied()
                .unwrap_or(usize::MAX);
            let mut cost = diagonal
                .saturating_add(usize::from(left_char != right_char))
                .min(above.saturating_add(1))
                .min(beside.saturating_add(1));
            if right_before == Some(*left_char) && left_before == Some(*right_char) {
                if let Some(swapped) = diagonal_before {
                    cost = cost.min(swapped.saturating_add(1));
                }
            }
            current.push(cost);
            beside = cost;
            diagonal_before = before_last.get(column).copied();
            right_before = Some(*right_char);
        }
        left_before = Some(*left_char);
        before_last = core::mem::replace(&mut last, current);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(left: &str, right: &str) -> usize {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        distance(&chars(left), &chars(right))
    }

    #[test]
    fn distance_counts_edits_and_swaps_of_neighbours() {
        for (left, right, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("issuer", "issuer", 0),
            ("isuer", "issuer", 1),
            ("isseur", "issuer", 1),
            ("issure", "issuer", 1),
            ("jwks_uri", "jwks_url", 1),
            ("kitten", "sitting", 3),
            ("ca", "abc", 3),
        ] {
            assert_eq!(between(left, right), expected, "{left} {right}");
            assert_eq!(between(right, left), expected, "{right} {left}");
        }
    }

    #[test]
    fn the_nearest_known_name_is_suggested() {
        let known = [
            "issuer",
            "audience",
            "audiences",
            "jwks_url",
            "jwks",
            "clock_skew_secs",
            "hosts",
            "host",
        ];
        for (name, expected) in [
            ("isuer", Some("issuer")),
            ("iss", Some("issuer")),
            ("aud", Some("audience")),
            ("audiance", Some("audience")),
            ("Issuer", Some("issuer")),
            ("jwksUrl", Some("jwks_url")),
            ("jwks_uri", Some("jwks_url")),
            ("JWKS-URL", Some("jwks_url")),
            ("clock_skew", Some("clock_skew_secs")),
            ("clockSkewSeconds", Some("clock_skew_secs")),
            ("hots", Some("host")),
            ("\u{430}udience", Some("audience")),
            ("expected_audience", Some("audience")),
            ("skew", None),
            ("skew_secs", Some("clock_skew_secs")),
            ("", None),
            ("x", None),
            ("colour", None),
        ] {
            assert_eq!(nearest(name, known), expected, "{name}");
        }
        assert_eq!(nearest(&"issuer".repeat(1_000_000), known), None);
    }
}
