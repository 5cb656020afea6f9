//! The id map: primary key to document id, in a RocksDB directory.

use std::{path::Path, path::PathBuf};

use crate::format::idmap::{decode_value, encode_value};

use super::{
    EngineError,
    files::Files,
    rocks::{RocksSnapshot, RocksStore, id_map},
};

const FAMILY: &[u8] = b"default";

/// The id map of a collection, with what has not been flushed.
pub struct IdMap {
    path: PathBuf,
    store: RocksStore,
}

impl IdMap {
    /// Makes the directory of an empty id map; durable but for its name.
    pub fn create(files: &Files, path: PathBuf) -> Result<Self, EngineError> {
        let store = RocksStore::create(files.fs().clone(), &path, &[], id_map)?;
        Ok(Self { path, store })
    }

    /// Opens an id map for writing.
    pub fn open(files: &Files, path: PathBuf) -> Result<Self, EngineError> {
        let store = RocksStore::open(files.fs().clone(), &path, id_map)?;
        Ok(Self { path, store })
    }

    /// Whether its end was torn: what was flushed last may not be in it.
    pub fn was_torn(&self) -> bool {
        self.store.was_torn()
    }

    /// The document id of a primary key.
    pub fn get(&self, pk: &[u8]) -> Result<Option<u64>, EngineError> {
        match self.store.get(FAMILY, pk)? {
            Some(value) => self.decode(&value).map(Some),
            None => Ok(None),
        }
    }

    /// What writes that are not flushed make of a primary key: its document id, or `None` inside if they delete it.
    pub fn unflushed(&self, pk: &[u8]) -> Result<Option<Option<u64>>, EngineError> {
        match self.store.unflushed(FAMILY, pk)? {
            Some(Some(value)) => self.decode(&value).map(|id| Some(Some(id))),
            Some(None) => Ok(Some(None)),
            None => Ok(None),
        }
    }

    /// The primary keys that such writes touch.
    pub fn unflushed_keys(&self) -> Result<impl Iterator<Item = &[u8]>, EngineError> {
        self.store.unflushed_keys(FAMILY)
    }

    /// Makes room for so many more primary keys.
    pub fn reserve(&mut self, keys: usize) -> Result<(), EngineError> {
        self.store.reserve(FAMILY, keys)
    }

    /// Gives a primary key a document id.
    pub fn put(&mut self, pk: &[u8], doc_id: u64) -> Result<(), EngineError> {
        self.store.put(FAMILY, pk, &encode_value(doc_id))
    }

    /// Forgets a primary key.
    pub fn delete(&mut self, pk: &[u8]) -> Result<(), EngineError> {
        self.store.delete(FAMILY, pk)
    }

    /// The keys whose document id is `first` or higher.
    pub fn keys_from(&self, first: u64) -> Result<Vec<Vec<u8>>, EngineError> {
        let mut keys = Vec::new();
        for entry in self.store.scan(FAMILY)? {
            let (key, value) = entry?;
            if self.decode(&value)? >= first {
                keys.push(key);
            }
        }
        Ok(keys)
    }

    /// Bytes that unflushed entries take.
    pub fn memory_size(&self) -> usize {
        self.store.memory_size()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> Result<bool, EngineError> {
        Ok(self.store.scan(FAMILY)?.next().transpose()?.is_none())
    }

    /// Writes unflushed entries; all durable when this returns.
    pub fn flush(&mut self) -> Result<(), EngineError> {
        self.store.flush().map(drop)
    }

    /// What has been flushed so far, for readers.
    pub fn snapshot(&self) -> RocksSnapshot {
        self.store.snapshot()
    }

    fn decode(&self, value: &[u8]) -> Result<u64, EngineError> {
        decode_value(value, 0).map_err(|error| EngineError::format(&self.path, error))
    }
}

/// The document id of a primary key in a version's id map.
pub fn look_up(id_map: &RocksSnapshot, path: &Path, pk: &[u8]) -> Result<Option<u64>, EngineError> {
    let value = id_map.get(FAMILY, pk)?;
    value.map(|value| decode_value(&value, 0).map_err(|error| EngineError::format(path, error))).transpose()
}
