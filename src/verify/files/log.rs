//! A write-ahead log: header, the CRC of every record, what its payloads decode to.

use crate::inspect::wal;

use super::super::{
    context::Context,
    jobs::{Job, of_job},
};

pub(in crate::verify) fn check(context: &Context<'_>, job: &Job) {
    let (_, findings) = wal::describe(context.view, &job.path, job.needed);
    context.count(job.bytes);
    context.findings.extend(findings.into_iter().map(|finding| of_job(job, finding)));
}
