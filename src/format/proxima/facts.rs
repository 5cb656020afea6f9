//! A summary of a vector file.

use super::hnsw::NO_ENTRY;
use super::{Flavour, IndexKind, Layout, Section, Segment, VectorFile};
use crate::format::Source;

/// What a report says about a vector file. Numbers are as stored unless said otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// What it is.
    pub kind: IndexKind,
    /// Whether it has the layout of 0.1.0 (flat).
    pub legacy: bool,
    /// Container layout.
    pub flavour: Flavour,
    /// Sections of the container.
    pub sections: Vec<Section>,
    /// Segments of the container.
    pub segments: Vec<Segment>,
    /// Rows that are there, those without vector included.
    pub rows: u64,
    /// Rows as announced.
    pub stored_rows: u64,
    /// Dimension of the vectors; 0 for sparse ones and when the elements cannot be decoded.
    pub dimension: u64,
    /// Type of the stored components.
    pub data_type: &'static str,
    /// Bytes per element; 0 for sparse.
    pub element_size: u64,
    /// Metric the vectors are compared by.
    pub metric: String,
    /// `quantizer` of the index; empty when there is none.
    pub quantizer: String,
    /// `reformer` of the index; empty when there is none.
    pub reformer: String,
    /// Whether vectors were rotated.
    pub rotated: bool,
    /// Whether the elements keep the column's full precision; `None` when they cannot be decoded.
    pub exact: Option<bool>,
    /// Largest degree on level 0 (graphs).
    pub max_degree: Option<u64>,
    /// Largest degree on upper levels (HNSW).
    pub max_upper_degree: Option<u64>,
    /// Highest level (HNSW).
    pub max_level: Option<u64>,
    /// Node where searches begin (graphs that are not empty).
    pub entry_point: Option<u64>,
    /// Inverted lists or clusters.
    pub lists: Option<u64>,
    /// Creation time, unix seconds.
    pub created: u64,
    /// Update time, unix seconds.
    pub updated: u64,
}

impl<S: Source> VectorFile<S> {
    /// Whether it has so many rows, by what is there or by its counters: of a damaged file one of the two may still tell.
    pub fn states_rows(&self, rows: u64) -> bool {
        let stored = match &self.layout {
            Layout::Flat(flat) => flat.meta.rows.into(),
            Layout::FlatSparse(flat) => flat.stored_rows.into(),
            Layout::Graph(graph) => graph.header.nodes.into(),
            Layout::Ivf(_) | Layout::IvfRabitq(_) | Layout::DiskAnn(_) => self.rows(),
        };
        self.rows() == rows || stored == rows
    }

    /// A summary.
    pub fn facts(&self) -> Facts {
        let (first, last) = (self.container.sections.first(), self.container.sections.last());
        let meta = self.element_meta.as_ref().unwrap_or(&self.meta);
        let name = |key: &str| match meta.name(key) {
            "" => self.meta.name(key).to_owned(),
            name => name.to_owned(),
        };
        let mut facts = Facts {
            kind: self.kind,
            legacy: false,
            flavour: self.container.flavour,
            sections: self.container.sections.clone(),
            segments: self.container.segments.clone(),
            rows: self.rows(),
            stored_rows: self.rows(),
            dimension: self.encoding.as_ref().map_or(0, |encoding| encoding.dimension as u64),
            data_type: meta.data_type.name(),
            element_size: if meta.sparse { 0 } else { meta.element_size() },
            metric: self.meta.metric().to_owned(),
            quantizer: name("quantizer"),
            reformer: name("reformer"),
            rotated: self.rotation.is_some(),
            exact: match self.has_codes_only() {
                true => Some(false),
                false => self.encoding.as_ref().ok().map(|encoding| encoding.is_exact()),
            },
            max_degree: None,
            max_upper_degree: None,
            max_level: None,
            entry_point: None,
            lists: None,
            created: first.map_or(0, |section| section.created),
            updated: last.map_or(0, |section| section.updated),
        };
        match &self.layout {
            Layout::Flat(flat) => {
                facts.legacy = flat.legacy;
                facts.stored_rows = flat.meta.rows.into();
                (facts.created, facts.updated) = (flat.meta.created, flat.meta.updated);
            }
            Layout::FlatSparse(flat) => {
                facts.stored_rows = flat.stored_rows.into();
                (facts.created, facts.updated) = (flat.created, flat.updated);
            }
            Layout::Graph(graph) => {
                let header = &graph.header;
                facts.stored_rows = header.nodes.into();
                facts.max_degree = Some(header.max_degree.into());
                if self.kind != IndexKind::Vamana {
                    facts.max_upper_degree = Some(header.max_upper_degree.into());
                    facts.max_level = Some(header.max_level.into());
                }
                facts.entry_point = (header.entry_point != NO_ENTRY).then_some(header.entry_point.into());
                if let Some([padded, ..]) = header.rabitq {
                    facts.dimension = padded.into();
                    facts.element_size = graph.vector_size();
                }
                (facts.created, facts.updated) = (graph.meta.created, graph.meta.updated);
            }
            Layout::Ivf(ivf) => facts.lists = Some(ivf.lists.into()),
            Layout::IvfRabitq(ivf) => {
                facts.lists = Some(ivf.clusters.into());
                facts.dimension = ivf.dimension.into();
                facts.element_size = ivf.codes(0).1;
            }
            Layout::DiskAnn(diskann) => {
                facts.max_degree = Some(diskann.max_degree);
                facts.entry_point = (diskann.rows > 0).then_some(diskann.medoid);
            }
        }
        facts
    }
}
