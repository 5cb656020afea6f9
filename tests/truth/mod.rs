//! The documents that zvec returned, and whether zvecctl gives the same.
//!
//! Values are parsed by the type that the schema declares, so that "equal" means equal bits: two decimals are the same FP32 when
//! they read back to the same bits, an INT64 is compared with all its digits.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod archive;
pub mod parquet;

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use assert_cmd::Command;
use serde::Deserialize;
use serde_json::{Value as Json, value::RawValue};

/// Longest that any command may take on a fixture. Only a hang comes near.
const PATIENCE: Duration = Duration::from_secs(120);
/// Components of a vector that is stored normalised may differ by this part of its norm.
const COSINE: f64 = 1e-6;
/// The same for FP16 vectors that were never stored normalised, because they are in the WAL: zvec returns them after rounding twice.
const COSINE_FP16_OF_WAL: f64 = 1e-3;

/// A value of a document, by the type of its field.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    Bool(bool),
    Integer(i128),
    /// FP32, or FP16 as FP32.
    Float(Bits<f32>),
    Double(Bits<f64>),
    Text(String),
    List(Vec<Item>),
    Sparse(BTreeMap<u32, Item>),
}

/// A number that equals another when it has the same bits, or when both are not a number.
#[derive(Clone, Copy)]
pub struct Bits<T>(pub T);

impl PartialEq for Bits<f32> {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits() || (self.0.is_nan() && other.0.is_nan())
    }
}

impl PartialEq for Bits<f64> {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits() || (self.0.is_nan() && other.0.is_nan())
    }
}

impl<T: fmt::Debug> fmt::Debug for Bits<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The values of a document by field; a field without value is not there.
pub type Doc = BTreeMap<String, Item>;
/// Documents by primary key.
pub type Docs = BTreeMap<String, Doc>;

/// A field of the schema, as far as comparing needs it.
#[derive(Debug, Clone)]
pub struct Column {
    pub data_type: String,
    /// Whether its vectors are stored normalised.
    pub cosine: bool,
}

/// Whose text is parsed.
#[derive(Clone, Copy, PartialEq)]
pub enum Writer {
    /// Decimals that read back by way of an FP64.
    Zvec,
    /// Decimals that read back as they are.
    Zvecctl,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: String,
    fields: BTreeMap<String, Box<RawValue>>,
    vectors: BTreeMap<String, Box<RawValue>>,
}

/// The schema of a collection by field name, as `schema show` prints it.
pub fn columns(collection: &Path) -> BTreeMap<String, Column> {
    let output = zvecctl(["--format", "json", "schema", "show"], collection);
    let schema: Json = serde_json::from_slice(&output.stdout).expect("schema show prints JSON");
    let fields =
        ["fields", "vectors"].into_iter().flat_map(|part| schema["data"][part].as_array().into_iter().flatten());
    let column = |field: &Json| {
        let metric = field["index"]["metric"].as_str();
        let data_type = field["data_type"].as_str().expect("every field has a type").to_owned();
        (
            field["name"].as_str().expect("every field has a name").to_owned(),
            Column { data_type, cosine: metric == Some("COSINE") },
        )
    };
    fields.map(column).collect()
}

/// Runs zvecctl with `arguments` and the path of a collection; whatever it says is returned.
pub fn zvecctl<'a>(arguments: impl IntoIterator<Item = &'a str>, collection: &Path) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zvecctl"));
    command.args(arguments).arg(collection).timeout(PATIENCE);
    command.output().expect("zvecctl runs")
}

/// What `export` gave.
pub struct Export {
    pub docs: Docs,
    pub exit: i32,
    pub from_wal: u64,
    /// The findings, as printed.
    pub findings: Vec<Json>,
}

/// Runs `export` to JSON lines.
pub fn export(collection: &Path, columns: &BTreeMap<String, Column>) -> Result<Export, String> {
    export_with(&[], collection, columns)
}

/// Runs `export` to JSON lines with further options.
pub fn export_with(options: &[&str], collection: &Path, columns: &BTreeMap<String, Column>) -> Result<Export, String> {
    let output = zvecctl(["--format", "json", "export"].into_iter().chain(options.iter().copied()), collection);
    let stderr = String::from_utf8_lossy(&output.stderr);
    let summary: Json = stderr.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
    let exit = output.status.code().ok_or_else(|| format!("export ended with {}: {stderr}", output.status))?;
    if summary["data"]["documents"].is_null() {
        return Err(format!("export ended with {exit} and no summary: {stderr}"));
    }
    let text = String::from_utf8(output.stdout).map_err(|error| error.to_string())?;
    let docs = parse_lines(&text, columns, Writer::Zvecctl)?;
    if summary["data"]["documents"].as_u64() != Some(docs.len() as u64) {
        return Err(format!(
            "the summary counts {} documents, {} were printed",
            summary["data"]["documents"],
            docs.len()
        ));
    }
    let from_wal = summary["data"]["from_wal"].as_u64().unwrap_or(0);
    let findings = summary["data"]["findings"].as_array().cloned().unwrap_or_default();
    Ok(Export { docs, exit, from_wal, findings })
}

/// Documents from JSON lines; twice the same id is an error.
pub fn parse_lines(text: &str, columns: &BTreeMap<String, Column>, writer: Writer) -> Result<Docs, String> {
    let mut docs = Docs::new();
    for line in text.lines() {
        let (id, doc) = parse_doc(line, columns, writer)?;
        if docs.insert(id.clone(), doc).is_some() {
            return Err(format!("{id}: there twice"));
        }
    }
    Ok(docs)
}

/// One document.
pub fn parse_doc(line: &str, columns: &BTreeMap<String, Column>, writer: Writer) -> Result<(String, Doc), String> {
    let line: Line = serde_json::from_str(line).map_err(|error| format!("{error}: {line:.200}"))?;
    let mut doc = Doc::new();
    for (name, raw) in line.fields.iter().chain(&line.vectors) {
        let column = columns.get(name).ok_or_else(|| format!("{}: field {name} is not in the schema", line.id))?;
        let item = parse(raw.get(), &column.data_type, writer);
        if let Some(item) = item.map_err(|error| format!("{}: field {name}: {error}", line.id))? {
            doc.insert(name.clone(), item);
        }
    }
    Ok((line.id, doc))
}

fn parse(raw: &str, data_type: &str, writer: Writer) -> Result<Option<Item>, String> {
    let bad = || format!("{raw:.200} is no {data_type}");
    if raw == "null" {
        return Ok(None);
    }
    let list = |item: &str| {
        let raws: Vec<Box<RawValue>> = serde_json::from_str(raw).map_err(|_| bad())?;
        let items = raws.iter().map(|raw| parse(raw.get(), item, writer)?.ok_or_else(bad));
        items.collect::<Result<_, _>>().map(Item::List)
    };
    let item = match data_type {
        "BOOL" => Item::Bool(raw.parse().map_err(|_| bad())?),
        "INT32" | "INT64" | "UINT32" | "UINT64" | "INT8" => Item::Integer(raw.parse().map_err(|_| bad())?),
        "FLOAT" => Item::Float(Bits(float(raw, writer).ok_or_else(bad)?)),
        "DOUBLE" => Item::Double(Bits(raw.trim_matches('"').parse().map_err(|_| bad())?)),
        "STRING" => Item::Text(serde_json::from_str(raw).map_err(|_| bad())?),
        "VECTOR_FP32" | "VECTOR_FP16" => list("FLOAT")?,
        "VECTOR_INT8" => list("INT8")?,
        "SPARSE_VECTOR_FP32" | "SPARSE_VECTOR_FP16" => {
            let raws: BTreeMap<u32, Box<RawValue>> = serde_json::from_str(raw).map_err(|_| bad())?;
            let pairs = raws.iter().map(|(index, raw)| {
                let value = float(raw.get(), writer).ok_or_else(bad)?;
                Ok((*index, Item::Float(Bits(value))))
            });
            Item::Sparse(pairs.collect::<Result<_, String>>()?)
        }
        _ => match data_type.strip_prefix("ARRAY_") {
            Some(item) => list(item)?,
            None => return Err(format!("type {data_type} is unknown to this test")),
        },
    };
    Ok(Some(item))
}

#[allow(clippy::cast_possible_truncation, reason = "that is how zvec's values were printed")]
fn float(raw: &str, writer: Writer) -> Option<f32> {
    let text = raw.trim_matches('"');
    match writer {
        Writer::Zvec => text.parse::<f64>().ok().map(|value| value as f32),
        Writer::Zvecctl => text.parse().ok(),
    }
}

/// What zvec returned, or, where zvec is known to return something else, what was written: both lie beside the collection.
pub struct Truth {
    pub docs: Docs,
    pub path: PathBuf,
}

impl Truth {
    /// Where a document has no value of `field`, takes what `others` have.
    pub fn fill(&mut self, field: &str, others: Docs) {
        for (id, mut other) in others {
            if let (Some(doc), Some(item)) = (self.docs.get_mut(&id), other.remove(field)) {
                doc.entry(field.to_owned()).or_insert(item);
            }
        }
    }
}

/// Loads the truth beside a collection.
pub fn truth(folder: &Path, columns: &BTreeMap<String, Column>) -> Result<Truth, String> {
    let written = folder.join("written.jsonl");
    let path = if written.exists() { written } else { folder.join("truth.jsonl") };
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Truth { docs: parse_lines(&text, columns, Writer::Zvec)?, path })
}

/// How close vectors under COSINE must come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Strictness {
    /// Everything was read from blocks.
    Stored,
    /// Some documents are in the WAL, whose vectors are the written ones.
    Wal,
}

/// Every difference, one line each: id, field, both values.
pub fn differences(
    expected: &Docs,
    got: &Docs,
    columns: &BTreeMap<String, Column>,
    strictness: Strictness,
) -> Vec<String> {
    let mut lines = Vec::new();
    for id in expected.keys().filter(|id| !got.contains_key(*id)) {
        lines.push(format!("{id}: missing"));
    }
    for (id, doc) in got {
        match expected.get(id) {
            Some(wanted) => lines.extend(differences_of(id, wanted, doc, columns, strictness)),
            None => lines.push(format!("{id}: there, though zvec has no such document")),
        }
    }
    lines
}

/// The differences of one document.
pub fn differences_of(
    id: &str,
    wanted: &Doc,
    got: &Doc,
    columns: &BTreeMap<String, Column>,
    strictness: Strictness,
) -> Vec<String> {
    let differs = |name: &String, column: &Column| match (wanted.get(name), got.get(name)) {
        (None, None) => false,
        (Some(wanted), Some(got)) => wanted != got && !(column.cosine && close(wanted, got, column, strictness)),
        _ => true,
    };
    let show = |item: Option<&Item>| item.map_or("null".to_owned(), |item| format!("{item:?}"));
    let names = columns.iter().filter(|(name, column)| differs(name, column));
    names
        .map(|(name, _)| {
            format!("{id}, field {name}: zvec {}, zvecctl {}", show(wanted.get(name)), show(got.get(name)))
        })
        .collect()
}

/// Whether two vectors are the same but for the rounding of normalising and back.
fn close(wanted: &Item, got: &Item, column: &Column, strictness: Strictness) -> bool {
    let (Some(wanted), Some(got)) = (components(wanted), components(got)) else { return false };
    let norm = wanted.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    let near = |(wanted, got): (&f32, &f32)| {
        let apart = (f64::from(*wanted) - f64::from(*got)).abs();
        match (column.data_type.as_str(), strictness) {
            ("VECTOR_FP16", Strictness::Stored) => apart <= ulp_of_half(*wanted),
            ("VECTOR_FP16", Strictness::Wal) => apart <= COSINE_FP16_OF_WAL * norm,
            _ => apart <= COSINE * norm,
        }
    };
    wanted.len() == got.len() && wanted.iter().zip(&got).all(near)
}

fn components(item: &Item) -> Option<Vec<f32>> {
    let Item::List(items) = item else { return None };
    let float = |item: &Item| match item {
        Item::Float(value) => Some(value.0),
        _ => None,
    };
    items.iter().map(float).collect()
}

/// Distance from a half to the next one.
fn ulp_of_half(value: f32) -> f64 {
    let exponent = f64::from(value.abs()).log2().floor().max(-14.0);
    (exponent - 10.0).exp2()
}

/// The same columns without any tolerance.
pub fn exact(columns: &BTreeMap<String, Column>) -> BTreeMap<String, Column> {
    let exact = |column: &Column| Column { cosine: false, ..column.clone() };
    columns.iter().map(|(name, column)| (name.clone(), exact(column))).collect()
}

/// What `docs get` of `ids` says other than `export` did.
pub fn get_differences(
    collection: &Path,
    columns: &BTreeMap<String, Column>,
    ids: &[&str],
    exported: &Docs,
) -> Result<Vec<String>, String> {
    #[derive(serde::Deserialize)]
    struct Report {
        data: Data,
        exit_code: i32,
    }
    #[derive(serde::Deserialize)]
    struct Data {
        documents: Vec<Lookup>,
    }
    #[derive(serde::Deserialize)]
    struct Lookup {
        id: String,
        state: String,
        document: Option<Box<RawValue>>,
    }

    let collection = collection.to_str().ok_or("a path that is text")?;
    let arguments = ["--format", "json", "docs", "get", collection].into_iter().chain(ids.iter().copied());
    let (last, first) =
        arguments.collect::<Vec<_>>().split_last().map(|(last, first)| (*last, first.to_vec())).ok_or("")?;
    let output = zvecctl(first, Path::new(last));
    let report: Report = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
    let mut wrong = Vec::new();
    let found: Vec<_> = report.data.documents.iter().map(|lookup| lookup.id.as_str()).collect();
    if found != ids {
        wrong.push(format!("asked for {ids:?}, answered {found:?}"));
    }
    for lookup in report.data.documents {
        let (state, expected) = match exported.get(&lookup.id) {
            Some(doc) => ("found", doc.clone()),
            None => ("absent", Doc::new()),
        };
        if lookup.state != state {
            wrong.push(format!("{}: {} instead of {state}", lookup.id, lookup.state));
        }
        let doc = match &lookup.document {
            Some(raw) => parse_doc(raw.get(), columns, Writer::Zvecctl)?.1,
            None => Doc::new(),
        };
        let lines = differences_of(&lookup.id, &expected, &doc, &exact(columns), Strictness::Stored);
        wrong.extend(lines.into_iter().map(|line| format!("docs get (as zvecctl) is not export (as zvec): {line}")));
    }
    let exit = i32::from(ids.iter().any(|id| !exported.contains_key(*id)));
    if report.exit_code != exit || output.status.code() != Some(exit) {
        wrong.push(format!("exit {} ({}) instead of {exit}", report.exit_code, output.status));
    }
    Ok(wrong)
}
