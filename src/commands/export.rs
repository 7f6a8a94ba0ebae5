//! `export`: a credential in the form of something that cannot call a helper. The only command that prints secrets.

use std::io::{self, IsTerminal, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::{examples, tell};
use crate::credential::{Credential, IDENTITY_TOKEN, Login};
use crate::error::{Error, Result};
use crate::routes;
use crate::server::ServerKey;
use crate::settings::Settings;

/// Print credentials for what cannot call a helper.
#[derive(Debug, clap::Args)]
#[command(after_help = examples(&[
    "export --format password ghcr.io |\n      docker login -u alice --password-stdin ghcr.io",
    "export --format header ghcr.io |\n      curl -H @- https://ghcr.io/v2/",
    "export --format kubernetes --name pull ghcr.io |\n      kubectl apply -f -",
    "export --format ecs-docker ghcr.io |\n      sudo sh -c 'f=/etc/ecs/ecs.config; touch $f; chmod 600 $f; cat >> $f'",
]))]
pub struct Arguments {
    /// In which form.
    #[arg(long, value_enum)]
    format: Format,
    /// The name of the Secret, with kubernetes.
    #[arg(long, default_value = "registry-credentials")]
    name: String,
    /// The registries, as a client would name them; password and header take one.
    #[arg(required = true, value_name = "SERVER")]
    servers: Vec<String>,
}

/// The forms in which a credential is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// The helper protocol's answer, one a line.
    Json,
    /// The secret alone, for docker login --password-stdin.
    Password,
    /// An HTTP header, for curl -H @-.
    Header,
    /// A config.json.
    DockerConfig,
    /// The manifest of a pull secret.
    Kubernetes,
    /// Two lines of ecs.config, type docker.
    EcsDocker,
    /// Two lines of ecs.config, type dockercfg.
    EcsDockercfg,
}

/// A credential, and how it was asked for.
struct Exported {
    request: String,
    server: ServerKey,
    credential: Credential,
}

pub(super) fn run(arguments: &Arguments, settings: &Settings, out: &mut dyn Write) -> Result<()> {
    let takes_one = matches!(arguments.format, Format::Password | Format::Header);
    if takes_one && arguments.servers.len() > 1 {
        return Err(Error::Command {
            message: "this format is of one credential".into(),
            cure: "name one registry".into(),
        });
    }
    let found: Vec<Exported> = arguments.servers.iter().map(|server| find(settings, server)).collect::<Result<_>>()?;
    let text = match arguments.format {
        Format::Json => json_lines(&found),
        Format::Password => line(found[0].credential.secret.expose_secret()),
        Format::Header => header(&found[0])?,
        Format::DockerConfig => line(&docker_config(&found).to_string()),
        Format::Kubernetes => line(&kubernetes(&found, &arguments.name).to_string()),
        Format::EcsDocker => ecs("docker", &of_host(&found, ecs_docker)?),
        Format::EcsDockercfg => ecs("dockercfg", &of_host(&found, ecs_dockercfg)?),
    };
    if io::stdout().is_terminal() {
        tell("what follows is secret; it stays in the terminal's scrollback");
    }
    out.write_all(&text).map_err(Error::output)
}

fn find(settings: &Settings, request: &str) -> Result<Exported> {
    let request = request.trim().to_owned();
    let server: ServerKey = request.parse()?;
    let found = routes::get(settings, &request)?.filter(|found| !found.credential.is_empty()).ok_or_else(|| {
        Error::Command {
            message: format!("nothing is held for {server}"),
            cure: format!("docker login to it, or see docker-credential-coffer explain {server}"),
        }
    })?;
    if let Some(warning) = found.warning {
        tell(format_args!("an older token is printed: {warning}"));
    }
    Ok(Exported { request, server, credential: found.credential })
}

fn line(text: &str) -> Zeroizing<Vec<u8>> {
    let mut line = Zeroizing::new(Vec::with_capacity(text.len() + 1));
    line.extend_from_slice(text.as_bytes());
    line.push(b'\n');
    line
}

fn json_lines(found: &[Exported]) -> Zeroizing<Vec<u8>> {
    let lines = found.iter().map(|found| Login::to_json(&found.request, &found.credential));
    Zeroizing::new(lines.flat_map(|line| line.to_vec()).collect())
}

/// `USER:PASSWORD` in base64. An identity token is none: it is exchanged for others, and no registry takes it so. Nor is
/// a user with a colon (RFC 7617): readers split at the first.
fn basic(found: &Exported) -> Result<Zeroizing<String>> {
    let Credential { username, secret } = &found.credential;
    if username == IDENTITY_TOKEN {
        return Err(identity_token(found));
    }
    if username.contains(':') {
        return Err(Error::Command {
            message: format!("the user of {} has a colon in its name, which this format cannot carry", found.server),
            cure: "log in as another user, or use json, docker-config or ecs-docker".into(),
        });
    }
    let pair = Zeroizing::new(format!("{username}:{}", secret.expose_secret()));
    Ok(Zeroizing::new(STANDARD.encode(pair.as_bytes())))
}

fn identity_token(found: &Exported) -> Error {
    Error::Command {
        message: format!("what is held for {} is an identity token, which this format cannot carry", found.server),
        cure: "log in with a user and a password (or an access token in its place), or use docker-config".into(),
    }
}

fn header(found: &Exported) -> Result<Zeroizing<Vec<u8>>> {
    Ok(line(&format!("Authorization: Basic {}", *basic(found)?)))
}

fn docker_config(found: &[Exported]) -> Value {
    let entry = |found: &Exported| {
        let Credential { username, secret } = &found.credential;
        match basic(found) {
            Ok(pair) => json!({ "auth": *pair }),
            Err(_) if username == IDENTITY_TOKEN => json!({ "identitytoken": secret.expose_secret() }),
            Err(_) => json!({ "username": username, "password": secret.expose_secret() }),
        }
    };
    let auths: Map<String, Value> = found.iter().map(|found| (found.server.name().to_owned(), entry(found))).collect();
    json!({ "auths": auths })
}

fn kubernetes(found: &[Exported], name: &str) -> Value {
    // Kubernetes' `DockerConfigEntry` has no field for one; a build that mounts the Secret as a config.json does read it.
    for token in found.iter().filter(|found| found.credential.username == IDENTITY_TOKEN) {
        tell(format_args!("what is held for {} is an identity token, which the kubelet does not read", token.server));
    }
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": name },
        "type": "kubernetes.io/dockerconfigjson",
        "data": { ".dockerconfigjson": STANDARD.encode(docker_config(found).to_string()) },
    })
}

fn of_host(found: &[Exported], entry: impl Fn(&Exported) -> Result<Value>) -> Result<Map<String, Value>> {
    found.iter().map(|found| Ok((found.server.name().to_owned(), entry(found)?))).collect()
}

/// The agent sends `email` on, and wants one.
fn ecs_docker(found: &Exported) -> Result<Value> {
    let Credential { username, secret } = &found.credential;
    if username == IDENTITY_TOKEN {
        return Err(identity_token(found));
    }
    Ok(json!({ "username": username, "password": secret.expose_secret(), "email": "" }))
}

fn ecs_dockercfg(found: &Exported) -> Result<Value> {
    Ok(json!({ "auth": *basic(found)?, "email": "" }))
}

/// The agent unquotes nothing, so nothing is quoted.
fn ecs(kind: &str, data: &Map<String, Value>) -> Zeroizing<Vec<u8>> {
    let data = Zeroizing::new(serde_json::to_string(data).unwrap_or_default());
    line(&format!("ECS_ENGINE_AUTH_TYPE={kind}\nECS_ENGINE_AUTH_DATA={}", *data))
}
