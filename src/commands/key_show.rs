//! `key show`: how the key is held, and what that is worth. Opens nothing.

use std::io::Write;

use super::moment;
use crate::error::{Error, Result};
use crate::key::{self, Kind, Own, Place};
use crate::settings::Settings;
use crate::store::{layout, rekey};

pub(super) fn run(settings: &Settings, out: &mut dyn Write) -> Result<()> {
    let kind = key::kind(settings)?;
    if kind == Kind::None {
        return Err(nowhere(settings));
    }
    let mut lines = vec![format!("the key is {}", whereabouts(settings, &kind))];
    lines.extend(unlocked(settings, &kind));
    lines.extend(readers(settings)?);
    let (disk, session) = worth(&kind);
    lines.push(format!("with the disk alone, an attacker {disk}"));
    lines.push(format!("in your session, an attacker {session}"));
    if rekey::is_under_way(settings) {
        lines.push("a change of the key or of the recipients was interrupted; call that command again".into());
    }
    let text = lines.join("\n");
    writeln!(out, "{text}").map_err(Error::output)
}

/// That there is no key, or not even a store that would have one.
pub(super) fn nowhere(settings: &Settings) -> Error {
    match layout::check_made(settings) {
        Err(error) if settings.identity_file.is_none() => error,
        _ => key::missing(settings),
    }
}

/// How the key is held, and what that is worth without the session, for `doctor`.
pub(super) fn in_short(settings: &Settings, kind: &Kind) -> String {
    format!("it is {}; with the disk alone, an attacker {}", whereabouts(settings, kind), worth(kind).0)
}

fn whereabouts(settings: &Settings, kind: &Kind) -> String {
    let path = match key::place(settings) {
        Ok(Place::File(path, _)) => path.display().to_string(),
        _ => String::new(),
    };
    let by_variable = if settings.identity_file.is_some() { ", which COFFER_IDENTITY_FILE names" } else { "" };
    match kind {
        Kind::None => "nowhere".into(),
        Kind::Plain => format!("in {path}, a plain file{by_variable}"),
        Kind::Sealed => format!("in {path}, sealed with a passphrase{by_variable}"),
        Kind::Plugins(names) => {
            format!("held by age-plugin-{}, as {path} says{by_variable}", names.join(", age-plugin-"))
        }
        Kind::Keyring => "in the OS keyring".into(),
    }
}

fn unlocked(settings: &Settings, kind: &Kind) -> Option<String> {
    match (key::unlocked_until(settings), kind) {
        (Some(until), Kind::Sealed | Kind::Keyring) => Some(format!("it is unlocked until {}", moment(until))),
        (None, Kind::Sealed) => Some("it is not unlocked".into()),
        // Of the OS keyring itself, the desktop tells.
        _ => None,
    }
}

/// Its recipients, and how many others there are.
fn readers(settings: &Settings) -> Result<Vec<String>> {
    let list = layout::read_recipients(settings)?;
    let listed = list.recipients().len();
    let Own::Known(mut own) = key::own(settings)? else {
        return Ok(vec![format!("its recipient shows only when it is open; {listed} can read the store")]);
    };
    // The OS keyring may hold the keys of other stores too.
    own.retain(|own| list.contains(own));
    if own.is_empty() {
        return Ok(vec!["it is not among those who can read the store".into()]);
    }
    let mut lines: Vec<String> = own.iter().map(|own| format!("its recipient is {own}")).collect();
    match listed - own.len() {
        0 => lines.push(
            "nobody else can read the store, and without the key everything is lost: docker-credential-coffer \
             recipients add --recovery"
                .into(),
        ),
        1 => lines.push("1 other can read the store".into()),
        others => lines.push(format!("{others} others can read the store")),
    }
    Ok(lines)
}

/// What an attacker gets who has the disk, and one who runs programs as the user. `docs/threat-model.md` says it in full.
fn worth(kind: &Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::None => ("gets nothing", "gets nothing"),
        Kind::Plain => (
            "opens everything, since the key lies there too, unless the disk itself is encrypted",
            "opens everything, at any time",
        ),
        Kind::Sealed => (
            "sees names of registries and users, and can try passphrases, a second and 256 MiB each",
            "opens everything while the key is unlocked, and can watch you type the passphrase",
        ),
        Kind::Plugins(_) => (
            "sees names of registries and users, and opens nothing without the token",
            "opens what the token lets through: one credential a touch, or everything where it asks for none",
        ),
        Kind::Keyring => (
            "sees names of registries and users, and must break the password of the OS keyring",
            "opens everything while the OS keyring is unlocked, on most desktops from login to logout",
        ),
    }
}
