//! Whether a collection is still what it was: a digest over names and sizes of all its files, and the content of its manifests. Whatever an engine
//! writes shows in one of them. Times do not count: a power cut may leave older ones.

use std::{io, path::Path};

use xxhash_rust::xxh3::Xxh3;

use crate::{
    inspect::{
        Tree,
        names::{NameKind, classify},
    },
    vfs::Vfs,
};

/// More than any manifest that is read.
const MOST: u64 = 64 << 20;

/// The digest, 32 hexadecimal digits. LOCK does not count: whoever opens the collection may make it.
pub fn fingerprint(fs: &dyn Vfs, root: &Path) -> io::Result<String> {
    let tree = Tree::walk(fs, root);
    let mut hash = Xxh3::new();
    for entry in &tree.entries {
        let kind = classify(&entry.path).0;
        if kind == NameKind::Lock {
            continue;
        }
        hash.update(entry.path.as_os_str().as_encoded_bytes());
        hash.update(&[0, u8::from(entry.file_type == crate::vfs::FileType::Dir)]);
        if entry.file_type != crate::vfs::FileType::File {
            continue;
        }
        hash.update(&entry.len.to_le_bytes());
        if kind == NameKind::Manifest && entry.len <= MOST {
            let file = fs.open(&root.join(&entry.path))?;
            let mut content = vec![0; usize::try_from(entry.len).unwrap_or_default()];
            file.read_exact_at(0, &mut content)?;
            hash.update(&content);
        }
    }
    Ok(format!("{:032x}", hash.digest128()))
}
