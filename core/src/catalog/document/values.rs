//! The values of a document as serde reads them: tables in the order of their keys, as those of the `toml` crate.

use super::{Document, Kind, Many, Node, ROOT, Value};
use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::fmt;

/// A value to be read.
#[derive(Clone, Copy)]
pub(super) struct At<'d, 't> {
    pub(super) document: &'d Document<'t>,
    pub(super) node: &'d Node<'t>,
}

/// It is not what was wanted. The `toml` crate says why.
#[derive(Debug)]
pub(super) struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused")
    }
}

impl std::error::Error for Refused {}

impl Error for Refused {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl<'de> Deserializer<'de> for At<'_, 'de> {
    type Error = Refused;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match &self.node.value {
            Value::Text(Cow::Borrowed(text)) => visitor.visit_borrowed_str(text),
            Value::Text(Cow::Owned(text)) => visitor.visit_str(text),
            Value::Whole(number) => visitor.visit_i64(*number),
            Value::Flag(flag) => visitor.visit_bool(*flag),
            Value::Many(many) if matches!(many.kind, Kind::Array | Kind::Tables) => {
                visitor.visit_seq(Elements { document: self.document, next: many.first })
            }
            Value::Many(many) => visitor.visit_map(Entries::new(self.document, many)?),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        match &self.node.value {
            Value::Text(word) => visitor.visit_enum(StrDeserializer::new(word)),
            _ => Err(Refused),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

struct Elements<'d, 't> {
    document: &'d Document<'t>,
    next: usize,
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Refused;

    /// Most lists of prices have one; of more, nothing is known before they are read.
    fn size_hint(&self) -> Option<usize> {
        let node = self.document.nodes.get(self.next)?;
        Some(if self.next == ROOT { 0 } else { 1 + usize::from(node.next != ROOT) })
    }

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Refused> {
        if self.next == ROOT {
            return Ok(None);
        }
        let node = self.document.nodes.get(self.next).ok_or(Refused)?;
        self.next = node.next;
        seed.deserialize(At { document: self.document, node }).map(Some)
    }
}

struct Entries<'d, 't> {
    document: &'d Document<'t>,
    left: smallvec::IntoIter<[&'d Node<'t>; 8]>,
    value: Option<&'d Node<'t>>,
}

impl<'d, 't> Entries<'d, 't> {
    /// By key; `Err` if one is there twice.
    fn new(document: &'d Document<'t>, many: &Many) -> Result<Self, Refused> {
        let mut nodes: SmallVec<[&Node<'t>; 8]> = SmallVec::new();
        let mut next = many.first;
        while next != ROOT {
            let node = document.nodes.get(next).ok_or(Refused)?;
            nodes.push(node);
            next = node.next;
        }
        nodes.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        match nodes.is_sorted_by(|one, other| one.key < other.key) {
            true => Ok(Self { document, left: nodes.into_iter(), value: None }),
            false => Err(Refused),
        }
    }
}

impl<'de> MapAccess<'de> for Entries<'_, 'de> {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Refused> {
        self.value = self.left.next();
        let Some(node) = self.value else { return Ok(None) };
        let key = match &node.key {
            Cow::Borrowed(key) => seed.deserialize(BorrowedStrDeserializer::new(key)),
            Cow::Owned(key) => seed.deserialize(key.as_str().into_deserializer()),
        };
        key.map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refused> {
        let node = self.value.take().ok_or(Refused)?;
        seed.deserialize(At { document: self.document, node })
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left.len())
    }
}
