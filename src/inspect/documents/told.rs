//! Vector columns that the schema describes otherwise than every file of theirs does: then the schema is what is wrong, and they are read as the files say.
//!
//! ```text
//! a file fits the schema, or the files differ from each other      a file is not in its place: that shows when it is opened
//! the files fit another column, and this one makes sense           the same
//! else                                                             no checksum covers a manifest: a bit of it has changed
//! ```

use std::{path::PathBuf, sync::Arc};

use crate::{
    format::{
        manifest::{
            Manifest,
            proto::{BlockType, DataType, FieldSchema},
        },
        proxima::VectorFile,
    },
    report::Finding,
};

use super::{
    super::{
        FileSource, Findings, View,
        evidence::{
            self,
            column::{differences, holds_codes, kept_otherwise},
            vector,
        },
        view::segments_of,
    },
    schema::{Field, Fields},
};

/// Files of a column that are asked, at most: more of them add nothing.
const ASKED: usize = 64;

type File = VectorFile<Arc<FileSource>>;

impl Fields {
    /// Takes vector fields that all their files contradict as the files have them, each of which is a finding.
    pub fn follow_files(&mut self, view: &View, manifest: &Manifest, findings: &Findings) {
        let told: Vec<_> = self.vectors.iter().map(|field| told(view, manifest, field, &self.vectors)).collect();
        for (field, told) in self.vectors.iter_mut().zip(told) {
            if let Some((declared, finding)) = told {
                field.data_type = DataType::try_from(declared.data_type).unwrap_or(DataType::Undefined);
                field.dimension = declared.dimension;
                field.declared = declared;
                findings.add(finding);
            }
        }
    }
}

impl Fields {
    /// Whether files of a vector field contradict the schema, and it is they that are wrong.
    pub fn blames_files(&self, view: &View, manifest: &Manifest, name: &str) -> bool {
        let Some(field) = self.vectors.iter().find(|field| field.name == name) else { return false };
        let mut files = files(view, manifest, name);
        files.any(|(.., file)| !differences(&file, &field.declared).is_empty())
            && told(view, manifest, field, &self.vectors).is_none()
    }
}

/// The files of the full vectors of a column that can be opened, with their segments.
fn files<'a>(
    view: &'a View,
    manifest: &'a Manifest,
    name: &'a str,
) -> impl Iterator<Item = (u32, PathBuf, File)> + use<'a> {
    let segments = segments_of(manifest).into_iter();
    let listed = segments.flat_map(move |segment| {
        let blocks = segment.meta.persisted_blocks.iter().filter(move |block| {
            block.block_type == BlockType::VectorIndex as i32 && block.columns.first().is_some_and(|of| of == name)
        });
        blocks.filter_map(move |block| Some((segment.id(), segment.block_path(block)?)))
    });
    listed.take(ASKED).filter_map(|(segment, path)| {
        let file = VectorFile::open(view.source(&path).ok()?).ok()?;
        Some((segment, path, file))
    })
}

/// A field as its files have it, if it is the schema that is wrong, and what is said of that.
fn told(view: &View, manifest: &Manifest, field: &Field, all: &[Field]) -> Option<(FieldSchema, Finding)> {
    let all_of = |file: &File| {
        let found = differences(file, &field.declared).into_iter();
        found.chain(kept_otherwise(file, &field.declared)).map(|found| found.text).collect::<Vec<_>>()
    };
    let contradicts = |file: &File| !all_of(file).is_empty();
    // In the ordinary case no more than one file is opened.
    let (segment, path, first) = files(view, manifest, &field.name).next().filter(|(.., first)| contradicts(first))?;
    let shape = |file: &File| {
        let encoding = file.encoding.as_ref().ok();
        let elements = encoding.map(|encoding| (encoding.dimension, encoding.codec));
        (file.meta.sparse, elements, file.meta.metric().to_owned())
    };
    let wrong = |file: &File| contradicts(file) && !holds_codes(file, &field.declared) && shape(file) == shape(&first);
    if !files(view, manifest, &field.name).all(|(.., file)| wrong(&file)) {
        return None;
    }
    let others = all.iter().filter(|other| other.name != field.name);
    let could_be = |other: &Field| {
        let kept = holds_codes(&first, &other.declared) || kept_otherwise(&first, &other.declared).is_none();
        kept && differences(&first, &other.declared).is_empty()
    };
    if has_shape(field) && others.into_iter().any(could_be) {
        return None;
    }
    let known = evidence::vector_file(view, &path)?;
    let of_files = vector::tell(&field.name, &[&known])?.field;
    let declared = FieldSchema {
        data_type: of_files.data_type.to_proto() as i32,
        dimension: of_files.dimension,
        // How it is searched does not matter to who reads it, and how it is kept stands in the file.
        index_params: None,
        ..field.declared.clone()
    };
    let found = all_of(&first);
    let offset = first.container.segment("IndexMeta").map_or(0, |segment| segment.offset);
    let detail = format!(
        "{}; zvec refuses to open it; every file of field {} contradicts the schema, and is read as it is",
        found.join("; "),
        field.name
    );
    let finding = Finding::error("index-meta.schema-differs", detail).at(&path).offset(offset).segment(segment);
    Some((declared, finding))
}

/// Whether type and dimension of a field go together: only sparse vectors have none.
fn has_shape(field: &Field) -> bool {
    let sparse = matches!(field.data_type, DataType::SparseVectorFp16 | DataType::SparseVectorFp32);
    sparse == (field.dimension == 0)
}
