//! The list of every document that a repair could not bring back whole: a report names the first ones, this file all.
//!
//! ```text
//! <collection>.quarantine/<unix seconds>/documents.jsonl   a line for each document, field and reason
//! ```
//!
//! It is written as the steps find out, and durable before the manifest is published that makes their work count.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    engine::EngineError,
    report::{
        repair::{Fate, NamedDocument, NamedDocuments},
        show_path,
    },
    vfs::{FileMut, VfsMut, create_dirs, free_name},
};

/// Name of the list in the folder of its run.
const LIST: &str = "documents.jsonl";
/// Bytes that are held before they are written.
const MOST_UNWRITTEN: usize = 1 << 20;

/// The list under way. There is no file before the first line.
pub struct DocumentList {
    fs: Arc<dyn VfsMut>,
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    file: Option<(PathBuf, Box<dyn FileMut>)>,
    /// Where the next bytes go.
    end: u64,
    buffer: Vec<u8>,
    count: Count,
    /// Told by the next [`DocumentList::sync`]: those who find documents walk over many, and cannot stop.
    error: Option<io::Error>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Count {
    lost: u64,
    doubtful: u64,
}

/// A place in the list to which it can be cut back.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    len: u64,
    count: Count,
}

impl DocumentList {
    /// A list in the folder of a run.
    pub fn new(fs: Arc<dyn VfsMut>, folder: PathBuf) -> Self {
        Self { fs, folder, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line.
    pub fn add(&self, document: &NamedDocument<'_>) {
        let state = &mut *self.state();
        if state.error.is_some() {
            return;
        }
        let added = serde_json::to_writer(&mut state.buffer, document).map_err(io::Error::from).and_then(|()| {
            state.buffer.push(b'\n');
            if state.buffer.len() < MOST_UNWRITTEN { Ok(()) } else { state.write(self.fs.as_ref(), &self.folder) }
        });
        state.error = added.err();
        match document.what {
            Fate::Lost => state.count.lost += 1,
            Fate::Doubtful => state.count.doubtful += 1,
        }
    }

    /// How far it has come.
    pub fn mark(&self) -> Mark {
        let state = self.state();
        Mark { len: state.end.saturating_add(state.buffer.len() as u64), count: state.count }
    }

    /// Takes out what was added since: the step came to nothing.
    pub fn discard(&self, mark: Mark) -> Result<(), EngineError> {
        let state = &mut *self.state();
        state.count = mark.count;
        match mark.len.checked_sub(state.end) {
            Some(keep) => state.buffer.truncate(usize::try_from(keep).unwrap_or(usize::MAX)),
            None => {
                state.buffer.clear();
                state.end = mark.len;
                if let Some((path, file)) = &state.file {
                    file.truncate(mark.len).map_err(|error| EngineError::io(path, error))?;
                }
            }
        }
        Ok(())
    }

    /// Makes every line durable.
    pub fn sync(&self) -> Result<(), EngineError> {
        let state = &mut *self.state();
        let written = match state.error.take() {
            Some(error) => Err(error),
            None => state.write(self.fs.as_ref(), &self.folder),
        };
        let synced = written.and_then(|()| state.file.as_ref().map_or(Ok(()), |(_, file)| file.sync()));
        synced.map_err(|error| EngineError::io(&self.folder.join(LIST), error))
    }

    /// What the report says of it; `None` if there is nothing in it.
    pub fn report(&self) -> Option<NamedDocuments> {
        let state = self.state();
        let Count { lost, doubtful } = state.count;
        let path = state.file.as_ref().map(|(path, _)| show_path(path))?;
        (lost + doubtful > 0).then_some(NamedDocuments { path, lost, doubtful })
    }
}

impl State {
    fn write(&mut self, fs: &dyn VfsMut, folder: &Path) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let file = match self.file.take() {
            Some(made) => made,
            None => {
                create_dirs(fs, folder)?;
                let path = free_name(fs, &folder.join(LIST));
                let made = fs.create_new(&path)?;
                fs.sync_dir(folder)?;
                (path, made)
            }
        };
        let (_, made) = self.file.insert(file);
        made.write_all_at(self.end, &self.buffer)?;
        self.end = self.end.saturating_add(self.buffer.len() as u64);
        self.buffer.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        report::repair::Fix,
        vfs::{MemoryFs, Vfs},
    };

    fn line(id: &str) -> NamedDocument<'_> {
        NamedDocument {
            what: Fate::Lost,
            id: Some(id.into()),
            doc_id: None,
            fields: Vec::new(),
            why: "gone".into(),
            fix: Fix::Forward,
            path: "0/scalar.0.ipc".into(),
        }
    }

    fn read(fs: &MemoryFs, path: &str) -> String {
        let file = fs.open(Path::new(path)).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        file.read_exact_at(0, &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn what_a_failed_step_said_is_taken_out_whether_written_or_not() {
        let fs = MemoryFs::new();
        let list = DocumentList::new(Arc::new(fs.clone()), "/q/1".into());
        list.sync().unwrap();
        assert!(list.report().is_none() && fs.metadata(Path::new("/q")).is_err(), "no line, no file");
        list.add(&line("kept"));
        let unwritten = list.mark();
        list.add(&line("dropped"));
        list.discard(unwritten).unwrap();
        let long = "x".repeat(MOST_UNWRITTEN);
        list.add(&line(&long));
        list.discard(unwritten).unwrap();
        list.add(&line("last"));
        list.sync().unwrap();
        let report = list.report().unwrap();
        assert_eq!((report.lost, report.doubtful), (2, 0));
        let ids: Vec<String> = read(&fs, &report.path)
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(ids, ["kept", "last"]);
    }
}
