//! The file set beyond roles: directories and files in each other's place, and names that zvec almost writes.

use std::path::Path;

use crate::{
    inspect::{
        Tree, View,
        evidence::copies,
        names::{self, NameKind},
    },
    report::{
        Finding, Loss,
        files::{FileEntry, Role},
    },
    vfs::FileType,
};

/// Findings that the roles of files do not tell.
pub(in crate::verify) fn findings(view: &View, tree: &Tree, list: &[FileEntry]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let named: Vec<_> =
        view.used().and_then(|file| file.manifest.as_ref()).map(crate::inspect::files::named_by).unwrap_or_default();
    for entry in &tree.entries {
        // A directory of the manifest whose name is taken by a file.
        let is_directory_name = matches!(
            names::classify(&entry.path.join("CURRENT")).0,
            NameKind::IdMap | NameKind::ScalarIndex | NameKind::FtsIndex
        );
        if is_directory_name && entry.file_type != FileType::Dir && named.iter().any(|named| named.path == entry.path) {
            let detail = "a file stands where a directory should; zvec 0.8.0 cannot open the collection";
            findings.push(Finding::error("file.not-a-directory", detail).at(&entry.path).loses(Loss::None, None));
        }
    }
    findings.extend(list.iter().filter(|file| file.role == Role::Stranger).filter_map(almost));
    if let Some(manifest) = view.used().and_then(|file| file.manifest.as_ref()) {
        findings.extend(copies::findings(view, manifest));
    }
    findings
}

/// A name that one of zvec's was probably changed into.
fn almost(file: &FileEntry) -> Option<Finding> {
    let path = Path::new(&file.path);
    let first = path.iter().next()?.to_str()?;
    let lower = first.to_ascii_lowercase();
    let number = |prefix: &str| {
        lower.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
    };
    let what = if !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit()) {
        "a segment's directory, but for leading zeros or its length"
    } else if number("manifest") || number("manifest.") || number("manifest_") || number("manifest-") {
        "a manifest"
    } else if number("del.") || number("del") {
        "a delete snapshot"
    } else if number("idmap") || number("idmap.") {
        "an id map"
    } else if lower == "lock" {
        "the lock file"
    } else {
        return None;
    };
    let detail =
        format!("the name is almost that of {what}; zvec passes over it. If it was renamed, give it its name back");
    Some(Finding::warning("file.misnamed", detail).at(Path::new(first)))
}
