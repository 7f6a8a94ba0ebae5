//! Several requests, one after the other, to one store that begins empty, and a map that says what each must answer.

#![no_main]

use std::cell::OnceCell;
use std::collections::BTreeMap;

use coffer::credential::{Credential, Login};
use coffer::ecr_host::EcrHost;
use coffer::error::Error;
use coffer::protocol::{Action, Request};
use coffer::server::ServerKey;
use coffer_fuzz::check_error;
use coffer_fuzz::world::World;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use secrecy::{ExposeSecret, SecretString};

/// One request. Servers come from a short list, so that they meet, or are any text.
#[derive(Debug, Arbitrary)]
struct Call<'a> {
    action: u8,
    server: u8,
    any: &'a str,
    username: &'a str,
    secret: &'a str,
}

const SERVERS: [&str; 8] = [
    "ghcr.io",
    "https://ghcr.io/v2/",
    "http://ghcr.io",
    "ghcr.io/org",
    "GHCR.IO:443/org/app",
    "docker.io",
    "https://index.docker.io/v1/",
    "https://index.docker.io/v1/access-token",
];

thread_local! {
    static WORLD: OnceCell<World> = const { OnceCell::new() };
}

fuzz_target!(|calls: Vec<Call>| {
    WORLD.with(|world| {
        let world = world.get_or_init(World::new);
        world.clear();
        let mut model = BTreeMap::new();
        for call in calls.into_iter().take(12) {
            let server = SERVERS.get(usize::from(call.server)).copied().unwrap_or(call.any);
            if asks_aws(server) {
                continue;
            }
            match call.action % 4 {
                0 => get(world, &model, server),
                1 => store(world, &mut model, server, &call),
                2 => erase(world, &mut model, server),
                _ => list(world, &model),
            }
        }
        // The key, the recipients, the lock, and one file a credential.
        assert!(world.files() <= model.len() + 3, "something is left over");
    });
});

type Model = BTreeMap<ServerKey, Credential>;

/// Sends a request as a client does, and gives the answer.
fn send(world: &World, action: Action, input: &[u8]) -> Result<Vec<u8>, Error> {
    let request = Request::read(action, &mut &*input)?;
    // It names no registry of ECR.
    let answer = request.answer(|| Ok(world.settings()))?;
    assert!(answer.warnings.is_empty(), "{:?}", answer.warnings);
    Ok(answer.output.to_vec())
}

fn get(world: &World, model: &Model, server: &str) {
    let answer = send(world, Action::Get, server.as_bytes());
    let Ok(key) = server.parse::<ServerKey>() else { return check_error(&answer.unwrap_err()) };
    match key.candidates().iter().find_map(|candidate| model.get(candidate)) {
        Some(credential) => {
            let login = Login::from_json(&answer.unwrap()).unwrap();
            assert_eq!((login.server.as_str(), &login.username), (server.trim(), &credential.username));
            assert_eq!(login.secret.expose_secret(), credential.secret.expose_secret());
        }
        None => assert!(matches!(answer, Err(Error::NotFound)), "{server:?} is no miss"),
    }
}

fn store(world: &World, model: &mut Model, server: &str, call: &Call) {
    let credential = Credential { username: call.username.into(), secret: SecretString::from(call.secret) };
    let answer = send(world, Action::Store, &Login::to_json(server, &credential));
    let is_good = Credential::new(credential.username.clone(), credential.secret.clone()).is_ok();
    match server.parse::<ServerKey>() {
        Ok(key) if is_good => {
            assert_eq!(answer.unwrap(), b"");
            model.insert(key, credential);
        }
        _ => check_error(&answer.unwrap_err()),
    }
}

fn erase(world: &World, model: &mut Model, server: &str) {
    let answer = send(world, Action::Erase, server.as_bytes());
    match server.parse::<ServerKey>() {
        Ok(key) => {
            assert_eq!(answer.unwrap(), b"");
            model.remove(&key);
        }
        Err(_) => check_error(&answer.unwrap_err()),
    }
}

fn list(world: &World, model: &Model) {
    let answer = send(world, Action::List, b"").unwrap();
    let listed: BTreeMap<String, String> = serde_json::from_slice(&answer).unwrap();
    let registries = model.iter().filter(|(key, _)| key.is_registry());
    let expected: BTreeMap<String, String> =
        registries.map(|(key, credential)| (key.name().to_owned(), credential.username.clone())).collect();
    assert_eq!(listed, expected);
}

fn asks_aws(server: &str) -> bool {
    let key = server.parse::<ServerKey>().ok();
    key.is_some_and(|key| key.registry().is_some_and(|registry| registry.parse::<EcrHost>().is_ok()))
}
