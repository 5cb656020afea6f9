//! The README's terminal sessions are what the program prints.
//!
//! A block of `console` is run in a fresh directory that holds the archive named in the comment before it:
//! `<!-- fixture: damaged/wal_bit_flip [directory to unpack in] -->`. A line that ends in `…` stands for one that begins like it.

use std::{
    fs::File,
    path::Path,
    process::{Command, Stdio},
};

use flate2::read::GzDecoder;

struct Session {
    fixture: String,
    directory: String,
    lines: Vec<String>,
}

#[test]
fn sessions_print_what_the_readme_shows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let sessions = sessions(&readme);
    assert!(sessions.len() >= 5, "the README has {} sessions", sessions.len());
    for session in sessions {
        let temp = tempfile::tempdir().unwrap();
        let archive = File::open(root.join(format!("fixtures/{}.tar.gz", session.fixture))).unwrap();
        tar::Archive::new(GzDecoder::new(archive)).unpack(temp.path().join(&session.directory)).unwrap();
        check(&session, temp.path());
    }
}

fn sessions(readme: &str) -> Vec<Session> {
    let mut sessions = Vec::new();
    let mut lines = readme.lines();
    while let Some(line) = lines.next() {
        let Some(words) = line.strip_prefix("<!-- fixture: ").and_then(|rest| rest.strip_suffix(" -->")) else {
            assert_ne!(line, "```console", "a session needs a fixture");
            continue;
        };
        let mut words = words.split(' ');
        let fixture = words.next().unwrap().to_owned();
        let directory = words.next().unwrap_or(".").to_owned();
        assert_eq!(lines.next(), Some("```console"));
        let body = lines.by_ref().take_while(|line| *line != "```").map(str::to_owned).collect();
        sessions.push(Session { fixture, directory, lines: body });
    }
    sessions
}

fn check(session: &Session, dir: &Path) {
    let program = Path::new(env!("CARGO_BIN_EXE_zvecctl"));
    let mut paths = vec![program.parent().unwrap().to_owned()];
    paths.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let mut status = 0;
    let mut rest = session.lines.as_slice();
    while let [prompt, after @ ..] = rest {
        let command = prompt.strip_prefix("$ ").unwrap_or_else(|| panic!("{prompt:?} is no command"));
        let shown = after.iter().take_while(|line| !line.starts_with("$ ")).count();
        let (expected, next) = after.split_at(shown);
        rest = next;
        if command == "echo $?" {
            assert_eq!(expected, [status.to_string()], "exit code in {}", session.fixture);
            continue;
        }
        let output = Command::new("sh")
            .args(["-c", &format!("{{ {command}; }} 2>&1")])
            .current_dir(dir)
            .env("PATH", std::env::join_paths(&paths).unwrap())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        status = output.status.code().unwrap();
        // The archives' times are 0; the unpacking library makes 1 of it, tar does not.
        let printed = String::from_utf8(output.stdout).unwrap().replace("1970-01-01T00:00:01Z", "1970-01-01T00:00:00Z");
        let printed: Vec<_> = printed.lines().collect();
        let same = printed.len() == expected.len() && printed.iter().zip(expected).all(|(a, b)| matches(a, b));
        let (printed, expected) = (printed.join("\n"), expected.join("\n"));
        assert!(same, "{}: {command}\nprints\n{printed}\nthe README shows\n{expected}", session.fixture);
    }
}

fn matches(printed: &str, shown: &str) -> bool {
    match shown.strip_suffix('…') {
        Some(beginning) => printed.starts_with(beginning),
        None => printed == shown,
    }
}
