//! Putting a key where it is to be held, and taking it from where it was.
//!
//! A key is taken from nowhere before the new place has given it back.

use age::secrecy::SecretString;

use super::file::MAX_IDENTITIES;
use super::identities::Identities;
use super::place::identities_path;
use super::{Place, Recipient, keyring, place, sealed};
use crate::error::{Error, Result};
use crate::files::{self, Privacy};
use crate::settings::Settings;

/// Who is to hold a key.
#[derive(Debug, Clone)]
pub enum Holder {
    /// A plain file.
    File,
    /// A file sealed with this passphrase.
    Sealed(SecretString),
    /// The OS keyring.
    Keyring,
}

/// Puts a key there, in one step, and proves that it can be had back. In a file it takes the place of the key that was
/// there.
pub fn hold(settings: &Settings, identities: &Identities, holder: &Holder, may_prompt: bool) -> Result<()> {
    let bytes = match holder {
        Holder::Keyring => return keyring::put(&identities.own, may_prompt),
        Holder::File => identities.text.as_bytes().to_vec().into(),
        Holder::Sealed(passphrase) => {
            let sealed = sealed::seal(&identities.text, passphrase.clone())?;
            let path = identities_path(&settings.directory);
            if *sealed::unseal(&path, &sealed, passphrase.clone())? != *identities.text {
                return Err(Error::Internal("the sealed key".into()));
            }
            zeroize::Zeroizing::new(sealed)
        }
    };
    let path = identities_path(&settings.directory);
    files::write_over(&path, &bytes)?;
    match files::read(&path, MAX_IDENTITIES, Privacy::Private)? {
        Some(read) if read == bytes => Ok(()),
        _ => Err(Error::UnusableKey { path, problem: "is not what was written there" }),
    }
}

/// Puts a key there, and takes it, or the one that it replaces, from where it was found before: from now on it is found in
/// the new place. `old` are the recipients that the OS keyring need not keep any more.
pub fn take_over(
    settings: &Settings,
    identities: &Identities,
    holder: &Holder,
    old: &[Recipient],
    may_prompt: bool,
) -> Result<()> {
    let place = place(settings)?;
    hold(settings, identities, holder, may_prompt)?;
    match (holder, place) {
        (Holder::Keyring, Place::File(path, _)) => files::remove_over(&path).map(drop),
        (Holder::Keyring, Place::Keyring) => Ok(()),
        // It was there a moment ago: a keyring that does not answer now still has it.
        (Holder::File | Holder::Sealed(_), Place::Keyring) => keyring::remove(old, may_prompt),
        (Holder::File | Holder::Sealed(_), Place::File(..)) => forget(settings, old, may_prompt),
    }
}

/// Takes keys from the OS keyring that have been replaced, or were to be. Where there is none, there is nothing to take, unless
/// the key in use is there too.
pub fn forget(settings: &Settings, recipients: &[Recipient], may_prompt: bool) -> Result<()> {
    match keyring::remove(recipients, may_prompt) {
        Err(Error::NoKeyring(_)) if place(settings)? != Place::Keyring => Ok(()),
        removed => removed,
    }
}
