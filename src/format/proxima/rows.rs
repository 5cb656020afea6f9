//! Rows by key and records by position.

use std::sync::Arc;

use super::encoding::Vector;
use super::flat_sparse::SparsePlace;
use super::hnsw::GraphKind;
use super::ivf::Blocks;
use super::keymap::KeyMap;
use super::window::Window;
use super::{Layout, Segment, VectorFile};
use crate::format::{FormatError, Result, Source};

/// Key of a row without vector.
pub(super) const NO_KEY: u64 = u64::MAX;

/// What is remembered between reads of one file: bytes fetched ahead. Used with another file it starts over.
#[derive(Debug)]
pub struct RowReader {
    file: Arc<()>,
    keys: Window,
    places: Window,
    elements: Window,
    blocks: Blocks,
}

/// A row as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'r> {
    /// Position in storage order.
    pub position: u64,
    /// Key; 2^64−1 for a row without vector.
    pub key: u64,
    /// Absolute offset of the element.
    pub offset: u64,
    /// The element: see [`super::encoding`], or [`super::sparse`]. RaBitQ: codes. Empty for a sparse row without vector.
    pub bytes: &'r [u8],
}

impl Record<'_> {
    /// Whether the row has no vector.
    pub fn is_null(&self) -> bool {
        self.key == NO_KEY
    }
}

/// What a row holds.
#[derive(Debug, Clone, PartialEq)]
pub enum RowValue {
    /// A vector.
    Vector(Vector),
    /// RaBitQ codes; the vector is in the `index` file of the same block.
    Codes(Vec<u8>),
}

/// A decoded row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its value.
    pub value: RowValue,
    /// The row was found by its place but states another key, `bad-key`. zvec's fetch does not notice.
    pub fault: Option<FormatError>,
}

impl<S: Source> VectorFile<S> {
    /// A reader for [`VectorFile::read_row`] and [`VectorFile::record`].
    pub fn reader(&self) -> RowReader {
        RowReader {
            file: self.identity.clone(),
            keys: Window::default(),
            places: Window::default(),
            elements: Window::default(),
            blocks: Blocks::default(),
        }
    }

    /// The row with key `key`: the block-local row number. `None` when the row has no vector, or none any more: rows that
    /// were null when a graph was built are stored as zeros and come out as such.
    pub fn read_row(&self, key: u64, reader: &mut RowReader) -> Result<Option<Row>> {
        let position = match &self.layout {
            Layout::Flat(_) | Layout::FlatSparse(_) | Layout::Graph(_) => (key < self.rows()).then_some(key),
            Layout::Ivf(_) | Layout::IvfRabitq(_) | Layout::DiskAnn(_) => self.key_map()?.position(key),
        };
        let Some(position) = position else { return Ok(None) };
        let record = self.record(position, reader)?;
        if record.is_null() {
            return Ok(None);
        }
        let fault = (record.key != key).then(|| {
            let detail = format!("row {key} states key {}", record.key);
            FormatError::malformed("proxima.bad-key", record.offset, detail)
        });
        let value = if self.has_codes_only() {
            RowValue::Codes(record.bytes.to_vec())
        } else {
            let encoding = self.encoding.as_ref().map_err(Clone::clone)?;
            RowValue::Vector(encoding.decode(record.bytes, record.offset)?)
        };
        Ok(Some(Row { value, fault }))
    }

    /// The row at `position` in storage order, below [`VectorFile::rows`], as it is stored.
    pub fn record<'r>(&self, position: u64, reader: &'r mut RowReader) -> Result<Record<'r>> {
        if !Arc::ptr_eq(&reader.file, &self.identity) {
            *reader = self.reader();
        }
        if position >= self.rows() {
            let detail = format!("position {position} of {}", self.rows());
            return Err(FormatError::malformed("proxima.bad-position", 0, detail));
        }
        let source = &self.source;
        let RowReader { keys, places, elements, blocks, .. } = reader;
        let (key, offset, bytes) = match &self.layout {
            Layout::Flat(flat) => {
                let key = flat.key(source, position, places)?;
                let (offset, bytes) = flat.element(source, position, elements)?;
                (key, offset, bytes)
            }
            Layout::FlatSparse(flat) => {
                let (key, place, at) = flat.entry(source, position, places)?;
                sparse_record(source, key, place, at, &flat.data_chunks, elements)?
            }
            Layout::Graph(graph) if graph.kind == GraphKind::HnswSparse => {
                let (key, place, at) = graph.sparse_entry(source, position, places)?;
                sparse_record(source, key, place, at, &graph.sparse_chunks, elements)?
            }
            Layout::Graph(graph) => {
                let (offset, bytes, key) = graph.vector(source, position, elements)?;
                (key, offset, bytes)
            }
            Layout::Ivf(ivf) => {
                let key = key_at(source, &ivf.keys, position, keys, "ivf.truncated")?;
                let (offset, bytes) = ivf.element(source, position, places, blocks)?;
                (key, offset, bytes)
            }
            Layout::IvfRabitq(ivf) => {
                let key = key_at(source, &ivf.keys, position, keys, "ivf-rabitq.truncated")?;
                let (offset, size) = ivf.codes(position);
                let bytes = elements.read(source, offset, size, offset.saturating_add(size), "ivf-rabitq.truncated")?;
                (key, offset, bytes)
            }
            Layout::DiskAnn(diskann) => {
                let key = key_at(source, &diskann.keys, position, keys, "diskann.truncated")?;
                let (offset, bytes) = diskann.element(source, position, elements)?;
                (key, offset, bytes)
            }
        };
        Ok(Record { position, key, offset, bytes })
    }

    /// Key of sparse row `position`, where its record lies, and the offset of that statement; `None` in dense files.
    pub fn sparse_place(&self, position: u64, reader: &mut RowReader) -> Result<Option<(u64, SparsePlace, u64)>> {
        if !Arc::ptr_eq(&reader.file, &self.identity) {
            *reader = self.reader();
        }
        match &self.layout {
            Layout::FlatSparse(flat) => flat.entry(&self.source, position, &mut reader.places).map(Some),
            Layout::Graph(graph) if graph.kind == GraphKind::HnswSparse => {
                graph.sparse_entry(&self.source, position, &mut reader.places).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Key to position, for the packed kinds; empty for the others. Read once, on first use; holds four bytes per row.
    pub fn key_map(&self) -> Result<&KeyMap> {
        let (keys, mapping, code) = match &self.layout {
            Layout::Ivf(ivf) => (Some(&ivf.keys), ivf.mapping.as_ref(), "ivf.truncated"),
            Layout::IvfRabitq(ivf) => (Some(&ivf.keys), ivf.mapping.as_ref(), "ivf-rabitq.truncated"),
            Layout::DiskAnn(diskann) => (Some(&diskann.keys), diskann.mapping.as_ref(), "diskann.truncated"),
            Layout::Flat(_) | Layout::FlatSparse(_) | Layout::Graph(_) => (None, None, ""),
        };
        let map = self.key_map.get_or_init(|| match keys {
            Some(keys) => KeyMap::read(&self.source, self.rows(), keys, mapping, code),
            None => Ok(KeyMap::default()),
        });
        map.as_ref().map_err(Clone::clone)
    }

    /// Whether rows hold RaBitQ codes instead of vectors.
    pub fn has_codes_only(&self) -> bool {
        match &self.layout {
            Layout::Graph(graph) => graph.kind == GraphKind::HnswRabitq,
            Layout::IvfRabitq(_) => true,
            _ => false,
        }
    }
}

fn sparse_record<'w, S: Source>(
    source: &S,
    key: u64,
    place: SparsePlace,
    at: u64,
    chunks: &[Segment],
    window: &'w mut Window,
) -> Result<(u64, u64, &'w [u8])> {
    // The place of a row without vector points anywhere.
    if key == NO_KEY {
        return Ok((key, at, &[]));
    }
    let (offset, end) = place.locate(chunks, at)?;
    let bytes = window.read(source, offset, place.length.into(), end, "sparse.truncated")?;
    Ok((key, offset, bytes))
}

fn key_at<S: Source>(
    source: &S,
    keys: &Segment,
    position: u64,
    window: &mut Window,
    code: &'static str,
) -> Result<u64> {
    let offset = keys.offset.saturating_add(position.saturating_mul(8));
    window.array(source, offset, keys.end(), code).map(u64::from_le_bytes)
}
