//! Everything that is held, encrypted again: to other recipients, or to another key.
//!
//! At every moment the key that is found opens everything that it could open before, and a command that was killed can be
//! called again. What is under way stands in `DIR/rekeying`, from before the first change until after the last:
//!
//! ```text
//! new age1…    the recipients of a key that is to take over (none where only the list changes)
//! old age1…    those of the key that goes
//! ```
//!
//! A key changes in two rounds. In the first, everything is encrypted to both keys. Then the new one takes the place of the old
//! one in one step; and in the second round, the old one is left out.

use std::path::{Path, PathBuf};

use super::age_dir::MAX_FILE;
use super::age_file::{decrypt, encrypt};
use super::layout::{self, age_files, directories};
use crate::error::{Error, Result};
use crate::files::{self, Lock, Privacy};
use crate::key::{Key, Recipient, RecipientList};
use crate::settings::Settings;

/// What is under way is no longer than this.
const MAX_MARKER: u64 = 1 << 20;

/// The right to change who can read, held against all other writers.
pub struct Rekeying<'a> {
    settings: &'a Settings,
    lock: Lock,
    /// What could not be opened, and was left as it is.
    pub left: Vec<Error>,
}

/// What a command that was killed had begun.
#[derive(Debug, PartialEq, Eq)]
pub enum Resumed {
    /// Nothing.
    Nothing,
    /// A change of the list, or of a key that had not taken over yet: everything is as before it, or as the list says.
    Settled,
    /// A change of the key, which is done now.
    KeyChanged,
}

/// A change of the key.
#[derive(Default)]
struct Change {
    new: Vec<Recipient>,
    old: Vec<Recipient>,
}

/// Whether a change was begun and not ended, as far as can be told.
pub fn is_under_way(settings: &Settings) -> bool {
    !matches!(files::exists(&marker(settings)), Ok(false))
}

fn marker(settings: &Settings) -> PathBuf {
    settings.directory.join("rekeying")
}

impl<'a> Rekeying<'a> {
    /// Waits for other writers.
    pub fn begin(settings: &'a Settings) -> Result<Self> {
        layout::check_made(settings)?;
        files::check_directory(&settings.directory, Privacy::Private)?;
        let lock = Lock::acquire(settings.directory.join("lock"), files::LOCK_LIMIT)?;
        // What a killed one left may be half a key.
        lock.sweep(&settings.directory)?;
        Ok(Self { settings, lock, left: Vec::new() })
    }

    /// Ends what a killed command had begun. `key` is the one that is found now, under the lock. `let_go` takes the other one from where it may
    /// still be kept.
    pub fn resume(&mut self, key: &Key, let_go: impl FnOnce(&[Recipient]) -> Result<()>) -> Result<Resumed> {
        let Some(change) = self.under_way()? else { return Ok(Resumed::Nothing) };
        // The killed one may not have waited for the disk: nothing may depend on a key that a crash would take back.
        files::sync_directory(&self.settings.directory)?;
        let own = key.recipients();
        let has_taken_over = !change.new.is_empty() && change.new.iter().all(|new| own.contains(new));
        // As with COFFER_IDENTITY_FILE. To guess would be to throw away the key that is in use.
        if !change.new.is_empty() && !has_taken_over && !change.old.iter().any(|old| own.contains(old)) {
            return Err(Error::Command {
                message: "a change of the key was interrupted, and this is neither the old key nor the new one".into(),
                cure: format!(
                    "call it again with the store's own key; if that is lost, remove {}",
                    marker(self.settings).display()
                ),
            });
        }
        let gone = if has_taken_over { &change.old } else { &change.new };
        let mut list = layout::read_recipients(self.settings)?;
        if has_taken_over {
            change.new.iter().for_each(|new| list.add(new.clone(), None));
        }
        gone.iter().for_each(|gone| list.remove(gone));
        self.apply(&list, key)?;
        let_go(gone)?;
        self.end()?;
        Ok(if has_taken_over { Resumed::KeyChanged } else { Resumed::Settled })
    }

    /// Writes another list of recipients, and everything anew for them. Refuses one with which the key would open nothing.
    pub fn change_list(&mut self, list: &RecipientList, key: &Key) -> Result<()> {
        if list.is_empty() || !opens(key, list.recipients())? {
            return Err(Error::Command {
                message: "this key could open nothing any more".into(),
                cure: "docker-credential-coffer key rotate replaces a key by a new one".into(),
            });
        }
        self.mark(&Change::default())?;
        self.apply(list, key)?;
        self.end()
    }

    /// Has another key take over: `switch` puts it in the place of the old one, and `let_go` takes that from where it may
    /// still be kept.
    pub fn change_key(
        &mut self,
        old: &Key,
        new: &Key,
        switch: impl FnOnce() -> Result<()>,
        let_go: impl FnOnce(&[Recipient]) -> Result<()>,
    ) -> Result<()> {
        if !old.text().tells_recipients() {
            return Err(Error::Command {
                message: "the recipient of the present key is not known, so it cannot be left out".into(),
                cure: "write it above the identity in its file: # recipient: age1…".into(),
            });
        }
        let mut list = self.list_of(old)?;
        let new_recipients = new.recipients();
        let gone = old.recipients().into_iter().filter(|own| list.contains(own) && !new_recipients.contains(own));
        let change = Change { old: gone.collect(), new: new_recipients };
        if !opens(new, &change.new)? {
            return Err(Error::Command {
                message: "the new key does not open what is encrypted to its recipient; nothing was changed".into(),
                cure: "see that identity and recipient belong together".into(),
            });
        }
        self.mark(&change)?;
        change.new.iter().for_each(|new| list.add(new.clone(), None));
        self.apply(&list, old)?;
        switch()?;
        change.old.iter().for_each(|old| list.remove(old));
        // What was left as it is, is left again. A token is not asked again for what a key in memory opens.
        self.left.clear();
        self.apply(&list, if old.needs_plugin() { new } else { old })?;
        let_go(&change.old)?;
        self.end()
    }

    /// The list, if the key is on it: one that opens nothing has nothing to say about who can read.
    pub fn list_of(&self, key: &Key) -> Result<RecipientList> {
        let list = layout::read_recipients(self.settings)?;
        if list.is_empty() {
            return Err(Error::NoList(layout::recipients_path(self.settings)));
        }
        let own = key.recipients();
        if own.iter().any(|own| list.contains(own)) || own.is_empty() {
            return Ok(list);
        }
        Err(Error::NotARecipient(layout::recipients_path(self.settings)))
    }

    fn apply(&mut self, list: &RecipientList, key: &Key) -> Result<()> {
        let path = layout::recipients_path(self.settings);
        // Nothing may be changed that cannot be carried through: a plugin that is missing, recipients that exclude each other.
        encrypt(list.recipients(), b"")?;
        files::write(&path, list.text().as_bytes())?;
        let mut unopened = Vec::new();
        for root in layout::roots(self.settings) {
            self.lock.sweep(&root)?;
            for directory in directories(&root)? {
                self.lock.sweep(&directory.path())?;
                for file in age_files(&directory.path())? {
                    match again(&file, list, key) {
                        Err(Error::WrongKey { has_plugin: true, .. }) => unopened.push(file),
                        done => self.leave(done)?,
                    }
                }
            }
        }
        // A plugin that could not be started opens nothing. Before a file is given up, it has to open one that it can.
        if !unopened.is_empty() && !opens(key, list.recipients())? {
            return Err(Error::Plugin("it does not open what is encrypted to it".into()));
        }
        unopened.iter().try_for_each(|file| self.leave(again(file, list, key)))
    }

    /// What could not be opened was so before, and is left as it is.
    fn leave(&mut self, done: Result<()>) -> Result<()> {
        match done {
            Err(error @ (Error::WrongKey { .. } | Error::BadFile { .. })) => {
                self.left.push(error);
                Ok(())
            }
            done => done,
        }
    }

    fn mark(&self, change: &Change) -> Result<()> {
        let line = |word: &str, recipient: &Recipient| format!("{word} {recipient}\n");
        let mut text = String::from("# The key or the list of recipients is being changed: call that command again.\n");
        text.extend(change.new.iter().map(|new| line("new", new)));
        text.extend(change.old.iter().map(|old| line("old", old)));
        files::write(&marker(self.settings), text.as_bytes())
    }

    fn under_way(&self) -> Result<Option<Change>> {
        let path = marker(self.settings);
        let Some(bytes) = files::read(&path, MAX_MARKER, Privacy::Private)? else { return Ok(None) };
        let text = String::from_utf8_lossy(&bytes);
        let all = |word: &str| {
            let lines = text.lines().filter_map(|line| line.strip_prefix(word)?.strip_prefix(' '));
            lines.filter_map(|recipient| recipient.parse().ok()).collect()
        };
        Ok(Some(Change { new: all("new"), old: all("old") }))
    }

    fn end(&self) -> Result<()> {
        files::remove(&marker(self.settings))?;
        files::sync_directory(&self.settings.directory)
    }
}

/// Whether a key opens what is written for these recipients: seen before anything depends on it.
fn opens(key: &Key, recipients: &[Recipient]) -> Result<bool> {
    match decrypt(Path::new("a file for this key"), &encrypt(recipients, b"proof")?, key) {
        Ok(read) => Ok(*read == b"proof"),
        Err(Error::WrongKey { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// One file, for other readers. It stays as old as it is: of two for one server, the newest counts. A link might lead to a
/// backup or a token, and a copy of that would come to lie in what a team shares.
fn again(file: &layout::CredentialFile, list: &RecipientList, key: &Key) -> Result<()> {
    layout::refuse_link(&file.path)?;
    let Some(bytes) = files::read(&file.path, MAX_FILE, Privacy::Unshared)? else { return Ok(()) };
    let plaintext = decrypt(&file.path, &bytes, key)?;
    let ciphertext = encrypt(list.recipients(), &plaintext)?;
    files::write_as_of(&file.path, &ciphertext, file.modified)
}
