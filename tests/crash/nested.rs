//! A crash while a crash is being recovered from.

use zvecctl::{
    engine::{Mode, Operation, Sync},
    vfs::{Log, Model},
};

use crate::{
    check::{Seen, check_positions},
    full, images,
    model::{on_disk, pk, rich_schema},
    tell,
    workload::{ROOT, Step, little, put, record, record_on},
};

#[test]
fn recovery_can_itself_be_interrupted() {
    let schema = rich_schema(5);
    let steps = little(&schema);
    let run = record(schema, Sync::Batch, &steps);
    let step = if full() { 7 } else { 67 };
    let seen = Seen::new(Some(if full() { 1 } else { 6 }));
    let mut failures = Vec::new();
    let mut crashes = 0;
    for position in (0..=run.log.len()).step_by(step) {
        if !run.promise(&run.log, position).created {
            continue;
        }
        for model in [Model::Applied, Model::Synced] {
            let image = run.log.image(position, model);
            let docs = on_disk(std::sync::Arc::new(image.clone()), ROOT.as_ref());
            let work = vec![put(&run.schema, Mode::Upsert, 1, 50), Operation::Delete(pk(1))];
            let steps = [Step::Reopen, Step::Write(work), Step::Flush];
            let nested = record_on(&image, docs, run.schema.clone(), run.options.clone(), &steps);
            let positions: Vec<usize> = (0..=nested.log.len()).step_by(if full() { 1 } else { 9 }).collect();
            let two = |log: &Log, position| images::two(log, position);
            let found = check_positions(&nested, &nested.log, &positions, &seen, false, two);
            failures.extend(found.into_iter().map(|failure| format!("crash at {position} ({model:?}): {failure}")));
            crashes += 1;
        }
    }
    tell(&format!("crashes in the recovery of {crashes} crashes: {}", seen.counts()));
    let shown: Vec<&String> = failures.iter().take(20).collect();
    assert!(failures.is_empty(), "{} failures: {shown:#?}", failures.len());
}
