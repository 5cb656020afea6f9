//! How each report looks to people.

use serde_json::Value as Json;

use crate::{
    format::schema_file::SchemaFile,
    report::{
        documents::DocsReport,
        files::FileList,
        idmap::{DeletedReport, IdMapReport},
        manifest::{ManifestDiff, ManifestDump, ManifestList},
        segments::{SegmentDetail, SegmentEntry, SegmentList},
        wal::WalList,
    },
};

use super::page::{Page, Render, or_dash, size};

impl Render for ManifestDump {
    fn render(&self, page: &mut Page) {
        let manifest = &self.manifest;
        let schema = &manifest["schema"];
        page.pairs(&[
            ("manifest", format!("{} ({} bytes{})", self.file, self.size, if self.valid { "" } else { ", not valid" })),
            ("collection", text(&schema["name"])),
            ("enable_mmap", text(&manifest["enable_mmap"])),
            ("id map", format!("idmap.{}", text(&manifest["id_map_path_suffix"]))),
            ("delete snapshot", format!("del.{}", text(&manifest["delete_snapshot_path_suffix"]))),
            ("next segment", text(&manifest["next_segment_id"])),
            ("documents per segment", format!("at most {}", text(&schema["max_doc_count_per_segment"]))),
        ]);
        let fields: Vec<_> = items(&schema["fields"]).map(field_row).collect();
        if !fields.is_empty() {
            page.gap();
            page.table(&["FIELD", "TYPE", "DIM", "NULL", "INDEX", "PARAMETERS"], &fields);
        }
        let persisted = items(&manifest["persisted_segment_metas"]).map(|segment| (segment, "persisted"));
        let writing = Some(&manifest["writing_segment_meta"]).filter(|segment| segment.is_object());
        let mut blocks = Vec::new();
        for (segment, state) in persisted.chain(writing.map(|segment| (segment, "writing"))) {
            let id = text(&segment["segment_id"]);
            for block in items(&segment["persisted_blocks"]) {
                blocks.push(block_row(&id, state, block, text(&block["block_type"])));
            }
            let open = &segment["writing_forward_block"];
            if open.is_object() {
                blocks.push(block_row(&id, state, open, "WRITING".to_owned()));
            }
        }
        if !blocks.is_empty() {
            page.gap();
            page.table(&["SEGMENT", "STATE", "BLOCK", "TYPE", "MIN ID", "MAX ID", "DOCS", "COLUMNS"], &blocks);
        }
        if !self.unknown_fields.is_empty() {
            page.gap();
            let rows: Vec<_> = self
                .unknown_fields
                .iter()
                .map(|field| {
                    let path = if field.path.is_empty() { "(manifest)".to_owned() } else { field.path.clone() };
                    let place = [field.number.to_string(), field.wire_type.clone(), field.offset.to_string()];
                    [vec![path], place.to_vec(), vec![field.value.clone()]].concat()
                })
                .collect();
            page.table(&["UNKNOWN FIELD IN", "NUMBER", "WIRE TYPE", "OFFSET", "VALUE"], &rows);
        }
        page.findings(&self.findings);
    }
}

fn field_row(field: &Json) -> Vec<String> {
    let params = &field["index_params"];
    let (kind, params) = match params.as_object().and_then(|object| object.iter().find(|(_, value)| value.is_object()))
    {
        Some((kind, params)) => (kind.to_uppercase(), flat(params)),
        None => ("-".to_owned(), String::new()),
    };
    let dimension = field["dimension"].as_u64().filter(|dimension| *dimension > 0);
    let nullable = if field["nullable"].as_bool() == Some(true) { "yes" } else { "no" };
    vec![text(&field["name"]), text(&field["data_type"]), or_dash(dimension), nullable.to_owned(), kind, params]
}

fn block_row(segment: &str, state: &str, block: &Json, kind: String) -> Vec<String> {
    let columns: Vec<_> = items(&block["columns"]).map(text).collect();
    vec![
        segment.to_owned(),
        state.to_owned(),
        text(&block["block_id"]),
        kind,
        text(&block["min_doc_id"]),
        text(&block["max_doc_id"]),
        text(&block["doc_count"]),
        columns.join(","),
    ]
}

/// Parameters in one line; nested ones without their holder's name, those that are off left out.
fn flat(params: &Json) -> String {
    let mut parts = Vec::new();
    for (name, value) in params.as_object().into_iter().flatten() {
        match value {
            Json::Object(_) => {
                let inner = flat(value);
                if !inner.is_empty() {
                    parts.push(inner);
                }
            }
            Json::Null | Json::Bool(false) => {}
            Json::String(text) if text.is_empty() || text.ends_with("_UNDEFINED") => {}
            Json::Array(list) if list.is_empty() => {}
            Json::Array(list) => parts.push(format!("{name}={}", list.iter().map(text).collect::<Vec<_>>().join("+"))),
            value => {
                let name = if matches!(name.as_str(), "metric_type" | "quantize_type") {
                    name.trim_end_matches("_type")
                } else {
                    name
                };
                parts.push(format!("{name}={}", text(value)));
            }
        }
    }
    parts.join(" ")
}

impl Render for ManifestList {
    fn render(&self, page: &mut Page) {
        let rows: Vec<_> = self
            .manifests
            .iter()
            .map(|entry| {
                let missing = match entry.missing.len() {
                    0 => "none".to_owned(),
                    1 => entry.missing.join(""),
                    more => format!("{more} files"),
                };
                vec![
                    entry.file.clone(),
                    entry.size.to_string(),
                    or_dash(entry.modified.clone()),
                    entry.state.clone(),
                    match (entry.used, entry.used_by_zvec) {
                        (true, true) => "in use",
                        (true, false) => "by zvecctl",
                        (false, true) => "by zvec",
                        (false, false) => "-",
                    }
                    .to_owned(),
                    or_dash(entry.segments),
                    or_dash(entry.documents),
                    or_dash(entry.named),
                    if entry.named.is_some() { missing } else { "-".to_owned() },
                ]
            })
            .collect();
        page.table(&["MANIFEST", "SIZE", "MODIFIED", "STATE", "USED", "SEGMENTS", "DOCS", "NAMES", "MISSING"], &rows);
        page.findings(&self.findings);
    }
}

impl Render for ManifestDiff {
    fn render(&self, page: &mut Page) {
        page.pairs(&[("from", self.from.clone()), ("to", self.to.clone())]);
        page.gap();
        if self.equal {
            page.line("no difference");
            return;
        }
        let rows: Vec<_> = self
            .changes
            .iter()
            .map(|change| vec![change.path.clone(), or_dash(change.before.clone()), or_dash(change.after.clone())])
            .collect();
        page.table(&["WHAT", "FROM", "TO"], &rows);
    }
}

impl Render for SegmentList {
    fn render(&self, page: &mut Page) {
        let rows: Vec<_> = self.segments.iter().map(segment_row).collect();
        page.table(&SEGMENT_HEADER, &rows);
        page.findings(&self.findings);
    }
}

const SEGMENT_HEADER: [&str; 9] =
    ["SEGMENT", "STATE", "DOCS", "DELETED", "MIN ID", "MAX ID", "BLOCKS", "WAL RECORDS", "SIZE"];

fn segment_row(segment: &SegmentEntry) -> Vec<String> {
    vec![
        segment.id.to_string(),
        segment.state.clone(),
        or_dash(segment.documents),
        or_dash(segment.deleted),
        or_dash(segment.min_doc_id),
        or_dash(segment.max_doc_id),
        segment.blocks.to_string(),
        or_dash(segment.wal_records),
        sizes(segment.size, segment.allocated),
    ]
}

impl Render for SegmentDetail {
    fn render(&self, page: &mut Page) {
        page.table(&SEGMENT_HEADER, &[segment_row(&self.segment)]);
        page.gap();
        let rows: Vec<_> = self
            .blocks
            .iter()
            .map(|block| {
                vec![
                    block.id.to_string(),
                    block.block_type.clone(),
                    block.documents.to_string(),
                    or_dash(block.rows),
                    block.path.clone(),
                    if block.exists { size(block.size) } else { "missing".to_owned() },
                    flat(&essential(&block.content)),
                ]
            })
            .collect();
        page.table(&["BLOCK", "TYPE", "DOCS", "ROWS", "PATH", "SIZE", "CONTENT"], &rows);
        page.findings(&self.findings);
    }
}

/// What the table has room for; JSON has it all.
fn essential(content: &Json) -> Json {
    let mut content = content.clone();
    if let Some(fields) = content.as_object_mut() {
        fields
            .retain(|name, _| !matches!(name.as_str(), "container" | "sections" | "segments" | "created" | "manifest"));
    }
    content
}

impl Render for FileList {
    fn render(&self, page: &mut Page) {
        let holders: Vec<_> = self
            .lock
            .holders
            .iter()
            .map(|holder| match &holder.program {
                Some(program) => format!("{} ({program}), {}", holder.pid, holder.mode),
                None => format!("{}, {}", holder.pid, holder.mode),
            })
            .collect();
        let by = if holders.is_empty() { String::new() } else { format!(" by process {}", holders.join("; ")) };
        page.pairs(&[
            ("manifest", self.manifest.clone().unwrap_or_else(|| "none that can be used".to_owned())),
            ("lock", format!("{}{by}", self.lock.state)),
            ("size", sizes(self.size, self.allocated)),
        ]);
        page.gap();
        let rows: Vec<_> = self
            .files
            .iter()
            .map(|file| {
                let role = serde_json::to_value(file.role).unwrap_or_default();
                vec![
                    file.path.clone(),
                    text(&role),
                    match file.file_type.as_str() {
                        "file" | "nothing" => file.kind.clone(),
                        other => format!("{} ({other})", file.kind),
                    },
                    or_dash(file.size),
                    or_dash(file.modified.clone()),
                ]
            })
            .collect();
        page.table(&["FILE", "ROLE", "KIND", "SIZE", "MODIFIED"], &rows);
        page.findings(&self.findings);
    }
}

impl Render for SchemaFile {
    fn render(&self, page: &mut Page) {
        let schema = serde_json::to_value(self).unwrap_or_default();
        page.pairs(&[
            ("collection", text(&schema["name"])),
            ("documents per segment", format!("at most {}", text(&schema["max_doc_count_per_segment"]))),
        ]);
        page.gap();
        let rows: Vec<_> = items(&schema["fields"])
            .chain(items(&schema["vectors"]))
            .map(|field| {
                let index = &field["index"];
                let mut params = index.clone();
                if let Some(params) = params.as_object_mut() {
                    params.remove("type");
                }
                let kind = index["type"].as_str().unwrap_or("-").to_owned();
                let nullable = if field["nullable"].as_bool() == Some(true) { "yes" } else { "no" };
                vec![
                    text(&field["name"]),
                    text(&field["data_type"]),
                    or_dash(field["dimension"].as_u64()),
                    nullable.to_owned(),
                    kind,
                    flat(&params),
                ]
            })
            .collect();
        page.table(&["FIELD", "TYPE", "DIM", "NULL", "INDEX", "PARAMETERS"], &rows);
    }
}

impl Render for WalList {
    fn render(&self, page: &mut Page) {
        if self.wals.is_empty() {
            page.line("no write-ahead log");
        } else {
            let rows: Vec<_> = self
                .wals
                .iter()
                .map(|wal| {
                    let ops = wal.operations;
                    vec![
                        wal.path.clone(),
                        if wal.active { "active" } else { "leftover" }.to_owned(),
                        wal.size.to_string(),
                        wal.records.to_string(),
                        ops.insert.to_string(),
                        ops.upsert.to_string(),
                        ops.update.to_string(),
                        ops.delete.to_string(),
                        wal.state.clone(),
                        or_dash(wal.fault_offset),
                        wal.dropped_by_zvec.to_string(),
                    ]
                })
                .collect();
            let header = [
                "WAL",
                "USE",
                "SIZE",
                "RECORDS",
                "INSERT",
                "UPSERT",
                "UPDATE",
                "DELETE",
                "STATE",
                "FAULT AT",
                "LOST BY ZVEC",
            ];
            page.table(&header, &rows);
        }
        page.findings(&self.findings);
    }
}

impl Render for IdMapReport {
    fn render(&self, page: &mut Page) {
        let rows: Vec<_> = self
            .entries
            .iter()
            .map(|entry| {
                let note = if entry.deleted == Some(true) { "deleted" } else { "" };
                vec![entry.id.clone(), entry.state.clone(), or_dash(entry.doc_id), note.to_owned()]
            })
            .collect();
        page.table(&["ID", "STATE", "DOC ID", "NOTE"], &rows);
        page.findings(&self.findings);
    }
}

impl Render for DeletedReport {
    fn render(&self, page: &mut Page) {
        page.pairs(&[
            ("delete snapshot", self.path.clone()),
            ("written", self.written.clone().unwrap_or_else(|| "unknown".to_owned())),
            ("deleted", self.count.to_string()),
        ]);
        if !self.ranges.is_empty() {
            page.gap();
            let rows: Vec<_> = self
                .ranges
                .iter()
                .map(|range| {
                    let count = (range.last - range.first).saturating_add(1);
                    vec![range.first.to_string(), range.last.to_string(), count.to_string()]
                })
                .collect();
            page.table(&["FIRST ID", "LAST ID", "COUNT"], &rows);
        }
        page.findings(&self.findings);
    }
}

impl Render for DocsReport {
    fn render(&self, page: &mut Page) {
        for lookup in &self.documents {
            page.gap();
            let mut pairs = vec![("id", lookup.id.clone()), ("state", lookup.state.clone())];
            pairs.extend(lookup.doc_id.map(|id| ("doc id", id.to_string())));
            pairs.extend(lookup.origin.clone().map(|origin| ("from", origin)));
            page.pairs(&pairs);
            let Some(document) = &lookup.document else { continue };
            let document: Json = serde_json::from_str(document.get()).unwrap_or_default();
            let rows: Vec<_> = ["fields", "vectors"]
                .into_iter()
                .flat_map(|part| document[part].as_object().into_iter().flatten())
                .map(|(name, value)| vec![name.clone(), shortened(value)])
                .collect();
            page.table(&["FIELD", "VALUE"], &rows);
        }
        page.findings(&self.findings);
    }
}

/// A value in one line; long ones cut, with their length.
fn shortened(value: &Json) -> String {
    const LONGEST: usize = 160;
    let shown = text(value);
    if shown.chars().count() <= LONGEST {
        return shown;
    }
    let elements = match value {
        Json::Array(list) => format!("{} elements", list.len()),
        Json::Object(map) => format!("{} elements", map.len()),
        _ => format!("{} characters", shown.chars().count()),
    };
    format!("{}… ({elements})", shown.chars().take(LONGEST).collect::<String>())
}

fn items(value: &Json) -> impl Iterator<Item = &Json> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

fn sizes(size_: u64, allocated: Option<u64>) -> String {
    match allocated {
        Some(allocated) if allocated != size_ => format!("{} ({} on disk)", size(size_), size(allocated)),
        _ => size(size_),
    }
}
