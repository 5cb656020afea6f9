//! Options of every command, and the manners of a good program in a pipe.

use std::{
    io::Read,
    process::{Command, Stdio},
};

use predicates::prelude::*;

use crate::support::{
    Fixture,
    program::{PROGRAM, json_on, on, run, zvecctl},
};

#[test]
fn version_and_help_are_results() {
    let version = run(["--version"]).exits(0).silently();
    assert_eq!(version.stdout, format!("zvecctl {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(run(["-V"]).exits(0).silently().stdout, version.stdout);
    zvecctl().arg("--help").assert().success().stdout(predicate::str::contains("Exit codes:")).stderr("");
    zvecctl()
        .args(["help", "wal", "dump"])
        .assert()
        .success()
        .stdout(predicate::str::contains("--documents"))
        .stderr("");
    zvecctl()
        .args(["wal", "dump", "-h"])
        .assert()
        .success()
        .stdout(predicate::str::contains("Usage: zvecctl wal dump"));
}

#[test]
fn usage_errors_exit_2_and_print_nothing_on_stdout() {
    for arguments in [
        &[][..],
        &["manifest"],
        &["frobnicate"],
        &["export"],
        &["docs", "get", "somewhere"],
        &["segments", "show", "somewhere", "minus one"],
        &["--format", "yaml", "export", "x"],
        &["--lock-timeout", "soon", "export", "x"],
        &["--lock-timeout", "-1", "export", "x"],
        &["--lock-timeout", "inf", "export", "x"],
        &["--lock-timeout", "1e300", "export", "x"],
        &["manifest", "dump", "--version", "-1", "x"],
        &["export", "--to", "csv", "x"],
    ] {
        let refused = run(arguments).exits(2);
        assert_eq!(refused.stdout, "", "{arguments:?}");
        assert!(
            refused.stderr.contains("Usage:") || refused.stderr.contains("--help"),
            "{arguments:?}: {}",
            refused.stderr
        );
    }
}

#[test]
fn usage_errors_are_an_envelope_for_scripts() {
    for (arguments, command, says) in [
        (&["--format=json", "frobnicate"][..], "zvecctl", "'frobnicate'"),
        (&["--format", "json", "export"], "export", "<PATH>"),
        (&["export", "--format", "json"], "export", "<PATH>"),
        (&["export", "--format=json", "--nonsense", "x"], "export", "'--nonsense'"),
        (&["--format", "json"], "zvecctl", "requires a subcommand"),
        (&["--format", "json", "manifest"], "manifest", "'manifest' requires a subcommand"),
    ] {
        let refused = run(arguments).exits(2);
        let envelope = refused.envelope();
        assert_eq!((envelope["error"]["code"].as_str(), envelope["command"].as_str()), (Some("usage"), Some(command)));
        let message = envelope["error"]["message"].as_str().unwrap();
        assert!(message.contains(says), "{arguments:?}: {message}");
        assert!(!refused.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn global_options_stand_before_and_behind_the_command() {
    let fixture = Fixture::good("0.8.0_small_flushed");
    let path = fixture.path();
    let path = path.to_str().unwrap();
    let before = run(["--format", "json", "wal", "ls", path]).exits(0).stdout;
    assert_eq!(run(["wal", "--format", "json", "ls", path]).exits(0).stdout, before);
    assert_eq!(run(["wal", "ls", path, "--format=json"]).exits(0).stdout, before);
}

#[test]
fn quiet_leaves_the_closing_remark_out_and_nothing_else() {
    let fixture = Fixture::good("0.8.0_small_killed");
    let loud = on("export", &fixture.path()).exits(0);
    let quiet = on("--quiet export", &fixture.path()).exits(0).silently();
    assert_eq!(quiet.stdout, loud.stdout);
    let damaged = Fixture::damaged("proxima_missing");
    let quiet = on("-q export", &damaged.path()).exits(4);
    assert!(quiet.stderr.starts_with("error: file.missing 0/dense.index.2.proxima"), "{}", quiet.stderr);
    assert_eq!(quiet.stderr.lines().count(), 1, "{}", quiet.stderr);
}

#[test]
fn color_comes_when_it_is_asked_for() {
    let fixture = Fixture::good("0.8.0_small_flushed");
    let colored = |text: &str| text.contains('\u{1b}');
    assert!(!colored(&on("manifest ls", &fixture.path()).stdout), "a pipe is no terminal");
    assert!(!colored(&on("--color never manifest ls", &fixture.path()).stdout));
    assert!(colored(&on("--color always manifest ls", &fixture.path()).stdout));
    let mut command = zvecctl();
    let forced = command.env("NO_COLOR", "1").args(["--color", "always", "manifest", "ls"]).arg(fixture.path());
    forced.assert().success().stdout(predicate::str::contains("\u{1b}"));
    let json = json_on("--color always manifest ls", &fixture.path(), &[]);
    assert!(!colored(&json.stdout), "never in JSON");
}

/// Runs the program on a terminal of its own, by `script`; `None` where there is no such program.
fn on_a_terminal(line: &str, no_color: Option<&str>) -> Option<String> {
    let mut command = Command::new("script");
    command.args(["-qec", line, "/dev/null"]).env_remove("NO_COLOR").env("TERM", "xterm").stdin(Stdio::null());
    if let Some(value) = no_color {
        command.env("NO_COLOR", value);
    }
    match command.output() {
        Ok(output) => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
        Err(error) => {
            crate::support::left_out("color on a terminal", &format!("script: {error}"));
            None
        }
    }
}

#[test]
fn a_terminal_gets_color_unless_no_color_is_set() {
    let fixture = Fixture::good("0.8.0_small_flushed");
    let line = format!("{} manifest ls {}", PROGRAM, fixture.path().display());
    let Some(plain) = on_a_terminal(&line, Some("1")) else { return };
    assert!(plain.contains("manifest.2") && !plain.contains("\u{1b}["), "{plain}");
    let shown = on_a_terminal(&line, None).unwrap();
    assert!(shown.contains("\u{1b}[1m"), "{shown:?}");
    // The terminal of `script` says that it has no columns: the table was folded to one character a line.
    assert!(shown.contains("manifest.2"), "{shown:?}");
    let empty = on_a_terminal(&line, Some("")).unwrap();
    assert!(empty.contains("\u{1b}[1m"), "an empty NO_COLOR counts as none: {empty:?}");
}

/// `export | head -1`: the reader has what it wanted.
#[test]
fn a_closed_pipe_is_no_error() {
    let fixture = Fixture::good("0.8.0_optimized");
    let path = fixture.path();
    for arguments in
        [&["export"][..], &["idmap", "dump"], &["--format", "json", "files", "ls"], &["wal", "dump"], &["files", "ls"]]
    {
        let mut child = Command::new(PROGRAM)
            .args(arguments)
            .arg(&path)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Closed before anything can be written.
        drop(child.stdout.take());
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        let code = child.wait().unwrap().code();
        assert_eq!((code, stderr.contains("error")), (Some(0), false), "{arguments:?}: {stderr}");
    }
    for arguments in [&["--help"][..], &["completions", "bash"], &["--version"]] {
        let mut child =
            Command::new(PROGRAM).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0), "{arguments:?}");
    }
}

/// The export stands still in a full pipe, where no loop can ask whether it should stop.
#[test]
fn ctrl_c_ends_an_export_that_nobody_reads() {
    let fixture = Fixture::good("0.8.0_scalars_extreme");
    let mut child = Command::new(PROGRAM).arg("export").arg(fixture.path()).stdout(Stdio::piped()).spawn().unwrap();
    let mut output = child.stdout.take().unwrap();
    output.read_exact(&mut [0]).unwrap();
    let asked = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(asked.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn a_full_device_is_an_error() {
    let fixture = Fixture::good("0.8.0_small_flushed");
    let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") else {
        crate::support::left_out("output to a full device", "no /dev/full");
        return;
    };
    for arguments in [&["export"][..], &["files", "ls"]] {
        let output = Command::new(PROGRAM)
            .args(arguments)
            .arg(fixture.path())
            .stdout(full.try_clone().unwrap())
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(11), "{arguments:?}: {stderr}");
        assert!(stderr.contains("io.output"), "{arguments:?}: {stderr}");
    }
}

#[test]
fn errors_have_a_code_and_a_hint_in_words_too() {
    let shown = run(["export", "/does/not/exist"]).exits(5);
    assert_eq!(shown.stdout, "");
    insta::assert_snapshot!(shown.stderr, @r"
    error: /does/not/exist does not exist [collection.not-found]
      hint: check the path; a collection is a directory
    ");
}
