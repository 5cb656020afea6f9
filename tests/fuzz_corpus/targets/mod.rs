//! What is done with the bytes of each format: every way in, and what must hold of what comes out. No panic, no endless loop, no memory
//! that the bytes do not justify go without saying; whoever runs these sees them.
//!
//! Here, beside the test that replays the corpus, and not in the library: the bodies are of no use to anybody who links it, and the
//! crate in `fuzz/`, which is not part of the build, takes this directory by its path. So fuzzer and test cannot differ.

mod forward;
mod ids;
#[path = "../../support/layouts.rs"]
mod layouts;
mod rocks;
mod sparse;
mod text;
mod vectors;
mod wal;

use zvecctl::{
    engine::Schema,
    format::{
        manifest::{self, Dump, ManifestName, check, diff},
        schema_file::SchemaFile,
    },
};

pub use rocks::FILES as DATABASE_FILES;
pub use sparse::{expand, squeeze};

/// A fuzz target.
pub type Target = fn(&[u8]);

/// All targets by name, which is that of the fuzzer's binary and of the corpus's folder.
pub const TARGETS: &[(&str, Target)] = &[
    ("manifest", manifest),
    ("schema_file", text::schema_file),
    ("json_value", text::json_value),
    ("json_document", text::json_document),
    ("tokenizer", text::tokenizer),
    ("wal", wal::log),
    ("document", wal::document),
    ("delete_set", ids::delete_set),
    ("roaring", ids::roaring),
    ("idmap_value", ids::idmap_value),
    ("inverted", ids::inverted),
    ("fts", ids::fts),
    ("forward_ipc", forward::ipc),
    ("forward_parquet", forward::parquet),
    ("input_arrow", forward::input_arrow),
    ("input_parquet", forward::input_parquet),
    ("rocks_table", rocks::table),
    ("rocks_log", rocks::log),
    ("rocks_manifest", rocks::manifest),
    ("rocks_edit", rocks::edit),
    ("rocks_database", rocks::database),
    ("proxima_container", vectors::container),
    ("proxima_flat", vectors::flat),
    ("proxima_flat_sparse", vectors::flat_sparse),
    ("proxima_hnsw", vectors::hnsw),
    ("proxima_hnsw_sparse", vectors::hnsw_sparse),
    ("proxima_hnsw_rabitq", vectors::hnsw_rabitq),
    ("proxima_vamana", vectors::vamana),
    ("proxima_ivf", vectors::ivf),
    ("proxima_ivf_rabitq", vectors::ivf_rabitq),
    ("proxima_diskann", vectors::diskann),
];

/// `manifest.<N>`.
fn manifest(data: &[u8]) {
    if let Ok(name) = std::str::from_utf8(data)
        && let Some(parsed) = ManifestName::parse(name)
    {
        assert_eq!(parsed.to_string(), name, "a name that is accepted is the one that is written");
    }
    if let Ok(dump) = Dump::read(data) {
        dump.rows();
        dump.assessment();
        let _ = dump.to_json();
        let decoded = dump.manifest();
        check(&decoded);
        assert!(diff(&decoded, &decoded).is_empty() || manifest::encode(&decoded).is_empty() || has_nan(&decoded));
        diff(&manifest::proto::Manifest::default(), &decoded);
        if let Some(schema) = &decoded.schema {
            if let Ok(file) = SchemaFile::from_manifest(schema) {
                file.faults();
                file.to_manifest();
            }
            let _ = Schema::load(schema).map(|schema| schema.writable());
        }
    }
    if let Ok(decoded) = manifest::decode(data) {
        let encoded = manifest::encode(&decoded);
        if !encoded.is_empty() {
            let again = manifest::decode(&encoded).expect("what is written can be read");
            assert_eq!(manifest::encode(&again), encoded);
        }
        manifest::decode_dynamic(data).expect("what is known can be carried through an edit");
    }
}

/// Numbers that differ from themselves.
fn has_nan(manifest: &manifest::proto::Manifest) -> bool {
    format!("{manifest:?}").contains("NaN")
}
