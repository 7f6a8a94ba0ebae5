//! What a migration did, or would do: for programs as JSON, for people as lines.

use std::collections::HashSet;
use std::hash::Hash;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

use crate::auth_files;

/// How many logins of one file are named to a person.
const MAX_NAMED: usize = 20;

/// Everything that a migration did, or would do.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Logins that went from files into the store.
    pub moved: Vec<Moved>,
    /// What stays, or is given up, and why.
    pub left: Vec<Left>,
    /// Logins that other helpers gave.
    pub imported: Vec<Imported>,
    /// Files, and what became of each.
    pub files: Vec<FileReport>,
    /// Whether nothing was done.
    pub dry_run: bool,
    /// What a person should know besides.
    #[serde(skip)]
    pub notes: Vec<String>,
}

/// A login that went into the store.
#[derive(Debug, Serialize, PartialEq, Eq, Hash)]
pub struct Moved {
    /// The file.
    #[serde(serialize_with = "shown_path")]
    pub file: PathBuf,
    /// Its name there.
    pub key: String,
    /// The server that it answers for.
    pub server: String,
}

/// A secret that stays where it is, or is given up.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub struct Left {
    /// The file, the variable or the helper.
    #[serde(serialize_with = "shown_path")]
    pub file: PathBuf,
    /// Its name there; empty for the whole file.
    pub key: String,
    /// Why, and what to do.
    pub reason: String,
    /// Whether something failed that should not have.
    #[serde(skip)]
    pub is_failure: bool,
}

impl Left {
    /// An entry of a file. A password within its name is not told.
    pub fn of(file: &Path, key: &str, reason: String, is_failure: bool) -> Self {
        Self { file: file.into(), key: auth_files::shown(key), reason, is_failure }
    }

    /// A whole file that could not be read or written.
    pub fn failed(file: &Path, reason: impl Into<String>) -> Self {
        Self { file: file.into(), key: String::new(), reason: reason.into(), is_failure: true }
    }
}

/// A login that another helper gave.
#[derive(Debug, Serialize, PartialEq, Eq, Hash)]
pub struct Imported {
    /// The helper.
    pub helper: String,
    /// The server that it answers for.
    pub server: String,
}

/// A file, and what became of it.
#[derive(Debug, Serialize, PartialEq, Eq, Hash)]
pub struct FileReport {
    /// The file.
    #[serde(serialize_with = "shown_path")]
    pub file: PathBuf,
    /// Whether it was written anew, put back or removed.
    pub rewritten: bool,
    /// The encrypted copy of what it was.
    pub backup: Option<PathBuf>,
}

impl Report {
    /// Takes in what another attempt did. What both say stands once.
    pub fn add(&mut self, other: Self) {
        fn merge<T: Eq + Hash>(into: &mut Vec<T>, from: Vec<T>) {
            let known: HashSet<&T> = into.iter().collect();
            let new: Vec<T> = from.into_iter().filter(|item| !known.contains(item)).collect();
            into.extend(new);
        }
        merge(&mut self.moved, other.moved);
        merge(&mut self.imported, other.imported);
        merge(&mut self.files, other.files);
        merge(&mut self.notes, other.notes);
        // What stayed at first may have gone since.
        self.left = other.left;
    }

    /// One line for each thing, for a person.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let (moves, imports) = if self.dry_run { ("would move", "would import") } else { ("moved", "imported") };
        let mut files: Vec<&Path> = self.moved.iter().map(|moved| moved.file.as_path()).collect();
        let mut seen = HashSet::new();
        files.retain(|file| seen.insert(*file));
        for file in files {
            let moved: Vec<_> = self.moved.iter().filter(|moved| moved.file == file).collect();
            let keys: HashSet<_> = moved.iter().map(|moved| &moved.key).collect();
            lines.push(format!("{}: {moves} {}", file.display(), counted(keys.len(), "login")));
            lines.extend(moved.iter().take(MAX_NAMED).map(|moved| {
                if moved.key == moved.server {
                    format!("  {}", moved.server)
                } else {
                    format!("  {} (there: {})", moved.server, moved.key)
                }
            }));
            if moved.len() > MAX_NAMED {
                lines.push(format!("  and {} more", moved.len() - MAX_NAMED));
            }
        }
        for Imported { helper, server } in &self.imported {
            lines.push(format!("docker-credential-{helper}: {imports} {server}"));
        }
        for FileReport { file, rewritten, backup } in &self.files {
            match (rewritten, backup) {
                (true, Some(backup)) => {
                    lines.push(format!("{}: rewritten; backup in {}", file.display(), backup.display()))
                }
                (true, None) => lines.push(format!("{}: rewritten", file.display())),
                (false, _) => lines.push(format!("{}: would be rewritten", file.display())),
            }
        }
        for Left { file, key, reason, .. } in &self.left {
            lines.push(line(file, key, reason));
        }
        lines.extend(self.notes.iter().cloned());
        lines
    }
}

/// What is said of a file, or of an entry in it. Many errors begin with the file already.
pub fn line(file: &Path, key: &str, said: &str) -> String {
    match key {
        "" if said.starts_with(&*file.to_string_lossy()) => said.to_owned(),
        "" => format!("{}: {said}", file.display()),
        key => format!("{}: {key}: {said}", file.display()),
    }
}

/// A path in JSON, which has no place for what is not UTF-8.
pub fn shown_path<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

/// `1 login`, `2 logins`.
pub fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
