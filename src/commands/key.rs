//! `key`: how the key is held, and changing that.

use std::io::Write;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{examples, key_show, recipients, report_left, tell};
use crate::error::{Error, Result};
use crate::key::{self, Ask, Holder, Identities, Key, Kind, Place, Recipient};
use crate::settings::{KeyHolder, Settings, StoreKind};
use crate::store::rekey::{Rekeying, Resumed};

/// Show how the key is held, and change it.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show how the key is held, and what that protects against.
    Show,
    /// Hold the key in another way. Everything stays readable.
    Protect(Protect),
    /// Make a new key, and encrypt everything to it instead of the old one.
    Rotate,
}

#[derive(Debug, clap::Args)]
#[command(after_help = examples(&[
    "key protect --passphrase",
    "key protect --keyring",
    "key protect --plugin age-yubikey-identity.txt",
]))]
struct Protect {
    #[command(flatten)]
    target: Target,
    /// The recipient of the plugin's identity, where no comment in its file names it.
    #[arg(long, requires = "plugin")]
    recipient: Option<String>,
}

/// How the key is to be held.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Target {
    /// In a file sealed with a passphrase. It is read from standard input where that is no terminal.
    #[arg(long)]
    passphrase: bool,
    /// In the OS keyring.
    #[arg(long)]
    keyring: bool,
    /// In a plain file.
    #[arg(long)]
    file: bool,
    /// By an age plugin: the identity file that it made, or a line of one.
    #[arg(long, value_name = "IDENTITY")]
    plugin: Option<String>,
}

pub(super) fn run(arguments: &Arguments, settings: &Settings, out: &mut dyn Write) -> Result<()> {
    if settings.store == StoreKind::Keyring {
        return Err(Error::Command {
            message: "the store is the OS keyring, which needs no key".into(),
            cure: "store = \"age\" in config.toml is the store with a key".into(),
        });
    }
    match &arguments.command {
        Command::Show => key_show::run(settings, out),
        Command::Protect(Protect { target, recipient }) => protect(target, recipient.as_deref(), settings),
        Command::Rotate => rotate(settings),
    }
}

/// A key that is somebody else's to change, or that config.toml would look for elsewhere afterwards.
fn refuse_foreign(settings: &Settings, wanted: Option<KeyHolder>) -> Result<()> {
    if settings.identity_file.is_some() {
        return Err(Error::Command {
            message: "COFFER_IDENTITY_FILE names the key, and that file is its owner's to change".into(),
            cure: "unset it to change the store's own key".into(),
        });
    }
    let path = settings.directory.join("identities");
    if path.is_symlink() {
        return Err(Error::Command {
            message: format!("{} leads to a file elsewhere, where the key would stay", path.display()),
            cure: "put the file itself in place of the link, and call this again".into(),
        });
    }
    match settings.key {
        Some(said) if wanted.is_some_and(|wanted| wanted != said) => Err(Error::Command {
            message: format!("{} says who holds the key, and says otherwise", settings.config.display()),
            cure: "remove the line key = … below [age] there, and call this again".into(),
        }),
        _ => Ok(()),
    }
}

fn protect(target: &Target, recipient: Option<&str>, settings: &Settings) -> Result<()> {
    let wanted = if target.keyring { KeyHolder::Keyring } else { KeyHolder::File };
    refuse_foreign(settings, Some(wanted))?;
    let rekeying = Rekeying::begin(settings)?;
    let old = open(settings)?;
    if let Some(identity) = &target.plugin {
        let identities = of_plugin(identity, recipient)?;
        return change(settings, rekeying, &old, identities, &Holder::File, false);
    }
    let holder = if target.keyring {
        Holder::Keyring
    } else if target.passphrase {
        Holder::Sealed(key::new_passphrase(settings, &settings.directory.join("identities"))?)
    } else {
        Holder::File
    };
    if old.text().of_plugins.is_empty() {
        return carry(settings, rekeying, &old, &holder);
    }
    change(settings, rekeying, &old, Identities::generate(), &holder, false)
}

fn rotate(settings: &Settings) -> Result<()> {
    refuse_foreign(settings, None)?;
    let rekeying = Rekeying::begin(settings)?;
    let kind = key::kind(settings)?;
    let old = open(settings)?;
    let holder = match (kind, &old.passphrase) {
        (Kind::Plugins(names), _) => {
            return Err(Error::Command {
                message: format!("age-plugin-{} holds the key, and makes its own", names.join(", ")),
                cure: "make a new identity with it, and call docker-credential-coffer key protect --plugin FILE".into(),
            });
        }
        // It was opened there, though the keyring may not have answered a moment before.
        _ if key::place(settings)? == Place::Keyring => Holder::Keyring,
        (_, Some(passphrase)) => Holder::Sealed(passphrase.clone()),
        _ => Holder::File,
    };
    change(settings, rekeying, &old, Identities::generate(), &holder, true)
}

/// The key as it is now. To be called under the lock: one that is out of date would undo what it does not know of.
fn open(settings: &Settings) -> Result<Key> {
    key::require_itself(settings, &Ask::Caller("to change how it is held".into()))
}

/// The same key, held in another way.
fn carry(settings: &Settings, mut rekeying: Rekeying, old: &Key, holder: &Holder) -> Result<()> {
    rekeying.resume(old, |gone| key::forget(settings, gone, settings.may_prompt))?;
    let list = rekeying.list_of(old)?;
    let of_keyring = key::place(settings)? == Place::Keyring;
    // The OS keyring may hold the keys of other stores too.
    let is_ours = |own: &&_| !of_keyring || list.contains(&Recipient::from(*own));
    let own: Vec<_> = old.text().own.iter().filter(is_ours).cloned().collect();
    let ours = of_keyring.then(|| Identities::from_own(own));
    let identities = ours.as_ref().unwrap_or(old.text());
    key::take_over(settings, identities, holder, &identities.recipients(), settings.may_prompt)?;
    key::lock(settings)?;
    report_left(&rekeying.left)?;
    tell("done; docker-credential-coffer key show says what it protects against");
    Ok(())
}

/// Another key in place of the old one. `is_rotation`: whether one that was interrupted need only be ended.
fn change(
    settings: &Settings,
    mut rekeying: Rekeying,
    old: &Key,
    new: Identities,
    holder: &Holder,
    is_rotation: bool,
) -> Result<()> {
    let let_go = |gone: &[Recipient]| key::forget(settings, gone, settings.may_prompt);
    let resumed = rekeying.resume(old, let_go)?;
    let new = key::of(settings, &Ask::Caller("to see that the new key works".into()), new)?;
    let is_done = new.recipients().iter().all(|new| old.recipients().contains(new));
    if !(is_done || is_rotation && resumed == Resumed::KeyChanged) {
        let switch = || key::take_over(settings, new.text(), holder, &[], settings.may_prompt);
        rekeying.change_key(old, &new, switch, let_go)?;
    }
    key::lock(settings)?;
    report_left(&rekeying.left)?;
    tell("done; everything is encrypted to the new key, and the old one opens nothing here");
    Ok(())
}

/// The identity file of a plugin, or a line of one, with the recipient beside it.
fn of_plugin(identity: &str, recipient: Option<&str>) -> Result<Identities> {
    const GIVE: &str = "give the file that the plugin made";
    let refused = |message: &str, cure: &str| Error::Command { message: message.into(), cure: cure.into() };
    // As a path, it would be quoted.
    if identity.to_ascii_uppercase().contains("AGE-SECRET-KEY-") {
        return Err(refused(
            "that is a key itself, not an identity of a plugin",
            "replace that key: a command line is no secret",
        ));
    }
    let recipient = recipient.map(recipients::parse).transpose()?;
    let is_line = identity.to_ascii_uppercase().starts_with("AGE-PLUGIN-");
    let path = PathBuf::from(identity);
    let mut text = if is_line {
        Zeroizing::new(format!("{identity}\n"))
    } else {
        let read = key::read_identities(Path::new(&path)).map_err(|error| match error {
            // It is not the key of the store, which could be brought back.
            Error::UnusableKey { .. } | Error::NotIdentities { .. } => refused(&error.to_string(), GIVE),
            other => other,
        });
        Zeroizing::new(read?.text.to_string())
    };
    if let Some(recipient) = recipient {
        text.insert_str(0, &format!("# recipient: {recipient}\n"));
    }
    let no_identity = |_| refused("that is not an identity of an age plugin", GIVE);
    let identities = Identities::parse(text).map_err(no_identity)?;
    if identities.of_plugins.is_empty() || !identities.own.is_empty() {
        return Err(refused("that is not an identity of an age plugin alone", GIVE));
    }
    if !identities.tells_recipients() {
        let cure = "name it with --recipient; the plugin can tell it";
        return Err(refused("no comment beside the identity names its recipient", cure));
    }
    Ok(identities)
}
