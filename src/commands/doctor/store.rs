//! The store, and who holds its key.

use super::super::key_show;
use super::Check;
use crate::error::{Error, Result};
use crate::key::{self, Ask, Kind, Own};
use crate::migration::counted;
use crate::routes;
use crate::settings::{Settings, StoreKind};
use crate::store::{age_dir, rekey};

pub fn checks(settings: &Settings) -> Vec<Check> {
    match settings.store {
        StoreKind::Age => vec![store(settings), key(settings)],
        StoreKind::Keyring => vec![store(settings)],
    }
}

/// Whether the key is there, is one that can read the store, and could be opened as it is meant to be. Nobody is asked.
fn key(settings: &Settings) -> Check {
    let name = "key";
    let is_made = age_dir::recipients_path(settings).is_file();
    let found = key::kind(settings).and_then(|kind| Ok((is_listed(settings)?, kind)));
    match found {
        Err(error) => Check::failed(name, &error),
        Ok((_, Kind::None)) if is_made => Check::failed(name, &key::missing(settings)),
        Ok((_, Kind::None)) => Check::good(name, "there is none yet; the first login makes it"),
        Ok(_) if rekey::is_under_way(settings) => {
            let cure = "call it again: docker-credential-coffer key rotate, or recipients add";
            Check::bad(name, "a change of the key or of the recipients was interrupted", cure)
        }
        Ok((false, _)) if is_made => {
            let path = age_dir::recipients_path(settings);
            Check::failed(name, &Error::NotARecipient(path))
        }
        // Whether it is locked shows only when it is asked for.
        Ok((_, kind @ Kind::Keyring)) => match key::open(settings, &Ask::Never) {
            Err(error) => Check::failed(name, &error),
            Ok(_) => Check::good(name, key_show::in_short(settings, &kind)),
        },
        Ok((_, kind)) => Check::good(name, key_show::in_short(settings, &kind)),
    }
}

/// Whether the key is among those who can read the store, as far as can be told without opening it.
fn is_listed(settings: &Settings) -> Result<bool> {
    let list = age_dir::read_recipients(settings)?;
    Ok(match key::own(settings)? {
        Own::Known(own) => own.iter().any(|own| list.contains(own)),
        Own::Unknown | Own::None => true,
    })
}

fn store(settings: &Settings) -> Check {
    let name = "store";
    let place = match settings.store {
        StoreKind::Age => settings.directory.display().to_string(),
        StoreKind::Keyring => "the OS keyring".into(),
    };
    match routes::store(settings).list() {
        Err(error) => Check::failed(name, &error),
        Ok(listing) => match listing.broken.first() {
            None => Check::good(name, format!("{place} holds {}", counted(listing.held.len(), "login"))),
            Some(first) => {
                let detail = format!("{} of {place} cannot be named: {first}", counted(listing.broken.len(), "file"));
                Check::bad(name, detail, Error::hint(first).unwrap_or_default())
            }
        },
    }
}
