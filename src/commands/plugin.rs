//! Called as `docker-coffer`, this program is a plugin of the docker CLI: `docker coffer migrate`.
//!
//! The CLI asks every plugin what it is, and calls it with the name of its command first (docker/cli, `cli-plugins`).

use std::env;
use std::ffi::OsString;
use std::path::Path;

use clap::{CommandFactory, FromArgMatches};
use serde_json::json;

use super::Arguments;

/// The name by which the docker CLI finds its plugin.
pub const PROGRAM: &str = "docker-coffer";

/// The command that it adds.
const COMMAND: &str = "coffer";

/// The argument by which the CLI asks what a plugin is.
const METADATA: &str = "docker-cli-plugin-metadata";

/// What the CLI wants.
#[derive(Debug)]
pub enum Call {
    /// To know what this is: the answer.
    Metadata(String),
    /// A command of a person.
    Command(Arguments),
}

/// Whether this process was called by the plugin's name.
pub fn is_called() -> bool {
    env::args_os().next().is_some_and(|name| Path::new(&name).file_name().is_some_and(|name| name == PROGRAM))
}

impl Call {
    /// Reads the arguments. clap itself exits with 2 for wrong usage, and with 0 for `--help`.
    pub fn read() -> Self {
        let mut arguments: Vec<OsString> = env::args_os().skip(1).collect();
        if arguments.first().is_some_and(|first| first == METADATA) {
            return Self::Metadata(metadata());
        }
        if arguments.first().is_some_and(|first| first == COMMAND) {
            arguments.remove(0);
        }
        arguments.insert(0, PROGRAM.into());
        let command = Arguments::command().bin_name(format!("docker {COMMAND}"));
        let matches = command.get_matches_from(arguments);
        Self::Command(Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()))
    }
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
