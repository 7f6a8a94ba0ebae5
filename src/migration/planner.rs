//! What becomes of each login that a file holds or a helper gives.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::claims::{Claim, Claims};
use super::facts::Facts;
use super::helpers::{Given, go_on_from_file, hand_over_ecr, is_ecr, name_helper};
use super::import::Import;
use super::report::{Imported, Left, Moved, Report};
use crate::auth_files::{self, AuthFile, Client, Content, Edit, Finding, Treatment};
use crate::credential::Credential;
use crate::ecr;
use crate::error::Result;
use crate::routes::{self, Source};
use crate::server::ServerKey;
use crate::settings::Settings;

/// Decides on one login after the other.
pub struct Planner<'a> {
    settings: &'a Settings,
    /// Who has which place in the store.
    pub claims: Claims<'a>,
    /// What is moved and what is left, so far.
    pub report: Report,
}

impl<'a> Planner<'a> {
    /// Begins, with what could not be read.
    pub fn new(settings: &'a Settings, unread: Vec<Left>) -> Result<Self> {
        let claims = Claims::new(routes::store(settings))?;
        Ok(Self { settings, claims, report: Report { left: unread, ..Report::default() } })
    }

    /// Claims what a helper gave.
    pub fn import(&mut self, import: &Import, given: &mut Given) {
        let helper = import.helper.as_str();
        if import.is_silent() {
            given.silent.insert(helper.to_owned());
        }
        let mut answer = |spelling: &str, is_given| {
            given.answers.insert((helper.to_owned(), spelling.to_owned()), is_given);
        };
        let mut refused = Vec::new();
        for (spelling, credential) in &import.logins {
            let Ok(server) = spelling.parse::<ServerKey>() else { continue };
            let claim = self.claims.claim(&server, credential, None);
            answer(spelling, matches!(claim, Ok(Claim::Granted | Claim::Same)));
            match claim {
                Ok(Claim::Granted) => {
                    self.report.imported.push(Imported { helper: helper.into(), server: server.name().into() });
                }
                Ok(Claim::Same) => {}
                Ok(Claim::Taken(user, _)) => refused.push((spelling.clone(), taken(&user))),
                Err(error) => refused.push((spelling.clone(), error.to_string())),
            }
        }
        for (spelling, error) in &import.failures {
            let spelling = spelling.clone().unwrap_or_default();
            if !spelling.is_empty() {
                answer(&spelling, false);
            }
            refused
                .push((spelling, format!("{error}; when it works: docker-credential-coffer migrate --from {helper}")));
        }
        let file: PathBuf = format!("docker-credential-{helper}").into();
        let left = refused.into_iter().map(|(key, reason)| Left::of(&file, &key, reason, true));
        self.report.left.extend(left);
    }

    /// How a file is to be changed, `number` among the files.
    pub fn edit(&mut self, number: usize, file: &AuthFile) -> Edit {
        let mut edit = Edit::default();
        let facts = Facts::new(number, file);
        if file.location.client == Client::Containers {
            hand_over_ecr(self.settings, file, &mut edit);
        }
        let mut logins = Vec::new();
        for finding in file.findings() {
            match (finding.content.clone(), file.treatment()) {
                (Content::Login(credential, note), treatment) if treatment != Treatment::Report => {
                    if let Some(note) = note {
                        let key = auth_files::shown(&finding.key);
                        self.report.notes.push(format!("{}: {key}: {note}", file.location.path.display()));
                    }
                    match finding.key.parse::<ServerKey>() {
                        Ok(_) if finding.key.contains('*') => {
                            self.leave(file, &finding.key, "it is a pattern, and no registry's name".into());
                        }
                        Ok(server) => logins.push((finding.key, server, credential)),
                        Err(error) => self.leave(file, &finding.key, format!("{error}, so it was not moved")),
                    }
                }
                // It goes as a whole.
                (Content::Fixed(..), Treatment::Remove) => {}
                _ => self.report.left.push(left(&file.location.path, finding)),
            }
        }
        // The registry's own name before its URL, so that it wins where both stand there.
        logins.sort_by_key(|(key, ..)| key.contains("://"));
        for (key, server, credential) in &logins {
            self.login(&facts, &mut edit, key, server, credential);
        }
        if file.treatment() == Treatment::Rewrite {
            self.answer_for_hosts(&facts, &mut edit, &logins);
        }
        edit
    }

    /// Decides on one login of a file.
    fn login(&mut self, facts: &Facts, edit: &mut Edit, key: &str, server: &ServerKey, credential: &Credential) {
        let file = facts.file;
        let route = routes::route(self.settings, server);
        match route.source {
            Source::Helper(name) => {
                let rule = route.number.unwrap_or_default();
                let reason = format!("rule {rule} of config.toml sends it to docker-credential-{}", name.as_str());
                return self.leave(file, key, reason);
            }
            Source::Anonymous(_) => {
                let reason = format!("rule {} of config.toml makes it anonymous", route.number.unwrap_or_default());
                return self.leave(file, key, reason);
            }
            Source::Ecr(_) if file.treatment() == Treatment::Import => return self.stays(file, key),
            Source::Ecr(_) => {
                self.moved(facts, edit, key, server);
                // Docker asks a helper that it names for every build; one that could only fail is not named.
                if self.keeps_token(server, credential) || file.location.client == Client::Containers {
                    name_helper(facts, edit, key, &server.whole_registry());
                }
                return;
            }
            Source::Store => {}
        }
        if facts.is_namespaced(server) {
            let reason = "podman asks helpers for whole registries only, and this file has a namespace of this one";
            go_on_from_file(facts, edit, server);
            return self.leave(file, key, reason.into());
        }
        match self.claims.claim(server, credential, Some(facts.number)) {
            Ok(Claim::Same) if file.treatment() == Treatment::Import => self.stays(file, key),
            Ok(Claim::Granted | Claim::Same) => {
                self.moved(facts, edit, key, server);
                name_helper(facts, edit, key, server);
            }
            Ok(Claim::Taken(user, by)) if by == Some(facts.number) || facts.is_dead(server) => {
                edit.scrub.insert(key.to_owned());
                let reason =
                    format!("given up for the login of {user}, which is what clients ask for; the backup holds it");
                self.leave(file, key, reason);
            }
            Ok(Claim::Taken(user, _)) => {
                go_on_from_file(facts, edit, server);
                self.leave(file, key, taken(&user));
            }
            Err(error) => {
                go_on_from_file(facts, edit, server);
                self.fail(file, key, error.to_string());
            }
        }
    }

    /// A login that Coffer answers for from now on.
    fn moved(&mut self, facts: &Facts, edit: &mut Edit, key: &str, server: &ServerKey) {
        let file = facts.file;
        self.report.moved.push(Moved {
            file: file.location.path.clone(),
            key: key.into(),
            server: server.name().into(),
        });
        if file.treatment() == Treatment::Import {
            return self.stays(file, key);
        }
        edit.scrub.insert(key.to_owned());
    }

    fn stays(&mut self, file: &AuthFile, key: &str) {
        self.leave(file, key, "its reader knows no helper, so it stays there too; let root alone read the file".into());
    }

    fn leave(&mut self, file: &AuthFile, key: &str, reason: String) {
        self.report.left.push(Left::of(&file.location.path, key, reason, false));
    }

    fn fail(&mut self, file: &AuthFile, key: &str, reason: String) {
        self.report.left.push(Left::of(&file.location.path, key, reason, true));
    }

    /// Whether a token for ECR still serves: then it is kept as `docker login` would keep it.
    fn keeps_token(&mut self, server: &ServerKey, credential: &Credential) -> bool {
        let whole = server.whole_registry();
        if !ecr::is_valid(credential, SystemTime::now()) {
            return false;
        }
        self.claims.is_taken(&whole) || self.claims.claim(&whole, credential, None).is_ok()
    }

    /// In their own files, Docker takes an entry with a path or a scheme for the whole host, and podman one with a scheme. The
    /// store would not, so what served a host alone is kept for the host too. The Hub is asked for by its URL, never by
    /// its host.
    fn answer_for_hosts(&mut self, facts: &Facts, edit: &mut Edit, logins: &[(String, ServerKey, Credential)]) {
        let named: HashSet<&ServerKey> = logins.iter().map(|(_, server, _)| server).collect();
        let mut of_host: HashMap<&str, Vec<&(String, ServerKey, Credential)>> = HashMap::new();
        for login in logins.iter().filter(|(key, ..)| edit.scrub.contains(key)) {
            if let Some(registry) = login.1.registry().filter(|registry| *registry != "docker.io") {
                of_host.entry(registry).or_default().push(login);
            }
        }
        let mut hosts: Vec<_> = of_host.into_iter().collect();
        hosts.sort_by_key(|(host, _)| *host);
        for (host, parts) in hosts {
            let Ok(whole) = host.parse::<ServerKey>() else { continue };
            if named.contains(&whole) || is_ecr(self.settings, host) {
                continue;
            }
            let path = facts.file.location.path.display();
            let (key, _, credential) = parts[0];
            if parts.iter().any(|(_, _, other)| !other.is_same(credential)) {
                let note =
                    format!("{path}: several logins for parts of {host}, none for all of it; docker login {host}");
                self.report.notes.push(note);
                continue;
            }
            match self.claims.claim(&whole, credential, Some(facts.number)) {
                Ok(Claim::Granted | Claim::Same) => {
                    self.moved(facts, edit, key, &whole);
                    name_helper(facts, edit, key, &whole);
                }
                Ok(Claim::Taken(..)) if facts.is_dead(&whole) => {}
                Ok(Claim::Taken(user, _)) => {
                    self.keep(facts, edit, &whole, parts.iter().map(|(key, ..)| key.as_str()));
                    parts.iter().for_each(|(key, ..)| self.leave(facts.file, key, taken(&user)));
                }
                Err(error) => {
                    self.keep(facts, edit, &whole, parts.iter().map(|(key, ..)| key.as_str()));
                    parts.iter().for_each(|(key, ..)| self.fail(facts.file, key, error.to_string()));
                }
            }
        }
    }

    /// Leaves entries in the file after all: its client would be given another login for the host from now on, or none.
    fn keep<'k>(&mut self, facts: &Facts, edit: &mut Edit, host: &ServerKey, keys: impl Iterator<Item = &'k str>) {
        go_on_from_file(facts, edit, host);
        for key in keys {
            edit.scrub.remove(key);
            self.report.moved.retain(|moved| moved.file != facts.file.location.path || moved.key != key);
        }
    }
}

/// That two logins want one server's place, and what to do about it.
fn taken(user: &str) -> String {
    format!(
        "the store holds another login for it, of {user}; log out of one of them (docker-credential-coffer erase forgets the \
         store's), and migrate again"
    )
}

/// What no migration moves.
pub fn left(file: &Path, finding: Finding) -> Left {
    let reason = match finding.content {
        Content::Fixed(reason, advice) => format!("{reason}; {advice}"),
        Content::Login(..) => "its client asks no helper".into(),
    };
    Left::of(file, &finding.key, reason, false)
}
