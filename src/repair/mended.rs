//! The manifest in force, put right as a repair would begin with it. For those that only read: nothing is written.

use crate::{
    format::manifest::Manifest,
    inspect::{Tree, View, manifests::ManifestState},
};

use super::layers;

/// A manifest that was put right.
pub struct Mended {
    /// What it says now.
    pub manifest: Manifest,
    /// What was changed, in words.
    pub how: String,
    /// What had to be assumed.
    pub assumed: Vec<String>,
}

/// The newest manifest, if it decodes and the files contradict it, or it breaks a rule. `None` if there is nothing to put right, if nothing tells how, and of
/// one of an earlier state.
pub fn mended(view: &View, tree: &Tree) -> Option<Mended> {
    let newest = view.manifests().first()?;
    let used = view.used().filter(|used| used.name == newest.name)?;
    if !matches!(used.state, ManifestState::Valid) {
        return None;
    }
    let mut base =
        layers::manifest::base(view, tree, None).ok().filter(|base| base.changed && base.behind.is_empty())?;
    if base.makes.is_some() {
        // It has nothing to be read yet.
        base.manifest.writing_segment_meta = None;
    }
    Some(Mended { manifest: base.manifest, how: base.how, assumed: base.assumed })
}
