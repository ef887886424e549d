//! Conditions on headers and query parameters, under every reading that a service may have of them.
//!
//! A header may stand several times, and in spellings that services fold together; a query may name a
//! parameter several times, in several encodings. Which of the values a service takes is not for this
//! module to guess: where the values, or the ways to read them, do not agree about a condition, it is
//! open, and the request is refused if that makes a difference. So a second value neither fulfils a
//! condition nor gets around one.

use alloc::string::String;
use alloc::vec::Vec;

use crate::config::{Condition, ConditionTest};
use crate::path::{decode, is_unreserved};
use crate::request::{Request, fold_header_name, folds_to};
use crate::text_match::{TextMatchError, TextMatcher};

/// A condition, ready for use.
#[derive(Debug)]
pub(super) struct ReadyCondition {
    name: String,
    /// The name as services fold it, for a header.
    folded: Vec<u8>,
    test: Test,
}

#[derive(Debug)]
enum Test {
    Present,
    Absent,
    Matches { text: TextMatcher, wanted: bool },
}

impl ReadyCondition {
    pub(super) fn new(condition: &Condition) -> Result<Self, TextMatchError> {
        let matches = |text, wanted| {
            let text = TextMatcher::new(text)?;
            Ok(Test::Matches { text, wanted })
        };
        Ok(Self {
            name: condition.name.clone(),
            folded: fold_header_name(&condition.name),
            test: match &condition.test {
                ConditionTest::Present => Test::Present,
                ConditionTest::Absent => Test::Absent,
                ConditionTest::Matches(text) => matches(text, true)?,
                ConditionTest::Differs(text) => matches(text, false)?,
            },
        })
    }

    /// Whether the condition holds for the headers of a request; `None` when readings of them disagree.
    ///
    /// The readings are each value of the header alone, all of them joined by commas (RFC 9110 §5.3, and what
    /// Envoy compares), and the same with headers whose names services may fold to this one.
    pub(super) fn holds_for_headers(&self, request: &Request<'_>) -> Option<bool> {
        let mut same: Vec<&[u8]> = Vec::new();
        let mut folded: Vec<&[u8]> = Vec::new();
        for (name, value) in request.headers() {
            if name.eq_ignore_ascii_case(self.name.as_bytes()) {
                same.push(value);
                folded.push(value);
            } else if folds_to(name, &self.folded) {
                folded.push(value);
            }
        }
        let mut verdict = Verdict::default();
        self.judge_values(&same, &mut verdict);
        if folded.len() > same.len() {
            self.judge_values(&folded, &mut verdict);
        }
        verdict.agreed()
    }

    fn judge_values(&self, values: &[&[u8]], verdict: &mut Verdict) {
        if values.is_empty() {
            verdict.add(self.judge(None));
        }
        for value in values {
            verdict.add(self.judge(Some(value)));
        }
        if values.len() > 1 {
            verdict.add(self.judge(Some(&values.join(b",".as_slice()))));
        }
    }

    /// Whether the condition holds for the query of a request; `None` when readings of it disagree.
    pub(super) fn holds_for_query(&self, query: &[u8]) -> Option<bool> {
        let mut verdict = Verdict::default();
        for reading in READINGS {
            let mut is_there = false;
            for parameter in reading.parameters(query) {
                let mut parts = parameter.splitn(2, |byte| *byte == b'=');
                let name = parts.next().unwrap_or_default();
                // Nothing gets longer by decoding.
                if name.len() >= self.name.len() && reading.decoded(name) == self.name.as_bytes() {
                    is_there = true;
                    let value = reading.decoded(parts.next().unwrap_or_default());
                    verdict.add(self.judge(Some(&value)));
                }
            }
            if !is_there {
                verdict.add(self.judge(None));
            }
        }
        verdict.agreed()
    }

    fn judge(&self, value: Option<&[u8]>) -> Option<bool> {
        match (&self.test, value) {
            (Test::Present, value) => Some(value.is_some()),
            (Test::Absent, value) => Some(value.is_none()),
            (Test::Matches { .. }, None) => Some(false),
            (Test::Matches { text, wanted }, Some(value)) => {
                text.judge(value).map(|matches| matches == *wanted)
            }
        }
    }
}

/// What the readings say so far.
#[derive(Default)]
struct Verdict {
    holds: bool,
    fails: bool,
}

impl Verdict {
    fn add(&mut self, holds: Option<bool>) {
        self.holds |= holds != Some(false);
        self.fails |= holds != Some(true);
    }

    fn agreed(&self) -> Option<bool> {
        (self.holds != self.fails).then_some(self.holds)
    }
}

/// One way in which services read a query.
struct Reading {
    /// Whether `;` separates parameters as `&` does.
    semicolons: bool,
    /// Whether `+` is a space.
    plus: bool,
    escapes: Escapes,
}

#[derive(Clone, Copy)]
enum Escapes {
    /// Only those are decoded that an honest client has to write.
    Needed,
    Once,
    Twice,
}

/// How services read queries: as forms (WHATWG URL §5.1), as URIs (RFC 3986 §2.1), with the separator of
/// HTML 4 (§B.2.2), without decoding what needs no escape, and decoding twice.
const READINGS: [Reading; 5] = [
    Reading {
        semicolons: false,
        plus: true,
        escapes: Escapes::Once,
    },
    Reading {
        semicolons: false,
        plus: false,
        escapes: Escapes::Once,
    },
    Reading {
        semicolons: true,
        plus: true,
        escapes: Escapes::Once,
    },
    Reading {
        semicolons: false,
        plus: false,
        escapes: Escapes::Needed,
    },
    Reading {
        semicolons: false,
        plus: true,
        escapes: Escapes::Twice,
    },
];

impl Reading {
    fn parameters<'q>(&self, query: &'q [u8]) -> impl Iterator<Item = &'q [u8]> + use<'q> {
        let semicolons = self.semicolons;
        query.split(move |byte| *byte == b'&' || (semicolons && *byte == b';'))
    }

    fn decoded(&self, text: &[u8]) -> Vec<u8> {
        let spaced: Vec<u8> = text
            .iter()
            .map(|byte| match byte {
                b'+' if self.plus => b' ',
                other => *other,
            })
            .collect();
        match self.escapes {
            Escapes::Needed => decode(&spaced, |byte| !is_unreserved(byte)),
            Escapes::Once => decode(&spaced, |_| true),
            Escapes::Twice => decode(&decode(&spaced, |_| true), |_| true),
        }
    }
}
