//! Docker's configuration: what lies in plaintext is migrated, and Docker asks Coffer from then on.

use super::super::{migrate, tell};
use super::Step;
use crate::auth_files::{self, AuthFile, Content, Edit, Location};
use crate::error::{Error, Result};
use crate::foreign_file::Change;
use crate::migration::{self, NAME, Plan, Scope};
use crate::settings::Settings;

/// Everything that `migrate` does, and Docker's `credsStore` in any case.
pub fn migrate(settings: &Settings) -> Result<Option<Step<'_>>> {
    let scope = Scope { claims_docker: true, ..Scope::default() };
    let (files, unread) = scope.read()?;
    let docker = Location::docker()?.path;
    if let Some(left) = unread.iter().find(|left| left.file == docker) {
        return Err(Error::Command {
            message: format!("{}; nothing was done", left.reason),
            cure: "mend that file, and run setup again".into(),
        });
    }
    // What is nobody's business but the other client's does not stop Docker.
    unread.iter().for_each(|left| tell(format_args!("{}; it was left as it is", left.reason)));
    let imports = scope.import(settings, &files);
    let plan = Plan::make(settings, files, unread, &imports, true)?;
    if !plan.has_docker_ask() {
        return Err(Error::Command {
            message: format!("{} holds logins that Docker or podman would lose; nothing was done", docker.display()),
            cure: "docker-credential-coffer migrate --dry-run names them; log out of those or of the others, and run setup \
                   again"
                .into(),
        });
    }
    if plan.is_empty() {
        return Ok(None);
    }
    let mut what = vec![format!("have Docker ask {NAME} (\"credsStore\" in {})", docker.display())];
    what.extend(plan.into_report().lines());
    Ok(Some(Step {
        what,
        undo: "docker-credential-coffer migrate --undo (what was made anew: remove \"credsStore\" from it)".into(),
        act: Box::new(move |_| {
            let report = migration::run(settings, &scope, &imports, &mut migrate::progress)?;
            report.lines().iter().for_each(tell);
            migrate::advise(&report);
            migrate::failures(&report)
        }),
    }))
}

/// `credsStore` alone, unless it says so already. Refuses, unless `yes`, what would put logins out of Docker's sight.
pub fn creds_store(yes: bool) -> Result<Option<Step<'static>>> {
    let file = AuthFile::docker(Location::docker()?)?;
    let path = file.location.path.display().to_string();
    let old = file.creds_store().map(str::to_owned);
    if old.as_deref() == Some(NAME) {
        return Ok(None);
    }
    if let (Some(at_stake), false) = (at_stake(&file), yes) {
        return Err(Error::Command {
            message: format!("{path} says that {at_stake}; Docker would not see them any more"),
            cure: "run setup without --no-migrate".into(),
        });
    }
    Ok(Some(Step {
        what: vec![format!("set \"credsStore\": \"{NAME}\" in {path}")],
        undo: match old {
            Some(old) => format!("set \"credsStore\": \"{old}\" in {path}"),
            None => format!("remove \"credsStore\" from {path}"),
        },
        act: Box::new(move |_| match file.change(&Edit { creds_store: Some(NAME.into()), ..Edit::default() })? {
            Change::Made | Change::MadeBesideLink => Ok(()),
            // Somebody may have logged in while the question stood.
            Change::Overtaken => Err(Error::Command {
                message: format!("{path} has changed meanwhile; it was left as it is"),
                cure: "run setup again".into(),
            }),
        }),
    }))
}

/// The logins that Docker would not see any more.
fn at_stake(file: &AuthFile) -> Option<String> {
    if let Some(other) = file.creds_store() {
        return Some(format!("logins are kept by docker-credential-{other}"));
    }
    let findings = file.findings();
    let logins = findings.iter().filter(|finding| matches!(finding.content, Content::Login(..)));
    let names: Vec<_> = logins.map(|finding| auth_files::shown(&finding.key)).collect();
    (!names.is_empty()).then(|| format!("logins are kept in plaintext: {}", names.join(", ")))
}
