//! What the schema says of a column against what its files say of themselves.

use crate::{
    format::{Source, manifest::proto::FieldSchema, proxima::VectorFile},
    inspect::evidence::column::differences,
};

use super::subject::{Harm, Subject};

pub(super) fn check<S: Source>(subject: &Subject<'_>, file: &VectorFile<S>, field: &FieldSchema) {
    let offset = file.container.segment("IndexMeta").map_or(0, |segment| segment.offset);
    for difference in differences(file, field) {
        let detail = difference.text + "; zvec refuses to open it";
        subject.error("index-meta.schema-differs", offset, Harm::Perhaps, detail);
    }
}
