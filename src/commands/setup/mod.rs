//! `setup`: from nothing to done. Shows what it would do, asks if somebody is there to answer, does it, and says
//! how to undo it. A second run finds everything done.

use std::io::Write;

use super::{confirmed, examples, recipients, tell};
use crate::error::Result;
use crate::files::{self, Lock};
use crate::settings::{Settings, StoreKind};
use crate::store::layout;

mod docker;
mod program;
mod store;

/// Make the store, move plaintext logins into it, have Docker use it.
///
/// Puts the program on the PATH too, and makes the key that opens the store.
#[derive(Debug, clap::Args)]
#[command(after_help = format!(
    "What it would do is shown first. Safe to run again: a second run finds everything done.\n\n{}",
    examples(&["setup", "setup --yes --key passphrase", "setup --store keyring --no-migrate"])
))]
pub struct Arguments {
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Leave what lies in plaintext, or with another helper, where it is.
    #[arg(long)]
    no_migrate: bool,
    /// Where credentials are kept.
    #[arg(long, value_enum)]
    store: Option<StoreKind>,
    /// Who holds the key of the age store.
    #[arg(long, value_enum)]
    key: Option<store::KeyChoice>,
}

/// The doing of a step, while no other setup is at work.
type Act<'a> = Box<dyn FnOnce(&Lock) -> Result<()> + 'a>;

/// One thing to do: what it is, line by line, how it is undone, and the doing.
struct Step<'a> {
    what: Vec<String>,
    undo: String,
    act: Act<'a>,
}

pub(super) fn run(arguments: &Arguments, mut settings: Settings, out: &mut dyn Write) -> Result<()> {
    let configuration = store::configuration(arguments.store, arguments.key, &mut settings)?;
    let is_new = !layout::recipients_path(&settings).is_file();
    let (copy, program) = program::copy()?;
    let docker = if arguments.no_migrate { docker::creds_store(arguments.yes)? } else { docker::migrate(&settings)? };
    // The options are written down once they have worked, and Docker is told of a program that is there.
    let steps = [copy, store::make(arguments.key, &settings)?, configuration, program::plugin(&program)?, docker];
    let steps: Vec<Step> = steps.into_iter().flatten().collect();
    if steps.is_empty() {
        tell("everything is set up already");
        return Ok(());
    }
    tell("this will");
    for line in steps.iter().flat_map(|step| &step.what) {
        tell(format_args!("  {line}"));
    }
    if !arguments.yes {
        confirmed()?;
    }
    files::create_directory(&settings.directory)?;
    let lock = Lock::acquire(settings.directory.join("setup.lock"), files::LOCK_LIMIT)?;
    let mut undo = Vec::new();
    for step in steps {
        (step.act)(&lock)?;
        undo.push(step.undo);
    }
    tell("done; docker login now keeps credentials encrypted. To undo it:");
    for line in undo.iter().rev() {
        tell(format_args!("  {line}"));
    }
    program::warn_of_path()?;
    if is_new && !arguments.yes { recipients::offer(&settings, out) } else { Ok(()) }
}
