//! A delete snapshot: header, CRC, every container of the set.

use std::path::Path;

use crate::{
    format::{FormatError, Source, delete_set, read_vec},
    inspect::{View, findings::losing},
    report::{Finding, Loss},
};

use super::super::{context::Context, jobs::Job};

pub(in crate::verify) fn check(context: &Context<'_>, job: &Job) {
    context.count(job.bytes);
    context.findings.extend(faults(context.view, &job.path));
}

/// What is wrong with a snapshot, in the words of every level.
pub(in crate::verify) fn faults(view: &View, path: &Path) -> Vec<Finding> {
    let source = match view.source(path) {
        Ok(source) => source,
        Err(finding) => return vec![finding],
    };
    let read = read_vec(&source, 0, source.size(), "delete-set.truncated").and_then(|bytes| delete_set::read(&bytes));
    let faults = match read {
        Ok(set) => set.faults,
        Err(error) => vec![error],
    };
    let tell = |fault: &FormatError| {
        let mut finding = losing(path, fault, Loss::Possible, None);
        finding.detail.push_str(
            "; zvec 0.8.0 refuses to open the collection. Ids that no key of the id map leads to are deleted or replaced: \
             the set can be made again from the id map",
        );
        finding
    };
    faults.iter().map(tell).collect()
}
