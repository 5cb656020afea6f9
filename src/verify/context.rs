//! What every checker is given: the collection, how deep to look, and where findings go.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use crate::{
    format::manifest::Manifest,
    inspect::{Findings, View},
};

/// How deep a check goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Names, sizes, every checksum that exists, the rules of the manifest.
    Files,
    /// Structures against each other: counts, ranges, references, chains, graphs.
    Structures,
    /// Content against content: every document decoded, postings against values, quantised against full vectors.
    Contents,
}

impl Level {
    /// The level as it is typed.
    pub fn number(self) -> u8 {
        match self {
            Self::Files => 1,
            Self::Structures => 2,
            Self::Contents => 3,
        }
    }
}

/// What every checker is given. Threads share it.
pub struct Context<'a> {
    /// The collection.
    pub view: &'a View,
    /// The manifest in force.
    pub manifest: &'a Manifest,
    /// How deep to look.
    pub level: Level,
    /// Where findings go.
    pub findings: Findings,
    read: AtomicU64,
    stop: Arc<AtomicBool>,
}

impl<'a> Context<'a> {
    /// A context without findings.
    pub fn new(view: &'a View, manifest: &'a Manifest, level: Level) -> Self {
        let (findings, read, stop) = (Findings::default(), AtomicU64::new(0), Arc::new(AtomicBool::new(false)));
        Self { view, manifest, level, findings, read, stop }
    }

    /// The same, ended by the first error that is added to its findings.
    #[must_use]
    pub fn failing_fast(self) -> Self {
        Self { findings: Findings::raising(self.stop.clone()), ..self }
    }

    /// For what reads along and tells nothing: findings of its own, which nobody sees, ended with this one.
    #[must_use]
    pub fn quiet(&self, level: Level) -> Self {
        Self { level, findings: Findings::default(), read: AtomicU64::new(0), stop: self.stop.clone(), ..*self }
    }

    /// Whether checks of this level are asked for.
    pub fn wants(&self, level: Level) -> bool {
        self.level >= level
    }

    /// Counts bytes that have been checked: for progress.
    pub fn count(&self, bytes: u64) {
        self.read.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes that have been checked so far.
    pub fn counted(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Asks every checker to end at its next convenient place.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether a checker should end.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
