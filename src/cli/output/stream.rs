//! An envelope whose one long list is written entry by entry, so that a report may be larger than memory.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use serde::Serialize;
use serde_json::Value;

use crate::report::{Exit, schema_id};

/// A JSON envelope under way: fixed facts first, then the entries of one list, then what is only known at the end.
pub struct StreamedReport {
    empty: bool,
}

impl StreamedReport {
    /// Writes the envelope's head and the beginning of `data`: the fields of `facts`, then the opening of the list `list`.
    pub fn start(
        out: &mut dyn Write,
        command: &str,
        collection: Option<&str>,
        facts: &[(&str, Value)],
        list: &str,
    ) -> io::Result<Self> {
        let version: Cow<'_, str> = env!("CARGO_PKG_VERSION").into();
        write!(
            out,
            r#"{{"schema":{},"version":{},"command":{},"collection":{},"error":null,"data":{{"#,
            text(&schema_id(command))?,
            text(&version)?,
            text(command)?,
            serde_json::to_string(&collection)?
        )?;
        for (name, value) in facts {
            write!(out, "{}:{value},", text(name)?)?;
        }
        write!(out, "{}:[", text(list)?)?;
        Ok(Self { empty: true })
    }

    /// Writes one entry of the list.
    pub fn entry<T: Serialize>(&mut self, out: &mut dyn Write, entry: &T) -> io::Result<()> {
        if !self.empty {
            out.write_all(b",")?;
        }
        self.empty = false;
        serde_json::to_writer(&mut *out, entry)?;
        Ok(())
    }

    /// Closes the list and writes the remaining fields of `data`, then the exit code.
    pub fn finish(self, out: &mut dyn Write, facts: &[(&str, Value)], exit: Exit) -> io::Result<()> {
        out.write_all(b"]")?;
        for (name, value) in facts {
            write!(out, ",{}:{value}", text(name)?)?;
        }
        writeln!(out, r#"}},"exit_code":{}}}"#, exit.code())
    }
}

fn text(value: &str) -> io::Result<String> {
    Ok(serde_json::to_string(value)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn is_an_envelope_like_the_others() {
        for entries in [vec![], vec![1], vec![1, 2, 3]] {
            let mut out = Vec::new();
            let mut report =
                StreamedReport::start(&mut out, "idmap dump", Some("a\"b"), &[("path", json!("p"))], "entries")
                    .unwrap();
            for entry in &entries {
                report.entry(&mut out, entry).unwrap();
            }
            report.finish(&mut out, &[("findings", json!([]))], Exit::DataLost).unwrap();
            let read: Value = serde_json::from_slice(&out).unwrap();
            let version = env!("CARGO_PKG_VERSION");
            assert_eq!(
                read,
                json!({"schema": "zvecctl/idmap-dump/v1", "version": version, "command": "idmap dump", "collection": "a\"b",
                    "exit_code": 4, "error": null, "data": {"path": "p", "entries": entries, "findings": []}})
            );
        }
    }
}
