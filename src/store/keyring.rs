//! The store in the OS keyring: one item a credential.
//!
//! Service `docker-credential-coffer` (with ` ecr` for tokens, ` aws` for sessions), user = the server key, login = the
//! username, and as the secret the protocol's own JSON, so that the username is bound to it and comes back on every system.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::SystemTime;

use super::{Held, Listing, Shelf, Store};
use crate::credential::{Credential, Login};
use crate::error::{Error, Result};
use crate::os_keyring::{Item, Names, OsKeyring};
use crate::server::ServerKey;

/// How often a reader looks again when an item has gone under its hands.
const LOOKS: usize = 10;

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
        self.newest(&keyring, server, |item| open(server, item))
    }

    fn find(&self, server: &ServerKey) -> Result<Option<Held>> {
        let keyring = OsKeyring::open(false)?;
        self.newest(&keyring, server, |item| name(item).map(|(_, held)| held))
    }

    fn put(&self, server: &ServerKey, credential: &Credential) -> Result<()> {
        let keyring = OsKeyring::open(self.may_prompt)?;
        let login = credential.username.as_str();
        let label = format!("{server} ({login}) in docker-credential-coffer");
        let secret = Login::to_json(server.name(), credential);
        // What is there before, and no more: two that found each other's would each remove it, and leave none. Nor may an item
        // be written over, which somebody may have found already and be about to remove.
        let mut replaced = keyring.find(self.service, Some(server.name()))?;
        if replaced.len() > 1 {
            // The one that counts goes last, so that none that did not count does meanwhile.
            replaced.sort_by_cached_key(rank);
        }
        let own = keyring.add(self.service, server.name(), login, &label, &secret)?;
        // Only now, so that a kill leaves two rather than none.
        replaced.iter().filter(|item| item.id() != own).try_for_each(Item::delete)
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
        let mut named = HashMap::new();
        let mut looks = 0..LOOKS;
        // What has gone may have been replaced by an item that was not there yet.
        while self.name_all(&keyring, &mut named)? && looks.next().is_some() {}
        let mut listing = Listing::default();
        let mut items: Vec<_> = named.into_iter().collect();
        // The newest of two for one server comes last, and counts.
        items.sort_by_key(|(id, named)| (named.as_ref().map_or(None, |(_, held)| held.since), id.clone()));
        for (_, named) in items {
            match named {
                Ok((server, held)) => drop(listing.held.insert(server, held)),
                Err(error) => listing.broken.push(error),
            }
        }
        Ok(listing)
    }
}

impl Keyring {
    /// Something of the item that was written last for a server; `None` if there is none.
    fn newest<T>(
        &self,
        keyring: &OsKeyring,
        server: &ServerKey,
        ask: impl Fn(&Item) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut looks = 0..LOOKS;
        loop {
            let items = keyring.find(self.service, Some(server.name()))?;
            match newest(&items).map(&ask).transpose() {
                // A writer replaced it, or removed it, under our hands.
                Err(Error::ItemGone) if looks.next().is_some() => {}
                asked => return asked,
            }
        }
    }

    /// Names every item that is there and not yet among `named`. Whether one has gone before it could be.
    fn name_all(&self, keyring: &OsKeyring, named: &mut HashMap<String, Result<(ServerKey, Held)>>) -> Result<bool> {
        let mut has_gone = false;
        for item in keyring.find(self.service, None)? {
            if let Entry::Vacant(entry) = named.entry(item.id()) {
                match name(&item) {
                    Err(Error::ItemGone) => has_gone = true,
                    said => drop(entry.insert(said)),
                }
            }
        }
        Ok(has_gone)
    }
}

/// The item that was written last. With one alone, as nearly always, nothing is asked.
fn newest<'a>(items: &'a [Item<'a>]) -> Option<&'a Item<'a>> {
    match items {
        [item] => Some(item),
        items => items.iter().max_by_key(|item| rank(item)),
    }
}

/// Which of two items for one server counts: the greater.
fn rank(item: &Item) -> (Option<SystemTime>, String) {
    (item.modified(), item.id())
}

fn open(server: &ServerKey, item: &Item) -> Result<Credential> {
    let broken = || Error::BadItem(format!("that of {server} is not a credential for it"));
    let login = Login::from_json(&item.secret()?).map_err(|_| broken())?;
    // Attributes can be rewritten without opening the secret.
    if login.server.parse::<ServerKey>().ok().as_ref() != Some(server) {
        return Err(broken());
    }
    Credential::new(login.username, login.secret).map_err(|_| broken())
}

fn name(item: &Item) -> Result<(ServerKey, Held)> {
    let Names { user, login } = item.names()?;
    let server: ServerKey = user.parse().map_err(|_| Error::BadItem("it is not named after a server".into()))?;
    let username = match login {
        Some(login) => login,
        // Keyrings that keep no login beside the secret must be asked for it.
        None => open(&server, item)?.username,
    };
    Ok((server, Held { username, since: item.modified() }))
}
