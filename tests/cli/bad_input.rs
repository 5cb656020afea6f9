//! What is not as it should be before the first byte is decoded: each has its own code, names the file, gives a hint, and never
//! hangs (a run that does is killed, and fails).

use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
};

use crate::{
    support::{
        Fixture,
        program::{findings, inspecting, json_on, on, run},
    },
    users::{let_others_in, unprivileged},
};

/// Commands that need a collection's directory and nothing else of it.
const ON_DIRECTORIES: [(&str, &[&str]); 10] = [
    ("manifest ls", &[]),
    ("segments ls", &[]),
    ("segments show", &["0"]),
    ("files ls", &[]),
    ("schema show", &[]),
    ("wal ls", &[]),
    ("idmap get", &["a"]),
    ("idmap dump", &[]),
    ("docs get", &["a"]),
    ("export", &[]),
];

/// Asserts that every command refuses `path` with this exit code and error code, names `named` and gives a hint.
fn every_command_refuses(path: &Path, exit: i32, code: &str, named: &Path) {
    for (words, more) in ON_DIRECTORIES {
        let refused = json_on(words, path, more).exits(exit);
        let error = refused.envelope()["error"].clone();
        assert_eq!(error["code"], code, "{words}: {error}");
        assert_eq!(error["path"], named.to_string_lossy().as_ref(), "{words}");
        assert!(error["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{words}: no hint");
        let arguments = words.split(' ').map(OsStr::new).chain([path.as_os_str()]).chain(more.iter().map(OsStr::new));
        let told = run(arguments).exits(exit);
        assert_eq!(told.stdout, "", "{words}");
        assert!(told.stderr.contains(code) && told.stderr.contains("hint: "), "{words}: {}", told.stderr);
        assert!(told.stderr.contains(named.to_string_lossy().as_ref()), "{words}: {}", told.stderr);
    }
}

#[test]
fn paths_that_are_no_collection() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("file"), "text").unwrap();
    fs::create_dir(at("empty")).unwrap();
    fs::create_dir_all(at("numbers/0")).unwrap();
    fs::create_dir(at("other")).unwrap();
    fs::write(at("other/notes.txt"), "").unwrap();
    symlink(at("loop"), at("loop")).unwrap();
    symlink(at("gone"), at("dangling")).unwrap();
    make_pipe(&at("pipe"));
    for (path, exit, code) in [
        ("missing", 5, "collection.not-found"),
        ("dangling", 5, "collection.not-found"),
        ("file", 5, "collection.not-a-directory"),
        ("file/below", 5, "collection.not-a-directory"),
        ("pipe", 5, "collection.not-a-directory"),
        ("empty", 5, "collection.empty-directory"),
        ("other", 5, "collection.not-a-collection"),
        ("numbers", 5, "collection.not-a-collection"),
        ("loop", 11, "io.symlink-loop"),
    ] {
        every_command_refuses(&at(path), exit, code, &at(path));
    }
}

fn make_pipe(path: &Path) {
    rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::from_raw_mode(0o644)).unwrap();
}

#[test]
fn a_file_that_is_no_manifest_and_no_log() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "this is neither").unwrap();
    let json = json_on("manifest dump", &file, &[]).exits(3).envelope();
    assert_eq!(json["data"]["valid"], false);
    let dumped = json_on("wal dump", &file, &[]).exits(4);
    assert!(dumped.stderr.contains("wal.header-truncated"), "{}", dumped.stderr);
    let pipe = dir.path().join("pipe");
    make_pipe(&pipe);
    for command in ["manifest dump", "wal dump"] {
        let json = json_on(command, &pipe, &[]).exits(11).envelope();
        assert_eq!(json["error"]["code"], "file.not-a-regular-file");
        json_on(command, &dir.path().join("missing"), &[]).exits(5);
    }
}

#[test]
fn manifests_that_cannot_be_used() {
    type Wound = fn(&Path);
    let wounds: [(&str, Wound, i32, &str); 9] = [
        ("empty", |path| fs::write(path, "").unwrap(), 5, "manifest.empty"),
        ("cut", |path| cut(path, 100), 5, "manifest.truncated"),
        ("garbage", |path| fs::write(path, [0xff; 300]).unwrap(), 5, "manifest.malformed"),
        (
            "too large",
            |path| fs::File::options().write(true).open(path).unwrap().set_len(1 << 40).unwrap(),
            5,
            "manifest.too-large",
        ),
        ("a directory", |path| replace(path, |path| fs::create_dir(path).unwrap()), 5, "file.is-a-directory"),
        ("a pipe", |path| replace(path, make_pipe), 5, "file.not-a-regular-file"),
        ("a link in a circle", |path| replace(path, |path| symlink(path, path).unwrap()), 11, "io.symlink-loop"),
        ("a link to nothing", |path| replace(path, |path| symlink("gone", path).unwrap()), 5, "file.missing"),
        ("a link to a directory", |path| replace(path, |path| symlink(".", path).unwrap()), 5, "file.is-a-directory"),
    ];
    for (name, wound, exit, code) in wounds {
        let fixture = Fixture::good("0.8.0_small_flushed");
        let manifest = fixture.join("manifest.2");
        wound(&manifest);
        for (words, more) in
            [("segments ls", &[][..]), ("schema show", &[]), ("export", &[]), ("docs get", &["a"]), ("deleted ls", &[])]
        {
            let error = json_on(words, &fixture.path(), more).exits(exit).envelope()["error"].clone();
            assert_eq!(
                (error["code"].as_str(), error["path"].as_str()),
                (Some(code), manifest.to_str()),
                "{name}: {words}"
            );
            assert!(!error["hint"].is_null(), "{name}");
        }
        // What needs no manifest goes on, and tells.
        for words in ["manifest ls", "files ls"] {
            let looked = json_on(words, &fixture.path(), &[]);
            let found = findings(&looked.envelope());
            assert!(found.contains(&format!("{code}@manifest.2")), "{name}: {words}: {found:?}");
            assert!(looked.code != 0 && looked.code != 1, "{name}: {words}: {}", looked.code);
        }
    }
}

/// Cuts a file to a length.
fn cut(path: &Path, length: u64) {
    fs::File::options().write(true).open(path).unwrap().set_len(length).unwrap();
}

/// Puts something else in a file's or directory's place.
fn replace(path: &Path, put: impl Fn(&Path)) {
    if path.is_dir() {
        fs::remove_dir_all(path).unwrap()
    } else {
        fs::remove_file(path).unwrap()
    }
    put(path);
}

#[test]
fn manifests_of_a_newer_release() {
    // A field that no release has (number 15, varint): the rest is obeyed, and it is told.
    let fixture = Fixture::good("0.8.0_small_flushed");
    let mut bytes = fs::read(fixture.join("manifest.2")).unwrap();
    bytes.extend([15 << 3, 1]);
    fs::write(fixture.join("manifest.2"), bytes).unwrap();
    let exported = json_on("export", &fixture.path(), &[]).exits(6);
    assert_eq!(exported.stdout.lines().count(), fixture.truth().len());
    assert_eq!(findings(&exported.summary()), ["manifest.newer@manifest.2"]);
}

/// The files of a collection that a look at its documents opens, what losing each costs, and what `export` then says: (path, exit).
const FILES: [(&str, i32); 9] = [
    ("0/5.wal", 4),
    ("0/scalar.0.ipc", 4),
    ("0/dense.index.2.proxima", 4),
    ("del.2", 4),
    ("idmap.0/CURRENT", 3),
    ("idmap.0/MANIFEST-000005", 3),
    ("idmap.0/000010.sst", 3),
    ("idmap.0/000004.log", 3),
    ("LOCK", 0),
];

/// The exit code and findings of an export, which must go on past the damage.
fn export_tells(fixture: &Fixture) -> (i32, Vec<String>) {
    let exported = json_on("export", &fixture.path(), &[]);
    exported.lines("document");
    (exported.code, findings(&exported.summary()))
}

#[test]
fn something_else_in_the_place_of_a_file() {
    type Put = fn(&Path);
    let others: [(&str, Put, &str); 5] = [
        ("a directory", |path| fs::create_dir(path).unwrap(), "file.is-a-directory"),
        ("a pipe", make_pipe, "file.not-a-regular-file"),
        ("a link in a circle", |path| symlink(path, path).unwrap(), "io.symlink-loop"),
        ("a link to nothing", |path| symlink("nowhere", path).unwrap(), "file.missing"),
        ("a device", |path| symlink("/dev/zero", path).unwrap(), "file.not-a-regular-file"),
    ];
    for (name, put, code) in others {
        for (path, exit) in FILES {
            let fixture = Fixture::good("0.8.0_small_killed");
            replace(&fixture.join(path), put);
            let (found_exit, found) = export_tells(&fixture);
            if path == "LOCK" {
                assert_eq!((found_exit, &found), (0, &vec![]), "{name}: reading needs no lock file");
                continue;
            }
            // A WAL that is not there is none: the manifest does not name it.
            if path == "0/5.wal" && code == "file.missing" {
                assert_eq!(found_exit, 0, "{name}");
                continue;
            }
            let expected = format!("{code}@{path}");
            let of_path: Vec<_> = found.iter().filter(|finding| finding.ends_with(&format!("@{path}"))).collect();
            assert!(of_path.contains(&&expected), "{name} at {path}: {found:?}");
            // The WAL asks the id map which documents it replaces: an answer that cannot be had may cost something.
            let of_id_map = path.starts_with("idmap.0") && found_exit == 4;
            let exit = if code.starts_with("io.") { 11 } else { exit };
            assert!(found_exit == exit || of_id_map, "{name} at {path}: {found_exit}: {found:?}");
        }
    }
}

#[test]
fn no_command_hangs_on_pipes_and_circles() {
    for put in [make_pipe as fn(&Path), |path| symlink(path, path).unwrap(), |path| fs::create_dir(path).unwrap()] {
        let fixture = Fixture::good("0.8.0_small_killed");
        for path in FILES.iter().map(|(path, _)| *path).chain([
            "0/scalar.index.1.rocksdb/CURRENT",
            "0/scalar.5.ipc",
            "0/dense.index.6.proxima",
        ]) {
            replace(&fixture.join(path), put);
        }
        for arguments in inspecting(&fixture.path()) {
            run(arguments);
        }
    }
}

#[test]
fn something_else_in_the_place_of_a_directory() {
    type Put = fn(&Path);
    let others: [(&str, Put); 3] = [
        ("a file", |path| fs::write(path, "").unwrap()),
        ("a pipe", make_pipe),
        ("a link in a circle", |path| symlink(path, path).unwrap()),
    ];
    for (name, put) in others {
        let fixture = Fixture::good("0.8.0_small_killed");
        replace(&fixture.join("idmap.0"), put);
        let (exit, found) = export_tells(&fixture);
        assert!(exit == 3 || exit == 11, "{name}: {exit} {found:?}");
        assert!(found.iter().any(|finding| finding.ends_with("@idmap.0")), "{name}: {found:?}");

        let fixture = Fixture::good("0.8.0_small_killed");
        replace(&fixture.join("0"), put);
        let json = json_on("segments ls", &fixture.path(), &[]).envelope();
        assert!(findings(&json).contains(&"segment.missing-directory@0".to_owned()), "{name}: {:?}", findings(&json));
        let (exit, found) = export_tells(&fixture);
        assert!(exit == 4 || exit == 11, "{name}: {exit} {found:?}");
    }
}

/// Directories that lead in circles were walked six levels deep by every way: with a few links that took for ever.
#[test]
fn directories_that_lead_in_circles_are_walked_once() {
    let fixture = Fixture::good("0.8.0_small_flushed");
    for number in 0..20 {
        symlink(".", fixture.join(&format!("again.{number}"))).unwrap();
        symlink("..", fixture.join(&format!("0/up.{number}"))).unwrap();
    }
    for arguments in inspecting(&fixture.path()) {
        run(arguments);
    }
    let exported = on("export", &fixture.path()).exits(0);
    assert_eq!(exported.stdout.lines().count(), fixture.truth().len());
}

#[test]
fn a_segment_directory_behind_a_link_is_read() {
    let fixture = Fixture::good("0.8.0_small_killed");
    fs::rename(fixture.join("0"), fixture.outside().join("elsewhere")).unwrap();
    symlink(fixture.outside().join("elsewhere"), fixture.join("0")).unwrap();
    let exported = on("export", &fixture.path()).exits(0);
    assert_eq!(exported.stdout.lines().count(), fixture.truth().len());
    on("segments ls", &fixture.path()).exits(0);
    on("files ls", &fixture.path()).exits(0);
}

#[test]
fn files_shorter_than_they_say() {
    for (path, length, code, exit) in [
        ("0/5.wal", 30, "wal.header-truncated", 4),
        ("0/5.wal", 70, "wal.torn-tail", 1),
        ("0/scalar.0.ipc", 5, "forward.truncated", 4),
        ("0/scalar.0.ipc", 2000, "forward.no-footer", 4),
        ("0/dense.index.2.proxima", 10, "proxima.truncated", 4),
        ("0/dense.index.2.proxima", 5000, "proxima.truncated", 4),
        ("del.2", 10, "delete-set.truncated", 4),
        ("del.2", 80, "delete-set.crc-mismatch", 4),
        ("idmap.0/000010.sst", 100, "sst.", 3),
        // As a crash leaves it; keys are searched for then.
        ("idmap.0/MANIFEST-000005", 60, "rocks-log.torn-tail", 1),
    ] {
        let fixture = Fixture::good("0.8.0_small_killed");
        cut(&fixture.join(path), length);
        let (found_exit, found) = export_tells(&fixture);
        assert!(
            found.iter().any(|finding| finding.starts_with(code) && finding.ends_with(path)),
            "{path} {length}: {found:?}"
        );
        assert_eq!(found_exit, exit, "{path} {length}: {found:?}");
        if path.starts_with("idmap.0") {
            let found = json_on("docs get", &fixture.path(), &["doc_00000"]).envelope();
            assert_eq!(found["data"]["documents"][0]["state"], "found", "{path} {length}: {found}");
        }
    }
}

#[test]
fn permission_denied() {
    let closed = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
    let export = |fixture: &Fixture| {
        let_others_in(fixture.outside());
        unprivileged(&["--format".as_ref(), "json".as_ref(), "export".as_ref(), fixture.path().as_os_str()])
    };
    for (path, exit) in FILES {
        let fixture = Fixture::good("0.8.0_small_killed");
        closed(&fixture.join(path));
        let Some(exported) = export(&fixture) else { return };
        let found = findings(&exported.summary());
        if path == "LOCK" {
            assert_eq!(exported.code, 0, "reading needs no lock: {found:?}");
            continue;
        }
        assert!(found.contains(&format!("io.permission-denied@{path}")), "{path}: {found:?}");
        assert_eq!(exported.code, 11, "{path} ({exit} if it were damaged): {found:?}");
        assert!(exported.stderr.contains("run as the user that owns the collection"), "{path}: {}", exported.stderr);
    }
    let fixture = Fixture::good("0.8.0_small_killed");
    closed(&fixture.join("manifest.2"));
    let Some(refused) = export(&fixture) else { return };
    let error = refused.exits(11).envelope()["error"].clone();
    assert_eq!(
        (error["code"].as_str(), error["path"].as_str()),
        (Some("io.permission-denied"), fixture.join("manifest.2").to_str())
    );
    assert!(error["hint"].as_str().unwrap().contains("user that owns"), "{error}");

    for (inner, path) in [("0", "0/scalar.0.ipc"), ("idmap.0", "idmap.0")] {
        let fixture = Fixture::good("0.8.0_small_killed");
        closed(&fixture.join(inner));
        let Some(exported) = export(&fixture) else { return };
        let found = findings(&exported.summary());
        assert!(found.contains(&format!("io.permission-denied@{path}")), "{inner}: {found:?}");
        assert_eq!(exported.code, 11, "{inner}: {found:?}");
        fs::set_permissions(fixture.join(inner), fs::Permissions::from_mode(0o755)).unwrap();
    }

    let fixture = Fixture::good("0.8.0_small_killed");
    closed(&fixture.path());
    let Some(refused) = export(&fixture) else { return };
    let error = refused.exits(11).envelope()["error"].clone();
    assert_eq!(
        (error["code"].as_str(), error["path"].as_str()),
        (Some("io.permission-denied"), fixture.path().to_str())
    );
    fs::set_permissions(fixture.path(), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn names_that_are_not_utf8() {
    let fixture = Fixture::good("0.8.0_small_killed");
    let path: PathBuf = fixture.outside().join(OsStr::from_bytes(b"coll\xffection"));
    fs::rename(fixture.path(), &path).unwrap();
    for arguments in inspecting(&path) {
        let run = run(&arguments);
        assert!(run.code == 0 || run.code == 1, "{}: {}", run.command, run.stderr);
    }
    let json = json_on("manifest ls", &path, &[]).exits(0).envelope();
    assert_eq!(json["collection"], path.to_string_lossy().as_ref());
    fs::rename(&path, fixture.path()).unwrap();

    fs::write(fixture.path().join(OsStr::from_bytes(b"manifest.\xff")), "").unwrap();
    fs::write(fixture.path().join(OsStr::from_bytes(b"0/scalar.\xff.ipc")), "").unwrap();
    fs::create_dir(fixture.path().join(OsStr::from_bytes(b"\xff"))).unwrap();
    fs::write(fixture.path().join(OsStr::from_bytes(b"idmap.0/\xff.sst")), "").unwrap();
    for arguments in inspecting(&fixture.path()) {
        let run = run(&arguments);
        assert!(run.code == 0 || run.code == 1, "{}: {}", run.command, run.stderr);
    }
    let json = json_on("files ls", &fixture.path(), &[]).envelope();
    let strangers = json["data"]["files"].as_array().unwrap().iter().filter(|file| file["role"] == "stranger");
    let strangers: Vec<_> = strangers.map(|file| file["path"].as_str().unwrap()).collect();
    assert!(strangers.contains(&"manifest.\u{fffd}") && strangers.contains(&"0/scalar.\u{fffd}.ipc"), "{strangers:?}");
}

#[test]
fn ids_that_are_not_utf8_are_a_usage_error() {
    let fixture = Fixture::good("0.8.0_small_killed");
    let path = fixture.path();
    let id = OsStr::from_bytes(b"\xff");
    run(["docs".as_ref(), "get".as_ref(), path.as_os_str(), id]).exits(2);
}
