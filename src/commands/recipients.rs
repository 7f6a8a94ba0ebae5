//! `recipients`: who can read the store. Everything is encrypted again when that changes.

use std::io::Write;
use std::time::SystemTime;

use super::{examples, moment, report_left, tell};
use crate::error::{Error, Result};
use crate::key::{self, Ask, Identities, Key, Own, Recipient};
use crate::settings::{Settings, StoreKind};
use crate::store::layout;
use crate::store::rekey::{self, Rekeying};

/// Show and change who can read the store.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show who can read what is written.
    List,
    /// Let somebody read everything.
    Add(Add),
    /// Let somebody read nothing that is written from now on, nor what is held.
    Remove {
        /// The recipient, as list shows it.
        recipient: String,
    },
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
#[command(after_help = examples(&["recipients add \"$(age-keygen -y key.txt)\"", "recipients add --recovery"]))]
struct Add {
    /// An age recipient (age1…).
    recipient: Option<String>,
    /// A recovery key, which is made now and printed once: keep it on paper, or in a safe.
    #[arg(long)]
    recovery: bool,
}

pub(super) fn run(arguments: &Arguments, settings: &Settings, out: &mut dyn Write) -> Result<()> {
    if settings.store == StoreKind::Keyring {
        return Err(Error::Command {
            message: "the store is the OS keyring, which has no recipients".into(),
            cure: "store = \"age\" in config.toml is the store that can be shared".into(),
        });
    }
    match &arguments.command {
        Command::List => list(settings, out),
        Command::Add(Add { recipient: Some(recipient), .. }) => add(settings, &parse(recipient)?, None, || Ok(())),
        Command::Add(_) => add_recovery(settings, out),
        Command::Remove { recipient } => remove(settings, &parse(recipient)?),
    }
}

pub(super) fn parse(text: &str) -> Result<Recipient> {
    text.trim().parse().map_err(|()| Error::Command {
        message: "that is not an age recipient".into(),
        cure: "give the public key, age1…, of age-keygen or of a plugin".into(),
    })
}

fn list(settings: &Settings, out: &mut dyn Write) -> Result<()> {
    let own = match key::own(settings) {
        Ok(Own::Known(own)) => own,
        // The list can be read without the key.
        _ => Vec::new(),
    };
    for recipient in layout::read_recipients(settings)?.recipients() {
        let mark = if own.contains(recipient) { "  (this key)" } else { "" };
        writeln!(out, "{recipient}{mark}").map_err(Error::output)?;
    }
    if rekey::is_under_way(settings) {
        tell("a change was interrupted: not everything may be encrypted to them; call that command again");
    }
    Ok(())
}

/// The store's key: what is unlocked will do, if it is still the key.
fn open(settings: &Settings) -> Result<Key> {
    let ask = Ask::Caller("to change who can read the store".into());
    let key = key::require(settings, &ask)?;
    let list = layout::read_recipients(settings)?;
    let is_listed = key.recipients().iter().any(|own| list.contains(own));
    if key.is_free && !is_listed { key::require_itself(settings, &ask) } else { Ok(key) }
}

/// The right to change the list, with the key as it is then, and with what a killed command had begun at its end.
fn begin(settings: &Settings) -> Result<(Rekeying<'_>, Key)> {
    let mut rekeying = Rekeying::begin(settings)?;
    let key = open(settings)?;
    rekeying.resume(&key, |gone| key::forget(settings, gone, settings.may_prompt))?;
    Ok((rekeying, key))
}

/// `announce` is called when nothing stands in the way any more, and before anything is changed.
fn add(
    settings: &Settings,
    recipient: &Recipient,
    comment: Option<&str>,
    announce: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let (mut rekeying, key) = begin(settings)?;
    let mut list = rekeying.list_of(&key)?;
    announce()?;
    if !list.contains(recipient) {
        list.add(recipient.clone(), comment);
        rekeying.change_list(&list, &key)?;
    }
    report_left(&rekeying.left)?;
    tell(format_args!("{recipient} can read everything"));
    Ok(())
}

fn remove(settings: &Settings, recipient: &Recipient) -> Result<()> {
    let (mut rekeying, key) = begin(settings)?;
    let mut list = rekeying.list_of(&key)?;
    if list.contains(recipient) {
        list.remove(recipient);
        rekeying.change_list(&list, &key)?;
    }
    report_left(&rekeying.left)?;
    tell(format_args!("{recipient} can read nothing that is held now, or written from now on"));
    tell("what it could read before may have been copied: change those passwords, if it is not trusted any more");
    Ok(())
}

fn add_recovery(settings: &Settings, out: &mut dyn Write) -> Result<()> {
    let identities = Identities::generate();
    let date = moment(SystemTime::now());
    let date = date.split('T').next().unwrap_or_default();
    // Shown first: one that could not be shown must not be let in.
    let mut show = || {
        tell("this is the only time that the recovery key is shown; docs/keys.md says how to use it:");
        let head = format!("# recovery key of {}, made {date}\n", settings.directory.display());
        let written = out.write_all(head.as_bytes()).and_then(|()| out.write_all(identities.text.as_bytes()));
        written.and_then(|()| out.flush()).map_err(Error::output)
    };
    let comment = format!("recovery key, made {date}");
    identities.recipients().iter().try_for_each(|recipient| add(settings, recipient, Some(&comment), &mut show))
}

/// Offers a recovery key to whoever sits at the terminal.
pub(super) fn offer(settings: &Settings, out: &mut dyn Write) -> Result<()> {
    if settings.store == StoreKind::Age && super::agrees("make a recovery key, to be kept on paper? [y/N]")? {
        add_recovery(settings, out)?;
    }
    Ok(())
}
