//! JSON lines: the shape that `export` writes.
//!
//! ```json
//! {"id": "doc_1", "fields": {"title": "x", "year": 1999, "note": null}, "vectors": {"dense": [0.1, 0.2], "sparse": {"17": 0.5}}}
//! ```
//!
//! `id` is required, `fields` and `vectors` may be left out, and so may any field; no other key, no unknown name and no name twice is
//! taken. Values are those of [`json_value`](crate::format::json_value). Numbers of a half-precision vector are rounded as zvec rounds them. Empty lines count as
//! lines and mean nothing. What `export` could not read (`unreadable`) or showed as deleted is refused.

use std::{io::Read, sync::Arc};

use half::f16;

use super::{Counter, DocReader, InputError, Item, Named, Place};
use crate::{
    engine::{Doc, Refusal, Schema},
    format::{
        FormatError,
        json_value::{JsonReader, read_value},
        manifest::proto::DataType,
        proxima::encoding::half_away,
        value::Value,
    },
};

/// Bytes read at a time.
const CHUNK: usize = 256 << 10;
/// Longest line that is looked at. A document of 4 MiB has at most some 24 MiB of JSON, all of it escapes.
pub(super) const MAX_LINE: usize = 32 << 20;

/// Documents of a text.
pub(super) struct JsonLines<R> {
    source: R,
    named: Named,
    schema: Arc<Schema>,
    total: Option<u64>,
    counter: Counter,
    /// What was read and not yet taken: `buffer[start..]`.
    buffer: Vec<u8>,
    start: usize,
    /// Bytes of `buffer[start..]` that hold no line break.
    searched: usize,
    line: u64,
    at_end: bool,
}

enum Line {
    /// Its bytes in the buffer.
    Text(std::ops::Range<usize>),
    TooLong,
}

impl<R: Read + Send> JsonLines<R> {
    pub(super) fn new(source: R, named: Named, schema: Arc<Schema>, total: Option<u64>, counter: Counter) -> Self {
        let buffer = Vec::new();
        Self { source, named, schema, total, counter, buffer, start: 0, searched: 0, line: 0, at_end: false }
    }

    /// Reads more behind what is there; `false` at the end.
    fn fill(&mut self) -> Result<bool, InputError> {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        let had = self.buffer.len();
        self.buffer.resize(had + CHUNK, 0);
        let read = loop {
            match self.source.read(self.buffer.get_mut(had..).unwrap_or_default()) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.buffer.truncate(had + read.as_ref().map_or(0, |read| *read));
        let read = read.map_err(|error| self.named.io(&error))?;
        self.at_end = read == 0;
        Ok(read > 0)
    }

    /// The next line without its break.
    fn next_line(&mut self) -> Result<Option<Line>, InputError> {
        let mut too_long = false;
        loop {
            let rest = self.buffer.get(self.start..).unwrap_or_default();
            let unsearched = rest.get(self.searched..).unwrap_or_default();
            if let Some(at) = unsearched.iter().position(|byte| *byte == b'\n') {
                let line = self.start..self.start + self.searched + at;
                self.start = line.end + 1;
                self.searched = 0;
                self.line += 1;
                return Ok(Some(if too_long || line.len() > MAX_LINE { Line::TooLong } else { Line::Text(line) }));
            }
            if rest.len() > MAX_LINE {
                // Its end is looked for, its bytes are not kept.
                too_long = true;
                self.start = self.buffer.len();
            }
            self.searched = self.buffer.len() - self.start;
            if self.at_end || !self.fill()? {
                let line = self.start..self.buffer.len();
                if line.is_empty() && !too_long {
                    return Ok(None);
                }
                self.start = line.end;
                self.searched = 0;
                self.line += 1;
                return Ok(Some(if too_long { Line::TooLong } else { Line::Text(line) }));
            }
        }
    }
}

impl<R: Read + Send> DocReader for JsonLines<R> {
    fn next_batch(&mut self, most: usize, into: &mut Vec<Item>) -> Result<bool, InputError> {
        let mut given = 0;
        while given < most {
            let Some(line) = self.next_line()? else { return Ok(false) };
            let doc = match line {
                Line::TooLong => {
                    let detail = format!("the line is longer than {} MiB", MAX_LINE >> 20);
                    Err(Refusal::new("document.too-large", detail))
                }
                Line::Text(range) => {
                    let mut text = self.buffer.get(range).unwrap_or_default();
                    if self.line == 1 {
                        text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
                    }
                    if text.trim_ascii().is_empty() {
                        continue;
                    }
                    parse_document(text, &self.schema)
                }
            };
            into.push(Item { place: Place::Line(self.line), doc });
            given += 1;
        }
        Ok(true)
    }

    fn bytes_total(&self) -> Option<u64> {
        self.total
    }

    fn bytes_read(&self) -> u64 {
        let read = self.counter.get();
        self.total.map_or(read, |total| total.min(read))
    }
}

/// One document as JSON text.
///
/// Codes: `document.shape`, `document.unknown-field`, and those of JSON text and its values (`json.syntax`, `value.*`).
pub fn parse_document(text: &[u8], schema: &Schema) -> Result<Doc, Refusal> {
    let mut doc = Doc::new(Vec::new(), schema);
    let mut refusal = None;
    let parsed = parse(text, schema, &mut doc, &mut refusal);
    match (refusal, parsed) {
        (Some(refusal), _) => Err(refusal),
        (None, Err(error)) => Err(Refusal::new(error.code, format!("{} (byte {})", error.detail, error.offset + 1))),
        (None, Ok(())) => Ok(doc),
    }
}

/// Ends the reading of a document; the refusal is kept beside it.
fn stop(reader: &JsonReader<'_>, refusal: &mut Option<Refusal>, code: &'static str, why: String) -> FormatError {
    *refusal = Some(Refusal::new(code, why));
    reader.syntax("refused")
}

fn parse(text: &[u8], schema: &Schema, doc: &mut Doc, refusal: &mut Option<Refusal>) -> Result<(), FormatError> {
    const SHAPE: &str = "document.shape";
    let mut reader = JsonReader::new(text);
    let (mut id, mut fields, mut vectors) = (None, false, false);
    if reader.peek() != Some(b'{') {
        return Err(stop(
            &reader,
            refusal,
            SHAPE,
            "a document is an object: {\"id\": …, \"fields\": …, \"vectors\": …}".into(),
        ));
    }
    reader.object(|reader, key| match key.as_ref() {
        "id" if id.is_none() => {
            if reader.peek() != Some(b'"') {
                return Err(stop(reader, refusal, SHAPE, "the id is not a string".into()));
            }
            id = Some(reader.string()?.into_owned().into_bytes());
            Ok(())
        }
        "fields" if !fields => {
            fields = true;
            read_fields(reader, schema, false, doc, refusal)
        }
        "vectors" if !vectors => {
            vectors = true;
            read_fields(reader, schema, true, doc, refusal)
        }
        "id" | "fields" | "vectors" => Err(stop(reader, refusal, SHAPE, format!("{key:?} is there twice"))),
        "unreadable" => {
            let why = "some of its fields could not be read when it was exported (\"unreadable\")";
            Err(stop(reader, refusal, SHAPE, why.into()))
        }
        "deleted" if reader.take_word("false") => Ok(()),
        "deleted" => Err(stop(reader, refusal, SHAPE, "it is a deleted document (\"deleted\")".into())),
        other => Err(stop(reader, refusal, SHAPE, format!("{other:?} is none of id, fields and vectors"))),
    })?;
    reader.finish()?;
    doc.pk = id.ok_or_else(|| stop(&reader, refusal, SHAPE, "there is no id".into()))?;
    Ok(())
}

fn read_fields(
    reader: &mut JsonReader<'_>,
    schema: &Schema,
    vectors: bool,
    doc: &mut Doc,
    refusal: &mut Option<Refusal>,
) -> Result<(), FormatError> {
    if reader.take_word("null") {
        return Ok(());
    }
    reader.object(|reader, name| {
        let position = schema.position(&name);
        let field = position.and_then(|position| schema.fields().get(position));
        let (Some(position), Some(field)) = (position, field.filter(|field| field.is_vector() == vectors)) else {
            let why = match field {
                Some(_) if vectors => format!("{name:?} is no vector: it belongs into \"fields\""),
                Some(_) => format!("{name:?} is a vector: it belongs into \"vectors\""),
                None => format!("the schema has no field {name:?}"),
            };
            return Err(stop(reader, refusal, "document.unknown-field", why));
        };
        let value = read_typed(reader, field.data_type)
            .map_err(|error| FormatError { detail: format!("field {name:?}: {}", error.detail), ..error })?;
        let slot = doc.values.get_mut(position);
        if slot.as_ref().is_some_and(|slot| slot.is_some()) {
            return Err(stop(reader, refusal, "document.shape", format!("{name:?} is there twice")));
        }
        if let Some(slot) = slot {
            *slot = Some(value);
        }
        Ok(())
    })
}

/// Half precision is rounded as zvec rounds it; all else is as `format` reads it.
fn read_typed(reader: &mut JsonReader<'_>, data_type: DataType) -> Result<Value, FormatError> {
    reader.peek();
    let offset = reader.offset();
    let half = |value: f32| {
        let half = half_away(value);
        if value.is_finite() && half.is_infinite() {
            let detail = format!("{value} is out of the range of f16");
            return Err(FormatError::malformed("value.out-of-range", offset, detail));
        }
        Ok::<f16, FormatError>(half)
    };
    Ok(match data_type {
        DataType::VectorFp16 => match read_value(reader, DataType::VectorFp32)? {
            Value::F32s(values) => Value::F16s(values.into_iter().map(half).collect::<Result<_, _>>()?),
            other => other,
        },
        DataType::SparseVectorFp16 => match read_value(reader, DataType::SparseVectorFp32)? {
            Value::SparseF32(pairs) => {
                let pairs = pairs.into_iter().map(|(index, value)| Ok((index, half(value)?)));
                Value::SparseF16(pairs.collect::<Result<_, FormatError>>()?)
            }
            other => other,
        },
        _ => read_value(reader, data_type)?,
    })
}
