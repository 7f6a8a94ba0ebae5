//! The store, and who holds its key.

use super::super::{key_show, moment};
use super::Check;
use crate::error::{Error, Result};
use crate::key::{self, Kind, Own, Place};
use crate::migration::counted;
use crate::routes;
use crate::search_path;
use crate::settings::{Settings, StoreKind};
use crate::store::{Listing, layout, rekey};

const NONE_YET: &str = "there is none yet; the first docker login makes it";

pub fn checks(settings: &Settings, listing: &Result<Listing>) -> Vec<Check> {
    vec![key(settings), store(settings, listing)]
}

/// What the store holds, within a second or so.
pub fn listing(settings: &Settings) -> Result<Listing> {
    if settings.store == StoreKind::Keyring && key::keyring_is_stuck() {
        return Err(Error::NoKeyring("it does not answer".into()));
    }
    routes::store(settings).list()
}

/// Whether the key is there, is one that can read the store, and could be opened as it is meant to be. Nobody is asked.
fn key(settings: &Settings) -> Check {
    let name = "key";
    let is_made = layout::recipients_path(settings).is_file();
    let asks_keyring = settings.store == StoreKind::Keyring || matches!(key::place(settings), Ok(Place::Keyring));
    // Within a second: what is behind a prompt, or stuck, is as good as locked.
    if asks_keyring && !key::keyring_is_ready() {
        let is_needed = is_made || settings.key.is_some() || settings.store == StoreKind::Keyring;
        return match key::unlocked_until(settings) {
            Some(until) => {
                Check::good(name, format!("unlocked until {}; the OS keyring is out of reach", moment(until)))
            }
            None if is_needed => {
                let detail = "the OS keyring is locked, or does not answer";
                if settings.store == StoreKind::Age && settings.key.is_none() {
                    // Perhaps the key never was there.
                    let detail = format!("there is no identities file, and {detail}");
                    return Check { detail, ..Check::failed(name, &key::missing(settings)) };
                }
                Check { detail: detail.into(), ..Check::failed(name, &Error::KeyringLocked) }
            }
            None => Check::good(name, NONE_YET),
        };
    }
    match key::kind(settings).and_then(|kind| Ok((is_listed(settings)?, kind))) {
        // That store has none.
        _ if settings.store == StoreKind::Keyring => Check::good(name, "the OS keyring is unlocked"),
        Err(error) => Check::failed(name, &error),
        Ok((_, Kind::None)) if is_made => Check::failed(name, &key::missing(settings)),
        Ok((_, Kind::None)) => Check::good(name, NONE_YET),
        Ok(_) if rekey::is_under_way(settings) => {
            let cure = "call it again: docker-credential-coffer key rotate, or recipients add";
            Check::bad(name, "a change of the key or of the recipients was interrupted", cure)
        }
        Ok((false, _)) if is_made => Check::failed(name, &Error::NotARecipient(layout::recipients_path(settings))),
        Ok((_, Kind::Plugins(names))) if missing_plugin(&names).is_some() => {
            let plugin = missing_plugin(&names).unwrap_or_default();
            let cure = format!("install {plugin} where the PATH of clients finds it");
            Check::bad(name, format!("it is held by {plugin}, which is not on the PATH"), cure)
        }
        Ok((_, kind)) => {
            let better = "docker-credential-coffer key protect --passphrase, or --keyring, holds it better";
            let cure = (kind == Kind::Plain).then(|| better.to_owned());
            Check { name, ok: true, detail: key_show::in_short(settings, &kind), cure }
        }
    }
}

fn missing_plugin(names: &[String]) -> Option<String> {
    let mut programs = names.iter().map(|name| format!("age-plugin-{name}"));
    programs.find(|program| search_path::find(program).is_none())
}

/// Whether the key is among those who can read the store, as far as can be told without opening it.
fn is_listed(settings: &Settings) -> Result<bool> {
    let list = layout::read_recipients(settings)?;
    Ok(match key::own(settings)? {
        Own::Known(own) => own.iter().any(|own| list.contains(own)),
        Own::Unknown | Own::None => true,
    })
}

fn store(settings: &Settings, listing: &Result<Listing>) -> Check {
    let name = "store";
    let place = match settings.store {
        StoreKind::Age => settings.directory.display().to_string(),
        StoreKind::Keyring => "the OS keyring".into(),
    };
    match listing {
        Err(error) => Check::failed(name, error),
        Ok(listing) => match listing.broken.first() {
            None => Check::good(name, format!("{place} holds {}", counted(listing.held.len(), "login"))),
            Some(first) => {
                let detail = format!("{} of {place} cannot be named: {first}", counted(listing.broken.len(), "file"));
                Check::bad(name, detail, Error::hint(first).unwrap_or_default())
            }
        },
    }
}
