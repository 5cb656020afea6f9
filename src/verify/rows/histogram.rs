//! `$CDF` and `$RANGES` against the terms, in one scan over them in key order.

use roaring::RoaringBitmap;

use crate::format::inverted::Histogram;

/// Most faults that are told of one histogram or of the ranges of one column.
const MOST: usize = 3;

/// A histogram, held against terms in ascending order.
pub struct HistogramCheck {
    histogram: Histogram,
    next: usize,
    running: u64,
    faults: Vec<String>,
}

impl HistogramCheck {
    /// Before the first term.
    pub fn new(histogram: Histogram) -> Self {
        let mut faults = Vec::new();
        if !histogram.slots.is_sorted_by(|a, b| a.term < b.term && a.cumulative <= b.cumulative) {
            faults.push("its slots do not ascend".to_owned());
        }
        Self { histogram, next: 0, running: 0, faults }
    }

    /// The next term and how many rows it has.
    pub fn term(&mut self, term: &[u8], rows: u64) {
        self.close(|slot| slot < term);
        self.running = self.running.saturating_add(rows);
        self.close(|slot| slot == term);
    }

    fn close(&mut self, over: impl Fn(&[u8]) -> bool) {
        while let Some(slot) = self.histogram.slots.get(self.next).filter(|slot| over(&slot.term)) {
            if slot.cumulative != self.running && self.faults.len() < MOST {
                let (stored, counted) = (slot.cumulative, self.running);
                self.faults.push(format!("slot {} says {stored} entries, there are {counted}", self.next));
            }
            self.next += 1;
        }
    }

    /// Behind the last term: what is wrong.
    pub fn finish(mut self) -> Vec<String> {
        self.close(|_| true);
        if self.histogram.total != self.running && self.faults.len() < MOST {
            self.faults.push(format!("it says {} entries, there are {}", self.histogram.total, self.running));
        }
        self.faults
    }
}

/// The ranges of a column, held against its terms.
#[derive(Default)]
pub struct RangeCheck {
    ranges: Vec<Range>,
}

struct Range {
    begin: Vec<u8>,
    end: Vec<u8>,
    stored: RoaringBitmap,
    counted: RoaringBitmap,
}

impl RangeCheck {
    /// Adds a range.
    pub fn add(&mut self, begin: &[u8], end: &[u8], stored: RoaringBitmap) {
        let (begin, end) = (begin.to_vec(), end.to_vec());
        self.ranges.push(Range { begin, end, stored, counted: RoaringBitmap::new() });
    }

    /// All ranges are there.
    pub fn sort(&mut self) {
        self.ranges.sort_by(|a, b| a.begin.cmp(&b.begin));
    }

    /// A term and its rows.
    pub fn term(&mut self, term: &[u8], rows: &RoaringBitmap) {
        let begun = self.ranges.partition_point(|range| range.begin.as_slice() <= term);
        for range in self.ranges.iter_mut().take(begun).rev().take_while(|range| range.end.as_slice() >= term) {
            range.counted |= rows;
        }
    }

    /// Behind the last term: what is wrong.
    pub fn finish(self) -> Vec<String> {
        let wrong = self.ranges.iter().filter(|range| range.stored != range.counted);
        let tell = |range: &Range| {
            let (stored, counted) = (range.stored.len(), range.counted.len());
            let (begin, end) = (super::scalar_index::show(&range.begin), super::scalar_index::show(&range.end));
            format!(
                "the range {begin} to {end} has {stored} rows, its terms have {counted}: range queries answer wrongly"
            )
        };
        wrong.take(MOST).map(tell).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::inverted::Slot;

    fn histogram(total: u64, slots: &[(&str, u64)]) -> Vec<String> {
        let slots =
            slots.iter().map(|(term, cumulative)| Slot { term: (*term).into(), cumulative: *cumulative }).collect();
        let mut check = HistogramCheck::new(Histogram { total, slots });
        for (term, rows) in [("a", 2), ("b", 3), ("d", 1)] {
            check.term(term.as_bytes(), rows);
        }
        check.finish()
    }

    #[test]
    fn a_histogram_that_counts_right_has_no_fault() {
        assert!(histogram(6, &[("a", 2), ("b", 5), ("d", 6)]).is_empty());
        assert!(histogram(6, &[("c", 5), ("e", 6)]).is_empty(), "slots may end between terms");
        assert!(histogram(6, &[]).is_empty());
    }

    #[test]
    fn a_histogram_that_counts_wrong_says_where() {
        assert_eq!(histogram(6, &[("a", 2), ("b", 4)]), ["slot 1 says 4 entries, there are 5"]);
        assert_eq!(histogram(7, &[("a", 2)]), ["it says 7 entries, there are 6"]);
        assert_eq!(histogram(6, &[("b", 5), ("a", 2)]).len(), 2);
    }

    #[test]
    fn a_range_holds_the_rows_of_its_terms() {
        let rows = |rows: &[u32]| rows.iter().copied().collect::<RoaringBitmap>();
        let check = |stored: &[u32]| {
            let mut check = RangeCheck::default();
            check.add(b"c", b"d", rows(&[9]));
            check.add(b"a", b"b", rows(stored));
            check.sort();
            for (term, held) in [("a", &[1, 2][..]), ("b", &[3]), ("bb", &[5]), ("d", &[9])] {
                check.term(term.as_bytes(), &rows(held));
            }
            check.finish()
        };
        assert!(check(&[1, 2, 3]).is_empty());
        assert_eq!(check(&[1, 2, 3, 5]).len(), 1);
        assert_eq!(check(&[1, 3]).len(), 1);
    }
}
