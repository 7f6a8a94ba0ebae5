//! One age file: bytes in, bytes out.

use std::io::{Read, Write};
use std::path::Path;

use age::{DecryptError, EncryptError};
use zeroize::Zeroizing;

use crate::error::{Error, Result, one_line};
use crate::key::recipient::{self, Recipient};
use crate::key::{Key, plugin};

/// age's parser takes quadratic time in the length of the header.
const MAX_HEADER: usize = 64 << 10;

/// Encrypts to all recipients, in age's binary format.
pub fn encrypt(recipients: &[Recipient], plaintext: &[u8]) -> Result<Vec<u8>> {
    let _watch = recipients.iter().any(|recipient| recipient.plugin().is_some()).then(plugin::watch);
    let failed = |what| Error::Internal(format!("encrypting: {what}"));
    let recipients = recipient::for_age(recipients)?;
    let encryptor = age::Encryptor::with_recipients(recipients.iter().map(AsRef::as_ref));
    let encryptor = encryptor.map_err(|error| match error {
        EncryptError::Plugin(errors) => plugin::failure(&errors),
        EncryptError::Io(error) => Error::Plugin(one_line(&error.to_string())),
        EncryptError::IncompatibleRecipients { .. } => Error::Incompatible,
        _ => failed("recipients"),
    })?;
    let mut ciphertext = Vec::new();
    let mut writer = encryptor.wrap_output(&mut ciphertext).map_err(|_| failed("header"))?;
    writer.write_all(plaintext).and_then(|()| writer.finish().map(drop)).map_err(|_| failed("payload"))?;
    Ok(ciphertext)
}

/// The plaintext of a file, which `path` names in errors.
pub fn decrypt(path: &Path, bytes: &[u8], key: &Key) -> Result<Zeroizing<Vec<u8>>> {
    let broken = |problem: &str| Error::BadFile { path: path.into(), problem: problem.into() };
    let header = &bytes[..bytes.len().min(MAX_HEADER)];
    if !header.windows(5).any(|window| window == b"\n--- ") {
        return Err(broken("is not a whole age file"));
    }
    let _watch = key.needs_plugin().then(plugin::watch);
    let decryptor = age::Decryptor::new_buffered(bytes).map_err(|_| broken("is not an age file"))?;
    let mut reader = decryptor.decrypt(key.identities()).map_err(|error| match error {
        DecryptError::NoMatchingKeys => Error::WrongKey(path.into()),
        DecryptError::Plugin(errors) => plugin::failure(&errors),
        DecryptError::Io(error) if key.needs_plugin() => Error::Plugin(one_line(&error.to_string())),
        _ => broken("is damaged"),
    })?;
    // The plaintext is shorter than the file: the buffer never moves, so no copy is left behind.
    let mut plaintext = Zeroizing::new(Vec::with_capacity(bytes.len()));
    reader.read_to_end(&mut plaintext).map_err(|_| broken("is damaged or truncated"))?;
    Ok(plaintext)
}
