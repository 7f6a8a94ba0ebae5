//! What `credsStore` and `credHelpers` are to say of a file's registries once its logins have moved.

use std::collections::{HashMap, HashSet};

use super::NAME;
use super::facts::{Facts, containers_name, docker_name, is_like_docker};
use crate::auth_files::{AuthFile, Client, Edit, Treatment};
use crate::routes::{self, Source};
use crate::server::ServerKey;
use crate::settings::Settings;

/// The helper whose registries the routes answer.
pub const ECR_LOGIN: &str = "ecr-login";

/// What other helpers gave.
#[derive(Default)]
pub struct Given {
    /// By helper and its spelling of the server, which is what it is asked for: whether Coffer answers for it from now on.
    pub answers: HashMap<(String, String), bool>,
    /// Those that are there and gave nothing at all, not even a list: nobody knows what would be lost with them.
    pub silent: HashSet<String>,
}

/// The registries, by podman's name, whose logins leave Docker's file of before 2015. That file can name no helper, so
/// Docker's present one must.
pub fn take_over_legacy(files: &[AuthFile], edits: &[Edit]) -> Vec<String> {
    let legacy = files.iter().zip(edits).filter(|(file, _)| file.location.client == Client::Dockercfg);
    let keys = legacy.flat_map(|(_, edit)| &edit.scrub);
    let mut names: Vec<_> = keys.filter_map(|key| Some(containers_name(key, &key.parse().ok()?))).collect();
    names.sort();
    names
}

/// Has a file of Docker's kind ask Coffer, if anything in it changes or Docker is to be told anyway.
pub fn ask_coffer(settings: &Settings, file: &AuthFile, edit: &mut Edit, is_told_anyway: bool, given: &Given) {
    for (registry, helper) in file.helpers() {
        let is_minted = helper == ECR_LOGIN && is_ecr(settings, registry);
        if is_minted || given.answers.get(&(helper.to_owned(), registry.to_owned())) == Some(&true) {
            // podman and its kin know no other way to be told.
            let answers = file.location.for_containers.then(|| NAME.to_owned());
            edit.helpers.push((registry.to_owned(), answers));
        }
    }
    let old = file.creds_store().filter(|old| *old != NAME);
    for ((helper, registry), is_given) in &given.answers {
        // What is no server's name no client asks for, and it may hold a password.
        let is_name = registry.parse::<ServerKey>().is_ok();
        if Some(helper.as_str()) == old && !is_given && is_name {
            // What it did not give, it goes on answering.
            edit.helpers.push((registry.clone(), Some(helper.clone())));
        }
    }
    let says: HashMap<&str, &str> = file.helpers().into_iter().collect();
    // What it says already is no change. Otherwise a second run would write it again, and keep a backup without the logins.
    let is_news =
        |(registry, helper): &(String, Option<String>)| says.get(registry.as_str()).copied() != helper.as_deref();
    edit.helpers.retain(&is_news);
    let has_empty = edit.helpers.iter().any(|(_, helper)| helper.as_deref() == Some(""));
    let asks_coffer = file.creds_store() == Some(NAME);
    if has_empty && file.location.for_containers {
        name_each(edit);
    } else if old.is_some_and(|old| given.silent.contains(old)) {
        // It goes on answering for everything.
    } else if !asks_coffer && (is_told_anyway || old.is_some() || !edit.is_empty()) {
        edit.creds_store = Some(NAME.into());
    }
    if asks_coffer || edit.creds_store.is_some() {
        let idle = idle_empty_names(file);
        edit.helpers.extend(idle.into_iter().map(|registry| (registry, None)));
    }
    edit.helpers.retain(is_news);
    edit.helpers.sort();
    edit.helpers.dedup();
}

/// The registries of which the file has no login, and whose next one would go to the file: an empty name stands there, as it
/// does where Docker was to go on taking a login from the file.
fn idle_empty_names(file: &AuthFile) -> Vec<String> {
    let registry = |key: &str| Some(key.parse::<ServerKey>().ok()?.registry()?.to_owned());
    let empty = file.helpers().into_iter().filter(|(_, helper)| helper.is_empty());
    let empty: Vec<_> = empty.filter_map(|(name, _)| Some((name.to_owned(), registry(name)?))).collect();
    if empty.is_empty() {
        return Vec::new();
    }
    let in_file: HashSet<String> = file.findings().iter().filter_map(|finding| registry(&finding.key)).collect();
    empty.into_iter().filter(|(_, registry)| !in_file.contains(registry)).map(|(name, _)| name).collect()
}

/// Has Docker ask Coffer for what leaves the file, and take the rest from it. An empty name would do, but podman takes it for a
/// helper without a name, and fails.
fn name_each(edit: &mut Edit) {
    edit.helpers.retain(|(_, helper)| helper.as_deref() != Some(""));
    let moved = edit.scrub.iter().filter_map(|key| key.parse::<ServerKey>().ok());
    edit.helpers.extend(moved.map(|server| (docker_name(&server), Some(NAME.into()))));
}

/// Has Docker go on taking a login from its file, unless it does not look there anyway.
pub fn go_on_from_file(facts: &Facts, edit: &mut Edit, server: &ServerKey) {
    let file = facts.file;
    if is_like_docker(file) && file.creds_store().is_none() && facts.helper(server).is_none() {
        edit.helpers.push((docker_name(server), Some(String::new())));
    }
}

/// Names Coffer as the helper of a registry, where that is the only way for a client to ask it, and takes out the empty name
/// that turns it off.
pub fn name_helper(facts: &Facts, edit: &mut Edit, key: &str, server: &ServerKey) {
    let location = &facts.file.location;
    match facts.helper(server) {
        Some("") => edit.helpers.push((docker_name(server), None)),
        Some(_) => {}
        None if location.for_containers && facts.file.treatment() == Treatment::Rewrite && server.is_registry() => {
            edit.helpers.push((containers_name(key, server), Some(NAME.into())));
        }
        None => {}
    }
}

/// podman's entries that name ecr-login, which Coffer answers for.
pub fn hand_over_ecr(settings: &Settings, file: &AuthFile, edit: &mut Edit) {
    for (registry, helper) in file.helpers() {
        if helper == ECR_LOGIN && is_ecr(settings, registry) {
            edit.helpers.push((registry.to_owned(), Some(NAME.into())));
        }
    }
}

/// Whether Coffer mints for a registry.
pub fn is_ecr(settings: &Settings, registry: &str) -> bool {
    let server: Option<ServerKey> = registry.parse().ok();
    server.is_some_and(|server| matches!(routes::route(settings, &server).source, Source::Ecr(_)))
}
