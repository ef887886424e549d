//! From a JSON value to types that serde describes.
//!
//! Policies, configurations and what engines leave for each other are parsed by [`json`](crate::json): no second parser
//! may have another opinion about them, and a number in a key set may be of any size.
//!
//! A type is only asked for the one form that it has: a struct for the members of an object and never for the elements of
//! an array. What a type could do with other forms is then not part of the filter.

use alloc::string::{String, ToString};
use core::fmt;

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};
use serde::{Deserialize, Serialize, Serializer, forward_to_deserialize_any, ser};

use crate::json::{self, Kind, Member, Number, Value};

/// Reads a type from a value.
///
/// # Errors
/// Returns what of the value the type does not take.
pub(crate) fn read<'de, T: Deserialize<'de>>(value: &'de Value<'_>) -> Result<T, ReadError> {
    T::deserialize(Reader(value))
}

/// What of a value a type does not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadError {
    /// What is wrong.
    message: String,
    /// Offset of the first byte of a value of the wrong kind.
    offset: Option<usize>,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match self.offset {
            Some(offset) => write!(f, " at byte {offset}"),
            None => Ok(()),
        }
    }
}

impl core::error::Error for ReadError {}

impl de::Error for ReadError {
    #[cold]
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            message: message.to_string(),
            offset: None,
        }
    }

    // As serde has it, but without the code that writes floats.
    #[cold]
    #[inline(never)]
    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(format_args!(
            "invalid type: {}, expected {expected}",
            name_of(found)
        ))
    }

    #[cold]
    #[inline(never)]
    fn invalid_value(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(format_args!(
            "invalid value: {}, expected {expected}",
            name_of(found)
        ))
    }
}

/// What was found in place of something else. The text of a string is not told: it may be a secret.
fn name_of(found: Unexpected<'_>) -> &str {
    match found {
        Unexpected::Unit => "null",
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
        Unexpected::Str(_) | Unexpected::Char(_) => "a string",
        Unexpected::Seq => "an array",
        Unexpected::Map => "an object",
        Unexpected::UnitVariant => "a word alone",
        Unexpected::Other(name) => name,
        _ => "something else",
    }
}

#[derive(Clone, Copy)]
struct Reader<'de, 'a>(&'de Value<'a>);

impl<'de> Reader<'de, '_> {
    #[cold]
    #[inline(never)]
    fn unexpected(self, expected: &dyn de::Expected) -> ReadError {
        ReadError {
            offset: Some(self.0.span.start),
            ..de::Error::invalid_type(Unexpected::Other(self.0.kind_name()), expected)
        }
    }
}

impl<'de> Deserializer<'de> for Reader<'de, '_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.0.kind {
            Kind::Null => visitor.visit_unit(),
            Kind::Bool(value) => visitor.visit_bool(*value),
            Kind::Number(number) => visit_number(*number, visitor),
            Kind::String(text) => visitor.visit_borrowed_str(text),
            Kind::Array(elements) => visitor.visit_seq(Elements(elements)),
            Kind::Object(members) => visitor.visit_map(Members {
                rest: members,
                value: self.0,
            }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.0.kind {
            Kind::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.0.kind {
            Kind::Bool(value) => visitor.visit_bool(value),
            _ => Err(self.unexpected(&visitor)),
        }
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.0.as_number().and_then(Number::as_u64) {
            Some(value) => visitor.visit_u64(value),
            None => Err(self.unexpected(&visitor)),
        }
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.0.kind {
            Kind::String(text) => visitor.visit_borrowed_str(text),
            _ => Err(self.unexpected(&visitor)),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.0.kind {
            Kind::Array(elements) => visitor.visit_seq(Elements(elements)),
            _ => Err(self.unexpected(&visitor)),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match name {
            DOCUMENT => visitor.visit_str(&self.0.to_string()),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.0.kind {
            Kind::Object(members) => visitor.visit_map(Members {
                rest: members,
                value: self.0,
            }),
            _ => Err(self.unexpected(&visitor)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match &self.0.kind {
            Kind::String(word) => visitor.visit_enum(Variant {
                name: word,
                content: None,
            }),
            Kind::Object(members) => match members.as_slice() {
                [only] => visitor.visit_enum(Variant {
                    name: &only.name,
                    content: Some(Reader(&only.value)),
                }),
                _ => Err(self.unexpected(&"an object with one member")),
            },
            _ => Err(self.unexpected(&visitor)),
        }
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u128 f32 f64 char bytes byte_buf unit unit_struct tuple_struct ignored_any
    }
}

/// No type takes a number other than a whole one, and none takes this for one; where any value is taken, its size
/// does not matter.
fn visit_number<'de, V: Visitor<'de>>(
    number: Number<'_>,
    visitor: V,
) -> Result<V::Value, ReadError> {
    match number.as_u64() {
        Some(value) => visitor.visit_u64(value),
        None => visitor.visit_f64(number.floor() as f64),
    }
}

/// The elements of an array that are not read yet.
struct Elements<'de, 'a>(&'de [Value<'a>]);

impl<'de> SeqAccess<'de> for Elements<'de, '_> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ReadError> {
        let Some((first, rest)) = self.0.split_first() else {
            return Ok(None);
        };
        self.0 = rest;
        seed.deserialize(Reader(first)).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

/// The members of an object that are not read yet.
struct Members<'de, 'a> {
    rest: &'de [Member<'a>],
    /// That of the member whose name was read last.
    value: &'de Value<'a>,
}

impl<'de> MapAccess<'de> for Members<'de, '_> {
    type Error = ReadError;

    fn next_key_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ReadError> {
        let Some((first, rest)) = self.rest.split_first() else {
            return Ok(None);
        };
        self.rest = rest;
        self.value = &first.value;
        seed.deserialize(Name(&first.name)).map(Some)
    }

    #[inline(never)]
    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, ReadError> {
        seed.deserialize(Reader(self.value))
    }
}

/// The name of a member or of a variant.
struct Name<'de>(&'de str);

impl<'de> Deserializer<'de> for Name<'de> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_borrowed_str(self.0)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// A variant of an enum: a word, or an object with one member.
struct Variant<'de, 'a> {
    name: &'de str,
    content: Option<Reader<'de, 'a>>,
}

impl<'de, 'a> EnumAccess<'de> for Variant<'de, 'a> {
    type Error = ReadError;
    type Variant = Content<'de, 'a>;

    fn variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<(T::Value, Content<'de, 'a>), ReadError> {
        let variant = seed.deserialize(Name(self.name))?;
        Ok((variant, Content(self.content)))
    }
}

/// What a variant has.
struct Content<'de, 'a>(Option<Reader<'de, 'a>>);

impl<'de, 'a> Content<'de, 'a> {
    fn there(self) -> Result<Reader<'de, 'a>, ReadError> {
        self.0.ok_or_else(|| {
            de::Error::invalid_type(Unexpected::UnitVariant, &"a variant with a value")
        })
    }
}

impl<'de> VariantAccess<'de> for Content<'de, '_> {
    type Error = ReadError;

    fn unit_variant(self) -> Result<(), ReadError> {
        match self.0 {
            None => Ok(()),
            Some(reader) => Err(reader.unexpected(&"a variant without a value")),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, ReadError> {
        seed.deserialize(self.there()?)
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.there()?.deserialize_tuple(length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.there()?.deserialize_struct("", fields, visitor)
    }
}

/// A JSON document inside of another one, as its text without white space. Only [`read`] reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document(
    // INVARIANT: JSON.
    String,
);

/// By which name a [`Document`] is told from other newtypes.
const DOCUMENT: &str = "nexus_core::Document";

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

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Document;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a document")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Document, E> {
                Ok(Document(text.into()))
            }
        }
        deserializer.deserialize_newtype_struct(DOCUMENT, Text)
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
                    serializer.serialize_f64(number.as_str().parse().map_err(ser::Error::custom)?)
                }
            },
            Kind::String(text) => serializer.serialize_str(text),
            Kind::Array(elements) => serializer.collect_seq(elements.iter().map(Writer)),
            Kind::Object(members) => serializer.collect_map(
                members
                    .iter()
                    .map(|member| (&member.name, Writer(&member.value))),
            ),
        }
    }
}

impl From<json::Error> for ReadError {
    fn from(error: json::Error) -> Self {
        Self {
            message: error.kind.to_string(),
            offset: Some(error.offset),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec::Vec;
    use std::vec;

    use serde::{Deserialize, Serialize};

    use super::{Document, ReadError, read};
    use crate::json;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct House {
        number: u16,
        #[serde(default)]
        name: Option<alloc::string::String>,
        #[serde(default)]
        rooms: Vec<Room>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "snake_case", deny_unknown_fields)]
    enum Room {
        Kitchen,
        Hall(u64),
        Bath { is_tiled: bool },
    }

    fn house(text: &str) -> Result<House, ReadError> {
        read(&json::parse(text.as_bytes())?)
    }

    fn problem(text: &str) -> alloc::string::String {
        house(text).unwrap_err().to_string()
    }

    #[test]
    fn reads_each_form() {
        let text = r#"{"number": 7, "name": "a\u0062", "rooms": ["kitchen", {"hall": 3}, {"bath": {"is_tiled": true}}]}"#;
        let expected = House {
            number: 7,
            name: Some("ab".into()),
            rooms: vec![Room::Kitchen, Room::Hall(3), Room::Bath { is_tiled: true }],
        };
        assert_eq!(house(text).unwrap(), expected);
        let least = house(r#"{"number": 65535, "name": null}"#).unwrap();
        assert_eq!(
            (least.number, least.name, least.rooms),
            (65_535, None, vec![])
        );
    }

    #[test]
    fn tells_what_a_type_does_not_take() {
        for (text, expected) in [
            (
                "[7]",
                "invalid type: an array, expected struct House at byte 0",
            ),
            ("{}", "missing field `number`"),
            (
                r#"{"number": 1, "street": 2}"#,
                "unknown field `street`, expected one of `number`, `name`, `rooms`",
            ),
            (
                r#"{"number": 65536}"#,
                "invalid value: a number, expected u16",
            ),
            (
                r#"{"number": -1}"#,
                "invalid type: a number, expected u16 at byte 11",
            ),
            (
                r#"{"number": 1.5}"#,
                "invalid type: a number, expected u16 at byte 11",
            ),
            (
                r#"{"number": "1"}"#,
                "invalid type: a string, expected u16 at byte 11",
            ),
            (
                r#"{"number": 1, "name": []}"#,
                "invalid type: an array, expected a string at byte 22",
            ),
            (
                r#"{"number": 1, "rooms": "kitchen"}"#,
                "invalid type: a string, expected a sequence at byte 23",
            ),
            (
                r#"{"number": 1, "rooms": ["attic"]}"#,
                "unknown variant `attic`, expected one of `kitchen`, `hall`, `bath`",
            ),
            (
                r#"{"number": 1, "rooms": [{"kitchen": 1}]}"#,
                "invalid type: a number, expected a variant without a value at byte 36",
            ),
            (
                r#"{"number": 1, "rooms": ["hall"]}"#,
                "invalid type: a word alone, expected a variant with a value",
            ),
            (
                r#"{"number": 1, "rooms": [{}]}"#,
                "invalid type: an object, expected an object with one member at byte 24",
            ),
            (
                r#"{"number": 1, "rooms": [{"bath": [true]}]}"#,
                "invalid type: an array, expected struct variant Room::Bath at byte 33",
            ),
            (
                r#"{"number": 1, "number": 1}"#,
                "a member that appears twice at byte 14",
            ),
            (r#"{"number": 1"#, "the text ends too early at byte 12"),
        ] {
            assert_eq!(problem(text), expected, "{text}");
        }
    }

    #[test]
    fn tells_no_secret() {
        assert!(!problem(r#"{"number": "hunter2"}"#).contains("hunter2"));
    }

    #[test]
    fn keeps_a_document_as_it_is() {
        #[derive(Deserialize, Serialize)]
        struct Around {
            inside: Document,
        }
        let text = r#"{"inside":{"b":[1,null,true,-0.5,18446744073709551615],"a":"\"\\\u00e9"}}"#;
        let around: Around = read(&json::parse(text.as_bytes()).unwrap()).unwrap();
        assert_eq!(
            around.inside.as_str(),
            r#"{"b":[1,null,true,-0.5,18446744073709551615],"a":"\"\\é"}"#
        );
        let written = serde_json::to_string(&around).unwrap();
        assert_eq!(written, text.replace("\\u00e9", "é"));
    }
}
