//! The store of age files, in the manner of pass: who writes what in which order. `layout` says where everything lies.
//!
//! What a file says inside must agree with its path. Readers take no lock: every change is one rename.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use super::age_file::{decrypt, encrypt};
use super::layout::{
    CredentialFile, credential_files, directories, holds_nothing, logins, newest, read_recipients, recipients_path,
    refuse_link, root,
};
use super::{Held, Listing, Shelf, Store};
use crate::credential::{Credential, Login};
use crate::error::{Error, Result};
use crate::file_name::{decode, encode};
use crate::files::{self, Batch, Lock, Privacy};
use crate::key::{self, Ask, Holder, Key, Own, Place, RecipientList};
use crate::server::ServerKey;
use crate::settings::Settings;

/// The longest age file that is opened: another program's file, of which a copy is kept, and then some.
pub(super) const MAX_FILE: u64 = 80 << 20;

/// The longest that is opened as a credential: the longest request, each byte of it escaped, and a long header.
const MAX_CREDENTIAL: u64 = 8 << 20;

/// How long the keeping of a token waits for other writers.
const TOKEN_PATIENCE: Duration = Duration::from_millis(500);

/// How often a reader looks again when a writer replaced the file under its hands.
const LOOKS: usize = 10;

/// Credentials as age files below the store's directory.
pub struct AgeDir<'a> {
    settings: &'a Settings,
    root: PathBuf,
    shelf: Shelf,
    /// How long it waits for other writers.
    patience: Duration,
    key: OnceCell<Key>,
}

impl<'a> AgeDir<'a> {
    /// The store of these settings for one kind of credential. Touches nothing.
    pub fn new(settings: &'a Settings, shelf: Shelf) -> Self {
        let patience = match shelf {
            // What is kept there can be had again, sooner than by waiting.
            Shelf::EcrTokens => TOKEN_PATIENCE,
            Shelf::Logins | Shelf::AwsSessions => files::LOCK_LIMIT,
        };
        Self { settings, root: root(settings, shelf), shelf, patience, key: OnceCell::new() }
    }

    /// The same, waiting for other writers as long as anybody does: for what must not be left undone.
    #[must_use]
    pub fn patient(self) -> Self {
        Self { patience: files::LOCK_LIMIT, ..self }
    }

    /// Makes what a first `put` would make: the directory, the key, and the list of recipients. The key is held by `holder`,
    /// or as the settings say.
    pub fn initialise(&self, holder: Option<&Holder>) -> Result<()> {
        let lock = self.lock()?;
        let list = read_recipients(self.settings)?;
        self.recipients(&lock, list, holder, &Ask::Caller("to list who can read the store".into())).map(drop)
    }

    /// Whether there is a list of recipients, so that credentials can be written.
    pub fn is_initialised(&self) -> bool {
        recipients_path(self.settings).is_file()
    }

    /// Who may be asked for a credential of this shelf. A token can sooner be minted than a key opened.
    fn ask(&self, server: &ServerKey) -> Ask {
        match self.shelf {
            Shelf::Logins => Ask::Person(format!("to open {server}")),
            Shelf::EcrTokens => Ask::Never,
            Shelf::AwsSessions => Ask::Person("to open the AWS session of an MFA device".into()),
        }
    }

    fn lock(&self) -> Result<Lock> {
        files::create_directory(&logins(self.settings))?;
        files::create_directory(&self.root)?;
        self.check()?;
        Lock::acquire(self.settings.directory.join("lock"), self.patience)
    }

    /// Refuses a store that others could have written: anybody can encrypt to a recipient.
    fn check(&self) -> Result<()> {
        files::check_directory(&self.settings.directory, Privacy::Private)?;
        files::check_directory(&self.root, Privacy::Unshared)
    }

    /// Where a server's credential lies. A shared repository can bring a link there, and what lies where it leads is not ours
    /// to remove.
    fn directory_of(&self, server: &ServerKey) -> Result<PathBuf> {
        let directory = self.root.join(encode(server.name()));
        refuse_link(&directory).map(|()| directory)
    }

    /// The list with everyone who must be able to read what is written, the key's own holder among them. Makes the key, if there is none
    /// to be found and nothing that another one would have to open.
    fn recipients(
        &self,
        lock: &Lock,
        mut list: RecipientList,
        holder: Option<&Holder>,
        ask: &Ask,
    ) -> Result<RecipientList> {
        let path = recipients_path(self.settings);
        let own = key::own(self.settings)?;
        match &own {
            // Who is listed was so when the key could be seen; nobody is asked for a passphrase to write.
            Own::Unknown if !list.is_empty() => return Ok(list),
            Own::Known(own) if own.iter().any(|own| list.contains(own)) => return Ok(list),
            _ => {}
        }
        // A writer that was killed over the key or the list left it beside.
        lock.sweep(&self.settings.directory)?;
        lock.sweep(&logins(self.settings))?;
        let own = match own {
            Own::Unknown => key::require(self.settings, ask)?.recipients(),
            Own::Known(_) if !list.is_empty() && !holds_nothing(self.settings)? => {
                return Err(Error::NotARecipient(path));
            }
            // Another store's, in the same keyring. A key of two stores could not be changed in one without closing the other.
            Own::Known(_)
                if list.is_empty() && key::place(self.settings)? == Place::Keyring && holds_nothing(self.settings)? =>
            {
                key::create(self.settings, holder, self.settings.may_prompt)?
            }
            Own::Known(own) => own,
            Own::None if !holds_nothing(self.settings)? => return Err(key::missing(self.settings)),
            // The key of a store that was made already is out of reach, not missing: worth a login, not a token.
            Own::None if self.shelf != Shelf::Logins && !list.is_empty() => return Err(key::missing(self.settings)),
            Own::None => key::create(self.settings, holder, self.settings.may_prompt)?,
        };
        if own.is_empty() {
            return Err(Error::NotARecipient(path));
        }
        for recipient in own {
            list.add(recipient, None);
        }
        files::write(&path, list.text().as_bytes())?;
        Ok(list)
    }

    /// The same for a write. A list that is gone, or has been emptied, is not made anew without a word: those who were on it
    /// could read nothing more.
    fn readers(&self, lock: &Lock) -> Result<RecipientList> {
        let list = read_recipients(self.settings)?;
        if list.is_empty() && !holds_nothing(self.settings)? {
            return Err(Error::NoList(recipients_path(self.settings)));
        }
        self.recipients(lock, list, None, &Ask::Never)
    }

    /// Decrypts a file; `None` if it has gone meanwhile.
    fn open(&self, path: &Path, key: &Key) -> Result<Option<Login>> {
        let Some(bytes) = files::read(path, MAX_CREDENTIAL, Privacy::Unshared)? else { return Ok(None) };
        let plaintext = decrypt(path, &bytes, key)?;
        let broken = |_| Error::BadFile { path: path.into(), problem: "does not hold a credential".into() };
        Login::from_json(&plaintext).map(Some).map_err(broken)
    }

    /// Encrypts something else that is the user's to everyone who can read the store, and writes it to `path`.
    pub fn seal(&self, path: &Path, plaintext: &[u8]) -> Result<()> {
        let lock = self.lock()?;
        lock.sweep(files::parent(path))?;
        let recipients = self.readers(&lock)?;
        files::write(path, &encrypt(recipients.recipients(), plaintext)?)
    }

    /// What was sealed; `None` if it is not there.
    pub fn unseal(&self, path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let Some(bytes) = files::read(path, MAX_FILE, Privacy::Private)? else { return Ok(None) };
        decrypt(path, &bytes, self.key(&Ask::Person("to read a backup".into()))?).map(Some)
    }

    /// The key, which is opened once.
    fn key(&self, ask: &Ask) -> Result<&Key> {
        match self.key.get() {
            Some(key) => Ok(key),
            None => {
                let key = key::require(self.settings, ask)?;
                Ok(self.key.get_or_init(|| key))
            }
        }
    }

    /// Server and username of what lies in a server's directory; `None` if nothing does.
    fn name(&self, directory: &Path) -> Result<Option<(ServerKey, Held)>> {
        let mut looks = 0..LOOKS;
        loop {
            let Some(file) = newest(credential_files(directory)?) else { return Ok(None) };
            match self.name_of(directory, &file)? {
                // A writer put another in its place: what is gone is the file, not the login.
                None if looks.next().is_some() => {}
                named => return Ok(named),
            }
        }
    }

    /// Server and username of one file; `None` if it has gone before it could be opened for them.
    fn name_of(&self, directory: &Path, file: &CredentialFile) -> Result<Option<(ServerKey, Held)>> {
        let stray = || Error::BadFile { path: file.path.clone(), problem: "is not where a credential would be".into() };
        let directory = directory.file_name().and_then(|name| name.to_str()).ok_or_else(stray)?;
        let (server, username) = match (decode(directory), decode(&file.stem)) {
            (Some(server), Some(username)) => (server, username),
            // A name that was shortened stands only inside.
            _ => match self.open(&file.path, &key::require(self.settings, &Ask::Never)?)? {
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
        let directory = self.directory_of(server)?;
        let mut looks = 0..LOOKS;
        loop {
            let Some(file) = newest(credential_files(&directory)?) else { return Ok(None) };
            self.check()?;
            files::check_directory(&directory, Privacy::Unshared)?;
            let opened = match self.open(&file.path, self.key(&self.ask(server))?) {
                // Another key may have taken over since this one was unlocked, or a moment ago.
                Err(Error::WrongKey { .. }) if self.key(&self.ask(server))?.is_free => {
                    self.open(&file.path, &key::require_itself(self.settings, &self.ask(server))?)
                }
                opened => opened,
            };
            if let Some(login) = opened? {
                return agreed(server, &file, login).map(Some);
            }
            if looks.next().is_none() {
                return Err(Error::BadFile { path: file.path, problem: "is listed and cannot be found".into() });
            }
        }
    }

    fn find(&self, server: &ServerKey) -> Result<Option<Held>> {
        Ok(self.name(&self.directory_of(server)?)?.map(|(_, held)| held))
    }

    fn put(&self, server: &ServerKey, credential: &Credential) -> Result<()> {
        let lock = self.lock()?;
        let recipients = self.readers(&lock)?;
        let directory = self.directory_of(server)?;
        files::create_directory(&directory)?;
        files::check_directory(&directory, Privacy::Unshared)?;
        lock.sweep(&directory)?;
        let path = path_in(&directory, credential);
        files::write(&path, &encrypt(recipients.recipients(), &Login::to_json(server.name(), credential))?)?;
        // Only now, so that a kill leaves two rather than none.
        if remove_others(&directory, &path)? {
            files::sync_directory(&directory)?;
        }
        Ok(())
    }

    /// Sweeps and writes in the manner of `put`, but locks once and waits for the disk once.
    fn put_all(&self, credentials: &[(ServerKey, Credential)]) -> Result<()> {
        let lock = self.lock()?;
        let recipients = self.readers(&lock)?;
        let mut batch = Batch::new(&self.root);
        let mut replaced = Vec::new();
        for (server, credential) in credentials {
            let directory = self.directory_of(server)?;
            let path = path_in(&directory, credential);
            if !batch.create_directory(&directory)? {
                files::check_directory(&directory, Privacy::Unshared)?;
                lock.sweep(&directory)?;
                replaced.push(path.clone());
            }
            batch.write(path, &encrypt(recipients.recipients(), &Login::to_json(server.name(), credential))?)?;
        }
        batch.finish()?;
        // What a crash would leave of these is older than what counts.
        replaced.iter().try_for_each(|path| remove_others(files::parent(path), path).map(drop))
    }

    fn settle(&self, servers: &[ServerKey]) -> Result<()> {
        // The files were synced before they had their names.
        servers.iter().try_for_each(|server| files::sync_directory(&self.directory_of(server)?))?;
        if servers.is_empty() { Ok(()) } else { files::sync_directory(&self.root) }
    }

    fn remove(&self, server: &ServerKey) -> Result<bool> {
        // Nothing to remove needs no lock, so no directory that could be written.
        let directory = self.directory_of(server)?;
        if credential_files(&directory)?.is_empty() {
            return Ok(false);
        }
        let lock = self.lock()?;
        let held = credential_files(&directory)?;
        if held.is_empty() {
            // Another removed it while this one waited, and its directory with it.
            return Ok(false);
        }
        for file in &held {
            files::remove(&file.path)?;
        }
        lock.sweep(&directory)?;
        // Stays if a stray file lies in it, which is not ours to remove.
        let is_gone = std::fs::remove_dir(&directory).is_ok();
        files::sync_directory(if is_gone { &self.root } else { &directory })?;
        Ok(true)
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

/// Where a credential lies.
fn path_in(directory: &Path, credential: &Credential) -> PathBuf {
    directory.join(format!("{}.age", encode(&credential.username)))
}

/// Removes every other credential of a server. Whether there was any.
fn remove_others(directory: &Path, path: &Path) -> Result<bool> {
    let mut others = credential_files(directory)?;
    others.retain(|file| file.path != path);
    for other in &others {
        files::remove(&other.path)?;
    }
    Ok(!others.is_empty())
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
