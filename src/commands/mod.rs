//! The commands for people, one file a verb. Data goes to the writer, everything else to standard error.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, IsTerminal, Write};
use std::time::SystemTime;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser, Subcommand};
use jiff::Timestamp;
use serde::Serialize;

use crate::error::{Error, Result, one_line};
use crate::search_path::PROGRAM;
use crate::settings::Settings;

mod audit;
mod completions;
mod doctor;
mod explain;
mod export;
mod key;
mod key_show;
pub(crate) mod kubelet;
mod lock;
mod ls;
mod mfa;
mod migrate;
pub mod plugin;
mod recipients;
mod setup;
mod unlock;

/// Docker credential helper: logins kept encrypted, tokens minted for Amazon ECR.
#[derive(Debug, Parser)]
#[command(
    name = PROGRAM,
    bin_name = PROGRAM,
    disable_version_flag = true,
    after_help = "Begin with:\n  \
                  docker-credential-coffer setup\n  \
                  docker login registry.example.com\n  \
                  docker-credential-coffer explain registry.example.com\n\n\
                  Clients call it with one of: get, store, erase, list, version.\n\
                  Configuration: ~/.config/coffer/config.toml.\n\
                  COFFER_LOG=debug shows which way a request goes."
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
    Unlock(unlock::Arguments),
    Lock(lock::Arguments),
    Key(key::Arguments),
    Recipients(recipients::Arguments),
    Kubelet(kubelet::Arguments),
    Completions(completions::Arguments),
    Man(completions::ManArguments),
}

/// Whether a first argument is for this face of the program, not for the protocol.
pub fn knows(argument: &OsStr) -> bool {
    argument == "help"
        || argument == "-h"
        || argument == "--help"
        || Arguments::command().find_subcommand(argument).is_some()
}

impl Arguments {
    /// Reads what stands after the program's name. Wrong usage exits with 2, `--help` with 0.
    pub fn read(arguments: &[OsString]) -> Self {
        let all = [OsStr::new(PROGRAM)].into_iter().chain(arguments.iter().map(OsString::as_os_str));
        Self::try_parse_from(all).unwrap_or_else(|error| exit(error))
    }

    /// Does what was asked, with results written to `out`.
    pub fn run(&self, out: &mut dyn Write) -> Result<()> {
        let settings = Settings::load;
        match &self.command {
            Command::Setup(arguments) => setup::run(arguments, settings()?, out),
            Command::Migrate(arguments) => migrate::run(arguments, &settings()?, out),
            Command::Audit(arguments) => audit::run(arguments, out),
            Command::Ls(_) => ls::run(&settings()?, out),
            Command::Explain(arguments) => explain::run(arguments, &settings()?, out),
            // What is wrong with the settings is what it is asked for.
            Command::Doctor(arguments) => doctor::run(arguments, &settings(), out),
            Command::Export(arguments) => export::run(arguments, &settings()?, out),
            Command::Mfa(arguments) => mfa::run(arguments, &settings()?),
            Command::Unlock(arguments) => unlock::run(arguments, &settings()?),
            Command::Lock(_) => lock::run(&settings()?),
            Command::Key(arguments) => key::run(arguments, &settings()?, out),
            Command::Recipients(arguments) => recipients::run(arguments, &settings()?, out),
            // Nobody sits before the kubelet, which waits a minute and then pulls nothing.
            Command::Kubelet(_) => kubelet::run(&Settings { may_prompt: false, ..settings()? }, out),
            Command::Completions(arguments) => completions::run(arguments, out),
            Command::Man(_) => completions::man(out),
        }
    }
}

/// Ends the process as clap does. What stands where no argument or no value belongs is not repeated: somebody may have taken its
/// place for a passphrase's.
fn exit(mut error: clap::Error) -> ! {
    let is_option = |value: &ContextValue| matches!(value, ContextValue::String(text) if text.starts_with('-'));
    let surplus = error.get(ContextKind::InvalidArg).filter(|value| !is_option(value));
    if error.kind() == ErrorKind::UnknownArgument && surplus.is_some() {
        error.insert(ContextKind::InvalidArg, ContextValue::String("***".into()));
    }
    let is_assignment = |value: &ContextValue| matches!(value, ContextValue::String(text) if text.contains('='));
    let value = error.get(ContextKind::InvalidValue);
    if error.kind() == ErrorKind::TooManyValues || value.is_some_and(is_assignment) {
        error.insert(ContextKind::InvalidValue, ContextValue::String("***".into()));
    }
    error.exit()
}

/// The end of a command's help: what one would call, without the program's name. What it is piped to stands on a line of its own.
fn examples(calls: &[&str]) -> String {
    let calls: String = calls.iter().map(|call| format!("\n  {PROGRAM} {call}")).collect();
    format!("Examples:{calls}")
}

/// Prints a report for programs.
fn write_json(out: &mut dyn Write, report: &impl Serialize) -> Result<()> {
    serde_json::to_writer_pretty(&mut *out, report).map_err(|error| Error::output(error.into()))?;
    writeln!(out).map_err(Error::output)
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
