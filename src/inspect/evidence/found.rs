//! What the files of a segment's directory say of themselves, whatever a manifest says.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use roaring::RoaringTreemap;

use crate::{
    format::{
        forward::{Column, DOC_ID_COLUMN, UID_COLUMN},
        fts,
        inverted::{Family, Special, SpecialKey},
        manifest::proto::{BlockMeta, BlockType},
        proxima::{self, Codec, IndexKind, IndexMeta, Layout, VectorFile},
        rocks::Db,
    },
    inspect::{
        Findings, Tree, View,
        documents::BlockReader,
        idmap::DatabaseDir,
        names::{self, NameKind, classify},
        wal,
    },
    vfs::FileType,
};

/// A segment directory.
#[derive(Debug, Default)]
pub struct Found {
    /// Its number.
    pub id: u32,
    /// Forward files that are not empty, by block id.
    pub forwards: Vec<Forward>,
    /// Vector files, by block id.
    pub vectors: Vec<Vectors>,
    /// Scalar index directories, by block id.
    pub scalar_indexes: Vec<u32>,
    /// Full-text index directories, by block id.
    pub fts_indexes: Vec<u32>,
    /// Logs: block id and intact records.
    pub logs: Vec<(u32, u64)>,
    /// What the newest scalar index says of its columns.
    pub inverted: BTreeMap<String, Inverted>,
    /// Columns of the newest full-text index.
    pub texts: Vec<String>,
    /// Whether an index says that no more rows come; `None` if there is none.
    pub sealed: Option<bool>,
}

/// A forward file.
#[derive(Debug)]
pub struct Forward {
    /// Its block id.
    pub block: u32,
    /// Where it is, relative to the collection.
    pub path: PathBuf,
    /// Whether it is an Arrow IPC file, by its name.
    pub ipc: bool,
    /// Its columns; empty if it cannot be opened.
    pub columns: Vec<Column>,
    /// Its rows; unknown if it cannot be opened or measured.
    pub rows: Option<u64>,
    /// Whether nothing is wrong with it as a whole.
    pub sound: bool,
    /// The document ids of its rows, as far as they can be read.
    pub ids: RoaringTreemap,
}

impl Forward {
    /// Whether it holds document ids: it is then a row block, otherwise a column that was added or altered.
    pub fn is_row_block(&self) -> bool {
        self.has(DOC_ID_COLUMN)
    }

    /// Whether it has a column.
    pub fn has(&self, name: &str) -> bool {
        self.columns.iter().any(|column| column.name == name)
    }

    /// Its columns but ids and keys.
    pub fn fields(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| column.name != DOC_ID_COLUMN && column.name != UID_COLUMN)
    }
}

/// A vector file.
#[derive(Debug)]
pub struct Vectors {
    /// Its block id.
    pub block: u32,
    /// The column, by its name.
    pub column: String,
    /// Whether it is a `qindex` file.
    pub quantised: bool,
    /// What it says; `None` if it cannot be opened.
    pub facts: Option<VectorFacts>,
}

/// What a vector file says of itself.
#[derive(Debug)]
pub struct VectorFacts {
    /// What it is.
    pub kind: IndexKind,
    /// Rows; those without vector at the end may be left out.
    pub rows: u64,
    /// What its elements are.
    pub meta: IndexMeta,
    /// How they are stored, if that is known.
    pub codec: Option<Codec>,
    /// Dimension of the vectors; 0 if sparse or unknown.
    pub dimension: u32,
    /// Whether vectors were rotated.
    pub rotated: bool,
    /// Lists or clusters, and bits of a code, where the kind has them.
    pub lists: Option<u32>,
    /// Bits of a RaBitQ code.
    pub bits: Option<u32>,
    /// Its header, which no other file has that was made by itself; `None` if it is damaged.
    pub header: Option<Vec<u8>>,
}

/// What a scalar index says of a column.
#[derive(Debug, Clone, Copy, Default)]
pub struct Inverted {
    /// It keeps ranges.
    pub ranges: bool,
    /// It keeps reversed terms.
    pub reversed: bool,
}

impl Found {
    /// Ids of all rows.
    pub fn ids(&self) -> RoaringTreemap {
        self.forwards.iter().fold(RoaringTreemap::new(), |all, file| all | &file.ids)
    }

    /// The log that holds records, if one does: its block id.
    pub fn log(&self) -> Option<u32> {
        self.logs.iter().filter(|(_, records)| *records > 0).map(|(block, _)| *block).max()
    }

    /// Whether it holds neither rows nor records.
    pub fn is_empty(&self) -> bool {
        self.forwards.is_empty() && self.log().is_none()
    }

    /// The highest block id that any file has.
    pub fn highest_block(&self) -> Option<u32> {
        let forwards = self.forwards.iter().map(|file| file.block);
        let vectors = self.vectors.iter().map(|file| file.block);
        let indexes = self.scalar_indexes.iter().chain(&self.fts_indexes).copied();
        forwards.chain(vectors).chain(indexes).chain(self.logs.iter().map(|(block, _)| *block)).max()
    }
}

/// Numbers of the directories that are named like segments.
pub fn segment_ids(tree: &Tree) -> Vec<u32> {
    let dirs = tree.entries.iter().filter(|entry| entry.file_type == FileType::Dir && entry.path.iter().count() == 1);
    let mut ids: Vec<u32> = dirs.filter_map(|entry| names::segment_id(entry.path.to_str()?)).collect();
    ids.sort_unstable();
    ids
}

/// Looks at a segment's directory. Reads the document ids of its rows, the headers of all else.
pub fn look(view: &View, tree: &Tree, id: u32) -> Found {
    let mut found = Found { id, ..Found::default() };
    let dir = names::segment_dir(id);
    for entry in tree.below(&dir).filter(|entry| entry.path.iter().count() == 2) {
        let Some(name) = entry.path.file_name().and_then(|name| name.to_str()) else { continue };
        if entry.file_type == FileType::Dir {
            let number = |prefix: &str| name.strip_prefix(prefix)?.strip_suffix(".rocksdb")?.parse::<u32>().ok();
            found.scalar_indexes.extend(number("scalar.index."));
            found.fts_indexes.extend(number("fts."));
            continue;
        }
        match classify(&entry.path).0 {
            NameKind::Forward if entry.len > 0 => found.forwards.extend(forward(view, &entry.path, name)),
            NameKind::Vector | NameKind::QuantizedVector => found.vectors.extend(vector_file(view, &entry.path)),
            NameKind::Wal => {
                let block = name.strip_suffix(".wal").and_then(|block| block.parse().ok());
                found.logs.extend(block.map(|block| (block, wal::describe(view, &entry.path, false).0.records)));
            }
            _ => {}
        }
    }
    found.forwards.sort_by_key(|file| file.block);
    found.vectors.sort_by_key(|file| file.block);
    found.scalar_indexes.sort_unstable();
    found.fts_indexes.sort_unstable();
    look_at_indexes(view, &mut found);
    found
}

fn forward(view: &View, path: &Path, name: &str) -> Option<Forward> {
    let (stem, ipc) = match name.strip_suffix(".ipc") {
        Some(stem) => (stem, true),
        None => (name.strip_suffix(".parquet")?, false),
    };
    let block = stem.strip_prefix("scalar.")?.parse().ok()?;
    let mut found = Forward {
        block,
        path: path.to_owned(),
        ipc,
        columns: Vec::new(),
        rows: None,
        sound: false,
        ids: RoaringTreemap::new(),
    };
    let Some(reader) = BlockReader::open(view, path, 0, &Findings::default()) else { return Some(found) };
    let file = reader.file();
    found.columns = file.columns().to_vec();
    found.rows = file.rows();
    found.sound = file.faults().is_empty() && file.batch_infos().iter().all(|batch| batch.fault.is_none());
    if let Some(column) = file.column_index(DOC_ID_COLUMN) {
        for batch in file.batches(Some(&[column])) {
            let Ok(ids) = batch.records.and_then(|records| reader.doc_ids(&records, 0)) else { continue };
            found.ids.extend(ids.values().iter().copied());
        }
    }
    Some(found)
}

/// A vector file, by its path; `None` if its name is not that of one.
pub fn vector_file(view: &View, path: &Path) -> Option<Vectors> {
    let quantised = match classify(path).0 {
        NameKind::Vector => false,
        NameKind::QuantizedVector => true,
        _ => return None,
    };
    let name = path.file_name()?.to_str()?;
    let (stem, block) = name.strip_suffix(".proxima")?.rsplit_once('.')?;
    let column = stem.strip_suffix(if quantised { ".qindex" } else { ".index" })?.to_owned();
    let block = block.parse().ok()?;
    let file = view.source(path).ok().and_then(|source| VectorFile::open(source).ok());
    let facts = file.map(|file| {
        let meta = file.element_meta.as_ref().unwrap_or(&file.meta);
        let (lists, bits) = match &file.layout {
            Layout::IvfRabitq(ivf) => (Some(ivf.clusters), Some(u32::from(ivf.extra_bits) + 1)),
            Layout::Ivf(ivf) => (u32::try_from(u64::from(ivf.lists)).ok(), None),
            _ => (None, None),
        };
        // The parameters of an index stand in its outer structure.
        let mut described = file.meta.clone();
        if let Some(inner) = &file.element_meta {
            for (key, value) in &inner.attachment {
                if key != "builder" && key != "searcher" {
                    described.attachment.entry(key.clone()).or_insert_with(|| value.clone());
                }
            }
        }
        described.data_type = meta.data_type;
        described.sparse = file.meta.sparse;
        let encoding = file.encoding.as_ref().ok();
        let dimension = encoding.and_then(|encoding| u32::try_from(encoding.dimension).ok());
        let dimension = match &file.layout {
            Layout::IvfRabitq(ivf) => Some(ivf.dimension),
            _ => dimension,
        };
        VectorFacts {
            kind: file.kind,
            rows: file.rows(),
            codec: encoding.map(|encoding| encoding.codec),
            dimension: if meta.sparse { 0 } else { dimension.unwrap_or(0) },
            rotated: file.rotation.is_some(),
            meta: described,
            lists,
            bits,
            header: proxima::header(file.source()),
        }
    });
    Some(Vectors { block, column, quantised, facts })
}

fn look_at_indexes(view: &View, found: &mut Found) {
    let id = found.id;
    let open = |kind: BlockType, block: Option<&u32>| {
        let block = BlockMeta { block_id: *block?, block_type: kind as i32, ..BlockMeta::default() };
        let path = names::block_path(id, &block, true)?;
        Db::open(&DatabaseDir { view, path: &path }).ok()
    };
    if let Some(db) = open(BlockType::ScalarIndex, found.scalar_indexes.last()) {
        for family in db.column_families() {
            let name = family.name();
            let family = Family::parse(&name);
            let Some(column) = family.column() else { continue };
            let of_column = found.inverted.entry(column.to_owned()).or_default();
            of_column.ranges |= matches!(family, Family::Ranges(_));
            of_column.reversed |= matches!(family, Family::ReversedTerms(_));
        }
        let sealed = db.column_family(b"default").is_some_and(|family| {
            family
                .scan()
                .flatten()
                .any(|row| SpecialKey::parse(&row.key).is_some_and(|key| key.special == Special::Sealed))
        });
        found.sealed = Some(sealed);
    }
    if let Some(db) = open(BlockType::FtsIndex, found.fts_indexes.last()) {
        let families: Vec<String> = db.column_families().iter().map(|family| family.name()).collect();
        for name in &families {
            if let fts::Family::Positions(column) = fts::Family::parse(name) {
                found.texts.push(column.to_owned());
                let open = families.contains(&fts::Family::DocumentLength(column).to_string());
                found.sealed = Some(found.sealed.unwrap_or(false) || !open);
            }
        }
    }
}

/// Whether a row of the full vectors of a column has no vector, or fewer rows than the segment's are there. Reads every vector.
pub fn lacks_vectors(view: &View, found: &Found, column: &str) -> bool {
    let (files, rows) = full_vectors(found, column);
    let stored: u64 = files.iter().filter_map(|file| file.facts.as_ref()).map(|facts| facts.rows).sum();
    !files.is_empty() && rows > 0 && (stored < rows || has_null_rows(view, found, column))
}

/// Whether a row of the full vectors of a column has no vector. Reads every vector.
pub fn has_null_rows(view: &View, found: &Found, column: &str) -> bool {
    let (files, rows) = full_vectors(found, column);
    files.iter().any(|file| {
        let name = format!("{}.index.{}.proxima", file.column, file.block);
        let source = view.source(&names::segment_dir(found.id).join(name)).ok();
        let Some(opened) = source.and_then(|source| VectorFile::open(source).ok()) else { return false };
        let mut reader = opened.reader();
        // Rows that the segment does not have are nobody's, however many a file claims.
        (0..opened.rows().min(rows)).any(|row| matches!(opened.read_row(row, &mut reader), Ok(None)))
    })
}

/// The flushed files of the full vectors of a column that can be opened, and the flushed rows.
fn full_vectors<'a>(found: &'a Found, column: &str) -> (Vec<&'a Vectors>, u64) {
    let flushed = |block: u32| found.log().is_none_or(|log| block < log);
    let forwards = found.forwards.iter().filter(|file| file.is_row_block() && flushed(file.block));
    let of_column =
        |file: &&Vectors| file.column == column && !file.quantised && flushed(file.block) && file.facts.is_some();
    (found.vectors.iter().filter(of_column).collect(), forwards.filter_map(|file| file.rows).sum())
}
