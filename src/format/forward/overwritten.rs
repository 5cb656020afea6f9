//! Values of an Arrow block that may have been overwritten, told from what stands behind their batch.
//!
//! ```text
//! body of a batch: buffer | zeros to 8 | buffer | zeros | … | last buffer | zeros   then ff ff ff ff: the next message, or the end of the messages
//! ```
//!
//! Values say nothing of themselves. Damage that has taken the mark behind a batch may go on in the batch's tail: in the last column, and in those before
//! it as far as nothing shows that it ended. What shows it are zeros between two buffers, and offsets of texts and lists that fit. A single wrong byte,
//! which a flipped bit makes, is confined.

use arrow_schema::{DataType, SchemaRef};

use super::ipc::{Ipc, checked_batch, header_bytes};
use crate::format::{Result, Source, read_vec};

const TRUNCATED: &str = "forward.truncated";
/// Begins every message.
const MARK: [u8; 4] = [0xff; 4];
/// More offsets than a batch has are no evidence.
const MOST_OFFSETS: u64 = 16 << 20;

/// What a buffer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Offsets,
    Other,
}

impl Ipc {
    /// Columns of a batch whose values may have been overwritten, in file order.
    pub(super) fn beside_damage(&self, source: &dyn Source, schema: &SchemaRef, index: usize) -> Result<Vec<usize>> {
        let extent = self.extent(index)?;
        let end = extent.end();
        let behind = read_vec(source, end, source.size().saturating_sub(end).min(8), TRUNCATED)?;
        if behind.iter().zip(MARK).filter(|(stored, known)| **stored != *known).count() < 2 {
            return Ok(Vec::new());
        }
        let header = header_bytes(source, extent)?;
        let (batch, ..) = checked_batch(&header, extent, schema)?;
        let mut parts = Vec::new();
        for (column, field) in schema.fields().iter().enumerate() {
            add_parts(field.data_type(), column, &mut parts);
        }
        let places = batch.buffers().into_iter().flatten().map(|buffer| {
            let of = |number: i64| u64::try_from(number).unwrap_or(0);
            (of(buffer.offset()), of(buffer.length()))
        });
        let buffers: Vec<(usize, Part, u64, u64)> =
            parts.into_iter().zip(places).map(|((column, part), (at, length))| (column, part, at, length)).collect();
        let body = end.saturating_sub(extent.body());
        // Zeros do not show on zeros.
        let zeroed = behind.iter().all(|byte| *byte == 0);
        let mut edge = extent.body();
        let mut found = Vec::new();
        for (column, part, at, length) in buffers.into_iter().rev().filter(|(.., length)| *length > 0) {
            let filled = at.saturating_add(length);
            let padding = read_vec(source, body.saturating_add(filled), edge.saturating_sub(filled).min(2), TRUNCATED)?;
            if padding == [0, 0] && !zeroed {
                break;
            }
            if part == Part::Offsets && fit(source, body.saturating_add(at), length)? {
                break;
            }
            if found.last() != Some(&column) {
                found.push(column);
            }
            edge = at;
        }
        found.reverse();
        Ok(found)
    }
}

fn add_parts(data_type: &DataType, column: usize, parts: &mut Vec<(usize, Part)>) {
    // The validity comes first.
    parts.push((column, Part::Other));
    match data_type {
        DataType::Utf8 | DataType::Binary => parts.extend([(column, Part::Offsets), (column, Part::Other)]),
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
