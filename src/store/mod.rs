//! Where credentials are kept: the one joint between those who ask and those who keep.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::credential::Credential;
use crate::error::{Error, Result};
use crate::server::ServerKey;

pub mod age_dir;
mod age_file;
pub mod keyring;
pub mod layout;
pub mod rekey;

/// What a store is for. Each kind has a place of its own, where one cannot be taken for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shelf {
    /// Logins, by server and username.
    Logins,
    /// Tokens for ECR; in the username's place stands what must be known of one before it is opened.
    EcrTokens,
    /// AWS sessions, by MFA device; labelled as tokens are.
    AwsSessions,
}

/// Where credentials are kept. One credential a server.
pub trait Store {
    /// `Ok(None)`: nothing held. An error: the store could not tell, or could not open what it holds.
    fn get(&self, server: &ServerKey) -> Result<Option<Credential>>;
    /// What is held, by name. Opens no secret and never prompts.
    fn find(&self, server: &ServerKey) -> Result<Option<Held>>;
    /// Replaces what was held, under whatever username.
    fn put(&self, server: &ServerKey, credential: &Credential) -> Result<()>;
    /// Puts all of these, each as [`Store::put`] does; when it returns, all are kept.
    fn put_all(&self, credentials: &[(ServerKey, Credential)]) -> Result<()> {
        credentials.iter().try_for_each(|(server, credential)| self.put(server, credential))
    }
    /// Waits until what is held for these servers outlasts a crash: whoever put it there may have been killed before.
    fn settle(&self, _servers: &[ServerKey]) -> Result<()> {
        Ok(())
    }
    /// Whether there was anything to remove.
    fn remove(&self, server: &ServerKey) -> Result<bool>;
    /// Everything that is held, by name. Opens no secret and never prompts.
    fn list(&self) -> Result<Listing>;
}

/// What a store holds, and what it holds but cannot name.
#[derive(Debug, Default)]
pub struct Listing {
    /// What is held, by server.
    pub held: BTreeMap<ServerKey, Held>,
    /// One error for each entry that had to be left out.
    pub broken: Vec<Error>,
}

/// What can be said of a credential without opening it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The user.
    pub username: String,
    /// When it was stored, where that is known.
    pub since: Option<SystemTime>,
}
