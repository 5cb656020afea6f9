//! Vector files of old releases that zvec 0.8.0 cannot open. They are intact.

use crate::{
    format::{
        manifest::proto::BlockType,
        proxima::{
            Codec, Layout, VectorFile,
            hnsw::{Graph, GraphKind},
        },
    },
    inspect::{SegmentRef, Tree},
    report::Finding,
};

use super::super::context::Context;

/// The scaling factor of every graph of 0.1.0; since then it is the degree of the upper levels.
const SCALING: u32 = 50;
/// Bytes of the header of its sparse graphs.
const SPARSE_HEADER: u32 = 64;

pub(super) fn check(context: &Context<'_>, tree: &Tree, segment: SegmentRef<'_>) {
    for block in &segment.meta.persisted_blocks {
        let vectors = matches!(
            BlockType::try_from(block.block_type),
            Ok(BlockType::VectorIndex | BlockType::VectorIndexQuantize)
        );
        let Some(path) = segment.block_path(block).filter(|path| vectors && tree.get(path).is_some()) else { continue };
        // What cannot be opened is told by the check of the file.
        let Some(file) = context.view.source(&path).ok().and_then(|source| VectorFile::open(source).ok()) else {
            continue;
        };
        let finding = if matches!(&file.layout, Layout::Flat(flat) if flat.legacy) {
            let detail = "the layout of flat files of 0.1.0, which zvec 0.8.0 cannot open; the file is intact";
            Finding::warning("vectors.legacy-layout", detail)
        } else if matches!(&file.layout, Layout::Graph(graph) if is_old(graph)) {
            let detail = "an HNSW graph as 0.1.0 built it, which zvec 0.8.0 cannot open; the file is intact";
            Finding::warning("vectors.legacy-layout", detail)
        } else if file.encoding.as_ref().is_ok_and(|encoding| encoding.codec == Codec::Int8Short) {
            let detail = "INT8 as 0.1.0 to 0.2.0 wrote it, which zvec 0.8.0 cannot open; the file is intact";
            Finding::warning("vectors.legacy-quantiser", detail)
        } else {
            continue;
        };
        context.findings.add(finding.at(&path).segment(segment.id()));
    }
}

/// Whether a graph has the sizes of 0.1.0: a scaling factor of 50 whatever the degree, and a short header if it is sparse.
fn is_old(graph: &Graph) -> bool {
    let header = &graph.header;
    match graph.kind {
        // Without upper levels there is nothing whose size depends on it, and zvec 0.8.0 opens the file.
        GraphKind::Hnsw => {
            header.scaling == SCALING && header.max_upper_degree != SCALING && !graph.hash_tables.is_empty()
        }
        GraphKind::HnswSparse => header.size == SPARSE_HEADER,
        GraphKind::HnswRabitq | GraphKind::Vamana => false,
    }
}
