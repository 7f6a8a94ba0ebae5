//! Where everything lies in the store's directory:
//!
//! ```text
//! DIR/lock                          held by writers; migrate.lock and setup.lock by those commands
//! DIR/store/.age-recipients         who can read what is written, one a line
//! DIR/store/<server>/<username>.age the protocol's JSON, encrypted
//! DIR/ecr/<server>/<label>.age      the same, of a token
//! DIR/aws/<device>/<label>.age      the same, of a session
//! DIR/backups/<file>/<moment>.age   another program's file, as it was
//! ```
//!
//! Names are percent-encoded and readable, so that `list` and a miss need no key. Nothing here opens or writes anything.

use std::fs::DirEntry;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::Shelf;
use crate::error::{Error, Result};
use crate::file_name::is_name;
use crate::files::{self, Privacy};
use crate::key::RecipientList;
use crate::settings::Settings;

/// A recipients file longer than this is not one.
const MAX_RECIPIENTS: u64 = 1 << 20;

/// Where logins lie, and the recipients of everything.
pub(super) fn logins(settings: &Settings) -> PathBuf {
    root(settings, Shelf::Logins)
}

/// Where the credentials of a kind lie.
pub(super) fn root(settings: &Settings, shelf: Shelf) -> PathBuf {
    settings.directory.join(match shelf {
        Shelf::Logins => "store",
        Shelf::EcrTokens => "ecr",
        Shelf::AwsSessions => "aws",
    })
}

/// Where copies of other programs' files lie, each in a directory of its file's name.
pub fn backups(settings: &Settings) -> PathBuf {
    settings.directory.join("backups")
}

/// Every place in which something is kept that the key opens.
pub(super) fn roots(settings: &Settings) -> [PathBuf; 4] {
    let root = |shelf| root(settings, shelf);
    [root(Shelf::Logins), root(Shelf::AwsSessions), root(Shelf::EcrTokens), backups(settings)]
}

/// Whether nothing is held that a new key could not open, and that could not be had again.
pub(super) fn holds_nothing(settings: &Settings) -> Result<bool> {
    let logins = is_empty(&logins(settings), credential_files)?;
    Ok(logins && is_empty(&backups(settings), age_files)?)
}

/// Fails if there is no store, for commands that make none.
pub fn check_made(settings: &Settings) -> Result<()> {
    if files::exists(&recipients_path(settings))? || !holds_nothing(settings)? {
        return Ok(());
    }
    Err(Error::Command {
        message: format!("there is no store in {} yet", settings.directory.display()),
        cure: "docker-credential-coffer setup makes it".into(),
    })
}

/// The list of recipients.
pub fn recipients_path(settings: &Settings) -> PathBuf {
    logins(settings).join(".age-recipients")
}

/// Who can read what is written. Empty, if the store has not been made yet.
pub fn read_recipients(settings: &Settings) -> Result<RecipientList> {
    let path = recipients_path(settings);
    let text = files::read(&path, MAX_RECIPIENTS, Privacy::Unshared)?.unwrap_or_default();
    RecipientList::parse(&path, &text)
}

/// Whether nothing is held there that a new key could not open.
fn is_empty(root: &Path, files: fn(&Path) -> Result<Vec<CredentialFile>>) -> Result<bool> {
    for directory in directories(root)? {
        if !files(&directory.path())?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The directories of all servers. What begins with a dot is not ours: `.git`, `.age-recipients`.
pub(super) fn directories(root: &Path) -> Result<Vec<DirEntry>> {
    let mut entries = files::entries(root)?;
    entries.retain(|entry| {
        !entry.file_name().as_encoded_bytes().starts_with(b".") && entry.file_type().is_ok_and(|kind| kind.is_dir())
    });
    Ok(entries)
}

/// A file that holds, or should hold, a credential.
pub(super) struct CredentialFile {
    pub(super) path: PathBuf,
    pub(super) stem: String,
    pub(super) modified: SystemTime,
}

/// The `.age` files of a server's directory; none if there is no such directory. A name that is none of ours is no credential's.
pub(super) fn credential_files(directory: &Path) -> Result<Vec<CredentialFile>> {
    let mut found = age_files(directory)?;
    found.retain(|file| is_name(&file.stem));
    Ok(found)
}

/// Everything encrypted in a directory, under whatever name: backups, and what a sync service has set aside.
pub(super) fn age_files(directory: &Path) -> Result<Vec<CredentialFile>> {
    let mut found = Vec::new();
    for entry in files::entries(directory)? {
        let name = entry.file_name();
        let Some(stem) = name.to_str().and_then(|name| name.strip_suffix(".age")) else { continue };
        if stem.starts_with('.') || entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        // Gone meanwhile, or not to be examined: then it is not the newest either.
        let modified = entry.metadata().and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        found.push(CredentialFile { path: entry.path(), stem: stem.to_owned(), modified });
    }
    Ok(found)
}

/// Refuses what only leads to a file or a directory somewhere else.
pub(super) fn refuse_link(path: &Path) -> Result<()> {
    if path.is_symlink() {
        return Err(Error::BadFile { path: path.into(), problem: "is a symbolic link".into() });
    }
    Ok(())
}

/// Which of two counts, as after a git merge: the last written, by name if they are of one moment.
pub(super) fn newest(files: Vec<CredentialFile>) -> Option<CredentialFile> {
    files.into_iter().max_by(|one, other| (one.modified, &one.stem).cmp(&(other.modified, &other.stem)))
}
