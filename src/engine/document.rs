//! Documents on their way in, and zvec's rules for them.
//!
//! Found by handing documents to zvec 0.8.0; `testdata/document_rules.jsonl` holds its answers.

use crate::format::{
    self,
    document::{self, Head, MIN_LEN, Op, WalDoc},
    manifest::proto::DataType,
    value::Value,
    wal::ZVEC_MAX_PAYLOAD,
};

use super::{Field, FieldKind, Refusal, Schema, names};

/// Bytes of a primary key.
const MAX_PK: usize = 1024;
/// Pairs of a sparse vector.
const MAX_SPARSE: usize = 16_384;

/// A document: its values in the order of the schema's fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Doc {
    /// Primary key.
    pub pk: Vec<u8>,
    /// A value for each field of the schema. `None`: not given, which an update leaves as it is; [`Value::Null`]: given as null.
    pub values: Vec<Option<Value>>,
}

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A new document; its key must be new.
    Insert,
    /// A new document, or a whole new version of one.
    Upsert,
    /// New values of some fields of a document; its key must exist.
    Update,
}

impl Doc {
    /// A document with no value yet.
    pub fn new(pk: impl Into<Vec<u8>>, schema: &Schema) -> Self {
        Self { pk: pk.into(), values: vec![None; schema.fields().len()] }
    }

    /// The value of a field; null where none was given.
    pub fn value(&self, position: usize) -> &Value {
        self.values.get(position).and_then(Option::as_ref).unwrap_or(&Value::Null)
    }

    /// The document after `update`: what the update gives, null included, else what was there. A null that was there already is
    /// not given any more, as in zvec's records.
    pub fn merged(mut self, update: Self) -> Self {
        for (old, new) in self.values.iter_mut().zip(update.values) {
            if new.is_some() || *old == Some(Value::Null) {
                *old = new;
            }
        }
        self
    }
}

impl Schema {
    /// Puts a document into the form in which zvec keeps it, and holds it against zvec's rules: what [`normalise`](Self::normalise) and
    /// [`check`](Self::check) do.
    pub fn admit(&self, doc: &mut Doc, mode: Mode) -> Result<(), Refusal> {
        self.normalise(doc);
        self.check(doc, mode)
    }

    /// Sorts the pairs of sparse vectors by their indices, as zvec does. Everything else is kept as it was given.
    pub fn normalise(&self, doc: &mut Doc) {
        for value in doc.values.iter_mut().flatten() {
            match value {
                Value::SparseF32(pairs) => sort(pairs),
                Value::SparseF16(pairs) => sort(pairs),
                _ => {}
            }
        }
    }

    /// Holds a document against zvec's rules.
    ///
    /// Any float may stand in a vector or a field, NaN and infinities included, and any number of zeros. What zvec cannot read
    /// back is refused though zvec takes it: a STRING that is not UTF-8, and a record above 4 MiB.
    ///
    /// Codes: `document.id`, `document.fields`, `document.missing`, `document.null`, `document.type`, `document.dimension`,
    /// `document.sparse-index`, `document.utf8`, `document.too-large`. An update is to be checked again once it is merged, for its size.
    pub fn check(&self, doc: &Doc, mode: Mode) -> Result<(), Refusal> {
        if let Some(fault) = names::text_fault(&doc.pk, MAX_PK) {
            return Err(Refusal::new("document.id", format!("the id {:?} {fault}", shown(&doc.pk))));
        }
        if doc.values.len() != self.fields().len() {
            let detail = format!("{} values for {} fields", doc.values.len(), self.fields().len());
            return Err(Refusal::new("document.fields", detail));
        }
        for (field, value) in self.fields().iter().zip(&doc.values) {
            match value {
                None if field.nullable || mode == Mode::Update => {}
                None => return Err(refuse(field, "document.missing", "is required and not given")),
                Some(Value::Null) if field.nullable => {}
                Some(Value::Null) => return Err(refuse(field, "document.null", "is required and null")),
                Some(value) => check_value(field, value)?,
            }
        }
        self.check_size(doc)
    }

    /// Refuses, with `document.too-large`, a document whose WAL record zvec would not read back: above 4 MiB.
    pub fn check_size(&self, doc: &Doc) -> Result<(), Refusal> {
        let size = self.payload_len(doc);
        if size > u64::from(ZVEC_MAX_PAYLOAD) {
            let detail = format!("the document takes {size} bytes, its record in the log may have {ZVEC_MAX_PAYLOAD}");
            return Err(Refusal::new("document.too-large", detail));
        }
        Ok(())
    }

    /// Bytes of the document's WAL record without its header.
    pub fn payload_len(&self, doc: &Doc) -> u64 {
        let fields = self.given(doc).map(|(name, value)| document::field_len(name, value));
        fields.fold((MIN_LEN + doc.pk.len()) as u64, u64::saturating_add)
    }

    /// Appends the payload of the document's WAL record: what is given, in the order of the schema.
    pub fn encode_payload(&self, doc: &Doc, op: Op, doc_id: u64, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let head = Head { pk: &doc.pk, score: 0.0, doc_id, op };
        document::encode_parts(out, head, self.given(doc))
            .map_err(|error| Refusal::new("document.too-large", error.detail))
    }

    /// A document of the log. Fields that the schema does not have are left out, and values of another type than the field's are null,
    /// as zvec's replay makes of them.
    pub fn decode(&self, stored: WalDoc) -> Doc {
        let mut doc = Doc::new(stored.pk, self);
        for (name, value) in stored.fields {
            let Some(position) = self.position(&name) else { continue };
            let fits = self.fields().get(position).is_some_and(|field| value_fits(field, &value));
            if let Some(slot) = doc.values.get_mut(position) {
                *slot = Some(if fits { value } else { Value::Null });
            }
        }
        doc
    }

    /// A document of the log that can be kept as it is: each value is of its field's type and right in itself, and none is missing that has to be
    /// there. `None` inside for any other; then [`decode`](Self::decode) and [`misfit`](Self::misfit) tell more. Codes as
    /// [`document::decode`].
    pub(super) fn decode_whole<'a>(&self, payload: &'a [u8], base: u64) -> format::Result<(Head<'a>, Option<Doc>)> {
        let mut required = self.fields().iter().filter(|field| !field.nullable).count();
        let mut values = vec![None; self.fields().len()];
        let mut whole = true;
        let head = document::decode_each(payload, base, |name, value| {
            let Some(position) = self.position(name) else { return };
            let (Some(field), Some(slot)) = (self.fields().get(position), values.get_mut(position)) else { return };
            let fits = if value == Value::Null { field.nullable } else { check_value(field, &value).is_ok() };
            let first = slot.replace(value).is_none();
            whole &= fits && first;
            required -= usize::from(whole && !field.nullable);
        })?;
        let whole = (whole && required == 0) || head.op == Op::Delete;
        Ok((head, whole.then(|| Doc { pk: head.pk.to_vec(), values })))
    }

    /// Why a value of the log cannot be kept though it is of the field's type. Fields that the schema does not have are left out anyway.
    pub(super) fn misfit(&self, name: &str, value: &Value) -> Option<Refusal> {
        let field = self.fields().get(self.position(name)?)?;
        let refusal = (*value != Value::Null).then(|| check_value(field, value).err())??;
        (refusal.code != "document.type").then_some(refusal)
    }

    fn given<'d>(&'d self, doc: &'d Doc) -> impl Iterator<Item = (&'d str, &'d Value)> + Clone {
        let named = self.fields().iter().zip(&doc.values);
        named.filter_map(|(field, value)| Some((field.name.as_str(), value.as_ref()?)))
    }
}

fn refuse(field: &Field, code: &'static str, why: impl std::fmt::Display) -> Refusal {
    Refusal::new(code, format!("field {:?} {why}", field.name))
}

/// A key for a message: the front of it, readable.
fn shown(pk: &[u8]) -> String {
    let text = String::from_utf8_lossy(pk);
    let front: String = text.chars().take(40).collect();
    if front.len() < text.len() { front + "…" } else { front }
}

fn value_fits(field: &Field, value: &Value) -> bool {
    matches!(value, Value::Null) || check_value(field, value).is_ok()
}

fn check_value(field: &Field, value: &Value) -> Result<(), Refusal> {
    match &field.kind {
        FieldKind::Scalar { column_type, .. } => column_type.check(value).map_err(|fault| {
            let code = if fault.ends_with("UTF-8") { "document.utf8" } else { "document.type" };
            refuse(field, code, format_args!("has {fault}"))
        }),
        FieldKind::Vector(vector) => match components(field.data_type, value) {
            None => {
                let why = format!("is of type {}, its value is not", field.data_type.as_str_name());
                Err(refuse(field, "document.type", why))
            }
            Some(Components::Sparse(Err(index))) => Err(refuse(
                field,
                "document.sparse-index",
                format!("has the index {index} twice, or not in ascending order"),
            )),
            Some(Components::Sparse(Ok(count))) if count > MAX_SPARSE => {
                let why = format!("has {count} indices, at most {MAX_SPARSE} are allowed");
                Err(refuse(field, "document.sparse-index", why))
            }
            Some(Components::Dense(count)) if count as u64 != u64::from(vector.dimension) => {
                let why = format!("has {count} components, its dimension is {}", vector.dimension);
                Err(refuse(field, "document.dimension", why))
            }
            Some(_) => Ok(()),
        },
    }
}

enum Components {
    Dense(usize),
    /// The number of pairs, or an index that is not above the one before it.
    Sparse(Result<usize, u32>),
}

/// How many components a vector of this type has; `None` for a value of another type.
fn components(data_type: DataType, value: &Value) -> Option<Components> {
    use DataType as T;
    Some(match (data_type, value) {
        (T::VectorFp32, Value::F32s(v)) => Components::Dense(v.len()),
        (T::VectorFp16, Value::F16s(v)) => Components::Dense(v.len()),
        (T::VectorFp64, Value::F64s(v)) => Components::Dense(v.len()),
        (T::VectorInt8 | T::VectorInt4, Value::I8s(v)) => Components::Dense(v.len()),
        (T::VectorInt16, Value::I16s(v)) => Components::Dense(v.len()),
        (T::VectorBinary32, Value::U32s(v)) => Components::Dense(v.len()),
        (T::VectorBinary64, Value::U64s(v)) => Components::Dense(v.len()),
        (T::SparseVectorFp32, Value::SparseF32(v)) => Components::Sparse(ascending(v)),
        (T::SparseVectorFp16, Value::SparseF16(v)) => Components::Sparse(ascending(v)),
        _ => return None,
    })
}

fn ascending<T>(pairs: &[(u32, T)]) -> Result<usize, u32> {
    let wrong = pairs.iter().zip(pairs.iter().skip(1)).find(|((a, _), (b, _))| a >= b);
    wrong.map_or(Ok(pairs.len()), |(_, (index, _))| Err(*index))
}

fn sort<T>(pairs: &mut [(u32, T)]) {
    if !pairs.is_sorted_by_key(|(index, _)| *index) {
        pairs.sort_by_key(|(index, _)| *index);
    }
}

#[cfg(test)]
mod tests;
