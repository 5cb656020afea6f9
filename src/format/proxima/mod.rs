//! `*.proxima`: the vector indexes of a segment.
//!
//! Every file is a [`container`] of named segments, one of which is the [`meta`] that says what its elements are
//! ([`encoding`]). The other segments make the kind:
//!
//! | kind | tell-tale segment | container | module |
//! |---|---|---|---|
//! | flat | `flat.linear_meta`, 0.1.0 `linear.linear_meta` | streamer | [`flat`] |
//! | flat sparse | `bruteforce_sparse_meta` | streamer | [`flat_sparse`] |
//! | HNSW, HNSW sparse, HNSW-RaBitQ, Vamana | `HnswT2S0` | streamer | [`hnsw`] |
//! | IVF | `ivf.inverted_header` | packed | [`ivf`] |
//! | IVF-RaBitQ | `ivf_rabitq.header` | packed | [`ivf_rabitq`] |
//! | DiskANN | `diskann.meta` | packed | [`diskann`] |
//!
//! The key of a row is its number in the block, 0, 1, 2, …, not a document id. Rows are addressed here by key
//! ([`VectorFile::read_row`]) or by stored position ([`VectorFile::record`]); both are the same but in packed kinds. Nothing is loaded
//! whole: rows are read through a [`RowReader`] that fetches ahead while the walk is in order.
//!
//! [`write`] writes the flat kinds, which is what a block is until `optimize`.

pub mod container;
pub mod diskann;
pub mod encoding;
mod facts;
mod fault;
pub mod flat;
pub mod flat_sparse;
mod graph_header;
pub mod hnsw;
pub mod ivf;
pub mod ivf_rabitq;
mod keymap;
pub mod meta;
mod overwritten;
pub mod rabitq;
pub mod recode;
pub mod rotation;
mod rows;
mod section;
pub mod sparse;
#[cfg(test)]
mod tests;
mod window;
pub mod write;

use std::sync::{Arc, OnceLock};

pub use container::{Checksum, Container, Flavour, Section, Segment};
pub use encoding::{Codec, Encoding, Redundancy, Vector};
pub use facts::Facts;
pub use keymap::KeyMap;
pub use meta::{DataType, IndexMeta};
pub use rows::{Record, Row, RowReader, RowValue};
pub use section::header;

use self::diskann::DiskAnn;
use self::fault::Faults;
use self::flat::Flat;
use self::flat_sparse::FlatSparse;
use self::hnsw::{Graph, GraphKind};
use self::ivf::Ivf;
use self::ivf_rabitq::IvfRabitq;
use self::rotation::Rotation;
use crate::format::{FormatError, Result, Source};

const MAX_META: u64 = 64 << 20;
const MAX_ROTATION: u64 = 1 << 30;
/// Rows looked at to tell the two forms of INT8 apart.
const SAMPLE: u64 = 64;

/// What a vector file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum IndexKind {
    /// Dense vectors in row order.
    Flat,
    /// Sparse vectors in row order.
    FlatSparse,
    /// HNSW graph over dense vectors.
    Hnsw,
    /// HNSW graph over sparse vectors.
    HnswSparse,
    /// HNSW graph over RaBitQ codes.
    HnswRabitq,
    /// Vamana graph.
    Vamana,
    /// Inverted lists.
    Ivf,
    /// Inverted lists of RaBitQ codes.
    IvfRabitq,
    /// DiskANN graph.
    DiskAnn,
}

impl IndexKind {
    /// Name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flat => "flat",
            Self::FlatSparse => "flat_sparse",
            Self::Hnsw => "hnsw",
            Self::HnswSparse => "hnsw_sparse",
            Self::HnswRabitq => "hnsw_rabitq",
            Self::Vamana => "vamana",
            Self::Ivf => "ivf",
            Self::IvfRabitq => "ivf_rabitq",
            Self::DiskAnn => "diskann",
        }
    }
}

/// The structure behind a kind.
#[derive(Debug, Clone)]
pub enum Layout {
    /// Dense vectors in row order.
    Flat(Flat),
    /// Sparse vectors in row order.
    FlatSparse(FlatSparse),
    /// The HNSW family.
    Graph(Box<Graph>),
    /// Inverted lists.
    Ivf(Box<Ivf>),
    /// Inverted lists of RaBitQ codes.
    IvfRabitq(Box<IvfRabitq>),
    /// DiskANN.
    DiskAnn(Box<DiskAnn>),
}

/// An opened vector file.
#[derive(Debug)]
pub struct VectorFile<S> {
    /// What it is.
    pub kind: IndexKind,
    /// Its sections and segments.
    pub container: Container,
    /// The top-level `IndexMeta`; in flat files the copy that zvec obeys.
    pub meta: IndexMeta,
    /// In IVF files: the `IndexMeta` of the stored elements.
    pub element_meta: Option<IndexMeta>,
    /// How elements are stored; the error if this build cannot decode them.
    pub encoding: Result<Encoding>,
    /// The rotation the file holds. It is undone when a row is decoded, except where it may be the wrong one.
    pub rotation: Option<Rotation>,
    /// The structure.
    pub layout: Layout,
    /// What is wrong but did not stop the opening, that of the container first. After a crash a stale table CRC and stale counters are legal in the files of
    /// the block that was being written.
    pub faults: Vec<FormatError>,
    source: S,
    key_map: OnceLock<Result<KeyMap>>,
    identity: Arc<()>,
}

impl<S: Source> VectorFile<S> {
    /// Opens a vector file. Fails when the container, `IndexMeta` or the headers of the kind cannot be made out; everything else that is
    /// wrong is in [`VectorFile::faults`]. Checks the CRCs of headers, footers and segment tables; those of the content are
    /// [`Container::check_segment`] and [`Container::check_content`].
    pub fn open(source: S) -> Result<Self> {
        let container = Container::open(&source)?;
        let mut faults = Faults::default();
        container.faults.iter().cloned().for_each(|fault| faults.push(fault));
        let has = |name: &str| container.segment(name).is_some();
        let mut element_meta = None;
        let (kind, layout, meta);
        if has("flat.linear_meta") || has("linear.linear_meta") {
            let (flat, inner) = Flat::open(&source, &container, &mut faults)?;
            (kind, layout, meta) = (IndexKind::Flat, Layout::Flat(flat), inner);
        } else {
            meta = index_meta(&source, &container)?;
            (kind, layout) = if has("bruteforce_sparse_meta") {
                let flat = FlatSparse::open(&source, &container, &mut faults)?;
                (IndexKind::FlatSparse, Layout::FlatSparse(flat))
            } else if has("HnswT2S0") {
                let graph = Graph::open(&source, &container, meta.name("streamer"), meta.sparse, &mut faults)?;
                (kind_of(graph.kind), Layout::Graph(Box::new(graph)))
            } else if has("ivf.inverted_header") {
                let (ivf, inner) = Ivf::open(&source, &container, &mut faults)?;
                element_meta = Some(inner);
                (IndexKind::Ivf, Layout::Ivf(Box::new(ivf)))
            } else if has("ivf_rabitq.header") {
                let ivf = IvfRabitq::open(&source, &container, &mut faults)?;
                (IndexKind::IvfRabitq, Layout::IvfRabitq(Box::new(ivf)))
            } else if has("diskann.meta") {
                let diskann = DiskAnn::open(&source, &container, meta.element_size(), &mut faults)?;
                (IndexKind::DiskAnn, Layout::DiskAnn(Box::new(diskann)))
            } else {
                let detail = format!("none of the known kinds has these {} segments", container.segments.len());
                return Err(FormatError::malformed("proxima.unknown-kind", 0, detail));
            };
        }
        let offset = container.segment("IndexMeta").map_or(0, |segment| segment.offset);
        let encoding = match &element_meta {
            Some(inner) => Encoding::new(inner, Some(&meta), offset),
            None => Encoding::new(&meta, None, offset),
        };
        let rotation = read_rotation(&source, &container);
        let graph = matches!(layout, Layout::Graph(_));
        let (encoding, rotation) = match (encoding, rotation) {
            (Ok(encoding), Ok(Some(rotation))) => {
                let encoding = with_rotation(encoding, &rotation, graph, offset);
                (encoding, Some(rotation))
            }
            (encoding, Ok(rotation)) => (encoding, rotation),
            (encoding, Err(error)) => (encoding.and(Err(error)), None),
        };
        let mut file = Self {
            kind,
            container,
            meta,
            element_meta,
            encoding,
            rotation,
            layout,
            faults: faults.into_vec(),
            source,
            key_map: OnceLock::new(),
            identity: Arc::new(()),
        };
        file.check_vector_size()?;
        file.tell_short_form();
        Ok(file)
    }

    /// Where the bytes come from.
    pub fn source(&self) -> &S {
        &self.source
    }

    /// Stored rows. Keys from here on have no row: trailing rows without vector are not stored.
    pub fn rows(&self) -> u64 {
        match &self.layout {
            Layout::Flat(flat) => flat.rows,
            Layout::FlatSparse(flat) => flat.rows,
            Layout::Graph(graph) => graph.rows,
            Layout::Ivf(ivf) => ivf.rows,
            Layout::IvfRabitq(ivf) => ivf.rows,
            Layout::DiskAnn(diskann) => diskann.rows,
        }
    }

    /// Undoes the rotation the file holds from here on: for graph files, once a comparison with the `index` file of
    /// the block has shown that it is the right one.
    pub fn trust_rotation(&mut self) {
        if let Some(encoding) = self.turned_back() {
            self.encoding = Ok(encoding);
        }
    }

    /// The encoding with the rotation that the file holds; `None` if it holds none.
    pub fn turned_back(&self) -> Option<Encoding> {
        let (encoding, rotation) = (self.encoding.as_ref().ok()?, self.rotation.as_ref()?);
        let mut encoding = encoding.clone();
        (encoding.rotation, encoding.rotated) = (Some(rotation.clone()), false);
        Some(encoding)
    }

    /// Nodes of a dense graph must hold exactly what the encoding says, or every row would be misread.
    fn check_vector_size(&self) -> Result<()> {
        let (Layout::Graph(graph), Ok(encoding)) = (&self.layout, &self.encoding) else { return Ok(()) };
        let dense = matches!(graph.kind, GraphKind::Hnsw | GraphKind::Vamana);
        if dense && graph.vector_size() != encoding.element_size {
            let detail = format!("vectors of {} bytes, elements of {}", graph.vector_size(), encoding.element_size);
            return Err(FormatError::malformed("hnsw.bad-vector-size", graph.header.offset + 16, detail));
        }
        Ok(())
    }

    fn tell_short_form(&mut self) {
        let mut reader = self.reader();
        let short = (0..self.rows().min(SAMPLE)).find_map(|position| {
            let record = self.record(position, &mut reader).ok()?;
            self.encoding.as_ref().ok()?.is_short(record.bytes)
        });
        if let (Some(true), Ok(encoding)) = (short, &mut self.encoding) {
            encoding.shorten();
        }
    }
}

fn kind_of(kind: GraphKind) -> IndexKind {
    match kind {
        GraphKind::Hnsw => IndexKind::Hnsw,
        GraphKind::HnswSparse => IndexKind::HnswSparse,
        GraphKind::HnswRabitq => IndexKind::HnswRabitq,
        GraphKind::Vamana => IndexKind::Vamana,
    }
}

fn index_meta<S: Source>(source: &S, container: &Container) -> Result<IndexMeta> {
    let segment = container.require("IndexMeta", "proxima.unknown-kind")?;
    let bytes = container.read(source, segment, MAX_META, "index-meta.truncated")?;
    IndexMeta::parse(&bytes, segment.offset)
}

fn read_rotation<S: Source>(source: &S, container: &Container) -> Result<Option<Rotation>> {
    let Some(segment) = container.segment(rotation::SEGMENT) else { return Ok(None) };
    let bytes = container.read(source, segment, MAX_ROTATION, "rotation.truncated")?;
    Rotation::parse(&bytes, segment.offset).map(Some)
}

fn with_rotation(mut encoding: Encoding, rotation: &Rotation, graph: bool, offset: u64) -> Result<Encoding> {
    if rotation.dimension() != encoding.dimension {
        let detail = format!("rotation of {} dimensions, vectors of {}", rotation.dimension(), encoding.dimension);
        return Err(FormatError::malformed("rotation.bad-dimension", offset, detail));
    }
    if graph {
        encoding.rotated = true;
    } else {
        encoding.rotation = Some(rotation.clone());
    }
    Ok(encoding)
}
