//! Content of a scalar inverted index, `scalar.index.<blk>.rocksdb`: what the keys and values in the column families mean.
//!
//! One RocksDB directory holds the index of all indexed columns of a segment. Rows are segment row ids (u32): positions in
//! the concatenated row blocks of the segment, deleted rows included.
//!
//! ```text
//! column family    present                        key                             value
//! <c>$TERMS        always                         term (see `term`)               posting (see `posting`)
//! <c>$SMRET        STRING, extended wildcards     term, bytes reversed            posting
//! <c>$ARRAY_LEN    arrays                         u32 big-endian element count    posting
//! <c>$RANGES       range optimisation, not for    begin, 00, end, u64 length of   posting: all rows of the terms
//!                  bools and arrays               begin (see `range`)             begin..=end
//! $CDF             always, shared                 <c>                             JSON (see `histogram`)
//! default          always, shared                 <c>$ZVEC$MAX_ID                 largest row id, decimal ASCII
//!                                                 <c>$ZVEC$NULL                   roaring set of the null rows; absent if none
//!                                                 <c>$ZVEC$SEALED                 "sealed", once no more rows can come
//! ```
//!
//! Postings are stored as RocksDB merge operands; merging is union. An array has one posting entry per distinct element;
//! an empty array appears under `$ARRAY_LEN` 0 only, a null only in the null set. `$CDF` and `$RANGES` are written when
//! the segment is sealed and only serve the planner: without them queries give the same answers.

mod build;
mod family;
mod histogram;
mod posting;
mod range;
mod special;
pub mod term;

pub use build::{EntryKind, IndexBuilder, IndexEntry, IndexedColumn, families};
pub use family::Family;
pub use histogram::{Histogram, Slot};
pub use posting::{Form, Posting, decode, encode, merge, union};
pub use range::RangeKey;
pub use special::{SEALED, Special, SpecialKey, decode_max_id};
