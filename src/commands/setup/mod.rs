//! `setup`: from nothing to done. Shows what it would do, asks if somebody is there to answer, does it, and says
//! how to undo it. A second run finds everything done.

use super::{confirmed, tell};
use crate::error::{Error, Result};
use crate::files;
use crate::key::{self, Place};
use crate::routes;
use crate::settings::{KeyHolder, Settings, StoreKind};
use crate::store::Shelf;
use crate::store::age_dir::AgeDir;

mod docker;
mod program;

/// Put this program on the PATH, make the store and its key, move what lies in plaintext into it, and have Docker use it.
#[derive(Debug, clap::Args)]
#[command(after_help = "What it would do is shown first. Safe to run again: a second run finds everything done.")]
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
    key: Option<KeyHolder>,
}

/// One thing to do: what it is, line by line, how it is undone, and the doing.
struct Step<'a> {
    what: Vec<String>,
    undo: String,
    act: Box<dyn FnOnce() -> Result<()> + 'a>,
}

pub(super) fn run(arguments: &Arguments, mut settings: Settings) -> Result<()> {
    let configuration = configuration(arguments, &mut settings)?;
    let (copy, program) = program::copy()?;
    let docker = if arguments.no_migrate { docker::creds_store(arguments.yes)? } else { docker::migrate(&settings)? };
    // The options are written down once they have worked, and Docker is told of a program that is there.
    let steps = [copy, store(&settings)?, configuration, program::plugin(&program)?, docker];
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
    let mut undo = Vec::new();
    for step in steps {
        (step.act)()?;
        undo.push(step.undo);
    }
    tell("done; docker login now keeps credentials encrypted. To undo it:");
    for line in undo.iter().rev() {
        tell(format_args!("  {line}"));
    }
    program::warn_of_path()
}

/// What the options say and `config.toml` does not say yet. A file that says otherwise is its owner's to edit.
fn configuration(arguments: &Arguments, settings: &mut Settings) -> Result<Option<Step<'static>>> {
    let store = arguments.store.filter(|store| *store != settings.store);
    let key = arguments.key.filter(|key| Some(*key) != settings.key);
    if store.is_none() && key.is_none() {
        return Ok(None);
    }
    let held = routes::store(settings).list()?.held.len();
    let path = settings.config.clone();
    let mut text = String::new();
    if let Some(store) = store {
        settings.store = store;
        text += &format!("store = {}\n", quoted(store));
    }
    if let Some(key) = key {
        settings.key = Some(key);
        text += &format!("\n[age]\nkey = {}\n", quoted(key));
    }
    // Neither a store nor a key can be changed under what is held: it could not be found, or not be opened.
    if held > 0 && (store.is_some() || key::recipients(settings)?.is_empty()) {
        return Err(Error::Command {
            message: format!("{held} logins are held that would not be found or opened any more"),
            cure: "log out of them first (docker-credential-coffer ls names them), and run setup again".into(),
        });
    }
    if path.symlink_metadata().is_ok() {
        return Err(Error::Command {
            message: format!("{} says otherwise than --store or --key", path.display()),
            cure: format!("write into it: {}", text.trim().replace('\n', " ")),
        });
    }
    Ok(Some(Step {
        what: vec![format!("write {}", path.display())],
        undo: format!("rm {}", path.display()),
        act: Box::new(move || {
            path.parent().map_or(Ok(()), files::create_directory)?;
            files::write(&path, text.trim_start().as_bytes())
        }),
    }))
}

/// A value as it stands in `config.toml`.
fn quoted(value: impl clap::ValueEnum) -> String {
    format!("\"{}\"", value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned()))
}

/// The store's directory and its key, unless they are there.
fn store(settings: &Settings) -> Result<Option<Step<'_>>> {
    if settings.store == StoreKind::Keyring {
        // Needs no making, but must be there.
        return routes::store(settings).list().map(|_| None);
    }
    let store = AgeDir::new(settings, Shelf::Logins, settings.may_prompt);
    if store.is_initialised() {
        return Ok(None);
    }
    let directory = settings.directory.display();
    let holder = match key::place(settings) {
        Place::File(path, _) => format!("with the key in {}", path.display()),
        Place::Keyring => "with its key in the OS keyring, or else in a file".into(),
    };
    Ok(Some(Step {
        what: vec![format!("make the store {directory}, {holder}")],
        undo: format!("rm -r {directory} (loses what is stored there)"),
        act: Box::new(move || store.initialise()),
    }))
}
