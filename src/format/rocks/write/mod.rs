//! The files of a RocksDB directory, written without RocksDB as the 8.1.1 that zvec embeds writes them.
//!
//! | module | bytes |
//! |---|---|
//! | [`block_builder`] | blocks: prefix compression, restarts |
//! | [`filter`] | Bloom filter of a table; [`xxph3`] is its hash |
//! | [`table_builder`] | tables, from sorted entries, block by block |
//! | [`log_writer`] | record logs: a new MANIFEST, or more records behind an old one |
//! | [`edit`] | the records of a MANIFEST |
//! | [`plan`] | which records: new database, flush, merge |
//! | [`merge`] | several tables into one |
//!
//! Nothing here opens, syncs or renames: the caller writes a table, syncs it, appends the edits of [`plan`] to the MANIFEST and
//! syncs that. A database has no other state, so the append is the commit. A new database is a MANIFEST and, last, CURRENT.
//! OPTIONS, IDENTITY and LOCK are not needed; RocksDB makes them when it opens the directory.

pub mod block_builder;
pub mod edit;
pub mod filter;
pub mod log_writer;
pub mod merge;
pub mod plan;
pub mod table_builder;
#[cfg(test)]
mod tests;
pub mod xxph3;

pub use log_writer::LogWriter;
pub use merge::{MergeOperator, merge_tables};
pub use plan::MergePlan;
pub use table_builder::{BuiltTable, TableBuilder, TableOptions};

/// Appends a LEB128 varint.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        // The low seven bits, which fit.
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Bytes that a varint takes.
pub(super) fn varint_length(value: u64) -> usize {
    (64 - (value | 1).leading_zeros()).div_ceil(7) as usize
}

/// Appends bytes behind their length as a varint.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}
