//! Content of a file in memory: pages that are shared until they are written, and none where there are only zeros.
//!
//! Pages hang in runs of [`RUN`] pages. A copy of the content shares all of them; a write then copies the one page and the list of its run.
//! Where there is no page, the bytes are those of the file below, if the content was laid over one, and zeros otherwise.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, OnceLock},
};

use xxhash_rust::xxh3::xxh3_128;

use super::File;

/// Bytes of a page.
const PAGE: usize = 4096;
/// Pages of a run.
const RUN: u64 = 256;
/// Largest size of a file, as on Linux.
const MOST: u64 = i64::MAX as u64;

static ZEROS: [u8; PAGE] = [0; PAGE];

#[derive(Clone)]
struct Page {
    bytes: [u8; PAGE],
    digest: OnceLock<u128>,
}

impl Page {
    /// 0 for a page of zeros, which is as good as none.
    fn digest(&self) -> u128 {
        *self.digest.get_or_init(|| if self.bytes == ZEROS { 0 } else { xxh3_128(&self.bytes).max(1) })
    }
}

#[derive(Clone, Default)]
struct Run {
    pages: BTreeMap<u64, Arc<Page>>,
    digest: OnceLock<u128>,
}

impl Run {
    /// 0 if all its pages are zeros.
    fn digest(&self) -> u128 {
        *self.digest.get_or_init(|| {
            let digests = self.pages.iter().map(|(number, page)| (*number, page.digest()));
            digest_of(digests).map_or(0, |digest| digest.max(1))
        })
    }
}

/// The file that the content was laid over, as far as it still shows.
#[derive(Clone)]
struct Below {
    file: Arc<dyn File>,
    len: u64,
}

/// The content.
#[derive(Clone, Default)]
pub(super) struct Pages {
    len: u64,
    runs: BTreeMap<u64, Arc<Run>>,
    below: Option<Below>,
}

impl Pages {
    /// The content of `file`, of which nothing is read yet.
    pub(super) fn over(file: Arc<dyn File>) -> io::Result<Self> {
        let len = file.len()?;
        Ok(Self { len, runs: BTreeMap::new(), below: Some(Below { file, len }) })
    }

    /// Size in bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Bytes in pages of its own; `None` if the rest lies in a file below.
    pub(super) fn allocated(&self) -> Option<u64> {
        let pages: usize = self.runs.values().map(|run| run.pages.len()).sum();
        self.below.is_none().then_some(pages as u64 * PAGE as u64)
    }

    /// As [`File::read_at`].
    pub(super) fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let (buf, _) = buf.split_at_mut(rest.min(buf.len()));
        let count = buf.len();
        let (mut offset, mut buf) = (offset, buf);
        while !buf.is_empty() {
            let (number, within) = place(offset);
            let next = self.page_from(number);
            let length = match next {
                Some((found, _)) if found == number => PAGE - within,
                Some((found, _)) => usize::try_from(found * PAGE as u64 - offset).unwrap_or(usize::MAX),
                None => usize::MAX,
            };
            let (piece, after) = buf.split_at_mut(length.min(buf.len()));
            match next {
                Some((found, page)) if found == number => {
                    piece.copy_from_slice(page.bytes.get(within..within + piece.len()).unwrap_or_default());
                }
                _ => self.read_below(offset, piece)?,
            }
            offset += piece.len() as u64;
            buf = after;
        }
        Ok(count)
    }

    /// As [`FileMut::write_all_at`](super::FileMut::write_all_at).
    pub(super) fn write(&mut self, mut offset: u64, mut data: &[u8]) -> io::Result<()> {
        if offset.checked_add(data.len() as u64).is_none_or(|end| end > MOST) {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        while !data.is_empty() {
            let (number, within) = place(offset);
            let (piece, after) = data.split_at((PAGE - within).min(data.len()));
            self.write_page(number, within, piece)?;
            offset += piece.len() as u64;
            data = after;
            // As it goes, so that a failing page leaves what was written before it.
            self.len = self.len.max(offset);
        }
        Ok(())
    }

    /// Sets the size.
    pub(super) fn truncate(&mut self, len: u64) -> io::Result<()> {
        if len > MOST {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if len < self.len {
            self.cut(len);
        }
        self.len = len;
        Ok(())
    }

    /// Digest of size and bytes; pages of zeros and no pages are the same. What lies in a file below is not seen.
    pub(super) fn digest(&self) -> u128 {
        let runs = self.runs.iter().map(|(number, run)| (*number, run.digest()));
        digest_of(runs.chain([(u64::MAX, u128::from(self.len) + 1)])).unwrap_or_default()
    }

    /// First page at or after `number`.
    fn page_from(&self, number: u64) -> Option<(u64, &Page)> {
        self.runs
            .range(number / RUN..)
            .find_map(|(_, run)| run.pages.range(number..).next())
            .map(|(number, page)| (*number, page.as_ref()))
    }

    fn read_below(&self, offset: u64, piece: &mut [u8]) -> io::Result<()> {
        let shown = self.below.as_ref().map_or(0, |below| below.len.saturating_sub(offset));
        let shown = usize::try_from(shown).unwrap_or(usize::MAX).min(piece.len());
        let (shown, zeros) = piece.split_at_mut(shown);
        zeros.fill(0);
        match &self.below {
            Some(below) if !shown.is_empty() => below.file.read_exact_at(offset, shown),
            _ => Ok(()),
        }
    }

    fn write_page(&mut self, number: u64, within: usize, piece: &[u8]) -> io::Result<()> {
        let mut fresh = None;
        if self.page_from(number).is_none_or(|(found, _)| found != number) {
            let start = number * PAGE as u64;
            let is_bare = self.below.as_ref().is_none_or(|below| below.len <= start);
            if is_bare && ZEROS.starts_with(piece) {
                return Ok(());
            }
            let mut bytes = [0; PAGE];
            self.read_below(start, &mut bytes)?;
            fresh = Some(bytes);
        }
        let run = Arc::make_mut(self.runs.entry(number / RUN).or_default());
        run.digest = OnceLock::new();
        let page = run
            .pages
            .entry(number)
            .or_insert_with(|| Arc::new(Page { bytes: fresh.unwrap_or([0; PAGE]), digest: OnceLock::new() }));
        let page = Arc::make_mut(page);
        page.digest = OnceLock::new();
        if let Some(target) = page.bytes.get_mut(within..within + piece.len()) {
            target.copy_from_slice(piece);
        }
        Ok(())
    }

    /// Forgets what lies at or after `len`, so that a later growth shows zeros.
    fn cut(&mut self, len: u64) {
        let (last, within) = place(len);
        let first_gone = if within == 0 { last } else { last + 1 };
        self.runs.split_off(&first_gone.div_ceil(RUN));
        if let Some(run) = self.runs.get_mut(&(last / RUN)) {
            let run = Arc::make_mut(run);
            run.digest = OnceLock::new();
            run.pages.split_off(&first_gone);
            if let Some(page) = run.pages.get_mut(&last) {
                let page = Arc::make_mut(page);
                page.digest = OnceLock::new();
                page.bytes.iter_mut().skip(within).for_each(|byte| *byte = 0);
            }
        }
        if let Some(below) = &mut self.below {
            below.len = below.len.min(len);
        }
        self.below = self.below.take().filter(|below| below.len > 0);
    }
}

/// Number of the page that `offset` is in, and where in it.
fn place(offset: u64) -> (u64, usize) {
    (offset / PAGE as u64, (offset % PAGE as u64) as usize)
}

/// Digest of those that are not 0, with their numbers; `None` if there are none.
fn digest_of(digests: impl Iterator<Item = (u64, u128)>) -> Option<u128> {
    let mut bytes = Vec::new();
    for (number, digest) in digests.filter(|(_, digest)| *digest != 0) {
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(&digest.to_le_bytes());
    }
    (!bytes.is_empty()).then(|| xxh3_128(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pages: &Pages) -> Vec<u8> {
        let mut bytes = vec![9; usize::try_from(pages.len()).unwrap() + 3];
        let read = pages.read_at(0, &mut bytes).unwrap();
        bytes.truncate(read);
        bytes
    }

    #[test]
    fn zeros_take_no_pages_until_something_is_written_over_them() {
        let mut pages = Pages::default();
        pages.write(0, &vec![0; 6 << 20]).unwrap();
        pages.truncate(64 << 20).unwrap();
        assert_eq!((pages.len(), pages.allocated()), (64 << 20, Some(0)));
        pages.write((5 << 20) + 4095, b"ab").unwrap();
        assert_eq!(pages.allocated(), Some(2 * PAGE as u64));
        let mut buf = [9; 4];
        pages.read_at((5 << 20) + 4094, &mut buf).unwrap();
        assert_eq!(&buf, b"\0ab\0");
    }

    #[test]
    fn what_was_cut_away_comes_back_as_zeros() {
        let mut pages = Pages::default();
        let size = 3 * RUN * PAGE as u64;
        pages.write(0, &vec![7; usize::try_from(size).unwrap()]).unwrap();
        for len in [size - 1, 2 * RUN * PAGE as u64, RUN * PAGE as u64 + 1, PAGE as u64, 10, 0] {
            let mut cut = pages.clone();
            cut.truncate(len).unwrap();
            cut.truncate(size).unwrap();
            let bytes = all(&cut);
            let kept = usize::try_from(len).unwrap();
            assert!(
                bytes[..kept].iter().all(|byte| *byte == 7) && bytes[kept..].iter().all(|byte| *byte == 0),
                "{len}"
            );
        }
        assert!(all(&pages).iter().all(|byte| *byte == 7), "the original keeps its pages");
    }

    #[test]
    fn copies_share_pages_and_do_not_see_each_others_writes() {
        let mut one = Pages::default();
        one.write(0, &[1; 3 * PAGE]).unwrap();
        let mut two = one.clone();
        two.write(PAGE as u64, b"two").unwrap();
        let shared = |number: u64| std::ptr::eq(one.page_from(number).unwrap().1, two.page_from(number).unwrap().1);
        assert_eq!([shared(0), shared(1), shared(2)], [true, false, true]);
        assert_eq!(all(&one), [1; 3 * PAGE]);
        assert_eq!(all(&two)[PAGE..PAGE + 4], *b"two\x01");
    }

    #[test]
    fn digest_follows_size_and_bytes_and_not_the_way_to_them() {
        let mut one = Pages::default();
        one.write(0, &[1; 2 * PAGE]).unwrap();
        let first = one.digest();
        one.write(5000, &[2]).unwrap();
        assert_ne!(one.digest(), first);
        one.write(5000, &[1]).unwrap();
        assert_eq!(one.digest(), first);
        one.truncate(2 * PAGE as u64 + 1).unwrap();
        assert_ne!(one.digest(), first);

        let mut zeros = Pages::default();
        zeros.write(0, &[1; 2 * PAGE]).unwrap();
        zeros.write(2 * PAGE as u64, &[3]).unwrap();
        zeros.write(2 * PAGE as u64, &[0]).unwrap();
        assert_eq!(zeros.digest(), one.digest(), "a page of zeros is as good as none");
        assert_ne!(Pages::default().digest(), one.digest());
    }

    #[test]
    fn a_file_below_shows_where_nothing_was_written_and_not_past_a_cut() {
        let mut under = Pages::default();
        under.write(0, &[5; 3 * PAGE + 100]).unwrap();
        struct Fixed(Pages);
        impl File for Fixed {
            fn len(&self) -> io::Result<u64> {
                Ok(self.0.len())
            }
            fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
                self.0.read_at(offset, buf)
            }
        }
        let mut pages = Pages::over(Arc::new(Fixed(under))).unwrap();
        let mut expected = vec![5; 3 * PAGE + 100];
        pages.write(PAGE as u64 + 10, &[0; 20]).unwrap();
        expected[PAGE + 10..PAGE + 30].fill(0);
        pages.write(3 * PAGE as u64 + 100, b"tail").unwrap();
        expected.extend_from_slice(b"tail");
        assert_eq!(all(&pages), expected);
        pages.truncate(2 * PAGE as u64 + 7).unwrap();
        pages.truncate(3 * PAGE as u64).unwrap();
        expected.truncate(2 * PAGE + 7);
        expected.resize(3 * PAGE, 0);
        assert_eq!(all(&pages), expected);
    }

    #[test]
    fn sizes_that_no_file_can_have_are_refused() {
        let mut pages = Pages::default();
        assert_eq!(pages.write(u64::MAX, b"ab").unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(pages.write(MOST, b"a").unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(pages.truncate(u64::MAX).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        pages.truncate(MOST).unwrap();
        assert_eq!(pages.read_at(u64::MAX, &mut [0]).unwrap(), 0);
    }
}
