//! One run over a collection: jobs on threads, watched from the side.

use std::{
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
    /// The jobs that were done to their end, by their place.
    pub done: Vec<std::path::PathBuf>,
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
    if let Some(id) = options.segment {
        view.manifest()?;
        if !view.segments()?.iter().any(|segment| segment.id() == id) {
            return Err(InspectError::NoSuchSegment { path: view.root().to_owned(), id });
        }
    } else {
        context.findings.extend(view.findings().iter().cloned());
        context.findings.extend(tree.findings.iter().cloned());
    }
    let list = file_roles::list(view, tree);
    let of_set = file_roles::findings(&list, view).into_iter().chain(files::set::findings(view, tree, &list));
    context.findings.extend(of_set.filter(|finding| concerns(finding, options.segment)));
    let mut jobs = jobs::plan(&context, tree, options.segment);
    order(&mut jobs);
    let total = jobs.iter().map(|job| job.bytes).sum::<u64>();
    let mut verified =
        Verified { findings: Vec::new(), ended: None, files: 0, bytes: 0, files_left: 0, done: Vec::new() };
    let finished: Vec<AtomicBool> = jobs.iter().map(|_| AtomicBool::new(false)).collect();
    let next = AtomicUsize::new(0);
    let deep = Deep::new(&context);
    // One after the other from the front, whichever thread is free: the order is that of the budget, and large files come first.
    let worker = |deep: &Deep| {
        while let Some((job, finished)) = jobs.iter().zip(&finished).nth(next.fetch_add(1, Ordering::Relaxed)) {
            if context.stopped() {
                return;
            }
            jobs::run(&context, deep, tree, job);
            if let Some(seal) = &options.seal {
                seal.job(&context, tree, job);
            }
            // A job that was cut short is not done, and what spans segments comes last.
            if !context.stopped() && job.work != Work::Collection {
                finished.store(true, Ordering::Release);
            }
        }
    };
    let work = || {
        rayon::scope(|scope| (0..rayon::current_num_threads()).for_each(|_| scope.spawn(|_| worker(&deep))));
        let spanning = jobs.iter().zip(&finished).find(|(job, _)| job.work == Work::Collection);
        if let Some((_, finished)) = spanning.filter(|_| !context.stopped()) {
            deep.collection(&context);
            finished.store(!context.stopped(), Ordering::Release);
        }
        if !context.stopped() {
            wounds::check(&context, tree, options.segment);
            if let Some(seal) = options.seal.as_ref().filter(|_| options.segment.is_none()) {
                seal.finish(&context, tree);
            }
        }
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(options.threads).build();
    verified.ended = std::thread::scope(|scope| {
        let (done, waiting) = mpsc::channel::<()>();
        let context = &context;
        scope.spawn(move || {
            match pool {
                Ok(pool) => pool.install(work),
                // The system gives no threads: this one will do.
                Err(_) => work(),
            }
            drop(done);
        });
        let mut ended = None;
        loop {
            let over = waiting.recv_timeout(TICK) != Err(mpsc::RecvTimeoutError::Timeout);
            let flow = if options.fail_fast && context.findings.any_error() {
                Flow::Stop(Ended::FirstError)
            } else {
                watch(context.counted(), total)
            };
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
    for (job, finished) in jobs.iter().zip(&finished) {
        if finished.load(Ordering::Acquire) {
            verified.files += job.files;
            verified.bytes += job.bytes;
            verified.done.push(job.path.clone());
        } else {
            verified.files_left += job.files;
        }
    }
    if verified.ended.is_none() && verified.files_left > 0 && options.fail_fast {
        verified.ended = Some(Ended::FirstError);
    }
    verified.findings = context.findings.list();
    Ok(verified)
}

/// Whether a finding has to do with a segment; without one all have.
fn concerns(finding: &Finding, segment: Option<u32>) -> bool {
    let Some(id) = segment else { return true };
    let of_path = finding.path.as_deref().and_then(|path| path.split('/').next()).map(|first| first == id.to_string());
    finding.segment == Some(id) || of_path == Some(true)
}
