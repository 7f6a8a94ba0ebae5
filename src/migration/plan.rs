//! What is to be done with each file, decided before anything is written.
//!
//! The one aim besides moving secrets: what could be pulled before can be pulled after. So a login stays where it is if its
//! client would lose it by the move, and the report says why.

use std::collections::HashSet;

use super::claims::Claims;
use super::facts::is_like_docker;
use super::helpers::{Given, ask_coffer, take_over_legacy};
use super::import::Import;
use super::planner::{Planner, left};
use super::report::{FileReport, Left, Report};
use super::{NAME, UNTOLD};
use crate::auth_files::{self, AuthFile, Client, Edit, Location, Treatment};
use crate::credential::Credential;
use crate::error::Result;
use crate::server::ServerKey;
use crate::settings::Settings;

/// What is to be put into the store, and how each file is to be changed.
pub struct Plan {
    /// What is to be put into the store.
    pub logins: Vec<(ServerKey, Credential)>,
    /// Whose login the store holds already.
    pub held_already: Vec<ServerKey>,
    /// Every file that was read.
    pub files: Vec<PlannedFile>,
    /// What would be done, and what has to stay.
    pub report: Report,
}

/// A file, and what is to be done with it.
pub struct PlannedFile {
    /// The file.
    pub file: AuthFile,
    /// Nothing, for a file that is to be removed.
    pub edit: Edit,
    is_removed: bool,
}

impl PlannedFile {
    /// Whether anything is to be done.
    pub fn is_changed(&self) -> bool {
        self.is_removed || !self.edit.is_empty()
    }
}

impl Plan {
    /// Decides. Opens what the store holds for the servers concerned, and writes nothing.
    pub fn make(
        settings: &Settings,
        mut files: Vec<AuthFile>,
        mut unread: Vec<Left>,
        imports: &[Import],
        claims_docker: bool,
    ) -> Result<Self> {
        let docker = Location::docker()?.path;
        let is_told = |file: &AuthFile| file.location.client == Client::Docker && file.location.is_at(&docker);
        // It cannot be read, or was not named.
        if !files.iter().any(is_told) {
            let is_untold =
                |file: &mut AuthFile| file.location.client == Client::Dockercfg && !file.findings().is_empty();
            let legacy = files.extract_if(.., is_untold);
            unread.extend(legacy.map(|file| Left::failed(&file.location.path, UNTOLD)));
        }
        let mut planner = Planner::new(settings, unread)?;
        // Whoever answers Docker today comes before the files, and the files before helpers that only hold something.
        let (live, others): (Vec<_>, Vec<_>) = imports.iter().partition(|import| import.is_live);
        let mut given = Given::default();
        for import in live {
            planner.import(import, &mut given);
        }
        let mut edits: Vec<Edit> = (0..).zip(&files).map(|(number, file)| planner.edit(number, file)).collect();
        for import in others {
            planner.import(import, &mut given);
        }
        let legacy = take_over_legacy(&files, &edits);
        for (file, edit) in files.iter().zip(&mut edits).filter(|(file, _)| is_like_docker(file)) {
            let is_docker = file.location.client == Client::Docker;
            if is_docker && file.location.for_containers {
                // Whoever is named there already is asked before that old file is looked at.
                let named: HashSet<&str> = file.helpers().into_iter().map(|(registry, _)| registry).collect();
                let unnamed = legacy.iter().filter(|registry| !named.contains(registry.as_str()));
                edit.helpers.extend(unnamed.map(|registry| (registry.clone(), Some(NAME.to_owned()))));
            }
            ask_coffer(settings, file, edit, is_docker && (claims_docker || !legacy.is_empty()), &given);
        }
        let environment = auth_files::environment();
        planner
            .report
            .left
            .extend(environment.into_iter().map(|finding| left(auth_files::ENVIRONMENT.as_ref(), finding)));
        let files = files.into_iter().zip(edits).map(|(file, edit)| {
            let is_removed = file.treatment() == Treatment::Remove;
            PlannedFile { file, edit, is_removed }
        });
        let Claims { granted: logins, held_already, .. } = planner.claims;
        Ok(Self { logins, held_already, files: files.collect(), report: planner.report })
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.logins.is_empty() && !self.files.iter().any(PlannedFile::is_changed)
    }

    /// Whether Docker will ask Coffer for every registry that it names no other helper for.
    pub fn has_docker_ask(&self) -> bool {
        let mut docker = self.files.iter().filter(|planned| planned.file.location.client == Client::Docker);
        docker.all(|PlannedFile { file, edit, .. }| {
            let says = edit.creds_store.as_deref().or(file.creds_store());
            !is_like_docker(file) || says == Some(NAME)
        })
    }

    /// What the plan would do, told as if it were done.
    pub fn into_report(self) -> Report {
        let changed = self.files.iter().filter(|planned| planned.is_changed());
        let file = |planned: &PlannedFile| planned.file.location.path.clone();
        let files = changed.map(|planned| FileReport { file: file(planned), rewritten: false, backup: None }).collect();
        Report { files, dry_run: true, ..self.report }
    }
}
