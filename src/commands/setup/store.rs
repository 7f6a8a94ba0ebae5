//! The store and its key, and the options that say how they are to be.

use super::Step;
use crate::error::{Error, Result};
use crate::files;
use crate::key::{self, Holder, Kind, Own, Place};
use crate::migration::counted;
use crate::routes;
use crate::settings::{KeyHolder, Settings, StoreKind};
use crate::store::Shelf;
use crate::store::age_dir::AgeDir;
use crate::store::layout;

/// How a new key is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum KeyChoice {
    /// An item of the OS keyring.
    Keyring,
    /// A plain file.
    File,
    /// A file sealed with a passphrase, which is asked for.
    Passphrase,
}

impl KeyChoice {
    /// What config.toml calls it. A sealed file is found without being named there.
    fn holder(self) -> Option<KeyHolder> {
        match self {
            Self::Keyring => Some(KeyHolder::Keyring),
            Self::File => Some(KeyHolder::File),
            Self::Passphrase => None,
        }
    }
}

/// What the options say and `config.toml` does not say yet. A file that says otherwise is its owner's to edit.
pub fn configuration(
    store: Option<StoreKind>,
    key: Option<KeyChoice>,
    settings: &mut Settings,
) -> Result<Option<Step<'static>>> {
    let store = store.filter(|store| *store != settings.store);
    let key = key.and_then(KeyChoice::holder).filter(|key| Some(*key) != settings.key);
    let path = settings.config.clone();
    if store.is_none() && key.is_none() {
        // Whoever wrote it may have been killed before it was on the disk.
        return if path.is_file() { files::sync_directory(files::parent(&path)).map(|()| None) } else { Ok(None) };
    }
    let held = routes::store(settings).list()?.held.len();
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
    if held > 0 && (store.is_some() || !may_open(settings)?) {
        return Err(Error::Command {
            message: format!("{} would not be found or opened any more", counted(held, "login")),
            cure: "log out first (docker-credential-coffer ls says where), and run setup again".into(),
        });
    }
    if files::exists(&path)? {
        return Err(Error::Command {
            message: format!("{} says otherwise than --store or --key", path.display()),
            cure: format!("write into it: {}", text.trim().replace('\n', " ")),
        });
    }
    Ok(Some(Step {
        what: vec![format!("write {}", path.display())],
        undo: format!("rm {}", path.display()),
        act: Box::new(move |lock| {
            files::create_directory(files::parent(&path))?;
            lock.sweep(files::parent(&path))?;
            files::write(&path, text.trim_start().as_bytes())
        }),
    }))
}

/// Whether the key that the settings name can be one that opens what is held. Another store's may lie in the same keyring.
fn may_open(settings: &Settings) -> Result<bool> {
    Ok(match key::own(settings)? {
        Own::None => false,
        Own::Unknown => true,
        Own::Known(_) if settings.store == StoreKind::Keyring => true,
        Own::Known(own) => {
            let list = layout::read_recipients(settings)?;
            own.iter().any(|own| list.contains(own))
        }
    })
}

/// A value as it stands in `config.toml`.
fn quoted(value: impl clap::ValueEnum) -> String {
    format!("\"{}\"", value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned()))
}

/// The store's directory and its key, unless they are there.
pub fn make(key: Option<KeyChoice>, settings: &Settings) -> Result<Option<Step<'_>>> {
    let seals = key == Some(KeyChoice::Passphrase);
    let has_other_key = || {
        let is_made = layout::recipients_path(settings).is_file();
        Ok::<_, Error>(is_made && key::kind(settings)? != Kind::Sealed)
    };
    if seals && (settings.store == StoreKind::Keyring || settings.key.is_some() || has_other_key()?) {
        return Err(Error::Command {
            message: "there is a key already, or config.toml says who holds it".into(),
            cure: "docker-credential-coffer key protect --passphrase changes how it is held".into(),
        });
    }
    if settings.store == StoreKind::Keyring {
        // Needs no making, but must be there.
        return routes::store(settings).list().map(|_| None);
    }
    let store = AgeDir::new(settings, Shelf::Logins);
    if store.is_initialised() {
        return Ok(None);
    }
    let directory = settings.directory.display();
    let holder = match key::place(settings)? {
        _ if seals => "with its key sealed with a passphrase".into(),
        Place::File(path, _) => format!("with the key in {}", path.display()),
        Place::Keyring => "with its key in the OS keyring, or else in a file".into(),
    };
    Ok(Some(Step {
        what: vec![format!("make the store {directory}, {holder}")],
        undo: format!("rm -r {directory} (loses what is stored there)"),
        act: Box::new(move |_| {
            let path = settings.directory.join("identities");
            let sealed = seals.then(|| key::new_passphrase(settings, &path)).transpose()?.map(Holder::Sealed);
            store.initialise(sealed.as_ref())
        }),
    }))
}
