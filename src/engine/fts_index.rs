//! The full-text index of the writing segment: rows of the open block in memory, those before in a RocksDB directory.
//!
//! When the segment is persisted a sealed one takes its place, in a directory of its own: `optimize` of zvec merges no other.

use std::path::{Path, PathBuf};

use crate::format::{
    FormatError,
    fts::{
        Family, FtsBuilder, Lengths, Posting, Sealer, StatKey, TextColumn, Totals, decode, decode_row, decode_stat,
        families, sealed_families, surplus, tokenize::Tokenizer,
    },
    inverted::EntryKind,
    schema_file,
    value::Value,
};

use super::{
    EngineError, FieldKind, Schema,
    files::{Files, remove_tree},
    rocks::{RocksStore, full_text_index},
};

/// Bytes that a sealed index may collect in memory while it is written.
const MOST_UNWRITTEN: usize = 32 << 20;

/// The index of all FTS columns of a segment.
pub struct FtsIndex {
    path: PathBuf,
    store: RocksStore,
    /// Position in the schema of each column.
    positions: Vec<usize>,
    columns: Vec<TextColumn>,
    builder: FtsBuilder,
}

/// The FTS columns of a schema: position, name and tokenizer.
fn columns(schema: &Schema) -> Result<(Vec<usize>, Vec<TextColumn>), EngineError> {
    let mut positions = Vec::new();
    let mut columns = Vec::new();
    for (position, field) in schema.fields().iter().enumerate() {
        let FieldKind::Scalar {
            index: Some(schema_file::ScalarIndex::Fts { tokenizer_name, filters, extra_params }),
            ..
        } = &field.kind
        else {
            continue;
        };
        let tokenizer = Tokenizer::new(tokenizer_name, filters, extra_params).map_err(|error| {
            super::Refusal::new("schema.unwritable", format!("field {:?}: {}", field.name, error.detail))
        })?;
        positions.push(position);
        columns.push(TextColumn { name: field.name.clone(), tokenizer, totals: Totals::default() });
    }
    Ok((positions, columns))
}

/// Whether a segment of this schema has a full-text index.
pub fn is_needed(schema: &Schema) -> bool {
    schema
        .fields()
        .iter()
        .any(|field| matches!(&field.kind, FieldKind::Scalar { index: Some(schema_file::ScalarIndex::Fts { .. }), .. }))
}

impl FtsIndex {
    /// Makes the directory of an empty index; durable but for its name.
    pub fn create(files: &Files, path: PathBuf, schema: &Schema) -> Result<Self, EngineError> {
        let (positions, columns) = columns(schema)?;
        let names: Vec<String> =
            families(columns.iter().map(|column| column.name.as_str())).map(|family| family.to_string()).collect();
        let names: Vec<&[u8]> = names.iter().map(|name| name.as_bytes()).filter(|name| *name != b"default").collect();
        if files.fs().metadata(&path).is_ok() {
            remove_tree(files.fs().as_ref(), &path)?;
        }
        let store = RocksStore::create(files.fs().clone(), &path, &names, full_text_index)?;
        let builder = FtsBuilder::new(columns.clone()).map_err(|error| EngineError::format(&path, error))?;
        Ok(Self { path, store, positions, columns, builder })
    }

    /// Opens the index of a segment with `published` rows for more of them. Rows beyond, of a flush that a crash interrupted, are taken off the
    /// totals: they come again.
    pub fn open(files: &Files, path: PathBuf, schema: &Schema, published: u64) -> Result<Self, EngineError> {
        let store = RocksStore::open(files.fs().clone(), &path, full_text_index)?;
        let (positions, mut columns) = columns(schema)?;
        let failed = |error| EngineError::format(&path, error);
        whole(&store, &columns, true).map_err(failed)?;
        let published = u32::try_from(published).unwrap_or(u32::MAX);
        // One that zvec has sealed has no lengths of rows, and takes none.
        for column in columns.iter_mut().filter(|column| is_open(&store, &column.name)) {
            column.totals = totals(&store, &path, &column.name, published)?;
        }
        let builder = FtsBuilder::new(columns.clone()).map_err(failed)?;
        let index = Self { path, store, positions, columns, builder };
        if !index.is_sealed()? {
            whole(&index.store, &index.columns, false).map_err(|error| EngineError::format(&index.path, error))?;
        }
        Ok(index)
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

    /// Whether zvec has begun to seal it: it takes no inserts into the segment any more. Sealing packs the postings, then drops three families
    /// of each column.
    pub fn is_sealed(&self) -> Result<bool, EngineError> {
        for column in &self.columns {
            let open = [
                Family::TermFrequency(&column.name),
                Family::MaxTermFrequency(&column.name),
                Family::DocumentLength(&column.name),
            ];
            if open.iter().all(|family| !has(&self.store, family)) {
                return Ok(true);
            }
            if let Some(first) = self.store.scan(column.name.as_bytes())?.next() {
                let posting = decode(&first?.1, 0).map_err(|error| EngineError::format(&self.path, error))?;
                if matches!(posting, Posting::Sealed(_)) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Whether no column is open any more.
    pub fn is_wholly_sealed(&self) -> bool {
        !self.columns.iter().any(|column| is_open(&self.store, &column.name))
    }

    /// Rows of the segment that the index knows of: more than are published after a crash behind its flush.
    pub fn rows(&self) -> Result<u64, EngineError> {
        let mut rows = 0;
        for column in self.columns.iter().filter(|column| is_open(&self.store, &column.name)) {
            for entry in self.store.scan(Family::DocumentLength(&column.name).to_string().as_bytes())? {
                let row = decode_row(&entry?.0).map_err(|error| EngineError::format(&self.path, error))?;
                rows = rows.max(u64::from(row) + 1);
            }
        }
        Ok(rows)
    }

    /// Writes what this index holds on disk as a sealed one into the new directory `path`; durable but for its name. zvec merges segments whose
    /// indexes are sealed only, and this one stays as it is: a crash leaves the segment open.
    pub fn seal(&self, files: &Files, path: &Path) -> Result<(), EngineError> {
        let names: Vec<String> = sealed_families(self.columns.iter().map(|column| column.name.as_str()))
            .map(|family| family.to_string())
            .collect();
        let made: Vec<&[u8]> = names.iter().map(|name| name.as_bytes()).filter(|name| *name != b"default").collect();
        let mut sealed = RocksStore::create(files.fs().clone(), path, &made, full_text_index)?;
        for name in &names {
            match Family::parse(name) {
                Family::Default => {}
                Family::Postings(column) if is_open(&self.store, column) => self.seal_postings(&mut sealed, column)?,
                _ => {
                    for entry in self.store.scan(name.as_bytes())? {
                        let (key, value) = entry?;
                        put(&mut sealed, name, &key, &value)?;
                    }
                }
            }
        }
        sealed.flush().map(drop)
    }

    fn seal_postings(&self, sealed: &mut RocksStore, name: &str) -> Result<(), EngineError> {
        let failed = |error| EngineError::format(&self.path, error);
        let totals = self.columns.iter().find(|column| column.name == name).map(|column| column.totals);
        let mut lengths = Lengths::default();
        for entry in self.store.scan(Family::DocumentLength(name).to_string().as_bytes())? {
            let (key, value) = entry?;
            lengths.add(&key, &value).map_err(failed)?;
        }
        let mut sealer = Sealer::new(&lengths, totals.unwrap_or_default());
        for entry in self.store.scan(Family::TermFrequency(name).to_string().as_bytes())? {
            let (key, value) = entry?;
            for posting in sealer.add(&key, &value).map_err(failed)? {
                put(sealed, name, &posting.key, &posting.value)?;
            }
        }
        for posting in sealer.finish() {
            put(sealed, name, &posting.key, &posting.value)?;
        }
        Ok(())
    }

    /// Writes the rows in memory; all durable when this returns.
    pub fn flush(&mut self) -> Result<(), EngineError> {
        if self.builder.last_row().is_none() {
            return Ok(());
        }
        let names: Vec<String> = self.builder.families().map(|family| family.to_string()).collect();
        for name in &names {
            for entry in self.builder.entries(Family::parse(name)) {
                match entry.kind {
                    EntryKind::Operand => self.store.merge(name.as_bytes(), &entry.key, &entry.value)?,
                    EntryKind::Value => self.store.put(name.as_bytes(), &entry.key, &entry.value)?,
                }
            }
        }
        self.store.flush()?;
        for column in &mut self.columns {
            column.totals = self.builder.totals(&column.name).unwrap_or(column.totals);
        }
        self.builder = FtsBuilder::new(self.columns.clone()).map_err(|error| EngineError::format(&self.path, error))?;
        Ok(())
    }
}

fn has(store: &RocksStore, family: &Family<'_>) -> bool {
    let name = family.to_string();
    store.families().any(|known| known == name.as_bytes())
}

/// Whether a column has what only an open one has, and what it is sealed from.
fn is_open(store: &RocksStore, column: &str) -> bool {
    has(store, &Family::TermFrequency(column)) && has(store, &Family::DocumentLength(column))
}

/// Adds an entry, and writes what has been added when that is much.
fn put(store: &mut RocksStore, family: &str, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
    store.put(family.as_bytes(), key, value)?;
    if store.memory_size() >= MOST_UNWRITTEN {
        store.flush()?;
    }
    Ok(())
}

/// Totals of a column over the published rows. Rows beyond, of a flush that a crash interrupted, are taken off: they come again.
fn totals(store: &RocksStore, path: &Path, column: &str, published: u32) -> Result<Totals, EngineError> {
    let failed = |error| EngineError::format(path, error);
    let stat = |key: StatKey<'_>| -> Result<u64, EngineError> {
        let value = store.get(Family::Statistics.to_string().as_bytes(), &key.encode())?;
        value.map_or(Ok(0), |value| decode_stat(&value, 0).map_err(failed))
    };
    let name = column.as_bytes();
    let stored = Totals { docs: stat(StatKey::TotalDocs(name))?, tokens: stat(StatKey::TotalTokens(name))? };
    let mut ahead = Totals::default();
    for entry in store.scan(Family::DocumentLength(column).to_string().as_bytes())? {
        ahead += surplus([entry?], published).map_err(failed)?;
    }
    Ok(stored.checked_sub(ahead).unwrap_or_default())
}

/// Holds the directory against the columns: what lacks a column family would take documents and fail at the flush. Of a sealed index
/// three families of each column are gone.
fn whole(store: &RocksStore, columns: &[TextColumn], sealed: bool) -> Result<(), FormatError> {
    let names: Vec<String> = store.families().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    let columns = || columns.iter().map(|column| column.name.as_str());
    let needed: Vec<Family<'_>> =
        if sealed { sealed_families(columns()).collect() } else { families(columns()).collect() };
    match needed.iter().find(|family| !names.contains(&family.to_string())) {
        None => Ok(()),
        Some(family) => {
            let detail = format!("column family {family} of the schema's full-text column is missing");
            Err(FormatError::malformed("fts.missing-family", 0, detail))
        }
    }
}
