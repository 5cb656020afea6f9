//! The images that a crash at a position may leave.

use zvecctl::vfs::{Log, MemoryFs, Model, Operation, Part, Unit};

use crate::full;

/// What a crash left.
pub struct Image {
    /// How it came about.
    pub kind: String,
    /// The process was killed and the system lived on.
    pub killed: bool,
    pub fs: MemoryFs,
}

impl Image {
    fn power_cut(kind: String, fs: MemoryFs) -> Self {
        Self { kind, killed: false, fs }
    }
}

/// Everything there, and only what is durable.
pub fn two(log: &Log, position: usize) -> Vec<Image> {
    vec![
        Image { kind: "killed".into(), killed: true, fs: log.image(position, Model::Applied) },
        Image::power_cut("power cut".into(), log.image(position, Model::Synced)),
    ]
}

/// Besides what is durable single units that the disk may have written by itself: each rename and removal, and the latest operation, whole and
/// in part. In a full run every unit alone, and all but each.
pub fn units(log: &Log, position: usize) -> Vec<Image> {
    let pending = log.pending(position);
    let mut images = Vec::new();
    for (at, unit) in pending.iter().enumerate() {
        let Some(operation) = log.operations().get(unit.operation) else { continue };
        let latest = unit.operation + 1 == position;
        let mut with = |what: &str, units: &[Unit]| {
            images.push(Image::power_cut(format!("power cut, {what}: {operation}"), log.image_with(position, units)));
        };
        if latest
            || full()
            || matches!(
                operation,
                Operation::Rename { .. } | Operation::RemoveFile { .. } | Operation::RemoveDir { .. }
            )
        {
            with("with", std::slice::from_ref(unit));
        }
        if latest && matches!(operation, Operation::Write { .. }) {
            let pieces = log.split(unit);
            let mut torn = pending.clone();
            torn.truncate(at);
            let whole = torn.clone();
            torn.extend(pieces[..pieces.len() / 2].iter().cloned());
            with("torn", &torn);
            torn = whole;
            torn.push(Unit { operation: unit.operation, part: Part::Size });
            with("zeros for", &torn);
        }
        if full() {
            let mut others = pending.clone();
            others.remove(at);
            with("all but", &others);
        }
    }
    images
}
