//! Files that are private, replaced whole, and written by one process at a time.
//!
//! Every file and directory that is written here passes through this module, so that its rules hold
//! everywhere: mode 0600 and 0700 whatever the umask; write beside, sync, rename, sync the directory;
//! never follow what is not a regular file into a wait. It knows nothing of what the files mean.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::OFlags;
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use crate::error::{Error, Result};

mod batch;
mod erasure;
mod lock;

pub use batch::Batch;
pub use erasure::{overwrite, remove_over, write_over};
pub use lock::{LOCK_LIMIT, Lock};

/// How the names of temporary files begin. One that a killed process left is removed by the next writer.
const TEMPORARY: &str = ".coffer-";

/// How many random letters and digits end them: so many that nobody names a file of his own so.
const RANDOM: usize = 16;

/// What is asked of the mode of a file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privacy {
    /// Nobody else may read or write it.
    Private,
    /// Nobody else may write it.
    Unshared,
    /// Its mode is its owner's business.
    Any,
}

/// The whole of a regular file, `None` if it does not exist.
///
/// Fails if others may do what `privacy` forbids, if it is not a regular file, or if it is longer than
/// `limit` bytes.
pub fn read(path: &Path, limit: u64, privacy: Privacy) -> Result<Option<Zeroizing<Vec<u8>>>> {
    // Opening a FIFO without a writer would wait for one.
    let nonblock = OFlags::NONBLOCK.bits().cast_signed();
    let file = match OpenOptions::new().read(true).custom_flags(nonblock).open(path) {
        Ok(file) => file,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(Error::file("open", path)(error)),
    };
    let metadata = file.metadata().map_err(Error::file("examine", path))?;
    if !metadata.is_file() {
        return Err(Error::BadFile { path: path.into(), problem: "is not a regular file".into() });
    }
    check(path, &metadata, privacy)?;
    if metadata.len() > limit {
        return Err(Error::BadFile { path: path.into(), problem: format!("is longer than {limit} bytes") });
    }
    // One byte more than the file has, so that the buffer need not move to see its end.
    let room = usize::try_from(metadata.len()).unwrap_or_default() + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(limit).read_to_end(&mut bytes).map_err(Error::file("read", path))?;
    Ok(Some(bytes))
}

/// Whether the system says that there is nothing by that name.
pub fn is_absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

/// Whether there is something by that name, be it a link to nothing. An error: it cannot be told, which is not "no".
pub fn exists(path: &Path) -> Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if is_absent(&error) => Ok(false),
        Err(error) => Err(Error::file("examine", path)(error)),
    }
}

/// Refuses a directory in which others may do what `privacy` forbids. One that does not exist is fine.
pub fn check_directory(path: &Path, privacy: Privacy) -> Result<()> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => check(path, &metadata, privacy),
        Ok(_) => Err(Error::BadFile { path: path.into(), problem: "is not a directory".into() }),
        Err(error) if is_absent(&error) => Ok(()),
        Err(error) => Err(Error::file("examine", path)(error)),
    }
}

fn check(path: &Path, metadata: &Metadata, privacy: Privacy) -> Result<()> {
    if privacy == Privacy::Any {
        return Ok(());
    }
    let me = rustix::process::geteuid();
    let owner = metadata.uid();
    if !me.is_root() && owner != me.as_raw() && owner != 0 {
        return Err(Error::Unsafe { path: path.into(), problem: "belongs to another user", cure: "sudo chown $USER" });
    }
    let mode = metadata.permissions().mode();
    let problem = match privacy {
        _ if mode & 0o022 != 0 => "can be written by others",
        Privacy::Private if mode & 0o055 != 0 => "can be read by others",
        _ => return Ok(()),
    };
    Err(Error::Unsafe { path: path.into(), problem, cure: "chmod go-rwx" })
}

/// Makes a directory of mode 0700, and its parents. One that exists is left as it is.
pub fn create_directory(path: &Path) -> Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if path.is_dir() {
        // Whoever made it may have been killed before its name was on the disk, and then put nothing in it.
        let is_empty = fs::read_dir(path).is_ok_and(|mut found| found.next().is_none());
        return parent.filter(|_| is_empty).map_or(Ok(()), |parent| match sync_directory(parent) {
            // Where one may not even look, one has made nothing.
            Err(Error::File { source, .. }) if source.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            synced => synced,
        });
    }
    if let Some(parent) = parent {
        create_directory(parent)?;
    }
    make_directory(path)?;
    // Until the parent is synced, a crash may forget the directory and all that was put in it.
    parent.map_or(Ok(()), sync_directory)
}

/// Makes a directory whose parent exists, and waits for no disk. Whether it was not there.
fn make_directory(path: &Path) -> Result<bool> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {}
        // Somebody else made it meanwhile.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => return Ok(false),
        Err(error) => return Err(Error::file("create", path)(error)),
    }
    let private = fs::Permissions::from_mode(0o700);
    match adopter(parent(path)) {
        // The umask may have taken even the owner's bits away.
        None => fs::set_permissions(path, private).map_err(Error::file("set the mode of", path))?,
        Some(owner) => {
            // Not by its name: whoever owns the parent could have put a link in its place.
            let flags = (OFlags::DIRECTORY | OFlags::NOFOLLOW).bits().cast_signed();
            let directory = OpenOptions::new().read(true).custom_flags(flags).open(path);
            let directory = directory.map_err(Error::file("open", path))?;
            directory.set_permissions(private).map_err(Error::file("set the mode of", path))?;
            give(&directory, owner).map_err(Error::file("set the owner of", path))?;
        }
    }
    Ok(true)
}

/// Whose a new file in a directory is to be, when root works in somebody's home (`sudo docker login`): root's own could not be
/// read by its owner any more.
pub fn adopter(directory: &Path) -> Option<(u32, u32)> {
    let metadata = fs::metadata(directory).ok().filter(|_| rustix::process::geteuid().is_root())?;
    (metadata.uid() != 0).then_some((metadata.uid(), metadata.gid()))
}

fn adopt(file: &File, directory: &Path) -> io::Result<()> {
    adopter(directory).map_or(Ok(()), |owner| give(file, owner))
}

fn give(file: &File, owner: (u32, u32)) -> io::Result<()> {
    let metadata = file.metadata()?;
    if (metadata.uid(), metadata.gid()) == owner {
        return Ok(());
    }
    match fchown(file, Some(owner.0), Some(owner.1)) {
        // Its owner, who is not in its group: no other group may have what that one had.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && metadata.uid() == owner.0 => {
            file.set_permissions(fs::Permissions::from_mode(metadata.permissions().mode() & 0o707))
        }
        given => given,
    }
}

/// Replaces `path`, or makes it, with mode 0600: whole or not at all, and on the disk when this returns.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    replace(path, bytes, 0o600)
}

/// Replaces `path` as [`write()`] does, with the mode given.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let temporary = unsynced(path, bytes, fs::Permissions::from_mode(mode), adopter(parent(path)))?;
    settle(temporary, path)
}

/// Replaces `path` as [`write()`] does, as if it had been written at a moment.
pub fn write_as_of(path: &Path, bytes: &[u8], modified: SystemTime) -> Result<()> {
    let temporary = unsynced(path, bytes, fs::Permissions::from_mode(0o600), adopter(parent(path)))?;
    temporary.as_file().set_modified(modified).map_err(Error::file("date", path))?;
    settle(temporary, path)
}

/// Gives a file that was written its name.
fn settle(temporary: NamedTempFile, path: &Path) -> Result<()> {
    // Before the rename: otherwise a crash may leave the new name with nothing in it.
    temporary.as_file().sync_all().map_err(Error::file("write", path))?;
    temporary.persist(path).map_err(|error| Error::file("replace", path)(error.error))?;
    sync_directory(parent(path))
}

/// A temporary file beside `path`, written and on the disk, that is to take its place. Removed when dropped.
pub fn beside(path: &Path, bytes: &[u8], mode: fs::Permissions, owner: Option<(u32, u32)>) -> Result<NamedTempFile> {
    let temporary = unsynced(path, bytes, mode, owner)?;
    // Before whatever rename: otherwise a crash may leave the new name with nothing in it.
    temporary.as_file().sync_all().map_err(Error::file("write", path))?;
    Ok(temporary)
}

fn unsynced(path: &Path, bytes: &[u8], mode: fs::Permissions, owner: Option<(u32, u32)>) -> Result<NamedTempFile> {
    let directory = parent(path);
    // The library's own way would put the temporary name into its errors, which says nothing to anybody.
    let mut temporary = tempfile::Builder::new()
        .prefix(TEMPORARY)
        .rand_bytes(RANDOM)
        .make_in(directory, |path| OpenOptions::new().write(true).create_new(true).mode(0o600).open(path))
        .map_err(Error::file("write in", directory))?;
    temporary
        .as_file_mut()
        .write_all(bytes)
        .and_then(|()| temporary.as_file().set_permissions(mode))
        .and_then(|()| owner.map_or(Ok(()), |owner| give(temporary.as_file(), owner)))
        .map_err(Error::file("write", path))?;
    Ok(temporary)
}

/// The directory of a file.
pub fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

/// Makes what was renamed and removed in a directory outlast a crash.
pub fn sync_directory(path: &Path) -> Result<()> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(Error::file("sync", path))
}

/// Removes a file. Whether it was there.
pub fn remove(path: &Path) -> Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if is_absent(&error) => Ok(false),
        Err(error) => Err(Error::file("remove", path)(error)),
    }
}

/// What a directory holds, by name; nothing if it does not exist. Temporary files are left out.
///
/// Fails if a link on the way to it leads nowhere: then it is unknown what it holds.
pub fn entries(path: &Path) -> Result<Vec<fs::DirEntry>> {
    let found = match fs::read_dir(path) {
        Ok(found) => found,
        Err(error) if is_absent(&error) => {
            let leads_nowhere = |way: &&Path| way.is_symlink() && fs::metadata(way).is_err();
            let link = path.ancestors().find(leads_nowhere);
            return link.map_or(Ok(Vec::new()), |link| Err(Error::LeadsNowhere(link.into())));
        }
        Err(error) => return Err(Error::file("read", path)(error)),
    };
    let mut entries = Vec::new();
    for entry in found {
        let entry = entry.map_err(Error::file("read", path))?;
        if !is_temporary(&entry) {
            entries.push(entry);
        }
    }
    entries.sort_by_key(fs::DirEntry::file_name);
    Ok(entries)
}

/// What killed writers left in a directory.
pub fn temporaries(directory: &Path) -> Vec<PathBuf> {
    let found = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut paths: Vec<_> = found.filter(is_temporary).map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn is_temporary(entry: &fs::DirEntry) -> bool {
    let name = entry.file_name();
    let random = name.as_encoded_bytes().strip_prefix(TEMPORARY.as_bytes());
    random.is_some_and(|random| random.len() == RANDOM && random.iter().all(u8::is_ascii_alphanumeric))
}
