//! When each file was checked last: so that looks with a budget go round a large collection, the longest unchecked first.
//!
//! Kept beside the collection, never in it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Job, Level, seal};

/// What is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Name and version of this shape.
    schema: String,
    /// Level and unix time in seconds of the last check of each file or directory.
    checked: BTreeMap<String, Checked>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Checked {
    level: u8,
    time: u64,
}

const SCHEMA: &str = "zvecctl/verify-state/v1";

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

    /// Puts the longest unchecked first; what was never checked at this level before all, in the order that it has.
    pub fn sort(&self, jobs: &mut [Job], level: Level) {
        jobs.sort_by_key(|job| self.time(&job.path, level));
    }

    fn time(&self, path: &Path, level: Level) -> u64 {
        let checked = self.checked.get(&key(path)).filter(|checked| checked.level >= level.number());
        checked.map_or(0, |checked| checked.time)
    }

    /// Notes that these were checked, and forgets those that are not there any more.
    pub fn note(&mut self, done: &[PathBuf], level: Level, now: u64, exists: impl Fn(&Path) -> bool) {
        self.schema = SCHEMA.to_owned();
        for path in done {
            self.checked.insert(key(path), Checked { level: level.number(), time: now });
        }
        self.checked.retain(|path, _| exists(Path::new(path)));
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
        state.note(&["a".into()], Level::Contents, 30, |_| true);
        state.note(&["b".into()], Level::Files, 20, |_| true);
        state.note(&["gone".into()], Level::Files, 10, |path| path != Path::new("gone"));
        let order = |level| {
            let mut jobs = vec![job("a"), job("b"), job("c")];
            state.sort(&mut jobs, level);
            jobs.into_iter().map(|job| job.path.display().to_string()).collect::<String>()
        };
        assert_eq!(order(Level::Files), "cba");
        assert_eq!(order(Level::Structures), "bca", "b was never checked at this level");
        assert_eq!(State::parse(&state.to_json()), state);
        assert_eq!(State::parse(b"{\"schema\": \"another\", \"checked\": {}}"), State::default());
        assert!(!String::from_utf8(state.to_json()).unwrap().contains("gone"));
    }
}
