//! Schema files as they are given: bare, or as `schema show --format json` prints them.

use std::{io::Read, path::Path};

use serde::Deserialize;

use crate::{engine::Refusal, format::schema_file::SchemaFile, report::schema_id};

use super::{Session, error::Failure, seal};

/// A schema file larger than this is none.
const MAX_SCHEMA: u64 = 16 << 20;

/// Reads a schema file; `-` is standard input.
pub fn read_schema(session: &Session, path: &Path) -> Result<SchemaFile, Failure> {
    let unreadable = |error: &dyn std::fmt::Display| Failure::Usage(format!("{}: {error}", path.display()));
    let text = if path.as_os_str() == "-" {
        let mut text = Vec::new();
        std::io::stdin()
            .lock()
            .take(MAX_SCHEMA)
            .read_to_end(&mut text)
            .map_err(|error| Failure::Usage(format!("the schema cannot be read from standard input: {error}")))?;
        text
    } else {
        seal::read(session, path).ok_or_else(|| unreadable(&"no such file"))?.map_err(|error| unreadable(&error))?
    };
    parse(&text)
        .map_err(|error| Refusal::new("schema.file", format!("{} is no schema file: {error}", path.display())).into())
}

/// What tells the envelope that `schema show` puts around a schema.
#[derive(Deserialize)]
struct Head {
    schema: String,
}

#[derive(Deserialize)]
struct Shown {
    data: Option<SchemaFile>,
}

fn parse(text: &[u8]) -> Result<SchemaFile, serde_json::Error> {
    if serde_json::from_slice::<Head>(text).is_ok_and(|head| head.schema == schema_id("schema show")) {
        let shown: Shown = serde_json::from_slice(text)?;
        return shown.data.ok_or_else(|| serde::de::Error::custom("it is the answer of a `schema show` that failed"));
    }
    serde_json::from_slice(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_taken_bare_and_as_it_is_shown() {
        let bare = r#"{"name": "a", "fields": [{"name": "x", "data_type": "STRING"}]}"#;
        let schema = parse(bare.as_bytes()).unwrap();
        let shown = |data: &str| {
            format!(r#"{{"schema": "zvecctl/schema-show/v1", "exit_code": 0, "data": {data}, "error": null}}"#)
        };
        assert_eq!(parse(shown(bare).as_bytes()).unwrap(), schema);
        let wrong = |text: &str| parse(text.as_bytes()).unwrap_err().to_string();
        assert!(wrong(&shown("null")).contains("failed"));
        assert!(wrong(&shown(r#"{"name": "a", "x": 1}"#)).contains("unknown field `x`"));
        assert!(wrong(&shown(bare).replace("schema-show", "verify")).contains("unknown field `schema`"));
    }
}
