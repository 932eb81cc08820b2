//! A TOML document as one list of values, from which a file is read. A tree of maps, which is what the `toml` crate
//! reads from, costs several times as much, and a price list of thousands of models is loaded while calls wait.
//!
//! The text is split and checked by `toml_parser`, as it is for the `toml` crate. What is refused, or is not entirely
//! plain, is given up: the `toml` crate reads the text then, and words the refusal. So the one rule here is never to
//! accept what that crate refuses, nor to read anything else from it.

mod events;
#[cfg(test)]
mod tests;
mod values;

use hashbrown::HashTable;
use serde::Deserialize;
use std::borrow::Cow;
use std::hash::BuildHasher;

/// Most parts of a key, and most tables and arrays inside of each other: fewer than the `toml` crate allows.
const DEPTH_MAX: usize = 32;
/// The place of the outermost table. It is inside of nothing, so that as the place of a neighbour it means none.
const ROOT: usize = 0;

/// What a text says; `None` if it is refused or not plain.
pub(super) fn read<'t, T: Deserialize<'t>>(text: &'t str) -> Option<T> {
    let document = events::document(text)?;
    let root = document.nodes.get(ROOT)?;
    T::deserialize(values::At { document: &document, node: root }).ok()
}

/// All values, each after what it is inside of.
struct Document<'t> {
    nodes: Vec<Node<'t>>,
    /// The tables and arrays that headers and dotted keys made, each after what it is inside of.
    made: HashTable<(usize, usize)>,
    hasher: foldhash::fast::FixedState,
}

/// A value and its key, which is empty in an array.
struct Node<'t> {
    key: Cow<'t, str>,
    value: Value<'t>,
    /// The place of the next value inside of the same.
    next: usize,
}

enum Value<'t> {
    Text(Cow<'t, str>),
    Whole(i64),
    Flag(bool),
    Many(Many),
}

/// The places of the values inside, in the order of the text.
struct Many {
    kind: Kind,
    first: usize,
    last: usize,
}

/// How a table or an array came to be, which decides whether it can be added to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `[…]` as a value.
    Array,
    /// `{…}` as a value.
    Inline,
    /// By `[[a]]`.
    Tables,
    /// By `[a]`, or an element by `[[a]]`.
    Header,
    /// By `[a.b]`, which names no more of `a`.
    Implied,
    /// By `a.b = …`.
    Dotted,
}

impl<'t> Document<'t> {
    fn new(bytes: usize) -> Self {
        // A value takes about 30 bytes of a price list, its key included, and a header about 100.
        let mut nodes = Vec::with_capacity(bytes / 24);
        nodes.push(Node { key: Cow::Borrowed(""), value: Value::many(Kind::Header), next: ROOT });
        Self {
            nodes,
            made: HashTable::with_capacity(bytes / 200),
            hasher: foldhash::fast::FixedState::default(),
        }
    }

    fn many(&self, at: usize) -> Option<&Many> {
        match &self.nodes.get(at)?.value {
            Value::Many(many) => Some(many),
            _ => None,
        }
    }

    fn many_mut(&mut self, at: usize) -> Option<&mut Many> {
        match &mut self.nodes.get_mut(at)?.value {
            Value::Many(many) => Some(many),
            _ => None,
        }
    }

    /// Adds a value to a table or an array. A key that is there already is found when the table is read.
    fn push(&mut self, inside: usize, key: Cow<'t, str>, value: Value<'t>) -> Option<usize> {
        let at = self.nodes.len();
        let many = self.many_mut(inside)?;
        match std::mem::replace(&mut many.last, at) {
            ROOT => many.first = at,
            last => self.nodes.get_mut(last)?.next = at,
        }
        self.nodes.push(Node { key, value, next: ROOT });
        Some(at)
    }

    /// What a header or a dotted key made.
    fn find(&self, inside: usize, key: &str) -> Option<usize> {
        let same = |made: &(usize, usize)| {
            made.0 == inside && self.nodes.get(made.1).is_some_and(|node| node.key == key)
        };
        self.made.find(self.hasher.hash_one((inside, key)), same).map(|(_, at)| *at)
    }

    /// Makes what a header or a dotted key names.
    fn make(&mut self, inside: usize, key: Cow<'t, str>, kind: Kind) -> Option<usize> {
        let hash = self.hasher.hash_one((inside, &*key));
        let at = self.push(inside, key, Value::many(kind))?;
        let (nodes, hasher) = (&self.nodes, &self.hasher);
        let hash_of = |(inside, at): &(usize, usize)| {
            hasher.hash_one((*inside, nodes.get(*at).map_or("", |node| &*node.key)))
        };
        self.made.insert_unique(hash, (inside, at), hash_of);
        Some(at)
    }

    /// The table under a key of a header before its last one.
    fn on_the_way(&mut self, inside: usize, key: Cow<'t, str>) -> Option<usize> {
        let Some(at) = self.find(inside, &key) else { return self.make(inside, key, Kind::Implied) };
        let many = self.many(at)?;
        Some(if many.kind == Kind::Tables { many.last } else { at })
    }

    /// The table of `[a]`.
    fn table(&mut self, inside: usize, key: Cow<'t, str>) -> Option<usize> {
        let Some(at) = self.find(inside, &key) else { return self.make(inside, key, Kind::Header) };
        let many = self.many_mut(at).filter(|many| many.kind == Kind::Implied)?;
        many.kind = Kind::Header;
        Some(at)
    }

    /// The next table of `[[a]]`.
    fn next_table(&mut self, inside: usize, key: Cow<'t, str>) -> Option<usize> {
        let at = match self.find(inside, &key) {
            Some(at) => self.many(at).filter(|many| many.kind == Kind::Tables).map(|_| at)?,
            None => self.make(inside, key, Kind::Tables)?,
        };
        self.push(at, Cow::Borrowed(""), Value::many(Kind::Header))
    }

    /// The table under a dotted key before its last part.
    fn dotted(&mut self, inside: usize, key: Cow<'t, str>) -> Option<usize> {
        let Some(at) = self.find(inside, &key) else { return self.make(inside, key, Kind::Dotted) };
        let many = self.many_mut(at).filter(|many| matches!(many.kind, Kind::Implied | Kind::Dotted))?;
        many.kind = Kind::Dotted;
        Some(at)
    }
}

impl Value<'_> {
    fn many(kind: Kind) -> Self {
        Value::Many(Many { kind, first: ROOT, last: ROOT })
    }
}
