//! Whom each client asks for a registry, as its files say.

use crate::auth_files::registries_conf::{self, AUTH_FILES, DefaultHelpers};
use crate::auth_files::{self, AuthFile, Client, Content, Location, locations};
use crate::error::{Error, Result};
use crate::migration::NAME;
use crate::server::ServerKey;

/// The clients that know a `credsStore`.
const WITH_STORE: [(Client, &str); 3] =
    [(Client::Docker, "docker"), (Client::Buildx, "buildx"), (Client::Helm, "helm")];

/// Those that know helpers of single registries alone.
const WITHOUT: (Client, &str) = (Client::Containers, "podman, like skopeo and buildah,");

/// One line for each client that has something to say, Docker's always among them.
pub fn lines(server: &ServerKey) -> Vec<String> {
    let (files, mut lines) = files();
    if auth_files::environment().iter().any(|finding| is_for(server, &finding.key)) {
        lines.push(format!("docker takes what {} says, and asks nobody", auth_files::ENVIRONMENT));
    }
    for (client, name) in WITH_STORE {
        let of_client = files.iter().filter(|file| file.location.client == client);
        lines.extend(of_client.map(|file| format!("{name} {} ({})", asks(file, server), file.location.path.display())));
    }
    lines.extend(containers(&files, server));
    lines
}

/// podman and its kin go through their default helpers, or without any through their own files.
fn containers(files: &[AuthFile], server: &ServerKey) -> Option<String> {
    let Some(DefaultHelpers { names, path }) = registries_conf::default_helpers() else {
        return containers_files(files, server);
    };
    names.iter().find_map(|name| match name.as_str() {
        AUTH_FILES => containers_files(files, server),
        name => Some(format!("{} {} ({})", WITHOUT.1, asks_helper(Some(name)), path.display())),
    })
}

/// They take the first of their files that says anything of the registry.
fn containers_files(files: &[AuthFile], server: &ServerKey) -> Option<String> {
    let mut read: Vec<_> = files.iter().filter(|file| file.location.for_containers).collect();
    // Docker's own comes last.
    read.sort_by_key(|file| file.location.client == Client::Docker);
    // `docker.io` is the Hub to them, and they know no `credsStore`, in Docker's file neither.
    let helper = |file| helper(file, server.registry()?);
    let told = read.into_iter().find(|file| helper(file).is_some() || holds(file, server))?;
    Some(format!("{} {} ({})", WITHOUT.1, asks_helper(helper(told)), told.location.path.display()))
}

fn asks(file: &AuthFile, server: &ServerKey) -> String {
    match helper(file, server.whole_registry().name()).or_else(|| file.creds_store()) {
        None if !holds(file, server) => "asks nobody".into(),
        helper => asks_helper(helper),
    }
}

fn asks_helper(helper: Option<&str>) -> String {
    match helper {
        Some("") | None => "reads the login in plaintext".into(),
        Some(NAME) => "asks Coffer".into(),
        Some(other) => format!("asks docker-credential-{other}, not Coffer"),
    }
}

/// The helper of a registry. Clients compare letter by letter: to Docker, `docker.io` is not the Hub's name there.
fn helper<'a>(file: &'a AuthFile, registry: &str) -> Option<&'a str> {
    file.helpers().into_iter().find(|(named, _)| *named == registry).map(|(_, helper)| helper)
}

fn holds(file: &AuthFile, server: &ServerKey) -> bool {
    file.findings().iter().any(|finding| matches!(finding.content, Content::Login(..)) && is_for(server, &finding.key))
}

/// Whether an entry is for a server's registry.
fn is_for(server: &ServerKey, entry: &str) -> bool {
    entry.parse::<ServerKey>().is_ok_and(|entry| entry.registry().is_some() && entry.registry() == server.registry())
}

/// The files that can be read, and a line for each that cannot: its client has the same trouble.
fn files() -> (Vec<AuthFile>, Vec<String>) {
    // Without a home directory, Docker's file may still be named.
    let locations = locations::all().or_else(|_| Ok::<_, Error>(vec![Location::docker()?])).unwrap_or_default();
    let (mut files, mut lines) = (Vec::new(), Vec::new());
    for location in locations {
        let mut all = WITH_STORE.iter().chain([&WITHOUT]);
        let Some((_, name)) = all.find(|(client, _)| *client == location.client) else { continue };
        match read(location) {
            Ok(file) => files.extend(file),
            Err(error) => lines.push(format!("{name} has a file that cannot be read: {error}")),
        }
    }
    (files, lines)
}

fn read(location: Location) -> Result<Option<AuthFile>> {
    match location.client {
        Client::Docker => AuthFile::docker(location).map(Some),
        _ => AuthFile::read(location),
    }
}
