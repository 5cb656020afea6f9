//! A forward block: magic, footer and the headers of its batches. zvec stores no checksum of it; its values are the business of levels 2 and 3.

use crate::{
    format::{
        forward::{Column, DOC_ID_COLUMN, ForwardFile, UID_COLUMN},
        manifest::proto::index_params::Params,
    },
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
    for index in 0..file.batch_infos().len() {
        overwritten(context, job, &file, index);
    }
    for batch in file.batch_infos() {
        if let Some(fault) = &batch.fault {
            context.findings.add(of_job(job, losing(&job.path, fault, Loss::Certain, batch.rows)));
        }
    }
}

/// Values beside bytes that were overwritten: they may be, too. Keys and ids are in the id map, single values of an indexed column in the index.
fn overwritten(context: &Context<'_>, job: &Job, file: &ForwardFile, index: usize) {
    let schema = context.manifest.schema.as_ref();
    // An index does not tell the order of an array.
    let has_copy = |column: &Column| {
        let name = column.name.as_str();
        let field = schema.and_then(|schema| schema.fields.iter().find(|field| field.name == name));
        let params = field.and_then(|field| field.index_params.as_ref()?.params.as_ref());
        name == DOC_ID_COLUMN
            || name == UID_COLUMN
            || (!column.column_type.array && matches!(params, Some(Params::Invert(_))))
    };
    let columns = file.beside_damage(index, false);
    let names: Vec<&str> = columns
        .iter()
        .filter_map(|at| file.columns().get(*at))
        .filter(|column| !has_copy(column))
        .map(|column| column.name.as_str())
        .collect();
    let Some(batch) = file.batch_infos().get(index).filter(|_| !names.is_empty()) else { return };
    let detail = format!(
        "batch {index}: what stands behind its values was overwritten, and those of {} perhaps, too: nothing vouches for them",
        names.join(", ")
    );
    let finding = Finding::error("forward.overwritten", detail).at(&job.path).offset(batch.offset);
    context.findings.add(of_job(job, finding.loses(Loss::Possible, batch.rows)));
}
