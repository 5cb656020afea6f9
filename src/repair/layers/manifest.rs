//! The manifest that a repair begins with.

use crate::{
    engine::EngineError,
    format::manifest::{Manifest, ManifestName},
    inspect::{Tree, View, manifests::ManifestState},
};

/// What a repair begins with.
pub struct Base {
    /// The name of the manifest, if it is one that stands there.
    pub name: Option<ManifestName>,
    /// What it says.
    pub manifest: Manifest,
    /// How it was come by, in words.
    pub how: String,
    /// What had to be assumed.
    pub assumed: Vec<String>,
}

/// The newest manifest that can be used.
///
/// # Errors
/// There is none; or it was written by a newer release, of which too little is known to write another.
pub fn base(view: &View, _tree: &Tree) -> Result<Base, EngineError> {
    let (file, manifest) = view.manifest()?;
    if let ManifestState::Newer(error) = &file.state {
        return Err(EngineError::format(&view.root().join(&file.path), error.clone()));
    }
    let how = format!("{} is the newest manifest that can be used", file.name);
    Ok(Base { name: Some(file.name), manifest: manifest.clone(), how, assumed: Vec::new() })
}
