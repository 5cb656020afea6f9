//! Looking changes nothing: no byte, no time, no mode, no entry; and it needs no right to.

use std::{
    ffi::{OsStr, OsString},
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
};

use crate::{
    support::{
        Fixture, Snapshot, left_out,
        program::{PROGRAM, inspecting, on, run},
    },
    users::{is_root, let_others_in, unprivileged},
};

/// Collections that between them have every kind of file.
fn collections() -> Vec<Fixture> {
    let good = [
        "0.1.0_small_killed",
        "0.8.0_small_killed",
        "0.8.0_small_segments_killed",
        "0.8.0_fts_sealed",
        "0.8.0_scalars_parquet",
        "0.8.0_ivf_fp32_optimized",
    ];
    let damaged = [
        "manifest_empty_newer_wal",
        "manifest_missing",
        "wal_bit_flip",
        "idmap_sst_flip",
        "ipc_cut",
        "leftover_tmp",
        "lock_missing",
        "real_0.8.0_optimize_killed_rolling",
    ];
    good.into_iter().map(Fixture::good).chain(damaged.into_iter().map(Fixture::damaged)).collect()
}

#[test]
fn no_inspecting_command_changes_anything() {
    for fixture in collections() {
        let before = Snapshot::of(&fixture.path());
        for arguments in inspecting(&fixture.path()) {
            let run = run(arguments);
            before.assert_unchanged(&fixture.path(), &run.command);
        }
    }
}

#[test]
fn export_writes_its_output_and_nothing_else() {
    let fixture = Fixture::good("0.8.0_small_killed");
    let before = Snapshot::of(&fixture.path());
    for target in ["jsonl", "parquet"] {
        let file = fixture.outside().join(target);
        let exported =
            run(["export", "--to", target, "-o", file.to_str().unwrap(), fixture.path().to_str().unwrap()]).exits(0);
        before.assert_unchanged(&fixture.path(), &exported.command);
    }
}

/// Takes every right to write away.
fn protect(path: &Path) {
    let found = fs::symlink_metadata(path).unwrap();
    if found.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            protect(&entry.unwrap().path());
        }
    }
    fs::set_permissions(path, fs::Permissions::from_mode(if found.is_dir() { 0o555 } else { 0o444 })).unwrap();
}

fn unprotect(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    for entry in fs::read_dir(path).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir()) {
        unprotect(&entry.path());
    }
}

#[test]
fn works_without_any_right_to_write() {
    for fixture in
        [Fixture::good("0.8.0_small_killed"), Fixture::damaged("wal_bit_flip"), Fixture::damaged("lock_missing")]
    {
        let_others_in(fixture.outside());
        let expected: Vec<_> = inspecting(&fixture.path()).iter().map(run).collect();
        protect(&fixture.path());
        let before = Snapshot::of(&fixture.path());
        for (arguments, expected) in inspecting(&fixture.path()).iter().zip(expected) {
            let arguments: Vec<&OsStr> = arguments.iter().map(OsString::as_os_str).collect();
            let Some(run) = unprivileged(&arguments) else { return };
            assert_eq!((run.code, &run.stdout), (expected.code, &expected.stdout), "{}", run.command);
            before.assert_unchanged(&fixture.path(), &run.command);
        }
        unprotect(&fixture.path());
    }
}

#[test]
fn works_on_a_read_only_mount() {
    let fixture = Fixture::good("0.8.0_small_killed");
    let path = fixture.path();
    let script = r#"mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && if touch "$1/probe" 2>/dev/null; then exit 99; fi; exit 0"#;
    if !is_root() {
        left_out("a read-only mount", "needs root; see works_without_any_right_to_write");
        return;
    }
    let mount = |script: &str, more: &[OsString]| {
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", script, "sh"]).arg(&path).args(more);
        command.output()
    };
    match mount(script, &[]) {
        Ok(output) if output.status.success() => {}
        Ok(output) => return left_out("a read-only mount", &String::from_utf8_lossy(&output.stderr)),
        Err(error) => return left_out("a read-only mount", &error.to_string()),
    }
    let before = Snapshot::of(&path);
    let script = r#"mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@""#;
    for arguments in inspecting(&path) {
        let expected = run(&arguments);
        let mut all = vec![OsString::from(PROGRAM)];
        all.extend(arguments);
        let output = mount(script, &all).unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert_eq!((output.status.code(), &stdout), (Some(expected.code), &expected.stdout), "{}", expected.command);
        before.assert_unchanged(&path, &expected.command);
    }
    on("export", &path).exits(0);
}
