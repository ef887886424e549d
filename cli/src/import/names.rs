//! Names of the original as a policy may have them.

use super::findings::Findings;
use super::yaml::Place;

/// The longest name of a provider and the longest slug, in characters.
const MAX: usize = 63;

/// Names of providers, each given once.
#[derive(Debug, Default)]
pub(crate) struct Names {
    given: Vec<String>,
}

impl Names {
    /// A name for a provider: the one that it has, unless it cannot stand in a policy or is taken.
    pub(crate) fn take(&mut self, name: &str, place: Place, findings: &mut Findings) -> String {
        let taken = self.free(name);
        if taken != name {
            findings.note(
                place,
                format!("the provider `{name}` is called `{taken}` in the policy"),
            );
        }
        taken
    }

    /// As [`Self::take`], for a provider that has no name of its own in the original.
    pub(crate) fn free(&mut self, name: &str) -> String {
        let plain = plain(name, |character| {
            character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-')
        });
        let plain = if plain.is_empty() {
            "provider".to_owned()
        } else {
            plain
        };
        let mut candidate = plain.clone();
        let mut number = 2_usize;
        while self.given.contains(&candidate) {
            let suffix = format!("-{number}");
            let stem: String = plain.chars().take(MAX - suffix.len()).collect();
            candidate = stem + &suffix;
            number += 1;
        }
        self.given.push(candidate.clone());
        candidate
    }
}

/// The name of an issuer: its host and path, as a name.
pub(crate) fn of_issuer(issuer: &str) -> String {
    let stem = issuer.split_once("://").map_or(issuer, |(_, rest)| rest);
    plain(stem.trim_end_matches('/'), |character| {
        character.is_ascii_alphanumeric() || matches!(character, '.' | '-')
    })
}

/// A slug for an app.
pub(crate) fn slug(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let slug = plain(&lower, |character| {
        character.is_ascii_alphanumeric() || character == '-'
    });
    if slug.is_empty() {
        "imported".to_owned()
    } else {
        slug
    }
}

/// The text with `-` for whatever may not stand in it, beginning with a letter or digit.
fn plain(text: &str, may_stand: impl Fn(char) -> bool) -> String {
    let replaced: String = text
        .chars()
        .map(|character| match may_stand(character) {
            true => character,
            false => '-',
        })
        .collect();
    let trimmed = replaced.trim_matches(|character: char| !character.is_ascii_alphanumeric());
    trimmed.chars().take(MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_given_once_and_fit() {
        let mut names = Names::default();
        let mut findings = Findings::default();
        let place = Place { file: 0, line: 4 };
        assert_eq!(names.take("idp", place, &mut findings), "idp");
        assert_eq!(names.take("idp", place, &mut findings), "idp-2");
        assert_eq!(names.take("ns/x y", place, &mut findings), "ns-x-y");
        assert_eq!(names.take("//", place, &mut findings), "provider");
        assert_eq!(names.free(&"a".repeat(100)).len(), 63);
        assert_eq!(names.free(&"a".repeat(100)).len(), 63);
        assert_eq!(
            findings.lines(),
            [
                "4: note: the provider `idp` is called `idp-2` in the policy",
                "4: note: the provider `ns/x y` is called `ns-x-y` in the policy",
                "4: note: the provider `//` is called `provider` in the policy",
            ]
        );
        assert_eq!(
            of_issuer("https://a.example.com/realms/x/"),
            "a.example.com-realms-x"
        );
        assert_eq!(slug("My_Gateway/http"), "my-gateway-http");
    }
}
