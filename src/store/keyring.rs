//! The store in the OS keyring: one item a credential.
//!
//! Service `docker-credential-coffer` (with ` ecr` for tokens, ` aws` for sessions), user = the server key, login = the
//! username, and as the secret the protocol's own JSON, so that the username is bound to it and comes back on every system.

use std::time::SystemTime;

use super::{Held, Listing, Shelf, Store};
use crate::credential::{Credential, Login};
use crate::error::{Error, Result};
use crate::os_keyring::{Item, Names, OsKeyring};
use crate::server::ServerKey;

/// Credentials as items of the OS keyring.
pub struct Keyring {
    service: &'static str,
    may_prompt: bool,
}

impl Keyring {
    /// The store for one kind of credential. `may_prompt` says whether the keyring may ask to be unlocked.
    pub fn new(shelf: Shelf, may_prompt: bool) -> Self {
        let service = match shelf {
            Shelf::Logins => "docker-credential-coffer",
            Shelf::EcrTokens => "docker-credential-coffer ecr",
            Shelf::AwsSessions => "docker-credential-coffer aws",
        };
        Self { service, may_prompt }
    }
}

impl Store for Keyring {
    fn get(&self, server: &ServerKey) -> Result<Option<Credential>> {
        let keyring = OsKeyring::open(self.may_prompt)?;
        let items = keyring.find(self.service, Some(server.name()))?;
        newest(&items).map(|item| open(server, item)).transpose()
    }

    fn find(&self, server: &ServerKey) -> Result<Option<Held>> {
        let keyring = OsKeyring::open(false)?;
        let items = keyring.find(self.service, Some(server.name()))?;
        newest(&items).map(|item| name(item).map(|(_, held)| held)).transpose()
    }

    fn put(&self, server: &ServerKey, credential: &Credential) -> Result<()> {
        let keyring = OsKeyring::open(self.may_prompt)?;
        let login = credential.username.as_str();
        let label = format!("{server} ({login}) in docker-credential-coffer");
        let secret = Login::to_json(server.name(), credential);
        keyring.put(self.service, server.name(), Some(login), &label, &secret)?;
        // Only now, so that a kill leaves two rather than none.
        for item in keyring.find(self.service, Some(server.name()))? {
            if item.names()?.login.is_some_and(|other| other != login) {
                item.delete()?;
            }
        }
        Ok(())
    }

    fn remove(&self, server: &ServerKey) -> Result<bool> {
        let keyring = OsKeyring::open(self.may_prompt)?;
        let items = keyring.find(self.service, Some(server.name()))?;
        for item in &items {
            item.delete()?;
        }
        Ok(!items.is_empty())
    }

    fn list(&self) -> Result<Listing> {
        let keyring = OsKeyring::open(false)?;
        let mut listing = Listing::default();
        let mut items = keyring.find(self.service, None)?;
        // The newest of two for one server comes last, and counts.
        items.sort_by_cached_key(Item::modified);
        for item in &items {
            match name(item) {
                Ok((server, held)) => {
                    listing.held.insert(server, held);
                }
                Err(error) => listing.broken.push(error),
            }
        }
        Ok(listing)
    }
}

/// The item that was written last. With one alone, as nearly always, nothing is asked.
fn newest<'a>(items: &'a [Item<'a>]) -> Option<&'a Item<'a>> {
    match items {
        [item] => Some(item),
        items => items.iter().max_by_key(|item| item.modified().unwrap_or(SystemTime::UNIX_EPOCH)),
    }
}

fn open(server: &ServerKey, item: &Item) -> Result<Credential> {
    let broken = || Error::Keyring(format!("its item for {server} is not a credential for {server}"));
    let login = Login::from_json(&item.secret()?).map_err(|_| broken())?;
    // Attributes can be rewritten without opening the secret.
    if login.server.parse::<ServerKey>().ok().as_ref() != Some(server) {
        return Err(broken());
    }
    Credential::new(login.username, login.secret).map_err(|_| broken())
}

fn name(item: &Item) -> Result<(ServerKey, Held)> {
    let Names { user, login } = item.names()?;
    let server: ServerKey =
        user.parse().map_err(|_| Error::Keyring("it holds an item without a server's name".into()))?;
    let username = match login {
        Some(login) => login,
        // Keyrings that keep no login beside the secret must be asked for it.
        None => open(&server, item)?.username,
    };
    Ok((server, Held { username, since: item.modified() }))
}
