//! `doctor`: what goes wrong in practice, each with its cure. Asks nobody for a secret, never prompts, and needs no network;
//! what cannot be told without those it says so.

use std::io::Write;

use serde::Serialize;

use super::{examples, printable, write_json};
use crate::error::{Error, Result};
use crate::settings::Settings;

mod clients;
mod machine;
mod store;

/// Check everything that goes wrong in practice.
///
/// Exits with 1 if something is broken.
#[derive(Debug, clap::Args)]
#[command(after_help = examples(&["doctor", "doctor --json | jq '.checks[] | select(.ok | not)'"]))]
pub struct Arguments {
    /// Print the checks for programs.
    #[arg(long)]
    json: bool,
}

/// One thing that was looked at. Its JSON shape is stable.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    ok: bool,
    detail: String,
    cure: Option<String>,
}

impl Check {
    fn good(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, ok: true, detail: detail.into(), cure: None }
    }

    fn bad(name: &'static str, detail: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { name, ok: false, detail: detail.into(), cure: Some(cure.into()) }
    }

    fn failed(name: &'static str, error: &Error) -> Self {
        Self { name, ok: false, detail: error.to_string(), cure: error.hint() }
    }
}

#[derive(Serialize)]
struct Report {
    ok: bool,
    checks: Vec<Check>,
}

pub(super) fn run(arguments: &Arguments, settings: &Result<Settings>, out: &mut dyn Write) -> Result<()> {
    let mut checks = machine::checks(settings);
    let listing = settings.as_ref().ok().map(store::listing);
    let held = listing.as_ref().and_then(|listing| listing.as_ref().ok());
    checks.extend(clients::checks(settings.as_ref().ok(), held));
    if let (Ok(settings), Some(listing)) = (settings, &listing) {
        checks.extend(store::checks(settings, listing));
        checks.extend(machine::aws(settings));
    }
    let report = Report { ok: checks.iter().all(|check| check.ok), checks };
    if arguments.json {
        write_json(out, &report)?;
    } else {
        for line in report.checks.iter().flat_map(Check::lines) {
            writeln!(out, "{}", printable(&line)).map_err(Error::output)?;
        }
    }
    match report.checks.iter().filter(|check| !check.ok).count() {
        0 => Ok(()),
        broken => Err(Error::Command {
            message: format!("{broken} of {} checks failed", report.checks.len()),
            cure: "the cure stands below each".into(),
        }),
    }
}

impl Check {
    fn lines(&self) -> Vec<String> {
        let mark = if self.ok { "ok  " } else { "FAIL" };
        let mut lines = vec![format!("{mark} {}: {}", self.name, self.detail)];
        lines.extend(self.cure.iter().map(|cure| format!("     {cure}")));
        lines
    }
}
