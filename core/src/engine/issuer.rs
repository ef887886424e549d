//! Which providers may judge a token of an issuer, and in which order. No key is looked at before that.

use alloc::string::String;
use alloc::vec::Vec;

use crate::config;
use crate::issuer_pattern::IssuerPattern;

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
    fitting.sort_by_key(|(fit, _)| *fit);
    fitting.into_iter().map(|(_, index)| index).collect()
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
        let asked = |iss| in_order(all.iter().map(|(name, issuers)| (*name, issuers)), iss);
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
}
