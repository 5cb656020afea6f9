//! Inputs that are no accident: files of every release, cut up the way the targets take them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use zvecctl::format::{
    document,
    forward::{
        Column, ColumnType, Encoding, ScalarType,
        write::{BlockWriter, RowBuilder},
    },
    manifest::proto::DataType,
    proxima::VectorFile,
    rocks::{Db, Entry, log::LogReader, write::LogWriter},
    value::Value,
    wal,
};

use crate::{Input, squeeze, support, targets};

/// Inputs of a target.
const MOST: usize = 12;
/// Larger ones cost a fuzzer more than they tell it.
const LONGEST: usize = 96 << 10;

/// Seeds by target.
#[derive(Default)]
struct Seeds {
    by_target: BTreeMap<&'static str, Vec<Input>>,
    known: BTreeSet<(&'static str, usize)>,
}

impl Seeds {
    /// Adds an input, unless it is too long or one of its length is there: most files of a kind are alike.
    fn add(&mut self, target: &'static str, place: &str, content: &[u8]) {
        let inputs = self.by_target.entry(target).or_default();
        if content.len() <= LONGEST && inputs.len() < MOST && self.known.insert((target, content.len())) {
            inputs.push((place.to_owned(), content.to_vec()));
        }
    }
}

/// All seeds.
pub fn all() -> BTreeMap<&'static str, Vec<Input>> {
    let mut seeds = Seeds::default();
    for name in support::fixture::names("good") {
        let root = support::fixture::shared("good", &name).join("collection");
        collection(&mut seeds, &name, &root);
    }
    texts(&mut seeds);
    logs(&mut seeds);
    tables(&mut seeds);
    seeds.by_target
}

fn collection(seeds: &mut Seeds, name: &str, root: &Path) {
    let mut files = Vec::new();
    walk(root, &mut files);
    let mut directories: BTreeSet<PathBuf> = BTreeSet::new();
    for path in files {
        let content = fs::read(&path).unwrap();
        let place = format!("{name}/{}", path.strip_prefix(root).unwrap().display());
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let in_database = path.parent().is_some_and(|dir| dir.join("CURRENT").exists());
        if content.is_empty() {
            continue;
        }
        match file.rsplit_once('.').map_or("", |(_, end)| end) {
            _ if in_database && file.starts_with("MANIFEST-") => {
                directories.insert(path.parent().unwrap().to_owned());
                seeds.add("rocks_manifest", &place, &content);
                for record in LogReader::new(content.as_slice(), None).flatten() {
                    seeds.add("rocks_edit", &place, &record.data);
                }
            }
            "log" if in_database => seeds.add("rocks_log", &place, &content),
            "sst" => seeds.add("rocks_table", &place, &content),
            "wal" => {
                seeds.add("wal", &place, &content);
                let _ = wal::scan(content.as_slice(), |record| {
                    if document::decode(&record.payload, 0).is_ok() {
                        seeds.add("document", &place, &record.payload);
                    }
                });
            }
            "ipc" => seeds.add("forward_ipc", &place, &content),
            "parquet" => seeds.add("forward_parquet", &place, &content),
            "proxima" => vectors(seeds, &place, &content),
            _ if file.starts_with("manifest.") => {
                seeds.add("manifest", &place, &content);
                schema(seeds, &place, &content);
            }
            _ if file.starts_with("del.") => {
                seeds.add("delete_set", &place, &content);
                seeds.add("roaring", &place, &content[64..]);
            }
            _ => {}
        }
    }
    directories.iter().for_each(|path| database(seeds, name, path));
    let truth = fs::read_to_string(root.with_file_name("truth.jsonl")).unwrap();
    truth.lines().take(1).for_each(|line| seeds.add("json_document", name, line.as_bytes()));
}

fn walk(dir: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() { walk(&path, files) } else { files.push(path) }
    }
}

fn schema(seeds: &mut Seeds, place: &str, content: &[u8]) {
    use zvecctl::format::{manifest, schema_file::SchemaFile};
    let schema = manifest::decode(content).unwrap().schema.unwrap_or_default();
    if let Ok(file) = SchemaFile::from_manifest(&schema) {
        seeds.add("schema_file", place, &serde_json::to_vec(&file).unwrap());
    }
}

fn vectors(seeds: &mut Seeds, place: &str, content: &[u8]) {
    let small = squeeze(content);
    let file = VectorFile::open(&content.to_vec())
        .map(|file| (file.kind.name(), file.container.segment("IndexMeta").cloned()));
    let Ok((kind, meta)) = file else { return };
    let target =
        targets::TARGETS.iter().map(|(name, _)| *name).find(|name| name.strip_prefix("proxima_") == Some(kind));
    seeds.add(target.expect("every kind has a target"), place, &small);
    seeds.add("proxima_container", place, &small);
    if let Some(meta) = meta {
        seeds.add("proxima_container", place, &content[meta.offset as usize..meta.end() as usize]);
    }
}

fn database(seeds: &mut Seeds, name: &str, path: &Path) {
    let mut directory: BTreeMap<String, Arc<Vec<u8>>> = BTreeMap::new();
    for entry in fs::read_dir(path).unwrap().map(Result::unwrap) {
        let file = entry.file_name().into_string().unwrap();
        directory.insert(file, Arc::new(fs::read(entry.path()).unwrap()));
    }
    let kind = path.file_name().unwrap().to_string_lossy().into_owned();
    let place = format!("{name}/{kind}");
    let mut packed = Vec::new();
    for (file, content) in &directory {
        if let Some(number) = targets::DATABASE_FILES.iter().position(|known| known == file) {
            packed.push(number as u8);
            packed.extend(&(content.len() as u32).to_le_bytes()[..3]);
            packed.extend(content.as_slice());
        }
    }
    seeds.add("rocks_database", &place, &packed);
    let db = Db::open(&directory).unwrap();
    for family in db.column_families() {
        for row in family.scan().take(20).flatten() {
            let values: Vec<Vec<u8>> = match row.entry {
                Entry::Value(value) => vec![value],
                Entry::Merge { base, operands } => base.into_iter().chain(operands).collect(),
            };
            let target = match &*kind {
                _ if kind.starts_with("idmap.") => "idmap_value",
                _ if kind.starts_with("fts.") => "fts",
                _ => "inverted",
            };
            seeds.add(target, &place, &row.key);
            values.iter().for_each(|value| seeds.add(target, &place, value));
            let joined: Vec<u8> =
                values.iter().flat_map(|value| [&[value.len() as u8], value.as_slice()].concat()).collect();
            seeds.add(target, &place, &joined);
        }
    }
}

/// What people type.
fn texts(seeds: &mut Seeds) {
    for (data_type, text) in [
        (DataType::String, r#""a\u00e9\n\ud83d\ude00""#),
        (DataType::Binary, r#""AAEC/w==""#),
        (DataType::Int64, "-9223372036854775808"),
        (DataType::Float, "[\"NaN\"]"),
        (DataType::Double, "1.7976931348623157e308"),
        (DataType::VectorFp32, "[1,-0.5,1e-40,\"NaN\",\"Infinity\"]"),
        (DataType::VectorFp16, "[65504, 6e-8]"),
        (DataType::SparseVectorFp32, r#"{"indices":[1,4294967295],"values":[0.5,1]}"#),
        (DataType::SparseVectorFp32, r#"{"1":0.5,"7":1}"#),
        (DataType::ArrayString, r#"["", "b", null]"#),
        (DataType::ArrayBool, "[true, false]"),
    ] {
        let input = [&[data_type as u8], text.as_bytes()].concat();
        seeds.add("json_value", "typed", &input);
    }
    let document = br#"{"id":"a","fields":{"bool":true,"int32":-1,"string":"x","array_int32":[1,2]},"vectors":{"fp32":[1,2,3,4]}}"#;
    seeds.add("json_document", "typed", document);
    for (name, filters, settings, text) in [
        (
            "standard",
            "lowercase,ascii_folding,stemmer",
            "{\"stemmer_language\":\"english\"}",
            "The Caf\u{e9}s, running \u{6f22}\u{5b57}",
        ),
        ("standard", "lowercase", "{\"max_token_length\":3}", "abcdefgh i.j"),
        ("whitespace", "", "", "a b\tc"),
        ("ngram", "lowercase", "{\"min_gram\":2,\"max_gram\":3}", "\u{e4}bcd"),
    ] {
        seeds.add("tokenizer", "typed", [name, filters, settings, text].join("\0").as_bytes());
    }
    for shorthand in ["title:STRING?", "year:INT32:INVERT", "dense:VECTOR_FP32:128:HNSW(metric=COSINE,m=16)"] {
        seeds.add("schema_file", "typed", shorthand.as_bytes());
    }
    for name in ["manifest.7", "MANIFEST_000007"] {
        seeds.add("manifest", "typed", name.as_bytes());
    }
}

/// Logs of RocksDB: zvec writes none, other programs do. Two puts, a merge in another family, a deletion; records that span blocks.
fn logs(seeds: &mut Seeds) {
    let small = b"\x01\0\0\0\0\0\0\0\x04\0\0\0\x01\x01a\x08AAAAAAAA\x01\x01b\0\x06\x02\x01c\x02xy\0\x01a";
    let long = [&b"\x05\0\0\0\0\0\0\0\x01\0\0\0\x01\x01k\xa0\x9c\x01"[..], &[7; 20_000]].concat();
    let mut log = Vec::new();
    for (records, all) in [(1, false), (3, true)] {
        log.clear();
        let mut writer = LogWriter::new(&mut log);
        for _ in 0..records {
            writer.append(small).unwrap();
            if all {
                writer.append(&long).unwrap();
            }
        }
        seeds.add("rocks_log", "written", &log);
    }
}

/// Tables as other programs write them, with the columns of the targets' schema.
fn tables(seeds: &mut Seeds) {
    let column = |name: &str, scalar, array| Column {
        name: name.to_owned(),
        column_type: ColumnType { scalar, array },
        nullable: name != "id",
    };
    let columns = vec![
        column("id", ScalarType::String, false),
        column("bool", ScalarType::Bool, false),
        column("int32", ScalarType::I32, false),
        column("uint64", ScalarType::U64, false),
        column("double", ScalarType::F64, false),
        column("string", ScalarType::String, false),
        column("array_int32", ScalarType::I32, true),
        column("array_string", ScalarType::String, true),
        column("fp32", ScalarType::F32, true),
    ];
    for (target, encoding) in [("input_arrow", Encoding::Ipc), ("input_parquet", Encoding::Parquet)] {
        for rows in [1u8, 5] {
            let mut builder = RowBuilder::new(columns.clone());
            for row in 0..rows {
                let full = [
                    Value::Bytes(vec![b'a' + row]),
                    Value::Bool(true),
                    Value::I32(-1),
                    Value::U64(u64::MAX),
                    Value::F64(0.5),
                    Value::Bytes(b"text".to_vec()),
                    Value::I32s(vec![1, 2]),
                    Value::ByteStrings(vec![b"x".to_vec(), Vec::new()]),
                    Value::F32s(vec![1.0, 2.0, 3.0, 4.0]),
                ];
                let values = full.iter().enumerate().map(|(at, value)| {
                    if at > 0 && (at + usize::from(row)) % 3 == 0 { Value::Null } else { value.clone() }
                });
                builder.append(&values.collect::<Vec<_>>()).unwrap();
            }
            builder.close_batch().unwrap();
            let mut writer = BlockWriter::new(Vec::new(), columns.clone(), encoding).unwrap();
            for batch in builder.batches() {
                writer.write(batch).unwrap();
            }
            seeds.add(target, "written", &writer.finish().unwrap());
        }
    }
}
