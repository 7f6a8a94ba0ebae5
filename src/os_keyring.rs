//! The keyring of the operating system: the Secret Service, the macOS Keychain, Windows' Credential Manager.
//!
//! Items are told apart by a service (what they are for) and a user (which one), as keyring-core does.
//! Looking for an item never unlocks anything and never prompts; only [`Item::secret`] and [`OsKeyring::put`]
//! may, if the caller says so. What stands behind the interface is chosen by the one `cfg` below; only the
//! Secret Service is tested.

#[cfg(all(unix, not(target_os = "macos")))]
pub use secret_service::{Item, OsKeyring};

#[cfg(not(all(unix, not(target_os = "macos"))))]
pub use native::{Item, OsKeyring};

/// What tells an item from the others of its service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// Which item it is.
    pub user: String,
    /// The login name, where the keyring keeps one beside the secret.
    pub login: Option<String>,
}

#[cfg(all(unix, not(target_os = "macos")))]
mod secret_service {
    use std::collections::HashMap;
    use std::env;
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    use dbus_secret_service::{EncryptionType, Error as ServiceError, SecretService};
    use zeroize::Zeroizing;

    use super::Names;
    use crate::deadline;
    use crate::error::{Error, Result, one_line};

    /// How long a keyring may show its own prompt, in seconds. Below the limit of the process, so that the
    /// error can say what it was.
    const PROMPT_SECONDS: u64 = 15;

    /// A connection to the Secret Service of this session.
    pub struct OsKeyring {
        service: SecretService,
    }

    /// What the service says of an item that is there no more; gnome-keyring uses the first two.
    const GONE: [&str; 4] = [
        "org.freedesktop.DBus.Error.UnknownMethod",
        "org.freedesktop.DBus.Error.UnknownObject",
        "org.freedesktop.DBus.Error.UnknownInterface",
        "org.freedesktop.Secret.Error.NoSuchObject",
    ];

    /// An item that was found; nothing of it has been asked for. Asked for anything, it may have gone meanwhile:
    /// [`Error::ItemGone`].
    pub struct Item<'a> {
        item: dbus_secret_service::Item<'a>,
        locked: bool,
    }

    impl OsKeyring {
        /// Connects, without unlocking anything. `may_prompt` says whether the keyring may show its prompt
        /// when something is asked for that is locked.
        pub fn open(may_prompt: bool) -> Result<Self> {
            // libdbus would go on to start an X11 session bus.
            if !has_session_bus() {
                return Err(Error::NoKeyring("there is no D-Bus session bus".into()));
            }
            deadline::waiting_for("the OS keyring");
            let seconds = if may_prompt { PROMPT_SECONDS } else { 0 };
            // Whoever can read this user's bus can also ask the keyring; docs/decisions.md says why not to encrypt here.
            match SecretService::connect_with_max_prompt_timeout(EncryptionType::Plain, seconds) {
                Ok(service) => Ok(Self { service }),
                Err(error) => Err(Error::NoKeyring(said(&error))),
            }
        }

        /// The items of a service, or the one of a user, locked or not. Asks for no secret.
        pub fn find(&self, service: &str, user: Option<&str>) -> Result<Vec<Item<'_>>> {
            let mut attributes = HashMap::from([("service", service)]);
            attributes.extend(user.map(|user| ("username", user)));
            let found = self.service.search_items(attributes).map_err(failure)?;
            let unlocked = found.unlocked.into_iter().map(|item| Item { item, locked: false });
            let locked = found.locked.into_iter().map(|item| Item { item, locked: true });
            Ok(unlocked.chain(locked).collect())
        }

        /// Writes an item, replacing the one with the same service and user.
        pub fn put(&self, service: &str, user: &str, label: &str, secret: &[u8]) -> Result<()> {
            let attributes = HashMap::from([("service", service), ("username", user)]);
            self.create(attributes, label, secret, true).map(drop)
        }

        /// Writes an item beside whatever there is. Its [`Item::id`].
        pub fn add(&self, service: &str, user: &str, login: &str, label: &str, secret: &[u8]) -> Result<String> {
            let attributes = HashMap::from([("service", service), ("username", user), ("login", login)]);
            self.create(attributes, label, secret, false)
        }

        fn create(&self, names: HashMap<&str, &str>, label: &str, secret: &[u8], replace: bool) -> Result<String> {
            let collection = self.service.get_default_collection().map_err(failure)?;
            collection.ensure_unlocked().map_err(failure)?;
            let item = collection.create_item(label, names, secret, replace, "text/plain").map_err(failure)?;
            Ok(item.path.to_string())
        }

        /// Whether something could be written now, without a prompt.
        pub fn is_unlocked(&self) -> bool {
            self.service
                .get_default_collection()
                .and_then(|collection| collection.is_locked())
                .is_ok_and(|locked| !locked)
        }
    }

    impl Item<'_> {
        /// What tells it from all other items that are there.
        pub fn id(&self) -> String {
            self.item.path.to_string()
        }

        /// Which item of its service it is, and its login. Known of a locked item too.
        pub fn names(&self) -> Result<Names> {
            let mut attributes = self.item.get_attributes().map_err(item_failure)?;
            let user = attributes.remove("username").unwrap_or_default();
            Ok(Names { user, login: attributes.remove("login") })
        }

        /// When it was last written, where that is known.
        pub fn modified(&self) -> Option<SystemTime> {
            let seconds = self.item.get_modified().ok()?;
            Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
        }

        /// What is kept in it. Unlocks it first, if that is allowed.
        pub fn secret(&self) -> Result<Zeroizing<Vec<u8>>> {
            self.unlock()?;
            self.item.get_secret().map(Zeroizing::new).map_err(item_failure)
        }

        /// Removes it, if nobody else has. Unlocks it first, if that is allowed.
        pub fn delete(&self) -> Result<()> {
            match self.unlock().and_then(|()| self.item.delete().map_err(item_failure)) {
                Err(Error::ItemGone) => Ok(()),
                deleted => deleted,
            }
        }

        fn unlock(&self) -> Result<()> {
            if !self.locked {
                return Ok(());
            }
            deadline::waiting_for("the OS keyring to be unlocked");
            self.item.unlock().map_err(item_failure)
        }
    }

    fn has_session_bus() -> bool {
        let named = env::var_os("DBUS_SESSION_BUS_ADDRESS").is_some_and(|address| !address.is_empty());
        named || env::var_os("XDG_RUNTIME_DIR").is_some_and(|directory| Path::new(&directory).join("bus").exists())
    }

    fn item_failure(error: ServiceError) -> Error {
        match &error {
            ServiceError::Dbus(said) if said.name().is_some_and(|name| GONE.contains(&name)) => Error::ItemGone,
            _ => failure(error),
        }
    }

    fn failure(error: ServiceError) -> Error {
        match error {
            ServiceError::Locked | ServiceError::Prompt => Error::KeyringLocked,
            ServiceError::Dbus(error) if error.name() == Some("org.freedesktop.Secret.Error.IsLocked") => {
                Error::KeyringLocked
            }
            ServiceError::Unavailable => Error::NoKeyring(said(&ServiceError::Unavailable)),
            ServiceError::NoResult => Error::NoKeyring("it has no default collection".into()),
            other => Error::Keyring(said(&other)),
        }
    }

    fn said(error: &ServiceError) -> String {
        one_line(&error.to_string())
    }
}

/// macOS and Windows, through keyring-core. Untested.
#[cfg(not(all(unix, not(target_os = "macos"))))]
mod native {
    use std::collections::HashMap;
    use std::marker::PhantomData;
    use std::sync::Arc;
    use std::time::SystemTime;

    use keyring_core::{CredentialStore, Entry, Error as CoreError};
    use zeroize::Zeroizing;

    use super::Names;
    use crate::deadline;
    use crate::error::{Error, Result, one_line};

    /// The keyring of the logged-in user.
    pub struct OsKeyring {
        store: Arc<CredentialStore>,
    }

    /// An item that was found; nothing of it has been asked for.
    pub struct Item<'a> {
        entry: Entry,
        keyring: PhantomData<&'a OsKeyring>,
    }

    impl OsKeyring {
        /// Opens the keyring. The system prompts by its own rules.
        pub fn open(_may_prompt: bool) -> Result<Self> {
            deadline::waiting_for("the OS keyring");
            #[cfg(target_os = "macos")]
            let store = apple_native_keyring_store::keychain::Store::new();
            #[cfg(windows)]
            let store = windows_native_keyring_store::Store::new();
            let store: Arc<CredentialStore> = store.map_err(|error| Error::NoKeyring(one_line(&error.to_string())))?;
            Ok(Self { store })
        }

        /// The items of a service, or the one of a user. Asks for no secret.
        pub fn find(&self, service: &str, user: Option<&str>) -> Result<Vec<Item<'_>>> {
            // Windows' store finds by a pattern of its own; everything is taken there, and sifted.
            let mut wanted = HashMap::new();
            if cfg!(target_os = "macos") {
                wanted.insert("service", service);
                wanted.extend(user.map(|user| ("user", user)));
            }
            let found = self.store.search(&wanted).map_err(failure)?;
            let is_wanted = |entry: &Entry| {
                let specifiers = entry.get_specifiers();
                specifiers.is_some_and(|(of, whose)| of == service && user.is_none_or(|user| whose == user))
            };
            Ok(found.into_iter().filter(is_wanted).map(|entry| Item { entry, keyring: PhantomData }).collect())
        }

        /// Writes an item, replacing the one with the same service and user.
        pub fn put(&self, service: &str, user: &str, _label: &str, secret: &[u8]) -> Result<()> {
            let entry = self.store.build(service, user, None).map_err(failure)?;
            entry.set_secret(secret).map_err(failure)
        }

        /// The same: there is one of a name. Its [`Item::id`].
        pub fn add(&self, service: &str, user: &str, _login: &str, _label: &str, secret: &[u8]) -> Result<String> {
            let entry = self.store.build(service, user, None).map_err(failure)?;
            entry.set_secret(secret).map_err(failure)?;
            Ok(id(&entry))
        }

        /// Whether something could be written now, without a prompt.
        pub fn is_unlocked(&self) -> bool {
            true
        }
    }

    impl Item<'_> {
        /// What tells it from all other items that are there.
        pub fn id(&self) -> String {
            id(&self.entry)
        }

        /// Which item of its service it is.
        pub fn names(&self) -> Result<Names> {
            let user = self.entry.get_specifiers().map(|(_, user)| user).unwrap_or_default();
            Ok(Names { user, login: None })
        }

        /// Not known here.
        pub fn modified(&self) -> Option<SystemTime> {
            None
        }

        /// What is kept in it.
        pub fn secret(&self) -> Result<Zeroizing<Vec<u8>>> {
            self.entry.get_secret().map(Zeroizing::new).map_err(failure)
        }

        /// Removes it, if nobody else has.
        pub fn delete(&self) -> Result<()> {
            match self.entry.delete_credential() {
                Err(CoreError::NoEntry) => Ok(()),
                deleted => deleted.map_err(failure),
            }
        }
    }

    fn id(entry: &Entry) -> String {
        format!("{:?}", entry.get_specifiers())
    }

    fn failure(error: CoreError) -> Error {
        match error {
            CoreError::NoStorageAccess(_) => Error::KeyringLocked,
            CoreError::NoEntry => Error::ItemGone,
            other => Error::Keyring(one_line(&other.to_string())),
        }
    }
}
