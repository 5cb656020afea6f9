//! A delete snapshot: header, CRC, every container of the set.

use crate::{
    format::{Source, delete_set, read_vec},
    inspect::findings::losing,
    report::Loss,
};

use super::super::{context::Context, jobs::Job};

pub(in crate::verify) fn check(context: &Context<'_>, job: &Job) {
    context.count(job.bytes);
    let source = match context.view.source(&job.path) {
        Ok(source) => source,
        Err(finding) => return context.findings.add(finding),
    };
    let read = read_vec(&source, 0, source.size(), "delete-set.truncated").and_then(|bytes| delete_set::read(&bytes));
    let faults = match read {
        Ok(set) => set.faults,
        Err(error) => vec![error],
    };
    for fault in faults {
        let mut finding = losing(&job.path, &fault, Loss::Possible, None);
        finding.detail.push_str(
            "; zvec 0.8.0 refuses to open the collection. Ids that no key of the id map leads to are deleted or replaced: \
             the set can be made again from the id map",
        );
        context.findings.add(finding);
    }
}
