//! A JSON document inside of a configuration.

use alloc::string::{String, ToString};

use serde::{Serialize, Serializer, ser};

use crate::json::{self, Kind, Value};
use crate::read::{Read, ReadError};

/// A JSON document, as its text without white space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document(
    // INVARIANT: JSON.
    String,
);

impl Document {
    /// A text that this crate wrote as JSON.
    #[cfg(feature = "policy")]
    pub(crate) const fn written(text: String) -> Self {
        Self(text)
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Read for Document {
    fn read(value: &Value<'_>) -> Result<Self, ReadError> {
        Ok(Self(value.to_string()))
    }
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = json::parse(self.0.as_bytes()).map_err(ser::Error::custom)?;
        Writer(&value).serialize(serializer)
    }
}

struct Writer<'v, 'a>(&'v Value<'a>);

impl Serialize for Writer<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0.kind {
            Kind::Null => serializer.serialize_unit(),
            Kind::Bool(value) => serializer.serialize_bool(*value),
            Kind::Number(number) => match number.as_u64() {
                Some(value) => serializer.serialize_u64(value),
                None => {
                    let value = number.as_str().parse();
                    serializer.serialize_f64(value.map_err(ser::Error::custom)?)
                }
            },
            Kind::String(text) => serializer.serialize_str(text),
            Kind::Array(elements) => serializer.collect_seq(elements.iter().map(Writer)),
            Kind::Object(members) => {
                let members = members.iter();
                serializer.collect_map(members.map(|member| (&member.name, Writer(&member.value))))
            }
        }
    }
}
