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
/// Roundings of a distance that is computed from sums.
const SUMMANDS: f64 = 4.0;
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

    fn stored(&mut self, node: u64) -> Option<Stored> {
        let record = self.file.record(node, &mut self.reader).ok()?;
        let values = self.encoding.components(record.bytes)?;
        let codes = match self.encoding.codec {
            Codec::Int8 => Codes::of(self.encoding, record.bytes),
            _ => None,
        };
        Some(Stored { values, codes })
    }
}

/// A vector whose distances to others are kept.
#[derive(Debug, Clone)]
struct Stored {
    values: Vec<f32>,
    codes: Option<Codes>,
}

/// Codes with the words behind them, from which zvec computes distances: where the components are nearly the same, the sums are not those of
/// the codes.
#[derive(Debug, Clone)]
struct Codes {
    codes: Vec<i8>,
    scale: f64,
    offset: f64,
    sum: f64,
    squares: f64,
}

impl Codes {
    fn of(encoding: &Encoding, element: &[u8]) -> Option<Self> {
        let found = encoding.redundancy(element, 0).ok()?;
        let codes = element.get(..encoding.dimension)?.iter().map(|code| *code as i8).collect();
        let (scale, offset) = (found.scale?.into(), found.offset?.into());
        Some(Self { codes, scale, offset, sum: found.sum?.into(), squares: found.square_sum?.into() })
    }

    /// The distance as a sum, and the sum of the sizes of what is added up: rounding is relative to that.
    fn distance(&self, other: &Self, metric: Metric) -> (f64, f64) {
        let pairs = self.codes.iter().zip(&other.codes);
        let product = pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        let (one, other, dimension) = (self, other, self.codes.len() as f64);
        let scales = one.scale * other.scale;
        let terms = match metric {
            Metric::L2 => {
                let between = 2.0 * (one.offset - other.offset);
                [
                    one.scale * one.scale * one.squares,
                    other.scale * other.scale * other.squares,
                    -2.0 * scales * product,
                    between * one.scale * one.sum,
                    -between * other.scale * other.sum,
                    dimension * (one.offset - other.offset).powi(2),
                ]
            }
            Metric::InnerProduct | Metric::Cosine => [
                -scales * product,
                -one.scale * one.sum * other.offset,
                -other.scale * other.sum * one.offset,
                -dimension * one.offset * other.offset,
                0.0,
                0.0,
            ],
        };
        // Differences of offsets are rounded too.
        let offsets = dimension * one.offset.abs().max(other.offset.abs()).powi(2);
        (terms.iter().sum(), terms.iter().map(|term| term.abs()).sum::<f64>() + offsets)
    }
}

/// Whether a distance that is kept is that of two vectors; otherwise what it should be.
fn check_distance(metric: Metric, one: &Stored, other: &Stored, kept: f32) -> Result<(), f64> {
    let dimension = one.values.len() as f64;
    let distance = metric.distance(&one.values, &other.values);
    let (first, second) = (square(&one.values), square(&other.values));
    let summed = one.codes.as_ref().zip(other.codes.as_ref()).map(|(one, other)| one.distance(other, metric));
    let limit = f64::from(f32::MAX);
    if !kept.is_finite() {
        // Squares of components, and sums on the way, may be too large for f32 where the components are not.
        let small = 2.0 * (first + second) < limit && summed.is_none_or(|(_, size)| size < limit);
        return if small { Err(distance) } else { Ok(()) };
    }
    // Products of small components are rounded to the smallest f32, or to zero.
    let least = dimension * 2.0 * f64::from(f32::MIN_POSITIVE);
    let kept = f64::from(kept);
    let near = |distance: f64, slack: f64| (distance - kept).abs() <= slack + least;
    let slack = ROUNDING * (dimension + 8.0) * first.max(second).max(distance.abs());
    let fits = near(distance, slack)
        || summed.is_some_and(|(sum, size)| {
            // Codes under COSINE: without the 1.
            near(distance - 1.0, slack) || near(sum, ROUNDING * SUMMANDS * size)
        });
    if fits { Ok(()) } else { Err(distance) }
}

/// The distances that Vamana keeps beside the neighbours are those of the vectors.
fn distances(subject: &Subject<'_>, file: &Opened, graph: &Graph) {
    let (Some(metric), Some(mut own), Some(mut theirs)) = (Metric::of(file), Vectors::new(file), Vectors::new(file))
    else {
        return;
    };
    match own.encoding.codec {
        Codec::Plain(DataType::Fp32 | DataType::Fp16) | Codec::Half | Codec::Int8 => {}
        // Sums of products of bytes may saturate in zvec's arithmetic.
        Codec::Plain(DataType::Int8) if matches!(metric, Metric::L2) => {}
        // Computed from sums that releases round differently.
        _ => return,
    }
    let (mut nodes, mut stored) = (GraphReader::default(), GraphReader::default());
    let mut reads = 0;
    for node in 0..rows_of(file) {
        if subject.ctx.stopped() || reads > MOST_READS {
            return;
        }
        let Ok(found) = graph.node(file.source(), node, &mut nodes) else { return };
        let Ok(kept) = graph.distances(file.source(), node, &mut stored) else { return };
        let Some(vector) = own.stored(node) else { continue };
        let mut wrong = None;
        let mut count = 0;
        for (slot, (neighbour, kept)) in found.neighbours.iter().zip(kept).enumerate() {
            reads += 1;
            let Some(other) = theirs.stored((*neighbour).into()) else { continue };
            if let Err(distance) = check_distance(metric, &vector, &other, kept) {
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

    fn plain(values: &[f32]) -> Stored {
        Stored { values: values.to_vec(), codes: None }
    }

    #[test]
    fn kept_distances_of_no_numbers_and_of_very_small_and_large_ones_fit() {
        for (metric, one, other, kept) in [
            (Metric::L2, [f32::NAN, 1.0], [0.0, 1.0], f32::NAN),
            (Metric::L2, [f32::INFINITY, 1.0], [0.0, 1.0], f32::INFINITY),
            (Metric::L2, [2e38, 0.0], [-1e38, 0.0], f32::INFINITY),
            (Metric::InnerProduct, [2e38, 2e38], [-1e38, 1e38], f32::NAN),
            // Squares below the smallest f32, or below the smallest normal one.
            (Metric::L2, [1e-25, 0.0], [0.0, 0.0], 0.0),
            (Metric::L2, [3e-21, 0.0], [0.0, 0.0], 0.0),
            (Metric::InnerProduct, [1e-40, 0.0], [1.0, 0.0], 0.0),
        ] {
            let found = check_distance(metric, &plain(&one), &plain(&other), kept);
            assert_eq!(found, Ok(()), "{one:?} {other:?} {kept}");
        }
        for (one, kept) in [
            ([1.0, 2.0], f32::NAN),
            ([1.0, 2.0], f32::INFINITY),
            ([f32::NAN, 2.0], 5.0),
            ([1.0, 2.0], 5.001),
            ([1e-15, 0.0], 0.0),
            ([0.0, 0.0], 1e-30),
        ] {
            assert!(check_distance(Metric::L2, &plain(&one), &plain(&[0.0, 0.0]), kept).is_err(), "{one:?} {kept}");
        }
    }

    fn coded(codes: [i8; 3], scale: f32, offset: f32, sum: f64, squares: f64) -> Stored {
        let values = codes.map(|code| f32::from(code) * scale + offset).to_vec();
        let (scale, offset) = (scale.into(), offset.into());
        Stored { values, codes: Some(Codes { codes: codes.to_vec(), scale, offset, sum, squares }) }
    }

    /// Two nodes of a graph that 0.8.0 built. The components of the second are so near to each other that their codes left the range of a
    /// byte, and the sums are of what the codes were before.
    #[test]
    fn kept_distances_of_codes_are_those_of_the_sums_behind_them() {
        let one = coded([127, -127, -1], 0.002_584_883_5, 1.710_720_5, -1.0, 32259.0);
        let other = coded([-128, -128, -128], 1.946_396_7e-5, 999.999_7, -128.0, 49152.0);
        assert_eq!(check_distance(Metric::L2, &one, &other, 2_989_743.3), Ok(()));
        for kept in [2_989_843.3, 2_989_743.3 / 2.0, 0.0, f32::NAN, f32::INFINITY] {
            assert!(check_distance(Metric::L2, &one, &other, kept).is_err(), "{kept}");
        }
    }

    /// Zeros are codes of -127 with steps of 4.7e-10, and what is left of their distance to each other is noise.
    #[test]
    fn kept_distances_of_zeros_are_nothing_but_rounding() {
        let step = f32::EPSILON / 254.0;
        let zero = coded([-127; 3], step, 127.0 * step, -381.0, 48387.0);
        for kept in [0.0, 1.6e-20, -3e-21] {
            assert_eq!(check_distance(Metric::L2, &zero, &zero, kept), Ok(()), "{kept}");
        }
        assert!(check_distance(Metric::L2, &zero, &zero, 1e-10).is_err());
    }
}
