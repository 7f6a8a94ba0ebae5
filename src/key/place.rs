//! Where the key is looked for. Opens nothing.

use std::path::{Path, PathBuf};

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

/// Where the key is looked for, without opening it.
pub fn place(settings: &Settings) -> Place {
    if let Some(path) = &settings.identity_file {
        return Place::File(path.clone(), Privacy::Any);
    }
    let file = identities_path(&settings.directory);
    match settings.key {
        Some(KeyHolder::File) => Place::File(file, Privacy::Private),
        Some(KeyHolder::Keyring) => Place::Keyring,
        None if matches!(files::exists(&file), Ok(false)) => Place::Keyring,
        // Or perhaps: whoever opens it will say what is wrong with it.
        None => Place::File(file, Privacy::Private),
    }
}

/// Where the key's file is, or would be, if no variable names another.
pub fn identities_path(directory: &Path) -> PathBuf {
    directory.join(IDENTITIES)
}

/// The key's file, for errors.
pub fn path(settings: &Settings) -> PathBuf {
    match place(settings) {
        Place::File(path, _) => path,
        Place::Keyring => identities_path(&settings.directory),
    }
}
