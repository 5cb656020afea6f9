//! Running the program as somebody whom permissions bind, root not being that.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    path::Path,
    process::Command,
};

use crate::support::{Run, left_out, program::PROGRAM};

const NOBODY: u32 = 65534;

/// Runs the program without privileges; `None`, with the reason told, where that cannot be had.
pub fn unprivileged(arguments: &[&std::ffi::OsStr]) -> Option<Run> {
    let mut command = Command::new(PROGRAM);
    if is_root() {
        if !reachable() {
            left_out("a run without privileges", "the build directory is closed to other users");
            return None;
        }
        command.uid(NOBODY).gid(NOBODY).current_dir("/");
    }
    let shown: Vec<_> = arguments.iter().map(|argument| argument.to_string_lossy()).collect();
    let output = command.args(arguments).output().unwrap();
    Some(Run::of(format!("unprivileged zvecctl {}", shown.join(" ")), &output))
}

/// Whether this process may do what it likes.
pub fn is_root() -> bool {
    tempfile::tempdir().unwrap().path().metadata().unwrap().uid() == 0
}

fn reachable() -> bool {
    let program = Path::new(PROGRAM);
    program.ancestors().skip(1).all(|dir| fs::metadata(dir).is_ok_and(|found| found.mode() & 0o001 != 0))
}

/// Opens a fixture's own directory, which only its maker may enter, to everybody.
pub fn let_others_in(outside: &Path) {
    fs::set_permissions(outside, fs::Permissions::from_mode(0o755)).unwrap();
}
