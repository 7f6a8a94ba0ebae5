//! What lies in plaintext where clients look. Changes nothing.

use std::path::PathBuf;

use super::Scope;
use super::report::counted;
use crate::auth_files::locations::Location;
use crate::auth_files::{self, Client, Content, Finding, Kind, Treatment};
use crate::error::Result;

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
