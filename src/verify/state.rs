//! When each file was checked last, and what is wider than a file: so that looks with a budget go round a large collection, the longest unchecked first.
//!
//! Kept beside the collection, never in it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Job, Level, jobs::is_wider, seal};

/// What is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Name and version of this shape.
    schema: String,
    /// Level and unix time in milliseconds of the last check of each file or directory, and of what has a name in brackets.
    checked: BTreeMap<String, Checked>,
    /// When a check was begun that was cut short: it waits until all others have had their turn.
    cut: BTreeMap<String, u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Checked {
    level: u8,
    time: u64,
}

const SCHEMA: &str = "zvecctl/verify-state/v2";

impl State {
    /// Where it is kept.
    pub fn path_of(collection: &Path) -> Option<PathBuf> {
        seal::beside(collection, ".verify.json")
    }

    /// Reads what was kept. What cannot be read was never kept: everything is checked again then.
    pub fn parse(bytes: &[u8]) -> Self {
        serde_json::from_slice::<Self>(bytes).ok().filter(|state| state.schema == SCHEMA).unwrap_or_default()
    }

    /// As it is kept.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }

    /// Puts the longest unchecked first; what was never checked at this level before all, in the order that it has. What was cut short
    /// last time has had its turn.
    pub fn sort(&self, jobs: &mut [Job], level: Level) {
        jobs.sort_by_key(|job| self.time(&job.path, level));
    }

    fn time(&self, path: &Path, level: Level) -> u64 {
        let key = key(path);
        let checked = self.checked.get(&key).filter(|checked| checked.level >= level.number());
        checked.map_or(0, |checked| checked.time).max(self.cut.get(&key).copied().unwrap_or(0))
    }

    /// Notes what was checked and what was cut short, and forgets what is not there any more.
    pub fn note(&mut self, done: &[PathBuf], cut: &[PathBuf], level: Level, now: u64, exists: impl Fn(&Path) -> bool) {
        self.schema = SCHEMA.to_owned();
        for path in done {
            let path = key(path);
            self.cut.remove(&path);
            self.checked.insert(path, Checked { level: level.number(), time: now });
        }
        self.cut.extend(cut.iter().map(|path| (key(path), now)));
        let exists = |path: &str| {
            let path = Path::new(path);
            // What is wider than a file is there as long as its segment is.
            exists(path) || (is_wider(path) && path.parent().is_none_or(|dir| dir == Path::new("") || exists(dir)))
        };
        self.checked.retain(|path, _| exists(path));
        self.cut.retain(|path, _| exists(path));
    }
}

fn key(path: &Path) -> String {
    crate::report::show_path(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::Work;

    fn job(path: &str) -> Job {
        let path = path.into();
        Job { path, work: Work::Forward, segment: None, files: 1, bytes: 1, documents: 1, needed: true }
    }

    #[test]
    fn the_longest_unchecked_comes_first() {
        let mut state = State::default();
        state.note(&["a".into()], &[], Level::Contents, 30, |_| true);
        state.note(&["b".into()], &[], Level::Files, 20, |_| true);
        state.note(&["gone".into()], &["gone".into()], Level::Files, 10, |path| path != Path::new("gone"));
        let order = |state: &State, level| {
            let mut jobs = vec![job("a"), job("b"), job("c")];
            state.sort(&mut jobs, level);
            jobs.into_iter().map(|job| job.path.display().to_string()).collect::<String>()
        };
        assert_eq!(order(&state, Level::Files), "cba");
        assert_eq!(order(&state, Level::Structures), "bca", "b was never checked at this level");
        assert_eq!(State::parse(&state.to_json()), state);
        assert_eq!(State::parse(b"{\"schema\": \"another\", \"checked\": {}}"), State::default());
        assert!(!String::from_utf8(state.to_json()).unwrap().contains("gone"));
        state.note(&[], &["c".into()], Level::Files, 40, |_| true);
        assert_eq!(order(&state, Level::Files), "bac", "c was cut short: the others have their turn");
        state.note(&["c".into()], &[], Level::Files, 10, |_| true);
        assert_eq!(order(&state, Level::Files), "cba");
    }

    #[test]
    fn what_is_wider_than_a_file_stays_with_its_segment() {
        let mut state = State::default();
        let wider = ["(rows)", "0/(wounds)", "1/(wounds)"].map(PathBuf::from);
        state.note(&wider, &[], Level::Files, 10, |path| path == Path::new("0"));
        let json = String::from_utf8(state.to_json()).unwrap();
        assert!(json.contains("(rows)") && json.contains("0/(wounds)") && !json.contains("1/(wounds)"), "{json}");
    }
}
