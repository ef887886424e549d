//! A string, a number or a truth that a claim is compared with, exactly.
//!
//! A number is compared by its value as RFC 8259 §6 writes it: `1`, `1.0` and `10e-1` are one number, `1` and
//! `"1"` are not the same, and integers beyond 2^53 are told apart. No number is ever a float on the way.

use alloc::string::String;
use core::fmt;

use serde::Serialize;

use crate::json::{self, Kind, Number, Value};
use crate::read::{self, Read, ReadError, read_variant};

/// A string, a number or a truth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scalar {
    /// A string, compared byte for byte.
    String(String),
    /// A number, compared by its value.
    Number(NumberText),
    /// `true` or `false`.
    Boolean(bool),
}

read_variant!(Scalar { "string" => String, "number" => Number, "boolean" => Boolean });

/// A number as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct NumberText(
    // INVARIANT: a JSON number.
    String,
);

impl Scalar {
    /// The scalar that a JSON value is; `None` for `null`, an array and an object.
    pub fn of(value: &Value<'_>) -> Option<Self> {
        match &value.kind {
            Kind::String(text) => Some(Self::String(text.as_ref().into())),
            Kind::Number(number) => Some(Self::Number(NumberText(number.as_str().into()))),
            Kind::Bool(truth) => Some(Self::Boolean(*truth)),
            Kind::Null | Kind::Array(_) | Kind::Object(_) => None,
        }
    }

    /// Whether a value is this one.
    pub fn is(&self, value: &Value<'_>) -> bool {
        match (self, &value.kind) {
            (Self::String(text), Kind::String(found)) => text == found,
            (Self::Boolean(truth), Kind::Bool(found)) => truth == found,
            (Self::Number(number), Kind::Number(found)) => {
                Number::parse(&number.0).is_some_and(|number| number.equals(*found))
            }
            _ => false,
        }
    }

    /// Whether it is this string.
    pub fn is_string(&self, text: &str) -> bool {
        matches!(self, Self::String(own) if own == text)
    }
}

/// The value as JSON.
impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String(text) => json::write_string(f, text),
            Self::Number(number) => f.write_str(&number.0),
            Self::Boolean(truth) => truth.fmt(f),
        }
    }
}

impl Read for NumberText {
    fn read(value: &Value<'_>) -> Result<Self, ReadError> {
        let text = read::text(value)?;
        match Number::parse(text) {
            Some(_) => Ok(Self(text.into())),
            None => Err(ReadError::new(
                value,
                &"a text that is no JSON number (RFC 8259 §6)",
            )),
        }
    }
}

impl From<NumberText> for String {
    fn from(number: NumberText) -> Self {
        number.0
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use std::assert_eq;

    use super::*;
    use crate::read::read_text;

    fn scalar(json: &str) -> Scalar {
        Scalar::of(&json::parse(json.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn values_are_compared_exactly() {
        let same = [
            ("1", "1.0"),
            ("1", "1e0"),
            ("1", "0.1E+1"),
            ("100", "1e2"),
            ("100", "1000e-1"),
            ("-5", "-5.00"),
            ("0", "-0"),
            ("0", "0.0e99999999999999999999"),
            ("9007199254740993", "9007199254740993.0"),
            (
                "123456789012345678901234567890",
                "12345678901234567890123456789e1",
            ),
            ("1e99999999999999999999", "1e99999999999999999999"),
            ("\"a\"", "\"\\u0061\""),
            ("\"\"", "\"\""),
            ("true", "true"),
        ];
        let different = [
            ("1", "\"1\""),
            ("1", "true"),
            ("1", "-1"),
            ("1", "10"),
            ("1", "1.1"),
            ("0", "1"),
            ("0", "false"),
            ("0", "null"),
            ("9007199254740993", "9007199254740992"),
            ("0.1", "0.10000000000000000555"),
            ("1e400", "1e401"),
            ("1e-400", "0"),
            ("1e99999999999999999999", "1e99999999999999999998"),
            ("\"a\"", "\"A\""),
            ("\"a\"", "\"a \""),
            ("\"a\"", "[\"a\"]"),
            ("\"a\"", "{\"a\":\"a\"}"),
            ("true", "false"),
            ("true", "\"true\""),
        ];
        for (pairs, expected) in [(&same[..], true), (&different[..], false)] {
            for (own, found) in pairs {
                let found_value = json::parse(found.as_bytes()).unwrap();
                assert_eq!(scalar(own).is(&found_value), expected, "{own} {found}");
                if let Some(other) = Scalar::of(&found_value) {
                    let own_value = json::parse(own.as_bytes()).unwrap();
                    assert_eq!(other.is(&own_value), expected, "{found} {own}");
                }
            }
        }
    }

    #[test]
    fn a_number_keeps_its_text_in_a_configuration() {
        for json in [
            "1.50",
            "-0",
            "1e999",
            "18446744073709551616",
            "\"1\"",
            "false",
        ] {
            let written = serde_json::to_string(&scalar(json)).unwrap();
            assert_eq!(read_text::<Scalar>(&written).unwrap(), scalar(json));
            assert_eq!(scalar(json).to_string(), json);
        }
        for text in [
            "", "x", " 1", "1 ", "01", "+1", ".5", "1.", "NaN", "\"1\"", "[1]",
        ] {
            let written = serde_json::json!({ "number": text }).to_string();
            assert!(read_text::<Scalar>(&written).is_err(), "{text}");
        }
    }
}
