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
use crate::auth_files::{self, AuthFile, Client, Content, Finding, Kind, Treatment};
use crate::backup::{self, Reason};
use crate::error::{Error, Result};
use crate::files::{self, Lock};
use crate::foreign_file::{self, Change, ForeignFile};
use crate::routes;
use crate::rule::HelperName;
use crate::settings::Settings;

mod claims;
mod facts;
mod helpers;
mod import;
mod plan;
mod report;

pub use import::Import;
pub use plan::Plan;
pub use report::{FileReport, Imported, Left, Moved, Report, counted, line, shown_path};

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
        let inode = fs::metadata(path).map_or(0, |metadata| metadata.ino());
        let changed =
            keep(settings, &planned.file).and_then(|backup| Ok((backup, planned.file.change(&planned.edit)?)));
        docker_is_told &= client != Client::Docker || matches!(changed, Ok((_, Change::Made | Change::MadeBesideLink)));
        match changed {
            Ok((_, Change::Overtaken)) => overtaken.push(path.clone()),
            Ok((backup, change)) => {
                if change == Change::MadeBesideLink {
                    plan.report.notes.push(format!(
                        "{} has another hard link, which still holds what was there: find / -xdev -inum {inode}",
                        path.display()
                    ));
                }
                plan.report.files.push(FileReport { file: path.clone(), rewritten: true, backup });
            }
            Err(error) => plan.report.left.push(Left::failed(path, error.to_string())),
        }
    }
    overtaken
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

/// Puts the newest copy of each file back: of those named, or of all. The files that were changed; those that are
/// already as they were are not among them.
pub fn undo(settings: &Settings, paths: &[PathBuf]) -> Result<Report> {
    let mut report = Report::default();
    if paths.is_empty() {
        let nameless = backup::files(settings)?.1.into_iter();
        let reason =
            "the path of its file was too long for a name; name it: docker-credential-coffer migrate --undo FILE";
        report.left.extend(nameless.map(|directory| Left::of(&directory, "", reason.into(), false)));
    }
    let paths = undoable(settings, paths)?;
    if paths.is_empty() {
        return Ok(report);
    }
    let _turn = turn(settings)?;
    for path in paths {
        match put_back(settings, &path).and_then(|changed| clear_beside(settings, &path).map(|()| changed)) {
            Ok(changed) => report.files.extend(changed),
            Err(error) => report.left.push(Left::failed(&path, error.to_string())),
        }
    }
    Ok(report)
}

/// The files that [`undo`] looks at.
pub fn undoable(settings: &Settings, paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    if paths.is_empty() {
        return backup::files(settings).map(|(files, _)| files);
    }
    paths.iter().map(|path| foreign_file::resolved(path)).collect()
}

fn put_back(settings: &Settings, path: &Path) -> Result<Option<FileReport>> {
    let copy = backup::newest(settings, path)?;
    let copy = copy.ok_or_else(|| Error::BadAuthFile { path: path.into(), problem: "has no backup".into() })?;
    for _ in 0..ATTEMPTS {
        let file = ForeignFile::read(path)?;
        if file.bytes() == Some(&copy.bytes) {
            // Whoever put it back may have been killed before it was on the disk.
            files::sync_directory(files::parent(file.path()))?;
            return Ok(None);
        }
        if let Some(bytes) = file.bytes() {
            backup::keep(settings, path, bytes, Reason::Undone)?;
        }
        if file.replace(&copy.bytes)? != Change::Overtaken {
            return Ok(Some(FileReport { file: path.into(), rewritten: true, backup: Some(copy.path) }));
        }
    }
    Err(Error::BadAuthFile { path: path.into(), problem: "is written by other programs all the time".into() })
}

/// Removes what killed runs left beside a file. What it does not hold itself is kept.
fn clear_beside(settings: &Settings, path: &Path) -> Result<()> {
    for leftover in locations::leftovers(&[Location::named(path)?]) {
        let file = ForeignFile::read(&leftover.path)?;
        let now = ForeignFile::read(path)?;
        if let Some(bytes) = file.bytes().filter(|bytes| !bytes.is_empty() && now.bytes() != Some(bytes)) {
            backup::keep(settings, now.path(), bytes, Reason::LeftBeside)?;
        }
        file.remove()?;
    }
    Ok(())
}

/// A secret that lies in plaintext, and where.
pub struct Found {
    /// The file, or the variable.
    pub file: PathBuf,
    /// Whose it is.
    pub client: Client,
    /// What can be done with it.
    pub treatment: Treatment,
    /// The secret.
    pub finding: Finding,
}

/// How many secrets lie in plaintext, and of how many places that cannot be told.
pub fn counted_findings(found: &[Found]) -> String {
    let unclear = found.iter().filter(|found| found.finding.kind == Kind::Undecodable).count();
    let secrets = counted(found.len() - unclear, "secret");
    match (found.len() - unclear, counted(unclear, "place")) {
        (0, unclear) => format!("{unclear} where there may be a secret"),
        _ if unclear == 0 => secrets,
        (_, unclear) => format!("{secrets}, and {unclear} where there may be one"),
    }
}

/// Everything that lies in plaintext. A file that cannot be read may hold a secret, and is told of as one.
pub fn audit(scope: &Scope) -> Result<Vec<Found>> {
    let (files, unread) = scope.read()?;
    let mut found = Vec::new();
    for file in &files {
        let (client, treatment) = (file.location.client, file.treatment());
        let path = &file.location.path;
        found.extend(file.findings().into_iter().map(|finding| Found {
            file: path.clone(),
            client,
            treatment,
            finding,
        }));
    }
    for left in unread {
        let client = Location::named(&left.file)?.client;
        let content = Content::Fixed(left.reason, "mend it, or remove it".into());
        let finding = Finding { key: String::new(), kind: Kind::Undecodable, content };
        found.push(Found { file: left.file, client, treatment: Treatment::Report, finding });
    }
    if scope.files.is_empty() {
        let (client, treatment) = (Client::Environment, Treatment::Report);
        let environment = auth_files::environment().into_iter();
        found.extend(environment.map(|finding| Found {
            file: auth_files::ENVIRONMENT.into(),
            client,
            treatment,
            finding,
        }));
    }
    Ok(found)
}
