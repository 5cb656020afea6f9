//! Everything that the kinds of vector files have beside their rows, read from a file that may be damaged anywhere.

use zvecctl::format::{
    Source,
    proxima::{Layout, VectorFile, hnsw::GraphReader},
};

/// Reads blocks, nodes, tables and lists, at most `most` of each: a damaged count may claim billions.
pub fn read<S: Source>(file: &VectorFile<S>, most: u64) {
    let source = file.source();
    match &file.layout {
        Layout::Flat(flat) => {
            let _ = flat.chain(source);
            for block in 0..flat.blocks().min(most) {
                let _ = flat.block_trailer(source, block);
            }
        }
        Layout::FlatSparse(_) | Layout::Ivf(_) => {}
        Layout::Graph(graph) => {
            let mut reader = GraphReader::default();
            for node in (0..graph.rows.min(most)).chain([u64::from(graph.header.entry_point), u64::MAX]) {
                let _ = graph.node(source, node, &mut reader);
                let _ = graph.distances(source, node, &mut reader);
            }
            for table in 0..graph.hash_tables.len().min(8) {
                for entry in graph.hash_entries(source, table).unwrap_or_default().iter().take(most as usize) {
                    graph.upper_place(entry);
                    let _ = graph.upper_neighbours(source, entry, 1);
                    let _ = graph.upper_neighbours(source, entry, entry.level);
                }
            }
        }
        Layout::IvfRabitq(ivf) => drop(ivf.cluster_table(source)),
        Layout::DiskAnn(graph) => {
            for node in (0..graph.rows.min(most)).chain([graph.medoid, u64::MAX]) {
                let _ = graph.edges(source, node);
            }
        }
    }
}
