//! The object that wraps every JSON output.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::Serialize;

/// The one JSON object that a command prints on stdout, on success and on failure alike.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Envelope<T> {
    /// Name and version of the shape of `data`: `zvecctl/<command>/v1`.
    pub schema: String,
    /// Version of zvecctl.
    pub version: Cow<'static, str>,
    /// The command as typed: `manifest dump`.
    pub command: String,
    /// The path that the command was given.
    pub collection: Option<String>,
    /// The exit code of the process.
    pub exit_code: u8,
    /// The result; `null` if there is none.
    pub data: Option<T>,
    /// Why the command could not do its work; `null` if it could. Damage that was found is in `data`, not here.
    pub error: Option<ErrorReport>,
}

/// Why a command could not do its work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ErrorReport {
    /// Stable code.
    pub code: String,
    /// What happened, for people.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// File or directory that it concerns.
    pub path: Option<String>,
    /// Byte offset in that file.
    pub offset: Option<u64>,
}

impl<T> Envelope<T> {
    /// An envelope of this version of zvecctl.
    pub fn new(command: &str, collection: Option<String>, exit_code: u8) -> Self {
        Self {
            schema: schema_id(command),
            version: env!("CARGO_PKG_VERSION").into(),
            command: command.to_owned(),
            collection,
            exit_code,
            data: None,
            error: None,
        }
    }
}

/// `zvecctl/manifest-dump/v1` for `manifest dump`.
pub fn schema_id(command: &str) -> String {
    format!("zvecctl/{}/v1", command.replace(' ', "-"))
}
