//! Content of a full-text index, `fts.<blk>.rocksdb`: what the keys and values in the column families mean.
//!
//! One RocksDB directory holds the index of all full-text columns of a segment. Rows are segment row ids (u32).
//!
//! ```text
//! column family   key                            value                               merge
//! <c>             term                           posting: a bare portable roaring    union
//!                                                set, or packed once sealed
//!                                                (see `packed`)
//! <c>$POSITIONS   term, 00, u32 big-endian row   varints: first position, then
//!                                                the distances between positions
//! <c>$TF          term, 00, u32 big-endian row   u32 occurrences of the term
//! <c>$MAX_TF      term                           u32 largest occurrence count        maximum
//! <c>$DOC_LEN     u32 little-endian row          u32 number of tokens
//! $FTS_STAT       <c>_total_docs                 u64 big-endian
//!                 <c>_total_tokens               u64 big-endian
//! default         nothing
//! ```
//!
//! Sealing packs term frequencies and document lengths into the postings and drops `$TF`, `$MAX_TF` and `$DOC_LEN`;
//! positions and statistics stay. A null text has no entry anywhere; an empty text has a length of 0.

mod bm25;
mod build;
mod family;
mod pack;
mod packed;
mod posting;
mod seal;
pub mod tokenize;
mod values;

pub use bm25::Bm25;
pub use build::{FtsBuilder, TextColumn, Totals, families, surplus};
pub use family::{Family, StatKey};
pub use pack::{PackedRow, pack};
pub use packed::{Block, MAGIC, PackedPosting};
pub use posting::{Posting, decode, merge, union};
pub use seal::{Lengths, Sealer, sealed_families};
pub use values::{
    RowKey, decode_count, decode_positions, decode_row, decode_stat, encode_count, encode_positions, encode_row,
    encode_stat, merge_max,
};
