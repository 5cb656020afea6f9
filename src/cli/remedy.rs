//! What to type against a finding.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use crate::{
    inspect::{View, names},
    repair::{fix_of, mends_schema},
    report::{Finding, Loss, Severity, repair::Fix},
    vfs::RealFs,
};

/// Gives each finding the command that mends it, if there is one.
pub fn attach(collection: &Path, findings: &mut [Finding]) {
    // Of a schema that is damaged the files may tell nothing.
    let helpless_schema = findings.iter().any(|finding| finding.code == "manifest.schema")
        && !View::open(Arc::new(RealFs), collection).is_ok_and(|view| mends_schema(&view));
    let gone: BTreeSet<u32> = findings
        .iter()
        .filter(|finding| finding.code == "segment.missing-directory" && finding.severity == Severity::Error)
        .filter_map(|finding| finding.segment)
        .collect();
    for finding in findings {
        // Which of two files is in the wrong place nothing in them tells; and to set a log aside that has the only copy is no remedy.
        let helpless = (finding.code == "vectors.other-file" && finding.loss != Loss::None)
            || (finding.code == "manifest.schema" && helpless_schema);
        if helpless || finding.code == "wal.unpublished" {
            continue;
        }
        // Without its directory nothing of a segment can be mended on its own.
        let of_gone = segment_of(finding).is_some_and(|segment| gone.contains(&segment));
        let fix = fix_of(finding).map(|fix| if of_gone { Fix::Segments } else { fix });
        finding.repair = fix.map(|fix| format!("zvecctl repair {} --fix {}", quoted(collection), fix.name()));
    }
}

fn segment_of(finding: &Finding) -> Option<u32> {
    finding.segment.or_else(|| names::classify(Path::new(finding.path.as_deref()?)).1)
}

/// A path as a shell takes it, and as no command takes it for an option.
pub fn quoted(path: &Path) -> String {
    let mut bytes = path.as_os_str().as_encoded_bytes().to_vec();
    if bytes.starts_with(b"-") {
        bytes.splice(0..0, *b"./");
    }
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+,:@%=".contains(byte);
    match String::from_utf8(bytes) {
        Ok(text) if !text.is_empty() && text.bytes().all(|byte| plain(&byte)) => text,
        Ok(text) if !text.contains(char::is_control) => format!("'{}'", text.replace('\'', r"'\''")),
        Ok(text) => escaped(text.as_bytes()),
        Err(error) => escaped(error.as_bytes()),
    }
}

/// Bytes that no line or no text can hold, as `$'…'`.
fn escaped(bytes: &[u8]) -> String {
    let mut text = "$'".to_owned();
    for byte in bytes {
        match byte {
            b'\n' => text.push_str("\\n"),
            b'\t' => text.push_str("\\t"),
            b'\\' | b'\'' => text.extend(['\\', char::from(*byte)]),
            b' '..=b'~' => text.push(char::from(*byte)),
            // Three digits: what follows can be none of them.
            _ => text.push_str(&format!("\\{byte:03o}")),
        }
    }
    text.push('\'');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_gives_the_path_back() {
        for (path, shown) in [
            ("books", "books"),
            ("/a/b-c.d", "/a/b-c.d"),
            ("my books", "'my books'"),
            ("it's", r"'it'\''s'"),
            ("-books", "./-books"),
            ("- books", "'./- books'"),
            ("a\nb", r"$'a\nb'"),
            ("a'\\\t\u{7}9", r"$'a\'\\\t\0079'"),
            ("Bücher", "'Bücher'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(Path::new(path)), shown);
        }
    }

    #[cfg(unix)]
    #[test]
    fn also_one_that_is_no_text() {
        use std::{ffi::OsStr, os::unix::ffi::OsStrExt, process::Command};
        for path in [&b"b\xffks"[..], b"a\n'b\\", b"\x01\xc3\xa4\xff7"] {
            let shown = quoted(Path::new(OsStr::from_bytes(path)));
            assert!(shown.is_ascii(), "{shown}");
            let out = Command::new("bash").args(["-c", &format!("printf %s {shown}")]).output().unwrap();
            assert_eq!(out.stdout, path, "{shown}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_segment_that_is_gone_is_mended_with_it() {
        let finding = |code: &str, path: &str| Finding::error(code, "x").at(Path::new(path));
        let mut findings = [
            finding("segment.missing-directory", "1").segment(1),
            finding("file.missing", "1/scalar.0.ipc"),
            finding("file.missing", "2/scalar.0.ipc"),
            finding("seal.mismatch", "2/scalar.0.ipc"),
        ];
        attach(Path::new("b"), &mut findings);
        let commands: Vec<_> = findings.iter().map(|finding| finding.repair.as_deref()).collect();
        let [segments, forward] = ["segments", "forward"].map(|fix| format!("zvecctl repair b --fix {fix}"));
        assert_eq!(commands, [Some(segments.as_str()), Some(&segments), Some(&forward), None]);
    }
}
