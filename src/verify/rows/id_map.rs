//! Id map and delete set against the rows, both ways.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::{ControlFlow, Range},
    path::{Path, PathBuf},
};

use arrow_array::{Array, UInt64Array, cast::AsArray, types::UInt64Type};
use roaring::RoaringTreemap;

use crate::{
    format::{document, wal as log},
    inspect::{segments_of, wal},
    report::{Finding, Firsts, Loss},
};

use super::{
    super::Context,
    forward::{EXAMPLES, text},
    layout::{Layout, Slot},
    scalar_index::show,
    shared::{Ids, KEY_BUCKETS, Shared, bucket},
    sums::{Sums, hash, with},
};

/// Keys that are looked at more closely, about: both sides of them are in memory.
const CLOSE_KEYS: u64 = 1 << 17;

/// Checks id map and delete set.
pub fn check(ctx: &Context<'_>, shared: &Shared, ids: &Ids) {
    ctx.findings.extend(shared.snapshot.beyond_end(shared.first_id));
    let held = scan(ctx, shared, ids);
    if !held.complete || !shared.deletions_known || ids.unreadable > 0 {
        // What is missing on one side has been told; comparing the rest would only repeat it.
        return;
    }
    let differing = ids.live.differing(&held.live);
    if !differing.is_empty() {
        name(ctx, shared, ids, &differing);
    }
}

type Examples = Firsts<EXAMPLES>;

struct Held {
    live: Sums,
    complete: bool,
}

/// Reads the whole id map: what its entries lead to, and the sums over those that lead to live rows.
fn scan(ctx: &Context<'_>, shared: &Shared, ids: &Ids) -> Held {
    let mut held = Held { live: Sums::new(KEY_BUCKETS), complete: shared.id_map.findings.is_empty() };
    let mut seen = RoaringTreemap::new();
    let (mut dangling, mut twice, mut beyond, mut stale, mut ahead) =
        (Examples::default(), Examples::default(), Examples::default(), Examples::default(), 0u64);
    let told = ctx.findings.list().len();
    for (key, id, certain) in shared.id_map.entries(&ctx.findings) {
        if ctx.stopped() {
            held.complete = false;
            return held;
        }
        held.complete &= certain;
        let example = || format!("{} to {id}", show(&key));
        if !seen.insert(id) {
            twice.add(example);
        }
        if id >= shared.first_id {
            if shared.has_log { ahead += 1 } else { beyond.add(example) }
        } else if shared.deleted.contains(id) {
            // A log may delete such keys yet, or give them new documents.
            if !shared.has_log {
                stale.add(example);
            }
        } else if ids.rows.contains(id) {
            let hash = hash(&key);
            held.live.add(bucket(hash), with(hash, id));
        } else {
            dangling.add(example);
        }
    }
    held.complete &= ctx.findings.list().len() == told;
    let path = &shared.id_map.path;
    let add = |finding: Finding| ctx.findings.add(finding.at(path));
    if twice.count > 0 {
        let detail = format!("{} key(s) lead to the document of another key: {}", twice.count, twice);
        add(Finding::error("idmap.duplicate-id", detail).loses(Loss::Possible, Some(twice.count)));
    }
    if beyond.count > 0 {
        let (count, end) = (beyond.count, shared.first_id);
        let detail =
            format!("{count} key(s) lead to ids that were never given out (the next one is {end}): {}", beyond);
        add(Finding::error("idmap.beyond-end", detail).loses(Loss::Possible, Some(count)));
    }
    if ahead > 0 {
        let detail = format!(
            "{ahead} key(s) lead to ids that the log is about to give out: written before a crash, and again by the replay"
        );
        add(Finding::info("idmap.ahead", detail));
    }
    if stale.count > 0 {
        let detail = format!(
            "{} key(s) of deleted documents, as delete_by_filter leaves them: zvec 0.8.0 refuses to insert them again (\"already \
             exists\"), upsert works: {}",
            stale.count, stale
        );
        add(Finding::info("idmap.stale-keys", detail));
    }
    if dangling.count > 0 && ids.unreadable == 0 {
        let detail = format!("{} key(s) lead to documents that no row has: {}", dangling.count, dangling);
        add(Finding::error("idmap.dangling", detail).loses(Loss::Possible, Some(dangling.count)));
    }
    held
}

/// What both sides say of a key.
#[derive(Default)]
struct Sides {
    /// Document ids of the live rows with that key, with the file and the row of the segment.
    rows: Vec<(u64, PathBuf, u64)>,
    /// The id in the map, if it is that of a live row.
    mapped: Option<u64>,
    /// Whether the map has an id that the log is about to give out.
    ahead: bool,
}

/// Names the keys in which rows and id map differ.
fn name(ctx: &Context<'_>, shared: &Shared, ids: &Ids, differing: &[usize]) {
    let per_bucket = (ids.live.entries() / KEY_BUCKETS as u64).max(1);
    let most = usize::try_from(CLOSE_KEYS / per_bucket).unwrap_or(usize::MAX).max(1);
    let close: HashSet<usize> = differing.iter().copied().take(most).collect();
    let mut keys: BTreeMap<Vec<u8>, Sides> = BTreeMap::new();
    for segment in segments_of(ctx.manifest) {
        let layout = Layout::of(ctx, segment, &shared.fields, &shared.overwritten);
        live_rows(ctx, &layout, shared, &mut |key, id, path, row| {
            if close.contains(&bucket(hash(key))) {
                keys.entry(key.to_vec()).or_default().rows.push((id, path.to_owned(), row));
            }
        });
    }
    for (key, id, _) in shared.id_map.entries(&ctx.findings) {
        if !close.contains(&bucket(hash(&key))) {
            continue;
        }
        if id >= shared.first_id {
            if let Some(sides) = keys.get_mut(&key) {
                sides.ahead = true;
            }
        } else if !shared.deleted.contains(id) && ids.rows.contains(id) {
            keys.entry(key).or_default().mapped = Some(id);
        }
    }
    let in_log = log_keys(ctx);
    keys.retain(|_, sides| match (sides.rows.as_slice(), sides.mapped) {
        ([(id, ..)], Some(mapped)) => *id != mapped,
        _ => true,
    });
    let looked = if close.len() < differing.len() {
        format!("; {} of {} suspicious parts were looked at", close.len(), differing.len())
    } else {
        String::new()
    };
    Telling { ctx, shared, looked }.tell(&keys, &in_log);
}

struct Telling<'t, 'a> {
    ctx: &'t Context<'a>,
    shared: &'t Shared,
    looked: String,
}

impl Telling<'_, '_> {
    fn tell(&self, keys: &BTreeMap<Vec<u8>, Sides>, in_log: &HashMap<Vec<u8>, bool>) {
        let by_id: BTreeMap<u64, &[u8]> =
            keys.iter().flat_map(|(key, sides)| sides.rows.iter().map(|(id, ..)| (*id, key.as_slice()))).collect();
        let mapped: HashSet<u64> = keys.values().filter_map(|sides| sides.mapped).collect();
        let (mut twice, mut missing, mut ahead) = (Examples::default(), Examples::default(), 0u64);
        let mut wrong: BTreeMap<PathBuf, Examples> = BTreeMap::new();
        for (key, sides) in keys {
            // A map that has seen the log knows the id that the log gives the key, or nothing if the log deletes it.
            let seen = in_log.get(key).is_some_and(|deletes| sides.ahead || *deletes);
            if let ([_], None, true) = (sides.rows.as_slice(), sides.mapped, seen) {
                ahead += 1;
                continue;
            }
            match (sides.rows.as_slice(), sides.mapped) {
                ([], Some(id)) => {
                    let of_row =
                        by_id.get(&id).map_or_else(|| "another key".to_owned(), |key| format!("the key {}", show(key)));
                    let place = keys
                        .values()
                        .flat_map(|sides| &sides.rows)
                        .find(|(of, ..)| *of == id)
                        .map_or_else(|| self.shared.id_map.path.clone(), |(_, path, _)| path.clone());
                    let example = || format!("{} leads to document {id}, whose row has {of_row}", show(key));
                    wrong.entry(place).or_default().add(example);
                }
                ([(id, path, row)], Some(other)) => {
                    let example =
                        || format!("{} leads to document {other}, row {row} with that key is document {id}", show(key));
                    wrong.entry(path.clone()).or_default().add(example);
                }
                // The other side of a wrong key that is told above.
                ([(id, ..)], None) if mapped.contains(id) => {}
                ([(id, path, row)], None) => {
                    missing
                        .add(|| format!("{} (document {id}, {} row {row})", show(key), crate::report::show_path(path)));
                }
                (rows, mapped) => {
                    let list: Vec<String> = rows.iter().map(|(id, ..)| id.to_string()).collect();
                    let mapped = mapped.map_or_else(|| "nowhere".to_owned(), |id| format!("to {id}"));
                    twice.add(|| format!("{} (documents {}; the id map leads {mapped})", show(key), list.join(", ")));
                }
            }
        }
        let looked = &self.looked;
        let path = &self.shared.id_map.path;
        for (place, examples) in wrong {
            let detail = format!(
                "id map and rows do not agree: {}{looked}; one of the two is damaged, the id map stands under checksums and the rows \
                 under none",
                examples
            );
            let finding = Finding::error("idmap.wrong-document", detail).at(&place);
            self.ctx.findings.add(finding.loses(Loss::Possible, Some(examples.count)));
        }
        if missing.count > 0 {
            let detail = format!(
                "{} live document(s) are not in the id map: {}{looked}; zvec does not find them by key, and an insert of the same key \
                 makes a second one",
                missing.count, missing
            );
            self.ctx
                .findings
                .add(Finding::error("idmap.missing-key", detail).at(path).loses(Loss::None, Some(missing.count)));
        }
        if twice.count > 0 {
            let detail = format!(
                "{} key(s) have more than one live row: {}{looked}; the older one was replaced and should be in the delete set",
                twice.count, twice
            );
            let finding = Finding::error("forward.duplicate-key", detail).at(&self.shared.snapshot.path);
            self.ctx.findings.add(finding.loses(Loss::Possible, Some(twice.count)));
        }
        if ahead > 0 {
            let detail =
                format!("{ahead} key(s) of the log stand in the id map as the log leaves them: written before a crash");
            self.ctx.findings.add(Finding::info("idmap.ahead", detail).at(path));
        }
    }
}

/// Takes a live row: key, document id, file, row of the segment.
type EachRow<'e> = dyn FnMut(&[u8], u64, &Path, u64) + 'e;

/// Gives every live row with its key.
fn live_rows(ctx: &Context<'_>, layout: &Layout<'_>, shared: &Shared, each: &mut EachRow<'_>) {
    let mut ids: Option<UInt64Array> = None;
    let all = |_: Range<u64>| true;
    layout.read(ctx, &|slot| !matches!(slot, Slot::Field(_)), &all, &mut |piece| {
        match piece.slot {
            Slot::DocId => {
                ids = piece
                    .values
                    .and_then(|array| array.as_primitive_opt::<UInt64Type>())
                    .filter(|ids| ids.null_count() == 0)
                    .cloned();
            }
            Slot::Key => {
                if let (Some(ids), Some(keys)) = (ids.take(), piece.values.and_then(text)) {
                    for ((key, id), row) in keys.iter().zip(ids.values()).zip(piece.rows.clone()) {
                        if !shared.deleted.contains(*id) {
                            each(key.unwrap_or_default().as_bytes(), *id, &piece.file.path, row);
                        }
                    }
                }
            }
            Slot::Field(_) => {}
        }
        ControlFlow::Continue(())
    });
}

/// The keys that the log touches, with whether it deletes them.
fn log_keys(ctx: &Context<'_>) -> HashMap<Vec<u8>, bool> {
    let mut keys = HashMap::new();
    let source = wal::active(ctx.view, ctx.manifest).and_then(|path| ctx.view.source(&path).ok());
    if let Some(source) = source {
        // What is wrong with the log is told where the log is checked.
        let _ = log::scan(&source, |record| {
            if let Ok(head) = document::decode_head(&record.payload, record.payload_offset()) {
                *keys.entry(head.pk.to_vec()).or_default() |= head.op == document::Op::Delete;
            }
        });
    }
    keys
}
