//! Writing documents: checked, logged, then put into memory.
//!
//! Operations are taken in chunks. Each is checked against the schema and against what the ones before it did; their records go to the log in one
//! write; then id map, delete store, block and indexes get them. A batch is acknowledged when [`Collection::write`] returns,
//! with [`Sync::Batch`] after the log has been synced once for all of it.
//!
//! Before a record is logged, the block that it will belong to is known: a full block is flushed, a full segment closed, first. zvec 0.8.0 does it the other
//! way round and loses the document whose record went into the old log.

use std::collections::HashMap;

use crate::format::{
    FormatError,
    document::{self, Op},
    value::Value,
    wal::{encode_record_with, read_record},
};

use super::{Collection, Doc, EngineError, Mode, Refusal, Sync, wal::WalFailure};

/// Bytes of records after which a chunk is written.
const CHUNK: usize = 4 << 20;

/// What to do with a document.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// Insert, upsert or update it.
    Put(Mode, Doc),
    /// Delete the document with this primary key.
    Delete(Vec<u8>),
}

/// An operation that has been checked and whose record is encoded.
struct Staged {
    op: Op,
    /// The whole document; of a delete the key alone.
    doc: Doc,
    /// The document that it deletes or replaces.
    replaces: Option<u64>,
    /// Offset of its record in the chunk.
    at: usize,
}

/// Operations on their way into the log.
#[derive(Default)]
struct Chunk {
    records: Vec<u8>,
    staged: Vec<Staged>,
    /// What the chunk makes of the primary keys that it touches: position among `staged` and among the documents added, or deleted.
    touched: HashMap<Vec<u8>, Option<(usize, u64)>>,
    /// Documents that the chunk adds.
    added: u64,
}

impl Collection {
    /// Carries out operations in order; each is done or refused for itself, and a refusal leaves the others alone. When this returns without
    /// an error, all that were not refused are acknowledged.
    ///
    /// After an error it is not known how many of them are in the log, in order from the first; none has been acknowledged.
    pub fn write(&mut self, operations: Vec<Operation>) -> Result<Vec<Result<(), Refusal>>, EngineError> {
        self.write_while(operations, false)
    }

    /// The same up to the first refusal, with which the results end; what comes behind it is not carried out.
    pub fn write_until_refused(&mut self, operations: Vec<Operation>) -> Result<Vec<Result<(), Refusal>>, EngineError> {
        self.write_while(operations, true)
    }

    fn write_while(&mut self, operations: Vec<Operation>, stop: bool) -> Result<Vec<Result<(), Refusal>>, EngineError> {
        self.usable()?;
        let mut results = Vec::with_capacity(operations.len());
        let mut chunk = Chunk::default();
        let stored = self.stored_for_updates(&operations)?;
        for operation in operations {
            if matches!(operation, Operation::Put(..)) {
                self.make_room(&mut chunk)?;
            }
            results.push(match self.stage(&mut chunk, &stored, operation) {
                Ok(()) => Ok(()),
                Err(EngineError::Refused(refusal)) => Err(refusal),
                Err(error) => return Err(error),
            });
            if stop && results.last().is_some_and(Result::is_err) {
                break;
            }
            if chunk.records.len() >= CHUNK {
                self.commit(&mut chunk)?;
            }
        }
        self.commit(&mut chunk)?;
        if self.options.sync == Sync::Batch {
            self.wal.sync().map_err(|error| self.broke(error))?;
        }
        Ok(results)
    }

    /// Sees to it that the next document has a block and a segment to go to.
    fn make_room(&mut self, chunk: &mut Chunk) -> Result<(), EngineError> {
        if self.segment.rows() + chunk.added >= self.schema.max_doc_count_per_segment() {
            self.commit(chunk)?;
            self.roll_over()?;
        } else if chunk.staged.is_empty() {
            let memory = self.segment.memory_size() + self.id_map.memory_size();
            if memory >= self.options.block_memory || self.segment.block.vector_bytes() >= self.options.vector_bytes {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn stage(
        &mut self,
        chunk: &mut Chunk,
        stored: &HashMap<u64, Doc>,
        operation: Operation,
    ) -> Result<(), EngineError> {
        let (op, doc, replaces) = match operation {
            Operation::Delete(pk) => {
                let id = self.live_id(chunk, &pk)?.ok_or_else(|| not_found(&pk))?;
                (Op::Delete, Doc { pk, values: Vec::new() }, Some(id))
            }
            Operation::Put(mode, mut doc) => {
                self.schema.admit(&mut doc, mode)?;
                let old = self.live_id(chunk, &doc.pk)?;
                match (mode, old) {
                    (Mode::Insert, None) => (Op::Insert, doc, None),
                    (Mode::Insert, Some(_)) => return Err(exists(&doc.pk).into()),
                    (Mode::Upsert, old) => (Op::Upsert, doc, old),
                    (Mode::Update, None) => return Err(not_found(&doc.pk).into()),
                    (Mode::Update, Some(id)) => {
                        let whole = self.stored(chunk, stored, id, &doc.pk)?.merged(doc);
                        self.schema.check_size(&whole)?;
                        (Op::Update, whole, old)
                    }
                }
            }
        };
        // zvec logs the old document with updates and deletes alone.
        let logged = replaces.filter(|_| matches!(op, Op::Update | Op::Delete)).unwrap_or(0);
        let at = chunk.records.len();
        let mut refused = None;
        let encoded = encode_record_with(&mut chunk.records, |out| {
            self.schema.encode_payload(&doc, op, logged, out).map_err(|refusal| {
                let error = FormatError::unsupported(refusal.code, 0, refusal.message.clone());
                refused = Some(refusal);
                error
            })
        });
        if let Err(error) = encoded {
            return Err(refused.unwrap_or_else(|| Refusal::new("document.too-large", error.detail)).into());
        }
        let position = (op != Op::Delete).then_some((chunk.staged.len(), chunk.added));
        chunk.touched.insert(doc.pk.clone(), position);
        chunk.added += u64::from(position.is_some());
        chunk.staged.push(Staged { op, doc, replaces, at });
        Ok(())
    }

    /// The document id that a key has when the operations before it are done; ids of the chunk's own documents follow from their place in it.
    fn live_id(&self, chunk: &Chunk, pk: &[u8]) -> Result<Option<u64>, EngineError> {
        match chunk.touched.get(pk) {
            Some(Some((_, before))) => Ok(Some(self.next_doc_id + before)),
            Some(None) => Ok(None),
            // Deleted by filter: zvec leaves the key behind.
            None => Ok(self.id_map.get(pk)?.filter(|id| !self.deletes.contains(*id))),
        }
    }

    /// Logs a chunk and puts it into memory.
    fn commit(&mut self, chunk: &mut Chunk) -> Result<(), EngineError> {
        let Chunk { records, staged, .. } = std::mem::take(chunk);
        if staged.is_empty() {
            return Ok(());
        }
        let base = self.wal.end();
        match self.wal.append(&records) {
            Ok(()) => {}
            Err(WalFailure::Clean(error)) => return Err(error),
            Err(WalFailure::Unknown(error)) => return Err(self.broke(error)),
        }
        for Staged { op, doc, replaces, at } in staged {
            let applied = self.apply(op, doc, replaces, base + at as u64);
            applied.map_err(|error| self.broke(error))?;
        }
        Ok(())
    }

    /// Puts one logged operation into memory.
    pub(super) fn apply(&mut self, op: Op, doc: Doc, replaces: Option<u64>, offset: u64) -> Result<(), EngineError> {
        let pk = doc.pk.as_slice();
        if replaces.is_some_and(|old| self.deletes.insert(old)) {
            self.live = self.live.saturating_sub(1);
        }
        if op == Op::Delete {
            return if pk.is_empty() { Ok(()) } else { self.id_map.delete(pk) };
        }
        let doc_id = self.next_doc_id;
        self.id_map.put(pk, doc_id)?;
        let context = super::block::BlockContext {
            files: &self.files,
            root: &self.root,
            schema: &self.schema,
            segment: self.segment.id(),
            enable_mmap: self.enable_mmap,
            options: &self.options,
        };
        let values = doc.values.into_iter().map(|value| value.unwrap_or(Value::Null)).collect();
        self.segment.add(&context, doc_id, &doc.pk, values, offset)?;
        self.next_doc_id += 1;
        self.live += 1;
        Ok(())
    }

    /// The document that an update changes. An id map that leads to another document's row is damaged: neither is to be changed.
    fn stored(&self, chunk: &Chunk, stored: &HashMap<u64, Doc>, id: u64, pk: &[u8]) -> Result<Doc, EngineError> {
        let doc = self.stored_at(chunk, stored, id, pk)?;
        if doc.pk != pk {
            return Err(wrong_row(pk, &doc.pk).into());
        }
        Ok(doc)
    }

    fn stored_at(&self, chunk: &Chunk, stored: &HashMap<u64, Doc>, id: u64, pk: &[u8]) -> Result<Doc, EngineError> {
        let of_chunk = chunk.touched.get(pk).copied().flatten().and_then(|(position, _)| chunk.staged.get(position));
        if let Some(doc) = of_chunk.map(|staged| &staged.doc).or_else(|| stored.get(&id)) {
            return Ok(doc.clone());
        }
        if let Some(doc) = self.logged(id)? {
            return Ok(doc);
        }
        // It was in the open block when the batch began, and that has been flushed since.
        let mut found = self.reader().docs_by_ids(&self.schema, &[id])?;
        found.remove(&id).ok_or_else(|| unreadable(pk).into())
    }

    /// A document of the open block, from its record in the log.
    fn logged(&self, id: u64) -> Result<Option<Doc>, EngineError> {
        let Some(offset) = self.segment.block.record_of(id) else { return Ok(None) };
        let path = self.wal.path();
        let source = crate::inspect::FileSource::open(self.files.fs().as_ref(), path)
            .map_err(|error| EngineError::io(path, error))?;
        let payload = read_record(&source, offset).map_err(|error| EngineError::format(path, error))?;
        let doc = document::decode(&payload, offset).map_err(|error| EngineError::format(path, error))?;
        Ok(Some(self.schema.decode(doc)))
    }

    /// The published documents that these operations update, read in one go.
    fn stored_for_updates(&self, operations: &[Operation]) -> Result<HashMap<u64, Doc>, EngineError> {
        let mut ids = Vec::new();
        for operation in operations {
            if let Operation::Put(Mode::Update, doc) = operation
                && let Some(id) = self.id_map.get(&doc.pk)?
                && self.segment.block.record_of(id).is_none()
            {
                ids.push(id);
            }
        }
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        self.reader().docs_by_ids(&self.schema, &ids)
    }
}

fn shown(pk: &[u8]) -> String {
    String::from_utf8_lossy(pk).into_owned()
}

fn exists(pk: &[u8]) -> Refusal {
    Refusal::new("document.exists", format!("a document with the id {:?} is there already", shown(pk)))
}

fn not_found(pk: &[u8]) -> Refusal {
    Refusal::new("document.not-found", format!("there is no document with the id {:?}", shown(pk)))
}

fn wrong_row(pk: &[u8], found: &[u8]) -> Refusal {
    let message = format!(
        "the id map leads from {:?} to a row that has the key {:?}: one of the two is damaged; `zvecctl verify --level 2` tells more",
        shown(pk),
        shown(found)
    );
    Refusal::new("document.unreadable", message)
}

fn unreadable(pk: &[u8]) -> Refusal {
    let message =
        format!("the stored document {:?} cannot be read whole, so it cannot be updated; upsert it", shown(pk));
    Refusal::new("document.unreadable", message)
}
