//! One age file: bytes in, bytes out.

use std::io::{self, BufRead, Read, Write};
use std::path::Path;

use age::{DecryptError, EncryptError};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::key::recipient::{self, Recipient};
use crate::key::{Key, plugin};

/// The most that is read of a header.
const MAX_HEADER: usize = 64 << 10;

/// Encrypts to all recipients, in age's binary format.
pub fn encrypt(recipients: &[Recipient], plaintext: &[u8]) -> Result<Vec<u8>> {
    let _watch = recipients.iter().any(|recipient| recipient.plugin().is_some()).then(plugin::watch);
    let failed = |what| Error::Internal(format!("encrypting: {what}"));
    // Each takes more than this of the header, and its time: a list of thousands is not even begun.
    if recipients.len() > MAX_HEADER / 40 {
        return Err(Error::TooManyRecipients(recipients.len()));
    }
    let of_age = recipient::for_age(recipients)?;
    let encryptor = age::Encryptor::with_recipients(of_age.iter().map(AsRef::as_ref));
    let encryptor = encryptor.map_err(|error| match error {
        EncryptError::Plugin(errors) => plugin::failure(&errors),
        EncryptError::Io(error) => Error::Plugin(plugin::said(&error.to_string())),
        EncryptError::IncompatibleRecipients { .. } => Error::Incompatible,
        _ => failed("recipients"),
    })?;
    let mut ciphertext = Vec::new();
    let mut writer = encryptor.wrap_output(&mut ciphertext).map_err(|_| failed("header"))?;
    writer.write_all(plaintext).and_then(|()| writer.finish().map(drop)).map_err(|_| failed("payload"))?;
    // What is written has to be read again.
    match header_length(&ciphertext) {
        Some(_) => Ok(ciphertext),
        None => Err(Error::TooManyRecipients(recipients.len())),
    }
}

/// Up to where the header goes: the line that begins with `---`, which no other does. `None` if that is further than is read.
fn header_length(bytes: &[u8]) -> Option<usize> {
    let header = &bytes[..bytes.len().min(MAX_HEADER)];
    let last = header.windows(5).position(|window| window == b"\n--- ")? + 1;
    Some(last + header[last..].iter().position(|byte| *byte == b'\n')? + 1)
}

/// A file that gives age its header at one go. Line by line, age would parse it from the beginning for each, which takes
/// minutes for one that was made to be slow.
struct Source<'a> {
    rest: &'a [u8],
    /// What is left of the header.
    header: usize,
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.rest.read(buffer)
    }
}

impl BufRead for Source<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(self.rest)
    }

    fn consume(&mut self, count: usize) {
        self.rest.consume(count);
    }

    fn read_until(&mut self, end: u8, buffer: &mut Vec<u8>) -> io::Result<usize> {
        if self.header == 0 {
            return self.rest.read_until(end, buffer);
        }
        let (header, rest) = self.rest.split_at(self.header);
        buffer.extend_from_slice(header);
        *self = Self { rest, header: 0 };
        Ok(header.len())
    }
}

/// The plaintext of a file, which `path` names in errors.
pub fn decrypt(path: &Path, bytes: &[u8], key: &Key) -> Result<Zeroizing<Vec<u8>>> {
    let broken = |problem: &str| Error::BadFile { path: path.into(), problem: problem.into() };
    let header = header_length(bytes).ok_or_else(|| broken("is not a whole age file"))?;
    let _watch = key.needs_plugin().then(plugin::watch);
    let decryptor =
        age::Decryptor::new_buffered(Source { rest: bytes, header }).map_err(|_| broken("is not an age file"))?;
    let mut reader = decryptor.decrypt(key.identities()).map_err(|error| match error {
        // To age, a plugin that could not be started is a key that does not fit.
        DecryptError::NoMatchingKeys => Error::WrongKey { path: path.into(), has_plugin: key.needs_plugin() },
        DecryptError::Plugin(errors) => plugin::failure(&errors),
        DecryptError::Io(error) if key.needs_plugin() => Error::Plugin(plugin::said(&error.to_string())),
        _ => broken("is damaged"),
    })?;
    // The plaintext is shorter than the file: the buffer never moves, so no copy is left behind.
    let mut plaintext = Zeroizing::new(Vec::with_capacity(bytes.len()));
    reader.read_to_end(&mut plaintext).map_err(|_| broken("is damaged or truncated"))?;
    Ok(plaintext)
}
