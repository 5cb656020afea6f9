//! Records of the WAL against ids, keys and schema.

use std::{collections::HashMap, path::Path};

use roaring::RoaringTreemap;

use crate::{
    format::{
        document::{self, Op, WalDoc},
        manifest::proto::{DataType, FieldSchema},
        value::Value,
        wal::{self as format, Record},
    },
    inspect::{
        idmap::Mapped,
        old_ids,
        wal::{self, Overlay},
    },
    report::{Finding, Firsts, Loss},
};

use super::{
    super::Context,
    forward::EXAMPLES,
    layout::column_type,
    scalar_index::show,
    shared::{Ids, Shared},
};

/// Checks the log that an open replays.
pub fn check(ctx: &Context<'_>, shared: &Shared, ids: &Ids) {
    let Some(path) = wal::active(ctx.view, ctx.manifest) else { return };
    let Ok(source) = ctx.view.source(&path) else { return };
    // Framing, checksums and shifted ids are told by the replay itself.
    drop(Overlay::load(ctx.view, ctx.manifest, &shared.id_map, &shared.deleted, &ctx.findings));
    let old = old_ids(ctx.view, ctx.manifest, &shared.id_map, &shared.deleted, &source, &ctx.findings);
    let Ok(old) = old else { return };
    let schema = ctx.manifest.schema.as_ref();
    let fields = schema.map(|schema| schema.fields.iter().map(|field| (field.name.as_str(), field)).collect());
    let mut check = Records {
        ctx,
        shared,
        ids,
        path: &path,
        fields: fields.unwrap_or_default(),
        old,
        latest: HashMap::new(),
        next_id: shared.first_id,
        gone: RoaringTreemap::new(),
        at_risk: Firsts::default(),
    };
    let mut stopped = false;
    let scanned = format::scan(&source, |record| {
        stopped |= ctx.stopped();
        if let Ok(doc) = document::decode(&record.payload, record.payload_offset())
            && !stopped
        {
            check.record(&record, &doc);
        }
    });
    // The replay has told why.
    drop(scanned);
    check.tell_at_risk();
}

struct Records<'c, 'a> {
    ctx: &'c Context<'a>,
    shared: &'c Shared,
    ids: &'c Ids,
    path: &'c Path,
    fields: HashMap<&'c str, &'c FieldSchema>,
    /// Rows that keys of the log mean.
    old: HashMap<Vec<u8>, u64>,
    /// What the log has made of its keys so far.
    latest: HashMap<Vec<u8>, Option<u64>>,
    next_id: u64,
    /// Ids that the log has deleted so far.
    gone: RoaringTreemap,
    /// Some keys of upserts that a replay by zvec would lose, and how many there are.
    at_risk: Firsts<EXAMPLES>,
}

impl Records<'_, '_> {
    fn tell(&self, finding: Finding, record: &Record<'_>) {
        self.ctx.findings.add_row(finding.at(self.path).offset(record.offset));
    }

    fn record(&mut self, record: &Record<'_>, doc: &WalDoc) {
        if let Op::Unknown(number) = doc.op {
            let detail = format!("operation {number}, which zvec 0.8.0 skips");
            self.tell(Finding::warning("wal.unknown-operation", detail), record);
            return;
        }
        if doc.op != Op::Delete {
            self.values(record, doc);
            if doc.pk.is_empty() || std::str::from_utf8(&doc.pk).is_err() {
                let detail = format!("{} of a document with the primary key {}", doc.op, show(&doc.pk));
                self.tell(Finding::error("wal.key", detail).loses(Loss::Possible, Some(1)), record);
            }
        }
        match doc.op {
            Op::Insert => self.insert(record, doc),
            Op::Upsert => {
                self.look_ahead(&doc.pk);
                self.gone.extend(self.current(&doc.pk));
            }
            Op::Update | Op::Delete => self.replace(record, doc),
            Op::Unknown(_) => {}
        }
        if doc.op == Op::Delete {
            if !doc.pk.is_empty() {
                self.latest.insert(doc.pk.clone(), None);
            }
        } else {
            self.latest.insert(doc.pk.clone(), Some(self.next_id));
            self.next_id = self.next_id.saturating_add(1);
        }
    }

    /// The living document that a key means at this point.
    fn current(&self, pk: &[u8]) -> Option<u64> {
        let id = self.latest.get(pk).copied().unwrap_or_else(|| self.old.get(pk).copied());
        id.filter(|id| !self.gone.contains(*id) && !self.shared.deleted.contains(*id))
    }

    /// Notes a key that the log upserts first, if the id map has seen that already. zvec 0.8.0 asks the id map which document an upsert replaces:
    /// it is told the id that the new document is about to get, deletes that one, and the old row lives on. (It has the same trouble with
    /// a key that the log deletes in the end: of the old row the map knows nothing any more.)
    fn look_ahead(&mut self, pk: &[u8]) {
        if self.latest.contains_key(pk) {
            return;
        }
        let ahead = match self.shared.id_map.get(pk, &self.ctx.findings) {
            Mapped::To(id) => id >= self.shared.first_id,
            Mapped::Absent => self.old.contains_key(pk),
            Mapped::Unknown(_) => false,
        };
        if ahead {
            self.at_risk.add(|| show(pk));
        }
    }

    fn tell_at_risk(&self) {
        if self.at_risk.count == 0 {
            return;
        }
        let detail = format!(
            "{} key(s) that the log upserts stand in the id map as the log leaves them, because the writer was killed within a flush: \
             zvec 0.8.0 deletes the new documents in its replay and brings replaced ones back; here nothing is lost yet: {}",
            self.at_risk.count, self.at_risk
        );
        let finding = Finding::error("wal.upserts-at-risk", detail).at(self.path);
        self.ctx.findings.add(finding.loses(Loss::Possible, Some(self.at_risk.count)));
    }

    /// An insert of a key that lives makes a second document with that key.
    fn insert(&self, record: &Record<'_>, doc: &WalDoc) {
        let known = match self.latest.get(&doc.pk) {
            Some(latest) => *latest,
            // Keys that the log inserts first are not among the old ones.
            None => match self.shared.id_map.get(&doc.pk, &self.ctx.findings) {
                Mapped::To(id) if id < self.shared.first_id => Some(id),
                _ => None,
            },
        };
        let dead = |id: u64| self.gone.contains(id) || self.shared.deleted.contains(id);
        if let Some(id) = known.filter(|id| !dead(*id) && (self.ids.rows.contains(*id) || *id >= self.shared.first_id))
        {
            let detail = format!(
                "INSERT of the key {}, which document {id} has and nothing has deleted: a record before it is missing or was repeated; zvec \
                 0.8.0 makes a second document with that key",
                show(&doc.pk)
            );
            self.tell(Finding::error("wal.duplicate-insert", detail).loses(Loss::Possible, Some(1)), record);
        }
    }

    fn replace(&mut self, record: &Record<'_>, doc: &WalDoc) {
        let known = if doc.pk.is_empty() { None } else { self.current(&doc.pk) };
        let id = known.unwrap_or(doc.doc_id);
        let exists = if id < self.shared.first_id {
            // Rows that cannot be read may hold it.
            self.ids.rows.contains(id) || self.ids.unreadable > 0
        } else {
            id < self.next_id && (known.is_some() || doc.pk.is_empty())
        };
        if !exists || self.shared.deleted.contains(id) || self.gone.contains(id) {
            let what =
                if doc.pk.is_empty() { "of a filter".to_owned() } else { format!("of the key {}", show(&doc.pk)) };
            let detail = format!(
                "{} {what} means document {id}, which is not there or was deleted before: a record before it is missing",
                doc.op
            );
            self.tell(Finding::error("wal.dangling-id", detail).loses(Loss::Possible, Some(1)), record);
        }
        if exists {
            self.gone.insert(id);
        }
    }

    /// The fields of a record against the schema.
    fn values(&self, record: &Record<'_>, doc: &WalDoc) {
        let mut seen = std::collections::HashSet::new();
        for (name, value) in &doc.fields {
            if !seen.insert(name.as_str()) {
                let detail = format!("field {name} stands twice in a record");
                self.tell(Finding::warning("wal.duplicate-field", detail), record);
            }
            let Some(field) = self.fields.get(name.as_str()) else {
                let detail = format!("field {name} is not in the schema; zvec ignores it");
                self.tell(Finding::warning("wal.unknown-field", detail), record);
                continue;
            };
            match fits(field, value) {
                Fit::Right => {}
                Fit::Type => {
                    let detail = format!("field {name} does not have the schema's type; zvec reads it as null");
                    self.tell(Finding::warning("wal.field-type", detail), record);
                }
                Fit::Dimension(found) => {
                    let detail = format!(
                        "field {name} has {found} components, the schema says {}; zvec 0.8.0 accepts it and reads beyond its end",
                        field.dimension
                    );
                    self.tell(Finding::error("wal.dimension", detail).loses(Loss::Possible, Some(1)), record);
                }
                Fit::Content(what) => {
                    let detail = format!("field {name}: {what}");
                    self.tell(Finding::error("wal.field-value", detail).loses(Loss::Possible, Some(1)), record);
                }
            }
        }
        let values = || doc.fields.iter().filter(|(_, value)| *value != Value::Null).map(|(name, _)| name.as_str());
        let present: std::collections::HashSet<&str> = values().collect();
        let lacking = self.fields.values().find(|field| !field.nullable && !present.contains(field.name.as_str()));
        if let Some(field) = lacking {
            let detail = format!("a document without field {}, which is never null", field.name);
            self.tell(Finding::error("wal.null-value", detail).loses(Loss::Possible, Some(1)), record);
        }
    }
}

enum Fit {
    Right,
    Type,
    Dimension(u64),
    Content(&'static str),
}

/// Whether a value is one that the field can have.
fn fits(field: &FieldSchema, value: &Value) -> Fit {
    use DataType as T;
    let Ok(data_type) = DataType::try_from(field.data_type) else { return Fit::Right };
    if *value == Value::Null {
        return Fit::Right;
    }
    if let Some(column) = column_type(data_type) {
        return match column.check(value) {
            Ok(()) => Fit::Right,
            Err(_) if matches!(value, Value::Bytes(_) | Value::ByteStrings(_)) && is_text(data_type) => {
                let of_type = matches!((column.array, value), (false, Value::Bytes(_)) | (true, Value::ByteStrings(_)));
                if of_type { Fit::Content("the text is not UTF-8") } else { Fit::Type }
            }
            Err(_) => Fit::Type,
        };
    }
    let length = match (data_type, value) {
        (T::VectorFp32, Value::F32s(list)) => list.len(),
        (T::VectorFp16, Value::F16s(list)) => list.len(),
        (T::VectorFp64, Value::F64s(list)) => list.len(),
        (T::VectorInt8 | T::VectorInt4 | T::VectorUint8, Value::I8s(list)) => list.len(),
        (T::VectorInt16, Value::I16s(list)) => list.len(),
        (T::VectorBinary32, Value::U32s(_)) | (T::VectorBinary64, Value::U64s(_)) | (T::Undefined, _) => {
            return Fit::Right;
        }
        (T::SparseVectorFp32, Value::SparseF32(list)) => return sparse(list.iter().map(|(index, _)| *index)),
        (T::SparseVectorFp16, Value::SparseF16(list)) => return sparse(list.iter().map(|(index, _)| *index)),
        _ => return Fit::Type,
    } as u64;
    if length == u64::from(field.dimension) { Fit::Right } else { Fit::Dimension(length) }
}

fn is_text(data_type: DataType) -> bool {
    matches!(data_type, DataType::String | DataType::ArrayString)
}

fn sparse(indices: impl Iterator<Item = u32>) -> Fit {
    if indices.is_sorted_by(|a, b| a < b) {
        Fit::Right
    } else {
        Fit::Content("the indices of the sparse vector do not ascend")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_of_a_sparse_vector_ascend() {
        let field = FieldSchema { data_type: DataType::SparseVectorFp32 as i32, ..FieldSchema::default() };
        let fit =
            |indices: &[u32]| fits(&field, &Value::SparseF32(indices.iter().map(|index| (*index, 1.0)).collect()));
        assert!(matches!(fit(&[]), Fit::Right));
        assert!(matches!(fit(&[3, 9]), Fit::Right));
        assert!(matches!(fit(&[9, 3]), Fit::Content(_)));
        assert!(matches!(fit(&[3, 3]), Fit::Content(_)));
        assert!(matches!(fits(&field, &Value::F32s(vec![1.0])), Fit::Type));
    }
}
