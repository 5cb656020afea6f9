//! A finding: one thing that is wrong or odd, where, and what it puts at risk.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::show_path;

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// A legal oddity.
    Info,
    /// A leftover, wasted space, something to look at.
    Warning,
    /// Damage, or bytes that this build cannot read.
    Error,
}

/// Whether documents or values are lost; the graver is the greater.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Loss {
    /// Nothing is lost.
    #[default]
    None,
    /// Something may be lost; it depends on what else is there.
    Possible,
    /// What the finding names is lost here.
    Certain,
}

/// The code of a finding that stands for the faults of one file that are not kept apart.
pub const MORE_FAULTS: &str = "file.more-faults";

/// One finding. Codes are stable.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Stable code, `<structure>.<fault>`.
    pub code: String,
    /// How grave it is.
    pub severity: Severity,
    /// File or directory, relative to the collection.
    pub path: Option<String>,
    /// Byte offset in the file at which the fault shows.
    pub offset: Option<u64>,
    /// Segment id, if it concerns one segment.
    pub segment: Option<u32>,
    /// What was found, in words and numbers.
    pub detail: String,
    /// How many documents cannot be trusted or read because of it; `null` where that is not known.
    pub documents_at_risk: Option<u64>,
    /// Whether something is lost.
    pub loss: Loss,
    /// The command that mends it; `null` where there is none yet.
    pub repair: Option<String>,
}

impl Finding {
    /// An error without a place yet; nothing lost until said otherwise.
    pub fn error(code: &str, detail: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, detail)
    }

    /// A warning without a place yet.
    pub fn warning(code: &str, detail: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, detail)
    }

    /// A remark without a place yet.
    pub fn info(code: &str, detail: impl Into<String>) -> Self {
        Self::new(Severity::Info, code, detail)
    }

    fn new(severity: Severity, code: &str, detail: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            severity,
            path: None,
            offset: None,
            segment: None,
            detail: detail.into(),
            documents_at_risk: None,
            loss: Loss::None,
            repair: None,
        }
    }

    /// Sets the path, relative to the collection.
    #[must_use]
    pub fn at(mut self, path: &Path) -> Self {
        self.path = Some(show_path(path));
        self
    }

    /// Whether it is about `path`, or something in that directory.
    pub fn is_about(&self, path: &Path) -> bool {
        self.path.as_deref().is_some_and(|at| Path::new(at).starts_with(path))
    }

    /// Sets the byte offset.
    #[must_use]
    pub fn offset(mut self, offset: u64) -> Self {
        self.offset = Some(offset);
        self
    }

    /// Sets the segment.
    #[must_use]
    pub fn segment(mut self, id: u32) -> Self {
        self.segment = Some(id);
        self
    }

    /// Sets what is lost, and how many documents that concerns, if known.
    #[must_use]
    pub fn loses(mut self, loss: Loss, documents: Option<u64>) -> Self {
        self.loss = loss;
        self.documents_at_risk = documents;
        self
    }

    /// Whether it says that the system refused to read, which tells nothing of the bytes.
    pub fn is_io(&self) -> bool {
        self.code.starts_with("io.")
    }

    /// Whether it says that bytes come from a newer release rather than that they are damaged.
    pub fn is_newer_format(&self) -> bool {
        self.code.ends_with(".newer")
    }
}
