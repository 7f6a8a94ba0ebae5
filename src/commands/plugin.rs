//! Called as `docker-coffer`, this program is a plugin of the docker CLI: `docker coffer migrate`.
//!
//! The CLI asks every plugin what it is, and calls it with the name of its command first (docker/cli, `cli-plugins`).

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches};
use serde_json::json;

use super::{Arguments, exit};
use crate::search_path::PROGRAM;

/// The name by which the CLI finds it.
pub const PLUGIN: &str = "docker-coffer";

/// The command that it adds.
const COMMAND: &str = "coffer";

/// How it is called then.
const BY_PLUGIN: &str = "docker coffer";

/// The argument by which the CLI asks what a plugin is.
const METADATA: &str = "docker-cli-plugin-metadata";

/// The CLI's options that take a value (docker/cli, `cli/flags`), which may stand before the command.
const VALUED: [&str; 9] =
    ["-c", "--context", "-H", "--host", "-l", "--log-level", "--tlscacert", "--tlscert", "--tlskey"];

/// Whether a program's name, of a link to it as well, is the plugin's.
pub fn is_called_by(name: &OsStr) -> bool {
    Path::new(name).file_name().is_some_and(|name| name == PLUGIN)
}

/// What the CLI wants.
#[derive(Debug)]
pub enum Call {
    /// To know what this is: the answer.
    Metadata(String),
    /// A command of a person.
    Command(Arguments),
}

impl Call {
    /// Reads the arguments. Wrong usage exits with 2, `--help` with 0.
    pub fn read(arguments: &[OsString]) -> Self {
        if arguments.first().is_some_and(|first| first == METADATA) {
            return Self::Metadata(metadata());
        }
        let mut command = with_own_examples(Arguments::command()).bin_name(BY_PLUGIN);
        let mut arguments =
            own(arguments).unwrap_or_else(|message| command.error(ErrorKind::UnknownArgument, message).exit());
        arguments.insert(0, PLUGIN.into());
        let matches = command.try_get_matches_from(arguments);
        let arguments = matches.and_then(|matches| Arguments::from_arg_matches(&matches));
        Self::Command(arguments.unwrap_or_else(|error| exit(error)))
    }
}

/// A command whose examples, and those of its own commands, are called as this one is.
fn with_own_examples(command: clap::Command) -> clap::Command {
    let command = command.mut_subcommands(with_own_examples);
    let Some(help) = command.get_after_help().map(ToString::to_string) else { return command };
    command.after_help(help.replace(&format!("\n  {PROGRAM} "), &format!("\n  {BY_PLUGIN} ")))
}

/// The arguments without those that are the docker CLI's own: it passes on its whole command line.
fn own(arguments: &[OsString]) -> Result<Vec<OsString>, &'static str> {
    let mut all = arguments.iter();
    let mut own = Vec::new();
    while let Some(argument) = all.next() {
        let text = argument.to_string_lossy();
        let (name, value) = text.split_once('=').map_or((&*text, None), |(name, value)| (name, Some(value)));
        if name == "--config" {
            return Err("--config does not reach docker coffer; set DOCKER_CONFIG instead");
        } else if VALUED.contains(&name) {
            if value.is_none() {
                all.next();
            }
        } else if text == COMMAND {
            own.extend(all.cloned());
            return Ok(own);
        } else if text == "help" {
            own.push(argument.clone());
        } else if !text.starts_with('-') {
            break;
        }
    }
    // Called by hand.
    Ok(arguments.to_vec())
}

fn metadata() -> String {
    json!({
        "SchemaVersion": "0.1.0",
        "Vendor": "Coffer",
        "Version": env!("CARGO_PKG_VERSION"),
        "ShortDescription": "Registry logins kept encrypted, and tokens for Amazon ECR",
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own_of(line: &str) -> Result<String, &'static str> {
        let words = own(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>())?;
        Ok(words.iter().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn what_the_cli_keeps_for_itself_is_left_out() {
        for (line, expected) in [
            ("coffer ls", "ls"),
            ("coffer", ""),
            ("coffer explain coffer", "explain coffer"),
            ("-D -c coffer --tlsverify --host=unix:///x coffer ls --json", "ls --json"),
            ("help coffer", "help"),
            ("help coffer migrate", "help migrate"),
            ("-D help coffer", "help"),
            ("ls", "ls"),
            ("--help", "--help"),
            ("explain coffer", "explain coffer"),
            ("", ""),
        ] {
            assert_eq!(own_of(line).as_deref(), Ok(expected), "{line}");
        }
        assert!(own_of("--config /x coffer ls").is_err() && own_of("--config=/x coffer ls").is_err());
    }
}
