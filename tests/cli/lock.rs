//! The collection's lock.

use std::{
    fs,
    process::{Command, Stdio},
    thread,
};

use zvecctl::vfs::{RealFs, Vfs, VfsMut};

use crate::support::{
    Fixture,
    program::{PROGRAM, inspecting, json_on, on, run},
};

#[test]
fn a_writer_keeps_readers_out_and_is_named() {
    let fixture = Fixture::good("0.8.0_small_killed");
    let lock = fixture.join("LOCK");
    let writer = RealFs.lock_exclusive(&lock).unwrap();
    for arguments in inspecting(&fixture.path()) {
        let refused = run(&arguments).exits(10);
        assert!(refused.stderr.contains("lock.held"), "{}", refused.stderr);
        assert!(refused.stderr.contains("--no-lock"), "the hint says how to go on: {}", refused.stderr);
        if arguments[1] == "json" {
            let envelope = refused.envelope();
            assert_eq!(envelope["error"]["code"], "lock.held");
            assert_eq!(envelope["error"]["path"], lock.to_str().unwrap());
        }
    }
    let refused = on("export", &fixture.path()).exits(10);
    if zvecctl::vfs::holders(&lock).is_empty() {
        crate::support::left_out("the holder's name", "this system shows no lock table");
        assert!(refused.stderr.contains("another process"), "{}", refused.stderr);
    } else {
        assert!(refused.stderr.contains(&format!("process {}", std::process::id())), "{}", refused.stderr);
    }
    drop(writer);
    on("export", &fixture.path()).exits(0);
}

#[test]
fn a_manifest_file_by_itself_needs_no_lock() {
    let fixture = Fixture::good("0.8.0_small_flushed");
    let _writer = RealFs.lock_exclusive(&fixture.join("LOCK")).unwrap();
    on("manifest dump", &fixture.join("manifest.2")).exits(0);
}

#[test]
fn without_the_lock_a_reader_goes_on() {
    let fixture = Fixture::good("0.8.0_small_killed");
    let _writer = RealFs.lock_exclusive(&fixture.join("LOCK")).unwrap();
    let exported = on("--no-lock export", &fixture.path()).exits(0);
    assert_eq!(exported.stdout.lines().count(), fixture.truth().len());
    let json = json_on("--no-lock files ls", &fixture.path(), &[]).exits(0).envelope();
    assert_eq!(json["data"]["lock"]["state"], "held");
    if !zvecctl::vfs::holders(&fixture.join("LOCK")).is_empty() {
        let holder = &json["data"]["lock"]["holders"][0];
        assert_eq!(
            (holder["pid"].as_u64(), holder["mode"].as_str()),
            (Some(std::process::id().into()), Some("exclusive"))
        );
        let shown = on("--no-lock files ls", &fixture.path()).exits(0).stdout;
        assert!(shown.contains(&format!("held by process {}", std::process::id())), "{shown}");
    }
}

#[test]
fn readers_do_not_keep_each_other_out() {
    let fixture = Fixture::good("0.8.0_small_killed");
    let readers =
        [RealFs.lock_shared(&fixture.join("LOCK")).unwrap(), RealFs.lock_shared(&fixture.join("LOCK")).unwrap()];
    on("export", &fixture.path()).exits(0);
    let json = json_on("files ls", &fixture.path(), &[]).exits(0).envelope();
    let state = json["data"]["lock"]["state"].as_str().unwrap().to_owned();
    if zvecctl::vfs::holders(&fixture.join("LOCK")).is_empty() {
        assert_eq!(state, "free");
    } else {
        assert_eq!(state, "shared");
        assert_eq!(json["data"]["lock"]["holders"].as_array().unwrap().len(), readers.len());
    }
}

#[test]
fn a_reader_holds_the_lock_while_it_reads() {
    let fixture = Fixture::good("0.8.0_scalars_extreme");
    // The pipe holds 64 KiB, the export is larger: the reader stands still in its middle.
    let mut reader = Command::new(PROGRAM)
        .arg("export")
        .arg(fixture.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = reader.stdout.take().unwrap();
    let mut first = [0];
    std::io::Read::read_exact(&mut output, &mut first).unwrap();
    let mut rest = Vec::new();
    if reader.try_wait().unwrap().is_none() {
        let refused = RealFs.lock_exclusive(&fixture.join("LOCK"));
        assert!(refused.is_err() || reader.try_wait().unwrap().is_some(), "a writer came in between");
    }
    std::io::Read::read_to_end(&mut output, &mut rest).unwrap();
    assert!(reader.wait().unwrap().success());
    assert!(rest.len() > 1 << 16, "{} bytes would fit into a pipe", rest.len());
    RealFs.lock_exclusive(&fixture.join("LOCK")).unwrap();
}

#[test]
fn lock_timeout_waits_for_the_writer_to_end() {
    let fixture = Fixture::good("0.8.0_small_killed");
    let writer = RealFs.lock_exclusive(&fixture.join("LOCK")).unwrap();
    let mut reader = Command::new(PROGRAM)
        .args(["--lock-timeout", "100", "export"])
        .arg(fixture.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until_it_waits(&mut reader);
    drop(writer);
    let output = reader.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), fixture.truth().len());
}

#[test]
fn lock_timeout_ends() {
    let fixture = Fixture::good("0.8.0_small_killed");
    let _writer = RealFs.lock_exclusive(&fixture.join("LOCK")).unwrap();
    on("--lock-timeout 0.2 export", &fixture.path()).exits(10);
}

/// Until the process sleeps between two attempts. Where the system does not show that, the test proves less.
fn wait_until_it_waits(child: &mut std::process::Child) {
    let stat = format!("/proc/{}/stat", child.id());
    let sleeps = || {
        let text = fs::read_to_string(&stat).unwrap_or_default();
        // The name is that of this test until the program is loaded.
        text.contains("(zvecctl)") && text.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S'))
    };
    if !fs::exists(&stat).unwrap_or(false) {
        crate::support::left_out("that the reader waits", "this system has no /proc");
        return;
    }
    while !sleeps() {
        assert_eq!(child.try_wait().unwrap(), None, "it did not wait");
        thread::yield_now();
    }
}

#[test]
fn a_collection_without_a_lock_file_is_read() {
    let fixture = Fixture::damaged("lock_missing");
    on("export", &fixture.path()).exits(0);
    assert!(!fixture.join("LOCK").exists(), "and none is made");
}
