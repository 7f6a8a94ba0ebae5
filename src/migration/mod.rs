//! Moving what lies in plaintext into the store.
//!
//! In this order: every login is put into the store, each is read back and compared, an encrypted copy of every file is
//! kept, and only then is a file written anew without them. Whatever fails or is killed before a file's own turn leaves
//! that file as it was, and a second run ends where an undisturbed one ends.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::auth_files::locations::{self, Location};
use crate::auth_files::{AuthFile, Client};
use crate::backup::{self, Reason};
use crate::error::{Error, Result};
use crate::files::{self, Lock};
use crate::foreign_file::Change;
use crate::routes;
use crate::rule::HelperName;
use crate::settings::Settings;

mod audit;
mod claims;
mod facts;
mod helpers;
mod import;
mod plan;
mod planner;
mod report;
mod undo;

pub use audit::{Found, audit, counted_findings};
pub use import::Import;
pub use plan::Plan;
pub use report::{FileReport, Imported, Left, Moved, Report, counted, line, shown_path};
pub use undo::{undo, undoable};

/// What stands in `credsStore`.
pub const NAME: &str = "coffer";

/// How often a file that another program keeps writing is read again.
const ATTEMPTS: usize = 10;

/// How many logins are put into the store, and then read back, at a time.
const BATCH: usize = 1000;

/// How long another migration is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why Docker's file of before 2015 stays, which can name no helper itself.
const UNTOLD: &str =
    "it stays until Docker's present configuration can name Coffer for what lies here: mend that one, or migrate both";

/// What is to be migrated.
#[derive(Debug, Default)]
pub struct Scope {
    /// Files that were named; none: all that clients find.
    pub files: Vec<PathBuf>,
    /// Helpers whose logins are wanted, beside those that the files name.
    pub from: Vec<HelperName>,
    /// Whether Docker is to ask Coffer even if nothing is to be moved.
    pub claims_docker: bool,
}

impl Scope {
    /// The files that exist, Docker's own first, and what could not be read.
    pub fn read(&self) -> Result<(Vec<AuthFile>, Vec<Left>)> {
        let locations = if self.files.is_empty() {
            locations::all()?
        } else {
            self.files.iter().map(|path| Location::named(path)).collect::<Result<_>>()?
        };
        let leftovers = locations::leftovers(&locations);
        let mut found = Vec::new();
        let mut unread = Vec::new();
        for location in locations.into_iter().chain(leftovers) {
            let path = location.path.clone();
            let is_system = location.is_system;
            let is_docker =
                self.files.is_empty() && location.client == Client::Docker && location.leftover_of.is_none();
            let read = if is_docker { AuthFile::docker(location).map(Some) } else { AuthFile::read(location) };
            match read {
                Ok(Some(file)) => found.push(file),
                Ok(None) if self.files.contains(&path) => {
                    unread.push(Left::failed(&path, "does not exist"));
                }
                Ok(None) => {}
                // Another user's: not to be read is as it should be.
                Err(Error::File { source, .. })
                    if is_system && source.kind() == std::io::ErrorKind::PermissionDenied => {}
                Err(error) => unread.push(Left::failed(&path, error.to_string())),
            }
        }
        Ok((found, unread))
    }

    /// What the helpers give that are to be replaced. Asks each of them, which may take its time and prompt.
    pub fn import(&self, settings: &Settings, files: &[AuthFile]) -> Vec<Import> {
        let mut wanted: Vec<(HelperName, Option<Vec<String>>)> = Vec::new();
        for file in files.iter().filter(|file| facts::is_like_docker(file)) {
            let Some(name) = file.creds_store().and_then(replaceable) else { continue };
            let keys = file.keys().into_iter().map(str::to_owned);
            match wanted.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => known.get_or_insert_default().extend(keys),
                None => wanted.push((name, Some(keys.collect()))),
            }
        }
        for name in &self.from {
            if !wanted.iter().any(|(known, _)| known == name) {
                wanted.push((name.clone(), None));
            }
        }
        wanted.into_iter().map(|(name, keys)| Import::ask(settings, name, keys)).collect()
    }
}

/// A helper whose logins would be lost sight of. ecr-login has none: it mints, as Coffer does.
fn replaceable(name: &str) -> Option<HelperName> {
    if name == NAME || name == helpers::ECR_LOGIN { None } else { name.to_owned().try_into().ok() }
}

/// Does what a plan says, planning anew for as long as other programs write the same files. What became of it.
///
/// Fails if the store does not take the logins, or does not give them back: then no file was changed.
pub fn run(
    settings: &Settings,
    scope: &Scope,
    imports: &[Import],
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Report> {
    let _turn = turn(settings)?;
    let mut report = Report::default();
    for attempt in 1..=ATTEMPTS {
        let (files, unread) = scope.read()?;
        let mut plan = Plan::make(settings, files, unread, imports, scope.claims_docker)?;
        store(settings, &plan, progress)?;
        let overtaken = change(settings, &mut plan);
        report.add(plan.report);
        if overtaken.is_empty() {
            break;
        }
        if attempt == ATTEMPTS {
            let reason = "other programs keep writing it; it was left as it is";
            report.left.extend(overtaken.iter().map(|path| Left::failed(path, reason)));
        }
    }
    Ok(report)
}

/// The right to migrate: proves that files left by another run are nobody's.
fn turn(settings: &Settings) -> Result<Lock> {
    files::create_directory(&settings.directory)?;
    Lock::acquire(settings.directory.join("migrate.lock"), PATIENCE)
}

fn store(settings: &Settings, plan: &Plan, progress: &mut dyn FnMut(usize, usize)) -> Result<()> {
    let store = routes::store(settings);
    // A run that was killed may have put them there and not waited for the disk.
    store.settle(&plan.held_already)?;
    let mut done = 0;
    for batch in plan.logins.chunks(BATCH) {
        store.put_all(batch)?;
        for (server, credential) in batch {
            if !store.get(server)?.is_some_and(|kept| kept.is_same(credential)) {
                return Err(Error::NotKept(server.to_string()));
            }
        }
        done += batch.len();
        progress(done, plan.logins.len());
    }
    Ok(())
}

/// Changes the files that are to be changed. Those that other programs wrote meanwhile.
fn change(settings: &Settings, plan: &mut Plan) -> Vec<PathBuf> {
    let mut overtaken = Vec::new();
    let mut docker_is_told = true;
    for planned in plan.files.iter().filter(|planned| planned.is_changed()) {
        let path = &planned.file.location.path;
        let client = planned.file.location.client;
        if client == Client::Dockercfg && !docker_is_told {
            // Once it is scrubbed, no later run could know what Docker's present configuration has to name.
            if overtaken.is_empty() {
                plan.report.left.push(Left::failed(path, UNTOLD));
            } else {
                overtaken.push(path.clone());
            }
            continue;
        }
        // Of the file as it is before: no name that is known leads to it afterwards.
        let search = search_for(path);
        let changed =
            keep(settings, &planned.file).and_then(|backup| Ok((backup, planned.file.change(&planned.edit)?)));
        docker_is_told &= client != Client::Docker || matches!(changed, Ok((_, Change::Made | Change::MadeBesideLink)));
        match changed {
            Ok((_, Change::Overtaken)) => overtaken.push(path.clone()),
            Ok((backup, change)) => {
                if change == Change::MadeBesideLink {
                    let path = path.display();
                    let note = format!("{path} has another hard link, which still holds what was there{search}");
                    plan.report.notes.push(note);
                }
                plan.report.files.push(FileReport { file: path.clone(), rewritten: true, backup });
            }
            Err(error) => plan.report.left.push(Left::failed(path, error.to_string())),
        }
    }
    overtaken
}

/// The command that finds every name of a file, which all lie on one file system.
fn search_for(path: &Path) -> String {
    let (Ok(path), Ok(metadata)) = (fs::canonicalize(path), fs::metadata(path)) else { return String::new() };
    let is_there = |path: &&Path| fs::metadata(path).is_ok_and(|found| found.dev() == metadata.dev());
    let mount = path.ancestors().take_while(is_there).last().unwrap_or(&path);
    format!(": find {} -xdev -inum {}", mount.display(), metadata.ino())
}

/// The encrypted copy of a file; none of what holds nothing that could not be had again.
fn keep(settings: &Settings, file: &AuthFile) -> Result<Option<PathBuf>> {
    match file.bytes() {
        _ if file.location.client == Client::EcrLogin
            || file.findings().is_empty() && file.location.leftover_of.is_some() =>
        {
            Ok(None)
        }
        Some(bytes) => {
            let (path, reason) = match file.location.leftover_of.as_deref() {
                Some(path) => (path, Reason::LeftBeside),
                None => (file.path(), Reason::Scrubbed),
            };
            backup::keep(settings, path, bytes, reason).map(Some)
        }
        None => Ok(None),
    }
}
