//! Which source answers for a server: the one place where that is decided.
//!
//! The first `[[registry]]` rule that matches decides; without one, a host of ECR is minted for, and
//! everything else is in the store.

use std::collections::BTreeMap;

use crate::credential::{Credential, Found};
use crate::ecr::{self, Registry};
use crate::ecr_host::EcrHost;
use crate::error::{Error, Result};
use crate::helper;
use crate::rule::{Anonymous, HelperName, Rule};
use crate::server::ServerKey;
use crate::settings::{Settings, StoreKind};
use crate::store::age_dir::AgeDir;
use crate::store::keyring::Keyring;
use crate::store::{Listing, Shelf, Store};
use crate::trace;

/// How a request for a server is answered.
#[derive(Debug)]
pub struct Route<'a> {
    /// The rule that decided.
    pub rule: Option<&'a Rule>,
    /// Which rule it is, counted from 1.
    pub number: Option<usize>,
    /// Who answers.
    pub source: Source<'a>,
}

/// Who answers.
#[derive(Debug)]
pub enum Source<'a> {
    /// What was stored.
    Store,
    /// A token minted for this host.
    Ecr(EcrHost),
    /// Another helper.
    Helper(&'a HelperName),
    /// Nobody: there is no credential.
    Anonymous(Anonymous),
}

/// The route for a server.
pub fn route<'a>(settings: &'a Settings, server: &ServerKey) -> Route<'a> {
    let registry = server.registry();
    let numbered = (1..).zip(&settings.rules);
    let found = registry.and_then(|registry| numbered.into_iter().find(|(_, rule)| rule.pattern.matches(registry)));
    let (number, rule) = found.unzip();
    let source = match rule {
        Some(Rule { helper: Some(name), .. }) => Source::Helper(name),
        Some(Rule { anonymous: Some(answer), .. }) => Source::Anonymous(*answer),
        // A token must not travel over plain HTTP.
        _ if server.is_http() => Source::Store,
        Some(Rule { ecr: Some(host), .. }) => Source::Ecr(host.clone()),
        _ => registry.and_then(|registry| registry.parse().ok()).map_or(Source::Store, Source::Ecr),
    };
    trace::debug(|| format!("{server}: rule {number:?}, source {source:?}"));
    Route { rule, number, source }
}

/// The store of logins.
pub fn store(settings: &Settings) -> Box<dyn Store + '_> {
    open(settings, Shelf::Logins, settings.may_prompt)
}

/// The store of tokens for ECR. Never prompts: a token is sooner minted than a keyring unlocked.
fn tokens(settings: &Settings) -> Box<dyn Store + '_> {
    open(settings, Shelf::EcrTokens, false)
}

/// The store of AWS sessions that codes of MFA devices have begun.
pub fn aws_sessions(settings: &Settings) -> Box<dyn Store + '_> {
    open(settings, Shelf::AwsSessions, settings.may_prompt)
}

fn open(settings: &Settings, shelf: Shelf, may_prompt: bool) -> Box<dyn Store + '_> {
    match settings.store {
        StoreKind::Age => Box::new(AgeDir::new(settings, shelf)),
        StoreKind::Keyring => Box::new(Keyring::new(shelf, may_prompt)),
    }
}

/// The credential for a server, in the client's own spelling; `None` if there is none.
pub fn get(settings: &Settings, request: &str) -> Result<Option<Found>> {
    let server: ServerKey = request.parse()?;
    let route = route(settings, &server);
    match route.source {
        Source::Store => Ok(stored(&*store(settings), &server)?.map(Found::from)),
        Source::Ecr(host) => minted(settings, &ecr_registry(settings, &server, host, route.rule)),
        Source::Helper(name) => Ok(helper::get(name, request)?.map(Found::from)),
        Source::Anonymous(Anonymous::Miss) => Ok(None),
        Source::Anonymous(Anonymous::Empty) => Ok(Some(Credential::empty().into())),
    }
}

/// What is held for the server, or for the nearest of its parents.
fn stored(store: &dyn Store, server: &ServerKey) -> Result<Option<Credential>> {
    for candidate in server.candidates() {
        if let Some(credential) = store.get(&candidate)? {
            return Ok(Some(credential));
        }
    }
    Ok(None)
}

fn minted(settings: &Settings, registry: &Registry) -> Result<Option<Found>> {
    match registry.token(settings) {
        Ok(found) => Ok(Some(found)),
        // What is public can be pulled without a token, and must not fail for want of one.
        Err(error) if registry.host.is_public() => {
            trace::debug(|| format!("no token for {}: {error}", registry.host.host));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// A host of ECR with its shelves. One token serves the whole registry, however it was asked for.
pub fn ecr_registry<'a>(
    settings: &'a Settings,
    server: &ServerKey,
    host: EcrHost,
    rule: Option<&'a Rule>,
) -> Registry<'a> {
    Registry {
        server: server.whole_registry(),
        host,
        rule,
        fingerprint: ecr::fingerprint(rule),
        tokens: ecr::may_keep(settings).then(|| tokens(settings)),
        logins: store(settings),
        sessions: aws_sessions(settings),
    }
}

/// Keeps a credential for a server.
pub fn put(settings: &Settings, request: &str, credential: &Credential) -> Result<()> {
    let server: ServerKey = request.parse()?;
    let route = route(settings, &server);
    match route.source {
        Source::Store => store(settings).put(&server, credential),
        // A fallback for when minting fails, such as on a machine without AWS credentials.
        Source::Ecr(_) => store(settings).put(&server.whole_registry(), credential),
        Source::Helper(name) => helper::store(name, request, credential),
        Source::Anonymous(_) => Err(Error::Anonymous {
            registry: server.registry().unwrap_or_default().into(),
            rule: route.number.unwrap_or_default(),
            config: settings.config.clone(),
        }),
    }
}

/// Forgets what is held for a server. Nothing held is no failure.
pub fn erase(settings: &Settings, request: &str) -> Result<()> {
    let server: ServerKey = request.parse()?;
    match route(settings, &server).source {
        Source::Store => store(settings).remove(&server).map(drop),
        Source::Ecr(_) => {
            let whole = server.whole_registry();
            // Waits for other writers, which the keeping of a token does not: a logout must not fail for them.
            match settings.store {
                StoreKind::Age => AgeDir::new(settings, Shelf::EcrTokens).patient().remove(&whole)?,
                StoreKind::Keyring => tokens(settings).remove(&whole)?,
            };
            store(settings).remove(&whole).map(drop)
        }
        Source::Helper(name) => helper::erase(name, request),
        Source::Anonymous(_) => Ok(()),
    }
}

/// Server to username, of the registries that a `get` would answer without asking anybody: from the store, and of ECR
/// those with a token that is still valid; and what was left out because it could not be named.
///
/// Keys with a path, opaque ones and plain HTTP are left out: clients strip path and scheme, and would send
/// one namespace's credential, or the Hub's refresh token, to the whole host.
pub fn list(settings: &Settings) -> Result<(BTreeMap<String, String>, Vec<Error>)> {
    let Listing { held, broken } = store(settings).list()?;
    let is_source = |server: &ServerKey, wanted: fn(&Source) -> bool| wanted(&route(settings, server).source);
    let from_store = held
        .into_iter()
        .filter(|(server, _)| server.is_registry() && is_source(server, |source| matches!(source, Source::Store)))
        .map(|(server, held)| (server, held.username));
    let kept = if ecr::may_keep(settings) { ecr::with_token(&*tokens(settings)) } else { Vec::new() };
    let from_ecr = kept
        .into_iter()
        .filter(|server| is_source(server, |source| matches!(source, Source::Ecr(_))))
        .map(|server| (server, "AWS".into()));
    let listed = from_store.chain(from_ecr).map(|(server, username)| (server.name().to_owned(), username));
    Ok((listed.collect(), broken))
}
