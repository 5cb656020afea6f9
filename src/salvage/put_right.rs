//! A manifest in force that the files contradict, or that contradicts itself: no checksum covers it. It is read as a repair would put it right, in memory.
//! Believed as it stands, one flipped bit in a segment's number, a count or a type would cost documents that are there.

use crate::{
    format::manifest::{
        Manifest,
        proto::{CollectionSchema, FieldSchema},
    },
    inspect::{Tree, View, documents::Fields},
    repair::mended,
    report::{Finding, Loss, show_path},
};

use super::schema::Decided;

/// What was put right.
pub(super) struct PutRight {
    /// The collection as it is described now.
    pub view: View,
    finding: Finding,
    assumed: Vec<String>,
}

/// The collection with its manifest put right; `None` if nothing is to be.
pub(super) fn put_right(view: &View, tree: &Tree) -> Option<PutRight> {
    let used = view.used()?;
    let mended = mended(view, tree)?;
    let mut manifest = mended.manifest;
    // Another snapshot than the named one may be an older one, which does not tell what was deleted since.
    if let Some(before) = &used.manifest {
        manifest.delete_snapshot_path_suffix = before.delete_snapshot_path_suffix;
    }
    if let Some(before) = &used.manifest {
        keep_fields(view, before, &mut manifest);
    }
    let loss = if mended.assumed.is_empty() { Loss::None } else { Loss::Possible };
    let detail = format!("it is contradicted by the files, or by itself, and is read as they say: {}", mended.how);
    let finding = Finding::error("salvage.manifest", detail).at(&used.path).loses(loss, None);
    let mut assumed = vec![format!("{}: {}", show_path(&used.path), mended.how)];
    assumed.extend(mended.assumed);
    let view = View::of_manifest(view.vfs().clone(), view.root(), used.name, manifest);
    Some(PutRight { view, finding, assumed })
}

/// A file of another column that stands in the place of the right one is no reason to change the schema.
fn keep_fields(view: &View, before: &Manifest, mended: &mut Manifest) {
    let (Some(old), Some(new)) = (&before.schema, &mended.schema) else { return };
    if old.fields.len() != new.fields.len() {
        return;
    }
    let named = |(old, new): (&FieldSchema, &FieldSchema)| FieldSchema { name: new.name.clone(), ..old.clone() };
    let fields: Vec<FieldSchema> = old.fields.iter().zip(&new.fields).map(named).collect();
    let schema = CollectionSchema { fields: fields.clone(), ..new.clone() };
    let as_told = Manifest { schema: Some(schema), ..mended.clone() };
    let (told, _) = Fields::of(&as_told);
    let Some(new) = &mut mended.schema else { return };
    for (field, old) in new.fields.iter_mut().zip(fields) {
        if *field != old && told.blames_files(view, &as_told, &old.name) {
            *field = old;
        }
    }
}

impl PutRight {
    /// Says what was put right.
    pub fn tell(self, decided: &mut Decided) -> Finding {
        decided.origin.assumed.extend(self.assumed);
        self.finding
    }
}
