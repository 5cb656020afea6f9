//! A damaged file with some of its bytes put right, where something tells what they were.

use std::sync::Arc;

use crate::format::{
    Source, SourceError,
    proxima::{Container, IndexMeta, VectorFile},
};

/// The polynomial of CRC-32C, reflected.
const POLYNOMIAL: u32 = 0x82F6_3B78;
/// In more bytes than this a bit that makes a wrong checksum fit is found by chance too often.
const MOST_CHECKED: u64 = 64 << 20;
const MAX_META: u64 = 64 << 20;

/// A file as it is read here.
pub type Bytes = Arc<dyn Source>;

/// A source with other bytes in some places.
struct Patched {
    source: Bytes,
    patches: Vec<(u64, Vec<u8>)>,
}

impl Source for Patched {
    fn size(&self) -> u64 {
        self.source.size()
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        self.source.read_exact_at(offset, buf)?;
        for (place, bytes) in &self.patches {
            for (at, byte) in bytes.iter().enumerate() {
                let place = place.saturating_add(at as u64).checked_sub(offset);
                if let Some(slot) = place.and_then(|at| buf.get_mut(usize::try_from(at).ok()?)) {
                    *slot = *byte;
                }
            }
        }
        Ok(())
    }
}

/// Opens a vector file, with what damage can be undone undone; says what that was.
pub fn open(source: Bytes) -> Option<(VectorFile<Bytes>, Vec<String>)> {
    let mut notes = Vec::new();
    let source = match flipped(&source) {
        Some((offset, byte, detail)) => {
            notes.push(detail);
            Arc::new(Patched { source, patches: vec![(offset, vec![byte])] })
        }
        None => source,
    };
    let error = match VectorFile::open(source.clone()) {
        Ok(file) => return Some((file, notes)),
        Err(error) => error,
    };
    // A node has the vector, the key and the neighbours: the size of the vector is that of the column.
    let place = match error.code {
        "hnsw.bad-vector-size" => error.offset,
        "hnsw.bad-node-size" => error.offset.checked_sub(4)?,
        _ => return None,
    };
    let container = Container::open(&source).ok()?;
    let segment = container.segment("IndexMeta")?;
    let meta = IndexMeta::parse(&container.read(&source, segment, MAX_META, error.code).ok()?, segment.offset).ok()?;
    let size = u32::try_from(meta.element_size()).ok()?;
    let patches = vec![(place, size.to_le_bytes().to_vec())];
    let file = VectorFile::open(Arc::new(Patched { source, patches }) as Bytes).ok()?;
    notes.push(format!("the vector size in the header of the graph was taken for {size}, as the column has it"));
    Some((file, notes))
}

/// The one bit that makes the checksum of the whole content fit: its offset and what its byte was.
fn flipped(source: &Bytes) -> Option<(u64, u8, String)> {
    let container = Container::open(source).ok()?;
    let checksum = container.check_content(source).ok()??;
    let section = container.sections.first()?;
    if checksum.is_valid() || section.content_size > MOST_CHECKED {
        return None;
    }
    let (at, bit) = flipped_bit(checksum.stored ^ checksum.computed, section.content_size)?;
    let offset = section.content_offset.checked_add(at)?;
    let mut byte = [0];
    source.read_exact_at(offset, &mut byte).ok()?;
    let [byte] = byte;
    let detail = format!(
        "bit {bit} of the byte at {offset} was flipped back: no other single bit makes the checksum of the content fit"
    );
    Some((offset, byte ^ (1 << bit), detail))
}

/// Byte and bit of `length` bytes whose flip changes the raw CRC-32C by `difference`.
fn flipped_bit(difference: u32, length: u64) -> Option<(u64, u32)> {
    let bits = length.checked_mul(8)?;
    let mut state = POLYNOMIAL;
    for back in 0..bits {
        if state == difference {
            let place = bits - 1 - back;
            return Some((place / 8, (place % 8) as u32));
        }
        state = (state >> 1) ^ if state & 1 == 1 { POLYNOMIAL } else { 0 };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::checksum::raw_crc32c;

    #[test]
    fn the_checksum_tells_which_bit_was_flipped() {
        let sound: Vec<u8> = (0..1000u32).map(|n| ((n * 37) >> 3) as u8).collect();
        for (at, bit) in [(0usize, 0u32), (0, 7), (1, 3), (500, 0), (999, 6), (999, 7), (999, 0)] {
            let mut damaged = sound.clone();
            damaged[at] ^= 1 << bit;
            let difference = raw_crc32c(&sound) ^ raw_crc32c(&damaged);
            assert_eq!(flipped_bit(difference, 1000), Some((at as u64, bit)));
        }
        let mut damaged = sound.clone();
        damaged[10] ^= 1;
        damaged[700] ^= 4;
        assert_eq!(flipped_bit(raw_crc32c(&sound) ^ raw_crc32c(&damaged), 1000), None);
    }

    #[test]
    fn patches_are_seen_by_reads_that_touch_them() {
        let source: Bytes = Arc::new(vec![0u8; 10]);
        let patched = Patched { source, patches: vec![(4, vec![1, 2])] };
        let mut all = [9; 10];
        patched.read_exact_at(0, &mut all).unwrap();
        assert_eq!(all, [0, 0, 0, 0, 1, 2, 0, 0, 0, 0]);
        let mut part = [9; 2];
        patched.read_exact_at(5, &mut part).unwrap();
        assert_eq!(part, [2, 0]);
    }
}
