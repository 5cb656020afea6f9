//! The manifest: the one file that says what a collection consists of.
//!
//! Named `manifest.<N>` or `MANIFEST_<N>`; the highest N is in force. The whole file is one protobuf message
//! (`proto/manifest.proto`) in plain wire format: no magic, no length, no checksum.
//!
//! ```text
//! field := tag value          tag = varint (number << 3 | wire type)
//! wire type 0  varint         bool, int32, uint32, uint64, enum
//! wire type 2  varint length, that many bytes: string or nested message
//! wire type 5  4 bytes        float (alpha of a Vamana index)
//!
//! 1 version                       2 schema { 1 name, 2 fields.., 3 max_doc_count_per_segment }
//! 3 enable_mmap                   4 persisted_segment_metas..   5 writing_segment_meta
//! 6 id_map_path_suffix            7 delete_snapshot_path_suffix 8 next_segment_id
//! ```
//!
//! zvec writes fields in ascending order, leaves default values out and packs nothing, so re-encoding gives the same bytes.
//! With no checksum to go by, what tells damage from intent is the encoding itself ([`Irregularity`]) and the
//! rules that tie the values together ([`check`]).
//!
//! A file of 0 bytes is a valid encoding of the empty message. zvec 0.8.0 obeys it: it deletes every segment.

mod check;
mod counts;
mod diff;
mod dump;
mod name;
/// Rust types of the messages, generated from `proto/manifest.proto`.
#[allow(missing_docs, clippy::all, clippy::pedantic)]
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/zvecctl.manifest.rs"));
}
mod wire;

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};

pub use check::{RuleViolation, check, is_idle};
pub use counts::{Recounted, recount};
pub use diff::{Change, diff};
pub use dump::{Assessment, Dump, DumpRow, UnknownEnumValue, UnknownField};
pub use name::{ManifestName, Style};
pub use proto::Manifest;
pub use wire::{Content, Irregularity, Node, WireType};

use super::{FormatError, Result};

/// Name of the column that holds the document id in every row block.
pub const DOC_ID_COLUMN: &str = "_zvec_g_doc_id_";
/// Name of the column that holds the primary key in every row block.
pub const PK_COLUMN: &str = "_zvec_uid_";

/// Decodes a manifest that must be whole and known: an empty file, a cut, a malformed field, or anything that only a newer
/// zvec can have written ([`Kind::Newer`](super::Kind::Newer)) is an error. [`Dump`] reads those as far as they go.
///
/// Codes: `manifest.empty`, `manifest.truncated`, `manifest.malformed`, `manifest.utf8`, `manifest.wire-type`,
/// `manifest.newer`, `manifest.too-large`.
pub fn decode(bytes: &[u8]) -> Result<Manifest> {
    if bytes.is_empty() {
        return Err(FormatError::truncated("manifest.empty", 0, "the manifest is empty (0 bytes)"));
    }
    let dump = Dump::read(bytes)?;
    if let Some(fault) = dump.faults.first() {
        return Err(fault.clone());
    }
    if let Some(error) = dump.assessment().newer() {
        return Err(error);
    }
    Manifest::decode(bytes).map_err(|error| FormatError::malformed("manifest.malformed", 0, error.to_string()))
}

/// Encodes a manifest as zvec does: fields ascending, defaults left out.
pub fn encode(manifest: &Manifest) -> Vec<u8> {
    manifest.encode_to_vec()
}

/// The manifest as a dynamic message, which carries fields that this build does not know through an edit.
pub fn decode_dynamic(bytes: &[u8]) -> Result<DynamicMessage> {
    DynamicMessage::decode(descriptor()?, bytes)
        .map_err(|error| FormatError::malformed("manifest.malformed", 0, error.to_string()))
}

/// Descriptor of the manifest message.
pub fn descriptor() -> Result<MessageDescriptor> {
    static LOADED: LazyLock<Result<MessageDescriptor>> = LazyLock::new(|| {
        let unsupported = |detail: String| FormatError::unsupported("manifest.descriptor", 0, detail);
        DescriptorPool::decode(include_bytes!(concat!(env!("OUT_DIR"), "/manifest.desc")).as_slice())
            .map_err(|error| unsupported(error.to_string()))?
            .get_message_by_name("zvecctl.manifest.Manifest")
            .ok_or_else(|| unsupported("the compiled schema holds no Manifest message".into()))
    });
    LOADED.clone()
}

/// Whether a block is a row block: a forward block that holds the document id column. Forward blocks of added or altered columns do not.
pub fn is_row_block(block: &proto::BlockMeta) -> bool {
    block.block_type == proto::BlockType::Scalar as i32 && block.columns.iter().any(|column| column == DOC_ID_COLUMN)
}

/// Rows of a segment's persisted row blocks.
pub fn row_count(segment: &proto::SegmentMeta) -> u64 {
    let counts = segment.persisted_blocks.iter().filter(|block| is_row_block(block));
    counts.fold(0, |sum, block| sum.saturating_add(u64::from(block.doc_count)))
}

/// The lowest document id of a segment with rows; in its row blocks ids ascend.
pub fn first_doc_id(segment: &proto::SegmentMeta) -> Option<u64> {
    segment.persisted_blocks.iter().find(|block| is_row_block(block)).map(|block| block.min_doc_id)
}

/// Puts the persisted segments into the order of their documents, in which zvec lists them whatever their ids.
pub fn sort_segments(manifest: &mut Manifest) {
    manifest.persisted_segment_metas.sort_by_key(|segment| (first_doc_id(segment), segment.segment_id));
}

#[cfg(test)]
pub(in crate::format) mod tests;
