//! Which providers may judge a token of an issuer, and in which order. No key is looked at before that.

use alloc::string::String;
use alloc::vec::Vec;

use crate::config;
use crate::issuer_pattern::IssuerPattern;
use crate::sort::sort_by;

/// The issuers of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Issuers {
    /// Every issuer, and tokens without one.
    Any,
    /// These, byte for byte.
    Exact(Vec<String>),
    /// Those that the pattern stands for.
    Pattern(IssuerPattern),
}

/// How closely a provider's issuers name that of a token. The closest are asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum IssuerFit {
    /// By its name.
    Exact,
    /// By a pattern.
    Pattern,
    /// Not at all: the provider takes every issuer.
    Any,
}

impl Issuers {
    /// The issuers of a provider.
    ///
    /// # Errors
    /// Returns what is wrong when the configuration names them in two ways.
    pub(super) fn new(provider: &config::Provider) -> Result<Self, &'static str> {
        match (
            &provider.issuer,
            provider.issuers.as_slice(),
            &provider.issuer_pattern,
        ) {
            (None, [], None) => Ok(Self::Any),
            (Some(issuer), [], None) => Ok(Self::Exact(Vec::from([issuer.clone()]))),
            (None, issuers @ [_, ..], None) => Ok(Self::Exact(issuers.to_vec())),
            (None, [], Some(pattern)) => Ok(Self::Pattern(pattern.clone())),
            _ => Err("names its issuers in two ways"),
        }
    }

    /// How closely they name the issuer of a token; `None` when it is not one of them.
    pub(super) fn fit(&self, iss: Option<&str>) -> Option<IssuerFit> {
        match (self, iss) {
            (Self::Any, _) => Some(IssuerFit::Any),
            (Self::Exact(issuers), Some(iss)) => issuers
                .iter()
                .any(|issuer| issuer == iss)
                .then_some(IssuerFit::Exact),
            (Self::Pattern(pattern), Some(iss)) => {
                pattern.matches(iss).then_some(IssuerFit::Pattern)
            }
            (Self::Exact(_) | Self::Pattern(_), None) => None,
        }
    }
}

/// Those of the candidates that may judge a token of that issuer, the closest first, else in their order.
pub(super) fn in_order<'c, I: Copy>(
    candidates: impl IntoIterator<Item = (I, &'c Issuers)>,
    iss: Option<&str>,
) -> Vec<I> {
    let mut fitting: Vec<(IssuerFit, I)> = candidates
        .into_iter()
        .filter_map(|(index, issuers)| Some((issuers.fit(iss)?, index)))
        .collect();
    sort_by(&mut fitting, |(one, _), (other, _)| one.cmp(other));
    fitting.into_iter().map(|(_, index)| index).collect()
}

/// Many candidates by their issuers. It gives what [`in_order`] gives, without looking at those that have others.
#[derive(Debug)]
pub(super) struct ByIssuer<I> {
    /// Every issuer that one of them names, as the candidate and the place in its list. By issuer, and for the same
    /// one in the order of the candidates.
    exact: Vec<(I, usize)>,
    /// Those with a pattern.
    patterns: Vec<I>,
    /// Those that take every issuer.
    any: Vec<I>,
}

impl<I: Copy> ByIssuer<I> {
    pub(super) fn new<'c>(candidates: impl IntoIterator<Item = (I, &'c Issuers)>) -> Self {
        let mut exact = Vec::new();
        let (mut patterns, mut any) = (Vec::new(), Vec::new());
        for (turn, (index, issuers)) in candidates.into_iter().enumerate() {
            match issuers {
                Issuers::Any => any.push(index),
                Issuers::Pattern(_) => patterns.push(index),
                Issuers::Exact(names) => {
                    let places = names.iter().enumerate();
                    exact.extend(places.map(|(at, name)| ((name.as_str(), turn), (index, at))));
                }
            }
        }
        sort_by(&mut exact, |(one, _), (other, _)| one.cmp(other));
        // Whoever names an issuer twice is still asked once.
        exact.dedup_by_key(|(order, _)| *order);
        Self {
            exact: exact.into_iter().map(|(_, entry)| entry).collect(),
            patterns,
            any,
        }
    }

    /// Those that may judge a token of that issuer, the closest first, else in their order. `issuers` are those of a
    /// candidate.
    pub(super) fn in_order<'c>(
        &self,
        iss: Option<&str>,
        issuers: impl Fn(I) -> Option<&'c Issuers>,
    ) -> Vec<I> {
        let name_of = |(index, at): &(I, usize)| match issuers(*index) {
            Some(Issuers::Exact(names)) => names.get(*at).map_or("", String::as_str),
            _ => "",
        };
        let named = iss.and_then(|iss| {
            let from = self.exact.partition_point(|entry| name_of(entry) < iss);
            self.exact.get(from..)
        });
        let mut fitting: Vec<I> = named
            .unwrap_or_default()
            .iter()
            .take_while(|entry| Some(name_of(entry)) == iss)
            .map(|(index, _)| *index)
            .collect();
        let has_pattern = |index: &I| issuers(*index).is_some_and(|it| it.fit(iss).is_some());
        fitting.extend(self.patterns.iter().copied().filter(has_pattern));
        fitting.extend(&self.any);
        fitting
    }
}

#[cfg(test)]
mod tests {
    use std::assert_eq;

    use super::*;

    #[test]
    fn the_closest_issuer_is_asked_first_and_any_issuer_last() {
        let a = "https://a.example.com";
        let b = "https://b.example.com";
        let pattern = |text: &str| Issuers::Pattern(IssuerPattern::new(text).unwrap());
        let all = [
            ("any", Issuers::Any),
            ("pattern", pattern("https://*.example.com")),
            ("a", Issuers::Exact(Vec::from([a.into()]))),
            ("any too", Issuers::Any),
            ("b or a", Issuers::Exact(Vec::from([b.into(), a.into()]))),
            ("other pattern", pattern("https://a.*.com")),
        ];
        let candidates = || all.iter().map(|(name, issuers)| (*name, issuers));
        let by_issuer = ByIssuer::new(candidates());
        let issuers = |name| {
            let found = all.iter().find(|(other, _)| *other == name)?;
            Some(&found.1)
        };
        let asked = |iss| {
            let asked = in_order(candidates(), iss);
            assert_eq!(by_issuer.in_order(iss, issuers), asked, "{iss:?}");
            asked
        };
        assert_eq!(
            asked(Some(a)),
            ["a", "b or a", "pattern", "other pattern", "any", "any too"]
        );
        assert_eq!(asked(Some(b)), ["b or a", "pattern", "any", "any too"]);
        assert_eq!(
            asked(Some("https://c.example.com")),
            ["pattern", "any", "any too"]
        );
        assert_eq!(asked(Some("https://A.EXAMPLE.COM")), ["any", "any too"]);
        assert_eq!(asked(Some("")), ["any", "any too"]);
        assert_eq!(asked(None), ["any", "any too"]);
    }

    #[test]
    fn of_a_thousand_providers_a_few_are_looked_at() {
        let name = |number: usize| std::format!("https://{number}.example.com");
        let all: Vec<Issuers> = (0..1_000)
            .map(|number| Issuers::Exact(Vec::from([name(number)])))
            .collect();
        let by_issuer = ByIssuer::new(all.iter().enumerate());
        for (iss, expected) in [(name(999), Some(999)), (name(1_000), None)] {
            let looks = core::cell::Cell::new(0);
            let found = by_issuer.in_order(Some(&iss), |index| {
                looks.set(looks.get() + 1);
                all.get(index)
            });
            assert_eq!(found, Vec::from_iter(expected));
            assert!(looks.get() <= 14, "{} looks for {iss}", looks.get());
        }
    }

    proptest::proptest! {
        #[test]
        fn many_candidates_are_asked_as_if_each_was_looked_at(
            all in proptest::collection::vec(
                proptest::collection::vec(proptest::sample::select(std::vec!["", "a", "b", "ab", "*", "**"]), 0..4),
                0..12,
            ),
        ) {
            let all: Vec<Issuers> = all
                .iter()
                .map(|names| match names.as_slice() {
                    [] => Issuers::Any,
                    ["*"] => Issuers::Pattern(IssuerPattern::new("a*").unwrap()),
                    ["**"] => Issuers::Pattern(IssuerPattern::new("*b").unwrap()),
                    names => Issuers::Exact(names.iter().map(|name| (*name).into()).collect()),
                })
                .collect();
            let by_issuer = ByIssuer::new(all.iter().enumerate());
            for iss in [None, Some(""), Some("a"), Some("b"), Some("ab"), Some("c")] {
                let expected = in_order(all.iter().enumerate(), iss);
                let found = by_issuer.in_order(iss, |index| all.get(index));
                proptest::prop_assert_eq!(found, expected);
            }
        }
    }
}
