//! The store, and who holds its key.

use super::Check;
use crate::error::Error;
use crate::migration::counted;
use crate::routes;
use crate::settings::{Settings, StoreKind};

pub fn checks(settings: &Settings) -> Vec<Check> {
    vec![store(settings)]
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
