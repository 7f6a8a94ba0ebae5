//! Where each client looks for its file. A file is found where its client finds it, or named.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::document::Document;
use super::{Client, token_cache};
use crate::error::Result;
use crate::files;
use crate::foreign_file;
use crate::search_path;
use crate::settings::{home, variable};

/// How deep buildx puts a configuration below its directory: `host/namespace/.../repository@scopes`.
const MAX_DEPTH: usize = 12;

/// A file of some client, there or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Where it is.
    pub path: PathBuf,
    /// Whose it is.
    pub client: Client,
    /// Whether podman, skopeo and buildah, which know no `credsStore`, read it too.
    pub for_containers: bool,
    /// The file beside which a run that was killed left this one.
    pub leftover_of: Option<PathBuf>,
    /// Whether its directory is the machine's, not the user's: then it may be out of reach.
    pub is_system: bool,
}

impl Location {
    fn new(path: PathBuf, client: Client) -> Self {
        let for_containers = client == Client::Containers;
        Self { path, client, for_containers, leftover_of: None, is_system: false }
    }

    fn of_system(path: &str, client: Client) -> Self {
        Self { is_system: true, ..Self::new(path.into(), client) }
    }

    /// Docker's own configuration: `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`.
    pub fn docker() -> Result<Self> {
        let path = docker_directory()?.join("config.json");
        // They read it when their own files do not name a registry.
        Ok(Self { for_containers: containers_tool().is_some(), ..Self::new(path, Client::Docker) })
    }

    /// Whether it is the file that another path leads to.
    pub fn is_at(&self, path: &Path) -> bool {
        self.leftover_of.is_none() && is_same_file(&self.path, path)
    }

    /// A file that somebody named: one of those that clients find, or else what its name says.
    pub fn named(path: &Path) -> Result<Self> {
        if let Some(known) = all()?.into_iter().find(|known| is_same_file(&known.path, path)) {
            return Ok(Self { path: path.into(), ..known });
        }
        let client = match path.file_name().and_then(|name| name.to_str()).unwrap_or_default() {
            "auth.json" => Client::Containers,
            ".dockercfg" => Client::Dockercfg,
            ".dockerconfigjson" => Client::Kubelet,
            "ecs.config" | "ecs.config.json" => Client::Ecs,
            "cache.json" if looks(path, |document| token_cache::findings(document).is_some()) => Client::EcrLogin,
            "config.json" if ends_with_directory(path, ".regctl") => Client::Regctl,
            "config.json" if ends_with_directory(path, "kubelet") => Client::Kubelet,
            // A Secret, which no client reads as a configuration.
            _ if looks(path, |document| document.get("kind").is_some() && document.get("auths").is_none()) => {
                Client::Kubelet
            }
            _ => Client::Docker,
        };
        Ok(Self::new(path.into(), client))
    }
}

fn ends_with_directory(path: &Path, name: &str) -> bool {
    files::parent(path).ends_with(name)
}

/// Whether a file is JSON that looks like something.
fn looks(path: &Path, like: impl FnOnce(&Document) -> bool) -> bool {
    let document = foreign_file::ForeignFile::read(path).ok();
    document.and_then(|file| Document::parse(file.bytes()?).ok()).as_ref().is_some_and(like)
}

/// Every place where a client looks, Docker's own first; files that do not exist among them.
///
/// One file that is reached in two ways stands once, for all who read it.
pub fn all() -> Result<Vec<Location>> {
    // Nobody looks below a home that there is not.
    let home = home().ok();
    let below = |parent: &Option<PathBuf>, path: &str| parent.as_ref().map(|parent| parent.join(path));
    let named = |name: &str| variable(name).map(PathBuf::from);
    let xdg_config = named("XDG_CONFIG_HOME").or_else(|| below(&home, ".config"));
    let helm = named("HELM_CONFIG_HOME").or_else(|| below(&xdg_config, "helm"));
    let ecr = named("AWS_ECR_CACHE_DIR").or_else(|| below(&home, ".ecr"));
    let mut locations = vec![Location::docker()?];
    locations.extend(buildx()?);
    locations.extend(containers(xdg_config.as_deref()));
    let single = [
        (below(&home, ".dockercfg"), Client::Dockercfg),
        (named("HELM_REGISTRY_CONFIG").or_else(|| below(&helm, "registry/config.json")), Client::Helm),
        (named("REGCTL_CONFIG").or_else(|| below(&home, ".regctl/config.json")), Client::Regctl),
        (below(&ecr, "cache.json"), Client::EcrLogin),
    ];
    locations.extend(single.into_iter().filter_map(|(path, client)| Some(Location::new(path?, client))));
    for path in ["/etc/ecs/ecs.config", "/etc/ecs/ecs.config.json", "/var/lib/ecs/ecs.config"] {
        locations.push(Location::of_system(path, Client::Ecs));
    }
    locations.push(Location::of_system("/var/lib/kubelet/config.json", Client::Kubelet));
    Ok(merged(locations))
}

fn docker_directory() -> Result<PathBuf> {
    match variable("DOCKER_CONFIG") {
        Some(directory) => Ok(directory.into()),
        None => Ok(home()?.join(".docker")),
    }
}

/// Where podman, skopeo and buildah look, in their order; the runtime directory is lost when the user logs out.
fn containers(xdg_config: Option<&Path>) -> Vec<Location> {
    let own = |path: PathBuf| Location::new(path, Client::Containers);
    let mut locations: Vec<_> = variable("REGISTRY_AUTH_FILE").map(|path| own(path.into())).into_iter().collect();
    match variable("XDG_RUNTIME_DIR") {
        Some(directory) => locations.push(own(PathBuf::from(directory).join("containers/auth.json"))),
        None => {
            let user = rustix::process::getuid().as_raw();
            // podman sets the variable to the first itself (su, cron), skopeo takes the second, which may be root's alone.
            for path in [format!("/run/user/{user}/containers/auth.json"), format!("/run/containers/{user}/auth.json")]
            {
                locations.push(Location { is_system: true, ..own(path.into()) });
            }
        }
    }
    locations.extend(xdg_config.map(|config| own(config.join("containers/auth.json"))));
    locations
}

/// `config/<host>[/repo][@scopes]/config.json` below buildx's directory.
fn buildx() -> Result<Vec<Location>> {
    let root = variable("BUILDX_CONFIG")
        .map_or_else(|| docker_directory().map(|docker| docker.join("buildx")), |root| Ok(root.into()))?;
    let mut locations = Vec::new();
    let mut directories = vec![(root.join("config"), 0)];
    while let Some((directory, depth)) = directories.pop() {
        // One that cannot be read is out of buildx's reach too.
        for entry in files::entries(&directory).unwrap_or_default() {
            let kind = entry.file_type();
            if kind.as_ref().is_ok_and(fs::FileType::is_dir) && depth < MAX_DEPTH {
                directories.push((entry.path(), depth + 1));
            } else if depth > 0 && entry.file_name() == "config.json" {
                locations.push(Location::new(entry.path(), Client::Buildx));
            }
        }
    }
    locations.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(locations)
}

/// What killed runs left beside files that are rewritten.
pub fn leftovers(locations: &[Location]) -> Vec<Location> {
    let mut seen = HashSet::new();
    let mut leftovers = Vec::new();
    for location in locations {
        let Ok(resolved) = foreign_file::resolved(&location.path) else { continue };
        let directory = files::parent(&resolved).to_owned();
        if !seen.insert(directory.clone()) {
            continue;
        }
        for path in files::temporaries(&directory).into_iter().filter(|path| is_trusted(path, &resolved)) {
            leftovers.push(Location { path, leftover_of: Some(resolved.clone()), ..location.clone() });
        }
    }
    leftovers
}

/// Whether a leftover is as good as the file beside which it lies. In a directory that others may write to, it could lead to
/// a file that is not to be removed, or hold logins that are not to be believed.
fn is_trusted(leftover: &Path, file: &Path) -> bool {
    let owner = |path: &Path| fs::metadata(path).ok().map(|metadata| metadata.uid());
    let owners = [Some(rustix::process::geteuid().as_raw()), owner(files::parent(file)), owner(file)];
    let metadata = leftover.symlink_metadata().ok().filter(fs::Metadata::is_file);
    metadata.is_some_and(|metadata| owners.contains(&Some(metadata.uid())))
}

fn merged(locations: Vec<Location>) -> Vec<Location> {
    let mut merged: Vec<Location> = Vec::new();
    for location in locations {
        match merged.iter_mut().find(|known| is_same_file(&known.path, &location.path)) {
            Some(known) => known.for_containers |= location.for_containers,
            None => merged.push(location),
        }
    }
    merged
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()));
    one == other || (identity(one).is_some() && identity(one) == identity(other))
}

/// A client that knows no `credsStore`, if one is installed.
pub fn containers_tool() -> Option<&'static str> {
    ["podman", "skopeo", "buildah"].into_iter().find(|tool| search_path::find(tool).is_some())
}
