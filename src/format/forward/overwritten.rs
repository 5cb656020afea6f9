//! Values of an Arrow block that may have been overwritten, told from what stands behind their batch.
//!
//! ```text
//! body of a batch: buffer | zeros to 8 | buffer | zeros | … | last buffer | zeros   then ff ff ff ff: the next message, or the end of the messages
//! ```
//!
//! Values say nothing of themselves. Damage that has taken the mark behind a batch may go on in the batch's tail: in the last column, and in those before
//! it as far as nothing shows that it ended. What shows it are zeros between two buffers, and offsets of texts and lists that fit; of damage that left zeros,
//! a byte that is none. A single wrong byte, which a flipped bit makes, is confined.
//!
//! Buffers that vouch for themselves, and no more do, are such marks, too, with columns on both sides: bits of nulls that are not as many as the batch says,
//! offsets and document ids that do not ascend, or are all 0, texts that are none.

use std::collections::BTreeSet;

use arrow_schema::{DataType, SchemaRef};

use super::{
    DOC_ID_COLUMN,
    ipc::{Ipc, checked_batch, header_bytes},
};
use crate::format::{Result, Source, read_vec};

const TRUNCATED: &str = "forward.truncated";
/// Begins every message.
const MARK: [u8; 4] = [0xff; 4];
/// More offsets than a batch has are no evidence.
const MOST_OFFSETS: u64 = 16 << 20;

/// What a buffer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Validity,
    Offsets,
    Text,
    Other,
}

/// A buffer of a batch.
#[derive(Debug, Clone, Copy)]
struct Place {
    column: usize,
    part: Part,
    /// In the file.
    at: u64,
    length: u64,
}

impl Place {
    fn end(self) -> u64 {
        self.at.saturating_add(self.length)
    }
}

/// The buffers of a batch that hold anything, in their order, and where its body begins and ends.
struct Body<'a> {
    source: &'a dyn Source,
    places: Vec<Place>,
    /// Rows and nulls that the column is said to have, for each buffer of validity.
    nodes: Vec<(u64, u64)>,
    start: u64,
    end: u64,
}

impl Ipc {
    /// Columns of a batch whose values may have been overwritten, in file order. `deep` reads buffers that vouch for themselves, too, not only what stands
    /// behind the batch.
    pub(super) fn beside_damage(
        &self,
        source: &dyn Source,
        schema: &SchemaRef,
        index: usize,
        deep: bool,
    ) -> Result<Vec<usize>> {
        let extent = self.extent(index)?;
        let end = extent.end();
        let behind = read_vec(source, end, source.size().saturating_sub(end).min(8), TRUNCATED)?;
        let marked = behind.iter().zip(MARK).filter(|(stored, known)| **stored != *known).count() < 2;
        if marked && !deep {
            return Ok(Vec::new());
        }
        let header = header_bytes(source, extent)?;
        let (batch, ..) = checked_batch(&header, extent, schema)?;
        let mut parts = Vec::new();
        for (column, field) in schema.fields().iter().enumerate() {
            add_parts(field.data_type(), column, &mut parts);
        }
        let of = |number: i64| u64::try_from(number).unwrap_or(0);
        let start = end.saturating_sub(extent.body());
        // A node has one buffer of validity.
        let mut listed = batch.nodes().into_iter().flatten().map(|node| (of(node.length()), of(node.null_count())));
        let mut node = (0, 0);
        let (mut places, mut nodes) = (Vec::new(), Vec::new());
        for ((column, part), buffer) in parts.into_iter().zip(batch.buffers().into_iter().flatten()) {
            if part == Part::Validity {
                node = listed.next().unwrap_or_default();
            }
            let (at, length) = (start.saturating_add(of(buffer.offset())), of(buffer.length()));
            if length > 0 {
                places.push(Place { column, part, at, length });
                nodes.push(node);
            }
        }
        let body = Body { source, places, nodes, start, end };
        let mut columns = BTreeSet::new();
        if !marked {
            // Zeros do not show on zeros.
            let zeroed = behind.iter().all(|byte| *byte == 0);
            columns.extend(body.before(body.places.len(), end, zeroed)?);
        }
        if deep {
            let ids = schema.index_of(DOC_ID_COLUMN).ok();
            for (number, place) in body.places.iter().enumerate() {
                let Some(zeroed) = body.overwritten(number, ids)? else { continue };
                columns.extend(body.before(number, place.at, zeroed)?);
                columns.extend(body.behind(number, zeroed)?);
            }
        }
        Ok(columns.into_iter().collect())
    }
}

impl Body<'_> {
    fn read(&self, at: u64, length: u64) -> Result<Vec<u8>> {
        read_vec(self.source, at, length, TRUNCATED)
    }

    /// Columns before the buffer `number` that damage may have come from, which reaches back to `edge` at least.
    fn before(&self, number: usize, mut edge: u64, zeroed: bool) -> Result<Vec<usize>> {
        let mut found = Vec::new();
        for place in self.places.iter().take(number).rev() {
            let padding = self.read(place.end(), edge.saturating_sub(place.end()).min(2))?;
            if padding == [0, 0] && !zeroed {
                break;
            }
            let last = self.read(place.end().saturating_sub(1), 1)?;
            if (zeroed && last != [0]) || (place.part == Part::Offsets && fit(self.source, place.at, place.length)?) {
                break;
            }
            found.push(place.column);
            edge = place.at;
        }
        Ok(found)
    }

    /// Columns behind the buffer `number` that damage may go on in.
    fn behind(&self, number: usize, zeroed: bool) -> Result<Vec<usize>> {
        let mut found = Vec::new();
        let mut edge = self.places.get(number).map_or(self.start, |place| place.end());
        for place in self.places.iter().skip(number.saturating_add(1)) {
            let padding = place.at.min(self.end).saturating_sub(edge);
            if padding >= 2 && !zeroed && self.read(place.at.saturating_sub(2), 2)? == [0, 0] {
                break;
            }
            if (zeroed && self.read(place.at, 1)? != [0])
                || (place.part == Part::Offsets && fit(self.source, place.at, place.length)?)
            {
                break;
            }
            found.push(place.column);
            edge = place.end();
        }
        Ok(found)
    }

    /// Whether more than a byte of a buffer is wrong for certain, and then whether zeros stand there.
    fn overwritten(&self, number: usize, ids: Option<usize>) -> Result<Option<bool>> {
        let Some(place) = self.places.get(number).filter(|place| place.length <= MOST_OFFSETS) else { return Ok(None) };
        let numbers = |bytes: &[u8]| -> Vec<u64> {
            let of = |bytes: &[u8; 4]| u64::from(u32::from_le_bytes(*bytes));
            bytes.as_chunks::<4>().0.iter().map(of).collect()
        };
        // One wrong number among ascending ones makes one descent.
        let descents = |numbers: &[u64]| numbers.windows(2).filter(|pair| matches!(pair, [a, b] if a > b)).count();
        Ok(match place.part {
            Part::Validity => {
                let bytes = self.read(place.at, place.length)?;
                let (rows, nulls) = self.nodes.get(number).copied().unwrap_or_default();
                // Bits behind the last row are zeros.
                let set = bytes.iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>();
                let differs = rows.saturating_sub(set).abs_diff(nulls) > 8;
                differs.then_some(set == 0)
            }
            Part::Offsets => {
                let offsets = numbers(&self.read(place.at, place.length)?);
                let values = self.places.get(number.saturating_add(1)).filter(|next| next.column == place.column);
                let nothing = offsets.iter().all(|offset| *offset == 0);
                if values.is_some() && nothing && offsets.len() > 2 {
                    Some(true)
                } else {
                    (descents(&offsets) > 1).then_some(false)
                }
            }
            Part::Text => {
                let bytes = self.read(place.at, place.length)?;
                let broken = bytes.utf8_chunks().filter(|chunk| !chunk.invalid().is_empty()).count();
                (broken > 4).then_some(false)
            }
            Part::Other if ids == Some(place.column) => {
                let bytes = self.read(place.at, place.length)?;
                let ids: Vec<u64> = bytes.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
                let zeros = ids.iter().filter(|id| **id == 0).count();
                if zeros > 1 { Some(true) } else { (descents(&ids) > 1).then_some(false) }
            }
            Part::Other => None,
        })
    }
}

fn add_parts(data_type: &DataType, column: usize, parts: &mut Vec<(usize, Part)>) {
    // The validity comes first.
    parts.push((column, Part::Validity));
    match data_type {
        DataType::Utf8 => parts.extend([(column, Part::Offsets), (column, Part::Text)]),
        DataType::Binary => parts.extend([(column, Part::Offsets), (column, Part::Other)]),
        DataType::List(item) => {
            parts.push((column, Part::Offsets));
            add_parts(item.data_type(), column, parts);
        }
        _ => parts.push((column, Part::Other)),
    }
}

/// Whether offsets begin with 0, ascend, and are not all 0.
fn fit(source: &dyn Source, at: u64, length: u64) -> Result<bool> {
    if length > MOST_OFFSETS {
        return Ok(false);
    }
    let bytes = read_vec(source, at, length, TRUNCATED)?;
    let offsets: Vec<u32> = bytes.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
    Ok(offsets.first() == Some(&0) && offsets.is_sorted() && offsets.last().is_some_and(|last| *last > 0))
}
