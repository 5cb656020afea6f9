//! JSON Schemas of every output.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::Value;

use crate::{
    format::schema_file::SchemaFile,
    report::{
        Envelope,
        bundle::Bundle,
        digest::DigestReport,
        documents::{DocsReport, Document, ExportSummary},
        engine::{Created, DeleteReport, DemoReport, FlushReport, IngestReport, RecoverReport},
        explain::Explanation,
        files::FileList,
        idmap::{DeletedReport, IdMapReport},
        manifest::{ManifestDiff, ManifestDump, ManifestList},
        repair::{NamedDocument, Plan, RepairReport},
        salvage::SalvageReport,
        seal::{SealFile, SealReport},
        segments::{SegmentDetail, SegmentList},
        verify::VerifyReport,
        wal::{WalList, WalRecordLine},
    },
};

/// File name and content of the schema of every output, as kept in `docs/schemas/`.
pub fn all() -> Vec<(String, Value)> {
    vec![
        schema::<Envelope<ManifestDump>>("manifest-dump"),
        schema::<Envelope<ManifestList>>("manifest-ls"),
        schema::<Envelope<ManifestDiff>>("manifest-diff"),
        schema::<Envelope<SegmentList>>("segments-ls"),
        schema::<Envelope<SegmentDetail>>("segments-show"),
        schema::<Envelope<FileList>>("files-ls"),
        schema::<Envelope<SchemaFile>>("schema-show"),
        schema::<Envelope<WalList>>("wal-ls"),
        schema::<WalRecordLine>("wal-dump-line"),
        schema::<Envelope<IdMapReport>>("idmap-get"),
        schema::<Envelope<IdMapReport>>("idmap-dump"),
        schema::<Envelope<DeletedReport>>("deleted-ls"),
        schema::<Envelope<DocsReport>>("docs-get"),
        schema::<Envelope<ExportSummary>>("export"),
        schema::<Envelope<Created>>("create"),
        schema::<Envelope<IngestReport>>("ingest"),
        schema::<Envelope<DeleteReport>>("delete"),
        schema::<Envelope<FlushReport>>("flush"),
        schema::<Envelope<RecoverReport>>("recover"),
        schema::<Envelope<RepairReport>>("repair"),
        schema::<Plan>("repair-plan"),
        schema::<NamedDocument<'_>>("repair-document"),
        schema::<Envelope<DemoReport>>("demo"),
        schema::<Envelope<VerifyReport>>("verify"),
        schema::<Envelope<DigestReport>>("digest"),
        schema::<Envelope<SalvageReport>>("salvage"),
        schema::<Envelope<Bundle>>("report"),
        schema::<Envelope<SealReport>>("seal"),
        schema::<SealFile>("seal-file"),
        schema::<Envelope<Explanation>>("explain"),
        schema::<Document>("document"),
        schema::<SchemaFile>("schema-file"),
        // A command that could not do its work prints this one, whichever command it is.
        schema::<Envelope<()>>("error"),
    ]
}

fn schema<T: JsonSchema>(name: &str) -> (String, Value) {
    let generator = SchemaGenerator::new(SchemaSettings::draft2020_12().for_serialize());
    (format!("{name}.json"), generator.into_root_schema_for::<T>().to_value())
}
