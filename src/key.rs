//! Who holds the age identity that opens the store.
//!
//! In this order: the file named by `COFFER_IDENTITY_FILE`, what `config.toml` names, the file `identities`
//! in the store's directory, the OS keyring. The key is looked for only when there is something to open:
//! a miss never comes here.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use age::secrecy::ExposeSecret;
use age::x25519;
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::files::{self, Privacy};
use crate::os_keyring::OsKeyring;
use crate::settings::{KeyHolder, Settings};
use crate::trace;

/// The name of the identity file in the store's directory.
const IDENTITIES: &str = "identities";

/// The service of the identity's item in the OS keyring; its user is the recipient.
const SERVICE: &str = "docker-credential-coffer identity";

/// An identity file longer than this is not one.
const MAX_IDENTITIES: u64 = 1 << 20;

/// How long the OS keyring has to answer before a new key goes into a file instead.
const KEYRING_PATIENCE: Duration = Duration::from_secs(1);

/// Where a key is, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file; `Privacy` is what is asked of its mode.
    File(PathBuf, Privacy),
    /// The OS keyring.
    Keyring,
}

/// The identities that open the store.
pub struct Key {
    identities: Vec<x25519::Identity>,
}

impl Key {
    /// The identities, in the form that age takes them.
    pub fn identities(&self) -> impl Iterator<Item = &dyn age::Identity> {
        self.identities.iter().map(|identity| identity as &dyn age::Identity)
    }

    /// The public halves.
    pub fn recipients(&self) -> Vec<String> {
        self.identities.iter().map(|identity| identity.to_public().to_string()).collect()
    }
}

/// Where the key is looked for, without opening it.
pub fn place(settings: &Settings) -> Place {
    if let Some(path) = &settings.identity_file {
        return Place::File(path.clone(), Privacy::Any);
    }
    let file = identities_path(&settings.directory);
    match settings.key {
        Some(KeyHolder::File) => Place::File(file, Privacy::Private),
        Some(KeyHolder::Keyring) => Place::Keyring,
        None if file.symlink_metadata().is_ok() => Place::File(file, Privacy::Private),
        None => Place::Keyring,
    }
}

fn identities_path(directory: &Path) -> PathBuf {
    directory.join(IDENTITIES)
}

/// Opens the key. `Ok(None)`: there is none in the place where it would be. An error: it is out of reach.
/// `may_prompt` says whether the OS keyring may ask to be unlocked.
pub fn open(settings: &Settings, may_prompt: bool) -> Result<Option<Key>> {
    let place = place(settings);
    trace::debug(|| format!("the key is looked for in {place:?}"));
    match place {
        Place::File(path, privacy) => from_file(&path, privacy),
        Place::Keyring => match from_keyring(may_prompt) {
            // Nobody said that there is a keyring: a machine without one has no key in it.
            Err(Error::NoKeyring(_)) if settings.key.is_none() => Ok(None),
            key => key,
        },
    }
}

/// As [`open`], for a store that holds something: no key is an error.
pub fn require(settings: &Settings, may_prompt: bool) -> Result<Key> {
    open(settings, may_prompt)?.ok_or_else(|| missing(settings))
}

/// The public halves of the key: what must be able to read everything that is written. Unlocks nothing, and is empty
/// where there is no key.
pub fn recipients(settings: &Settings) -> Result<Vec<String>> {
    match place(settings) {
        Place::File(path, privacy) => Ok(from_file(&path, privacy)?.map_or_else(Vec::new, |key| key.recipients())),
        Place::Keyring => match recipients_in_keyring() {
            Err(Error::NoKeyring(_)) if settings.key.is_none() => Ok(Vec::new()),
            found => found,
        },
    }
}

fn recipients_in_keyring() -> Result<Vec<String>> {
    let keyring = OsKeyring::open(false)?;
    keyring.find(SERVICE, None)?.iter().map(|item| Ok(item.names()?.user)).collect()
}

/// That the store holds something and its key is nowhere, and where was looked.
pub fn missing(settings: &Settings) -> Error {
    Error::NoKey {
        directory: settings.directory.clone(),
        reason: match place(settings) {
            Place::File(..) if settings.identity_file.is_some() => {
                "the file that COFFER_IDENTITY_FILE names does not exist"
            }
            Place::File(..) => "there is no identities file",
            Place::Keyring if settings.key.is_some() => "the OS keyring holds none",
            Place::Keyring => "there is no identities file, and no OS keyring that holds one",
        },
    }
}

/// Makes a key where the settings say, or else in the OS keyring if one answers without a prompt within a
/// second, or else in a file.
///
/// To be called only while the store holds nothing and has no key: a second one would orphan what the first
/// one opens.
pub fn create(settings: &Settings, may_prompt: bool) -> Result<Key> {
    if settings.identity_file.is_some() {
        return Err(Error::NoKey {
            directory: settings.directory.clone(),
            reason: "the file that COFFER_IDENTITY_FILE names does not exist, and none is made there",
        });
    }
    let identity = x25519::Identity::generate();
    let holder = settings.key.unwrap_or_else(|| if keyring_is_ready() { KeyHolder::Keyring } else { KeyHolder::File });
    trace::debug(|| format!("a new key is made in {holder:?}"));
    match holder {
        KeyHolder::Keyring => create_in_keyring(&identity, may_prompt)?,
        KeyHolder::File => create_in_file(&identity, &identities_path(&settings.directory))?,
    }
    Ok(Key { identities: vec![identity] })
}

fn keyring_is_ready() -> bool {
    let (answer, answered) = mpsc::channel();
    let ask = move || answer.send(OsKeyring::open(false).is_ok_and(|keyring| keyring.is_unlocked()));
    let asked = thread::Builder::new().spawn(ask).is_ok();
    asked && answered.recv_timeout(KEYRING_PATIENCE).unwrap_or(false)
}

fn create_in_keyring(identity: &x25519::Identity, may_prompt: bool) -> Result<()> {
    let keyring = OsKeyring::open(may_prompt)?;
    let recipient = identity.to_public().to_string();
    let secret = identity.to_string();
    let label = "Key of docker-credential-coffer";
    keyring.put(SERVICE, &recipient, None, label, secret.expose_secret().as_bytes())?;
    // Everything that is stored from now on depends on it.
    let kept = keyring.find(SERVICE, Some(&recipient))?;
    match kept.first().map(crate::os_keyring::Item::secret).transpose()? {
        Some(read) if *read == secret.expose_secret().as_bytes() => Ok(()),
        _ => Err(Error::Keyring("it did not give back the key that was put into it".into())),
    }
}

fn create_in_file(identity: &x25519::Identity, path: &Path) -> Result<()> {
    let secret = identity.to_string();
    let text = Zeroizing::new(format!("# public key: {}\n{}\n", identity.to_public(), secret.expose_secret()));
    files::write(path, text.as_bytes())
}

fn from_file(path: &Path, privacy: Privacy) -> Result<Option<Key>> {
    let Some(bytes) = files::read(path, MAX_IDENTITIES, privacy)? else { return Ok(None) };
    let unusable = |problem| Error::UnusableKey { path: path.into(), problem };
    if bytes.starts_with(b"age-encryption.org/") || bytes.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----") {
        return Err(unusable("is protected with a passphrase, which this version cannot ask for"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| unusable("is not an age identity file"))?;
    let identities = parse(text).map_err(|line| match line {
        Some(line) if line.starts_with("AGE-PLUGIN-") => unusable("names an age plugin, which this version cannot run"),
        Some(_) => unusable("holds a line that is not an age identity"),
        None => unusable("holds no age identity"),
    })?;
    Ok(Some(Key { identities }))
}

/// The identities of a file in age's own format. Fails with the first line that is none, or with `None` if
/// there are no identities at all. The line is for telling what kind it is, never for showing.
fn parse(text: &str) -> Result<Vec<x25519::Identity>, Option<&str>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let identities: Vec<_> =
        lines.map(|line| x25519::Identity::from_str(line).map_err(|_| Some(line))).collect::<Result<_, _>>()?;
    if identities.is_empty() { Err(None) } else { Ok(identities) }
}

fn from_keyring(may_prompt: bool) -> Result<Option<Key>> {
    let keyring = OsKeyring::open(may_prompt)?;
    let mut identities = Vec::new();
    for item in keyring.find(SERVICE, None)? {
        let secret = item.secret()?;
        let identity = std::str::from_utf8(&secret).ok().and_then(|text| x25519::Identity::from_str(text.trim()).ok());
        identities.push(identity.ok_or_else(|| Error::Keyring("its item for the key is not an age identity".into()))?);
    }
    Ok(if identities.is_empty() { None } else { Some(Key { identities }) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_file_may_hold_comments_and_several_identities() {
        let one = x25519::Identity::generate();
        let two = x25519::Identity::generate();
        let text =
            format!("# created\n\n{}\r\n  {}\n", one.to_string().expose_secret(), two.to_string().expose_secret());
        let key = Key { identities: parse(&text).unwrap() };
        assert_eq!(key.recipients(), [one.to_public().to_string(), two.to_public().to_string()]);
    }

    #[test]
    fn what_is_no_identity_is_told_apart() {
        assert_eq!(parse("# nothing\n").err(), Some(None));
        assert_eq!(parse("AGE-PLUGIN-YUBIKEY-1\n").err(), Some(Some("AGE-PLUGIN-YUBIKEY-1")));
        assert!(parse("garbage").is_err());
    }
}
