//! `explain`.

use schemars::JsonSchema;
use serde::Serialize;

/// What a code means; Markdown without emphasis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Explanation {
    /// The code.
    pub code: String,
    /// Chapter and section of the document that explain it.
    pub section: String,
    /// Severity of the finding, with its loss where that is always the same.
    pub severity: Option<String>,
    /// Exit code of the error.
    pub exit: Option<String>,
    /// What it means.
    pub meaning: String,
    /// What zvec does.
    pub zvec: Option<String>,
    /// What this program does.
    pub zvecctl: Option<String>,
    /// File, place and detail of one as the program prints it.
    pub example: Option<String>,
    /// What to do about it.
    pub remedy: Option<String>,
    /// What holds for all codes of the section.
    pub background: Vec<String>,
}
