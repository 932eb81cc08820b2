//! The events of `toml_parser` to values.

use super::{DEPTH_MAX, Document, Kind, ROOT, Value};
use std::borrow::Cow;
use toml_parser::decoder::{Encoding, ScalarKind};
use toml_parser::parser::{EventReceiver, parse_document};
use toml_parser::{ErrorSink, ParseError, Raw, Source, Span};

/// A sign that stands for itself in a key without quotes.
const BARE: u8 = 1;
/// A sign that stands for itself between quotes.
const QUOTED: u8 = 2;
/// By byte.
static SIGNS: [u8; 256] = {
    let mut signs = [0; 256];
    let mut byte = b' ';
    #[expect(clippy::indexing_slicing, clippy::as_conversions, reason = "evaluated by the compiler")]
    while byte <= b'~' {
        let bare = byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let quoted = byte != b'"' && byte != b'\\';
        signs[byte as usize] = if bare { BARE } else { 0 } | if quoted { QUOTED } else { 0 };
        byte += 1;
    }
    signs
};

/// The values of a text; `None` if it is refused or not plain.
pub(super) fn document(text: &str) -> Option<Document<'_>> {
    let tokens = Source::new(text).lex().into_vec();
    let mut building = Building {
        text,
        document: Document::new(text.len()),
        table: ROOT,
        open: Vec::new(),
        key: Vec::new(),
        slot: None,
        plain: true,
    };
    let mut refused = false;
    parse_document(&tokens, &mut building, &mut |_: ParseError| refused = true);
    (building.plain && !refused).then_some(building.document)
}

struct Building<'t> {
    text: &'t str,
    document: Document<'t>,
    /// Of the last header.
    table: usize,
    /// The tables and arrays that have been opened as values, the innermost last.
    open: Vec<usize>,
    /// The parts of the key that is being read.
    key: Vec<Cow<'t, str>>,
    /// Where the next value belongs, if it has a key.
    slot: Option<(usize, Cow<'t, str>)>,
    plain: bool,
}

impl<'t> Building<'t> {
    fn raw(&mut self, span: Span, encoding: Option<Encoding>) -> Raw<'t> {
        let raw = self.text.get(span.start()..span.end());
        self.plain &= raw.is_some();
        Raw::new_unchecked(raw.unwrap_or_default(), encoding, span)
    }

    /// What a quoted text or a bare key says that means every sign in it as it stands, which is nearly all of them.
    fn verbatim(&self, span: Span, encoding: Option<Encoding>) -> Option<&'t str> {
        let (start, end) = (span.start(), span.end());
        let (text, wanted, inside) = match (encoding, self.text.as_bytes().get(start..end)?) {
            (Some(Encoding::BasicString), [b'"', text @ .., b'"']) => (text, QUOTED, start + 1..end - 1),
            (None, text @ [_, ..]) => (text, BARE, start..end),
            _ => return None,
        };
        let verbatim = |byte: &u8| SIGNS.get(usize::from(*byte)).is_some_and(|kind| kind & wanted != 0);
        if text.iter().all(verbatim) { self.text.get(inside) } else { None }
    }

    /// Takes the parts of a key: those before the last one are followed by `step`.
    fn follow(
        &mut self,
        inside: usize,
        step: fn(&mut Document<'t>, usize, Cow<'t, str>) -> Option<usize>,
    ) -> Option<(usize, Cow<'t, str>)> {
        let last = self.key.pop()?;
        let document = &mut self.document;
        let inside = self.key.drain(..).try_fold(inside, |inside, key| step(document, inside, key))?;
        Some((inside, last))
    }

    fn header(&mut self, last: fn(&mut Document<'t>, usize, Cow<'t, str>) -> Option<usize>) {
        let found = self.follow(ROOT, Document::on_the_way);
        match found.and_then(|(inside, key)| last(&mut self.document, inside, key)) {
            Some(table) => self.table = table,
            None => self.plain = false,
        }
    }

    fn put(&mut self, value: Value<'t>) -> Option<usize> {
        let (inside, key) = match (self.slot.take(), self.open.last()) {
            (Some(slot), _) => slot,
            (None, Some(array)) => (*array, Cow::Borrowed("")),
            (None, None) => return None,
        };
        self.document.push(inside, key, value)
    }

    fn open(&mut self, kind: Kind) -> bool {
        match self.put(Value::many(kind)).filter(|_| self.open.len() < DEPTH_MAX) {
            Some(at) => self.open.push(at),
            None => self.plain = false,
        }
        self.plain
    }

    fn close(&mut self) {
        self.plain &= self.open.pop().is_some();
    }
}

impl EventReceiver for Building<'_> {
    fn std_table_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.header(Document::table);
    }

    fn array_table_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.header(Document::next_table);
    }

    fn simple_key(&mut self, span: Span, encoding: Option<Encoding>, error: &mut dyn ErrorSink) {
        let mut key = Cow::Borrowed("");
        match self.verbatim(span, encoding) {
            Some(text) => key = Cow::Borrowed(text),
            None => self.raw(span, encoding).decode_key(&mut key, error),
        }
        self.plain &= self.key.len() < DEPTH_MAX;
        if self.plain {
            self.key.push(key);
        }
    }

    fn key_val_sep(&mut self, _: Span, _: &mut dyn ErrorSink) {
        let inside = self.open.last().copied().unwrap_or(self.table);
        self.slot = self.follow(inside, Document::dotted);
        self.plain &= self.slot.is_some();
    }

    fn scalar(&mut self, span: Span, encoding: Option<Encoding>, error: &mut dyn ErrorSink) {
        if let Some(text) = encoding.and_then(|_| self.verbatim(span, encoding)) {
            self.plain &= self.put(Value::Text(Cow::Borrowed(text))).is_some();
            return;
        }
        let mut text = Cow::Borrowed("");
        let value = match self.raw(span, encoding).decode_scalar(&mut text, error) {
            ScalarKind::String => Some(Value::Text(text)),
            ScalarKind::Boolean(flag) => Some(Value::Flag(flag)),
            ScalarKind::Integer(radix) => i64::from_str_radix(&text, radix.value()).ok().map(Value::Whole),
            // A price file has none.
            ScalarKind::Float | ScalarKind::DateTime => None,
        };
        self.plain &= value.and_then(|value| self.put(value)).is_some();
    }

    fn inline_table_open(&mut self, _: Span, _: &mut dyn ErrorSink) -> bool {
        self.open(Kind::Inline)
    }

    fn inline_table_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.close();
    }

    fn array_open(&mut self, _: Span, _: &mut dyn ErrorSink) -> bool {
        self.open(Kind::Array)
    }

    fn array_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.close();
    }

    fn comment(&mut self, span: Span, error: &mut dyn ErrorSink) {
        self.raw(span, None).decode_comment(error);
    }

    fn newline(&mut self, span: Span, error: &mut dyn ErrorSink) {
        self.raw(span, None).decode_newline(error);
    }

    fn error(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.plain = false;
    }
}
