//! One age file, and the list of who can read it: bytes in, bytes out.

use std::io::{Read, Write};
use std::path::Path;
use std::str::FromStr;

use age::{DecryptError, x25519};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::key::Key;

/// age's parser takes quadratic time in the length of the header.
const MAX_HEADER: usize = 64 << 10;

/// Encrypts to all recipients, in age's binary format.
pub fn encrypt(recipients: &[x25519::Recipient], plaintext: &[u8]) -> Result<Vec<u8>> {
    let failed = |what| Error::Internal(format!("encrypting: {what}"));
    let recipients = recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(recipients).map_err(|_| failed("recipients"))?;
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
pub fn parse_recipients(path: &Path, text: &[u8]) -> Result<Vec<x25519::Recipient>> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
