//! The store of age files, in the manner of pass:
//!
//! ```text
//! DIR/lock                          held by writers
//! DIR/store/.age-recipients         who can read what is written, one a line
//! DIR/store/<server>/<username>.age the protocol's JSON, encrypted
//! DIR/ecr/<server>/<label>.age      the same, of a token
//! DIR/aws/<device>/<label>.age      the same, of a session
//! ```
//!
//! Both names are percent-encoded and readable, so that `list` and a miss need no key; what the file
//! says inside must agree with them. Readers take no lock: every change is one rename.

use std::cell::OnceCell;
use std::fs::DirEntry;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use age::x25519;
use zeroize::Zeroizing;

use super::age_file::{decrypt, encrypt, parse_recipients};
use super::{Held, Listing, Shelf, Store};
use crate::credential::{Credential, Login};
use crate::error::{Error, Result};
use crate::file_name::{decode, encode, is_name};
use crate::files::{self, Lock, Privacy};
use crate::key::{self, Key};
use crate::server::ServerKey;
use crate::settings::Settings;

/// The longest age file that is opened: a request of 1 MiB, every byte of it escaped, and then some.
const MAX_FILE: u64 = 8 << 20;

/// The longest copy of another program's file that is opened.
const MAX_SEALED: u64 = 80 << 20;

/// A recipients file longer than this is not one.
const MAX_RECIPIENTS: u64 = 1 << 20;

/// How long the keeping of a token waits for other writers.
const TOKEN_PATIENCE: Duration = Duration::from_millis(500);

/// How often a reader looks again when a writer replaced the file under its hands.
const LOOKS: usize = 10;

/// Credentials as age files below the store's directory.
pub struct AgeDir<'a> {
    settings: &'a Settings,
    root: PathBuf,
    shelf: Shelf,
    may_prompt: bool,
    key: OnceCell<Key>,
}

impl<'a> AgeDir<'a> {
    /// The store of these settings for one kind of credential. Touches nothing. `may_prompt` says whether the
    /// key's holder may ask to be unlocked.
    pub fn new(settings: &'a Settings, shelf: Shelf, may_prompt: bool) -> Self {
        let root = match shelf {
            Shelf::Logins => logins(settings),
            Shelf::EcrTokens => settings.directory.join("ecr"),
            Shelf::AwsSessions => settings.directory.join("aws"),
        };
        Self { settings, root, shelf, may_prompt, key: OnceCell::new() }
    }

    /// Makes what a first `put` would make: the directory, the key, and the list of recipients.
    pub fn initialise(&self) -> Result<()> {
        let lock = self.lock()?;
        self.recipients(&lock).map(drop)
    }

    /// Whether there is a list of recipients, so that credentials can be written.
    pub fn is_initialised(&self) -> bool {
        self.recipients_path().is_file()
    }

    fn lock(&self) -> Result<Lock> {
        files::create_directory(&logins(self.settings))?;
        files::create_directory(&self.root)?;
        self.check()?;
        let patience = match self.shelf {
            // What is kept there can be had again, sooner than by waiting.
            Shelf::EcrTokens => TOKEN_PATIENCE,
            Shelf::Logins | Shelf::AwsSessions => files::LOCK_LIMIT,
        };
        Lock::acquire(self.settings.directory.join("lock"), patience)
    }

    /// Refuses a store that others could have written: anybody can encrypt to a recipient.
    fn check(&self) -> Result<()> {
        files::check_directory(&self.settings.directory, Privacy::Private)?;
        files::check_directory(&self.root, Privacy::Unshared)
    }

    fn directory_of(&self, server: &ServerKey) -> PathBuf {
        self.root.join(encode(server.name()))
    }

    fn recipients_path(&self) -> PathBuf {
        logins(self.settings).join(".age-recipients")
    }

    /// Everyone who must be able to read what is written, the key's own holder among them. Makes the key, if there is none
    /// to be found and nothing that another one would have to open.
    fn recipients(&self, lock: &Lock) -> Result<Vec<x25519::Recipient>> {
        let path = self.recipients_path();
        let mut text = files::read(&path, MAX_RECIPIENTS, Privacy::Unshared)?.unwrap_or_default();
        let listed = if text.is_empty() { Vec::new() } else { parse_recipients(&path, &text)? };
        let is_listed = |own: &String| listed.iter().any(|recipient| recipient.to_string() == *own);
        let own = key::recipients(self.settings)?;
        if own.iter().any(is_listed) {
            return Ok(listed);
        }
        // A writer that was killed over the key or the list left it beside.
        lock.sweep(&self.settings.directory)?;
        lock.sweep(&logins(self.settings))?;
        let own = match (own.is_empty(), is_empty(&logins(self.settings))?) {
            // The key of a store that was made already is out of reach, not missing: worth a login, not a token.
            (true, true) if self.shelf != Shelf::Logins && !listed.is_empty() => {
                return Err(key::missing(self.settings));
            }
            (true, true) => key::create(self.settings, self.may_prompt)?.recipients(),
            (true, false) => return Err(key::missing(self.settings)),
            (false, false) if !listed.is_empty() => return Err(Error::NotARecipient(path)),
            (false, _) => own,
        };
        if text.last().is_some_and(|byte| *byte != b'\n') {
            text.push(b'\n');
        }
        for recipient in own {
            text.extend_from_slice(format!("{recipient}\n").as_bytes());
        }
        files::write(&path, &text)?;
        parse_recipients(&path, &text)
    }

    /// Decrypts a file; `None` if it has gone meanwhile.
    fn open(&self, path: &Path, key: &Key) -> Result<Option<Login>> {
        let Some(bytes) = files::read(path, MAX_FILE, Privacy::Unshared)? else { return Ok(None) };
        let plaintext = decrypt(path, &bytes, key)?;
        let broken = |_| Error::BadFile { path: path.into(), problem: "does not hold a credential".into() };
        Login::from_json(&plaintext).map(Some).map_err(broken)
    }

    /// Encrypts something else that is the user's to everyone who can read the store, and writes it to `path`.
    pub fn seal(&self, path: &Path, plaintext: &[u8]) -> Result<()> {
        let lock = self.lock()?;
        lock.sweep(files::parent(path))?;
        files::write(path, &encrypt(&self.recipients(&lock)?, plaintext)?)
    }

    /// What was sealed; `None` if it is not there.
    pub fn unseal(&self, path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let Some(bytes) = files::read(path, MAX_SEALED, Privacy::Private)? else { return Ok(None) };
        decrypt(path, &bytes, self.key()?).map(Some)
    }

    /// The key, which is opened once.
    fn key(&self) -> Result<&Key> {
        match self.key.get() {
            Some(key) => Ok(key),
            None => {
                let key = key::require(self.settings, self.may_prompt)?;
                Ok(self.key.get_or_init(|| key))
            }
        }
    }

    /// Server and username of what lies in a server's directory; `None` if nothing does.
    fn name(&self, directory: &Path) -> Result<Option<(ServerKey, Held)>> {
        let Some(file) = newest(credential_files(directory)?) else { return Ok(None) };
        let stray = || Error::BadFile { path: file.path.clone(), problem: "is not where a credential would be".into() };
        let directory = directory.file_name().and_then(|name| name.to_str()).ok_or_else(stray)?;
        let (server, username) = match (decode(directory), decode(&file.stem)) {
            (Some(server), Some(username)) => (server, username),
            // A name that was shortened stands only inside.
            _ => match self.open(&file.path, &key::require(self.settings, false)?)? {
                Some(login) => (login.server, login.username),
                None => return Ok(None),
            },
        };
        let server: ServerKey = server.parse().map_err(|_| stray())?;
        let is_text = !username.chars().any(char::is_control);
        if encode(server.name()) != directory || encode(&username) != file.stem || !is_text {
            return Err(stray());
        }
        Ok(Some((server, Held { username, since: Some(file.modified) })))
    }
}

impl Store for AgeDir<'_> {
    fn get(&self, server: &ServerKey) -> Result<Option<Credential>> {
        let directory = self.directory_of(server);
        let mut looks = 0..LOOKS;
        loop {
            let Some(file) = newest(credential_files(&directory)?) else { return Ok(None) };
            self.check()?;
            files::check_directory(&directory, Privacy::Unshared)?;
            if let Some(login) = self.open(&file.path, self.key()?)? {
                return agreed(server, &file, login).map(Some);
            }
            if looks.next().is_none() {
                return Err(Error::BadFile { path: file.path, problem: "is listed and cannot be found".into() });
            }
        }
    }

    fn find(&self, server: &ServerKey) -> Result<Option<Held>> {
        Ok(self.name(&self.directory_of(server))?.map(|(_, held)| held))
    }

    fn put(&self, server: &ServerKey, credential: &Credential) -> Result<()> {
        let lock = self.lock()?;
        let recipients = self.recipients(&lock)?;
        let directory = self.directory_of(server);
        files::create_directory(&directory)?;
        files::check_directory(&directory, Privacy::Unshared)?;
        lock.sweep(&directory)?;
        let path = directory.join(format!("{}.age", encode(&credential.username)));
        let ciphertext = encrypt(&recipients, &Login::to_json(server.name(), credential))?;
        files::write(&path, &ciphertext)?;
        // Only now, so that a kill leaves two rather than none.
        for file in credential_files(&directory)? {
            if file.path != path {
                files::remove(&file.path)?;
            }
        }
        files::sync_directory(&directory)
    }

    fn remove(&self, server: &ServerKey) -> Result<bool> {
        // Nothing to remove needs no lock, so no directory that could be written.
        let directory = self.directory_of(server);
        if credential_files(&directory)?.is_empty() {
            return Ok(false);
        }
        let lock = self.lock()?;
        let held = credential_files(&directory)?;
        for file in &held {
            files::remove(&file.path)?;
        }
        files::sync_directory(&directory)?;
        lock.sweep(&directory)?;
        // Stays if a stray file lies in it, which is not ours to remove.
        if std::fs::remove_dir(&directory).is_ok() {
            files::sync_directory(&self.root)?;
        }
        Ok(!held.is_empty())
    }

    fn list(&self) -> Result<Listing> {
        let mut listing = Listing::default();
        for directory in directories(&self.root)? {
            match self.name(&directory.path()) {
                Ok(named) => listing.held.extend(named),
                Err(error) => listing.broken.push(error),
            }
        }
        Ok(listing)
    }
}

/// Where logins lie, and the recipients of everything.
fn logins(settings: &Settings) -> PathBuf {
    settings.directory.join("store")
}

/// Whether nothing is held there that a new key could not open.
fn is_empty(root: &Path) -> Result<bool> {
    for directory in directories(root)? {
        if !credential_files(&directory.path())?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The directories of all servers. What begins with a dot is not ours: `.git`, `.age-recipients`.
fn directories(root: &Path) -> Result<Vec<DirEntry>> {
    let mut entries = files::entries(root)?;
    entries.retain(|entry| {
        !entry.file_name().as_encoded_bytes().starts_with(b".") && entry.file_type().is_ok_and(|kind| kind.is_dir())
    });
    Ok(entries)
}

/// A file that holds, or should hold, a credential.
struct CredentialFile {
    path: PathBuf,
    stem: String,
    modified: SystemTime,
}

/// The `.age` files of a server's directory; none if there is no such directory.
fn credential_files(directory: &Path) -> Result<Vec<CredentialFile>> {
    let mut found = Vec::new();
    for entry in files::entries(directory)? {
        let name = entry.file_name();
        let Some(stem) = name.to_str().and_then(|name| name.strip_suffix(".age")) else { continue };
        if !is_name(stem) || entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        // Gone meanwhile, or not to be examined: then it is not the newest either.
        let modified = entry.metadata().and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        found.push(CredentialFile { path: entry.path(), stem: stem.to_owned(), modified });
    }
    Ok(found)
}

/// Which of two counts, as after a git merge: the last written, by name if they are of one moment.
fn newest(files: Vec<CredentialFile>) -> Option<CredentialFile> {
    files.into_iter().max_by(|one, other| (one.modified, &one.stem).cmp(&(other.modified, &other.stem)))
}

/// The credential, if the file says inside what its path says. Otherwise whoever can move files could have
/// one registry's credential sent to another.
fn agreed(server: &ServerKey, file: &CredentialFile, login: Login) -> Result<Credential> {
    let says = |problem: &str| Error::BadFile { path: file.path.clone(), problem: problem.into() };
    if login.server.parse::<ServerKey>().ok().as_ref() != Some(server) {
        return Err(says("was made for another server, and moved here"));
    }
    if encode(&login.username) != file.stem {
        return Err(says("was made for another username, and renamed"));
    }
    Credential::new(login.username, login.secret).map_err(|_| says("does not hold a credential"))
}
