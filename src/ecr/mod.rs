//! Tokens for Amazon ECR: kept as long as they are good, minted when they are not.
//!
//! Shelves are passed in; nothing here depends on one being open. A shelf that is locked, broken or cannot be written
//! costs a call to AWS, never an error.

use std::time::{Duration, Instant, SystemTime};

use crate::credential::{Credential, Found};
use crate::deadline;
use crate::ecr_host::EcrHost;
use crate::error::{Error, Result};
use crate::file_name;
use crate::files::{self, Lock};
use crate::rule::Rule;
use crate::server::ServerKey;
use crate::settings::Settings;
use crate::store::Store;
use crate::trace;

mod fingerprint;
mod https;
mod mfa;
mod mint;
mod problem;
pub(crate) mod profiles;
pub(crate) mod sso;
pub(crate) mod token;
mod who;

pub use fingerprint::fingerprint;
pub use mint::{begin_session, check, mfa_device};
use token::{Label, Token};
pub use who::profile;

/// What a token is asked for, and where tokens and logins are kept.
pub struct Registry<'a> {
    /// The name under which clients ask.
    pub server: ServerKey,
    /// The ECR host behind it.
    pub host: EcrHost,
    /// The rule that matched, for who asks.
    pub rule: Option<&'a Rule>,
    /// Who asks, by [`fingerprint()`] of the rule.
    pub fingerprint: String,
    /// Tokens that were minted; `None` where none may be kept.
    pub tokens: Option<Box<dyn Store + 'a>>,
    /// What `docker login` stored.
    pub logins: Box<dyn Store + 'a>,
    /// Sessions that codes of MFA devices have begun.
    pub sessions: Box<dyn Store + 'a>,
}

impl Registry<'_> {
    /// A token: a kept one in the first half of its life, else a new one, else whatever is still valid.
    pub fn token(&self, settings: &Settings) -> Result<Found> {
        if let Some(kept) = self.fresh() {
            return Ok(kept.into());
        }
        let error = match self.new_token(settings) {
            Ok(token) => return Ok(token.into()),
            Err(error) => error,
        };
        match self.kept(|label| label.is_valid(SystemTime::now())).or_else(|| self.pasted()) {
            Some(token) => Ok(Found { warning: Some(error), ..token.into() }),
            None => Err(error),
        }
    }

    /// Of several processes that need a new token, one asks AWS, and the others take what it kept.
    fn new_token(&self, settings: &Settings) -> Result<Token> {
        let started = Instant::now();
        let _turn = self.turn(settings)?;
        if let Some(kept) = self.fresh() {
            return Ok(kept);
        }
        self.mint(settings.ecr.timeout.saturating_sub(started.elapsed()))
    }

    /// Asks AWS, whatever is kept, and keeps the answer.
    pub fn renew(&self, settings: &Settings) -> Result<()> {
        self.mint(settings.ecr.timeout).map(drop)
    }

    fn mint(&self, limit: Duration) -> Result<Token> {
        let token = mint::mint(&self.host, self.rule, &*self.sessions, limit)?;
        self.keep(&token);
        Ok(token)
    }

    /// Until when the kept token would be answered instead of nothing; `None` without one for who would ask now.
    pub fn kept_until(&self) -> Option<SystemTime> {
        let label = label(&self.tokens.as_ref()?.find(&self.server).ok()??.username)?;
        let answers = label.is_valid(SystemTime::now()) && label.fingerprint == self.fingerprint;
        answers.then_some(label.expires)
    }

    /// The kept token, in the first half of its life.
    fn fresh(&self) -> Option<Token> {
        self.kept(|label| label.is_fresh(SystemTime::now()))
    }

    /// The kept token, if its label is as wanted, and of who would ask now. Only then is it opened.
    fn kept(&self, wanted: impl Fn(&Label) -> bool) -> Option<Token> {
        let wanted = |label: &Label| label.fingerprint == self.fingerprint && wanted(label);
        let tokens = self.tokens.as_ref()?;
        label(&tokens.find(&self.server).ok()??.username).filter(&wanted)?;
        let kept = tokens.get(&self.server);
        let mut credential = kept.inspect_err(|error| trace::debug(|| format!("the kept token: {error}"))).ok()??;
        // Another may have taken its place meanwhile.
        let label = label(&credential.username).filter(&wanted)?;
        credential.username = "AWS".into();
        Some(Token { credential, expires: Some(label.expires) })
    }

    /// The right to ask AWS for this registry; `None` where nothing can be kept, so that waiting would not help.
    fn turn(&self, settings: &Settings) -> Result<Option<Lock>> {
        if self.tokens.is_none() {
            return Ok(None);
        }
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

    /// Keeps a token, unless it arrived expired, and sweeps out those that have expired meanwhile.
    fn keep(&self, token: &Token) {
        let now = SystemTime::now();
        let Some(tokens) = &self.tokens else { return };
        let Some(expires) = token.expires.filter(|expires| now < *expires) else { return };
        let label = Label { minted: now, expires, fingerprint: self.fingerprint.clone() };
        let labelled = Credential { username: label.to_string(), secret: token.credential.secret.clone() };
        let kept = tokens.put(&self.server, &labelled).and_then(|()| prune(&**tokens, now));
        if let Err(error) = kept {
            trace::debug(|| format!("the token is not kept: {error}"));
        }
    }

    /// What `docker login` stored, while it is valid.
    fn pasted(&self) -> Option<Token> {
        // A file from the future says nothing of when it was stored.
        let since = self.logins.find(&self.server).ok()??.since?.min(SystemTime::now());
        let credential = self.logins.get(&self.server).ok()??;
        let expires = token::pasted_expiry(&credential, since);
        (SystemTime::now() < expires).then_some(Token { credential, expires: Some(expires) })
    }
}

/// The servers that have a token which is still valid. A shelf that cannot be read has none.
pub fn with_token(tokens: &dyn Store) -> Vec<ServerKey> {
    let now = SystemTime::now();
    let held = tokens.list().unwrap_or_default().held;
    let valid = held.into_iter().filter(|(_, held)| token::is_valid(&held.username, now));
    valid.map(|(server, _)| server).collect()
}

/// Whether tokens may be kept. `AWS_ECR_DISABLE_CACHE` is docker-credential-ecr-login's, with any value.
pub fn may_keep(settings: &Settings) -> bool {
    settings.ecr.cache && std::env::var_os("AWS_ECR_DISABLE_CACHE").is_none()
}

/// Whether a token that was pasted says itself that it is still good at a moment.
pub fn is_valid(pasted: &Credential, now: SystemTime) -> bool {
    // One that does not say so counts from when it was stored, which nobody knows.
    now < token::pasted_expiry(pasted, SystemTime::UNIX_EPOCH)
}

fn label(text: &str) -> Option<Label> {
    text.parse().ok()
}

/// Removes tokens that no registry takes any more.
fn prune(tokens: &dyn Store, now: SystemTime) -> Result<()> {
    for (server, held) in tokens.list()?.held {
        if !token::is_valid(&held.username, now) {
            tokens.remove(&server)?;
        }
    }
    Ok(())
}
