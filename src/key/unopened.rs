//! What can be told of the key without opening it: its recipients, how it is held, whether it is unlocked.

use std::time::SystemTime;

use super::file::{File, read};
use super::unlocked::{self, Origin};
use super::{Identities, Place, Recipient, keyring, place};
use crate::error::{Error, Result};
use crate::settings::Settings;

/// The public halves of the key, as far as they can be told without opening it.
pub enum Own {
    /// There is no key.
    None,
    /// These.
    Known(Vec<Recipient>),
    /// There is a key that does not tell: sealed, or of a plugin and without a comment that names its recipient.
    Unknown,
}

/// How the key is held.
#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    /// There is none.
    None,
    /// In a file that whoever reads it can use.
    Plain,
    /// In a file sealed with a passphrase.
    Sealed,
    /// In a file that names these plugins, which hold it.
    Plugins(Vec<String>),
    /// In the OS keyring.
    Keyring,
}

/// The public halves of the key: what must be able to read everything that is written. Opens nothing.
pub fn own(settings: &Settings) -> Result<Own> {
    let tell = |identities: Identities| {
        if identities.tells_recipients() { Own::Known(identities.recipients()) } else { Own::Unknown }
    };
    match place(settings)? {
        Place::File(path, privacy) => Ok(match read(&path, privacy)? {
            None => Own::None,
            Some(File::Open(identities)) => tell(identities),
            Some(File::Sealed(bytes)) => match unlocked::find(settings, &Origin::Sealed(&bytes)) {
                Some(unlocked) => tell(unlocked.identities),
                None => Own::Unknown,
            },
        }),
        Place::Keyring => match (keyring::recipients(), unlocked::find(settings, &Origin::Keyring)) {
            (Ok(recipients), _) if !recipients.is_empty() => Ok(Own::Known(recipients)),
            // The OS keyring may be gone as long as the key is unlocked.
            (_, Some(unlocked)) => Ok(tell(unlocked.identities)),
            (Err(Error::NoKeyring(_)), None) if settings.key.is_none() => Ok(Own::None),
            (recipients, None) => recipients.map(|_| Own::None),
        },
    }
}

/// How the key is held. Opens nothing.
pub fn kind(settings: &Settings) -> Result<Kind> {
    match place(settings)? {
        Place::File(path, privacy) => Ok(match read(&path, privacy)? {
            None => Kind::None,
            Some(File::Sealed(_)) => Kind::Sealed,
            Some(File::Open(identities)) if identities.own.is_empty() => {
                Kind::Plugins(identities.plugins().into_iter().map(str::to_owned).collect())
            }
            Some(File::Open(_)) => Kind::Plain,
        }),
        Place::Keyring => Ok(match own(settings)? {
            Own::None => Kind::None,
            Own::Known(_) | Own::Unknown => Kind::Keyring,
        }),
    }
}

/// Until when the key is unlocked, if it is.
pub fn unlocked_until(settings: &Settings) -> Option<SystemTime> {
    let found = match place(settings).ok()? {
        Place::File(path, privacy) => match read(&path, privacy) {
            Ok(Some(File::Sealed(bytes))) => unlocked::find(settings, &Origin::Sealed(&bytes)),
            _ => None,
        },
        Place::Keyring => unlocked::find(settings, &Origin::Keyring),
    };
    found.map(|unlocked| unlocked.until)
}
