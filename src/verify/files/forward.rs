//! A forward block: magic, footer and the headers of its batches. zvec stores no checksum of it; its values are the business of levels 2 and 3.

use crate::{
    format::forward::ForwardFile,
    inspect::{documents::encoding_of, findings::losing},
    report::{Finding, Loss},
};

use super::super::{
    context::Context,
    jobs::{Job, of_job},
};

pub(in crate::verify) fn check(context: &Context<'_>, job: &Job) {
    context.count(job.bytes);
    let source = match context.view.source(&job.path) {
        Ok(source) => source,
        Err(finding) => {
            let documents = (job.documents > 0).then_some(job.documents);
            return context.findings.add(of_job(job, finding).loses(Loss::Possible, documents));
        }
    };
    let file = match ForwardFile::open(source, encoding_of(&job.path)) {
        Ok(file) => file,
        Err(error) => {
            let finding = losing(&job.path, &error, Loss::Certain, Some(job.documents));
            return context.findings.add(of_job(job, finding));
        }
    };
    if let Some(found) = file.rows().filter(|found| context.view.used().is_some() && *found != job.documents) {
        let missing = job.documents.saturating_sub(found);
        let detail = format!("the manifest says {} rows, the file has {found}", job.documents);
        let finding = Finding::error("segment.row-count", detail).at(&job.path);
        context.findings.add(of_job(job, finding.loses(Loss::Possible, (missing > 0).then_some(missing))));
    }
    for fault in file.faults() {
        // The batches are there all the same; what of them cannot be read tells itself.
        context.findings.add(of_job(job, losing(&job.path, fault, Loss::None, None)));
    }
    for batch in file.batch_infos() {
        if let Some(fault) = &batch.fault {
            context.findings.add(of_job(job, losing(&job.path, fault, Loss::Certain, batch.rows)));
        }
    }
}
