//! What a bug report needs: structure, sizes, headers, codes of findings. No value, no vector, no primary key.
//!
//! Everything that goes in is named here, one by one; words of findings and messages, which may quote ids and values, do not.

mod names;

use std::path::Path;

use crate::{
    format::{
        Source,
        forward::ForwardFile,
        manifest::{
            Manifest,
            proto::{BlockMeta, CollectionSchema, DataType, FieldSchema},
        },
        proxima::VectorFile,
        read_vec,
        rocks::Db,
        schema_file::SchemaFile,
    },
    inspect::{
        Findings, InspectError, Tree, View,
        documents::encoding_of,
        files,
        idmap::DatabaseDir,
        names::{NameKind, classify},
        segments_of, wal,
    },
    report::{
        Finding,
        bundle::{
            Bundle, BundleBlock, BundleCollection, BundleDatabase, BundleFamily, BundleField, BundleFile,
            BundleFinding, BundleForward, BundleManifest, BundleOutlook, BundleSegment, BundleVectors,
        },
        outlook::Outlook,
        show_path,
    },
    verify::{self, Flow, Level},
    vfs::FileType,
};

use names::Names;

/// An OPTIONS file is read as far as this.
const MAX_OPTIONS: u64 = 64 << 10;

/// Makes the bundle of a collection, and gives the findings with their words besides. `watch` is told bytes read, and bytes to read; `None` if it ended the
/// work.
///
/// # Errors
/// None besides those of a look at a directory.
pub fn bundle(
    view: &View,
    redact: bool,
    level: Level,
    watch: &mut dyn FnMut(u64, u64) -> Flow,
) -> Result<Option<(Bundle, Vec<Finding>)>, InspectError> {
    let names = Names::new(redact);
    let tree = Tree::walk(view.vfs().as_ref(), view.root());
    let options = verify::Options { level, threads: 0, segment: None, fail_fast: false, seal: None };
    let verified = verify::verify(view, &tree, &options, |_| {}, watch)?;
    if verified.ended.is_some() {
        return Ok(None);
    }
    let mut findings = verified.findings;
    let more = Findings::default();
    let outlook = verify::outlook(view, &tree, &findings, &more);
    findings.extend(more.list());
    let used = view.used();
    let mut bundle = Bundle {
        redacted: redact,
        zvecctl: env!("CARGO_PKG_VERSION").to_owned(),
        platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        manifests: view
            .manifests()
            .iter()
            .map(|file| BundleManifest {
                path: show_path(&file.path),
                size: file.size,
                state: file.state_code().to_owned(),
                used: used.is_some_and(|used| used.path == file.path),
            })
            .collect(),
        collection: used.and_then(|file| file.manifest.as_ref()).map(|manifest| collection(manifest, &names)),
        files: files::list(view, &tree)
            .into_iter()
            .map(|file| BundleFile {
                path: names.path(&file.path),
                role: file.role,
                kind: file.kind,
                size: file.size,
                allocated: file.allocated,
            })
            .collect(),
        logs: Vec::new(),
        databases: Vec::new(),
        forward: Vec::new(),
        vectors: Vec::new(),
        level: level.number(),
        findings: findings.iter().map(|finding| stripped(finding, &names)).collect(),
        outlook: Some(in_numbers(&outlook)),
    };
    let active = used.and_then(|file| file.manifest.as_ref()).and_then(wal::path_of);
    for entry in &tree.entries {
        let path = entry.path.as_path();
        let is_file = entry.file_type == FileType::File;
        match classify(path).0 {
            NameKind::Wal if is_file => {
                bundle.logs.push(wal::describe(view, path, active.as_deref() == Some(path)).0);
            }
            NameKind::Forward if is_file => bundle.forward.push(forward(view, path, &names)),
            NameKind::Vector | NameKind::QuantizedVector if is_file => {
                bundle.vectors.push(vectors(view, path, &names));
            }
            NameKind::Directory if is_database(path) => bundle.databases.push(database(view, &tree, path, &names)),
            _ => {}
        }
    }
    Ok(Some((bundle, findings)))
}

fn is_database(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.ends_with(".rocksdb") || name.starts_with("idmap.")
}

fn stripped(finding: &Finding, names: &Names) -> BundleFinding {
    BundleFinding {
        code: finding.code.clone(),
        severity: finding.severity,
        path: finding.path.as_deref().map(|path| names.path(path)),
        offset: finding.offset,
        segment: finding.segment,
        documents_at_risk: finding.documents_at_risk,
        loss: finding.loss,
    }
}

fn in_numbers(outlook: &Outlook) -> BundleOutlook {
    let documents = outlook.documents.as_ref();
    BundleOutlook {
        release: outlook.release.clone(),
        open: outlook.open,
        accepts_inserts: outlook.accepts_inserts,
        removes: outlook.removes.len() as u64,
        replayed: outlook.wal.as_ref().map(|wal| wal.replayed),
        dropped: outlook.wal.as_ref().map(|wal| wal.dropped),
        missing: documents.map(|documents| documents.missing.count),
        resurrected: documents.map(|documents| documents.resurrected.count),
        outdated: documents.map(|documents| documents.outdated.count),
        unreachable: documents.map(|documents| documents.unreachable.count),
    }
}

fn collection(manifest: &Manifest, names: &Names) -> BundleCollection {
    let schema = manifest.schema.clone().unwrap_or_default();
    BundleCollection {
        name: names.name(&schema.name),
        max_doc_count_per_segment: schema.max_doc_count_per_segment,
        enable_mmap: manifest.enable_mmap,
        id_map_path_suffix: manifest.id_map_path_suffix,
        delete_snapshot_path_suffix: manifest.delete_snapshot_path_suffix,
        next_segment_id: manifest.next_segment_id,
        fields: schema.fields.iter().map(|described| field(described, names)).collect(),
        segments: segments_of(manifest)
            .into_iter()
            .map(|segment| BundleSegment {
                id: segment.id(),
                writing: segment.writing,
                indexed_vector_fields: segment.meta.indexed_vector_fields.iter().map(|name| names.name(name)).collect(),
                blocks: segment.meta.persisted_blocks.iter().map(|described| block(described, names)).collect(),
                writing_block: segment.meta.writing_forward_block.as_ref().map(|described| block(described, names)),
            })
            .collect(),
    }
}

fn block(block: &BlockMeta, names: &Names) -> BundleBlock {
    BundleBlock {
        id: block.block_id,
        block_type: block.block_type,
        min_doc_id: block.min_doc_id,
        max_doc_id: block.max_doc_id,
        doc_count: block.doc_count,
        columns: block.columns.iter().map(|name| names.column(name)).collect(),
    }
}

fn field(field: &FieldSchema, names: &Names) -> BundleField {
    let known = DataType::try_from(field.data_type);
    let alone = CollectionSchema { fields: vec![field.clone()], ..CollectionSchema::default() };
    let mut index = serde_json::Value::Null;
    if let Ok(file) = SchemaFile::from_manifest(&alone) {
        let scalar = file.fields.first().and_then(|field| serde_json::to_value(&field.index).ok());
        let vector = file.vectors.first().and_then(|field| serde_json::to_value(&field.index).ok());
        index = scalar.or(vector).unwrap_or_default();
    }
    if let Some(object) = index.as_object_mut() {
        // Texts that a user gives: paths of dictionaries among them.
        for (name, value) in object.iter_mut().filter(|(name, _)| name.as_str() != "type") {
            hide(name, value);
        }
    }
    BundleField {
        name: names.name(&field.name),
        data_type: known.map_or_else(|_| field.data_type.to_string(), |known| known.as_str_name().to_owned()),
        dimension: field.dimension,
        nullable: field.nullable,
        index,
    }
}

/// Leaves of an index parameter what is one of zvec's own words.
fn hide(name: &str, value: &mut serde_json::Value) {
    const WORDS: [&str; 8] = ["standard", "ngram", "jieba", "whitespace", "lowercase", "ascii_folding", "stemmer", ""];
    let free = ["tokenizer_name", "filters", "extra_params"].contains(&name);
    match value {
        serde_json::Value::String(text) if free && !WORDS.contains(&text.as_str()) => *text = "(set)".to_owned(),
        serde_json::Value::Array(list) => list.iter_mut().for_each(|value| hide(name, value)),
        _ => {}
    }
}

fn forward(view: &View, path: &Path, names: &Names) -> BundleForward {
    let shown = names.path(&show_path(path));
    let opened = view
        .source(path)
        .map_err(|finding| finding.code)
        .and_then(|source| ForwardFile::open(source, encoding_of(path)).map_err(|error| error.code.to_owned()));
    match opened {
        Err(code) => {
            BundleForward { path: shown, format: None, columns: Vec::new(), batches: Vec::new(), faults: vec![code] }
        }
        Ok(file) => BundleForward {
            path: shown,
            format: Some(file.encoding().to_string()),
            columns: file
                .columns()
                .iter()
                .map(|column| (names.column(&column.name), column.column_type.to_string()))
                .collect(),
            batches: file.batch_infos().iter().map(|batch| (batch.offset, batch.length, batch.rows)).collect(),
            faults: file.faults().iter().map(|fault| fault.code.to_owned()).collect(),
        },
    }
}

fn vectors(view: &View, path: &Path, names: &Names) -> BundleVectors {
    let mut described = BundleVectors {
        path: names.path(&show_path(path)),
        kind: None,
        rows: 0,
        dimension: 0,
        data_type: String::new(),
        element_size: 0,
        rotated: false,
        segments: Vec::new(),
        faults: Vec::new(),
    };
    let opened = view
        .source(path)
        .map_err(|finding| finding.code)
        .and_then(|source| VectorFile::open(source).map_err(|error| error.code.to_owned()));
    match opened {
        Err(code) => described.faults.push(code),
        Ok(file) => {
            let facts = file.facts();
            described.kind = Some(facts.kind.name().to_owned());
            (described.rows, described.dimension) = (facts.rows, facts.dimension);
            described.data_type = facts.data_type.to_owned();
            (described.element_size, described.rotated) = (facts.element_size, facts.rotated);
            described.segments = facts.segments.iter().map(|segment| (segment.offset, segment.size)).collect();
            described.faults = file.faults.iter().map(|fault| fault.code.to_owned()).collect();
        }
    }
    described
}

fn database(view: &View, tree: &Tree, path: &Path, names: &Names) -> BundleDatabase {
    let full_text = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("fts."));
    let mut described = BundleDatabase {
        path: names.path(&show_path(path)),
        rocksdb: rocksdb_version(view, tree, path),
        families: Vec::new(),
        faults: Vec::new(),
    };
    match Db::open(&DatabaseDir { view, path }) {
        Err(error) => described.faults.push(error.code.to_owned()),
        Ok(db) => {
            let family = |family: &crate::format::rocks::Family| BundleFamily {
                name: names.family(&family.name(), full_text),
                tables: family.tables().len() as u64,
            };
            described.families = db.column_families().iter().map(family).collect();
            described.faults = db.faults().iter().map(|fault| fault.error.code.to_owned()).collect();
        }
    }
    described
}

/// The release in the newest OPTIONS file: digits and dots, nothing else of it.
fn rocksdb_version(view: &View, tree: &Tree, path: &Path) -> Option<String> {
    let is_options = |path: &&std::path::PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("OPTIONS-"))
    };
    let newest = tree.below(path).map(|entry| &entry.path).filter(is_options).max()?;
    let source = view.source(newest).ok()?;
    let bytes = read_vec(&source, 0, source.size().min(MAX_OPTIONS), "io.read").ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let version = text.lines().find_map(|line| line.trim().strip_prefix("rocksdb_version="))?;
    let fits = version.len() <= 16 && version.chars().all(|char| char.is_ascii_digit() || char == '.');
    fits.then(|| version.to_owned())
}
