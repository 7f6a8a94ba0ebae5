//! The lock that writers hold.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::fs::OFlags;

use super::{adopt, parent, remove, temporaries};
use crate::error::{Error, Result};

/// How long a writer waits for another one.
pub const LOCK_LIMIT: Duration = Duration::from_secs(15);

/// A lock file, made if it is not there.
fn open_lock(path: &Path) -> Result<File> {
    // A link would have another file's mode and owner set, and opening a FIFO would wait for its reader.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).mode(0o600).custom_flags(flags).open(path);
    let file = file.map_err(Error::file("open", path))?;
    let metadata = file.metadata().map_err(Error::file("examine", path))?;
    if !metadata.is_file() {
        return Err(Error::BadFile { path: path.into(), problem: "is not a regular file".into() });
    }
    // Another name of it may be another's file.
    if metadata.nlink() == 1 {
        // The umask may have taken even the owner's bits away.
        file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(Error::file("set the mode of", path))?;
        adopt(&file, parent(path)).map_err(Error::file("set the owner of", path))?;
    }
    Ok(file)
}

/// Waits for a lock for as long as it takes.
fn lock(file: &File) -> io::Result<()> {
    loop {
        match file.lock() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            locked => return locked,
        }
    }
}

/// The right to write below a directory. Let go of when dropped, and by the system when the process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Waits up to `limit` for the lock file at `path`, which is made if it is not there.
    pub fn acquire(path: PathBuf, limit: Duration) -> Result<Self> {
        let file = open_lock(&path)?;
        match file.try_lock() {
            Ok(()) => return Ok(Self { _file: file }),
            Err(fs::TryLockError::Error(error)) => return Err(Error::file("lock", &path)(error)),
            Err(fs::TryLockError::WouldBlock) => {}
        }
        // In the kernel's queue, where everybody's turn comes: of many that looked again now and then, some never found it free.
        let (sender, receiver) = mpsc::channel();
        let wait = move || {
            // Whoever no longer waits does not take the file, which is closed and with it let go of.
            let _ = sender.send(lock(&file).map(|()| file));
        };
        thread::Builder::new().name("lock".into()).spawn(wait).map_err(Error::file("lock", &path))?;
        match receiver.recv_timeout(limit) {
            Ok(Ok(file)) => Ok(Self { _file: file }),
            Ok(Err(error)) => Err(Error::file("lock", &path)(error)),
            Err(_) => Err(Error::Busy(path)),
        }
    }

    /// Removes what killed writers left in a directory. Holding the lock proves that they are gone.
    pub fn sweep(&self, directory: &Path) -> Result<()> {
        temporaries(directory).iter().try_for_each(|path| remove(path).map(drop))
    }
}
