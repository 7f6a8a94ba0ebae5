//! Which source answers for a server: the one place where that is decided.
//!
//! The first `[[registry]]` rule that matches decides; without one, a host of ECR is minted for, and
//! everything else is in the store.

use std::collections::BTreeMap;

use crate::credential::Credential;
use crate::ecr;
use crate::ecr_host::EcrHost;
use crate::error::{Error, Result};
use crate::helper;
use crate::server::ServerKey;
use crate::settings::{Anonymous, HelperName, Rule, Settings, StoreKind};
use crate::store::age_dir::AgeDir;
use crate::store::keyring::Keyring;
use crate::store::{Listing, Store};
use crate::trace;

/// How a request for a server is answered.
#[derive(Debug)]
pub struct Route<'a> {
    /// The rule that decided, and which it is, counted from 1.
    pub rule: Option<(usize, &'a Rule)>,
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
    let rule = registry.and_then(|registry| numbered.into_iter().find(|(_, rule)| rule.pattern.matches(registry)));
    let source = match rule {
        Some((_, Rule { helper: Some(name), .. })) => Source::Helper(name),
        Some((_, Rule { anonymous: Some(answer), .. })) => Source::Anonymous(*answer),
        // A token must not travel over plain HTTP.
        _ if server.is_http() => Source::Store,
        Some((_, Rule { ecr: Some(host), .. })) => Source::Ecr(host.clone()),
        _ => registry.and_then(|registry| registry.parse().ok()).map_or(Source::Store, Source::Ecr),
    };
    trace::debug(|| format!("{server}: rule {:?}, source {source:?}", rule.map(|(number, _)| number)));
    Route { rule, source }
}

/// The store that the settings name.
pub fn store(settings: &Settings) -> Box<dyn Store + '_> {
    match settings.store {
        StoreKind::Age => Box::new(AgeDir::new(settings)),
        StoreKind::Keyring => Box::new(Keyring { may_prompt: settings.may_prompt }),
    }
}

/// The credential for a server, in the client's own spelling; `None` if there is none.
pub fn get(settings: &Settings, request: &str) -> Result<Option<Credential>> {
    let server: ServerKey = request.parse()?;
    let route = route(settings, &server);
    match route.source {
        Source::Store => stored(&*store(settings), &server),
        Source::Ecr(host) => minted(settings, route.rule, &host),
        Source::Helper(name) => helper::get(name, request),
        Source::Anonymous(Anonymous::Miss) => Ok(None),
        Source::Anonymous(Anonymous::Empty) => Ok(Some(Credential::empty())),
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

fn minted(settings: &Settings, rule: Option<(usize, &Rule)>, host: &EcrHost) -> Result<Option<Credential>> {
    match ecr::mint(host, rule.map(|(_, rule)| rule), settings.ecr.timeout) {
        Ok(credential) => Ok(Some(credential)),
        // What is public can be pulled without a token, and must not fail for want of one.
        Err(error) if host.is_public() => {
            trace::debug(|| format!("no token for {}: {error}", host.host));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Keeps a credential for a server.
pub fn put(settings: &Settings, request: &str, credential: &Credential) -> Result<()> {
    let server: ServerKey = request.parse()?;
    let route = route(settings, &server);
    match (route.source, route.rule) {
        (Source::Store | Source::Ecr(_), _) => store(settings).put(&server, credential),
        (Source::Helper(name), _) => helper::store(name, request, credential),
        (Source::Anonymous(_), rule) => Err(Error::Anonymous {
            registry: server.registry().unwrap_or_default().into(),
            rule: rule.map_or(0, |(number, _)| number),
            config: settings.config.clone(),
        }),
    }
}

/// Forgets what is held for a server. Nothing held is no failure.
pub fn erase(settings: &Settings, request: &str) -> Result<()> {
    let server: ServerKey = request.parse()?;
    match route(settings, &server).source {
        Source::Store | Source::Ecr(_) => store(settings).remove(&server).map(drop),
        Source::Helper(name) => helper::erase(name, request),
        Source::Anonymous(_) => Ok(()),
    }
}

/// Server to username, of the registries that a `get` would answer from the store; and what was left out
/// because it could not be named.
///
/// Keys with a path, opaque ones and plain HTTP are left out: clients strip path and scheme, and would send
/// one namespace's credential, or the Hub's refresh token, to the whole host.
pub fn list(settings: &Settings) -> Result<(BTreeMap<String, String>, Vec<Error>)> {
    let Listing { held, broken } = store(settings).list()?;
    let listed = held
        .into_iter()
        .filter(|(server, _)| server.is_registry() && matches!(route(settings, server).source, Source::Store));
    Ok((listed.map(|(server, held)| (server.name().to_owned(), held.username)).collect(), broken))
}
