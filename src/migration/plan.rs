//! What is to be done with each file, decided before anything is written.
//!
//! The one aim besides moving secrets: what could be pulled before can be pulled after. So a login stays where it is if its
//! client would lose it by the move, and the report says why.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::claims::{Claim, Claims};
use super::import::Import;
use super::report::{FileReport, Imported, Left, Moved, Report};
use super::{NAME, UNTOLD};
use crate::auth_files::{self, AuthFile, Client, Content, Edit, Finding, Location, Treatment};
use crate::credential::Credential;
use crate::ecr;
use crate::error::Result;
use crate::routes::{self, Source};
use crate::server::{DOCKER_HUB, ServerKey};
use crate::settings::Settings;

/// The helper whose registries the routes answer.
pub const ECR_LOGIN: &str = "ecr-login";

/// What is to be put into the store, and how each file is to be changed.
pub struct Plan {
    /// What is to be put into the store.
    pub logins: Vec<(ServerKey, Credential)>,
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

/// Whether a file is read as Docker reads its own, `credsStore` and all.
pub fn is_like_docker(file: &AuthFile) -> bool {
    let is_kin = matches!(file.location.client, Client::Docker | Client::Buildx | Client::Helm);
    is_kin && file.location.leftover_of.is_none()
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
        if unread.iter().any(|left| left.file == docker) {
            let legacy = files.extract_if(.., |file| file.location.client == Client::Dockercfg);
            unread.extend(legacy.map(|file| Left::failed(&file.location.path, UNTOLD)));
        }
        let mut planner = Planner {
            settings,
            claims: Claims::new(routes::store(settings))?,
            report: Report { left: unread, ..Report::default() },
        };
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
                let is_named = |registry: &str| file.helpers().iter().any(|(known, _)| *known == registry);
                let unnamed = legacy.iter().filter(|registry| !is_named(registry));
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
        let logins = planner.claims.granted;
        Ok(Self { logins, files: files.collect(), report: planner.report })
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

/// What helpers gave: by helper and its spelling of the server, which is what it is asked for, whether Coffer answers for it
/// from now on.
type Given = HashMap<(String, String), bool>;

/// The registries, by podman's name, whose logins leave Docker's file of before 2015. That file can name no helper, so
/// Docker's present one must.
fn take_over_legacy(files: &[AuthFile], edits: &[Edit]) -> Vec<String> {
    let legacy = files.iter().zip(edits).filter(|(file, _)| file.location.client == Client::Dockercfg);
    let keys = legacy.flat_map(|(_, edit)| &edit.scrub);
    let mut names: Vec<_> = keys.filter_map(|key| Some(containers_name(key, &key.parse().ok()?))).collect();
    names.sort();
    names
}

/// Has a file of Docker's kind ask Coffer, if anything in it changes or Docker is to be told anyway.
fn ask_coffer(settings: &Settings, file: &AuthFile, edit: &mut Edit, is_told_anyway: bool, given: &Given) {
    for (registry, helper) in file.helpers() {
        let is_minted = helper == ECR_LOGIN && is_ecr(settings, registry);
        if is_minted || given.get(&(helper.to_owned(), registry.to_owned())) == Some(&true) {
            // podman and its kin know no other way to be told.
            let answers = file.location.for_containers.then(|| NAME.to_owned());
            edit.helpers.push((registry.to_owned(), answers));
        }
    }
    let old = file.creds_store().filter(|old| *old != NAME);
    for ((helper, registry), is_given) in given {
        if Some(helper.as_str()) == old && !is_given {
            // What it did not give, it goes on answering.
            edit.helpers.push((registry.clone(), Some(helper.clone())));
        }
    }
    let named = file.helpers();
    let says = |registry: &str| named.iter().find(|(known, _)| *known == registry).map(|(_, helper)| *helper);
    // What it says already is no change. Otherwise a second run would write it again, and keep a backup without the logins.
    let is_news = |(registry, helper): &(String, Option<String>)| says(registry) != helper.as_deref();
    edit.helpers.retain(is_news);
    let has_empty = edit.helpers.iter().any(|(_, helper)| helper.as_deref() == Some(""));
    let asks_coffer = file.creds_store() == Some(NAME);
    if has_empty && file.location.for_containers {
        name_each(edit);
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
    edit.helpers.sort();
    edit.helpers.dedup();
}

fn is_ecr(settings: &Settings, registry: &str) -> bool {
    let server: Option<ServerKey> = registry.parse().ok();
    server.is_some_and(|server| matches!(routes::route(settings, &server).source, Source::Ecr(_)))
}

struct Planner<'a> {
    settings: &'a Settings,
    claims: Claims<'a>,
    report: Report,
}

/// What is known of a file while its secrets are looked at.
struct Context<'a> {
    number: usize,
    file: &'a AuthFile,
    /// The helper of each registry, by the registry's normal name.
    helpers: HashMap<String, String>,
    /// The registries of which podman finds a namespace's entry of its own.
    namespaced: HashSet<String>,
}

impl Planner<'_> {
    /// Claims what a helper gave.
    fn import(&mut self, import: &Import, given: &mut Given) {
        let helper = import.helper.as_str();
        let mut answer = |spelling: &str, is_given| {
            given.insert((helper.to_owned(), spelling.to_owned()), is_given);
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
        let left = refused.into_iter().map(|(key, reason)| Left { file: file.clone(), key, reason, is_failure: true });
        self.report.left.extend(left);
    }

    fn edit(&mut self, number: usize, file: &AuthFile) -> Edit {
        let mut edit = Edit::default();
        let context = Context::new(number, file);
        if file.location.client == Client::Containers {
            self.hand_over_ecr(file, &mut edit);
        }
        let mut logins = Vec::new();
        for finding in file.findings() {
            match (finding.content.clone(), file.treatment()) {
                (Content::Login(credential, note), treatment) if treatment != Treatment::Report => {
                    if let Some(note) = note {
                        self.report.notes.push(format!("{}: {}: {note}", file.location.path.display(), finding.key));
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
            self.login(&context, &mut edit, key, server, credential);
        }
        if file.treatment() == Treatment::Rewrite {
            self.answer_for_hosts(&context, &mut edit, &logins);
        }
        edit
    }

    /// Decides on one login of a file.
    fn login(&mut self, context: &Context, edit: &mut Edit, key: &str, server: &ServerKey, credential: &Credential) {
        let file = context.file;
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
                self.moved(context, edit, key, server);
                // Docker asks a helper that it names for every build; one that could only fail is not named.
                if self.keeps_token(server, credential) || file.location.client == Client::Containers {
                    name_helper(context, edit, key, &server.whole_registry());
                }
                return;
            }
            Source::Store => {}
        }
        if context.is_namespaced(server) {
            let reason = "podman asks helpers for whole registries only, and this file has a namespace of this one";
            go_on_from_file(context, edit, server);
            return self.leave(file, key, reason.into());
        }
        match self.claims.claim(server, credential, Some(context.number)) {
            Ok(Claim::Same) if file.treatment() == Treatment::Import => self.stays(file, key),
            Ok(Claim::Granted | Claim::Same) => {
                self.moved(context, edit, key, server);
                name_helper(context, edit, key, server);
            }
            Ok(Claim::Taken(user, by)) if by == Some(context.number) || context.is_dead(server) => {
                edit.scrub.insert(key.to_owned());
                let reason =
                    format!("given up for the login of {user}, which is what clients ask for; the backup holds it");
                self.leave(file, key, reason);
            }
            Ok(Claim::Taken(user, _)) => {
                go_on_from_file(context, edit, server);
                self.leave(file, key, taken(&user));
            }
            Err(error) => {
                go_on_from_file(context, edit, server);
                self.fail(file, key, error.to_string());
            }
        }
    }

    /// A login that Coffer answers for from now on.
    fn moved(&mut self, context: &Context, edit: &mut Edit, key: &str, server: &ServerKey) {
        let file = context.file;
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
        self.report.left.push(Left { file: file.location.path.clone(), key: key.into(), reason, is_failure: false });
    }

    fn fail(&mut self, file: &AuthFile, key: &str, reason: String) {
        let file = file.location.path.clone();
        self.report.left.push(Left { file, key: key.into(), reason, is_failure: true });
    }

    /// Whether a token for ECR still serves: then it is kept as `docker login` would keep it.
    fn keeps_token(&mut self, server: &ServerKey, credential: &Credential) -> bool {
        let whole = server.whole_registry();
        if !ecr::is_valid(credential, SystemTime::now()) {
            return false;
        }
        self.claims.is_taken(&whole) || self.claims.claim(&whole, credential, None).is_ok()
    }

    /// podman's `credHelpers` that name ecr-login.
    fn hand_over_ecr(&self, file: &AuthFile, edit: &mut Edit) {
        for (registry, helper) in file.helpers() {
            if helper == ECR_LOGIN && is_ecr(self.settings, registry) {
                edit.helpers.push((registry.to_owned(), Some(NAME.into())));
            }
        }
    }

    /// In their own files, Docker takes an entry with a path or a scheme for the whole host, and podman one with a scheme. The
    /// store would not, so what served a host alone is kept for the host too. The Hub is asked for by its URL, never by
    /// its host.
    fn answer_for_hosts(&mut self, context: &Context, edit: &mut Edit, logins: &[(String, ServerKey, Credential)]) {
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
            let path = context.file.location.path.display();
            let (key, _, credential) = parts[0];
            if parts.iter().any(|(_, _, other)| !other.is_same(credential)) {
                let note =
                    format!("{path}: several logins for parts of {host}, none for all of it; docker login {host}");
                self.report.notes.push(note);
                continue;
            }
            match self.claims.claim(&whole, credential, Some(context.number)) {
                Ok(Claim::Granted | Claim::Same) => {
                    self.moved(context, edit, key, &whole);
                    name_helper(context, edit, key, &whole);
                }
                Ok(Claim::Taken(..)) if context.is_dead(&whole) => {}
                Ok(Claim::Taken(user, _)) => {
                    self.keep(context, edit, &whole, parts.iter().map(|(key, ..)| key.as_str()));
                    parts.iter().for_each(|(key, ..)| self.leave(context.file, key, taken(&user)));
                }
                Err(error) => {
                    self.keep(context, edit, &whole, parts.iter().map(|(key, ..)| key.as_str()));
                    parts.iter().for_each(|(key, ..)| self.fail(context.file, key, error.to_string()));
                }
            }
        }
    }

    /// Leaves entries in the file after all: its client would be given another login for the host from now on, or none.
    fn keep<'k>(&mut self, context: &Context, edit: &mut Edit, host: &ServerKey, keys: impl Iterator<Item = &'k str>) {
        go_on_from_file(context, edit, host);
        for key in keys {
            edit.scrub.remove(key);
            self.report.moved.retain(|moved| moved.file != context.file.location.path || moved.key != key);
        }
    }
}

/// Has Docker go on taking a login from its file, unless it does not look there anyway.
fn go_on_from_file(context: &Context, edit: &mut Edit, server: &ServerKey) {
    let file = context.file;
    if is_like_docker(file) && file.creds_store().is_none() && context.helper(server).is_none() {
        edit.helpers.push((docker_name(server), Some(String::new())));
    }
}

/// Names Coffer as the helper of a registry, where that is the only way for a client to ask it, and takes out the empty name
/// that turns it off.
fn name_helper(context: &Context, edit: &mut Edit, key: &str, server: &ServerKey) {
    let location = &context.file.location;
    match context.helper(server) {
        Some("") => edit.helpers.push((docker_name(server), None)),
        Some(_) => {}
        None if location.for_containers && context.file.treatment() == Treatment::Rewrite && server.is_registry() => {
            edit.helpers.push((containers_name(key, server), Some(NAME.into())));
        }
        None => {}
    }
}

/// That two logins want one server's place, and what to do about it.
fn taken(user: &str) -> String {
    format!(
        "the store holds another login for it, of {user}; log out of one of them (docker-credential-coffer erase forgets the \
         store's), and migrate again"
    )
}

impl<'a> Context<'a> {
    fn new(number: usize, file: &'a AuthFile) -> Self {
        let parsed = |key: &str| key.parse::<ServerKey>().ok();
        let registry = |key: &str| Some(parsed(key)?.registry()?.to_owned());
        let helpers = file.helpers().into_iter();
        let helpers = helpers.filter_map(|(key, helper)| Some((registry(key)?, helper.to_owned()))).collect();
        let of_namespace = |finding: Finding| {
            let server = parsed(&finding.key)?;
            let is_part = !server.is_registry() && !server.is_http() && !finding.key.contains("://");
            server.registry().filter(|_| is_part).map(str::to_owned)
        };
        let mut namespaced: HashSet<String> = HashSet::new();
        if file.location.for_containers {
            namespaced.extend(file.findings().into_iter().filter_map(of_namespace));
        }
        if file.location.client != Client::Containers && !namespaced.is_empty() {
            // Docker serves the whole host with any of them. So does the store, if they are all the same.
            let mut first: HashMap<String, Credential> = HashMap::new();
            let mut differing = HashSet::new();
            for finding in file.findings() {
                let Some(host) = registry(&finding.key) else { continue };
                let Some(login) = finding.into_login() else { continue };
                if !first.entry(host.clone()).or_insert_with(|| login.clone()).is_same(&login) {
                    differing.insert(host);
                }
            }
            namespaced.retain(|host| differing.contains(host));
        }
        Self { number, file, helpers, namespaced }
    }

    fn is_namespaced(&self, server: &ServerKey) -> bool {
        server.registry().is_some_and(|registry| self.namespaced.contains(registry))
    }

    /// The helper that the file names for a server's registry. An empty one is none, not even the store.
    fn helper(&self, server: &ServerKey) -> Option<&str> {
        self.helpers.get(server.registry()?).map(String::as_str)
    }

    /// Whether the file's clients ask a helper for this server, so that an entry in the file is never used. podman and its kin
    /// do not look at `credsStore`.
    fn is_dead(&self, server: &ServerKey) -> bool {
        match self.helper(server) {
            Some(helper) => !helper.is_empty(),
            None if self.file.location.for_containers && is_like_docker(self.file) => false,
            None => self.file.creds_store().is_some() || self.file.treatment() == Treatment::Remove,
        }
    }
}

/// The name by which Docker asks `credHelpers` for a registry.
fn docker_name(server: &ServerKey) -> String {
    match server.registry() {
        Some("docker.io") | None => DOCKER_HUB.into(),
        Some(registry) => registry.into(),
    }
}

/// The name by which podman, skopeo and buildah ask `credHelpers`: `docker.io`, or the host as it was spelled.
fn containers_name(key: &str, server: &ServerKey) -> String {
    if server.registry() == Some("docker.io") {
        return "docker.io".into();
    }
    let host = key.split_once("://").map_or(key, |(_, rest)| rest);
    host.split('/').next().unwrap_or(host).into()
}

fn left(file: &Path, finding: Finding) -> Left {
    let reason = match finding.content {
        Content::Fixed(reason, advice) => format!("{reason}; {advice}"),
        Content::Login(..) => "its client asks no helper".into(),
    };
    Left { file: file.into(), key: finding.key, reason, is_failure: false }
}
