//! Whom each client asks for a registry, as its files say.

use crate::auth_files::{self, AuthFile, Client, Content, Location, locations};
use crate::migration::NAME;
use crate::server::ServerKey;

/// One line for each client that has something to say, Docker's always among them.
pub fn lines(server: &ServerKey) -> Vec<String> {
    let files = files();
    let mut lines = Vec::new();
    if auth_files::environment().iter().any(|finding| is_for(server, &finding.key)) {
        lines.push(format!("docker takes what {} says, and asks nobody", auth_files::ENVIRONMENT));
    }
    for (client, name) in [(Client::Docker, "docker"), (Client::Buildx, "buildx"), (Client::Helm, "helm")] {
        let of_client = files.iter().filter(|file| file.location.client == client);
        lines.extend(of_client.map(|file| format!("{name} {} ({})", asks(file, server), file.location.path.display())));
    }
    lines.extend(containers(&files, server));
    lines
}

/// podman and its kin take the first of their files that says anything of the registry.
fn containers(files: &[AuthFile], server: &ServerKey) -> Option<String> {
    let mut read: Vec<_> = files.iter().filter(|file| file.location.for_containers).collect();
    // Docker's own comes last.
    read.sort_by_key(|file| file.location.client == Client::Docker);
    let told = read.into_iter().find(|file| helper(file, server).is_some() || holds(file, server))?;
    Some(format!(
        "podman, like skopeo and buildah, {} ({})",
        asks_by_registry(told, server),
        told.location.path.display()
    ))
}

fn asks(file: &AuthFile, server: &ServerKey) -> String {
    match helper(file, server).or_else(|| file.creds_store()) {
        Some(_) => asks_by_registry(file, server),
        None if holds(file, server) => "reads the login in plaintext".into(),
        None => "asks nobody".into(),
    }
}

fn asks_by_registry(file: &AuthFile, server: &ServerKey) -> String {
    match helper(file, server).or_else(|| file.creds_store().filter(|_| file.location.client != Client::Containers)) {
        Some("") | None => "reads the login in plaintext".into(),
        Some(NAME) => "asks Coffer".into(),
        Some(other) => format!("asks docker-credential-{other}, not Coffer"),
    }
}

fn helper<'a>(file: &'a AuthFile, server: &ServerKey) -> Option<&'a str> {
    file.helpers().into_iter().find(|(registry, _)| is_for(server, registry)).map(|(_, helper)| helper)
}

fn holds(file: &AuthFile, server: &ServerKey) -> bool {
    file.findings().iter().any(|finding| matches!(finding.content, Content::Login(..)) && is_for(server, &finding.key))
}

/// Whether an entry is for a server's registry.
fn is_for(server: &ServerKey, entry: &str) -> bool {
    entry.parse::<ServerKey>().is_ok_and(|entry| entry.registry().is_some() && entry.registry() == server.registry())
}

fn files() -> Vec<AuthFile> {
    let locations = locations::all().unwrap_or_default().into_iter();
    let read = |location: Location| match location.client {
        Client::Docker => AuthFile::docker(location).ok(),
        _ => AuthFile::read(location).ok()?,
    };
    locations.filter_map(read).collect()
}
