//! The engine's schema and its readers of documents, on every good collection of `fixtures/`.

mod truth;

use std::{path::Path, sync::Arc};

use prost::Message;
use truth::archive::{archives, check_all, name_of, unpack};
use zvecctl::{
    engine::{
        Doc, Mode, Schema,
        input::{self, InputOptions},
    },
    format::manifest::proto::CollectionSchema,
    inspect::View,
    vfs::RealFs,
};

fn schema_of(collection: &Path) -> Result<CollectionSchema, String> {
    let view = View::open(Arc::new(RealFs), collection).map_err(|error| error.to_string())?;
    let (_, manifest) = view.manifest().map_err(|error| error.to_string())?;
    manifest.schema.clone().ok_or_else(|| "no schema".to_owned())
}

/// A schema that zvec 0.8.0 made is what the engine makes of its schema file.
#[test]
fn the_schema_of_every_collection_is_loaded_and_created_again() {
    let all = archives("good");
    let check = |archive: &std::path::PathBuf| {
        let folder = unpack(archive);
        schema_is_true(&name_of(archive), folder.path()).unwrap_or_else(|error| vec![error])
    };
    check_all(&all, |archive| name_of(archive), check);
}

fn schema_is_true(name: &str, folder: &Path) -> Result<Vec<String>, String> {
    let stored = schema_of(&folder.join("collection"))?;
    let loaded = Schema::load(&stored).map_err(|refusal| refusal.to_string())?;
    if !name.starts_with("0.8.0") {
        return Ok(Vec::new());
    }
    let mut wrong = Vec::new();
    if loaded.to_proto().encode_to_vec() != stored.encode_to_vec() {
        wrong.push("loaded, the schema has other bytes".to_owned());
    }
    let created = Schema::create(&loaded.to_file()).map_err(|refusal| refusal.to_string())?;
    let mut expected = stored.clone();
    // Created anew, no scalar stands behind a vector.
    expected.fields.sort_by_key(|field| loaded.position(&field.name).is_some_and(|at| loaded.fields()[at].is_vector()));
    if created.to_proto().encode_to_vec() != expected.encode_to_vec() {
        wrong.push("created, the schema has other bytes".to_owned());
    }
    Ok(wrong)
}

/// What `export` writes, in both formats, are the same documents, and documents that the schema admits.
#[test]
fn every_export_is_read_back_as_documents() {
    let all = archives("good");
    let check = |archive: &std::path::PathBuf| {
        let folder = unpack(archive);
        export_comes_back(folder.path()).unwrap_or_else(|error| vec![error])
    };
    check_all(&all, |archive| name_of(archive), check);
}

fn export_comes_back(folder: &Path) -> Result<Vec<String>, String> {
    let collection = folder.join("collection");
    let schema = Arc::new(Schema::load(&schema_of(&collection)?).map_err(|refusal| refusal.to_string())?);
    let mut formats = Vec::new();
    for (ending, arguments) in [("jsonl", ["export", "--to", "jsonl"]), ("parquet", ["export", "--to", "parquet"])] {
        let path = folder.join("export").with_extension(ending);
        let text = path.to_str().ok_or("a path that is text")?;
        let arguments: Vec<_> = arguments.into_iter().chain(["--output", text]).collect();
        let output = truth::zvecctl(arguments, &collection);
        if output.status.code() != Some(0) {
            return Err(format!("export ended with {}", output.status));
        }
        formats.push(read(&path, &schema)?);
    }
    let expected = truth::truth(folder, &truth::columns(&collection))?.docs.len();
    let mut wrong = Vec::new();
    if formats[0].len() != expected {
        wrong.push(format!("{} documents, {expected} expected", formats[0].len()));
    }
    for (json, parquet) in formats[0].iter().zip(&formats[1]) {
        // NaN is unequal to itself: compared by what the log would hold.
        let bytes = |doc: &Doc| {
            let mut payload = Vec::new();
            schema.encode_payload(doc, zvecctl::format::document::Op::Insert, 0, &mut payload).map(|()| payload)
        };
        if bytes(json).map_err(|e| e.to_string())? != bytes(parquet).map_err(|e| e.to_string())? {
            wrong.push(format!("{:?} differs:\n{json:?}\n{parquet:?}", String::from_utf8_lossy(&json.pk)));
        }
    }
    wrong.truncate(3);
    Ok(wrong)
}

fn read(path: &Path, schema: &Arc<Schema>) -> Result<Vec<Doc>, String> {
    let mut reader = input::open(&RealFs, path, schema, &InputOptions::default()).map_err(|error| error.to_string())?;
    let mut items = Vec::new();
    while reader.next_batch(100, &mut items).map_err(|error| error.to_string())? {}
    let mut docs = Vec::new();
    for item in items {
        let mut doc = item.doc.map_err(|refusal| format!("{}: {refusal}", item.place))?;
        schema.admit(&mut doc, Mode::Insert).map_err(|refusal| format!("{}: {refusal}", item.place))?;
        docs.push(doc);
    }
    Ok(docs)
}
