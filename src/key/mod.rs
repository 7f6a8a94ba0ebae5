//! Who holds the age identity that opens the store.
//!
//! In this order: the file named by `COFFER_IDENTITY_FILE`, what `config.toml` names, the file `identities`
//! in the store's directory, the OS keyring. The key is looked for only when there is something to open:
//! a miss never comes here. A file may be plain, sealed with a passphrase, or name plugins of age; what has been opened once
//! with `unlock` is found in the kernel's keyring, which is looked into only where the key is not a plain file.

use std::path::Path;
use std::time::{Duration, SystemTime};

use age::secrecy::SecretString;

use crate::error::{Error, Result};
use crate::settings::{KeyHolder, Settings};
use crate::trace;

mod file;
mod holding;
mod identities;
mod keyring;
mod pinentry;
mod place;
pub mod plugin;
mod prompt;
pub mod recipient;
pub(crate) mod sealed;
mod terminal;
mod unlocked;
mod unopened;

pub use file::read_identities;
pub use holding::{Holder, forget, take_over};
pub use identities::Identities;
pub use keyring::{is_ready as keyring_is_ready, is_stuck as keyring_is_stuck};
pub use place::{Place, place};
pub use prompt::{Ask, new_passphrase};
pub use recipient::{Recipient, RecipientList};
pub use unopened::{Kind, Own, kind, own, unlocked_until};

use file::File;
use holding::hold;
use unlocked::Origin;

/// The identities that open the store.
pub struct Key {
    identities: Identities,
    plugins: Vec<plugin::Identity>,
    /// What it takes to seal it again, if it was just asked for.
    pub passphrase: Option<SecretString>,
    /// Whether nobody minds if it is opened once more: another may have taken its place since.
    pub is_free: bool,
}

impl Key {
    fn new(settings: &Settings, ask: &Ask, identities: Identities) -> Result<Self> {
        let plugins = match ask {
            // A token would wait to be touched.
            Ask::Never if identities.own.is_empty() => {
                let reason = "it is held by an age plugin, which is not asked here";
                return Err(Error::Locked { path: place::path(settings), reason });
            }
            Ask::Never => Vec::new(),
            ask => plugin::identities(&identities.of_plugins, &ask.purpose(), settings.may_prompt)?,
        };
        let is_free = plugins.is_empty();
        Ok(Self { identities, plugins, passphrase: None, is_free })
    }

    /// The identities, in the form that age takes them; those that need no plugin first.
    pub fn identities(&self) -> impl Iterator<Item = &dyn age::Identity> {
        let own = self.identities.own.iter().map(|identity| identity as &dyn age::Identity);
        own.chain(self.plugins.iter().map(|identity| identity as &dyn age::Identity))
    }

    /// Whether a plugin may be called to open something.
    pub fn needs_plugin(&self) -> bool {
        !self.plugins.is_empty()
    }

    /// The text of its identity file, or what would be.
    pub fn text(&self) -> &Identities {
        &self.identities
    }

    /// The public halves, as far as they are known.
    pub fn recipients(&self) -> Vec<Recipient> {
        self.identities.recipients()
    }
}

/// A key of these identities, wherever they are kept. Fails if a plugin is not installed.
pub fn of(settings: &Settings, ask: &Ask, identities: Identities) -> Result<Key> {
    Key::new(settings, ask, identities)
}

/// Opens the key, or takes what `unlock` has opened. `Ok(None)`: there is none in the place where it would be. An error: it is
/// out of reach.
pub fn open(settings: &Settings, ask: &Ask) -> Result<Option<Key>> {
    open_from(settings, ask, true)
}

/// As [`open`], from its own place alone: what `unlock` has opened may be of another key.
pub fn open_itself(settings: &Settings, ask: &Ask) -> Result<Option<Key>> {
    open_from(settings, ask, false)
}

fn open_from(settings: &Settings, ask: &Ask, may_be_unlocked: bool) -> Result<Option<Key>> {
    let place = place(settings)?;
    trace::debug(|| format!("the key is looked for in {place:?}"));
    let unlocked = |origin: &Origin| {
        let found = if may_be_unlocked { unlocked::find(settings, origin) } else { None }?;
        trace::debug(|| "it is unlocked in the kernel's keyring".into());
        let key = Key::new(settings, ask, found.identities);
        // A sealed file that is the same holds the same key.
        Some(key.map(|key| Key { is_free: matches!(origin, Origin::Keyring), ..key }))
    };
    match place {
        Place::File(path, privacy) => match file::read(&path, privacy)? {
            None => Ok(None),
            Some(File::Open(identities)) => Key::new(settings, ask, identities).map(Some),
            Some(File::Sealed(bytes)) => match unlocked(&Origin::Sealed(&bytes)) {
                Some(key) => key.map(Some),
                None => unseal(settings, ask, &path, &bytes).map(Some),
            },
        },
        Place::Keyring => match unlocked(&Origin::Keyring) {
            Some(key) => key.map(Some),
            None => match keyring::open(ask.may_prompt(settings)) {
                // Nobody said that there is a keyring: a machine without one has no key in it.
                Err(Error::NoKeyring(_)) if settings.key.is_none() => Ok(None),
                found => found?.map(|identities| Key::new(settings, ask, identities)).transpose(),
            },
        },
    }
}

/// As [`open`], for a store that holds something: no key is an error.
pub fn require(settings: &Settings, ask: &Ask) -> Result<Key> {
    open(settings, ask)?.ok_or_else(|| missing(settings))
}

/// As [`open_itself`], for a store that holds something.
pub fn require_itself(settings: &Settings, ask: &Ask) -> Result<Key> {
    open_itself(settings, ask)?.ok_or_else(|| missing(settings))
}

fn unseal(settings: &Settings, ask: &Ask, path: &Path, bytes: &[u8]) -> Result<Key> {
    prompt::with_passphrase(settings, ask, path, |passphrase| {
        let text = sealed::unseal(path, bytes, passphrase.clone())?;
        let key = Key::new(settings, ask, file::parse(path, text)?)?;
        Ok(Key { passphrase: Some(passphrase), is_free: false, ..key })
    })
}

/// Puts the opened key into the kernel's keyring. Until when it stays there.
pub fn unlock(settings: &Settings, time: Duration) -> Result<SystemTime> {
    // Before somebody types a passphrase for nothing.
    unlocked::check()?;
    let key = require_itself(settings, &Ask::Caller("to unlock it".into()))?;
    match place(settings)? {
        Place::File(path, privacy) => match file::read(&path, privacy)? {
            Some(File::Sealed(bytes)) => unlocked::keep(settings, &Origin::Sealed(&bytes), &key.identities, time),
            _ => Err(Error::Command {
                message: format!("{} has changed meanwhile", path.display()),
                cure: "call unlock again".into(),
            }),
        },
        Place::Keyring => unlocked::keep(settings, &Origin::Keyring, &key.identities, time),
    }
}

/// Removes the opened key from the kernel's keyring. Whether it was there.
pub fn lock(settings: &Settings) -> Result<bool> {
    unlocked::forget(settings)
}

/// That the store holds something and its key is nowhere, and where was looked.
pub fn missing(settings: &Settings) -> Error {
    let look_again = "bring back the identities file, unlock the OS keyring, or set COFFER_IDENTITY_FILE";
    let (reason, cure) = match place(settings) {
        Err(error) => return error,
        Ok(Place::File(..)) if settings.identity_file.is_some() => {
            ("the file that COFFER_IDENTITY_FILE names does not exist", "bring it back, or unset COFFER_IDENTITY_FILE")
        }
        Ok(Place::File(..)) => ("there is no identities file", look_again),
        Ok(Place::Keyring) if settings.key.is_some() => ("the OS keyring holds none", look_again),
        Ok(Place::Keyring) => ("there is no identities file, and no OS keyring that holds one", look_again),
    };
    Error::NoKey { directory: settings.directory.clone(), reason, cure }
}

/// Makes a key where `holder` or the settings say, or else in the OS keyring if one answers without a prompt within a
/// second, or else in a file. Its recipient.
///
/// To be called only while the store holds nothing and has no key: a second one would orphan what the first
/// one opens.
pub fn create(settings: &Settings, holder: Option<&Holder>, may_prompt: bool) -> Result<Vec<Recipient>> {
    if settings.identity_file.is_some() {
        return Err(Error::NoKey {
            directory: settings.directory.clone(),
            reason: "the file that COFFER_IDENTITY_FILE names does not exist, and none is made there",
            cure: "make one there with age-keygen -o, or unset COFFER_IDENTITY_FILE",
        });
    }
    let identities = Identities::generate();
    let by_settings = match settings.key {
        Some(KeyHolder::Keyring) => Holder::Keyring,
        Some(KeyHolder::File) => Holder::File,
        None if holder.is_none() && keyring::is_ready() => Holder::Keyring,
        None => Holder::File,
    };
    let holder = holder.unwrap_or(&by_settings);
    trace::debug(|| format!("a new key is made in {holder:?}"));
    hold(settings, &identities, holder, may_prompt)?;
    Ok(identities.recipients())
}
