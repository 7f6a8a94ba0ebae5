//! Tokens for Amazon ECR: kept as long as they are good, minted when they are not.
//!
//! Shelves are passed in; nothing here depends on one being open. A shelf that is locked, broken or cannot be written
//! costs a call to AWS, never an error.

use std::time::{Instant, SystemTime};

use crate::credential::Credential;
use crate::deadline;
use crate::ecr_host::EcrHost;
use crate::error::{Error, Result};
use crate::file_name;
use crate::files::{self, Lock};
use crate::server::ServerKey;
use crate::settings::{Rule, Settings};
use crate::store::Store;
use crate::trace;

mod fingerprint;
mod https;
mod mint;
mod problem;
mod token;
mod who;

use token::{Label, Token};

/// What a token is asked for, and where tokens and logins are kept.
pub struct Registry<'a> {
    /// The name under which clients ask.
    pub server: &'a ServerKey,
    /// The ECR host behind it.
    pub host: &'a EcrHost,
    /// The rule that matched, for who asks.
    pub rule: Option<&'a Rule>,
    /// Tokens that were minted.
    pub tokens: &'a dyn Store,
    /// What `docker login` stored.
    pub logins: &'a dyn Store,
}

/// A credential, and what a person should know of it.
pub struct Answer {
    /// User `AWS` and the password.
    pub credential: Credential,
    /// Why it is not a fresh one.
    pub warning: Option<Error>,
}

impl Registry<'_> {
    /// A token: a kept one in the first half of its life, else a new one, else whatever is still valid.
    ///
    /// Of several processes that need a new one, one asks AWS, and the others take what it kept.
    pub fn token(&self, settings: &Settings) -> Result<Answer> {
        let fingerprint = fingerprint::fingerprint(self.rule);
        let may_keep = may_keep(settings);
        let started = Instant::now();
        let fresh = |label: &Label| label.fingerprint == fingerprint && label.is_fresh(SystemTime::now());
        if may_keep && let Some(credential) = self.kept(fresh) {
            return Ok(Answer { credential, warning: None });
        }
        let turn = if may_keep { self.turn(settings)? } else { None };
        if turn.is_some()
            && let Some(credential) = self.kept(fresh)
        {
            return Ok(Answer { credential, warning: None });
        }
        let limit = settings.ecr.timeout.saturating_sub(started.elapsed());
        match mint::mint(self.host, self.rule, limit) {
            Ok(token) => {
                if may_keep {
                    self.keep(&token, fingerprint);
                }
                Ok(Answer { credential: token.credential, warning: None })
            }
            Err(error) => {
                let valid = |label: &Label| label.fingerprint == fingerprint && label.is_valid(SystemTime::now());
                let kept = if may_keep { self.kept(valid) } else { None };
                match kept.or_else(|| self.pasted()) {
                    Some(credential) => Ok(Answer { credential, warning: Some(error) }),
                    None => Err(error),
                }
            }
        }
    }

    /// Until when the kept token would be answered instead of nothing; `None` without one for who would ask now.
    pub fn kept_until(&self) -> Option<SystemTime> {
        let label = label(&self.tokens.find(self.server).ok()??.username)?;
        let answers = label.is_valid(SystemTime::now()) && label.fingerprint == fingerprint::fingerprint(self.rule);
        answers.then_some(label.expires)
    }

    /// The kept token, if its label is as wanted. Only then is it opened.
    fn kept(&self, wanted: impl Fn(&Label) -> bool) -> Option<Credential> {
        let held = self.tokens.find(self.server).ok()??;
        label(&held.username).filter(&wanted)?;
        let kept = self.tokens.get(self.server);
        let mut credential = kept.inspect_err(|error| trace::debug(|| format!("the kept token: {error}"))).ok()??;
        // Another may have taken its place meanwhile.
        label(&credential.username).filter(&wanted)?;
        credential.username = "AWS".into();
        Some(credential)
    }

    /// The right to ask AWS for this registry; `None` where nothing can be written, so that nobody waits.
    fn turn(&self, settings: &Settings) -> Result<Option<Lock>> {
        deadline::waiting_for("another process that asks AWS");
        let directory = settings.directory.join("ecr");
        if files::create_directory(&directory).is_err() {
            return Ok(None);
        }
        let path = directory.join(file_name::encode(self.server.name()) + ".lock");
        match Lock::acquire(path, settings.ecr.timeout) {
            Err(Error::Busy(_)) => Err(Error::Mint {
                host: self.host.host.clone(),
                problem: "another process is asking AWS and gets no answer".into(),
                cure: "see what that process says; [ecr] timeout sets how long to wait".into(),
            }),
            turn => Ok(turn.ok()),
        }
    }

    fn keep(&self, token: &Token, fingerprint: String) {
        let now = SystemTime::now();
        let Some(expires) = token.expires.filter(|expires| now < *expires) else { return };
        let label = Label { minted: now, expires, fingerprint };
        let labelled = Credential { username: label.to_string(), secret: token.credential.secret.clone() };
        let kept = self.tokens.put(self.server, &labelled).and_then(|()| prune(self.tokens, now));
        if let Err(error) = kept {
            trace::debug(|| format!("the token is not kept: {error}"));
        }
    }

    /// What `docker login` stored, while it is valid.
    fn pasted(&self) -> Option<Credential> {
        let since = self.logins.find(self.server).ok()??.since?;
        let credential = self.logins.get(self.server).ok()??;
        (SystemTime::now() < token::pasted_expiry(&credential, since)).then_some(credential)
    }
}

/// The servers that have a token which is still valid.
pub fn with_token(tokens: &dyn Store) -> Result<Vec<ServerKey>> {
    let now = SystemTime::now();
    let held = tokens.list()?.held;
    let valid = held.into_iter().filter(|(_, held)| label(&held.username).is_some_and(|label| label.is_valid(now)));
    Ok(valid.map(|(server, _)| server).collect())
}

/// `AWS_ECR_DISABLE_CACHE` is docker-credential-ecr-login's, with any value.
fn may_keep(settings: &Settings) -> bool {
    settings.ecr.cache && std::env::var_os("AWS_ECR_DISABLE_CACHE").is_none()
}

fn label(text: &str) -> Option<Label> {
    text.parse().ok()
}

/// Removes tokens that no registry takes any more.
fn prune(tokens: &dyn Store, now: SystemTime) -> Result<()> {
    for (server, held) in tokens.list()?.held {
        if !label(&held.username).is_some_and(|label| label.is_valid(now)) {
            tokens.remove(&server)?;
        }
    }
    Ok(())
}
