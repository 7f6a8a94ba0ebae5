//! A file that belongs to other programs: Docker's configuration and its kin.
//!
//! Such programs take no lock and may write at any moment, so nothing is replaced that is not still what was read. Mode,
//! owner and a symbolic link stay as they are. What is replaced held secrets: its bytes are overwritten before they are
//! let go of, as far as a file system lets that reach them.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};
use tempfile::TempPath;
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::files::{self, Privacy};

/// The longest that is read: no client writes one of this length.
const MAX_LENGTH: u64 = 64 << 20;

/// A file as it was when it was read, there or not.
pub struct ForeignFile {
    path: PathBuf,
    bytes: Option<Zeroizing<Vec<u8>>>,
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is on the disk, and the old bytes are overwritten.
    Made,
    /// It is on the disk. Another hard link still holds the old bytes.
    MadeBesideLink,
    /// Another program wrote the file meanwhile. Nothing was changed.
    Overtaken,
}

impl ForeignFile {
    /// Reads the file that `path` leads to. One that does not exist is told by [`Self::bytes`].
    pub fn read(path: &Path) -> Result<Self> {
        let path = resolved(path)?;
        let bytes = files::read(&path, MAX_LENGTH, Privacy::Any)?;
        Ok(Self { path, bytes })
    }

    /// One that lies nowhere, and is never written.
    #[cfg(any(test, fuzzing))]
    pub fn of_text(text: &[u8]) -> Self {
        Self { path: "file".into(), bytes: Some(Zeroizing::new(text.to_vec())) }
    }

    /// Where it lies, symbolic links followed.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it held; `None` if it did not exist.
    pub fn bytes(&self) -> Option<&[u8]> {
        self.bytes.as_ref().map(|bytes| bytes.as_slice())
    }

    /// Writes it anew, if it still is as it was read.
    pub fn replace(&self, bytes: &[u8]) -> Result<Change> {
        match &self.bytes {
            Some(old) => self.exchange(old, bytes),
            None => self.make(bytes),
        }
    }

    fn make(&self, bytes: &[u8]) -> Result<Change> {
        let directory = files::parent(&self.path);
        files::create_directory(directory)?;
        let owner = files::adopter(directory);
        let temporary = files::beside(&self.path, bytes, fs::Permissions::from_mode(0o600), owner)?;
        match temporary.persist_noclobber(&self.path) {
            Ok(_) => files::sync_directory(directory).map(|()| Change::Made),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(Change::Overtaken),
            Err(error) => Err(Error::file("create", &self.path)(error.error)),
        }
    }

    fn exchange(&self, old: &[u8], new: &[u8]) -> Result<Change> {
        let metadata = match fs::metadata(&self.path) {
            Ok(metadata) => metadata,
            Err(error) if files::is_absent(&error) => return Ok(Change::Overtaken),
            Err(error) => return Err(Error::file("examine", &self.path)(error)),
        };
        let owner = Some((metadata.uid(), metadata.gid()));
        let temporary = files::beside(&self.path, new, metadata.permissions(), owner)?.into_temp_path();
        // Cheaper than finding out below, and all that can be done where names cannot be exchanged.
        if !self.is_still(&self.path, old)? {
            return Ok(Change::Overtaken);
        }
        match swap(&temporary, &self.path) {
            Ok(()) => {}
            Err(error) if lacks_exchange(&error) => return self.rename(temporary),
            Err(error) if files::is_absent(&error) => return Ok(Change::Overtaken),
            Err(error) => return Err(Error::file("replace", &self.path)(error)),
        }
        // What came out is what was there at that very moment.
        if !matches!(self.is_still(&temporary, old), Ok(true)) {
            return self.give_way(temporary, new);
        }
        settle();
        if !matches!(self.is_still(&temporary, old), Ok(true)) {
            return self.give_way(temporary, new);
        }
        discard_synced(temporary)
    }

    /// Puts back another program's newer file, which an exchange took out. All that others wrote meanwhile, and that cannot
    /// stand there at once, is kept beside it, where the next look finds it.
    fn give_way(&self, temporary: TempPath, ours: &[u8]) -> Result<Change> {
        let failed = |error| Error::file("put back", &self.path)(error);
        // Whoever has read ours in the meantime may still write that over theirs. Where there is no room for a copy, theirs goes
        // back all the same.
        if let Ok(Some(theirs)) = files::read(&temporary, MAX_LENGTH, Privacy::Any)
            && let Ok(copy) = files::beside(&self.path, &theirs, fs::Permissions::from_mode(0o600), self.owner())
        {
            let _ = copy.keep();
        }
        if let Err(error) = swap(&temporary, &self.path) {
            // Not ours to remove.
            let _ = temporary.keep();
            return Err(failed(error));
        }
        if matches!(self.is_still(&temporary, ours), Ok(true)) {
            // Before ours is removed: a crash may still take the exchange back, and theirs with it.
            if let Err(error) = files::sync_directory(files::parent(&self.path)) {
                let _ = temporary.keep();
                return Err(error);
            }
            return Ok(Change::Overtaken);
        }
        // A third program had written over ours by then, and its file is the newest.
        let swapped = swap(&temporary, &self.path);
        temporary.keep().map_err(|error| failed(error.error))?;
        swapped.map(|()| Change::Overtaken).map_err(failed)
    }

    fn owner(&self) -> Option<(u32, u32)> {
        fs::metadata(&self.path).ok().map(|metadata| (metadata.uid(), metadata.gid()))
    }

    /// Replaces without an exchange, for file systems that have none.
    fn rename(&self, temporary: TempPath) -> Result<Change> {
        let old = OpenOptions::new().write(true).open(&self.path).ok();
        temporary.persist(&self.path).map_err(|error| Error::file("replace", &self.path)(error.error))?;
        files::sync_directory(files::parent(&self.path))?;
        settle();
        Ok(old.map_or(Change::Made, |old| overwrite(&old, 0)))
    }

    /// Removes it, if it still is as it was read.
    pub fn remove(&self) -> Result<Change> {
        let Some(old) = &self.bytes else { return Ok(Change::Made) };
        // A name that nobody has.
        let temporary = files::beside(&self.path, b"", fs::Permissions::from_mode(0o600), None)?.into_temp_path();
        match fs::rename(&self.path, &temporary) {
            Ok(()) => {}
            Err(error) if files::is_absent(&error) => return Ok(Change::Overtaken),
            Err(error) => return Err(Error::file("remove", &self.path)(error)),
        }
        settle();
        if !matches!(self.is_still(&temporary, old), Ok(true)) {
            // If the name is taken again, what came out was overtaken itself; it stays where the next run finds it.
            let kept = temporary.keep().map_err(|error| Error::file("put back", &self.path)(error.error))?;
            let back = renameat_with(CWD, &kept, CWD, &self.path, RenameFlags::NOREPLACE);
            return back.map(|()| Change::Overtaken).map_err(|error| Error::file("put back", &self.path)(error.into()));
        }
        discard_synced(temporary)
    }

    fn is_still(&self, path: &Path, bytes: &[u8]) -> Result<bool> {
        let found = files::read(path, MAX_LENGTH, Privacy::Any)?;
        Ok(found.is_some_and(|found| *found == bytes))
    }
}

/// The file that a symbolic link leads to, also when nothing is there yet: absolute, and the same whichever way leads there,
/// so that its backups are found again.
pub fn resolved(path: &Path) -> Result<PathBuf> {
    let mut path = std::path::absolute(path).map_err(Error::file("find", path))?;
    // As many as Linux follows.
    for _ in 0..40 {
        match fs::read_link(&path) {
            Ok(target) => path = files::parent(&path).join(target),
            Err(_) => return Ok(in_real_directory(path)),
        }
    }
    Err(Error::BadFile { path, problem: "is a loop of symbolic links".into() })
}

fn in_real_directory(path: PathBuf) -> PathBuf {
    match (fs::canonicalize(files::parent(&path)), path.file_name()) {
        (Ok(directory), Some(name)) => directory.join(name),
        // Nothing is there at all.
        _ => path,
    }
}

/// Lets those finish who opened a file just before it lost its name: they would read zeros, or write what is about to go. Only
/// a lease could tell whether there are any, and nobody keeps such a file open for long.
fn settle() {
    thread::sleep(Duration::from_millis(20));
}

fn swap(one: &Path, other: &Path) -> io::Result<()> {
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).map_err(io::Error::from)
}

fn lacks_exchange(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let codes = [Errno::INVAL, Errno::NOSYS, Errno::NOTSUP, Errno::PERM];
    codes.iter().any(|code| error.raw_os_error() == Some(code.raw_os_error()))
}

/// Discards what came out of an exchange, once that is on the disk. If it cannot be put there, both stay, for the next run.
fn discard_synced(temporary: TempPath) -> Result<Change> {
    match files::sync_directory(files::parent(&temporary)) {
        Ok(()) => discard(temporary),
        Err(error) => {
            let _ = temporary.keep();
            Err(error)
        }
    }
}

/// Overwrites and removes what came out of an exchange.
fn discard(temporary: TempPath) -> Result<Change> {
    // In a directory that others write to, the name may lead elsewhere by now.
    let open = |options: &mut OpenOptions| options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed()).open(&temporary);
    // One name is ours: the mode can be too. A file that its owner may not write would only be removed.
    let is_one = |file: &File| file.metadata().is_ok_and(|metadata| metadata.nlink() == 1);
    if let Some(file) = open(OpenOptions::new().read(true)).ok().filter(is_one) {
        let _ = file.set_permissions(fs::Permissions::from_mode(0o600));
    }
    let change = open(OpenOptions::new().write(true)).map_or(Change::Made, |file| overwrite(&file, 1));
    files::remove(&temporary)?;
    files::sync_directory(files::parent(&temporary)).map(|()| change)
}

/// Overwrites what is let go of, which nobody but who wrote it there may miss.
fn overwrite(file: &File, links: u64) -> Change {
    if files::overwrite(file, links) { Change::MadeBesideLink } else { Change::Made }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    fn directory_with(text: &str) -> (TempDir, PathBuf) {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("config.json");
        fs::write(&path, text).unwrap();
        (directory, path)
    }

    fn names(directory: &TempDir) -> usize {
        fs::read_dir(directory.path()).unwrap().count()
    }

    #[test]
    fn what_is_replaced_is_overwritten() {
        let (directory, path) = directory_with("old secret");
        let mut old = File::open(&path).unwrap();
        let file = ForeignFile::read(&path).unwrap();
        assert_eq!(file.replace(b"new").unwrap(), Change::Made);
        assert_eq!(fs::read(&path).unwrap(), b"new");
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut old, &mut bytes).unwrap();
        assert_eq!(bytes, [0; 10]);
        assert_eq!(names(&directory), 1);
    }

    #[test]
    fn what_another_hard_link_holds_is_left_to_it() {
        let (directory, path) = directory_with("old");
        let link = directory.path().join("link");
        fs::hard_link(&path, &link).unwrap();
        assert_eq!(ForeignFile::read(&path).unwrap().replace(b"new").unwrap(), Change::MadeBesideLink);
        assert_eq!(fs::read(&link).unwrap(), b"old");
        assert_eq!(names(&directory), 2);
    }

    #[test]
    fn what_changed_meanwhile_is_not_replaced_and_not_removed() {
        let (directory, path) = directory_with("old");
        let file = ForeignFile::read(&path).unwrap();
        fs::write(&path, "newer").unwrap();
        assert_eq!(file.replace(b"ours").unwrap(), Change::Overtaken);
        assert_eq!(file.remove().unwrap(), Change::Overtaken);
        assert_eq!(fs::read(&path).unwrap(), b"newer");
        fs::remove_file(&path).unwrap();
        assert_eq!(file.replace(b"ours").unwrap(), Change::Overtaken);
        assert_eq!(names(&directory), 0);
    }

    #[test]
    fn what_was_made_meanwhile_is_not_replaced() {
        let (directory, path) = directory_with("");
        fs::remove_file(&path).unwrap();
        let file = ForeignFile::read(&path).unwrap();
        fs::write(&path, "theirs").unwrap();
        assert_eq!(file.replace(b"ours").unwrap(), Change::Overtaken);
        assert_eq!((fs::read(&path).unwrap().as_slice(), names(&directory)), (&b"theirs"[..], 1));
    }

    #[test]
    fn a_link_stays_and_a_dangling_one_too() {
        let (directory, path) = directory_with("old");
        let link = directory.path().join("link");
        symlink("config.json", &link).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(ForeignFile::read(&link).unwrap().replace(b"new").unwrap(), Change::Made);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        fs::remove_file(&path).unwrap();
        assert_eq!(ForeignFile::read(&link).unwrap().replace(b"again").unwrap(), Change::Made);
        assert_eq!(fs::read(&path).unwrap(), b"again");
    }
}
