//! Which rows the vector files of a column hold. Nothing in a file says it: its number, its count of rows, and the other files do.
//!
//! A flush gives a row block its number, and the next ones to the vector files of its rows. A file that is made anew later, or of many blocks, has a number
//! above all of these.

use std::ops::Range;

use crate::inspect::evidence::Vectors;

use super::rows::Row;

/// A file, or the gap where one should be, and the row blocks that it covers.
#[derive(Debug)]
pub struct Piece<'a> {
    /// The file; `None` where none is there.
    pub file: Option<&'a Vectors>,
    /// Places of its row blocks.
    pub rows: Range<usize>,
}

/// The files that cover all row blocks, each to the last row: the newest one alone, or each beside its own row block, or in the order of their numbers.
pub fn exact<'a>(files: &[&'a Vectors], rows: &[Row<'_>]) -> Option<Vec<Piece<'a>>> {
    let last = files.len().saturating_sub(1);
    let newest = files.get(last..).and_then(|newest| in_order(newest, rows));
    newest.or_else(|| beside(files, rows)).or_else(|| {
        let suffixes = (0..last).rev().filter_map(|start| files.get(start..));
        let prefixes = (1..files.len()).rev().filter_map(|end| files.get(..end));
        suffixes.chain(prefixes).find_map(|run| in_order(run, rows))
    })
}

/// The same where files are missing, or lack rows without vector at their ends: a row block without a file of its own gets none of another.
pub fn loose<'a>(files: &[&'a Vectors], rows: &[Row<'_>]) -> Vec<Piece<'a>> {
    let mut claims = Claims::new(rows);
    claims.own(files, true);
    claims.by_count(files);
    claims.own(files, false);
    claims.pieces()
}

/// Whether a file of a column has fewer rows than its row blocks.
pub fn is_short(files: &[&Vectors], rows: &[Row<'_>]) -> bool {
    exact(files, rows).is_none()
        && loose(files, rows).iter().any(|piece| {
            let covered: u64 = rows.get(piece.rows.clone()).unwrap_or_default().iter().map(Row::rows).sum();
            piece.file.and_then(rows_of).is_some_and(|held| held < covered)
        })
}

fn rows_of(file: &Vectors) -> Option<u64> {
    file.facts.as_ref().map(|facts| facts.rows)
}

fn in_order<'a>(files: &[&'a Vectors], rows: &[Row<'_>]) -> Option<Vec<Piece<'a>>> {
    let mut at = 0;
    let mut pieces = Vec::with_capacity(files.len());
    for file in files {
        let start = at;
        let held = rows_of(file);
        let mut sum = 0u64;
        // A file that cannot be opened is taken for one of a single row block.
        while at < rows.len() && (at == start || held.is_some_and(|held| sum < held)) {
            sum = sum.saturating_add(rows.get(at).map_or(0, Row::rows));
            at += 1;
        }
        if at == start || held.is_some_and(|held| held != sum) {
            return None;
        }
        pieces.push(Piece { file: Some(file), rows: start..at });
    }
    (at == rows.len() && !files.is_empty()).then_some(pieces)
}

fn beside<'a>(files: &[&'a Vectors], rows: &[Row<'_>]) -> Option<Vec<Piece<'a>>> {
    let mut claims = Claims::new(rows);
    claims.own(files, true);
    claims.by_count(files);
    let pieces = claims.pieces();
    pieces.iter().all(|piece| piece.file.is_some()).then_some(pieces).filter(|pieces| !pieces.is_empty())
}

/// Row blocks, and the files that claim them.
struct Claims<'r, 'f> {
    rows: &'r [Row<'r>],
    pieces: Vec<Piece<'f>>,
}

impl<'r, 'f> Claims<'r, 'f> {
    fn new(rows: &'r [Row<'r>]) -> Self {
        Self { rows, pieces: Vec::new() }
    }

    fn is_free(&self, range: &Range<usize>) -> bool {
        self.pieces.iter().all(|piece| piece.rows.end <= range.start || range.end <= piece.rows.start)
    }

    fn has(&self, file: &Vectors) -> bool {
        self.pieces.iter().any(|piece| piece.file.is_some_and(|known| std::ptr::eq(known, file)))
    }

    /// Each file gets the row block whose number is next below its own, or as many before it as it has rows for. Those of many row blocks come first,
    /// the newest before the others: they were made of the files of each.
    fn own(&mut self, files: &[&'f Vectors], whole: bool) {
        let reached = |file: &'f Vectors| {
            let below = self.rows.iter().enumerate().filter(|(_, row)| row.block < file.block);
            let (last, _) = below.max_by_key(|(_, row)| row.block)?;
            Some((file, self.reach(last, rows_of(file), whole)?))
        };
        let (many, one): (Vec<_>, Vec<_>) =
            files.iter().filter_map(|file| reached(file)).partition(|(_, range)| range.len() > 1);
        for (file, range) in many.into_iter().rev().chain(one) {
            if self.is_free(&range) && !self.has(file) {
                self.pieces.push(Piece { file: Some(file), rows: range });
            }
        }
    }

    /// The row blocks up to `last` that `held` rows reach back over.
    fn reach(&self, last: usize, held: Option<u64>, whole: bool) -> Option<Range<usize>> {
        let Some(held) = held else { return Some(last..last + 1) };
        let mut sum = 0u64;
        for start in (0..=last).rev() {
            sum = sum.saturating_add(self.rows.get(start).map_or(0, Row::rows));
            if held <= sum {
                return (held == sum || !whole).then_some(start..last + 1);
            }
        }
        None
    }

    /// What was made anew has a number that tells nothing, and the same rows.
    fn by_count(&mut self, files: &[&'f Vectors]) {
        for file in files {
            if self.has(file) {
                continue;
            }
            let fits =
                |(at, row): &(usize, &Row<'_>)| rows_of(file) == Some(row.rows()) && self.is_free(&(*at..*at + 1));
            if let Some((at, _)) = self.rows.iter().enumerate().find(fits) {
                self.pieces.push(Piece { file: Some(file), rows: at..at + 1 });
            }
        }
    }

    /// What is claimed and what is not, in the order of the rows.
    fn pieces(mut self) -> Vec<Piece<'f>> {
        let unclaimed = (0..self.rows.len()).map(|at| at..at + 1).filter(|range| self.is_free(range));
        let gaps: Vec<Piece<'f>> = unclaimed.map(|rows| Piece { file: None, rows }).collect();
        self.pieces.extend(gaps);
        self.pieces.sort_by_key(|piece| piece.rows.start);
        self.pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        format::proxima::{DataType, IndexKind, IndexMeta},
        inspect::evidence::VectorFacts,
    };

    fn file(block: u32, rows: u64) -> Vectors {
        let facts = VectorFacts {
            kind: IndexKind::Flat,
            rows,
            meta: IndexMeta {
                header_size: 0,
                sparse: false,
                major_order: 0,
                data_type: DataType::Fp32,
                dimension: 0,
                unit_size: 0,
                extra: 0,
                attachment: serde_json::Map::new(),
                size: 0,
            },
            codec: None,
            dimension: 0,
            rotated: false,
            lists: None,
            bits: None,
            header: None,
        };
        Vectors { block, column: "dense".to_owned(), quantised: false, facts: Some(facts) }
    }

    fn row(block: u32, count: u32) -> Row<'static> {
        Row { file: None, block, count, first: 0, last: 0 }
    }

    /// Whether all is covered, and by which file each run of row blocks.
    type Told = (bool, Vec<(Option<u32>, Range<usize>)>);

    fn told(files: &[(u32, u64)], rows: &[(u32, u32)]) -> Told {
        let files: Vec<Vectors> = files.iter().map(|(block, rows)| file(*block, *rows)).collect();
        let files: Vec<&Vectors> = files.iter().collect();
        let rows: Vec<Row<'_>> = rows.iter().map(|(block, count)| row(*block, *count)).collect();
        let found = exact(&files, &rows);
        let whole = found.is_some();
        let pieces = found.unwrap_or_else(|| loose(&files, &rows));
        (whole, pieces.into_iter().map(|piece| (piece.file.map(|file| file.block), piece.rows)).collect())
    }

    #[test]
    fn each_flush_has_its_own_file() {
        let rows = [(0, 70), (3, 11)];
        assert_eq!(told(&[(2, 70), (4, 11)], &rows), (true, vec![(Some(2), 0..1), (Some(4), 1..2)]));
        // One of both, whatever else lies about.
        assert_eq!(told(&[(2, 70), (4, 11), (6, 81)], &rows), (true, vec![(Some(6), 0..2)]));
        // One of both, and one of a later flush.
        let three = [(0, 70), (3, 11), (7, 5)];
        assert_eq!(told(&[(6, 81), (8, 5)], &three), (true, vec![(Some(6), 0..2), (Some(8), 2..3)]));
    }

    #[test]
    fn no_row_block_gets_the_file_of_another() {
        assert_eq!(told(&[(4, 11)], &[(0, 70), (3, 11)]), (false, vec![(None, 0..1), (Some(4), 1..2)]));
        assert_eq!(told(&[(4, 40)], &[(0, 40), (3, 40)]), (false, vec![(None, 0..1), (Some(4), 1..2)]));
        assert_eq!(
            told(&[(2, 40), (8, 40)], &[(0, 40), (3, 40), (7, 40)]).1,
            [(Some(2), 0..1), (None, 1..2), (Some(8), 2..3)]
        );
    }

    #[test]
    fn a_file_that_was_made_anew_is_known_by_its_rows() {
        // The vectors of block 0.
        assert_eq!(told(&[(4, 11), (9, 70)], &[(0, 70), (3, 11)]), (true, vec![(Some(9), 0..1), (Some(4), 1..2)]));
        assert_eq!(told(&[(4, 40), (9, 40)], &[(0, 40), (3, 40)]), (true, vec![(Some(9), 0..1), (Some(4), 1..2)]));
        // The row block itself.
        assert_eq!(told(&[(2, 40), (4, 40)], &[(6, 40), (3, 40)]), (true, vec![(Some(2), 0..1), (Some(4), 1..2)]));
        // The later row block, and the vectors of the first are gone.
        assert_eq!(told(&[(4, 11)], &[(0, 70), (6, 11)]), (false, vec![(None, 0..1), (Some(4), 1..2)]));
    }

    #[test]
    fn rows_without_vector_may_be_left_out_at_the_end() {
        assert_eq!(told(&[(2, 60), (4, 11)], &[(0, 70), (3, 11)]), (false, vec![(Some(2), 0..1), (Some(4), 1..2)]));
        assert!(is_short(&[&file(2, 60), &file(4, 11)], &[row(0, 70), row(3, 11)]));
        assert!(!is_short(&[&file(4, 11)], &[row(0, 70), row(3, 11)]));
    }
}
