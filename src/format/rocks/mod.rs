//! RocksDB directories, read and written without RocksDB: id map, scalar indexes and full-text indexes.
//!
//! zvec embeds RocksDB 8.1.1; tables of format versions 0 to 7 are read. The byte maps are in the modules:
//!
//! | module | bytes |
//! |---|---|
//! | [`db`] | the directory: which files there are and which of them count ([`directory`]) |
//! | [`log`] | record logs: MANIFEST and write-ahead log |
//! | [`edit`] | the records of a MANIFEST; [`version`] replays them |
//! | [`batch`] | the records of a write-ahead log |
//! | [`table`] | tables: [`footer`], [`properties`], index |
//! | [`block`] | blocks: checksum; [`decompress`], [`entries`] |
//! | [`key`] | internal keys |
//!
//! [`read`] looks keys up, [`scan`] lists them, [`check`] reads whole tables, [`write`](mod@write) makes all of it.
//!
//! [`Db`] reads block by block: a damaged block costs its own keys, and whatever it may have held is answered with
//! [`Lookup::Unknown`] or a [`Row`] that is not `certain`, never with "absent".

pub mod batch;
pub mod block;
pub mod check;
mod checksums;
pub mod db;
pub mod decompress;
pub mod directory;
pub mod edit;
pub mod entries;
pub mod footer;
pub mod key;
pub mod log;
pub mod properties;
pub mod read;
mod salvage;
pub mod scan;
pub mod table;
#[cfg(test)]
mod tests;
pub mod version;
pub mod write;

/// Faults at the end of a MANIFEST or log that a crash leaves, or a damage that looks like it: part of a record, part of an atomic group.
pub const OF_A_CRASH: [&str; 2] = ["rocks-log.torn-tail", "rocks-manifest.incomplete-group"];
/// Faults of a log or MANIFEST that are kept.
const MOST_FAULTS: usize = 1000;

pub use check::TableCheck;
pub use db::{Db, Family, Fault, LiveTable};
pub use directory::Directory;
pub use key::{Comparator, KeyRange, ValueType, Version};
pub use read::{Entry, Lookup};
pub use scan::{Row, Scan, StoredVersion, Versions};
pub use table::{Table, TableFault, TableHints};
