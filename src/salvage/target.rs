//! Where salvaged documents go: a new collection, JSON lines or Parquet; and the file of what cannot go there.

use std::{
    ffi::OsString,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    engine::{
        Collection, CreateOptions, Doc, EngineError, FieldKind, Mode, OpenOptions, Operation, Options, Refusal, Schema,
        Sync, remove_tree,
    },
    format::{document::WalDoc, json_value, manifest::Style, value::Value},
    inspect::documents::{Cell, Document, Fields, ParquetExport, write_document},
    vfs::{ReplacedFile, VfsMut, parent},
};

use super::SalvageError;

/// Documents that are written together.
const BATCH: usize = 500;
/// Bytes of values after which a batch is written all the same.
const BATCH_BYTES: usize = 8 << 20;

/// What is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A new collection.
    Collection,
    /// One JSON object a line.
    JsonLines,
    /// A Parquet file.
    Parquet,
}

impl Form {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Collection => "collection",
            Self::JsonLines => "jsonl",
            Self::Parquet => "parquet",
        }
    }
}

/// Where it is made.
pub struct Target {
    /// The file system.
    pub fs: Arc<dyn VfsMut>,
    /// The new directory or file; nothing may be there.
    pub path: PathBuf,
    /// What is made.
    pub form: Form,
}

impl Target {
    /// The file of documents that could not be written.
    pub fn rejects(&self) -> PathBuf {
        with_ending(&self.path, ".rejects.jsonl")
    }

    /// Refuses with `salvage.exists` if anything is there already.
    pub(super) fn check(&self) -> Result<(), EngineError> {
        for path in [self.path.clone(), self.rejects()] {
            if self.fs.metadata(&path).is_ok() {
                return Err(Refusal::new("salvage.exists", format!("{} is there already", path.display())).into());
            }
        }
        let parent = parent(&self.path);
        self.fs.metadata(parent).map(drop).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => crate::inspect::InspectError::NotFound { path: parent.to_owned() }.into(),
            _ => EngineError::io(parent, error),
        })
    }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().map(OsString::from).unwrap_or_default();
    name.push(ending);
    path.with_file_name(name)
}

/// What takes documents.
pub(super) enum Out<'t> {
    Collection(Box<CollectionOut<'t>>),
    Lines { out: BufWriter<ReplacedFile<'t>>, fields: Fields, path: &'t Path },
    Parquet { out: Box<ParquetExport<BufWriter<ReplacedFile<'t>>>>, path: &'t Path },
}

impl<'t> Out<'t> {
    /// Begins; `schema` is that of a new collection.
    pub fn begin(
        target: &'t Target,
        fields: &Fields,
        schema: Option<Schema>,
        enable_mmap: bool,
    ) -> Result<Self, SalvageError> {
        let path = target.path.as_path();
        let file = || {
            let file = ReplacedFile::create(target.fs.as_ref(), path);
            file.map(BufWriter::new).map_err(|error| SalvageError::target(path, error))
        };
        Ok(match (target.form, schema) {
            (Form::Collection, Some(schema)) => {
                Self::Collection(Box::new(CollectionOut::begin(target, schema, enable_mmap)?))
            }
            (Form::Parquet, _) => {
                let out = ParquetExport::new(file()?, fields).map(Box::new);
                Self::Parquet { out: out.map_err(|error| SalvageError::target(path, io::Error::other(error)))?, path }
            }
            (Form::JsonLines | Form::Collection, _) => Self::Lines { out: file()?, fields: fields.clone(), path },
        })
    }

    /// Adds a document, all of whose cells are values. What the target refuses comes back.
    pub fn add(&mut self, document: Document) -> Result<Option<(Box<Document>, Refusal)>, SalvageError> {
        match self {
            Self::Collection(out) => return out.add(document),
            Self::Lines { out, fields, path } => {
                let mut line = Vec::new();
                write_document(&mut line, &document, fields);
                line.push(b'\n');
                out.write_all(&line).map_err(|error| SalvageError::target(path, error))?;
            }
            Self::Parquet { out, path } => {
                out.add(document).map_err(|error| SalvageError::target(path, io::Error::other(error)))?;
            }
        }
        Ok(None)
    }

    /// Makes everything durable and puts it in its place.
    pub fn finish(self) -> Result<(), SalvageError> {
        match self {
            Self::Collection(out) => out.finish(),
            Self::Lines { out, path, .. } => commit(out, path),
            Self::Parquet { out, path } => {
                let out = out.finish().map_err(|error| SalvageError::target(path, io::Error::other(error)))?;
                commit(out, path)
            }
        }
    }
}

fn commit(out: BufWriter<ReplacedFile<'_>>, path: &Path) -> Result<(), SalvageError> {
    let done = out.into_inner().map_err(io::IntoInnerError::into_error).and_then(ReplacedFile::commit);
    done.map_err(|error| SalvageError::target(path, error))
}

/// A new collection, made under another name beside its place: `<name>.<process id>.salvage`.
pub(super) struct CollectionOut<'t> {
    target: &'t Target,
    temporary: PathBuf,
    collection: Option<Collection>,
    schema: Arc<Schema>,
    batch: Vec<Operation>,
    bytes: usize,
}

impl<'t> CollectionOut<'t> {
    fn begin(target: &'t Target, schema: Schema, enable_mmap: bool) -> Result<Self, SalvageError> {
        let temporary = with_ending(&target.path, &format!(".{}.salvage", std::process::id()));
        let options =
            OpenOptions { options: Options { sync: Sync::Flush, ..Options::default() }, ..OpenOptions::default() };
        let create = CreateOptions { enable_mmap, style: Style::Release };
        let collection =
            Collection::create(target.fs.clone(), &temporary, &schema, create, options).inspect_err(|_| {
                // What was begun is nobody's.
                let _ = remove_tree(target.fs.as_ref(), &temporary);
            })?;
        let schema = collection.schema().clone();
        Ok(Self { target, temporary, collection: Some(collection), schema, batch: Vec::new(), bytes: 0 })
    }

    fn add(&mut self, document: Document) -> Result<Option<(Box<Document>, Refusal)>, SalvageError> {
        let mut doc = to_doc(&self.schema, &document);
        if let Err(refusal) = self.schema.admit(&mut doc, Mode::Insert) {
            return Ok(Some((Box::new(document), refusal)));
        }
        self.bytes += usize::try_from(self.schema.payload_len(&doc)).unwrap_or(BATCH_BYTES);
        self.batch.push(Operation::Put(Mode::Insert, doc));
        if self.batch.len() >= BATCH || self.bytes >= BATCH_BYTES {
            self.write()?;
        }
        Ok(None)
    }

    fn write(&mut self) -> Result<(), SalvageError> {
        self.bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        let Some(collection) = &mut self.collection else { return Ok(()) };
        for result in collection.write(batch)? {
            // Each has been admitted, and each id comes once.
            result.map_err(EngineError::Refused)?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(), SalvageError> {
        self.write()?;
        if let Some(mut collection) = self.collection.take() {
            collection.flush()?;
        }
        let (fs, path) = (&self.target.fs, &self.target.path);
        if fs.metadata(path).is_ok() {
            return Err(
                EngineError::from(Refusal::new("salvage.exists", format!("{} is there", path.display()))).into()
            );
        }
        let failed = |error| EngineError::io(path, error);
        fs.rename(&self.temporary, path).map_err(failed)?;
        fs.sync_dir(parent(path)).map_err(failed)?;
        Ok(())
    }
}

impl Drop for CollectionOut<'_> {
    fn drop(&mut self) {
        self.collection = None;
        // Gone if it was finished; else half a collection is nobody's.
        if self.target.fs.metadata(&self.temporary).is_ok() {
            let _ = remove_tree(self.target.fs.as_ref(), &self.temporary);
        }
    }
}

/// The document as the engine takes it.
fn to_doc(schema: &Schema, document: &Document) -> Doc {
    let (mut scalars, mut vectors) = (document.fields.iter(), document.vectors.iter());
    let values = schema.fields().iter().map(|field| {
        let cell = match field.kind {
            FieldKind::Scalar { .. } => scalars.next(),
            FieldKind::Vector(_) => vectors.next(),
        };
        Some(match cell {
            Some(Cell::Value(value)) => value.clone(),
            Some(Cell::Unreadable) | None => Value::Null,
        })
    });
    Doc { pk: document.pk.clone(), values: values.collect() }
}

/// The file of what is known and could not be written; it is begun with the first line.
pub(super) struct Rejects<'t> {
    target: &'t Target,
    path: PathBuf,
    out: Option<BufWriter<ReplacedFile<'t>>>,
}

impl<'t> Rejects<'t> {
    /// None yet.
    pub fn new(target: &'t Target) -> Self {
        Self { target, path: target.rejects(), out: None }
    }

    /// A document that was read, whole or in part.
    pub fn document(&mut self, document: &Document, fields: &Fields, reason: &str) -> Result<(), SalvageError> {
        let mut line = Vec::new();
        write_document(&mut line, document, fields);
        self.close(line, Some(document.doc_id), Some(&document.origin.describe()), reason)
    }

    /// A document of which only the id is known.
    pub fn id(&mut self, pk: &[u8], doc_id: u64, reason: &str) -> Result<(), SalvageError> {
        let mut line = b"{\"id\":".to_vec();
        json_value::write_text(&mut line, pk);
        line.push(b'}');
        self.close(line, Some(doc_id), None, reason)
    }

    /// A record of a log that is damaged: `doc` is what can be made out of it, which no checksum vouches for.
    pub fn record(
        &mut self,
        pk: Option<&[u8]>,
        doc: Option<WalDoc>,
        place: &str,
        fields: &Fields,
        reason: &str,
    ) -> Result<(), SalvageError> {
        let Some(doc) = doc else {
            let mut line = b"{\"id\":".to_vec();
            match pk {
                Some(pk) => json_value::write_text(&mut line, pk),
                None => line.extend_from_slice(b"null"),
            }
            line.push(b'}');
            return self.close(line, None, Some(place), reason);
        };
        let origin = crate::inspect::documents::Origin::Wal { path: PathBuf::new(), offset: 0 };
        let stored = crate::inspect::wal::WalDocument { doc_id: doc.doc_id, offset: 0, deleted: false, doc };
        let quiet = crate::inspect::Findings::default();
        let document = fields.conform(stored, origin, Path::new(""), &quiet);
        let mut line = Vec::new();
        write_document(&mut line, &document, fields);
        self.close(line, None, Some(place), reason)
    }

    /// Puts doc id, source and reason behind what `line`, a JSON object, has.
    fn close(
        &mut self,
        mut line: Vec<u8>,
        doc_id: Option<u64>,
        source: Option<&str>,
        reason: &str,
    ) -> Result<(), SalvageError> {
        line.pop();
        if let Some(id) = doc_id {
            line.extend_from_slice(format!(",\"doc_id\":{id}").as_bytes());
        }
        for (name, value) in [("source", source), ("reason", Some(reason))] {
            let Some(value) = value else { continue };
            line.extend_from_slice(format!(",\"{name}\":").as_bytes());
            json_value::write_string(&mut line, value);
        }
        line.extend_from_slice(b"}\n");
        let failed = |error| SalvageError::target(&self.path, error);
        if self.out.is_none() {
            let file = ReplacedFile::create(self.target.fs.as_ref(), &self.path).map_err(failed)?;
            self.out = Some(BufWriter::new(file));
        }
        self.out.as_mut().map_or(Ok(()), |out| out.write_all(&line)).map_err(failed)
    }

    /// Puts the file in its place; its path, if there is one.
    pub fn finish(self) -> Result<Option<PathBuf>, SalvageError> {
        let Some(out) = self.out else { return Ok(None) };
        commit(out, &self.path)?;
        Ok(Some(self.path))
    }
}
