//! What zvec 0.8.0 would make of the collection if it opened it for writing now.
//!
//! Its steps, in its order, as observed of the release:
//!
//! | step | ends the open |
//! |---|---|
//! | lock LOCK | no such file |
//! | the highest `manifest.<N>`, parsed, not validated | none; it does not parse |
//! | id map | RocksDB does not open it |
//! | delete snapshot | missing, wrong magic or CRC |
//! | removal of segment directories that the manifest does not list, and of `<n>.tmp` | |
//! | persisted segments: forward blocks, indexes, vectors | a file is missing, a container, footer or database does not open |
//! | writing segment, the same; without schema and writing segment the process dies | |
//! | replay of the log | no valid header; a record whose payload ends early kills the process |
//!
//! What a checksum or a structure does not show (a flipped bit of a value) is unknown here, too.

mod open;
mod replay;
mod unreachable;

use crate::{
    inspect::{
        Findings, Tree, View,
        deleted::Deleted,
        idmap::IdMap,
        names,
        wal::{self, Overlay},
    },
    report::{
        Finding, many,
        outlook::{DocumentsOutlook, OpenOutlook, Outlook, WalOutlook},
        show_path,
    },
};

/// The release whose behaviour this is.
pub const RELEASE: &str = "0.8.0";

/// Works it out. `findings` are those of a look that went through every file; what comes up besides is added to `more`.
pub fn outlook(view: &View, tree: &Tree, findings: &[Finding], more: &Findings) -> Outlook {
    let opened = open::open(view, tree, findings);
    let mut outlook = Outlook {
        release: RELEASE.to_owned(),
        open: opened.open,
        message: opened.message,
        reasons: opened.reasons,
        manifest: opened.manifest,
        removes: opened.removes.iter().map(|path| show_path(path)).collect(),
        wal: None,
        accepts_inserts: opened.open == OpenOutlook::Opens
            && !findings.iter().any(|finding| finding.code == "segment.sealed-writing"),
        documents: None,
    };
    if outlook.open == OpenOutlook::Opens {
        outlook.reasons.extend(findings.iter().filter_map(wrong));
    }
    // What it does with documents can be told only where it reads by the same manifest.
    let Some((file, manifest)) = view.used().and_then(|file| Some((file, file.manifest.as_ref()?))) else {
        return outlook;
    };
    if outlook.manifest.as_deref() != Some(&show_path(&file.path)) {
        return outlook;
    }
    let map = names::id_map_path(manifest.id_map_path_suffix);
    if wal::active(view, manifest).is_none() && !findings.iter().any(|finding| finding.is_about(&map)) {
        // Nothing is replayed, and every key is found: the map need not be opened, which takes long if it is large.
        return outlook;
    }
    let id_map = IdMap::load(view, manifest);
    let snapshot = Deleted::load(view, manifest).ids();
    let overlay = Overlay::load(view, manifest, &id_map, &snapshot, more);
    let replayed = replay::replay(view, manifest, &id_map, &overlay, &snapshot);
    if let Some(replayed) = &replayed {
        if replayed.undecodable && outlook.open == OpenOutlook::Opens {
            outlook.open = OpenOutlook::Crashes;
            outlook.accepts_inserts = false;
            outlook
                .reasons
                .push("a record of the write-ahead log ends within a value: the replay dies of it".to_owned());
        }
        // One that does not open comes to no log.
        outlook.wal = overlay.path.as_deref().filter(|_| outlook.open == OpenOutlook::Opens).map(|path| WalOutlook {
            path: show_path(path),
            replayed: replayed.records,
            dropped: replayed.dropped,
        });
    }
    if outlook.open != OpenOutlook::Opens {
        return outlook;
    }
    // Then the replay of a document with text fails, and nobody can tell how far it had come.
    let lost = |finding: &Finding| {
        finding.code == "index.family-missing"
            && !["$FTS_STAT", "$POSITIONS"].iter().any(|harmless| finding.detail.contains(harmless))
    };
    if outlook.wal.is_some() && findings.iter().any(lost) {
        outlook
            .reasons
            .push("a full-text index lacks column families: documents of the write-ahead log would be lost".to_owned());
        return outlook;
    }
    let unreachable = unreachable::keys(view, manifest, &id_map, &snapshot, &overlay, findings);
    let mut documents = replayed.map(|replayed| replayed.documents).unwrap_or_default();
    documents.unreachable = unreachable;
    outlook.documents = Some(documents).filter(|documents| *documents != DocumentsOutlook::default());
    outlook
}

/// What it answers wrongly, without a word.
fn wrong(finding: &Finding) -> Option<String> {
    let what = match finding.code.as_str() {
        "segment.shifted-vectors" | "segment.vector-count" => {
            "would return other documents' vectors, and find documents by them"
        }
        "vectors.copy" if finding.loss == crate::report::Loss::Possible => {
            "would return other documents' vectors, here or in the other place of the file"
        }
        "vectors.other-file" => "would search among vectors that are not those of the documents",
        "vectors.foreign-rotation" => "searches would return arbitrary documents",
        "segment.index-beyond-end" => "queries that meet a row beyond the end would fail (\"fetch table failed\")",
        _ => return None,
    };
    let place = finding.path.as_deref().unwrap_or("a segment");
    let documents = finding.documents_at_risk.filter(|count| *count > 0);
    let documents = documents.map_or_else(String::new, |count| format!(" ({})", many(count, "document")));
    Some(format!("{place}: {what}{documents}"))
}
