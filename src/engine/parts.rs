//! The layers of a collection, each on its own: for repairs, which make one anew beside the others.

pub use super::{
    deletes::Deletes,
    files::Files,
    fts_index::{FtsIndex, is_needed as fts_index_needed},
    id_map::IdMap,
    quarantine::{folder_of as quarantine_of, free_run},
    scalar_index::{ScalarIndex, column_names as scalar_columns, is_needed as scalar_index_needed},
    segment::{WritingSegment, block_ids_on_disk, next_block_id},
    version::write_manifest,
};
