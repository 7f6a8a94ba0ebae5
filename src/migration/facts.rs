//! What a file says of its registries, as far as it bears on who may lose a login.

use std::collections::{HashMap, HashSet};

use crate::auth_files::{AuthFile, Client, Finding, Treatment};
use crate::credential::Credential;
use crate::server::{DOCKER_HUB, ServerKey};

/// Whether a file is read as Docker reads its own, `credsStore` and all.
pub fn is_like_docker(file: &AuthFile) -> bool {
    let is_kin = matches!(file.location.client, Client::Docker | Client::Buildx | Client::Helm);
    is_kin && file.location.leftover_of.is_none()
}

/// What is known of a file while its secrets are looked at.
pub struct Facts<'a> {
    /// Which of the files it is, for whoever claims a place.
    pub number: usize,
    /// The file.
    pub file: &'a AuthFile,
    /// The helper of each registry, by the registry's normal name.
    helpers: HashMap<String, String>,
    /// The registries of which podman finds a namespace's entry of its own.
    namespaced: HashSet<String>,
}

impl<'a> Facts<'a> {
    /// Reads them off a file.
    pub fn new(number: usize, file: &'a AuthFile) -> Self {
        let parsed = |key: &str| key.parse::<ServerKey>().ok();
        let registry = |key: &str| Some(parsed(key)?.registry()?.to_owned());
        let helpers = file.helpers().into_iter();
        let helpers = helpers.filter_map(|(key, helper)| Some((registry(key)?, helper.to_owned()))).collect();
        let of_namespace = |finding: Finding| {
            let server = parsed(&finding.key)?;
            let is_part = !server.is_registry() && !server.is_http() && !finding.key.contains("://");
            server.registry().filter(|_| is_part).map(str::to_owned)
        };
        let mut namespaced: HashSet<String> = HashSet::new();
        if file.location.for_containers {
            namespaced.extend(file.findings().into_iter().filter_map(of_namespace));
        }
        if file.location.client != Client::Containers && !namespaced.is_empty() {
            // Docker serves the whole host with any of them. So does the store, if they are all the same.
            let mut first: HashMap<String, Credential> = HashMap::new();
            let mut differing = HashSet::new();
            for finding in file.findings() {
                let Some(host) = registry(&finding.key) else { continue };
                let Some(login) = finding.into_login() else { continue };
                if !first.entry(host.clone()).or_insert_with(|| login.clone()).is_same(&login) {
                    differing.insert(host);
                }
            }
            namespaced.retain(|host| differing.contains(host));
        }
        Self { number, file, helpers, namespaced }
    }

    /// Whether a namespace of this registry has a login of its own that the move would take from podman.
    pub fn is_namespaced(&self, server: &ServerKey) -> bool {
        server.registry().is_some_and(|registry| self.namespaced.contains(registry))
    }

    /// The helper that the file names for a server's registry. An empty one is none, not even the store.
    pub fn helper(&self, server: &ServerKey) -> Option<&str> {
        self.helpers.get(server.registry()?).map(String::as_str)
    }

    /// Whether the file's clients ask a helper for this server, so that an entry in the file is never used. podman and its kin
    /// do not look at `credsStore`.
    pub fn is_dead(&self, server: &ServerKey) -> bool {
        match self.helper(server) {
            Some(helper) => !helper.is_empty(),
            None if self.file.location.for_containers && is_like_docker(self.file) => false,
            None => self.file.creds_store().is_some() || self.file.treatment() == Treatment::Remove,
        }
    }
}

/// The name by which Docker asks `credHelpers` for a registry.
pub fn docker_name(server: &ServerKey) -> String {
    match server.registry() {
        Some("docker.io") | None => DOCKER_HUB.into(),
        Some(registry) => registry.into(),
    }
}

/// The name by which podman, skopeo and buildah ask `credHelpers`: `docker.io`, or the host as it was spelled.
pub fn containers_name(key: &str, server: &ServerKey) -> String {
    if server.registry() == Some("docker.io") {
        return "docker.io".into();
    }
    let host = key.split_once("://").map_or(key, |(_, rest)| rest);
    host.split('/').next().unwrap_or(host).into()
}
