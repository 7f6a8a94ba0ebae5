//! What lies in plaintext where clients look. Changes nothing.

use std::path::PathBuf;

use rustix::io::Errno;

use super::Scope;
use super::report::counted;
use crate::auth_files::locations::Location;
use crate::auth_files::{self, Client, Content, Finding, Kind, Treatment};
use crate::error::{Error, Result};
use crate::files;

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
    let (secrets, places) = (counted(found.len() - unclear, "secret"), counted(unclear, "place"));
    match (found.len() - unclear, unclear) {
        (_, 0) => secrets,
        (0, _) => format!("{places} where there may be a secret"),
        _ => format!("{secrets}, and {places} where there may be one"),
    }
}

/// Everything that lies in plaintext. A file that cannot be read may hold a secret, and is told of as one.
///
/// Fails if a file that was named does not exist.
pub fn audit(scope: &Scope) -> Result<Vec<Found>> {
    for path in &scope.files {
        if !files::exists(path)? {
            return Err(Error::file("open", path)(Errno::NOENT.into()));
        }
    }
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
