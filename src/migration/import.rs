//! What another helper holds, through its own `list` and `get`.
//!
//! Nothing is erased there. A helper that is missing, hangs, lies or half fails costs only what it did not give.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::credential::Credential;
use crate::error::{Error, Result};
use crate::helper;
use crate::routes::{self, Source};
use crate::rule::HelperName;
use crate::server::ServerKey;
use crate::settings::Settings;

/// What docker-credential-secretservice, since 0.9.0, puts before the server it lists (docker-credential-helpers, the item's
/// label instead of its attribute).
const LABEL: &str = "Registry credentials for ";

/// How often a helper may let its time run out before it is not asked again.
const MAX_HANGS: usize = 3;

/// What one helper gave.
pub struct Import {
    /// Who.
    pub helper: HelperName,
    /// Whether some client asks it today.
    pub is_live: bool,
    /// What it gave, by its own spelling of the server.
    pub logins: Vec<(String, Credential)>,
    /// What it should have given, and why it did not. Without a server: its list.
    pub failures: Vec<(Option<String>, Error)>,
}

impl Import {
    /// Asks a helper for everything that it lists, and for the servers that the files name whose clients ask it.
    pub fn ask(settings: &Settings, helper: HelperName, named: Option<Vec<String>>) -> Self {
        let mut import = Self { helper, is_live: named.is_some(), logins: Vec::new(), failures: Vec::new() };
        let listed = match helper::list(&import.helper) {
            Ok(listed) => listed,
            Err(error @ Error::NoHelper(_)) => {
                import.failures.push((None, error));
                return import;
            }
            Err(error) => {
                import.failures.push((None, error));
                Vec::new()
            }
        };
        let listed = listed.into_iter().map(|server| server.strip_prefix(LABEL).map_or(server.clone(), str::to_owned));
        let (listed, unnamable): (BTreeSet<String>, _) = listed.partition(|server| server.parse::<ServerKey>().is_ok());
        let tell = |server: String| server.parse::<ServerKey>().err().map(|error| (Some(server), error));
        import.failures.extend(unnamable.into_iter().filter_map(tell));
        let listed: BTreeSet<String> = listed.into_iter().filter(|server| is_wanted(settings, server)).collect();
        let mut servers = listed.clone();
        servers.extend(named.into_iter().flatten().filter(|server| is_wanted(settings, server)));
        let mut hangs = 0;
        for server in servers {
            if hangs == MAX_HANGS {
                let message = "it gave no answer too often, and was not asked".to_owned();
                let error = Error::Helper { name: import.helper.as_str().into(), message };
                import.failures.push((Some(server), error));
                continue;
            }
            let started = Instant::now();
            let is_listed = listed.contains(&server);
            import.take(server, is_listed);
            hangs += usize::from(started.elapsed() >= helper::LIMIT);
        }
        import
    }

    /// Whether it is there, and gave neither a list nor a login.
    pub fn is_silent(&self) -> bool {
        let lists_nothing =
            |(server, error): &(Option<String>, Error)| server.is_none() && !matches!(error, Error::NoHelper(_));
        self.logins.is_empty() && self.failures.iter().any(lists_nothing)
    }

    fn take(&mut self, server: String, is_listed: bool) {
        match helper::get(&self.helper, &server).and_then(checked) {
            Ok(Some(credential)) => self.logins.push((server, credential)),
            // docker-credential-secretservice says so of all that a locked keyring holds.
            Ok(None) if is_listed => {
                let message = "it lists this server, and gives nothing for it, as if a keyring were locked".to_owned();
                let error = Error::Helper { name: self.helper.as_str().into(), message };
                self.failures.push((Some(server), error));
            }
            // A marker of another helper's.
            Ok(None) => {}
            Err(error) => self.failures.push((Some(server), error)),
        }
    }
}

/// A credential that can be kept.
fn checked(found: Option<Credential>) -> Result<Option<Credential>> {
    found.map(|credential| Credential::new(credential.username, credential.secret)).transpose()
}

/// Whether a name is a server's that the store would answer for. Tokens for ECR are minted, not imported.
fn is_wanted(settings: &Settings, server: &str) -> bool {
    let key: Option<ServerKey> = server.parse().ok();
    key.is_some_and(|key| matches!(routes::route(settings, &key).source, Source::Store))
}
