//! An ingestion that is killed at a random moment.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

/// Documents of the input: with segments of 1,000 the collection rolls over twice on the way.
pub const DOCUMENTS: u64 = 2400;
/// Documents acknowledged together.
pub const BATCH: u64 = 60;

/// A collection whose ingestion was killed, not looked at since.
pub struct Killed {
    /// Removes everything when it is dropped.
    _folder: tempfile::TempDir,
    /// The collection.
    pub collection: PathBuf,
    /// The input.
    pub input: PathBuf,
    /// Documents that were acknowledged, in the order of the input.
    pub acknowledged: u64,
}

/// Numbers that look random and are the same in every run.
pub fn random(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A document of the input, as `export` prints it.
pub fn document(number: u64) -> Value {
    let part = |k: u64| json!((number * k % 64) as f64 / 8.0);
    let year = if number.is_multiple_of(5) { Value::Null } else { json!(number % 100) };
    json!({
        "id": format!("doc_{number:05}"),
        "fields": {"year": year, "title": format!("title {number}")},
        "vectors": {"dense": [part(1), part(3), part(5), part(7)]},
    })
}

fn schema() -> Value {
    json!({
        "name": "killed", "max_doc_count_per_segment": 1000,
        "fields": [
            {"name": "year", "data_type": "INT32", "nullable": true, "index": {"type": "INVERT"}},
            {"name": "title", "data_type": "STRING"},
        ],
        "vectors": [{"name": "dense", "data_type": "VECTOR_FP32", "dimension": 4, "index": {"type": "FLAT", "metric": "L2"}}],
    })
}

/// Creates a collection, ingests, and kills that: the seed says after how many acknowledged batches, and how many milliseconds after that.
pub fn kill(program: &Path, seed: u64) -> Killed {
    let folder = tempfile::tempdir().unwrap();
    let (collection, input) = (folder.path().join("collection"), folder.path().join("documents.jsonl"));
    let lines: Vec<String> = (0..DOCUMENTS).map(|number| document(number).to_string()).collect();
    fs::write(&input, lines.join("\n")).unwrap();
    let schema_file = folder.path().join("schema.json");
    fs::write(&schema_file, schema().to_string()).unwrap();
    let created =
        Command::new(program).arg("create").arg(&collection).arg("--schema").arg(&schema_file).output().unwrap();
    assert!(created.status.success(), "{created:?}");

    let mut command = Command::new(program);
    command.arg("ingest").arg(&collection).arg(&input).args(["--acknowledge", "--batch-size", &BATCH.to_string()]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let wanted = random(seed) % (DOCUMENTS / BATCH + 1);
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut acknowledged = 0;
    let note = |line: String, acknowledged: &mut u64| {
        let line: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        *acknowledged = line["acknowledged"].as_u64().unwrap();
    };
    for line in told.by_ref().take(usize::try_from(wanted).unwrap()) {
        note(line, &mut acknowledged);
    }
    thread::sleep(Duration::from_micros(random(seed ^ 0xdead) % 30_000));
    // SIGKILL. It may be done by now, which is a moment as good as any.
    let _ = child.kill();
    child.wait().unwrap();
    // What it still said was acknowledged as well.
    told.for_each(|line| note(line, &mut acknowledged));
    Killed { _folder: folder, collection, input, acknowledged }
}

impl Killed {
    /// How many documents are there, if these are the first of the input, unchanged, and all that were acknowledged.
    pub fn check(&self, lines: &str) -> u64 {
        let mut found: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        found.sort_by_key(|document| document["id"].as_str().unwrap().to_owned());
        let count = found.len() as u64;
        assert!(count >= self.acknowledged, "{count} documents, {} were acknowledged", self.acknowledged);
        for (number, document) in (0..).zip(found) {
            assert_eq!(document, self::document(number));
        }
        count
    }
}
