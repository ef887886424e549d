//! A value of the document together with the way to it.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};

use super::diagnostic::quote;
use crate::json::{Kind, Member, Span, Value};

/// A value of the document: where it stands, and the way to it.
#[derive(Debug, Clone)]
pub(super) struct Node<'n, 'a> {
    value: &'n Value<'a>,
    path: String,
    /// The name of the member that holds it, and where that stands.
    member: Option<(&'n str, Span)>,
    /// The name of the member whose array it is an element of, perhaps inside of further arrays.
    list: Option<&'n str>,
}

impl<'n, 'a> Node<'n, 'a> {
    /// The whole document.
    pub(super) const fn root(value: &'n Value<'a>) -> Self {
        Self {
            value,
            path: String::new(),
            member: None,
            list: None,
        }
    }

    pub(super) const fn value(&self) -> &'n Value<'a> {
        self.value
    }

    pub(super) const fn span(&self) -> Span {
        self.value.span
    }

    /// Where the value stands; of an array or object only where it begins, for it may have many lines.
    pub(super) const fn opening(&self) -> Span {
        match self.value.kind {
            Kind::Object(_) | Kind::Array(_) => opening(self.value.span),
            _ => self.value.span,
        }
    }

    pub(super) fn path(&self) -> String {
        self.path.clone()
    }

    /// The name of the member that holds the value; `None` for the document and for elements of arrays.
    pub(super) fn name(&self) -> Option<&'n str> {
        self.member.map(|(name, _)| name)
    }

    /// Where the name stands, or else the value.
    pub(super) fn name_span(&self) -> Span {
        self.member.map_or(self.value.span, |(_, span)| span)
    }

    /// How a message calls the value.
    pub(super) fn label(&self) -> String {
        match (self.member, self.list) {
            (Some((name, _)), _) => quote(name),
            (None, Some(list)) => format!("an element of {}", quote(list)),
            (None, None) => "the document".to_string(),
        }
    }

    /// Whether it is the whole document.
    pub(super) fn is_root(&self) -> bool {
        self.path.is_empty()
    }

    /// The value of a member of this object.
    pub(super) fn child(&self, member: &'n Member<'a>) -> Self {
        Self {
            value: &member.value,
            path: join(&self.path, &member.name),
            member: Some((&member.name, member.name_span)),
            list: None,
        }
    }

    /// The value of the member `name` of this object.
    pub(super) fn field(&self, name: &str) -> Option<Self> {
        self.members()
            .iter()
            .find(|member| member.name == name)
            .map(|member| self.child(member))
    }

    /// The element at `index` of this array.
    pub(super) fn element(&self, index: usize) -> Option<Self> {
        Some(Self {
            value: self.value.as_array()?.get(index)?,
            path: format!("{}[{index}]", self.path),
            member: None,
            list: self.name().or(self.list),
        })
    }

    /// The elements of this array.
    pub(super) fn elements(&self) -> impl Iterator<Item = Self> + use<'n, 'a, '_> {
        (0..self.value.as_array().map_or(0, <[_]>::len)).filter_map(|index| self.element(index))
    }

    /// The members of this object; none if it is something else.
    pub(super) fn members(&self) -> &'n [Member<'a>] {
        match &self.value.kind {
            Kind::Object(members) => members,
            _ => &[],
        }
    }

    /// The members of this object with the way to them.
    pub(super) fn children(&self) -> impl Iterator<Item = Self> + use<'n, 'a, '_> {
        self.members().iter().map(|member| self.child(member))
    }
}

/// The opening bracket of an array or object.
pub(super) const fn opening(span: Span) -> Span {
    Span {
        start: span.start,
        end: span.start.saturating_add(1),
    }
}

fn join(path: &str, name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'$');
    let step: Cow<'_, str> = if !name.is_empty() && name.len() <= 64 && name.bytes().all(is_plain) {
        name.into()
    } else {
        let quoted = quote(name);
        return format!("{path}[\"{}\"]", quoted.trim_matches('`'));
    };
    match path {
        "" => step.into_owned(),
        _ => format!("{path}.{step}"),
    }
}
