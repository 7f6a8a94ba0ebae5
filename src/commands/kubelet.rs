//! `kubelet`: the kubelet's credential provider (`credentialprovider.kubelet.k8s.io/v1`), over the same routes.
//!
//! One request on standard input, one response on standard output. Decoded as strictly as the kubelet decodes: an unknown
//! field or version may mean something that would be got wrong here.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::tell;
use crate::credential::{IDENTITY_TOKEN, read_wiped};
use crate::deadline;
use crate::error::{Error, Result};
use crate::routes;
use crate::settings::Settings;

const API_VERSION: &str = "credentialprovider.kubelet.k8s.io/v1";

/// The longest request that is read, in bytes: an image's name, and a service account's token and annotations.
const MAX_REQUEST: usize = 1 << 20;

/// Answer the kubelet, which calls this as a credential provider.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The kubelet's CredentialProviderConfig names this program, with args: [\"kubelet\"]; see docs/clients.md."
)]
pub struct Arguments {}

/// What the kubelet asks. A service account's token is of no use here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Request {
    api_version: String,
    kind: String,
    image: String,
    #[serde(default, rename = "serviceAccountToken")]
    _service_account_token: serde::de::IgnoredAny,
    #[serde(default, rename = "serviceAccountAnnotations")]
    _service_account_annotations: serde::de::IgnoredAny,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    api_version: &'static str,
    kind: &'static str,
    cache_key_type: &'static str,
    /// Left out: what the kubelet's configuration says.
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_duration: Option<String>,
    auth: BTreeMap<String, Auth<'a>>,
}

#[derive(Serialize)]
struct Auth<'a> {
    username: &'a str,
    password: &'a str,
}

pub(super) fn run(settings: &Settings, out: &mut dyn Write) -> Result<()> {
    // The kubelet ends what takes a minute, and says nothing of why.
    deadline::start(|error| {
        tell(error);
        tell(format_args!("hint: {}", error.hint().unwrap_or_default()));
    });
    let bytes = read_wiped(&mut io::stdin().lock(), MAX_REQUEST)
        .map_err(|source| Error::Stdio { action: "read standard input", source })?;
    let image = image(&bytes)?;
    let found = routes::get(settings, &image.repository)?;
    let mut response = Response {
        api_version: API_VERSION,
        kind: "CredentialProviderResponse",
        // A namespace may have a credential of its own.
        cache_key_type: "Image",
        cache_duration: None,
        auth: BTreeMap::new(),
    };
    match found.as_ref().filter(|found| !found.credential.is_empty()) {
        // It would be sent as a password, which no registry takes.
        Some(found) if found.credential.username == IDENTITY_TOKEN => {
            return Err(Error::Command {
                message: format!(
                    "what is held for {} is an identity token, which the kubelet cannot use",
                    image.registry
                ),
                cure: "log in with a user and a password, or an access token in its place".into(),
            });
        }
        Some(found) => {
            if let Some(warning) = &found.warning {
                tell(format_args!("an older token is answered: {warning}"));
            }
            response.cache_duration = found.expires.map(half_of_what_remains);
            let (username, password) = (found.credential.username.as_str(), found.credential.secret.expose_secret());
            response.auth.insert(image.registry, Auth { username, password });
        }
        // A login may come at any moment.
        None => response.cache_duration = Some("0s".into()),
    }
    let mut text = Zeroizing::new(serde_json::to_vec(&response).map_err(|_| Error::Internal("kubelet".into()))?);
    text.push(b'\n');
    deadline::answering();
    out.write_all(&text).map_err(Error::output)
}

/// What is to be pulled, without tag and digest.
#[derive(Debug, PartialEq, Eq)]
pub struct Image {
    /// As the image spells it: the kubelet compares letter by letter, and the port too.
    pub registry: String,
    /// With the registry: the namespace that a credential may be for.
    pub repository: String,
}

/// The image of a request, as JSON.
pub fn image(request: &[u8]) -> Result<Image> {
    let refused = |message: String| Error::Command {
        message,
        cure: format!("configure the provider with apiVersion: {API_VERSION}"),
    };
    // Not serde's own words, which may quote the service account's token.
    let request: Request = serde_json::from_slice(request).map_err(|error| {
        refused(format!("not a request of the kubelet, at line {} column {}", error.line(), error.column()))
    })?;
    if request.api_version != API_VERSION || request.kind != "CredentialProviderRequest" {
        return Err(refused("a request of another version than this one knows".into()));
    }
    let name = request.image.split('@').next().unwrap_or_default();
    let (rest, last) = name.rsplit_once('/').unwrap_or(("", name));
    let last = last.split(':').next().unwrap_or_default();
    if last.is_empty() {
        // Otherwise it would be the Hub, and its credential the answer.
        return Err(refused("a request that names no image".into()));
    }
    let host = rest.split('/').next().unwrap_or_default();
    // Docker's rule for what is a registry, and what a namespace of the Hub.
    let has_host = host.contains(['.', ':']) || host == "localhost" || host.chars().any(char::is_uppercase);
    let registry = if has_host { host } else { "docker.io" };
    let path = if has_host { &rest[host.len()..] } else { rest };
    let parts = [registry, path.trim_start_matches('/'), last].into_iter().filter(|part| !part.is_empty());
    Ok(Image { registry: registry.into(), repository: parts.collect::<Vec<_>>().join("/") })
}

/// As the kubelet's own provider for ECR does: so no token is used in its last hours.
fn half_of_what_remains(expires: SystemTime) -> String {
    let rest = expires.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO);
    format!("{}s", rest.as_secs() / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_asked_for_by_its_repository() {
        let request = |image: &str| {
            format!(r#"{{"apiVersion":"{API_VERSION}","kind":"CredentialProviderRequest","image":"{image}"}}"#)
        };
        let ecr = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
        for (text, registry, path) in [
            ("ghcr.io/org/app:1.2", "ghcr.io", "org/app"),
            ("GHCR.io:443/org/app", "GHCR.io:443", "org/app"),
            ("Images/app", "Images", "app"),
            ("nginx:1", "docker.io", "nginx"),
            ("library/nginx", "docker.io", "library/nginx"),
            ("localhost:5000/app", "localhost:5000", "app"),
            ("localhost:5000/app:1@sha256:00", "localhost:5000", "app"),
            (&format!("{ecr}/a/b@sha256:00"), ecr, "a/b"),
        ] {
            let expected = Image { registry: registry.into(), repository: format!("{registry}/{path}") };
            assert_eq!(image(request(text).as_bytes()).unwrap(), expected);
        }
    }
}
