//! Files that are mostly zeros, small enough for a fuzzer: `u16` zeros in units of 64 bytes, `u16` length, so many bytes, and so on.

/// No file grows beyond this.
const LARGEST: usize = 6 << 20;
const UNIT: usize = 64;

/// The file that the bytes stand for.
pub fn expand(data: &[u8]) -> Vec<u8> {
    let mut pieces = Vec::new();
    let (mut rest, mut end) = (data, 0usize);
    while let Some((&[a, b, c, d], behind)) = rest.split_first_chunk::<4>() {
        let start = end + usize::from(u16::from_le_bytes([a, b])) * UNIT;
        let piece;
        (piece, rest) = behind.split_at(behind.len().min(usize::from(u16::from_le_bytes([c, d]))));
        if start + piece.len() > LARGEST {
            break;
        }
        pieces.push((start, piece));
        end = start + piece.len();
    }
    let mut file = vec![0; end];
    for (start, piece) in pieces {
        file[start..start + piece.len()].copy_from_slice(piece);
    }
    file
}

/// The bytes that stand for a file; `expand` gives it back.
pub fn squeeze(file: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut zeros, mut piece): (u16, &[u8]) = (0, &[]);
    let mut flush = |zeros: &mut u16, piece: &[u8]| {
        out.extend(zeros.to_le_bytes());
        out.extend((piece.len() as u16).to_le_bytes());
        out.extend(piece);
        *zeros = 0;
    };
    let mut at = 0;
    for unit in file.chunks(UNIT) {
        let empty = unit.len() == UNIT && unit.iter().all(|byte| *byte == 0);
        if empty && piece.is_empty() && zeros < u16::MAX {
            zeros += 1;
        } else if !empty && piece.len() + unit.len() <= usize::from(u16::MAX) {
            piece = &file[at - piece.len()..at + unit.len()];
        } else {
            flush(&mut zeros, piece);
            piece = &[];
            if empty { zeros = 1 } else { piece = unit }
        }
        at += unit.len();
    }
    flush(&mut zeros, piece);
    out
}
