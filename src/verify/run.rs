//! One run over a collection: jobs on threads, watched from the side.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    sync::{Arc, mpsc},
    time::Duration,
};

use crate::{
    format::manifest::Manifest,
    inspect::{InspectError, Tree, View, files as file_roles},
    report::Finding,
};

use super::{
    context::{Context, Level},
    deep::Deep,
    files,
    jobs::{self, Job, Work},
    seal::Comparison,
    wounds,
};

/// How often the watcher looks.
const TICK: Duration = Duration::from_millis(50);

/// What to check, and when to stop.
#[derive(Clone)]
pub struct Options {
    /// How deep.
    pub level: Level,
    /// Threads; 0 = one for each core.
    pub threads: usize,
    /// Only this segment.
    pub segment: Option<u32>,
    /// Stop at the first error.
    pub fail_fast: bool,
    /// Compare every file with a seal.
    pub seal: Option<Arc<Comparison>>,
}

/// Whether a run goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// It does.
    Continue,
    /// It ends at the next convenient place.
    Stop(Ended),
}

/// Why a run ended before everything was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Ctrl-C.
    Interrupted,
    /// The time that it was given is over.
    Budget,
    /// There is an error, and one was enough.
    FirstError,
}

impl Ended {
    /// In one word, as reports have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Interrupted => "interrupted",
            Self::Budget => "budget",
            Self::FirstError => "first-error",
        }
    }
}

/// What a run found.
#[derive(Debug)]
pub struct Verified {
    /// Everything that is wrong or odd.
    pub findings: Vec<Finding>,
    /// Why it ended early, if it did.
    pub ended: Option<Ended>,
    /// Files that were checked.
    pub files: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Files that were not checked because it ended early.
    pub files_left: u64,
    /// What else was not checked, in words.
    pub parts_left: Vec<String>,
    /// The jobs that were done to their end, by their place.
    pub done: Vec<PathBuf>,
    /// Those that were begun and cut short.
    pub cut: Vec<PathBuf>,
}

/// Checks a collection. `order` may put the jobs into another order; they are begun in it. `watch` is called now and then with the bytes
/// that were read so far and those that there are to read, and ends the run by its answer.
///
/// Memory: what one file's check needs, times threads; findings are bounded for each file.
///
/// # Errors
/// Only if the segment that is asked for is not in the manifest. Damage is a finding.
pub fn verify(
    view: &View,
    tree: &Tree,
    options: &Options,
    order: impl FnOnce(&mut Vec<Job>),
    watch: &mut dyn FnMut(u64, u64) -> Flow,
) -> Result<Verified, InspectError> {
    let none = Manifest::default();
    let manifest = view.used().and_then(|file| file.manifest.as_ref()).unwrap_or(&none);
    let context = Context::new(view, manifest, options.level);
    let context = if options.fail_fast { context.failing_fast() } else { context };
    if let Some(id) = options.segment {
        view.manifest()?;
        if !view.segments()?.iter().any(|segment| segment.id() == id) {
            return Err(InspectError::NoSuchSegment { path: view.root().to_owned(), id });
        }
    } else {
        context.findings.extend(view.findings().iter().cloned());
        context.findings.extend(tree.findings.iter().cloned());
        wounds::schema(&context);
    }
    let list = file_roles::list(view, tree);
    let of_set = file_roles::findings(&list, view).into_iter().chain(files::set::findings(view, tree, &list));
    context.findings.extend(of_set.filter(|finding| concerns(finding, options.segment)));
    let mut jobs = jobs::plan(&context, tree, options.segment, options.seal.is_some());
    order(&mut jobs);
    let run = Run::new(&context, tree, options.seal.as_deref(), &jobs);
    let deep = Deep::new(&context);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(options.threads).build();
    let ended = std::thread::scope(|scope| {
        let (done, waiting) = mpsc::channel::<()>();
        let (run, context) = (&run, &context);
        scope.spawn(move || {
            match pool {
                Ok(pool) => pool.install(|| run.work(deep)),
                // The system gives no threads: this one will do.
                Err(_) => run.work(deep),
            }
            drop(done);
        });
        let total = run.jobs.iter().map(|job| job.bytes).sum::<u64>();
        let mut ended = None;
        loop {
            let over = waiting.recv_timeout(TICK) != Err(mpsc::RecvTimeoutError::Timeout);
            let flow = watch(context.counted(), total);
            if over {
                break ended;
            }
            if let Flow::Stop(why) = flow
                && ended.is_none()
            {
                ended = Some(why);
                context.stop();
            }
        }
    });
    let first_error = (options.fail_fast && context.findings.any_error()).then_some(Ended::FirstError);
    Ok(run.verified(ended.or(first_error)))
}

/// The jobs of a run, and what became of each.
struct Run<'a> {
    context: &'a Context<'a>,
    tree: &'a Tree,
    seal: Option<&'a Comparison>,
    jobs: &'a [Job],
    fates: Vec<Fate>,
    next: AtomicUsize,
    /// Whether what spans segments has to read their ids itself: its turn comes before that of a segment.
    alone: bool,
}

/// What became of a job.
#[derive(Default)]
struct Fate {
    begun: AtomicBool,
    finished: AtomicBool,
}

impl<'a> Run<'a> {
    fn new(context: &'a Context<'a>, tree: &'a Tree, seal: Option<&'a Comparison>, jobs: &'a [Job]) -> Self {
        let at = |work| move |job: &Job| job.work == work;
        let spanning = jobs.iter().position(at(Work::Collection));
        let alone = spanning.is_some_and(|spanning| jobs.iter().skip(spanning).any(at(Work::Segment)));
        let fates = jobs.iter().map(|_| Fate::default()).collect();
        Self { context, tree, seal, jobs, fates, next: AtomicUsize::new(0), alone }
    }

    fn work(&self, deep: Deep) {
        rayon::scope(|scope| (0..rayon::current_num_threads()).for_each(|_| scope.spawn(|_| self.jobs(&deep))));
        let spanning = self.jobs.iter().zip(&self.fates).find(|(job, _)| job.work == Work::Collection);
        if let Some((_, fate)) = spanning.filter(|_| !self.alone) {
            self.job(fate, || deep.collection(self.context));
        }
    }

    /// One after the other from the front, whichever thread is free: the order is that of the budget, and large files come first.
    fn jobs(&self, deep: &Deep) {
        let next = || self.next.fetch_add(1, Ordering::Relaxed);
        while let Some((job, fate)) = self.jobs.iter().zip(&self.fates).nth(next()) {
            match job.work {
                Work::Collection if self.alone => self.job(fate, || deep.collection_alone(self.context)),
                // After all segments.
                Work::Collection => {}
                _ => self.job(fate, || self.one(deep, job)),
            }
        }
    }

    fn one(&self, deep: &Deep, job: &Job) {
        jobs::run(self.context, deep, self.tree, job);
        if let Some(seal) = self.seal {
            match job.work {
                Work::Seal => seal.finish(self.context, self.tree, self.jobs),
                _ => seal.job(self.context, self.tree, job),
            }
        }
    }

    /// Does a job, unless the run is over. One that was cut short is not done.
    fn job(&self, fate: &Fate, does: impl FnOnce()) {
        if self.context.stopped() {
            return;
        }
        fate.begun.store(true, Ordering::Release);
        does();
        fate.finished.store(!self.context.stopped(), Ordering::Release);
    }

    /// Whether a job is done. Where a file is checked with its segment, it is when the segment is.
    fn is_done(&self, job: &Job, fate: &Fate) -> bool {
        let finished = |fate: &Fate| fate.finished.load(Ordering::Acquire);
        let of_segment = job.work == Work::Vectors && jobs::with_segment(self.context);
        let segment = || {
            let mut all = self.jobs.iter().zip(&self.fates);
            all.find(|(other, _)| other.work == Work::Segment && other.segment == job.segment)
        };
        finished(fate) && (!of_segment || segment().is_some_and(|(_, fate)| finished(fate)))
    }

    fn verified(&self, ended: Option<Ended>) -> Verified {
        let findings = self.context.findings.list();
        let (parts_left, done, cut) = (Vec::new(), Vec::new(), Vec::new());
        let mut verified = Verified { findings, ended, files: 0, bytes: 0, files_left: 0, parts_left, done, cut };
        for (job, fate) in self.jobs.iter().zip(&self.fates) {
            if self.is_done(job, fate) {
                verified.files += job.files;
                verified.bytes += job.bytes;
                verified.done.push(job.path.clone());
                continue;
            }
            verified.files_left += job.files;
            verified.parts_left.extend(job.says());
            if fate.begun.load(Ordering::Acquire) {
                verified.cut.push(job.path.clone());
            }
        }
        // It was over when the time was, or somebody asked: all is checked.
        if verified.files_left == 0 && verified.parts_left.is_empty() {
            verified.ended = None;
        }
        verified
    }
}

/// Whether a finding has to do with a segment; without one all have.
fn concerns(finding: &Finding, segment: Option<u32>) -> bool {
    let Some(id) = segment else { return true };
    let of_path = finding.path.as_deref().and_then(|path| path.split('/').next()).map(|first| first == id.to_string());
    finding.segment == Some(id) || of_path == Some(true)
}
