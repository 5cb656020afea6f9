//! Vectors that may have been overwritten, told from what stands beside them. No checksum covers them.
//!
//! ```text
//! flat    32 elements | 32 keys | zeros | trailer | the next block
//!                       ^ every byte is known: row numbers, zeros, the block before, the number of rows
//! graph   vector | key | degree | neighbours | the next node
//!                  ^ known         ^ below the number of nodes
//! both    zeros | the first vector … of flat files also: the last vector | zeros, up to the keys
//! ```
//!
//! A vector says nothing of itself. What stands behind it can be told from the rest of the file, so damage there shows, and where it comes up to the
//! vectors before or behind it may go on in them: how far, nothing tells. Damage that ends before is confined, and so is a single wrong byte, which a
//! flipped bit makes.

mod edges;
mod sparse;

use std::ops::Range;

use super::{
    Container, Layout, VectorFile,
    flat::{BLOCK_ROWS, Flat},
    hnsw::{Graph, GraphKind, GraphReader},
};
use crate::format::{Result, Source, read_vec};

const CUT: &str = "flat.truncated";
const NO_KEY: u64 = u64::MAX;
/// Right bytes between wrong ones of the same damage: zeros over keys leave most of their bytes as they were.
const SAME: usize = 40;
/// Damage that begins within two keys of the elements reaches them: over the key 0 zeros do not show.
const BORDER: usize = 16;
/// The last bytes of a trailer, rows and flags: zeros over the rows show.
const END: usize = 4;

impl<S: Source> VectorFile<S> {
    /// Rows whose vectors lie beside bytes that were overwritten, in order. Of other kinds than flat files, and graphs of dense vectors, nothing is told.
    pub fn beside_damage(&self) -> Result<Vec<Range<u64>>> {
        match &self.layout {
            Layout::Flat(flat) => flat.beside_damage(&self.source, &self.container),
            Layout::Graph(graph) if matches!(graph.kind, GraphKind::Hnsw | GraphKind::Vamana) => {
                graph.beside_damage(&self.source, &self.container)
            }
            Layout::FlatSparse(flat) => sparse::beside_damage(self, flat),
            _ => Ok(Vec::new()),
        }
    }
}

/// Adds rows behind those that are there.
fn push(found: &mut Vec<Range<u64>>, rows: Range<u64>) {
    match found.last_mut().filter(|last| last.end >= rows.start) {
        Some(last) => last.end = last.end.max(rows.end),
        None => found.push(rows),
    }
}

impl Graph {
    fn beside_damage<S: Source + ?Sized>(&self, source: &S, container: &Container) -> Result<Vec<Range<u64>>> {
        let mut found = Vec::new();
        if self.rows > 0
            && let Some(first) = self.node_chunks.first()
            && edges::before(source, container, first.offset)?
        {
            push(&mut found, 0..1);
        }
        let mut reader = GraphReader::default();
        let vector_size = usize::try_from(self.vector_size()).unwrap_or(usize::MAX);
        let room = usize::try_from(self.header.max_degree).unwrap_or(usize::MAX);
        for node in 0..self.rows.min(source.size() / u64::from(self.header.node_size).max(1)) {
            let (_, bytes) = self.node_bytes(source, node, &mut reader)?;
            let Some((key, rest)) = bytes.get(vector_size..).and_then(|rest| rest.split_first_chunk::<8>()) else {
                break;
            };
            let wrong = key.iter().zip(node.to_le_bytes()).filter(|(stored, known)| **stored != *known).count();
            if wrong > 1 && u64::from_le_bytes(*key) != NO_KEY {
                push(&mut found, node..node.saturating_add(1));
            }
            // Behind the degree; slots that are not used are zero, or have ids that were once neighbours.
            let slots = rest.get(4..).unwrap_or_default().as_chunks::<4>().0.iter().take(room);
            let nowhere = |id: &[u8; 4]| u64::from(u32::from_le_bytes(*id)) >= self.rows;
            let (mut count, mut last) = (0usize, false);
            for id in slots {
                last = nowhere(id);
                count += usize::from(last);
            }
            if last && count > 1 {
                let next = node.saturating_add(1);
                push(&mut found, next..next.saturating_add(1).min(self.rows.max(next)));
            }
        }
        Ok(found)
    }
}

impl Flat {
    fn beside_damage<S: Source + ?Sized>(&self, source: &S, container: &Container) -> Result<Vec<Range<u64>>> {
        let mut found: Vec<Range<u64>> = Vec::new();
        // More blocks than the file has bytes for were announced by a damaged table.
        let blocks = self.blocks().min(source.size() / self.block_size().max(1));
        let mut from_before = None;
        for block in 0..blocks {
            let start = self.block_offset(block)?;
            let touched = self.touched(source, block, start)?;
            let first = block.saturating_mul(BLOCK_ROWS);
            let rows = first..first.saturating_add(BLOCK_ROWS).min(self.rows.max(first));
            let held = rows.end.saturating_sub(first).saturating_mul(self.element_size());
            let unused = BLOCK_ROWS.saturating_mul(self.element_size()).saturating_sub(held);
            let reached = touched.front
                || from_before == Some(start)
                || edges::before(source, container, start)?
                || edges::behind(source, start.saturating_add(held), unused)?;
            if reached {
                push(&mut found, rows);
            }
            // The next block of the same segment follows at once.
            let next = start.saturating_add(self.block_size());
            let back = touched.back || (touched.uncounted && edges::begins_with_zeros(source, next));
            from_before = back.then_some(next);
        }
        Ok(found)
    }

    fn touched<S: Source + ?Sized>(&self, source: &S, block: u64, start: u64) -> Result<Touched> {
        let keys_at = self.element_size().saturating_mul(BLOCK_ROWS);
        let length = self.block_size().saturating_sub(keys_at);
        let stored = read_vec(source, start.saturating_add(keys_at), length, CUT)?;
        let mut absent = Vec::new();
        for (row, key) in (0..BLOCK_ROWS).zip(stored.as_chunks::<8>().0) {
            // A row without vector says so in place of its number, and its place is zeros: otherwise it had one.
            let empty = || -> Result<bool> {
                let at = start.saturating_add(row.saturating_mul(self.element_size()));
                Ok(read_vec(source, at, self.element_size(), CUT)?.iter().all(|byte| *byte == 0))
            };
            absent.push(u64::from_le_bytes(*key) == NO_KEY && empty()?);
        }
        let expected = self.expected(block, &stored, &absent);
        let mut touched = touched(&stored, &expected);
        // The only byte of the first trailer that is not zero anyhow. One bit of it may have been flipped, or all be zeros from here on.
        let ends = |bytes: &[u8]| bytes.get(bytes.len().saturating_sub(END)..).map(<[u8]>::to_vec).unwrap_or_default();
        touched.uncounted = ends(&stored) == [0; END] && ends(&expected) != [0; END];
        Ok(touched)
    }

    /// What should stand behind the elements of a block. What nothing tells is taken as it is.
    fn expected(&self, block: u64, stored: &[u8], absent: &[bool]) -> Vec<u8> {
        let first = block.saturating_mul(BLOCK_ROWS);
        let rows = self.rows.saturating_sub(first).min(BLOCK_ROWS);
        let mut bytes = Vec::with_capacity(stored.len());
        for (row, absent) in (0..BLOCK_ROWS).zip(absent) {
            let known = match row < rows {
                true if *absent => NO_KEY,
                true => first.saturating_add(row),
                false => 0,
            };
            bytes.extend(known.to_le_bytes());
        }
        let trailer = if self.legacy { 12 } else { 16 };
        bytes.resize(stored.len().saturating_sub(trailer).max(bytes.len()), 0);
        bytes.extend([0; 4]);
        let before = block.checked_sub(1).and_then(|before| self.location(before));
        let place = if self.legacy { bytes.len()..bytes.len() + 4 } else { bytes.len()..bytes.len() + 8 };
        match before.unwrap_or_default() {
            // The first block has none before it.
            (0, _) => {
                bytes.extend(std::iter::repeat_n(0, place.len() / 2));
                let rest = place.start + place.len() / 2..place.end;
                bytes.extend(stored.get(rest).unwrap_or_default());
            }
            (segment, number) if self.legacy => {
                bytes.extend((segment as u16).to_le_bytes());
                bytes.extend((number as u16).to_le_bytes());
            }
            (segment, number) => {
                bytes.extend((segment as u32).to_le_bytes());
                bytes.extend((number as u32).to_le_bytes());
            }
        }
        bytes.extend((rows as u16).to_le_bytes());
        bytes.extend([0; 2]);
        bytes
    }

    /// The place of a block as trailers have it: feature segment from 1, block in it.
    fn location(&self, block: u64) -> Option<(u64, u64)> {
        let mut first = 0u64;
        for (segment, number) in self.features.iter().zip(1u64..) {
            let held = segment.size.checked_div(self.block_size())?;
            if let Some(inside) = block.checked_sub(first).filter(|inside| *inside < held) {
                return Some((number, inside));
            }
            first = first.saturating_add(held);
        }
        None
    }
}

/// Which ends of the known bytes behind the elements the damage in them reaches.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Touched {
    front: bool,
    back: bool,
    /// No rows are counted.
    uncounted: bool,
}

fn touched(stored: &[u8], expected: &[u8]) -> Touched {
    let mut touched = Touched::default();
    let mut judge = |run: &Run| {
        if run.count > 1 {
            touched.front |= run.first < BORDER;
            touched.back |= run.last.saturating_add(END) >= stored.len();
        }
    };
    let mut run: Option<Run> = None;
    let wrong = stored.iter().zip(expected).enumerate().filter(|(_, (stored, expected))| stored != expected);
    for (at, _) in wrong {
        match &mut run {
            Some(run) if at - run.last <= SAME => (run.last, run.count) = (at, run.count + 1),
            _ => {
                run.iter().for_each(&mut judge);
                run = Some(Run { first: at, last: at, count: 1 });
            }
        }
    }
    run.iter().for_each(judge);
    touched
}

/// Wrong bytes near each other.
struct Run {
    first: usize,
    last: usize,
    count: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys of the block of rows 32 to 63, zeros, and a trailer.
    fn sound() -> Vec<u8> {
        let mut bytes: Vec<u8> = (32u64..64).flat_map(u64::to_le_bytes).collect();
        bytes.extend([0; 16 + 4]);
        bytes.extend([1, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0]);
        bytes
    }

    fn with(range: Range<usize>, fill: impl Fn(usize) -> u8) -> Touched {
        let mut bytes = sound();
        for at in range {
            bytes[at] = fill(at);
        }
        touched(&bytes, &sound())
    }

    #[test]
    fn damage_reaches_vectors_only_where_it_comes_up_to_them() {
        let none = Touched::default();
        let noise = |at: usize| (at * 151 + 77) as u8 | 1;
        for fill in [&noise as &dyn Fn(usize) -> u8, &|_| 0, &|_| 0xff] {
            assert_eq!(with(0..40, fill), Touched { front: true, ..none });
            assert_eq!(with(80..200, fill), Touched::default(), "confined");
            assert_eq!(with(240..288, fill), Touched { back: true, ..none });
            assert_eq!(with(0..288, fill), Touched { front: true, back: true, ..none });
        }
        assert_eq!(touched(&sound(), &sound()), Touched::default());
    }

    #[test]
    fn one_wrong_byte_is_confined_wherever_it_is() {
        for at in 0..288 {
            for bit in 0..8 {
                assert_eq!(with(at..at + 1, |at| sound()[at] ^ (1 << bit)), Touched::default(), "{at}");
            }
        }
    }
}
