//! The scalar inverted index of the writing segment: rows of the open block in memory, those before in a RocksDB directory.
//!
//! It is never sealed: zvec answers the same from a scalar index without seal, and a crash between sealing and the next manifest is what makes
//! zvec 0.8.0 refuse inserts.

use std::path::PathBuf;

use crate::format::{
    FormatError,
    inverted::{EntryKind, Family, IndexBuilder, IndexedColumn, Special, SpecialKey, decode_max_id, families},
    roaring as set,
    value::Value,
};

use super::{
    EngineError, FieldKind, Schema,
    files::Files,
    rocks::{RocksStore, scalar_index},
};

/// The index of all INVERT columns of a segment.
pub struct ScalarIndex {
    path: PathBuf,
    store: RocksStore,
    /// Position in the schema of each indexed column.
    positions: Vec<usize>,
    columns: Vec<IndexedColumn>,
    builder: IndexBuilder,
}

/// The INVERT columns of a schema: position and column.
fn indexed(schema: &Schema) -> (Vec<usize>, Vec<IndexedColumn>) {
    use crate::format::schema_file::ScalarIndex::Invert;
    let columns = schema.fields().iter().enumerate().filter_map(|(position, field)| match &field.kind {
        FieldKind::Scalar {
            column_type,
            index: Some(Invert { enable_range_optimization, enable_extended_wildcard }),
        } => {
            let column = IndexedColumn {
                name: field.name.clone(),
                column_type: *column_type,
                range_optimization: *enable_range_optimization,
                extended_wildcard: *enable_extended_wildcard,
            };
            Some((position, column))
        }
        _ => None,
    });
    columns.unzip()
}

/// Whether a segment of this schema has a scalar index.
pub fn is_needed(schema: &Schema) -> bool {
    !indexed(schema).0.is_empty()
}

/// The names of the indexed columns, as a block lists them.
pub fn column_names(schema: &Schema) -> Vec<String> {
    indexed(schema).1.into_iter().map(|column| column.name).collect()
}

impl ScalarIndex {
    /// Makes the directory of an empty index; durable but for its name.
    pub fn create(files: &Files, path: PathBuf, schema: &Schema) -> Result<Self, EngineError> {
        let (positions, columns) = indexed(schema);
        let names: Vec<String> = families(&columns).map(|family| family.to_string()).collect();
        let names: Vec<&[u8]> = names.iter().map(|name| name.as_bytes()).filter(|name| *name != b"default").collect();
        if files.fs().metadata(&path).is_ok() {
            super::files::remove_tree(files.fs().as_ref(), &path)?;
        }
        let store = RocksStore::create(files.fs().clone(), &path, &names, scalar_index)?;
        let builder = IndexBuilder::new(columns.clone()).map_err(|error| EngineError::format(&path, error))?;
        Ok(Self { path, store, positions, columns, builder })
    }

    /// Opens the index of a segment for more rows.
    pub fn open(files: &Files, path: PathBuf, schema: &Schema) -> Result<Self, EngineError> {
        let store = RocksStore::open(files.fs().clone(), &path, scalar_index)?;
        let (positions, mut columns) = indexed(schema);
        let names: Vec<String> = store.families().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        let has = |family: Family<'_>| names.contains(&family.to_string());
        for column in &mut columns {
            // zvec up to 0.6.0 does not keep these in the manifest; what the directory has is what it must go on having.
            column.extended_wildcard = has(Family::ReversedTerms(&column.name));
            column.range_optimization = has(Family::Ranges(&column.name));
            if let Some(family) = column.families().find(|family| !has(*family)) {
                let detail = format!("column family {family} of the schema's INVERT column is missing");
                let error = FormatError::malformed("inverted.missing-family", 0, detail);
                return Err(EngineError::format(&path, error));
            }
        }
        let builder = IndexBuilder::new(columns.clone()).map_err(|error| EngineError::format(&path, error))?;
        Ok(Self { path, store, positions, columns, builder })
    }

    /// Whether its end was torn: what was flushed last may not be in it.
    pub fn was_torn(&self) -> bool {
        self.store.was_torn()
    }

    /// Adds a row of the segment; `values` are in schema order.
    pub fn add(&mut self, row: u32, values: &[Value]) -> Result<(), EngineError> {
        let picked: Vec<Value> =
            self.positions.iter().map(|position| values.get(*position).cloned().unwrap_or(Value::Null)).collect();
        self.builder.add(row, &picked).map_err(|error| EngineError::format(&self.path, error))
    }

    /// Bytes that the rows in memory take, about.
    pub fn memory_size(&self) -> usize {
        self.builder.memory_size() + self.store.memory_size()
    }

    /// Whether zvec has sealed it: it takes no inserts into the segment any more.
    pub fn is_sealed(&self) -> Result<bool, EngineError> {
        for column in &self.columns {
            if self.special(column, Special::Sealed)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Rows of the segment that the index knows of: more than are published after a crash behind its flush.
    pub fn rows(&self) -> Result<u64, EngineError> {
        let mut rows = 0;
        for column in &self.columns {
            if let Some(value) = self.special(column, Special::MaxId)? {
                let last = decode_max_id(&value).map_err(|error| EngineError::format(&self.path, error))?;
                rows = rows.max(u64::from(last) + 1);
            }
        }
        Ok(rows)
    }

    fn special(&self, column: &IndexedColumn, special: Special) -> Result<Option<Vec<u8>>, EngineError> {
        self.store.get(b"default", &SpecialKey { column: column.name.as_bytes(), special }.encode())
    }

    /// Writes the rows in memory; all durable when this returns.
    pub fn flush(&mut self) -> Result<(), EngineError> {
        if self.builder.last_row().is_none() {
            return Ok(());
        }
        let names: Vec<String> = self.builder.families().map(|family| family.to_string()).collect();
        for name in &names {
            for entry in self.builder.entries(Family::parse(name), false) {
                match entry.kind {
                    EntryKind::Operand => self.store.merge(name.as_bytes(), &entry.key, &entry.value)?,
                    EntryKind::Value => {
                        let value = match SpecialKey::parse(&entry.key).map(|key| key.special) {
                            // One value for all rows of the segment: the earlier ones are in the store.
                            Some(Special::Null) => self.united(&entry.key, entry.value)?,
                            _ => entry.value,
                        };
                        self.store.put(name.as_bytes(), &entry.key, &value)?;
                    }
                }
            }
        }
        self.store.flush()?;
        self.builder =
            IndexBuilder::new(self.columns.clone()).map_err(|error| EngineError::format(&self.path, error))?;
        Ok(())
    }

    fn united(&self, key: &[u8], rows: Vec<u8>) -> Result<Vec<u8>, EngineError> {
        let Some(before) = self.store.get(b"default", key)? else { return Ok(rows) };
        let read = |bytes: &[u8]| set::decode(bytes, 0).map_err(|error| EngineError::format(&self.path, error));
        let (before, rows) = (read(&before)?, read(&rows)?);
        if let Some(fault) = before.faults.into_iter().next() {
            return Err(EngineError::format(&self.path, fault));
        }
        Ok(set::encode(&(before.bitmap | rows.bitmap)))
    }
}
