//! RocksDB directories that can be written: id map, scalar index and full-text index.
//!
//! | module | job |
//! |---|---|
//! | `store` | [`RocksStore`]: opening, single operations, lookups over memory and tables |
//! | `flush` | what is in memory into tables; tables that pile up into one |
//! | `manifest_file` | the MANIFEST in force: appended to, begun anew |
//! | `view` | [`RocksSnapshot`]: what is in tables |
//! | `memtable`, `cache` | writes that are not in tables yet; data blocks read of late |
//! | `operators` | the merge operators of zvec's families |
//!
//! A write is in memory until [`RocksStore::flush`], and durable when that returns: zvec keeps no log of these directories either, its
//! own write-ahead log is for all of them. In memory are the unflushed writes, a few MiB of blocks, and of each table its index and its
//! filter (ten bits per key).

mod cache;
mod clock;
mod directory;
mod flush;
mod manifest_file;
mod memtable;
mod operators;
mod store;
#[cfg(test)]
mod tests;
mod view;

use std::{fmt, path::Path, sync::Arc};

use crate::{
    engine::EngineError,
    format::{FormatError, Kind, rocks::write::MergeOperator},
};

pub use flush::Flushed;
pub use operators::{LargestCount, PostingUnion, SetUnion, full_text_index, id_map, scalar_index};
pub use store::RocksStore;
pub use view::RocksSnapshot;

/// A merge operator that a store keeps.
pub type Operator = Arc<dyn MergeOperator + Send + Sync>;

/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// Tells how the family of a name is written.
type OptionsOf = dyn Fn(&[u8]) -> FamilyOptions + Send + Sync;

/// How a column family is written.
#[derive(Clone, Default)]
pub struct FamilyOptions {
    /// What its operands mean; a family without one takes no operands.
    pub merge: Option<Operator>,
    /// Name of the operator in the properties of tables.
    pub merge_operator_name: Option<String>,
    /// Bytes of the prefixes that filters hold beside whole keys, where zvec opens the family with a capped prefix extractor.
    pub capped_prefix: Option<usize>,
}

impl fmt::Debug for FamilyOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FamilyOptions")
            .field("merge", &self.merge.is_some())
            .field("merge_operator_name", &self.merge_operator_name)
            .field("capped_prefix", &self.capped_prefix)
            .finish()
    }
}

/// A fault of a file, or the system's refusal where it is one.
fn failed(path: &Path, error: FormatError) -> EngineError {
    match error.kind {
        Kind::Io => EngineError::io(path, std::io::Error::other(error.detail)),
        _ => EngineError::format(path, error),
    }
}
