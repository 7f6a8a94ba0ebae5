//! What each client is told to ask, and what it still keeps itself.

use super::Check;
use crate::auth_files::{self, AuthFile, Client, locations, registries_conf};
use crate::error::Result;
use crate::migration::{self, NAME, Scope};
use crate::rule::Rule;
use crate::search_path;
use crate::server::ServerKey;
use crate::settings::Settings;
use crate::store::Listing;

/// Of a long list, this many are named.
const MAX_SHOWN: usize = 5;

const SETUP: &str = "docker-credential-coffer setup";

pub fn checks(settings: Option<&Settings>, held: Option<&Listing>) -> Vec<Check> {
    let mut checks = vec![docker()];
    checks.extend(helpers());
    checks.extend(settings.into_iter().flat_map(rules));
    checks.extend(held.and_then(containers));
    checks.push(plaintext());
    if !auth_files::environment().is_empty() {
        let variable = auth_files::ENVIRONMENT;
        checks.push(Check::bad(
            "environment",
            format!("{variable} is set: Docker takes what stands there before it asks any helper"),
            format!("unset {variable} where it is set"),
        ));
    }
    checks.extend(leftovers());
    checks
}

fn docker() -> Check {
    let name = "docker";
    let file = match auth_files::Location::docker().and_then(AuthFile::docker) {
        Ok(file) => file,
        Err(error) => return Check::failed(name, &error),
    };
    let path = file.location.path.display();
    match file.creds_store() {
        Some(NAME) => Check::good(name, format!("{path} says credsStore: {NAME}")),
        Some(desktop) if desktop.starts_with("desktop") => Check::bad(
            name,
            format!("{path} says credsStore: {desktop}; Docker Desktop puts that back whenever it starts"),
            format!(
                "{SETUP} after Docker Desktop has started; or name registries in credHelpers, which it leaves alone"
            ),
        ),
        Some(other) => {
            Check::bad(name, format!("{path} says credsStore: {other}, so Docker does not ask Coffer"), SETUP)
        }
        None => Check::bad(name, format!("{path} names no credsStore, so docker login keeps plaintext"), SETUP),
    }
}

/// Helpers of single registries, in every file that a client reads.
fn helpers() -> Vec<Check> {
    let mut checks = Vec::new();
    for file in files() {
        let path = file.location.path.display();
        for (registry, helper) in file.helpers() {
            let registry = auth_files::shown(registry);
            if helper.is_empty() {
                let detail = format!("{path} turns helpers off for {registry}, so its login stays in plaintext");
                checks.push(Check::bad(
                    "credHelpers",
                    detail,
                    "docker-credential-coffer migrate says why, and what to do",
                ));
            } else if helper != NAME && search_path::find(&format!("docker-credential-{helper}")).is_none() {
                let detail = format!("{path} sends {registry} to docker-credential-{helper}, which is not on the PATH");
                checks.push(Check::bad("credHelpers", detail, "install it, or take that entry out"));
            }
        }
    }
    checks
}

/// Helpers that rules name.
fn rules(settings: &Settings) -> Vec<Check> {
    let missing = |(number, rule): (usize, &Rule)| {
        let program = format!("docker-credential-{}", rule.helper.as_ref()?.as_str());
        let detail = format!("rule {number} sends what it matches to {program}, which is not on the PATH");
        search_path::find(&program).is_none().then(|| Check::bad("rules", detail, "install it, or take that rule out"))
    };
    (1..).zip(&settings.rules).filter_map(missing).collect()
}

/// Without default helpers, podman and its kin ask only for registries that a file of theirs names.
fn containers(listing: &Listing) -> Option<Check> {
    let (name, tool) = ("containers", locations::containers_tool()?);
    if let Some(default) =
        registries_conf::default_helpers().filter(|default| default.names.iter().any(|name| name == NAME))
    {
        let detail = format!(
            "{tool} asks Coffer for every registry, as {} says (podman logout --all erases everything that it holds)",
            default.path.display()
        );
        return Some(Check::good(name, detail));
    }
    let files = files();
    let read = files.iter().filter(|file| file.location.for_containers);
    let named: Vec<&str> =
        read.flat_map(AuthFile::helpers).filter(|(_, helper)| *helper == NAME).map(|(registry, _)| registry).collect();
    let unnamed: Vec<&str> = listing
        .held
        .keys()
        .filter(|server| server.is_registry())
        .filter_map(ServerKey::registry)
        // Letter by letter, as they compare.
        .filter(|registry| !named.contains(registry))
        .collect();
    if unnamed.is_empty() {
        return Some(Check::good(name, format!("{tool} asks Coffer for every registry that the store holds")));
    }
    let shown = &unnamed[..unnamed.len().min(MAX_SHOWN)];
    let entries: Vec<_> = shown.iter().map(|registry| format!("\"{registry}\": \"{NAME}\"")).collect();
    let more = match unnamed.len() - shown.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(Check {
        name,
        // Not everybody who has the program uses it.
        ok: true,
        detail: format!(
            "{tool} does not ask Coffer for {}{more} (podman logout --all takes such entries out)",
            shown.join(", ")
        ),
        cure: Some(format!("if it should, write into its auth.json: {{\"credHelpers\": {{{}}}}}", entries.join(", "))),
    })
}

fn plaintext() -> Check {
    let name = "plaintext";
    match migration::audit(&Scope::default()) {
        Err(error) => Check::failed(name, &error),
        Ok(found) if found.is_empty() => Check::good(name, "no registry secret lies in plaintext where clients look"),
        Ok(found) => {
            let mut files: Vec<_> = found.iter().map(|found| found.file.display().to_string()).collect();
            files.dedup();
            let detail = format!("{}: {}", migration::counted_findings(&found), files.join(", "));
            Check::bad(name, detail, "docker-credential-coffer audit names each, and what can be done about it")
        }
    }
}

fn leftovers() -> Option<Check> {
    let found = locations::leftovers(&locations::all().ok()?);
    let paths: Vec<_> = found.iter().map(|leftover| leftover.path.display().to_string()).collect();
    let detail = format!("a migration that was killed left {}", paths.join(", "));
    (!paths.is_empty()).then(|| Check::bad("leftovers", detail, "docker-credential-coffer migrate finishes it"))
}

/// The files that can be read; those that cannot are told of as plaintext.
fn files() -> Vec<AuthFile> {
    let read =
        |locations: Vec<_>| locations.into_iter().filter_map(|location| AuthFile::read(location).ok()?).collect();
    let all: Result<Vec<AuthFile>> = locations::all().map(read);
    let kin = [Client::Docker, Client::Buildx, Client::Containers, Client::Helm];
    all.unwrap_or_default().into_iter().filter(|file| kin.contains(&file.location.client)).collect()
}
