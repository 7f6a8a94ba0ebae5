//! A store of one target's own, in a directory that goes with the process's work directory.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use age::x25519::{Identity, Recipient};
use coffer::settings::{EcrSettings, KeyHolder, Settings, StoreKind};
use tempfile::TempDir;

/// A key that opens nothing but what is made here, and stands in the seeds.
pub const IDENTITY: &str = "AGE-SECRET-KEY-1HVW2HVUR6EJ6QMV3U5F5GQ8058Y5QPZRFV3AYSZRSF0JEZTM30ZQL06VJ8";

/// A store with a key, and nothing in it.
pub struct World {
    directory: TempDir,
    recipient: Recipient,
}

impl World {
    /// Makes one below `TMPDIR`.
    pub fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let identity: Identity = IDENTITY.parse().unwrap();
        let world = Self { directory, recipient: identity.to_public() };
        world.write("identities", IDENTITY.as_bytes());
        world.write("store/.age-recipients", world.recipient.to_string().as_bytes());
        world
    }

    /// Settings of a machine that has nothing but this store, and asks nobody.
    pub fn settings(&self) -> Settings {
        Settings {
            directory: self.directory.path().into(),
            config: self.directory.path().join("config.toml"),
            store: StoreKind::Age,
            key: Some(KeyHolder::File),
            identity_file: None,
            may_prompt: false,
            unlock_for: Duration::from_secs(1),
            ecr: EcrSettings { cache: false, timeout: Duration::from_millis(100) },
            rules: Vec::new(),
        }
    }

    /// Puts a file into the store's directory, with its directories; all of them private.
    pub fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        let parent = path.parent().unwrap();
        fs::create_dir_all(parent).unwrap();
        for directory in parent.ancestors().take_while(|path| path.starts_with(self.directory.path())) {
            fs::set_permissions(directory, Permissions::from_mode(0o700)).unwrap();
        }
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }

    /// Where a file of the store's directory lies.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Removes what the store holds; the key stays.
    pub fn clear(&self) {
        for entry in fs::read_dir(self.path("store")).unwrap().flatten() {
            if entry.path().is_dir() {
                fs::remove_dir_all(entry.path()).unwrap();
            }
        }
    }

    /// How many files lie below a directory.
    pub fn files(&self) -> usize {
        fn count(path: &Path) -> usize {
            let entries = fs::read_dir(path).unwrap().flatten();
            entries.map(|entry| if entry.path().is_dir() { count(&entry.path()) } else { 1 }).sum()
        }
        count(self.directory.path())
    }

    /// A text encrypted to the store's key, as whoever knows its public half can.
    pub fn encrypt(&self, plaintext: &[u8]) -> Vec<u8> {
        let recipients = std::iter::once(&self.recipient as &dyn age::Recipient);
        let mut ciphertext = Vec::new();
        let mut writer = age::Encryptor::with_recipients(recipients).unwrap().wrap_output(&mut ciphertext).unwrap();
        writer.write_all(plaintext).unwrap();
        writer.finish().unwrap();
        ciphertext
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}
