//! Files in which clients keep registry secrets in plaintext: where they lie, what they hold, and how each is written
//! without it.
//!
//! What is found is described, never judged: which secrets can be moved where is the migration's affair.

use std::collections::HashSet;
use std::path::Path;

use serde::Serialize;
use zeroize::Zeroizing;

use crate::credential::Credential;
use crate::error::{Error, Result};
use crate::foreign_file::{Change, ForeignFile};

pub mod docker;
mod dockercfg;
pub(crate) mod document;
mod ecs;
pub mod entry;
mod environment;
mod kubernetes;
pub mod locations;
#[cfg(test)]
mod properties;
mod regctl;
pub mod registries_conf;
mod token_cache;

use document::{Document, NotJson};
pub use environment::{ENVIRONMENT, environment};
pub use locations::Location;

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Client {
    /// Docker's `config.json`, and those of programs that read it as Docker does.
    Docker,
    /// The configurations that buildx keeps for single registries and scopes.
    Buildx,
    /// `auth.json` of podman, skopeo and buildah.
    Containers,
    /// Docker's file of before 2015.
    Dockercfg,
    /// Helm's registry configuration.
    Helm,
    /// regclient's `regctl`.
    Regctl,
    /// The agent of Amazon ECS.
    Ecs,
    /// The kubelet, and pull secrets for it.
    Kubelet,
    /// The cache of docker-credential-ecr-login.
    EcrLogin,
    /// A variable.
    Environment,
}

/// What can be done with a client's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// Its secrets go to the store, and it asks Coffer from then on.
    Rewrite,
    /// Its secrets go to the store, and nobody needs it any more.
    Remove,
    /// Its secrets can be read, but its reader knows no helper.
    Import,
    /// It is only told of.
    Report,
}

/// What kind of secret lies there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A user's password, or a token in its place.
    Password,
    /// An identity (refresh) token.
    IdentityToken,
    /// A registry token, which no helper can carry.
    RegistryToken,
    /// Tokens that a helper cached.
    TokenCache,
    /// A password within a proxy's URL.
    ProxyPassword,
    /// An HTTP header that is sent to Docker.
    HttpHeader,
    /// Something that nobody could use, and that may be a secret all the same.
    Undecodable,
}

/// One secret that lies in plaintext.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The entry's name, as it stands there.
    pub key: String,
    /// What it is.
    pub kind: Kind,
    /// The secret itself, or why it has to stay.
    pub content: Content,
}

/// What can be done about a secret.
#[derive(Debug, Clone)]
pub enum Content {
    /// A login that a store can hold. The note says what is odd about it.
    Login(Credential, Option<&'static str>),
    /// Nothing that a store can hold: the reason, and what to do.
    Fixed(String, String),
}

impl Content {
    fn fixed(reason: &str, advice: &str) -> Self {
        Self::Fixed(reason.into(), advice.into())
    }
}

impl Finding {
    /// The login, if a store can hold it.
    pub fn into_login(self) -> Option<Credential> {
        match self.content {
            Content::Login(credential, _) => Some(credential),
            Content::Fixed(..) => None,
        }
    }

    /// What an entry of `auths` holds.
    fn of_entry(key: &str, entry: &serde_json::Value) -> Vec<Self> {
        let finding = |kind, content| Self { key: key.to_owned(), kind, content };
        let mut findings = Vec::new();
        match entry::read(entry) {
            Ok(None) => {}
            Ok(Some(held)) => {
                let note =
                    held.contradicts_itself.then_some("its username and password differ from auth, which counts");
                findings.push(finding(held.kind, Content::Login(held.credential, note)));
            }
            Err(reason) => findings.push(finding(
                Kind::Undecodable,
                Content::fixed(
                    reason,
                    "no client can use it, and Docker drops others with it: remove it, and log in again",
                ),
            )),
        }
        if entry::has_registry_token(entry) {
            let reason = "a registry token, which no helper can carry";
            findings.push(finding(
                Kind::RegistryToken,
                Content::fixed(reason, "log in with a password or an identity token"),
            ));
        }
        findings
    }
}

/// An entry's name as it may be told. Whoever wrote `https://user:password@host` there meant no name, and a token may stand in
/// either place. No name of a server holds an `@`, so the last one counts, whatever a password has before it.
pub fn shown(key: &str) -> String {
    let start = key.find("://").map_or(0, |at| at + 3);
    match key[start..].rsplit_once('@') {
        Some((_, host)) => format!("{}***@{host}", &key[..start]),
        None => key.to_owned(),
    }
}

/// How a file is to be changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Edit {
    /// The entries that lose their secrets.
    pub scrub: HashSet<String>,
    /// What `credsStore` is to say.
    pub creds_store: Option<String>,
    /// What `credHelpers` is to say of registries; `None`: nothing any more.
    pub helpers: Vec<(String, Option<String>)>,
}

impl Edit {
    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A client's file that was read.
pub struct AuthFile {
    /// Where it was found, and whose it is.
    pub location: Location,
    file: ForeignFile,
    shape: Shape,
}

/// What a file looks like inside.
enum Shape {
    /// An object with `auths`.
    Config(Document),
    /// The entries alone.
    Bare(Document),
    /// Anything that is never written again.
    Other(Vec<Finding>),
}

impl AuthFile {
    /// Reads a file; `None` if it does not exist.
    pub fn read(location: Location) -> Result<Option<Self>> {
        let file = Self::docker(location)?;
        Ok(file.bytes().is_some().then_some(file))
    }

    /// Reads Docker's configuration; one that does not exist says nothing.
    pub fn docker(location: Location) -> Result<Self> {
        let file = ForeignFile::read(&location.path)?;
        Self::of(location, file)
    }

    /// A client's file that says this. For tests and fuzz targets, which would otherwise write one for each text.
    #[cfg(any(test, fuzzing))]
    pub fn of_text(client: Client, text: &[u8]) -> Result<Self> {
        let location = Location {
            path: "file".into(),
            client,
            for_containers: client == Client::Containers,
            leftover_of: None,
            is_system: false,
        };
        Self::of(location, ForeignFile::of_text(text))
    }

    fn of(location: Location, file: ForeignFile) -> Result<Self> {
        let shape = shape(&location, file.bytes().unwrap_or_default())?;
        Ok(Self { location, file, shape })
    }

    /// Where it lies, symbolic links followed.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// What it held when it was read; `None` if it did not exist.
    pub fn bytes(&self) -> Option<&[u8]> {
        self.file.bytes()
    }

    /// Every secret in it, in its order.
    pub fn findings(&self) -> Vec<Finding> {
        match &self.shape {
            Shape::Config(document) => docker::findings(document),
            Shape::Bare(document) => dockercfg::findings(document),
            Shape::Other(findings) => findings.clone(),
        }
    }

    /// What can be done with it.
    pub fn treatment(&self) -> Treatment {
        match (self.location.client, &self.shape) {
            _ if self.location.leftover_of.is_some() => Treatment::Remove,
            (Client::EcrLogin, Shape::Other(tokens)) if tokens.is_empty() => Treatment::Report,
            (Client::EcrLogin, _) => Treatment::Remove,
            (Client::Dockercfg, Shape::Other(_)) => Treatment::Remove,
            (Client::Ecs | Client::Kubelet, _) => Treatment::Import,
            (Client::Regctl | Client::Environment, _) => Treatment::Report,
            (Client::Docker | Client::Buildx | Client::Containers | Client::Dockercfg | Client::Helm, _) => {
                Treatment::Rewrite
            }
        }
    }

    /// The helper that answers for every registry.
    pub fn creds_store(&self) -> Option<&str> {
        self.config().and_then(docker::creds_store)
    }

    /// The helpers that answer for single registries, by the spelling that stands there.
    pub fn helpers(&self) -> Vec<(&str, &str)> {
        self.config().map(docker::helpers).unwrap_or_default()
    }

    /// The entries that stand there, markers among them.
    pub fn keys(&self) -> Vec<&str> {
        match &self.shape {
            Shape::Config(document) => docker::entries(document).map(|(key, _)| key).collect(),
            Shape::Bare(document) => document.0.iter().map(|(key, _)| key.as_str()).collect(),
            Shape::Other(_) => Vec::new(),
        }
    }

    fn config(&self) -> Option<&Document> {
        match &self.shape {
            Shape::Config(document) => Some(document),
            Shape::Bare(_) | Shape::Other(_) => None,
        }
    }

    /// Writes the file with an edit made, if it still is as it was read; one that nobody needs is removed.
    pub fn change(&self, edit: &Edit) -> Result<Change> {
        if self.treatment() == Treatment::Remove {
            return self.file.remove();
        }
        self.file.replace(&self.edited(edit)?)
    }

    /// The text of the file with an edit made.
    pub fn edited(&self, edit: &Edit) -> Result<Zeroizing<Vec<u8>>> {
        match &self.shape {
            Shape::Config(document) => docker::edited(document, edit).to_json(),
            Shape::Bare(document) => dockercfg::edited(document, edit).to_json(),
            Shape::Other(_) => Err(Error::Internal("a file that is never written".into())),
        }
    }
}

fn shape(location: &Location, bytes: &[u8]) -> Result<Shape> {
    let not_json = |error: NotJson| Error::BadAuthFile { path: location.path.clone(), problem: error.to_string() };
    let parsed = || Document::parse(bytes).map_err(not_json);
    Ok(match location.client {
        // Of a run that was killed while it wrote: it holds what stands in the file itself.
        _ if location.leftover_of.is_some() && Document::parse(bytes).is_err() => Shape::Other(Vec::new()),
        Client::Docker | Client::Buildx | Client::Containers | Client::Helm | Client::Environment => {
            Shape::Config(parsed()?)
        }
        Client::Dockercfg => match dockercfg::two_lines(bytes) {
            Some(findings) => Shape::Other(findings),
            None => Shape::Bare(parsed()?),
        },
        Client::Kubelet => Shape::Other(kubernetes::findings(&parsed()?)),
        Client::Regctl => Shape::Other(regctl::findings(&parsed()?)),
        Client::EcrLogin => Shape::Other(token_cache::findings(&parsed()?).ok_or_else(|| Error::BadAuthFile {
            path: location.path.clone(),
            problem: "is not a cache of docker-credential-ecr-login".into(),
        })?),
        Client::Ecs => Shape::Other(ecs::findings(bytes).map_err(not_json)?),
    })
}
