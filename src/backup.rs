//! Encrypted copies of other programs' files, as they were before they were changed:
//!
//! ```text
//! DIR/backups/<path>/<moment>.age            the file's bytes, encrypted to everyone who can read the store
//! DIR/backups/<path>/<moment>-undone.age     the same, of what is not to be put back
//! ```
//!
//! `age -d -i identities FILE` gives the file back without this program. The names are made as in the store, so that whoever
//! encrypts everything to another key finds them; moments are in UTC.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::file_name::{decode, encode, is_name};
use crate::files;
use crate::settings::Settings;
use crate::store::Shelf;
use crate::store::age_dir::AgeDir;
use crate::store::layout;

/// Marks a copy that is not to be put back: what stood there before an older one was, or beside it.
const UNDONE: &str = "-undone";

/// How a copy's name tells when it was made.
const MOMENT: &str = "%Y%m%dt%H%M%Sz";

/// Why a copy is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The file is about to lose its secrets.
    Scrubbed,
    /// An older copy is about to be put back.
    Undone,
    /// A run that was killed left it beside the file. It may be what that run was about to write, with fewer secrets than
    /// the copy that it made before.
    LeftBeside,
}

/// A copy that was opened.
pub struct Backup {
    /// The encrypted file.
    pub path: PathBuf,
    /// What it holds.
    pub bytes: Zeroizing<Vec<u8>>,
}

/// Keeps a copy of what a file held, and proves that it can be read back. Where it lies.
///
/// The newest copy serves again if it is the same, so that a run that was killed and is run again leaves one.
pub fn keep(settings: &Settings, path: &Path, bytes: &[u8], reason: Reason) -> Result<PathBuf> {
    let store = AgeDir::new(settings, Shelf::Logins);
    let directory = directory_of(settings, path)?;
    if reason != Reason::Undone
        && let Some(newest) = newest(settings, path)?
        && *newest.bytes == bytes
    {
        // Whoever made it may have been killed before its name was on the disk.
        files::sync_directory(&directory)?;
        return Ok(newest.path);
    }
    files::create_directory(&directory)?;
    let copy = free_name(&directory, reason)?;
    store.seal(&copy, bytes)?;
    match store.unseal(&copy)? {
        Some(read) if *read == bytes => Ok(copy),
        _ => Err(Error::BadFile { path: copy, problem: "does not give back what was written to it".into() }),
    }
}

/// The newest copy of a file that was made before the file was changed; `None` if there is none.
pub fn newest(settings: &Settings, path: &Path) -> Result<Option<Backup>> {
    let directory = directory_of(settings, path)?;
    let entries = files::entries(&directory)?;
    let names = entries.iter().filter_map(|entry| entry.file_name().into_string().ok());
    // Moments are written so that their order is the names' order.
    let Some(name) = names.filter(|name| is_copy(name)).max() else { return Ok(None) };
    let path = directory.join(name);
    let store = AgeDir::new(settings, Shelf::Logins);
    Ok(store.unseal(&path)?.map(|bytes| Backup { path, bytes }))
}

/// The files of which there are copies, and the directories of those whose path was too long for a name.
pub fn files(settings: &Settings) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let (mut files, mut nameless) = (Vec::new(), Vec::new());
    for entry in files::entries(&layout::backups(settings))? {
        let Ok(name) = entry.file_name().into_string() else { continue };
        match decode(&name) {
            Some(path) => files.push(path.into()),
            None if is_name(&name) => nameless.push(entry.path()),
            None => {}
        }
    }
    Ok((files, nameless))
}

/// Fails for a path that is not UTF-8: two of them could have one name, and one file be put back as the other.
fn directory_of(settings: &Settings, path: &Path) -> Result<PathBuf> {
    match path.to_str() {
        Some(text) => Ok(layout::backups(settings).join(encode(text))),
        None => Err(Error::BadFile { path: path.into(), problem: "has a path that is not UTF-8".into() }),
    }
}

fn is_copy(name: &str) -> bool {
    name.strip_suffix(".age").is_some_and(|stem| !stem.ends_with(UNDONE))
}

/// A name for this moment, or for the one after the newest copy, should the clock have gone back since.
fn free_name(directory: &Path, reason: Reason) -> Result<PathBuf> {
    let mark = if reason == Reason::Scrubbed { "" } else { UNDONE };
    let names = files::entries(directory)?;
    let newest = names.iter().filter_map(|entry| moment(entry.file_name().to_str()?)).max();
    let now = Timestamp::now().as_second();
    let seconds = newest.map_or(now, |newest| now.max(newest.saturating_add(1)));
    let moment = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
    Ok(directory.join(format!("{}{mark}.age", moment.strftime(MOMENT))))
}

/// The second that a copy's name tells, counted from 1970.
fn moment(name: &str) -> Option<i64> {
    let stem = name.strip_suffix(".age")?;
    let moment = DateTime::strptime(MOMENT, stem.strip_suffix(UNDONE).unwrap_or(stem)).ok()?;
    Some(moment.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}
