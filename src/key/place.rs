//! Where the key is looked for. Opens nothing.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::files::{self, Privacy};
use crate::settings::{KeyHolder, Settings};

/// The name of the identity file in the store's directory.
const IDENTITIES: &str = "identities";

/// Where a key is, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file; `Privacy` is what is asked of its mode.
    File(PathBuf, Privacy),
    /// The OS keyring.
    Keyring,
}

/// Where the key is looked for, without opening it. Fails if the system does not say whether its file is there: after a wrong
/// guess, `key protect` would leave the plain key where it is, or write one.
pub fn place(settings: &Settings) -> Result<Place> {
    if let Some(path) = &settings.identity_file {
        return Ok(Place::File(path.clone(), Privacy::Any));
    }
    let file = identities_path(&settings.directory);
    Ok(match settings.key {
        Some(KeyHolder::Keyring) => Place::Keyring,
        None if !files::exists(&file)? => Place::Keyring,
        Some(KeyHolder::File) | None => Place::File(file, Privacy::Private),
    })
}

/// Where the key's file is, or would be, if no variable names another.
pub fn identities_path(directory: &Path) -> PathBuf {
    directory.join(IDENTITIES)
}

/// The key's file, for errors.
pub fn path(settings: &Settings) -> PathBuf {
    match place(settings) {
        Ok(Place::File(path, _)) => path,
        _ => identities_path(&settings.directory),
    }
}
