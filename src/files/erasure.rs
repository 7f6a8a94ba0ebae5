//! Overwriting what a file held that is replaced or removed. Best effort: a file system that writes elsewhere, a snapshot or a
//! backup keeps the old bytes.

use std::fs::{File, OpenOptions};
use std::io::{Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use super::{remove, sync_directory, write};
use crate::error::Result;

/// Replaces `path` as [`write()`] does, and then overwrites what it held.
pub fn write_over(path: &Path, bytes: &[u8]) -> Result<()> {
    overwriting(path, || write(path, bytes))
}

/// Removes a file, and then overwrites what it held. Whether it was there.
pub fn remove_over(path: &Path) -> Result<bool> {
    overwriting(path, || {
        let removed = remove(path)?;
        path.parent().map_or(Ok(removed), |parent| sync_directory(parent).map(|()| removed))
    })
}

fn overwriting<T>(path: &Path, change: impl FnOnce() -> Result<T>) -> Result<T> {
    let old = OpenOptions::new().write(true).custom_flags(OFlags::NOFOLLOW.bits().cast_signed()).open(path).ok();
    let changed = change()?;
    // Only now that no name leads there: a kill meanwhile would leave half a file.
    if let Some(old) = old {
        overwrite(&old, 0);
    }
    Ok(changed)
}

/// Writes zeros over a file that is about to be let go of. Whether that had to be left undone, because more than `links` names
/// lead to it: another link is another's file.
pub fn overwrite(mut file: &File, links: u64) -> bool {
    let Ok(metadata) = file.metadata() else { return false };
    if metadata.nlink() > links {
        return true;
    }
    let zeros = vec![0; usize::try_from(metadata.len()).unwrap_or_default()];
    // Nothing depends on it.
    let _ = file.rewind().and_then(|()| file.write_all(&zeros)).and_then(|()| file.sync_all());
    false
}
