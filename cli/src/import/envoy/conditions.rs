//! Conditions on texts, headers and query parameters.

use super::super::fields::{Fields, Spelling};
use super::super::findings::Findings;
use super::super::policy::{Condition, Test, TextMatch};
use super::super::yaml::{Kind, Node};

/// A `RegexMatcher`.
pub(super) fn regex(node: &Node, findings: &mut Findings) -> Option<String> {
    let fields = Fields::of(node, Spelling::Proto, "safe_regex", findings)?;
    fields.skip("google_re2", findings);
    let regex = fields.text("regex", findings);
    fields.finish(findings);
    if regex.is_none() {
        findings.refused(node.place, "`safe_regex` has no `regex`");
    }
    regex
}

/// A `StringMatcher`; `None` when it cannot be carried over, which was reported.
pub(super) fn text_match(node: &Node, what: &str, findings: &mut Findings) -> Option<TextMatch> {
    let fields = Fields::of(node, Spelling::Proto, what, findings)?;
    let ignore_case = fields.boolean("ignore_case", findings) == Some(true);
    let kinds = [
        "exact",
        "prefix",
        "suffix",
        "contains",
        "safe_regex",
        "custom",
    ];
    let found = fields.one_of(&kinds, findings);
    fields.finish(findings);
    let Some((kind, entry)) = found else {
        findings.refused(node.place, format!("`{what}` says nothing to compare with"));
        return None;
    };
    let text = entry.value.text().unwrap_or_default().to_owned();
    let test = match kind {
        "exact" => Test::Exact(text),
        "prefix" => Test::Prefix(text),
        "suffix" => Test::Suffix(text),
        "contains" => Test::Contains(text),
        "safe_regex" => Test::Regex(regex(&entry.value, findings)?),
        _ => {
            findings.refused(
                entry.place,
                format!("`custom` in `{what}` cannot be carried over"),
            );
            return None;
        }
    };
    Some(TextMatch {
        // Envoy does not fold regular expressions.
        ignore_case: ignore_case && kind != "safe_regex",
        test,
    })
}

fn plain(test: Test) -> TextMatch {
    TextMatch {
        test,
        ignore_case: false,
    }
}

/// A `HeaderMatcher`.
pub(super) fn header(node: &Node, findings: &mut Findings) -> Option<Condition> {
    let fields = Fields::of(node, Spelling::Proto, "headers", findings)?;
    let name = fields.text("name", findings);
    let invert = fields.boolean("invert_match", findings) == Some(true);
    let empty_if_missing = fields.boolean("treat_missing_header_as_empty", findings) == Some(true);
    let kinds = [
        "string_match",
        "exact_match",
        "prefix_match",
        "suffix_match",
        "contains_match",
        "safe_regex_match",
        "present_match",
        "range_match",
    ];
    let found = fields.one_of(&kinds, findings);
    let present = fields.boolean("present_match", findings);
    fields.finish(findings);
    let Some(name) = name else {
        findings.refused(node.place, "a condition on a header without `name`");
        return None;
    };
    if empty_if_missing {
        findings.refused_with_hint(
            node.place,
            "`treat_missing_header_as_empty` cannot be carried over",
            "write two rules, one of them for `present_match: false`",
        );
    }
    let text = |node: &Node| node.text().unwrap_or_default().to_owned();
    let value = match found {
        None | Some(("present_match", _)) => {
            let present = present.unwrap_or(true) != invert;
            return Some(Condition {
                name,
                present: Some(present),
                value: None,
                invert: false,
            });
        }
        Some((kind, entry)) => match kind {
            "string_match" => text_match(&entry.value, kind, findings)?,
            "exact_match" => plain(Test::Exact(text(&entry.value))),
            "prefix_match" => plain(Test::Prefix(text(&entry.value))),
            "suffix_match" => plain(Test::Suffix(text(&entry.value))),
            "contains_match" => plain(Test::Contains(text(&entry.value))),
            "safe_regex_match" => plain(Test::Regex(regex(&entry.value, findings)?)),
            _ => {
                findings.refused_with_hint(
                    entry.place,
                    "`range_match` cannot be carried over",
                    "write the numbers as a regular expression",
                );
                return None;
            }
        },
    };
    Some(Condition {
        name,
        present: None,
        value: Some(value),
        invert,
    })
}

/// A `QueryParameterMatcher`.
pub(super) fn query(node: &Node, findings: &mut Findings) -> Option<Condition> {
    let fields = Fields::of(node, Spelling::Proto, "query_parameters", findings)?;
    let name = fields.text("name", findings);
    let found = fields.one_of(&["string_match", "present_match"], findings);
    let present = match &found {
        Some(("present_match", entry)) => !matches!(
            &entry.value.kind,
            Kind::Scalar { text, .. } if text.eq_ignore_ascii_case("false")
        ),
        _ => true,
    };
    fields.finish(findings);
    let Some(name) = name else {
        findings.refused(
            node.place,
            "a condition on a query parameter without `name`",
        );
        return None;
    };
    let value = match found {
        Some(("string_match", entry)) => Some(text_match(&entry.value, "string_match", findings)?),
        _ => None,
    };
    Some(Condition {
        name,
        present: value.is_none().then_some(present),
        value,
        invert: false,
    })
}
