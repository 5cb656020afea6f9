//! Level 3 of graphs: what a search finds. Distances that Vamana stores are checked; reachability and recall are told as information, for a
//! graph need not reach every node.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BinaryHeap, HashMap, HashSet},
};

use crate::format::proxima::{
    Codec, DataType, Encoding, IndexKind, Layout, RowReader,
    hnsw::{Graph, GraphKind, GraphReader, HashEntry, NO_ENTRY},
};

use super::{
    Opened, rows_of,
    subject::{Harm, Subject},
};

/// Reads of a neighbour's vector that a check of distances may take.
const MOST_READS: u64 = 20_000_000;
/// Nodes that a walk through the graph is worth.
const MOST_NODES: u64 = 20_000_000;
/// Multiplications that the exhaustive search may take.
const MOST_WORK: u64 = 4_000_000_000;
/// Rounding of f32 arithmetic, with a margin, for each component.
const ROUNDING: f64 = 4.0 / (1u64 << 24) as f64;
const QUERIES: u64 = 30;
const NEIGHBOURS: usize = 10;
const EF: usize = 100;

pub(super) fn check(subject: &Subject<'_>, file: &Opened) {
    let Layout::Graph(graph) = &file.layout else { return };
    if graph.kind == GraphKind::Vamana {
        distances(subject, file, graph);
    }
    if graph.header.entry_point == NO_ENTRY
        || graph.rows > MOST_NODES
        || u64::from(graph.header.entry_point) >= rows_of(file)
    {
        return;
    }
    reachability(subject, file, graph);
    if file.kind == IndexKind::Hnsw {
        recall(subject, file, graph);
    }
}

/// How the metric of an index compares stored vectors: less is nearer.
#[derive(Clone, Copy)]
enum Metric {
    L2,
    InnerProduct,
    Cosine,
}

impl Metric {
    fn of(file: &Opened) -> Option<Self> {
        match file.meta.metric() {
            "SquaredEuclidean" => Some(Self::L2),
            "InnerProduct" => Some(Self::InnerProduct),
            "Cosine" => Some(Self::Cosine),
            _ => None,
        }
    }

    fn distance(self, a: &[f32], b: &[f32]) -> f64 {
        let pairs = a.iter().zip(b).map(|(a, b)| (f64::from(*a), f64::from(*b)));
        match self {
            Self::L2 => pairs.map(|(a, b)| (a - b) * (a - b)).sum(),
            Self::InnerProduct => -pairs.map(|(a, b)| a * b).sum::<f64>(),
            Self::Cosine => 1.0 - pairs.map(|(a, b)| a * b).sum::<f64>(),
        }
    }
}

/// Vectors of a graph as its searches compare them.
struct Vectors<'f> {
    file: &'f Opened,
    encoding: &'f Encoding,
    reader: RowReader,
}

impl<'f> Vectors<'f> {
    fn new(file: &'f Opened) -> Option<Self> {
        Some(Self { file, encoding: file.encoding.as_ref().ok()?, reader: file.reader() })
    }

    fn get(&mut self, node: u64) -> Option<Vec<f32>> {
        let record = self.file.record(node, &mut self.reader).ok()?;
        self.encoding.components(record.bytes)
    }
}

/// The distances that Vamana keeps beside the neighbours are those of the vectors.
fn distances(subject: &Subject<'_>, file: &Opened, graph: &Graph) {
    let (Some(metric), Some(mut own), Some(mut theirs)) = (Metric::of(file), Vectors::new(file), Vectors::new(file))
    else {
        return;
    };
    let codes = match own.encoding.codec {
        Codec::Plain(DataType::Fp32 | DataType::Fp16) | Codec::Half => false,
        // Sums of products of bytes may saturate in zvec's arithmetic.
        Codec::Plain(DataType::Int8) if matches!(metric, Metric::L2) => false,
        Codec::Int8 => true,
        // Computed from sums that releases round differently.
        _ => return,
    };
    let (mut nodes, mut stored) = (GraphReader::default(), GraphReader::default());
    let mut reads = 0;
    for node in 0..rows_of(file) {
        if subject.ctx.stopped() || reads > MOST_READS {
            return;
        }
        let Ok(found) = graph.node(file.source(), node, &mut nodes) else { return };
        let Ok(kept) = graph.distances(file.source(), node, &mut stored) else { return };
        let Some(vector) = own.get(node) else { continue };
        let mut wrong = None;
        let mut count = 0;
        for (slot, (neighbour, kept)) in found.neighbours.iter().zip(kept).enumerate() {
            reads += 1;
            let Some(other) = theirs.get((*neighbour).into()) else { continue };
            let (distance, kept) = (metric.distance(&vector, &other), f64::from(kept));
            let slack =
                ROUNDING * (vector.len() as f64 + 8.0) * square(&vector).max(square(&other)).max(distance.abs());
            // Codes under COSINE: without the 1.
            let near = |distance: f64| (distance - kept).abs() <= slack;
            if slack.is_finite() && !near(distance) && !(codes && near(distance - 1.0)) {
                count += 1;
                wrong = wrong.or(Some((slot, *neighbour, distance, kept)));
            }
        }
        let Some((slot, neighbour, distance, kept)) = wrong else { continue };
        let offset = found.offset;
        let detail = format!(
            "node {node}: {count} of {} distances are not those of the vectors; the one to neighbour {neighbour}, in slot {slot}, is \
             {distance:.7}, {kept:.7} stored",
            found.neighbours.len()
        );
        if count > 1 && count == found.neighbours.len() {
            let detail = format!("{detail}; none fits, so its vector is wrong");
            subject.row_error(node, "vectors.differ", offset, Harm::Vectors, detail);
        } else {
            subject.row_error(node, "hnsw.bad-distance", offset, Harm::Search, detail);
        }
    }
}

fn square(vector: &[f32]) -> f64 {
    vector.iter().map(|x| f64::from(*x).powi(2)).sum()
}

fn reachability(subject: &Subject<'_>, file: &Opened, graph: &Graph) {
    let Ok(nodes) = usize::try_from(rows_of(file)) else { return };
    let mut seen = vec![0u64; nodes.div_ceil(64)];
    let mut waiting = vec![graph.header.entry_point];
    let mut reader = GraphReader::default();
    let mut reached = 0u64;
    let mut visit = |node: u32| {
        let word = seen.get_mut(node as usize / 64)?;
        let fresh = *word & (1 << (node % 64)) == 0;
        *word |= 1 << (node % 64);
        fresh.then_some(())
    };
    if visit(graph.header.entry_point).is_some() {
        reached += 1;
    }
    while let Some(node) = waiting.pop() {
        if subject.ctx.stopped() {
            return;
        }
        let Ok(found) = graph.node(file.source(), node.into(), &mut reader) else { continue };
        for neighbour in found.neighbours {
            if (neighbour as usize) < nodes && visit(neighbour).is_some() {
                reached += 1;
                waiting.push(neighbour);
            }
        }
    }
    let all = nodes as u64;
    if reached < all {
        let detail = format!(
            "{} of {all} nodes cannot be reached on level 0 from the entry point; zvec builds such graphs, and no search finds \
             those nodes that way",
            all - reached
        );
        subject.info("hnsw.unreachable", None, detail);
    }
}

#[derive(Clone, Copy, PartialEq)]
struct Near {
    distance: f64,
    node: u32,
}

impl Eq for Near {}

impl Ord for Near {
    fn cmp(&self, other: &Self) -> Ordering {
        self.distance.total_cmp(&other.distance).then(self.node.cmp(&other.node))
    }
}

impl PartialOrd for Near {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Searches for some of the vectors themselves, through the graph and exhaustively.
fn recall(subject: &Subject<'_>, file: &Opened, graph: &Graph) {
    let rows = rows_of(file);
    let (Some(metric), Some(mut vectors)) = (Metric::of(file), Vectors::new(file)) else { return };
    let work = rows.saturating_mul(vectors.encoding.dimension as u64).max(1);
    let queries = QUERIES.min(rows).min(MOST_WORK / work);
    if queries == 0 || rows <= NEIGHBOURS as u64 {
        return;
    }
    let chosen: Vec<Vec<f32>> = (0..queries).filter_map(|query| vectors.get(query * rows / queries)).collect();
    let mut best: Vec<BinaryHeap<Near>> = vec![BinaryHeap::new(); chosen.len()];
    for node in 0..rows {
        if subject.ctx.stopped() {
            return;
        }
        let Some(vector) = vectors.get(node) else { continue };
        for (query, best) in chosen.iter().zip(&mut best) {
            best.push(Near { distance: metric.distance(query, &vector), node: node as u32 });
            if best.len() > NEIGHBOURS {
                best.pop();
            }
        }
    }
    let tables =
        (0..graph.hash_tables.len()).flat_map(|table| graph.hash_entries(file.source(), table).unwrap_or_default());
    let upper: HashMap<u32, HashEntry> = tables.map(|entry| (entry.node, entry)).collect();
    let (mut hits, mut wanted) = (0u64, 0u64);
    for (query, best) in chosen.iter().zip(&best) {
        let mut search = Search { file, graph, upper: &upper, vectors: &mut vectors, metric, query };
        let found: Vec<f64> = search.run().into_iter().map(|near| near.distance).collect();
        // By distance, as equal ones may stand for each other.
        let Some(worst) = best.peek() else { continue };
        wanted += best.len() as u64;
        let good = found.iter().filter(|distance| **distance <= worst.distance).count();
        hits += good.min(best.len()) as u64;
    }
    if wanted == 0 {
        return;
    }
    let (low, high) = wilson(hits, wanted);
    let detail = format!(
        "recall@{NEIGHBOURS} with ef {EF} over {} of its own vectors: {:.3}, 95 % interval {low:.3} to {high:.3}",
        chosen.len(),
        hits as f64 / wanted as f64
    );
    subject.info("hnsw.recall", None, detail);
}

/// 95 % confidence interval of a share (Wilson).
fn wilson(hits: u64, of: u64) -> (f64, f64) {
    let (n, z) = (of as f64, 1.96f64);
    let share = hits as f64 / n;
    let centre = share + z * z / (2.0 * n);
    let spread = z * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    let whole = 1.0 + z * z / n;
    (((centre - spread) / whole).max(0.0), ((centre + spread) / whole).min(1.0))
}

struct Search<'s, 'f> {
    file: &'f Opened,
    graph: &'f Graph,
    upper: &'s HashMap<u32, HashEntry>,
    vectors: &'s mut Vectors<'f>,
    metric: Metric,
    query: &'s [f32],
}

impl Search<'_, '_> {
    fn near(&mut self, node: u32) -> Option<Near> {
        let vector = self.vectors.get(node.into())?;
        Some(Near { distance: self.metric.distance(self.query, &vector), node })
    }

    /// Down the upper levels, then best first on level 0.
    fn run(&mut self) -> Vec<Near> {
        let Some(mut at) = self.near(self.graph.header.entry_point) else { return Vec::new() };
        for level in (1..=self.graph.header.max_level.min(15)).rev() {
            // Every step is nearer than the one before, so it ends.
            while let Some(next) = self.step(at, level) {
                at = next;
            }
        }
        let mut seen = HashSet::from([at.node]);
        let (mut waiting, mut found) = (BinaryHeap::from([Reverse(at)]), BinaryHeap::from([at]));
        let mut reader = GraphReader::default();
        while let Some(Reverse(nearest)) = waiting.pop() {
            if found.len() >= EF && found.peek().is_some_and(|worst| nearest > *worst) {
                break;
            }
            let Ok(node) = self.graph.node(self.file.source(), nearest.node.into(), &mut reader) else { continue };
            for neighbour in node.neighbours {
                let Some(near) = seen.insert(neighbour).then(|| self.near(neighbour)).flatten() else { continue };
                if found.len() < EF || found.peek().is_some_and(|worst| near < *worst) {
                    waiting.push(Reverse(near));
                    found.push(near);
                    if found.len() > EF {
                        found.pop();
                    }
                }
            }
        }
        let mut found = found.into_sorted_vec();
        found.truncate(NEIGHBOURS);
        found
    }

    fn step(&mut self, at: Near, level: u32) -> Option<Near> {
        let entry = *self.upper.get(&at.node)?;
        let neighbours = self.graph.upper_neighbours(self.file.source(), &entry, level).ok()?.neighbours;
        let nearest = neighbours.into_iter().filter_map(|node| self.near(node)).min()?;
        (nearest < at).then_some(nearest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_holds_the_share_and_narrows_with_more_samples() {
        let (low, high) = wilson(90, 100);
        assert!(low > 0.82 && low < 0.9 && high > 0.9 && high < 0.95, "{low} {high}");
        let (narrow_low, narrow_high) = wilson(9000, 10_000);
        assert!(narrow_low > low && narrow_high < high);
        assert_eq!(wilson(10, 10).1, 1.0);
    }

    #[test]
    fn less_is_nearer_under_every_metric() {
        let (a, near, far) = ([1.0, 0.0], [0.8, 0.6], [0.0, 1.0]);
        for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine] {
            assert!(metric.distance(&a, &near) < metric.distance(&a, &far));
        }
    }
}
