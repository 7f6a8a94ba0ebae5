//! `audit`: finds registry secrets that lie in plaintext, and changes nothing. For people, and for fleet tools.

use std::io::Write;
use std::path::PathBuf;

use serde::Serialize;

use super::{examples, printable, write_json};
use crate::auth_files::{self, Client, Content, Kind, Treatment};
use crate::error::{Error, Result};
use crate::migration::{self, Found, Scope};
use crate::server::ServerKey;

/// Find registry secrets that lie in plaintext.
///
/// Changes nothing; exits with 1 if there are any.
#[derive(Debug, clap::Args)]
#[command(after_help = examples(&[
    "audit",
    "audit ~/.docker/config.json /root/.docker/config.json",
    "audit --json | jq -r '.findings[].file'",
]))]
pub struct Arguments {
    /// Print the findings for programs.
    #[arg(long)]
    json: bool,
    /// Files to look at, instead of all that clients find.
    files: Vec<PathBuf>,
}

#[derive(Serialize)]
struct Audit {
    clean: bool,
    findings: Vec<Row>,
}

/// One secret, and what to do about it.
#[derive(Serialize)]
struct Row {
    #[serde(serialize_with = "migration::shown_path")]
    file: PathBuf,
    client: Client,
    key: String,
    kind: Kind,
    fixable: bool,
    advice: String,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<()> {
    let scope = Scope { files: arguments.files.clone(), ..Scope::default() };
    let found = migration::audit(&scope)?;
    let counted = migration::counted_findings(&found);
    let findings: Vec<Row> = found.into_iter().map(row).collect();
    let audit = Audit { clean: findings.is_empty(), findings };
    if arguments.json {
        write_json(out, &audit)?;
    } else {
        for Row { file, key, advice, .. } in &audit.findings {
            let line = migration::line(file, key, advice);
            writeln!(out, "{}", printable(&line)).map_err(Error::output)?;
        }
    }
    if audit.clean {
        return Ok(());
    }
    Err(Error::Command {
        message: format!("found in plaintext: {counted}"),
        cure: "docker-credential-coffer migrate --dry-run shows what it would do about them".into(),
    })
}

fn row(found: Found) -> Row {
    let Found { file, client, treatment, finding } = found;
    let goes = matches!(treatment, Treatment::Rewrite | Treatment::Remove);
    let (fixable, advice) = match &finding.content {
        Content::Login(..) if finding.key.parse::<ServerKey>().is_err() => {
            (false, "its name is no registry's; remove it, or name the registry".to_owned())
        }
        Content::Login(..) if goes => (true, "docker-credential-coffer migrate moves it into the store".to_owned()),
        Content::Login(..) => (
            false,
            "its reader knows no helper; let root alone read the file, or use the instance's own role or identity"
                .to_owned(),
        ),
        Content::Fixed(reason, advice) => (client == Client::EcrLogin, format!("{reason}; {advice}")),
    };
    Row { file, client, key: auth_files::shown(&finding.key), kind: finding.kind, fixable, advice }
}
