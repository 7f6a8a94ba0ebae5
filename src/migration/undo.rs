//! Putting files back as they were before they were scrubbed, from their encrypted copies.
//!
//! What a file holds now is kept first, so that nothing is lost by it either.

use std::path::{Path, PathBuf};

use super::report::{FileReport, Left, Report};
use super::{ATTEMPTS, turn};
use crate::auth_files::locations::{self, Location};
use crate::backup::{self, Reason};
use crate::error::{Error, Result};
use crate::files;
use crate::foreign_file::{self, Change, ForeignFile};
use crate::settings::Settings;

/// Puts the newest copy of each file back: of those named, or of all. The files that were changed; those that are
/// already as they were are not among them.
pub fn undo(settings: &Settings, paths: &[PathBuf]) -> Result<Report> {
    let mut report = Report::default();
    if paths.is_empty() {
        let nameless = backup::files(settings)?.1.into_iter();
        let reason =
            "the path of its file was too long for a name; name it: docker-credential-coffer migrate --undo FILE";
        report.left.extend(nameless.map(|directory| Left::of(&directory, "", reason.into(), false)));
    }
    let paths = undoable(settings, paths)?;
    if paths.is_empty() {
        return Ok(report);
    }
    let _turn = turn(settings)?;
    for path in paths {
        match put_back(settings, &path).and_then(|changed| clear_beside(settings, &path).map(|()| changed)) {
            Ok(changed) => report.files.extend(changed),
            Err(error) => report.left.push(Left::failed(&path, error.to_string())),
        }
    }
    Ok(report)
}

/// The files that [`undo`] looks at.
pub fn undoable(settings: &Settings, paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    if paths.is_empty() {
        return backup::files(settings).map(|(files, _)| files);
    }
    paths.iter().map(|path| foreign_file::resolved(path)).collect()
}

fn put_back(settings: &Settings, path: &Path) -> Result<Option<FileReport>> {
    let copy = backup::newest(settings, path)?;
    let copy = copy.ok_or_else(|| Error::BadAuthFile { path: path.into(), problem: "has no backup".into() })?;
    for _ in 0..ATTEMPTS {
        let file = ForeignFile::read(path)?;
        if file.bytes() == Some(&copy.bytes) {
            // Whoever put it back may have been killed before it was on the disk.
            files::sync_directory(files::parent(file.path()))?;
            return Ok(None);
        }
        if let Some(bytes) = file.bytes() {
            backup::keep(settings, path, bytes, Reason::Undone)?;
        }
        if file.replace(&copy.bytes)? != Change::Overtaken {
            return Ok(Some(FileReport { file: path.into(), rewritten: true, backup: Some(copy.path) }));
        }
    }
    Err(Error::BadAuthFile { path: path.into(), problem: "is written by other programs all the time".into() })
}

/// Removes what killed runs left beside a file. What it does not hold itself is kept.
fn clear_beside(settings: &Settings, path: &Path) -> Result<()> {
    for leftover in locations::leftovers(&[Location::named(path)?]) {
        let file = ForeignFile::read(&leftover.path)?;
        let now = ForeignFile::read(path)?;
        if let Some(bytes) = file.bytes().filter(|bytes| !bytes.is_empty() && now.bytes() != Some(bytes)) {
            backup::keep(settings, now.path(), bytes, Reason::LeftBeside)?;
        }
        file.remove()?;
    }
    Ok(())
}
