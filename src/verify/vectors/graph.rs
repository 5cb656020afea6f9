//! Level 2 of the HNSW family: headers, nodes and their neighbours on level 0. Upper levels are in `upper`.

use crate::format::{
    Source,
    proxima::{
        VectorFile,
        hnsw::{Graph, GraphKind, GraphReader},
    },
    read_vec,
};

use super::{
    rabitq,
    subject::{Harm, Subject, non_zero},
};

const CUT: &str = "hnsw.truncated";
const NO_KEY: u64 = u64::MAX;
const CHUNK_SIZE: u64 = 2 << 20;

pub(super) fn check<S: Source>(subject: &Subject<'_>, file: &VectorFile<S>, graph: &Graph) {
    header(subject, file, graph);
    chunk_meta(subject, file, graph);
    nodes(subject, file, graph);
    if graph.kind == GraphKind::HnswSparse {
        let stored = u64::from(graph.header.non_zeros);
        let word = if graph.header.size == 64 { 15 } else { 14 };
        let offset = graph.header.offset + 4 * word;
        super::sparse::check(subject, file, &graph.sparse_chunks, (stored, "hnsw.bad-non-zeros", offset));
    }
    if let Some([padded_dimension, ..]) = graph.header.rabitq {
        let extra_bits = read_vec(file.source(), graph.header.offset + 60, 1, CUT).ok();
        let extra_bits = extra_bits.and_then(|bytes| bytes.first().copied());
        rabitq::check(subject, file, &rabitq::Expected { clusters: None, padded_dimension, extra_bits });
    }
    if graph.kind != GraphKind::Vamana {
        super::upper::check(subject, file.source(), graph);
    }
}

fn header<S: Source>(subject: &Subject<'_>, file: &VectorFile<S>, graph: &Graph) {
    let Some(segment) = file.container.segment("HnswT1S0") else { return };
    let Ok(bytes) = read_vec(file.source(), segment.offset, segment.size.min(1 << 20), CUT) else { return };
    let size = usize::try_from(graph.header.size).unwrap_or(usize::MAX);
    // Words that are always zero; the rest of the graph header follows those with a meaning.
    let (zero, used): (&[usize], usize) = match graph.kind {
        GraphKind::Hnsw => (&[1, 2, 7, 10, 11], 12),
        GraphKind::HnswSparse if size == 64 => (&[1, 2, 7, 10, 11], 16),
        GraphKind::HnswSparse => (&[1, 2, 7, 10, 11], 15),
        GraphKind::HnswRabitq => (&[1, 2, 7, 10, 11], 16),
        GraphKind::Vamana => (&[1, 2, 11], 13),
    };
    let word = |at: usize| bytes.get(4 * at..4 * at + 4).unwrap_or_default();
    let mut unused: Vec<(usize, &[u8])> = zero.iter().map(|at| (4 * at, word(*at))).collect();
    unused.push((4 * used, bytes.get(4 * used..size).unwrap_or_default()));
    if graph.kind == GraphKind::Vamana {
        unused.push((size, bytes.get(size..).unwrap_or_default()));
    } else {
        let upper = bytes.get(size..).unwrap_or_default();
        for range in [4..8, 12..16, 28..upper.len().max(28)] {
            unused.push((size + range.start, upper.get(range).unwrap_or_default()));
        }
        let stated = upper.first_chunk().map_or(0, |word| u32::from_le_bytes(*word));
        if stated != 64 {
            let detail = format!("header of the upper levels of {stated} bytes, 64 expected");
            subject.error("hnsw.bad-header", segment.offset + size as u64, Harm::Search, detail);
        }
    }
    for (at, bytes) in unused {
        if let Some(position) = non_zero(bytes) {
            subject.warning(
                "hnsw.padding",
                segment.offset + (at + position) as u64,
                "an unused byte of the header is not zero",
            );
        }
    }
    relations(subject, graph, &bytes);
}

/// What the parameters of a graph are to each other in every release.
fn relations(subject: &Subject<'_>, graph: &Graph, bytes: &[u8]) {
    let header = &graph.header;
    let word = |at: usize| {
        let bytes = bytes.get(4 * at..4 * at + 4).and_then(|bytes| bytes.first_chunk());
        bytes.map_or(0, |bytes| u64::from(u32::from_le_bytes(*bytes)))
    };
    let expect = |at: u64, what: &str, found: u64, expected: &[u64]| {
        if !expected.contains(&found) {
            let detail = format!("{what}: {found}, {expected:?} expected");
            subject.error("hnsw.bad-parameter", header.offset + at, Harm::Search, detail);
        }
    };
    let (degree, upper) = (u64::from(header.max_degree), u64::from(header.max_upper_degree));
    match graph.kind {
        GraphKind::Vamana => expect(32, "max occlusion", word(8), &[750]),
        _ => {
            let end = u64::from(header.size);
            expect(end + 8, "largest degree of upper levels", upper, &[degree / 2]);
            // 0.1.0: m is the degree itself, and the scaling factor fixed.
            expect(32, "prune count", word(8), &[degree / 2]);
            expect(end + 16, "scaling factor", header.scaling.into(), &[degree / 2, 50]);
        }
    }
    if graph.kind == GraphKind::HnswSparse {
        if header.size != 64 {
            expect(48, "size of a place", word(12), &[16]);
            expect(52, "bytes of a value", word(13), &[4, 2]);
        }
        expect(16, "vector size", header.vector_size.into(), &[0]);
    }
    if let Some([padded, binary, extra]) = header.rabitq {
        // Cluster, codes of one bit, codes of more bits.
        let vector = 4 + u64::from(binary) + u64::from(extra);
        expect(16, "size of the codes", header.vector_size.into(), &[vector, vector.next_multiple_of(4)]);
        expect(48, "padded dimension", (padded % 64).into(), &[0]);
    }
}

fn chunk_meta<S: Source>(subject: &Subject<'_>, file: &VectorFile<S>, graph: &Graph) {
    let meta = &graph.meta;
    let Some(segment) = file.container.segment("HnswT2S0") else { return };
    let Ok(bytes) = read_vec(file.source(), segment.offset, segment.size.min(1 << 20), CUT) else { return };
    if let Some(at) = non_zero(bytes.get(104..).unwrap_or_default()) {
        subject.warning(
            "hnsw.padding",
            segment.offset + 104 + at as u64,
            "an unused byte of the chunk meta is not zero",
        );
    }
    // Of sparse and RaBitQ graphs: what the nodes of a chunk take.
    let capacity = graph.derived.map_or(CHUNK_SIZE, |derived| derived.node_capacity);
    if meta.chunk_size != CHUNK_SIZE && meta.chunk_size != capacity {
        let detail = format!("chunks of {}, {CHUNK_SIZE} or {capacity} expected", meta.chunk_size);
        subject.error("hnsw.bad-chunk-meta", segment.offset + 64, Harm::Search, detail);
    }
    for (kind, expected) in [(0, 0), (1, 1), (2, 1)] {
        let found = meta.counts.get(kind).copied().unwrap_or(expected);
        if found != expected {
            let detail = format!("{found} chunks of type {kind} announced, {expected} expected");
            subject.error("hnsw.bad-chunk-count", segment.offset + 8 * kind as u64, Harm::Search, detail);
        }
    }
    subject.times(meta.created, meta.updated, segment.offset + 88);
    if meta.revision > u64::from(u32::MAX) {
        subject.warning("proxima.revision", segment.offset + 80, format!("revision {}", meta.revision));
    }
}

fn nodes<S: Source>(subject: &Subject<'_>, file: &VectorFile<S>, graph: &Graph) {
    let vector_size = usize::try_from(graph.vector_size()).unwrap_or(usize::MAX);
    let room = usize::try_from(graph.header.max_degree).unwrap_or(usize::MAX);
    let mut reader = GraphReader::default();
    let mut list = Vec::new();
    for node in 0..graph.rows {
        if subject.ctx.stopped() {
            return;
        }
        let (offset, bytes) = match graph.node_bytes(file.source(), node, &mut reader) {
            Ok(found) => found,
            // The file ends here, and so do all later nodes.
            Err(error) => return subject.row_format(node, &error, Harm::Vectors),
        };
        let Some((key, rest)) = bytes.get(vector_size..).and_then(|rest| rest.split_first_chunk()) else { return };
        let Some((degree, rest)) = rest.split_first_chunk() else { return };
        let (key, degree) = (u64::from_le_bytes(*key), u32::from_le_bytes(*degree));
        let key_at = offset + vector_size as u64;
        if key != node && key != NO_KEY {
            let detail = format!("node {node} states key {key}");
            subject.row_error(node, "proxima.bad-key", key_at, Harm::Search, detail);
        }
        let (slots, tail) = rest.split_at_checked(4 * room).unwrap_or((rest, &[]));
        let slots = slots.as_chunks::<4>().0.iter().map(|id| u32::from_le_bytes(*id));
        let place = Place { node, level: 0, offset: key_at + 8, code: ["hnsw.bad-degree", "hnsw.bad-neighbour"] };
        neighbours(subject, &place, degree, slots, graph.rows, &mut list);
        if let Some(at) = non_zero(tail) {
            let offset = key_at + 12 + (4 * room + at) as u64;
            subject.warning("hnsw.padding", offset, format!("an unused byte of node {node} is not zero"));
        }
    }
}

/// A list of neighbours.
pub(super) struct Place {
    pub(super) node: u64,
    pub(super) level: u32,
    /// Of the degree.
    pub(super) offset: u64,
    /// Codes for a wrong degree and a wrong neighbour.
    pub(super) code: [&'static str; 2],
}

/// The rules of a list of neighbours, and of the slots behind it, which may hold ids of pruned ones. `list` is left with the neighbours.
pub(super) fn neighbours(
    subject: &Subject<'_>,
    place: &Place,
    degree: u32,
    slots: impl ExactSizeIterator<Item = u32>,
    rows: u64,
    list: &mut Vec<u32>,
) {
    let Place { node, level, offset, code: [bad_degree, bad_neighbour] } = *place;
    let room = slots.len();
    let used = usize::try_from(degree).unwrap_or(usize::MAX);
    if used > room {
        let detail =
            format!("node {node}, level {level}: {degree} neighbours in room for {room}; zvec reads beyond the node");
        subject.row_error(node, bad_degree, offset, Harm::Search, detail);
    }
    list.clear();
    for (slot, id) in slots.enumerate() {
        let at = offset + 4 + 4 * slot as u64;
        if slot >= used {
            // Of pruned neighbours, which exist all the same.
            if u64::from(id) >= rows && id != 0 {
                let detail = format!("node {node}, level {level}: an unused slot names node {id} of {rows}");
                subject.warning("hnsw.padding", at, detail);
            }
            continue;
        }
        let wrong = if u64::from(id) >= rows {
            Some(format!("{id} of {rows} nodes"))
        } else if u64::from(id) == node {
            Some("itself".to_owned())
        } else {
            None
        };
        if let Some(wrong) = wrong {
            let detail = format!("node {node}, level {level}: its neighbour is {wrong}");
            subject.row_error(node, bad_neighbour, at, Harm::Search, detail);
        }
        list.push(id);
    }
    let mut sorted = list.clone();
    sorted.sort_unstable();
    if let Some(pair) = sorted.windows(2).find(|pair| pair.first() == pair.last()) {
        let detail = format!("node {node}, level {level}: neighbour {} twice", pair.first().copied().unwrap_or(0));
        subject.row_error(node, bad_neighbour, offset, Harm::Search, detail);
    }
}
