//! The commands for people, one file a verb. Data goes to the writer, everything else to standard error.

use std::io::{self, BufRead, IsTerminal, Write};
use std::time::SystemTime;

use clap::{CommandFactory, Parser, Subcommand};
use jiff::Timestamp;

use crate::error::{Error, Result, one_line};
use crate::settings::Settings;

mod audit;
mod completions;
mod doctor;
mod explain;
mod export;
mod kubelet;
mod ls;
mod mfa;
mod migrate;
pub mod plugin;
mod setup;

/// This program's name on the PATH.
const PROGRAM: &str = "docker-credential-coffer";

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
    Migrate(migrate::Arguments),
    Audit(audit::Arguments),
    Ls(ls::Arguments),
    Explain(explain::Arguments),
    Doctor(doctor::Arguments),
    Export(export::Arguments),
    Mfa(mfa::Arguments),
    Kubelet(kubelet::Arguments),
    Completions(completions::Arguments),
    Man(completions::ManArguments),
}

/// Whether a first argument is for this face of the program, not for the protocol.
pub fn knows(argument: &str) -> bool {
    matches!(argument, "help" | "-h" | "--help") || Arguments::command().find_subcommand(argument).is_some()
}

impl Arguments {
    /// Does what was asked, with results written to `out`.
    pub fn run(&self, out: &mut dyn Write) -> Result<()> {
        let settings = Settings::load;
        match &self.command {
            Command::Setup(arguments) => setup::run(arguments, settings()?),
            Command::Migrate(arguments) => migrate::run(arguments, &settings()?, out),
            Command::Audit(arguments) => audit::run(arguments, out),
            Command::Ls(_) => ls::run(&settings()?, out),
            Command::Explain(arguments) => explain::run(arguments, &settings()?, out),
            // What is wrong with the settings is what it is asked for.
            Command::Doctor(arguments) => doctor::run(arguments, &settings(), out),
            Command::Export(arguments) => export::run(arguments, &settings()?, out),
            Command::Mfa(arguments) => mfa::run(arguments, &settings()?),
            Command::Kubelet(_) => kubelet::run(&settings()?, out),
            Command::Completions(arguments) => completions::run(arguments, out),
            Command::Man(_) => completions::man(out),
        }
    }
}

/// RFC 3339, in UTC, to the second.
fn moment(time: SystemTime) -> String {
    Timestamp::try_from(time).map(|time| format!("{time:.0}")).unwrap_or_default()
}

/// Asks the person at the terminal whether to go on. Without a terminal there is nobody to ask, and it goes on.
/// Fails if the answer is no.
fn confirmed() -> Result<()> {
    if !io::stdin().is_terminal() {
        return Ok(());
    }
    tell("go on? [Y/n]");
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    let read = read.map_err(|source| Error::Stdio { action: "read the answer", source })?;
    if read > 0 && matches!(answer.trim(), "" | "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Error::Command { message: "nothing was done".into(), cure: "--yes does not ask".into() })
}

/// A line for the person at the terminal, beside the data.
fn tell(line: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "{}", printable(&line.to_string()));
}

/// One line of plain text, its indentation kept. Names come from files that others may have written.
fn printable(line: &str) -> String {
    let indent = line.len() - line.trim_start_matches(' ').len();
    format!("{:indent$}{}", "", one_line(line))
}
