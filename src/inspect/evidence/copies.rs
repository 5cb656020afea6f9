//! Vector files that were written once and stand in two places: one has been put over another.
//!
//! zvec draws a random number for each file that it makes, and its header has it beside the time; this program makes one of block, segment and time. Two
//! files with the same header and the same vectors are a file and its copy. What the copy was put over is gone; and where both could be in their place,
//! nothing in them tells which of them is.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use crate::{
    format::{
        manifest::{
            Manifest,
            proto::{BlockType, FieldSchema},
        },
        proxima::{VectorFile, header},
    },
    inspect::{FileSource, View, segments_of},
    report::{Finding, Loss},
};

use super::column::differences;

/// A vector file that the manifest names.
struct Listed {
    path: PathBuf,
    segment: u32,
    column: String,
    rows: u64,
    quantised: bool,
}

type File = VectorFile<Arc<FileSource>>;

/// Files of vectors that are copies of each other.
pub fn findings(view: &View, manifest: &Manifest) -> Vec<Finding> {
    let mut by_header: BTreeMap<_, Vec<Listed>> = BTreeMap::new();
    for segment in segments_of(manifest) {
        for block in &segment.meta.persisted_blocks {
            let quantised = block.block_type == BlockType::VectorIndexQuantize as i32;
            let vectors = quantised || block.block_type == BlockType::VectorIndex as i32;
            let Some(path) = segment.block_path(block).filter(|_| vectors) else { continue };
            let Some(header) = view.source(&path).ok().and_then(|source| header(&source)) else { continue };
            let (segment, rows) = (segment.id(), block.doc_count.into());
            let column = block.columns.first().cloned().unwrap_or_default();
            by_header.entry(header).or_default().push(Listed { path, segment, column, rows, quantised });
        }
    }
    let groups = by_header.into_values().filter(|files| files.len() > 1);
    groups.flat_map(|files| of_one_header(view, manifest, files)).collect()
}

fn of_one_header(view: &View, manifest: &Manifest, files: Vec<Listed>) -> Vec<Finding> {
    let opened = files.into_iter().filter_map(|listed| {
        let file = VectorFile::open(view.source(&listed.path).ok()?).ok()?;
        (file.rows() > 0).then_some((listed, file))
    });
    let mut opened: Vec<(Listed, File)> = opened.collect();
    if let Some((first, rest)) = opened.split_first() {
        let same: Vec<bool> = rest.iter().map(|(_, other)| same_vectors(&first.1, other)).collect();
        let mut same = std::iter::once(same.contains(&true)).chain(same.clone());
        opened.retain(|_| same.next().unwrap_or(false));
    }
    let mixed = opened.iter().any(|(file, _)| file.quantised) && opened.iter().any(|(file, _)| !file.quantised);
    let fits: Vec<bool> = opened.iter().map(|(listed, file)| fits(manifest, listed, file, mixed)).collect();
    let at_home: Vec<&Listed> =
        opened.iter().zip(&fits).filter(|(_, fits)| **fits).map(|((file, _), _)| file).collect();
    let mut findings = Vec::new();
    for ((listed, _), fits) in opened.iter().zip(&fits) {
        let Some(other) = at_home.iter().find(|other| other.path != listed.path) else { continue };
        let other = other.path.display();
        let (detail, loss) = match fits {
            true => (
                format!(
                    "it and {other} are the same file, made once: one of the two is a copy that was put over the file of its block, and nothing in them tells \
                     which"
                ),
                Loss::Possible,
            ),
            false => (
                format!(
                    "it is a copy of {other}, which is in its place there and not here: what stood here is gone, and these are not the vectors of its rows"
                ),
                Loss::Certain,
            ),
        };
        let loss = if listed.quantised { Loss::None } else { loss };
        let finding = Finding::error("vectors.copy", detail).at(&listed.path).segment(listed.segment);
        findings.push(finding.loses(loss, Some(listed.rows)));
    }
    findings
}

/// Whether a file can be that of a block, by its number of rows and what it says of itself. Of `mixed` kinds, one is of full vectors and the other of codes.
fn fits(manifest: &Manifest, listed: &Listed, file: &File, mixed: bool) -> bool {
    let fields = || manifest.schema.iter().flat_map(|schema| &schema.fields);
    let of_column = |field: &&FieldSchema| field.name == listed.column;
    let field = fields().find(of_column);
    let declared = field.is_none_or(|field| differences(file, field).is_empty());
    // Trailing rows without vector are not stored, and releases before 0.8.0 left out what was deleted.
    let may_be_short = field.is_none_or(|field| field.nullable) || file.meta.name("quantizer").is_empty();
    let counts = file.states_rows(listed.rows) || (may_be_short && file.rows() < listed.rows);
    let exact = file.encoding.as_ref().is_ok_and(|encoding| encoding.is_exact());
    declared && counts && (!mixed || exact != listed.quantised)
}

/// Whether nearly all rows of two files are the same, as far as both go.
fn same_vectors(one: &File, other: &File) -> bool {
    if one.kind != other.kind {
        return false;
    }
    let (mut readers, mut same, mut all) = ((one.reader(), other.reader()), 0u64, 0u64);
    for position in 0..one.rows().min(other.rows()) {
        let found = (one.record(position, &mut readers.0), other.record(position, &mut readers.1));
        let (Ok(found), Ok(expected)) = found else { continue };
        same += u64::from((found.key, found.bytes) == (expected.key, expected.bytes));
        all += 1;
    }
    all > 0 && same * 10 >= all * 9
}
