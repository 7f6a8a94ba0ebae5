//! Which login gets a server's place in the store. There is one place a server; who comes first gets it, and what the store
//! holds already came before all.

use std::collections::HashMap;

use crate::credential::Credential;
use crate::error::Result;
use crate::server::ServerKey;
use crate::store::{Listing, Store};

/// The places of a store, and those that a migration is about to fill.
pub struct Claims<'a> {
    store: Box<dyn Store + 'a>,
    held: Listing,
    taken: HashMap<ServerKey, (Credential, Claimant)>,
    /// What is to be put into the store, in the order in which it was claimed.
    pub granted: Vec<(ServerKey, Credential)>,
    /// Whose login the store holds already.
    pub held_already: Vec<ServerKey>,
}

/// Whose login it is: the number of a file, or `None` for the store's own and other helpers'.
pub type Claimant = Option<usize>;

/// What became of a claim.
#[derive(Debug, PartialEq, Eq)]
pub enum Claim {
    /// The place was free, and is taken now.
    Granted,
    /// The same login has it.
    Same,
    /// Another login has it: its user, and who brought it.
    Taken(String, Claimant),
}

impl<'a> Claims<'a> {
    /// The places as the store holds them now.
    pub fn new(store: Box<dyn Store + 'a>) -> Result<Self> {
        let held = store.list()?;
        Ok(Self { store, held, taken: HashMap::new(), granted: Vec::new(), held_already: Vec::new() })
    }

    /// Claims a server's place. Fails if the store holds something for it that it cannot open.
    pub fn claim(&mut self, server: &ServerKey, credential: &Credential, claimant: Claimant) -> Result<Claim> {
        if !self.taken.contains_key(server)
            && self.held.held.contains_key(server)
            && let Some(kept) = self.store.get(server)?
        {
            self.taken.insert(server.clone(), (kept, None));
        }
        match self.taken.get(server) {
            Some((kept, by)) if kept.is_same(credential) => {
                if by.is_none() {
                    self.held_already.push(server.clone());
                }
                Ok(Claim::Same)
            }
            Some((kept, by)) => Ok(Claim::Taken(kept.username.clone(), *by)),
            None => {
                self.taken.insert(server.clone(), (credential.clone(), claimant));
                self.granted.push((server.clone(), credential.clone()));
                Ok(Claim::Granted)
            }
        }
    }

    /// Whether anything has a server's place.
    pub fn is_taken(&self, server: &ServerKey) -> bool {
        self.taken.contains_key(server) || self.held.held.contains_key(server)
    }
}
