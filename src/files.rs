//! Files that are private, replaced whole, and written by one process at a time.
//!
//! Every file and directory that is written here passes through this module, so that its rules hold
//! everywhere: mode 0600 and 0700 whatever the umask; write beside, sync, rename, sync the directory;
//! never follow what is not a regular file into a wait. It knows nothing of what the files mean.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown, lchown};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// How the names of temporary files begin. One that a killed process left is removed by the next writer.
const TEMPORARY: &str = ".tmp-";

/// How long a writer waits for another one.
pub const LOCK_LIMIT: Duration = Duration::from_secs(10);

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
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        create_directory(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {}
        // Somebody else made it meanwhile.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => return Ok(()),
        Err(error) => return Err(Error::file("create", path)(error)),
    }
    // The umask may have taken even the owner's bits away.
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(Error::file("set the mode of", path))?;
    if let Some((user, group)) = parent.and_then(adopter) {
        // Of the link itself, should somebody have put one there meanwhile.
        lchown(path, Some(user), Some(group)).map_err(Error::file("set the owner of", path))?;
    }
    // Until the parent is synced, a crash may forget the directory and all that was put in it.
    parent.map_or(Ok(()), sync_directory)
}

/// Whose a new file in a directory is to be, when root works in somebody's home (`sudo docker login`): root's own could not be
/// read by its owner any more.
fn adopter(directory: &Path) -> Option<(u32, u32)> {
    let metadata = fs::metadata(directory).ok().filter(|_| rustix::process::geteuid().is_root())?;
    (metadata.uid() != 0).then_some((metadata.uid(), metadata.gid()))
}

fn adopt(file: &File, directory: &Path) -> io::Result<()> {
    adopter(directory).map_or(Ok(()), |(user, group)| fchown(file, Some(user), Some(group)))
}

/// Replaces `path`, or makes it, with mode 0600: whole or not at all, and on the disk when this returns.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    replace(path, bytes, fs::Permissions::from_mode(0o600), |_| Ok(()))
}

/// Replaces `path` as [`write()`] does, with the mode given, after `prepare` has seen the temporary file.
pub fn replace(
    path: &Path,
    bytes: &[u8],
    mode: fs::Permissions,
    prepare: impl FnOnce(&File) -> io::Result<()>,
) -> Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let mut temporary = tempfile::Builder::new()
        .prefix(TEMPORARY)
        .tempfile_in(directory)
        .map_err(Error::file("write in", directory))?;
    temporary
        .write_all(bytes)
        .and_then(|()| temporary.as_file().set_permissions(mode))
        .and_then(|()| adopt(temporary.as_file(), directory))
        .and_then(|()| prepare(temporary.as_file()))
        // Before the rename: otherwise a crash may leave the new name with nothing in it.
        .and_then(|()| temporary.as_file().sync_all())
        .map_err(Error::file("write", path))?;
    temporary.persist(path).map_err(|error| Error::file("replace", path)(error.error))?;
    sync_directory(directory)
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

/// Replaces `path` as [`write()`] does, and then overwrites what it held, as far as the file system lets one.
pub fn write_over(path: &Path, bytes: &[u8]) -> Result<()> {
    let old = OpenOptions::new().write(true).custom_flags(OFlags::NOFOLLOW.bits().cast_signed()).open(path).ok();
    write(path, bytes)?;
    if let Some(old) = old {
        overwrite(old);
    }
    Ok(())
}

/// Removes a file, and then overwrites what it held, as far as the file system lets one. Whether it was there.
pub fn remove_over(path: &Path) -> Result<bool> {
    let old = OpenOptions::new().write(true).custom_flags(OFlags::NOFOLLOW.bits().cast_signed()).open(path).ok();
    let removed = remove(path)?;
    path.parent().map_or(Ok(()), sync_directory)?;
    if let Some(old) = old {
        overwrite(old);
    }
    Ok(removed)
}

/// Only once no name leads there any more: a kill meanwhile would leave half a file, and another link is another's file.
fn overwrite(mut file: File) {
    let Ok(metadata) = file.metadata() else { return };
    if metadata.is_file() && metadata.nlink() == 0 {
        let zeros = vec![0; usize::try_from(metadata.len()).unwrap_or_default()];
        // Nothing depends on it.
        let _ = file.write_all(&zeros).and_then(|()| file.sync_all());
    }
}

/// What a directory holds, by name; nothing if it does not exist. Temporary files are left out.
pub fn entries(path: &Path) -> Result<Vec<fs::DirEntry>> {
    let found = match fs::read_dir(path) {
        Ok(found) => found,
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
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

fn is_temporary(entry: &fs::DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(TEMPORARY.as_bytes())
}

/// The right to write below a directory. Let go of when dropped, and by the system when the process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Waits up to `limit` for the lock file at `path`, which is made if it is not there.
    pub fn acquire(path: PathBuf, limit: Duration) -> Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(Error::file("open", &path))?;
        // The umask may have taken even the owner's bits away.
        file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(Error::file("set the mode of", &path))?;
        adopt(&file, path.parent().unwrap_or(Path::new("/"))).map_err(Error::file("set the owner of", &path))?;
        let end = Instant::now() + limit;
        let mut pause = Duration::from_millis(1);
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(fs::TryLockError::Error(error)) => return Err(Error::file("lock", &path)(error)),
                Err(fs::TryLockError::WouldBlock) if Instant::now() >= end => return Err(Error::Busy(path)),
                Err(fs::TryLockError::WouldBlock) => thread::sleep(pause),
            }
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    /// Removes what killed writers left in a directory. Holding the lock proves that they are gone.
    pub fn sweep(&self, directory: &Path) -> Result<()> {
        let Ok(found) = fs::read_dir(directory) else { return Ok(()) };
        for entry in found.flatten().filter(is_temporary) {
            remove(&entry.path())?;
        }
        Ok(())
    }
}
