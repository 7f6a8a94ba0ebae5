//! The store, and who holds its key.

use super::super::moment;
use super::Check;
use crate::error::Error;
use crate::key::{self, Kind, Place};
use crate::migration::counted;
use crate::routes;
use crate::search_path;
use crate::settings::{Settings, StoreKind};
use crate::store::{age_dir, rekey};

const NONE_YET: &str = "there is none yet; the first docker login makes it";

pub fn checks(settings: &Settings) -> Vec<Check> {
    vec![key(settings), store(settings)]
}

/// Who holds the key, and whether it is within reach. Opens nothing.
fn key(settings: &Settings) -> Check {
    let name = "key";
    let is_made = age_dir::recipients_path(settings).is_file();
    let asks_keyring = settings.store == StoreKind::Keyring || key::place(settings) == Place::Keyring;
    // Within a second: what is behind a prompt, or stuck, is as good as locked.
    if asks_keyring && !key::keyring_is_ready() {
        let is_needed = is_made || settings.key.is_some() || settings.store == StoreKind::Keyring;
        return match key::unlocked_until(settings) {
            Some(until) => {
                Check::good(name, format!("unlocked until {}; the OS keyring is out of reach", moment(until)))
            }
            None if is_needed => {
                let detail = "the OS keyring is locked, or does not answer".into();
                Check { detail, ..Check::failed(name, &Error::KeyringLocked) }
            }
            None => Check::good(name, NONE_YET),
        };
    }
    if rekey::is_under_way(settings) {
        return Check::bad(name, "a change of the key or of the recipients was interrupted", "call that command again");
    }
    match key::kind(settings) {
        Err(error) => Check::failed(name, &error),
        // That store has none.
        Ok(_) if settings.store == StoreKind::Keyring => Check::good(name, "the OS keyring is unlocked"),
        Ok(Kind::None) if is_made => Check::failed(name, &key::missing(settings)),
        Ok(Kind::None) => Check::good(name, NONE_YET),
        Ok(Kind::Plain) => Check {
            name,
            ok: true,
            detail: "a plain file: whoever reads the disk opens the store, unless the disk is encrypted".into(),
            cure: Some("docker-credential-coffer key protect --passphrase, or --keyring, holds it better".into()),
        },
        Ok(Kind::Sealed) => Check::good(name, format!("sealed with a passphrase{}", unlocked(settings))),
        Ok(Kind::Plugins(names)) => {
            let missing = names.iter().find(|name| search_path::find(&format!("age-plugin-{name}")).is_none());
            match missing {
                None => Check::good(name, format!("held by age-plugin-{}", names.join(", age-plugin-"))),
                Some(plugin) => {
                    let cure = format!("install age-plugin-{plugin} where the PATH of clients finds it");
                    Check::bad(name, format!("held by age-plugin-{plugin}, which is not on the PATH"), cure)
                }
            }
        }
        Ok(Kind::Keyring) => Check::good(name, "the OS keyring holds it"),
    }
}

fn unlocked(settings: &Settings) -> String {
    match key::unlocked_until(settings) {
        Some(until) => format!(", unlocked until {}", moment(until)),
        None => ", which a login asks for; unlock opens it for a while".into(),
    }
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
