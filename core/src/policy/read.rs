//! From a JSON value to the types of the language.
//!
//! The policy is parsed once, by [`json`](crate::json): no second parser may have another opinion about it, and a
//! number in a key set may be of any size.

use serde::Deserialize;
use serde::de::value::{Error, MapDeserializer, SeqDeserializer};
use serde::de::{Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use crate::json::{Kind, Number, Value};

/// Reads a type from a value.
///
/// # Errors
/// Returns what of the value the type does not take.
pub(super) fn read<'de, T: Deserialize<'de>>(value: &'de Value<'_>) -> Result<T, Error> {
    T::deserialize(Reader(value))
}

struct Reader<'de, 'a>(&'de Value<'a>);

impl<'de> IntoDeserializer<'de> for Reader<'de, '_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Reader<'de, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.0.kind {
            Kind::Null => visitor.visit_unit(),
            Kind::Bool(value) => visitor.visit_bool(*value),
            Kind::Number(number) => visit_number(*number, visitor),
            Kind::String(text) => visitor.visit_borrowed_str(text),
            Kind::Array(elements) => {
                visitor.visit_seq(SeqDeserializer::new(elements.iter().map(Reader)))
            }
            Kind::Object(members) => visitor.visit_map(MapDeserializer::new(
                members
                    .iter()
                    .map(|member| (member.name.as_ref(), Reader(&member.value))),
            )),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.kind {
            Kind::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        // The enums of the language are words.
        let word = self.0.as_str().unwrap_or_default();
        IntoDeserializer::<Error>::into_deserializer(word).deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// No field of the language takes a number other than a whole one, and none takes this for one; where any
/// value is taken, its size does not matter.
fn visit_number<'de, V: Visitor<'de>>(number: Number<'_>, visitor: V) -> Result<V::Value, Error> {
    match number.as_u64() {
        Some(value) => visitor.visit_u64(value),
        None => visitor.visit_f64(number.floor() as f64),
    }
}
