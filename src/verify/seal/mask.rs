//! Bytes that engines rewrite in place although nothing has changed.
//!
//! zvec writes the time into each growable vector file when it closes a collection: into the footer, whose CRC follows, and into the header of
//! the index. A seal leaves these bytes out of the hash. The footer has its CRC; the time in the header means nothing.

use crate::{
    format::proxima::VectorFile,
    inspect::{
        FileSource,
        names::{self, NameKind},
    },
};

use std::{path::Path, sync::Arc};

/// Footers: their CRC, and the time at 48.
const OF_FOOTER: [(u64, u64); 2] = [(0, 4), (48, 8)];
/// Segments with a time: where in their data.
const OF_SEGMENTS: [(&str, u64); 4] =
    [("flat.linear_meta", 8), ("linear.linear_meta", 8), ("bruteforce_sparse_meta", 8), ("HnswT2S0", 96)];

/// Offsets and lengths, in order; none for a file that is not of vectors, or cannot be opened.
pub fn of(source: &Arc<FileSource>, path: &Path) -> Vec<(u64, u64)> {
    if !matches!(names::classify(path).0, NameKind::Vector | NameKind::QuantizedVector) {
        return Vec::new();
    }
    let Ok(file) = VectorFile::open(source.clone()) else { return Vec::new() };
    let container = &file.container;
    if container.flavour == crate::format::proxima::Flavour::Packed {
        return Vec::new();
    }
    let footers = container
        .sections
        .iter()
        .flat_map(|section| OF_FOOTER.map(|(at, len)| (section.footer_offset.saturating_add(at), len)));
    let times = OF_SEGMENTS.iter().filter_map(|(name, at)| {
        let segment = container.segment(name).filter(|segment| segment.size >= at + 8)?;
        Some((segment.offset.saturating_add(*at), 8))
    });
    let mut masks: Vec<_> = footers.chain(times).collect();
    masks.sort_unstable();
    masks
}

/// Zeroes what lies in `bytes`, which begin at `start`.
pub fn zero(bytes: &mut [u8], start: u64, masks: &[(u64, u64)]) {
    let end = start.saturating_add(bytes.len() as u64);
    for (at, len) in masks {
        let (from, to) = ((*at).max(start), at.saturating_add(*len).min(end));
        if from < to
            && let (Ok(from), Ok(to)) = (usize::try_from(from - start), usize::try_from(to - start))
            && let Some(part) = bytes.get_mut(from..to)
        {
            part.fill(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_masked_bytes_become_zero() {
        let masks = [(2, 2), (7, 4)];
        let mut first = [1u8; 8];
        zero(&mut first, 0, &masks);
        assert_eq!(first, [1, 1, 0, 0, 1, 1, 1, 0]);
        let mut second = [1u8; 8];
        zero(&mut second, 8, &masks);
        assert_eq!(second, [0, 0, 0, 1, 1, 1, 1, 1]);
    }
}
