//! What the schema says of a column against what its files say of themselves.

use crate::{
    format::{Source, manifest::proto::FieldSchema, proxima::VectorFile},
    inspect::evidence::column::{differences, holds_codes},
};

use super::subject::{Harm, Subject};

pub(super) fn check<S: Source>(subject: &Subject<'_>, file: &VectorFile<S>, field: &FieldSchema) {
    let offset = file.container.segment("IndexMeta").map_or(0, |segment| segment.offset);
    for difference in differences(file, field) {
        let detail = difference.text + "; zvec refuses to open it";
        subject.error("index-meta.schema-differs", offset, Harm::Perhaps, detail);
    }
}

/// Codes in the place of the full vectors of a column that has no quantised file: with one, the two are compared.
pub(super) fn no_codes<S: Source>(subject: &Subject<'_>, file: &VectorFile<S>, field: &FieldSchema) {
    if holds_codes(file, field) && differences(file, field).is_empty() {
        let offset = file.container.segment("IndexMeta").map_or(0, |segment| segment.offset);
        let detail = "elements: the file holds a quantiser's codes, and the column has no quantiser";
        subject.error("index-meta.schema-differs", offset, Harm::Perhaps, detail);
    }
}
