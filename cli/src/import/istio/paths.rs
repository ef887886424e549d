//! The operations of an `AuthorizationPolicy`: hosts, methods and paths, and which of them holds which.

use super::super::envoy::{escape, is_plain};
use super::super::policy::Path;

/// A pattern of Istio for a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pattern {
    /// `/x`
    Exact(String),
    /// `/x*`
    Prefix(String),
    /// `*x`
    Suffix(String),
    /// `*`
    All,
}

impl Pattern {
    /// Reads a pattern; `None` when it is a template (`{*}`), which has to be read otherwise.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.contains('{') {
            return None;
        }
        Some(match (text.strip_prefix('*'), text.strip_suffix('*')) {
            (Some(""), _) => Self::All,
            (Some(suffix), None) => Self::Suffix(suffix.to_owned()),
            (_, Some(prefix)) => Self::Prefix(prefix.to_owned()),
            (None, None) => Self::Exact(text.to_owned()),
        })
    }

    /// Whether every path of the other is one of this.
    pub(super) fn holds(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, _) => true,
            (Self::Prefix(prefix), Self::Exact(text) | Self::Prefix(text)) => {
                text.starts_with(prefix)
            }
            (Self::Suffix(suffix), Self::Exact(text) | Self::Suffix(text)) => {
                text.ends_with(suffix)
            }
            (one, other) => one == other,
        }
    }

    /// Whether no path is one of both.
    pub(super) fn is_apart_from(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, _) | (_, Self::All) => false,
            (Self::Prefix(one), Self::Prefix(other)) => {
                !one.starts_with(other) && !other.starts_with(one)
            }
            (Self::Suffix(one), Self::Suffix(other)) => {
                !one.ends_with(other) && !other.ends_with(one)
            }
            // A path can begin with one and end with the other.
            (Self::Prefix(_), Self::Suffix(_)) | (Self::Suffix(_), Self::Prefix(_)) => false,
            (one, other @ Self::Exact(_)) => !one.holds(other),
            (one @ Self::Exact(_), other) => !other.holds(one),
        }
    }

    /// As a policy has it. A policy takes a path with a slash at its end for the same as without.
    pub(super) fn path(&self) -> Path {
        match self {
            Self::All => Path::Pattern("/*".to_owned()),
            Self::Prefix(text) if is_plain(text) => Path::Pattern(format!("{text}*")),
            Self::Prefix(text) => Path::Regex(format!("(?s){}.*", escape(text))),
            Self::Suffix(text) => Path::Regex(format!("(?s).*{}", escape(text))),
            Self::Exact(text) if is_plain(text) => Path::Pattern(text.clone()),
            Self::Exact(text) => Path::Regex(escape(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_hold_and_exclude_each_other() {
        let parse = |text| Pattern::parse(text).unwrap();
        for (one, other, holds, apart) in [
            ("*", "/a", true, false),
            ("/a*", "/ab", true, false),
            ("/a*", "/ab*", true, false),
            ("/ab*", "/a*", false, false),
            ("/a*", "/b*", false, true),
            ("/a*", "/b", false, true),
            ("*/x", "/a/x", true, false),
            ("*/x", "/a*", false, false),
            ("*/x", "*/y", false, true),
            ("/a", "/a", true, false),
            ("/a", "/b", false, true),
        ] {
            assert_eq!(parse(one).holds(&parse(other)), holds, "{one} {other}");
            assert_eq!(
                parse(one).is_apart_from(&parse(other)),
                apart,
                "{one} {other}"
            );
            assert_eq!(
                parse(other).is_apart_from(&parse(one)),
                apart,
                "{other} {one}"
            );
        }
        assert_eq!(Pattern::parse("/a/{*}"), None);
    }
}
