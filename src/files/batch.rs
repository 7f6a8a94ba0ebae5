//! Many files that wait for the disk together.

use std::fs::{self, File};
#[cfg(target_os = "linux")]
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use super::{adopter, make_directory, parent, unsynced};
use crate::error::{Error, Result};

/// From so many files on, it is cheaper to wait once for the whole file system, other programs' files and all.
#[cfg(target_os = "linux")]
const MANY: usize = 50;

/// Many files below one directory that are written as [`super::write()`] does, but wait for the disk together: once before any takes
/// its name, once after.
pub struct Batch<'a> {
    root: &'a Path,
    written: Vec<(TempPath, PathBuf)>,
}

impl<'a> Batch<'a> {
    /// Nothing yet, below `root`, which exists.
    pub fn new(root: &'a Path) -> Self {
        Self { root, written: Vec::new() }
    }

    /// Makes a directory below the root, if it is not there. Whether it was not.
    pub fn create_directory(&self, path: &Path) -> Result<bool> {
        make_directory(path)
    }

    /// Writes a file under a temporary name.
    pub fn write(&mut self, path: PathBuf, bytes: &[u8]) -> Result<()> {
        let owner = adopter(parent(&path));
        let temporary = unsynced(&path, bytes, fs::Permissions::from_mode(0o600), owner)?;
        self.written.push((temporary.into_temp_path(), path));
        Ok(())
    }

    /// Gives all their names. If that fails, some may have theirs; each is whole.
    pub fn finish(self) -> Result<()> {
        sync_below(self.root, self.written.iter().map(|(temporary, _)| &**temporary))?;
        let mut directories = Vec::new();
        for (temporary, path) in self.written {
            temporary.persist(&path).map_err(|error| Error::file("replace", &path)(error.error))?;
            directories.push(parent(&path).to_owned());
        }
        sync_below(self.root, directories.iter().map(PathBuf::as_path))
    }
}

/// Puts what lies below a directory on the disk: `paths`, or, where the system can and they are many, everything at once.
fn sync_below<'a>(root: &'a Path, paths: impl ExactSizeIterator<Item = &'a Path>) -> Result<()> {
    #[cfg(target_os = "linux")]
    if paths.len() >= MANY {
        let synced = File::open(root).and_then(|root| rustix::fs::syncfs(root).map_err(io::Error::from));
        return synced.map_err(Error::file("sync", root));
    }
    let mut paths = paths.chain([root]);
    paths.try_for_each(|path| File::open(path).and_then(|file| file.sync_all()).map_err(Error::file("sync", path)))
}
