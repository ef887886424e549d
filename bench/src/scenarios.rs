//! What is sent: good tokens of each algorithm, distinct and repeated, and those that are refused.

use nexus_tests::keys::Algorithm;

use crate::tokens::Pool;

/// How a token is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Malformed,
    Expired,
    Missing,
    WrongSignature,
}

/// Requests of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// Each request has a token that was never seen before.
    Distinct(Algorithm),
    /// A few tokens again and again.
    Repeated(Algorithm),
    /// A few bad ones again and again.
    Bad(Fault),
}

/// All of them, in the order in which they are shown.
pub(crate) const SCENARIOS: [Scenario; 12] = [
    Scenario::Repeated(Algorithm::RS256),
    Scenario::Repeated(Algorithm::ES256),
    Scenario::Repeated(Algorithm::EdDSA),
    Scenario::Repeated(Algorithm::HS256),
    Scenario::Distinct(Algorithm::RS256),
    Scenario::Distinct(Algorithm::ES256),
    Scenario::Distinct(Algorithm::EdDSA),
    Scenario::Distinct(Algorithm::HS256),
    Scenario::Bad(Fault::Malformed),
    Scenario::Bad(Fault::Expired),
    Scenario::Bad(Fault::Missing),
    Scenario::Bad(Fault::WrongSignature),
];

impl Scenario {
    /// What it is called on the command line and in results.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Distinct(algorithm) => format!("distinct-{}", algorithm.name()),
            Self::Repeated(algorithm) => format!("repeated-{}", algorithm.name()),
            Self::Bad(Fault::Malformed) => "malformed".to_owned(),
            Self::Bad(Fault::Expired) => "expired".to_owned(),
            Self::Bad(Fault::Missing) => "missing".to_owned(),
            Self::Bad(Fault::WrongSignature) => "wrong-signature".to_owned(),
        }
    }

    /// Whether contenders that look at no token have a part in it.
    pub(crate) fn is_for_all(self) -> bool {
        matches!(self, Self::Repeated(_))
    }

    /// The algorithm of its tokens; those that are refused are of the most common one.
    pub(crate) fn algorithm(self) -> Algorithm {
        match self {
            Self::Distinct(algorithm) | Self::Repeated(algorithm) => algorithm,
            Self::Bad(_) => Algorithm::RS256,
        }
    }

    /// The status that those who look at tokens answer.
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::Distinct(_) | Self::Repeated(_) => 200,
            Self::Bad(_) => 401,
        }
    }

    /// Its tokens; none for requests without any.
    pub(crate) fn tokens(self, pool: &Pool) -> Vec<String> {
        match self {
            Self::Distinct(_) => pool.distinct.clone(),
            Self::Repeated(_) => pool.repeated.clone(),
            Self::Bad(Fault::Missing) => Vec::new(),
            Self::Bad(Fault::Expired) => pool.expired.clone(),
            Self::Bad(Fault::WrongSignature) => pool.wrongly_signed(),
            // A part is missing: as long as a token, and none.
            Self::Bad(Fault::Malformed) => pool
                .repeated
                .iter()
                .map(|token| token.replacen('.', "", 1))
                .collect(),
        }
    }
}
