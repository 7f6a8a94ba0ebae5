//! `migrate`: what lies in plaintext goes into the store, is proved, and is scrubbed. Shows what it would do, and asks if
//! somebody is there to answer.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use super::{confirmed, examples, tell, write_json};
use crate::error::{Error, Result};
use crate::migration::{self, Plan, Report, Scope};
use crate::rule::HelperName;
use crate::search_path::{self, PROGRAM};
use crate::settings::Settings;

/// Above so many logins a person is told how far it has come.
const MANY: usize = 200;

/// Move logins into the store, from plaintext and other helpers.
#[derive(Debug, clap::Args)]
#[command(
    after_help = format!(
        "Every login is read back from the store before a file is changed, and an encrypted backup of each file is kept.\n\n{}",
        examples(&["migrate --dry-run", "migrate --from pass", "migrate --undo ~/.docker/config.json"])
    )
)]
pub struct Arguments {
    /// Print what would be done, and do nothing.
    #[arg(long, conflicts_with = "undo")]
    dry_run: bool,
    /// Print a report for programs.
    #[arg(long)]
    json: bool,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Import the logins of docker-credential-HELPER too.
    #[arg(long, value_name = "HELPER", value_parser = helper, conflicts_with = "undo")]
    from: Vec<HelperName>,
    /// Put the newest backup of each file back. The store keeps what it holds.
    #[arg(long)]
    undo: bool,
    /// Files to look at, instead of all that clients find.
    files: Vec<PathBuf>,
}

fn helper(name: &str) -> Result<HelperName, &'static str> {
    HelperName::try_from(name.strip_prefix("docker-credential-").unwrap_or(name).to_owned())
}

pub(super) fn run(arguments: &Arguments, settings: &Settings, out: &mut dyn Write) -> Result<()> {
    if arguments.undo {
        return undo(arguments, settings, out);
    }
    let scope = Scope { files: arguments.files.clone(), from: arguments.from.clone(), claims_docker: false };
    let (files, unread) = scope.read()?;
    let imports = scope.import(settings, &files);
    let plan = Plan::make(settings, files, unread, &imports, false)?;
    if arguments.dry_run || plan.is_empty() {
        let mut report = plan.into_report();
        report.dry_run = arguments.dry_run;
        return show(&report, arguments.json, out);
    }
    on_path()?;
    if !arguments.yes && io::stdin().is_terminal() {
        plan.into_report().lines().iter().for_each(tell);
        confirmed()?;
    }
    let report = migration::run(settings, &scope, &imports, &mut progress)?;
    show(&report, arguments.json, out)?;
    advise(&report);
    Ok(())
}

/// Whether clients would find this program. A file that named it otherwise would name nothing.
fn on_path() -> Result<()> {
    match search_path::find(PROGRAM) {
        Some(_) => Ok(()),
        None => Err(Error::Command {
            message: format!("{PROGRAM} is not on the PATH, where clients look for it; nothing was done"),
            cure: format!("{PROGRAM} setup puts it there"),
        }),
    }
}

/// Tells the person at the terminal how far it has come.
pub(super) fn progress(done: usize, all: usize) {
    let mut terminal = io::stderr();
    if all < MANY || !terminal.is_terminal() {
        return;
    }
    let end = if done == all { "\n" } else { "" };
    // Whoever closed it does not want to know.
    let _ = write!(terminal, "\r{done} of {all} logins are in the store{end}").and_then(|()| terminal.flush());
}

/// What must be done by those who know where backups go.
pub(super) fn advise(report: &Report) {
    if !report.moved.is_empty() {
        tell(
            "what lay in plaintext may lie in backups and snapshots too: change those passwords and tokens where you can",
        );
    }
}

/// Prints a report. Fails if something failed that should not have.
fn show(report: &Report, json: bool, out: &mut dyn Write) -> Result<()> {
    if json {
        write_json(out, report)?;
    } else {
        let lines = report.lines();
        for line in &lines {
            writeln!(out, "{}", super::printable(line)).map_err(Error::output)?;
        }
        if lines.is_empty() {
            writeln!(out, "nothing to do").map_err(Error::output)?;
        }
    }
    failures(report)
}

/// That something failed that should not have.
pub(super) fn failures(report: &Report) -> Result<()> {
    match report.left.iter().filter(|left| left.is_failure).count() {
        0 => Ok(()),
        count => Err(Error::Command {
            message: format!("{count} of these could not be done"),
            cure: "mend what is named, and run it again; nothing was lost".into(),
        }),
    }
}

fn undo(arguments: &Arguments, settings: &Settings, out: &mut dyn Write) -> Result<()> {
    let paths = migration::undoable(settings, &arguments.files)?;
    if !paths.is_empty() && !arguments.yes && io::stdin().is_terminal() {
        tell("this puts back, with the secrets that were in them:");
        paths.iter().for_each(|path| tell(format_args!("  {}", path.display())));
        confirmed()?;
    }
    let report = migration::undo(settings, &arguments.files)?;
    if paths.is_empty() && report.left.is_empty() {
        tell("there is no backup");
    }
    show(&report, arguments.json, out)
}
