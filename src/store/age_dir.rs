//! The store of age files, in the manner of pass:
//!
//! ```text
//! DIR/lock                          held by writers
//! DIR/store/.age-recipients         who can read what is written, one a line
//! DIR/store/<server>/<username>.age the protocol's JSON, encrypted
//! ```
//!
//! Both names are percent-encoded and readable, so that `list` and a miss need no key; what the file
//! says inside must agree with them. Readers take no lock: every change is one rename.

use std::fs::DirEntry;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::SystemTime;

use age::{DecryptError, x25519};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{Held, Listing, Store};
use crate::credential::{Credential, Login};
use crate::error::{Error, Result};
use crate::files::{self, Lock, Privacy};
use crate::key::{self, Key};
use crate::server::ServerKey;
use crate::settings::Settings;

/// The longest age file that is opened: a request of 1 MiB, every byte of it escaped, and then some.
const MAX_FILE: u64 = 8 << 20;

/// age's parser takes quadratic time in the length of the header.
const MAX_HEADER: usize = 64 << 10;

/// A recipients file longer than this is not one.
const MAX_RECIPIENTS: u64 = 1 << 20;

/// Names longer than this when encoded are shortened: file systems end at 255 bytes, `.age` included.
const MAX_NAME: usize = 200;

/// How much of a shortened name stays readable.
const READABLE: usize = 100;

/// How often a reader looks again when a writer replaced the file under its hands.
const LOOKS: usize = 10;

/// Credentials as age files below the store's directory.
pub struct AgeDir<'a> {
    settings: &'a Settings,
    root: PathBuf,
}

impl<'a> AgeDir<'a> {
    /// The store of these settings. Touches nothing.
    pub fn new(settings: &'a Settings) -> Self {
        Self { settings, root: settings.directory.join("store") }
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
        files::create_directory(&self.root)?;
        self.check()?;
        Lock::acquire(self.settings.directory.join("lock"))
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
        self.root.join(".age-recipients")
    }

    /// Everyone who must be able to read what is written. Makes the key, if there is none to be found and
    /// nothing that another one would have to open.
    fn recipients(&self, _lock: &Lock) -> Result<Vec<x25519::Recipient>> {
        let path = self.recipients_path();
        let text = files::read(&path, MAX_RECIPIENTS, Privacy::Unshared)?;
        let listed = text.as_ref().map(|text| parse_recipients(&path, text)).transpose()?;
        if let Some(listed) = &listed
            && key::exists(self.settings)?
        {
            return Ok(listed.clone());
        }
        let key = match key::open(self.settings, self.settings.may_prompt)? {
            Some(key) => key,
            None if self.is_empty()? => key::create(self.settings)?,
            None => return Err(key::missing(self.settings)),
        };
        let mut text = text.unwrap_or_default();
        for recipient in key.recipients() {
            text.extend_from_slice(format!("{recipient}\n").as_bytes());
        }
        files::write(&path, &text)?;
        parse_recipients(&path, &text)
    }

    fn is_empty(&self) -> Result<bool> {
        for directory in self.directories()? {
            if !credential_files(&directory.path())?.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The directories of all servers. What begins with a dot is not ours: `.git`, `.age-recipients`.
    fn directories(&self) -> Result<Vec<DirEntry>> {
        let mut entries = files::entries(&self.root)?;
        entries.retain(|entry| {
            !entry.file_name().as_encoded_bytes().starts_with(b".") && entry.file_type().is_ok_and(|kind| kind.is_dir())
        });
        Ok(entries)
    }

    /// Decrypts a file; `None` if it has gone meanwhile.
    fn open(&self, path: &Path, key: &Key) -> Result<Option<Login>> {
        let Some(bytes) = files::read(path, MAX_FILE, Privacy::Unshared)? else { return Ok(None) };
        let plaintext = decrypt(path, &bytes, key)?;
        let broken = |_| Error::BadFile { path: path.into(), problem: "does not hold a credential".into() };
        Login::from_json(&plaintext).map(Some).map_err(broken)
    }

    /// Server and username of what lies in a server's directory, and the file; `None` if nothing does.
    fn name(&self, directory: &DirEntry) -> Result<Option<(ServerKey, Held)>> {
        let Some(file) = newest(credential_files(&directory.path())?) else { return Ok(None) };
        let stray = || Error::BadFile { path: file.path.clone(), problem: "is not where a credential would be".into() };
        let server = decode(&directory.file_name().to_string_lossy());
        let username = decode(&file.stem);
        let (server, username) = match (server, username) {
            (Some(server), Some(username)) => (server, username),
            // A name that was shortened stands only inside.
            _ => match self.open(&file.path, &key::require(self.settings, false)?)? {
                Some(login) => (login.server, login.username),
                None => return Ok(None),
            },
        };
        let server: ServerKey = server.parse().map_err(|_| stray())?;
        if encode(server.name()) != directory.file_name().to_string_lossy() || encode(&username) != file.stem {
            return Err(stray());
        }
        Ok(Some((server, Held { username, since: Some(file.modified) })))
    }
}

impl Store for AgeDir<'_> {
    fn get(&self, server: &ServerKey) -> Result<Option<Credential>> {
        let directory = self.directory_of(server);
        let mut key = None;
        for _ in 0..LOOKS {
            let Some(file) = newest(credential_files(&directory)?) else { return Ok(None) };
            self.check()?;
            files::check_directory(&directory, Privacy::Unshared)?;
            let key = match &key {
                Some(key) => key,
                None => key.insert(key::require(self.settings, self.settings.may_prompt)?),
            };
            if let Some(login) = self.open(&file.path, key)? {
                return agreed(server, &file, login).map(Some);
            }
        }
        Err(Error::Busy(self.settings.directory.join("lock")))
    }

    fn holds(&self, server: &ServerKey) -> Result<bool> {
        Ok(!credential_files(&self.directory_of(server))?.is_empty())
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
        if !self.holds(server)? {
            return Ok(false);
        }
        let lock = self.lock()?;
        let directory = self.directory_of(server);
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
        for directory in self.directories()? {
            match self.name(&directory) {
                Ok(named) => listing.held.extend(named),
                Err(error) => listing.broken.push(error),
            }
        }
        Ok(listing)
    }
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
        let Some(stem) = entry.file_name().to_str().and_then(|name| name.strip_suffix(".age")).map(str::to_owned)
        else {
            continue;
        };
        // Gone meanwhile, or not to be examined: then it is not the newest either.
        let modified = entry.metadata().and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        found.push(CredentialFile { path: entry.path(), stem, modified });
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

fn encrypt(recipients: &[x25519::Recipient], plaintext: &[u8]) -> Result<Vec<u8>> {
    let failed = |what| Error::Internal(format!("encrypting: {what}"));
    let recipients = recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(recipients).map_err(|_| failed("recipients"))?;
    let mut ciphertext = Vec::new();
    let mut writer = encryptor.wrap_output(&mut ciphertext).map_err(|_| failed("header"))?;
    writer.write_all(plaintext).and_then(|()| writer.finish().map(drop)).map_err(|_| failed("payload"))?;
    Ok(ciphertext)
}

fn decrypt(path: &Path, bytes: &[u8], key: &Key) -> Result<Zeroizing<Vec<u8>>> {
    let broken = |problem: &str| Error::BadFile { path: path.into(), problem: problem.into() };
    let header = &bytes[..bytes.len().min(MAX_HEADER)];
    if !header.windows(5).any(|window| window == b"\n--- ") {
        return Err(broken("is not a whole age file"));
    }
    let decryptor = age::Decryptor::new_buffered(bytes).map_err(|_| broken("is not an age file"))?;
    let mut reader = decryptor.decrypt(key.identities()).map_err(|error| match error {
        DecryptError::NoMatchingKeys => Error::WrongKey(path.into()),
        _ => broken("is damaged"),
    })?;
    // The plaintext is shorter than the file: the buffer never moves, so no copy is left behind.
    let mut plaintext = Zeroizing::new(Vec::with_capacity(bytes.len()));
    reader.read_to_end(&mut plaintext).map_err(|_| broken("is damaged or truncated"))?;
    Ok(plaintext)
}

/// One recipient a line, `#` begins a comment, as in passage. A line that is neither is an error: to leave it
/// out would lock somebody out of what is written.
fn parse_recipients(path: &Path, text: &[u8]) -> Result<Vec<x25519::Recipient>> {
    let broken = |problem: String| Error::BadFile { path: path.into(), problem };
    let text = std::str::from_utf8(text).map_err(|_| broken("is not UTF-8".into()))?;
    let mut recipients = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if !line.is_empty() && !line.starts_with('#') {
            let recipient = x25519::Recipient::from_str(line);
            recipients.push(recipient.map_err(|_| broken(format!("line {} is not an age recipient", number + 1)))?);
        }
    }
    if recipients.is_empty() { Err(broken("lists no recipient".into())) } else { Ok(recipients) }
}

/// All but `[a-z0-9._-]`, so that no file system that folds case can merge two names.
const ENCODED: &AsciiSet = &{
    let mut set = NON_ALPHANUMERIC.remove(b'.').remove(b'_').remove(b'-');
    let mut letter = b'A';
    while letter <= b'Z' {
        set = set.add(letter);
        letter += 1;
    }
    set
};

/// A file name for any text: readable, never `..` nor hidden, and never longer than a file system takes.
fn encode(text: &str) -> String {
    let mut name = utf8_percent_encode(text, ENCODED).to_string();
    if name.starts_with('.') {
        name.replace_range(..1, "%2E");
    }
    if name.ends_with('.') {
        name.replace_range(name.len() - 1.., "%2E");
    }
    if name.len() <= MAX_NAME {
        return name;
    }
    let digest: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    // A tilde is always encoded, so no other name looks like this one.
    format!("{}~{digest}", &name[..READABLE])
}

/// The text that was encoded; `None` if it was shortened, or if this is no name of ours.
fn decode(name: &str) -> Option<String> {
    let text = percent_decode_str(name).decode_utf8().ok()?;
    (encode(&text) == name).then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_readable_and_come_back() {
        for (text, name) in [
            ("ghcr.io", "ghcr.io"),
            ("localhost:5000", "localhost%3A5000"),
            ("https://index.docker.io/v1/", "https%3A%2F%2Findex.docker.io%2Fv1%2F"),
            ("Alice", "%41lice"),
            ("..", "%2E%2E"),
            (".", "%2E"),
            (".age-recipients", "%2Eage-recipients"),
            ("a.", "a%2E"),
            ("<token>", "%3Ctoken%3E"),
            ("a~b", "a%7Eb"),
            ("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd"),
            ("\u{fc}", "%C3%BC"),
        ] {
            assert_eq!(encode(text), name);
            assert_eq!(decode(name).as_deref(), Some(text));
        }
    }

    #[test]
    fn a_long_name_is_shortened_to_one_of_its_own() {
        let one = encode(&"x".repeat(2000));
        let other = encode(&"x".repeat(2001));
        assert_ne!(one, other);
        assert!(one.len() <= MAX_NAME && one.starts_with("xxxx"), "{one}");
        assert_eq!(decode(&one), None);
        assert_eq!(encode(&"x".repeat(200)).len(), 200);
    }

    #[test]
    fn a_foreign_name_is_no_name_of_ours() {
        for name in ["Ghcr.io", "a b", "%61", "%2e%2e", "%ff", "a~b"] {
            assert_eq!(decode(name), None, "{name}");
        }
    }

    #[test]
    fn recipients_are_read_as_passage_reads_them() {
        let recipient = x25519::Identity::generate().to_public().to_string();
        let path = Path::new(".age-recipients");
        let text = format!("# the team\n\n{recipient}\r\n  {recipient}  \n");
        assert_eq!(parse_recipients(path, text.as_bytes()).unwrap().len(), 2);
        let error = parse_recipients(path, format!("{recipient}\nssh-ed25519 AAAA\n").as_bytes()).err().unwrap();
        assert!(error.to_string().contains("line 2"), "{error}");
        assert!(parse_recipients(path, b"# nobody\n").is_err());
    }
}
