//! A file of vectors: headers, footers, segment tables and the CRCs of the content, where it stores any.

use crate::{
    format::{FormatError, proxima::VectorFile},
    inspect::findings::losing,
    report::Loss,
};

use super::super::{
    context::Context,
    jobs::{Job, of_job},
};

pub(in crate::verify) fn check(context: &Context<'_>, job: &Job) {
    context.count(job.bytes);
    let documents = (job.documents > 0).then_some(job.documents);
    let add = |error: &FormatError, loss, documents| {
        context.findings.add(of_job(job, losing(&job.path, error, loss, documents)));
    };
    let source = match context.view.source(&job.path) {
        Ok(source) => source,
        Err(finding) => return context.findings.add(of_job(job, finding).loses(Loss::Possible, documents)),
    };
    let file = match VectorFile::open(source) {
        Ok(file) => file,
        Err(error) => return add(&error, Loss::Certain, documents),
    };
    for fault in &file.faults {
        add(fault, Loss::Possible, None);
    }
    for segment in &file.container.segments {
        if context.stopped() {
            return;
        }
        match file.container.check_segment(file.source(), segment) {
            Ok(Some(sum)) if !sum.is_valid() => {
                let (name, stored, computed) = (&segment.name, sum.stored, sum.computed);
                let detail = format!("segment {name}: CRC {stored:#010x} stored, {computed:#010x} computed");
                let error = FormatError::checksum("proxima.segment-crc-mismatch", segment.offset, detail);
                add(&error, Loss::Possible, documents);
            }
            Ok(_) => {}
            Err(error) => add(&error, Loss::Possible, documents),
        }
    }
    match file.container.check_content(file.source()) {
        Ok(Some(sum)) if !sum.is_valid() => {
            let (stored, computed) = (sum.stored, sum.computed);
            let offset = file.container.sections.first().map_or(0, |section| section.content_offset);
            let detail =
                format!("content: CRC {stored:#010x} stored, {computed:#010x} computed; zvec does not look at it");
            add(&FormatError::checksum("proxima.content-crc-mismatch", offset, detail), Loss::Possible, documents);
        }
        Ok(_) => {}
        Err(error) => add(&error, Loss::Possible, documents),
    }
}
