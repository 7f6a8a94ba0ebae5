//! A key file: read, and told what it is. Opens nothing that is sealed.

use std::path::Path;

use rustix::io::Errno;
use zeroize::Zeroizing;

use super::identities::{Identities, Malformed};
use super::sealed;
use crate::error::{Error, Result};
use crate::files::{self, Privacy};

/// An identity file longer than this is not one.
pub const MAX_IDENTITIES: u64 = 1 << 20;

/// What a key file holds.
pub enum File {
    /// Identities that anybody can read, or that name a plugin.
    Open(Identities),
    /// The whole of a sealed file.
    Sealed(Zeroizing<Vec<u8>>),
}

/// Reads a key file; `None` if there is none.
pub fn read(path: &Path, privacy: Privacy) -> Result<Option<File>> {
    let Some(bytes) = files::read(path, MAX_IDENTITIES, privacy)? else { return Ok(None) };
    if sealed::is_sealed(&bytes) {
        return Ok(Some(File::Sealed(bytes)));
    }
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Error::UnusableKey { path: path.into(), problem: "is not an age identity file" })?;
    parse(path, Zeroizing::new(text.to_owned())).map(File::Open).map(Some)
}

/// The identities in a text, of a file that `path` names in errors.
pub fn parse(path: &Path, text: Zeroizing<String>) -> Result<Identities> {
    Identities::parse(text).map_err(|malformed| match malformed {
        Malformed::Line(line) => Error::NotIdentities { path: path.into(), line },
        Malformed::Empty => Error::UnusableKey { path: path.into(), problem: "holds no age identity" },
    })
}

/// Reads an identity file that is somewhere else; one that is sealed is refused.
pub fn read_identities(path: &Path) -> Result<Identities> {
    match read(path, Privacy::Any)? {
        Some(File::Open(identities)) => Ok(identities),
        Some(File::Sealed(_)) => Err(Error::UnusableKey { path: path.into(), problem: "is sealed with a passphrase" }),
        None => Err(Error::file("open", path)(Errno::NOENT.into())),
    }
}
