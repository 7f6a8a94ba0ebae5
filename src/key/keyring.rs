//! Identities as items of the OS keyring.
//!
//! An item's user is the recipient, so that it can be told without opening anything, and so that two keys can stand beside
//! each other while one replaces the other.

use std::time::Duration;

use age::secrecy::ExposeSecret;
use age::x25519;

use super::identities::Identities;
use super::recipient::Recipient;
use crate::deadline::within;
use crate::error::{Error, Result};
use crate::os_keyring::{Item, OsKeyring};

/// The service of the items.
const SERVICE: &str = "docker-credential-coffer identity";

/// How long the OS keyring has to answer before a new key goes into a file instead, or it is told as stuck.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whether something could be put there now, without a prompt.
pub fn is_ready() -> bool {
    within(PATIENCE, || OsKeyring::open(false).is_ok_and(|keyring| keyring.is_unlocked())).unwrap_or(false)
}

/// Whether it is there, or seems to be, and does not answer.
pub fn is_stuck() -> bool {
    within(PATIENCE, || drop(OsKeyring::open(false))).is_none()
}

/// All identities that are kept there; `None` without one. `may_prompt` says whether it may ask to be unlocked.
pub fn open(may_prompt: bool) -> Result<Option<Identities>> {
    let keyring = OsKeyring::open(may_prompt)?;
    let mut own = Vec::new();
    for item in keyring.find(SERVICE, None)? {
        let secret = item.secret()?;
        let identity = std::str::from_utf8(&secret).ok().and_then(|text| text.trim().parse::<x25519::Identity>().ok());
        own.push(identity.ok_or_else(|| Error::BadItem("that of the key is not an age identity".into()))?);
    }
    Ok(if own.is_empty() { None } else { Some(Identities::from_own(own)) })
}

/// The public halves of all identities that are kept there. Unlocks nothing.
pub fn recipients() -> Result<Vec<Recipient>> {
    let keyring = OsKeyring::open(false)?;
    let broken = || Error::BadItem("that of the key is not named after a recipient".into());
    keyring.find(SERVICE, None)?.iter().map(|item| item.names()?.user.parse().map_err(|()| broken())).collect()
}

/// Puts identities there, and proves that they can be had back.
pub fn put(identities: &[x25519::Identity], may_prompt: bool) -> Result<()> {
    let keyring = OsKeyring::open(may_prompt)?;
    for identity in identities {
        let recipient = identity.to_public().to_string();
        let secret = identity.to_string();
        let label = "Key of docker-credential-coffer";
        keyring.put(SERVICE, &recipient, label, secret.expose_secret().as_bytes())?;
        // Everything that is stored from now on depends on it.
        let kept = keyring.find(SERVICE, Some(&recipient))?;
        match kept.first().map(Item::secret).transpose()? {
            Some(read) if *read == secret.expose_secret().as_bytes() => {}
            _ => return Err(Error::Keyring("it did not give back the key that was put into it".into())),
        }
    }
    Ok(())
}

/// Removes the items of these recipients.
pub fn remove(recipients: &[Recipient], may_prompt: bool) -> Result<()> {
    if recipients.is_empty() {
        return Ok(());
    }
    let keyring = OsKeyring::open(may_prompt)?;
    for recipient in recipients {
        keyring.find(SERVICE, Some(&recipient.to_string()))?.iter().try_for_each(Item::delete)?;
    }
    Ok(())
}
