//! The logical digest of a collection: the same for the same live documents, whatever their order, blocks, indexes, engine or release.
//!
//! ```text
//! key(label)       = BLAKE3 key derivation of label, context "zvecctl digest v1"
//! value hash       = BLAKE3 keyed with key("field " + name) of:  u32 length of the primary key | key | u8 tag | value
//! field digest     = sum of the value hashes of all live documents, as 256-bit little-endian numbers, modulo 2^256
//! keys digest      = likewise of  u32 length | key  under key("keys")
//! digest           = BLAKE3 keyed with key("total") of:  u64 documents | keys digest | for each field that has a value anywhere, by name:
//!                    u32 length of the name | name | field digest
//! ```
//! A sum does not depend on the order, and two documents with the same key count twice. Null and absent are one thing, as for zvec, and
//! leave no trace: an added column without values does not change the digest. Values are those that a reader gets from stored blocks;
//! vectors of the log go through the encoding of their column first ([`FilePlan::stored`]), which is that of zvec 0.8.0 bit for bit. Not a
//! protection against forgery: sums can be steered.
//!
//! Values: little-endian, floats by their bits; strings, lists and vectors behind their u32 count.

use std::ops::ControlFlow;

use crate::{
    format::{
        document,
        proxima::write::{ColumnPlan, FilePlan},
        schema_file::SchemaFile,
        value::Value,
    },
    report::digest::{DigestReport, FieldDigest},
};

use super::{
    InspectError, View,
    documents::{Cell, Document, Documents, Origin, Selection},
};

/// Name of the algorithm in reports.
pub const ALGORITHM: &str = "zvecctl-digest-v1";
const CONTEXT: &str = "zvecctl digest v1";

/// Computes the digest. `each` is called for every document and says whether to go on; `None` if it did not.
pub fn digest(
    view: &View,
    start: impl FnOnce(u64),
    each: &mut dyn FnMut() -> bool,
) -> Result<Option<DigestReport>, InspectError> {
    let mut documents = Documents::open(view, Selection::default())?;
    start(documents.stored());
    let fields = documents.fields().clone();
    let mut columns: Vec<Column> =
        fields.scalars.iter().chain(&fields.vectors).map(|field| Column::new(&field.name)).collect();
    let (_, manifest) = view.manifest()?;
    // Columns that this build cannot write stay as they are.
    if let Some(schema) = manifest.schema.as_ref().and_then(|schema| SchemaFile::from_manifest(schema).ok()) {
        for vector in &schema.vectors {
            if let Some(column) = columns.iter_mut().find(|column| column.name == vector.name) {
                column.plan = ColumnPlan::new(vector).ok().map(|plan| plan.index);
            }
        }
    }
    let mut keys = Sum::default();
    let key_of_keys = derive("keys");
    let mut count = 0u64;
    let mut buffer = Vec::new();
    let flow = documents.each(&mut |document| {
        if !each() {
            return ControlFlow::Break(());
        }
        count += 1;
        buffer.clear();
        put_bytes(&mut buffer, &document.pk);
        keys.add(&key_of_keys, &buffer);
        let from_log = matches!(document.origin, Origin::Wal { .. });
        let Document { fields, vectors, .. } = document;
        let start = buffer.len();
        for (column, cell) in columns.iter_mut().zip(fields.into_iter().chain(vectors)) {
            buffer.truncate(start);
            column.add(cell, from_log, &mut buffer);
        }
        ControlFlow::Continue(())
    });
    if flow.is_break() {
        return Ok(None);
    }
    let mut total = blake3::Hasher::new_keyed(&derive("total"));
    total.update(&count.to_le_bytes());
    total.update(&keys.bytes());
    let mut by_name: Vec<&Column> = columns.iter().filter(|column| column.values > 0).collect();
    by_name.sort_by(|a, b| a.name.cmp(&b.name));
    for column in by_name {
        let mut name = Vec::new();
        put_bytes(&mut name, column.name.as_bytes());
        total.update(&name);
        total.update(&column.sum.bytes());
    }
    let unreadable = documents.unreadable_rows() > 0 || columns.iter().any(|column| column.unreadable > 0);
    Ok(Some(DigestReport {
        algorithm: ALGORITHM.to_owned(),
        digest: total.finalize().to_hex().to_string(),
        documents: count,
        keys: keys.hex(),
        fields: columns.iter().map(Column::report).collect(),
        complete: !unreadable,
        findings: documents.findings(),
    }))
}

/// One field under way.
struct Column {
    name: String,
    key: [u8; 32],
    /// How its vectors are stored.
    plan: Option<FilePlan>,
    values: u64,
    unreadable: u64,
    sum: Sum,
}

impl Column {
    fn new(name: &str) -> Self {
        let key = derive(&format!("field {name}"));
        Self { name: name.to_owned(), key, plan: None, values: 0, unreadable: 0, sum: Sum::default() }
    }

    /// Adds a value; `buffer` holds the document's key.
    fn add(&mut self, cell: Cell, from_log: bool, buffer: &mut Vec<u8>) {
        let value = match cell {
            Cell::Value(Value::Null) => return,
            Cell::Value(value) => value,
            Cell::Unreadable => {
                self.unreadable += 1;
                return;
            }
        };
        let value = match self.plan.as_mut().filter(|_| from_log) {
            // What the column cannot hold is no business of the digest.
            Some(plan) => plan.stored(&value).unwrap_or(value),
            None => value,
        };
        put_value(buffer, &value);
        self.values += 1;
        self.sum.add(&self.key, buffer);
    }

    fn report(&self) -> FieldDigest {
        FieldDigest {
            name: self.name.clone(),
            values: self.values,
            unreadable: self.unreadable,
            digest: self.sum.hex(),
        }
    }
}

fn derive(label: &str) -> [u8; 32] {
    blake3::derive_key(CONTEXT, label.as_bytes())
}

/// A sum of hashes modulo 2^256: four limbs, the lowest first.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Sum([u64; 4]);

impl Sum {
    fn add(&mut self, key: &[u8; 32], data: &[u8]) {
        let hash = blake3::keyed_hash(key, data);
        let mut carry = false;
        for (limb, bytes) in self.0.iter_mut().zip(hash.as_bytes().as_chunks::<8>().0) {
            let (sum, over) = limb.overflowing_add(u64::from_le_bytes(*bytes));
            let (sum, again) = sum.overflowing_add(u64::from(carry));
            carry = over || again;
            *limb = sum;
        }
    }

    fn bytes(self) -> Vec<u8> {
        self.0.iter().flat_map(|limb| limb.to_le_bytes()).collect()
    }

    fn hex(self) -> String {
        self.bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_count(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend(u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

fn put_list<T: Copy, const N: usize>(out: &mut Vec<u8>, values: &[T], bytes: impl Fn(T) -> [u8; N]) {
    put_count(out, values.len());
    values.iter().for_each(|value| out.extend(bytes(*value)));
}

fn put_value(out: &mut Vec<u8>, value: &Value) {
    out.push(document::type_tag(value));
    match value {
        Value::Null => {}
        Value::Bool(value) => out.push(u8::from(*value)),
        Value::I32(value) => out.extend(value.to_le_bytes()),
        Value::U32(value) => out.extend(value.to_le_bytes()),
        Value::I64(value) => out.extend(value.to_le_bytes()),
        Value::U64(value) => out.extend(value.to_le_bytes()),
        Value::F32(value) => out.extend(value.to_le_bytes()),
        Value::F64(value) => out.extend(value.to_le_bytes()),
        Value::Bytes(bytes) => put_bytes(out, bytes),
        Value::Bools(values) => put_list(out, values, |value| [u8::from(value)]),
        Value::I8s(values) => put_list(out, values, i8::to_le_bytes),
        Value::I16s(values) => put_list(out, values, i16::to_le_bytes),
        Value::I32s(values) => put_list(out, values, i32::to_le_bytes),
        Value::I64s(values) => put_list(out, values, i64::to_le_bytes),
        Value::U32s(values) => put_list(out, values, u32::to_le_bytes),
        Value::U64s(values) => put_list(out, values, u64::to_le_bytes),
        Value::F16s(values) => put_list(out, values, half::f16::to_le_bytes),
        Value::F32s(values) => put_list(out, values, f32::to_le_bytes),
        Value::F64s(values) => put_list(out, values, f64::to_le_bytes),
        Value::ByteStrings(values) => {
            put_count(out, values.len());
            values.iter().for_each(|bytes| put_bytes(out, bytes));
        }
        Value::SparseF32(values) => {
            put_count(out, values.len());
            values.iter().for_each(|(index, value)| {
                out.extend(index.to_le_bytes());
                out.extend(value.to_le_bytes());
            });
        }
        Value::SparseF16(values) => {
            put_count(out, values.len());
            values.iter().for_each(|(index, value)| {
                out.extend(index.to_le_bytes());
                out.extend(value.to_le_bytes());
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[(&str, Value)]) -> Column {
        let mut column = Column::new("f");
        for (pk, value) in values {
            let mut buffer = Vec::new();
            put_bytes(&mut buffer, pk.as_bytes());
            column.add(Cell::Value(value.clone()), false, &mut buffer);
        }
        column
    }

    #[test]
    fn the_order_does_not_matter_and_the_key_does() {
        let (a, b) = (("a", Value::I32(1)), ("b", Value::I32(2)));
        let sum = of(&[a.clone(), b.clone()]).sum;
        assert_eq!(sum, of(&[b.clone(), a.clone()]).sum);
        assert_ne!(sum, of(std::slice::from_ref(&a)).sum);
        assert_ne!(sum, of(&[a.clone(), a.clone(), b]).sum, "twice is not once");
        assert_ne!(sum, of(&[("a", Value::I32(2)), ("b", Value::I32(1))]).sum, "values changed places");
        assert_ne!(of(&[a]).sum, of(&[("a", Value::U32(1))]).sum, "the type counts");
    }

    #[test]
    fn null_leaves_no_trace() {
        let with = of(&[("a", Value::I32(1)), ("b", Value::Null)]);
        assert_eq!((with.sum, with.values), (of(&[("a", Value::I32(1))]).sum, 1));
        assert_ne!(of(&[("a", Value::I32s(vec![]))]).values, 0, "an empty array is a value");
    }

    #[test]
    fn sums_carry() {
        let mut sum = Sum([u64::MAX; 4]);
        let key = derive("x");
        sum.add(&key, b"y");
        let mut one_less = Sum::default();
        one_less.add(&key, b"y");
        let [first, ..] = one_less.0;
        assert_eq!(sum.0[0], first.wrapping_sub(1), "the hash minus one");
    }
}
