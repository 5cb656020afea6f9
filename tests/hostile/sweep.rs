//! Everything of the library that the commands use, and the decoders that only later commands will.

use std::{ops::ControlFlow, path::Path, sync::Arc};

use zvecctl::{
    format::{
        Source, document, fts, inverted, json_value,
        manifest::{diff, proto::DataType},
        proxima::VectorFile,
        rocks::{Db, Entry},
        schema_file::SchemaFile,
        wal,
    },
    inspect::{
        Findings, Tree, View,
        deleted::Deleted,
        documents::{Documents, Fields, ParquetExport, Selection, write_document},
        files,
        idmap::{DatabaseDir, IdMap},
        lock, manifests, segments,
        wal::describe,
    },
    vfs::{FileType, Vfs},
};

use crate::{layouts, memory_fs::ROOT};

/// What was there to read.
#[derive(Debug, Default)]
pub struct Found {
    /// Documents.
    pub documents: u64,
    /// Values of indexes.
    pub values: u64,
    /// Faults of indexes.
    pub faults: Vec<String>,
}

/// Reads a collection in every way.
pub fn everything(fs: Arc<dyn Vfs>) -> Found {
    let mut found = Found::default();
    let Ok(view) = View::open(fs.clone(), Path::new(ROOT)) else { return found };
    manifests(&view);
    let tree = Tree::walk(fs.as_ref(), view.root());
    let list = files::list(&view, &tree);
    files::findings(&list, &view);
    lock::state(fs.as_ref(), view.root());
    by_file(&view, &tree, &mut found);
    let Ok((_, manifest)) = view.manifest() else { return found };

    let deleted = Deleted::load(&view, manifest);
    let ids = deleted.set.as_ref().map(|set| &set.ids);
    let findings = Findings::default();
    for segment in view.segments().unwrap_or_default() {
        segments::describe(&view, &tree, segment, ids, &findings);
        segments::blocks(&view, &tree, segment, &findings);
    }
    for orphan in segments::orphans(&view, &tree) {
        segments::orphan_finding(&orphan);
    }
    if let Some(schema) = &manifest.schema {
        let _ = SchemaFile::from_manifest(schema).map(|schema| schema.faults());
    }
    let id_map = IdMap::load(&view, manifest);
    let keys: Vec<_> = id_map.entries(&findings).map(|(key, ..)| key).collect();
    for key in keys.iter().step_by(keys.len() / 5 + 1) {
        id_map.get(key, &findings);
    }
    documents(&view, &keys, &mut found);
    findings.list();
    found
}

fn manifests(view: &View) {
    let mut previous = None;
    for file in view.manifests() {
        file.state_code();
        if let Ok(loaded) = manifests::load(view.vfs().as_ref(), view.root(), &file.path) {
            manifests::judge(&file.path, &loaded);
            let _ = loaded.dump.to_json();
            loaded.dump.rows();
            let manifest = loaded.dump.manifest();
            files::named_by(&manifest);
            Fields::of(&manifest);
            if let Some(previous) = previous.replace(manifest.clone()) {
                diff(&previous, &manifest);
            }
        }
    }
}

fn documents(view: &View, keys: &[Vec<u8>], found: &mut Found) {
    for include_deleted in [false, true] {
        let selection = Selection { include_deleted, without_wal: false };
        let Ok(mut documents) = Documents::open(view, selection) else { continue };
        let fields = documents.fields().clone();
        documents.stored();
        let mut parquet = if include_deleted { None } else { ParquetExport::new(Vec::new(), &fields).ok() };
        let mut line = Vec::new();
        let mut pks: Vec<Vec<u8>> = keys.iter().take(3).cloned().collect();
        let flow = documents.each(&mut |document| {
            found.documents += 1;
            line.clear();
            write_document(&mut line, &document, &fields);
            document.origin.describe();
            if pks.len() < 6 {
                pks.push(document.pk.clone());
            }
            if parquet.as_mut().is_some_and(|parquet| parquet.add(document).is_err()) {
                parquet = None;
            }
            ControlFlow::Continue(())
        });
        assert!(flow.is_continue());
        if let Some(parquet) = parquet {
            let _ = parquet.finish();
        }
        documents.unreadable_rows();
        documents.findings();
        if !include_deleted {
            pks.push(b"nobody".to_vec());
            documents.find(&pks);
        }
    }
}

/// Every file by itself, by its name.
fn by_file(view: &View, tree: &Tree, found: &mut Found) {
    for entry in &tree.entries {
        let name = entry.path.file_name().unwrap_or_default().to_string_lossy();
        if entry.file_type == FileType::Dir {
            if name.ends_with(".rocksdb") || name.starts_with("idmap.") {
                database(view, &entry.path, found);
            }
        } else if name.ends_with(".wal") {
            describe(view, &entry.path, true);
            if let Ok(source) = view.source(&entry.path) {
                log(&source);
            }
        } else if name.ends_with(".proxima")
            && let Ok(source) = view.source(&entry.path)
        {
            vectors(source);
        }
    }
}

fn log(source: &dyn Source) {
    let Ok(mut reader) = wal::Reader::new(source) else { return };
    let mut out = Vec::new();
    while let Ok(Some(entry)) = reader.next_entry() {
        let wal::Entry::Record(record) = entry else { continue };
        if let Ok(doc) = document::decode(&record.payload, record.payload_offset()) {
            for (_, value) in &doc.fields {
                out.clear();
                json_value::write_value(&mut out, value, DataType::Undefined);
            }
        }
    }
}

fn database(view: &View, path: &Path, found: &mut Found) {
    let db = match Db::open(&DatabaseDir { view, path }) {
        Ok(db) => db,
        Err(error) => return found.faults.push(error.to_string()),
    };
    found.faults.extend(db.faults().iter().map(|fault| format!("{}: {}", path.display(), fault.error)));
    for family in db.column_families() {
        let name = family.name();
        for table in family.tables() {
            table.check();
            table.bounds();
        }
        family.versions().count();
        for row in family.scan() {
            let row = match row {
                Ok(row) => row,
                Err(fault) => {
                    found.faults.push(format!("{}: {name}: {}", path.display(), fault.error));
                    continue;
                }
            };
            let values: Vec<&[u8]> = match &row.entry {
                Entry::Value(value) => vec![value],
                Entry::Merge { base, operands } => base.iter().chain(operands).map(Vec::as_slice).collect(),
            };
            found.values += values.len() as u64;
            if path.to_string_lossy().contains("fts.") {
                full_text(&name, &row.key, &values);
            } else {
                scalar(&name, &row.key, &values);
            }
        }
    }
}

fn scalar(family: &str, key: &[u8], values: &[&[u8]]) {
    use zvecctl::format::forward::ScalarType as T;
    match inverted::Family::parse(family) {
        inverted::Family::Histograms => {
            values.iter().for_each(|value| drop(inverted::Histogram::decode(value, 0)));
        }
        inverted::Family::Ranges(_) => drop(inverted::RangeKey::decode(key)),
        inverted::Family::ArrayLength(_) => drop(inverted::term::decode_length(key)),
        inverted::Family::Terms(_) | inverted::Family::ReversedTerms(_) => {
            for scalar in [T::Binary, T::String, T::Bool, T::I32, T::I64, T::U32, T::U64, T::F32, T::F64] {
                let _ = inverted::term::decode(key, scalar);
            }
        }
        inverted::Family::Default | inverted::Family::Unknown(_) => {
            inverted::SpecialKey::parse(key);
            values.iter().for_each(|value| drop(inverted::decode_max_id(value)));
        }
    }
    for value in values {
        let _ = inverted::decode(value, 0);
    }
    inverted::union(values.iter().copied());
    let _ = inverted::merge(values.iter().copied());
}

fn full_text(family: &str, key: &[u8], values: &[&[u8]]) {
    use fts::Family as F;
    for value in values {
        match fts::Family::parse(family) {
            F::Postings(_) => drop(fts::decode(value, 0).map(|posting| posting.rows())),
            F::Positions(_) => drop(fts::decode_positions(value, 0)),
            F::TermFrequency(_) | F::MaxTermFrequency(_) | F::DocumentLength(_) => drop(fts::decode_count(value, 0)),
            F::Statistics => drop(fts::decode_stat(value, 0)),
            F::Default => {}
        }
    }
    let _ = fts::RowKey::decode(key);
    let _ = fts::decode_row(key);
    fts::StatKey::parse(key);
    fts::union(values.iter().copied());
    let _ = fts::merge(values.iter().copied());
}

/// How many rows, nodes and lists of a vector file are read: a damaged count may claim billions.
const MOST: u64 = 300;

fn vectors(source: Arc<zvecctl::inspect::FileSource>) {
    let Ok(file) = VectorFile::open(source) else { return };
    file.facts();
    let source = file.source();
    for segment in file.container.segments.iter().take(MOST as usize) {
        let _ = file.container.check_segment(source, segment);
    }
    let _ = file.container.check_content(source);
    let _ = file.key_map().map(|keys| keys.position(0));
    let rows = file.rows();
    let mut reader = file.reader();
    for row in (0..rows.min(MOST)).chain([rows, rows.saturating_sub(1), u64::MAX]) {
        let _ = file.read_row(row, &mut reader);
        let _ = file.record(row, &mut reader);
    }
    layouts::read(&file, MOST);
}
