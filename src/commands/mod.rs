//! The commands for people, one file a verb. Data goes to the writer, everything else to standard error.

use std::io::{self, BufRead, IsTerminal, Write};
use std::time::SystemTime;

use clap::{CommandFactory, Parser, Subcommand};
use jiff::Timestamp;

use crate::error::{Error, Result, one_line};
use crate::settings::Settings;

mod explain;
mod key;
mod key_show;
mod lock;
mod ls;
mod mfa;
mod recipients;
mod setup;
mod unlock;

/// Docker credential helper that keeps every registry login encrypted and mints Amazon ECR tokens.
#[derive(Debug, Parser)]
#[command(
    name = "docker-credential-coffer",
    bin_name = "docker-credential-coffer",
    disable_version_flag = true,
    after_help = "Clients call it with one of: get, store, erase, list, version.\n\
                  Configuration: ~/.config/coffer/config.toml. COFFER_LOG=debug shows which way a request goes."
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Setup(setup::Arguments),
    Ls(ls::Arguments),
    Explain(explain::Arguments),
    Mfa(mfa::Arguments),
    Unlock(unlock::Arguments),
    Lock(lock::Arguments),
    Key(key::Arguments),
    Recipients(recipients::Arguments),
}

/// Whether a first argument is for this face of the program, not for the protocol.
pub fn knows(argument: &str) -> bool {
    matches!(argument, "help" | "-h" | "--help") || Arguments::command().find_subcommand(argument).is_some()
}

impl Arguments {
    /// Does what was asked, with results written to `out`.
    pub fn run(&self, out: &mut dyn Write) -> Result<()> {
        let settings = Settings::load()?;
        match &self.command {
            Command::Setup(arguments) => setup::run(arguments, settings, out),
            Command::Ls(_) => ls::run(&settings, out),
            Command::Explain(arguments) => explain::run(arguments, &settings, out),
            Command::Mfa(arguments) => mfa::run(arguments, &settings),
            Command::Unlock(arguments) => unlock::run(arguments, &settings),
            Command::Lock(_) => lock::run(&settings),
            Command::Key(arguments) => key::run(arguments, &settings, out),
            Command::Recipients(arguments) => recipients::run(arguments, &settings, out),
        }
    }
}

/// RFC 3339, in UTC, to the second.
fn moment(time: SystemTime) -> String {
    Timestamp::try_from(time).map(|time| format!("{time:.0}")).unwrap_or_default()
}

/// A line for the person at the terminal, beside the data.
fn tell(line: impl std::fmt::Display) {
    // Names come from files that others may have written; the indentation is ours.
    let line = line.to_string();
    let indent = line.len() - line.trim_start_matches(' ').len();
    let _ = writeln!(io::stderr(), "{:indent$}{}", "", one_line(&line));
}

/// Whether the person at the terminal says yes. Without a terminal there is nobody to ask, and nobody does.
fn agrees(question: &str) -> Result<bool> {
    if !io::stdin().is_terminal() {
        return Ok(false);
    }
    tell(question);
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    read.map_err(|source| Error::Stdio { action: "read the answer", source })?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// That some credentials could not be encrypted again, since they could not be opened before either.
fn report_left(left: &[Error]) -> Result<()> {
    left.iter().for_each(tell);
    match left.len() {
        0 => Ok(()),
        count => Err(Error::Command {
            message: format!("done, but for what could not be opened, and was left as it is: {count} of the files"),
            cure: "bring back the key that opens them, or erase them and log in again".into(),
        }),
    }
}
