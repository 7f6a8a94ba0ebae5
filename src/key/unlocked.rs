//! The opened key in the kernel's keyring, between `unlock` and `lock` or its timeout.
//!
//! It lies in the user's keyring (`@u`), which every session of the user shares, and is readable by the user's processes
//! whether their session's keyring leads there or not (as it does not after `su` and in most services): possession is not
//! asked for. An entry says of which key file it was made, and is no entry for any other.

use std::path::Path;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::identities::Identities;
use crate::error::Result;
use crate::settings::Settings;

/// What an entry was made of: the sealed file as it is, or the OS keyring.
pub enum Origin<'a> {
    /// The bytes of a sealed file.
    Sealed(&'a [u8]),
    /// The OS keyring, whose state cannot be seen without asking it.
    Keyring,
}

/// An opened key, and until when it stays so.
pub struct Unlocked {
    /// The key.
    pub identities: Identities,
    /// When the kernel forgets it.
    pub until: SystemTime,
}

/// The opened key of these settings' store, if there is one that was made of `origin`. Whatever is wrong is as if there were
/// none: the key itself is still there.
pub fn find(settings: &Settings, origin: &Origin) -> Option<Unlocked> {
    let entry = kernel::read(&name(&settings.directory))?;
    parse(&entry, &mark(origin)).filter(|unlocked| SystemTime::now() < unlocked.until)
}

/// Puts an opened key there, in place of what was. Until when.
pub fn keep(settings: &Settings, origin: &Origin, identities: &Identities, time: Duration) -> Result<SystemTime> {
    let until = SystemTime::now() + time;
    let seconds = until.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let head = format!("# until {seconds}\n# of {}\n", mark(origin));
    let mut entry = Zeroizing::new(String::with_capacity(head.len() + identities.text.len()));
    entry.push_str(&head);
    entry.push_str(&identities.text);
    kernel::write(&name(&settings.directory), entry.as_bytes(), time)?;
    Ok(until)
}

/// That there is a kernel's keyring to use.
pub fn check() -> Result<()> {
    kernel::check()
}

/// Removes it, whatever it was made of. Whether there was one.
pub fn forget(settings: &Settings) -> Result<bool> {
    kernel::remove(&name(&settings.directory))
}

fn parse(entry: &[u8], mark: &str) -> Option<Unlocked> {
    let text = std::str::from_utf8(entry).ok()?;
    let (until, rest) = text.strip_prefix("# until ")?.split_once('\n')?;
    let identities = rest.strip_prefix("# of ")?.strip_prefix(mark)?.strip_prefix('\n')?;
    let until = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(until.parse().ok()?))?;
    Some(Unlocked { identities: Identities::parse(Zeroizing::new(identities.to_owned())).ok()?, until })
}

/// Two stores never share an entry.
fn name(directory: &Path) -> String {
    let directory = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    format!("docker-credential-coffer:{}", hex(&Sha256::digest(directory.as_os_str().as_encoded_bytes())[..16]))
}

fn mark(origin: &Origin) -> String {
    match origin {
        Origin::Sealed(bytes) => hex(&Sha256::digest(bytes)[..16]),
        Origin::Keyring => "keyring".into(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(target_os = "linux")]
mod kernel {
    use std::time::Duration;

    use linux_keyutils::{KeyError, KeyPermissionsBuilder, KeyRing, KeyRingIdentifier, Permission};
    use zeroize::Zeroizing;

    use crate::error::{Error, Result};

    /// The most that is read of an entry.
    const MAX_ENTRY: usize = 16 << 10;

    /// As much as nearly every entry takes: a larger buffer would cost more to wipe than to fill.
    const USUAL_ENTRY: usize = 512;

    pub fn read(name: &str) -> Option<Zeroizing<Vec<u8>>> {
        let key = keyring().and_then(|keyring| keyring.search(name)).ok()?;
        let mut room = USUAL_ENTRY;
        loop {
            let mut entry = Zeroizing::new(vec![0; room]);
            // The length of the entry, even if it is longer than the buffer.
            let length = key.read(&mut *entry).ok().filter(|length| *length <= MAX_ENTRY)?;
            if length <= room {
                entry.truncate(length);
                return Some(entry);
            }
            room = length;
        }
    }

    pub fn write(name: &str, entry: &[u8], time: Duration) -> Result<()> {
        let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        let all = || Permission::VIEW | Permission::READ | Permission::WRITE | Permission::SEARCH | Permission::SETATTR;
        let rights = KeyPermissionsBuilder::builder().posessor(all()).user(all()).build();
        let written = keyring().and_then(|keyring| {
            let key = keyring.add_key(name, entry)?;
            // A kill before this leaves an entry without a timeout; readers then go by what it says itself.
            key.set_timeout(seconds as usize)?;
            key.set_perms(rights)
        });
        written.map_err(failure)
    }

    pub fn check() -> Result<()> {
        keyring().map(drop).map_err(failure)
    }

    pub fn remove(name: &str) -> Result<bool> {
        match keyring().and_then(|keyring| keyring.search(name)?.invalidate()) {
            Ok(()) => Ok(true),
            // Nor is there anything to remove where there is no keyring.
            Err(error) if is_none(error) || is_forbidden(error) => Ok(false),
            Err(error) => Err(failure(error)),
        }
    }

    fn keyring() -> Result<KeyRing, KeyError> {
        KeyRing::from_special_id(KeyRingIdentifier::User, false)
    }

    fn is_none(error: KeyError) -> bool {
        matches!(error, KeyError::KeyDoesNotExist | KeyError::KeyExpired | KeyError::KeyRevoked)
    }

    /// EPERM of a container's system call filter, ENOSYS of a kernel without keyrings.
    fn is_forbidden(error: KeyError) -> bool {
        matches!(error, KeyError::PermissionDenied | KeyError::Unknown(38))
    }

    fn failure(error: KeyError) -> Error {
        Error::NoKernelKeyring(match error {
            KeyError::Unknown(38) => "this kernel has none".into(),
            KeyError::PermissionDenied => "it is forbidden here, as in most containers".into(),
            KeyError::QuotaExceeded => "it is full".into(),
            error => format!("it says {error}"),
        })
    }
}

#[cfg(not(target_os = "linux"))]
mod kernel {
    use std::time::Duration;

    use zeroize::Zeroizing;

    use crate::error::{Error, Result};

    pub fn read(_name: &str) -> Option<Zeroizing<Vec<u8>>> {
        None
    }

    pub fn check() -> Result<()> {
        Err(Error::NoKernelKeyring("only Linux has one".into()))
    }

    pub fn write(_name: &str, _entry: &[u8], _time: Duration) -> Result<()> {
        check()
    }

    pub fn remove(_name: &str) -> Result<bool> {
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_of_one_key_and_has_an_end() {
        let key = Identities::generate();
        let entry = format!("# until 1000\n# of abcd\n{}", *key.text);
        let read = parse(entry.as_bytes(), "abcd").unwrap();
        assert!(read.until == SystemTime::UNIX_EPOCH + Duration::from_secs(1000));
        assert_eq!(*read.identities.text, *key.text);
        for (entry, mark) in [
            (entry.as_str(), "abce"),
            (entry.as_str(), "abc"),
            ("# until x\n# of abcd\n", "abcd"),
            ("# until 1000\n# of abcd\ngarbage", "abcd"),
            ("", "abcd"),
        ] {
            assert!(parse(entry.as_bytes(), mark).is_none(), "{entry} {mark}");
        }
    }
}
