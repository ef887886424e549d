//! What filters keep with a stream: `proxy_set_property` stores, `declare_property` says of which type.
//!
//! Envoy keeps a property as an object of the stream's filter state under `wasm.NAME`. Its type matters to those that
//! read it there, such as CEL expressions; a filter itself gets the same bytes whatever the type.

use std::collections::BTreeMap;

use crate::abi::Status;
use crate::protobuf::{Value, fields};

/// The type of a property, by which other filters and access logs read it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PropertyType {
    /// CEL sees `bytes`. That of a property that was never declared.
    #[default]
    Bytes,
    /// CEL sees a `string`.
    String,
    /// CEL sees a map of a schema.
    FlatBuffers,
    /// CEL sees a message.
    Protobuf,
}

/// What a filter declared of a property.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Declaration {
    pub(crate) kind: PropertyType,
    pub(crate) is_readonly: bool,
}

/// Declarations by the name of the property.
pub(crate) type Declarations = BTreeMap<Vec<u8>, Declaration>;

/// The properties of one stream.
#[derive(Debug, Default)]
pub(crate) struct FilterState(BTreeMap<Vec<u8>, (Declaration, Vec<u8>)>);

impl FilterState {
    pub(crate) fn value(&self, name: &[u8]) -> Option<&[u8]> {
        self.0.get(name).map(|(_, value)| value.as_slice())
    }

    pub(crate) fn values(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let values = self.0.iter();
        values
            .map(|(name, (_, value))| (name.clone(), value.clone()))
            .collect()
    }

    pub(crate) fn kind(&self, name: &[u8]) -> Option<PropertyType> {
        self.0.get(name).map(|(declaration, _)| declaration.kind)
    }

    /// Stores a value. The declaration counts when the property is new; one that is read-only stays as it is.
    pub(crate) fn set(
        &mut self,
        name: Vec<u8>,
        value: Vec<u8>,
        declaration: Declaration,
    ) -> Result<(), Status> {
        match self.0.get_mut(&name) {
            Some((known, _)) if known.is_readonly => return Err(Status::BadArgument),
            Some((_, known)) => *known = value,
            None => drop(self.0.insert(name, (declaration, value))),
        }
        Ok(())
    }
}

/// Takes the argument of `declare_property`: 1 name, 2 whether it is read-only, 3 type. A second declaration is refused.
pub(crate) fn declare(declarations: &mut Declarations, argument: &[u8]) -> Result<(), Status> {
    let mut name = Vec::new();
    let mut declaration = Declaration::default();
    for field in fields(argument).ok_or(Status::BadArgument)? {
        match field {
            (1, Value::Bytes(bytes)) => name = bytes.to_vec(),
            (2, Value::Varint(flag)) => declaration.is_readonly = flag != 0,
            (3, Value::Varint(number)) => {
                declaration.kind = match number {
                    1 => PropertyType::String,
                    2 => PropertyType::FlatBuffers,
                    3 => PropertyType::Protobuf,
                    _ => PropertyType::Bytes,
                }
            }
            _ => {}
        }
    }
    if declarations.contains_key(&name) {
        return Err(Status::BadArgument);
    }
    declarations.insert(name, declaration);
    Ok(())
}
