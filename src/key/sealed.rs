//! An identity file that is encrypted with a passphrase, as `age -p` makes them: bytes in, bytes out.

use std::io::{Read, Write};
use std::iter;
use std::path::Path;

use age::armor::ArmoredReader;
use age::secrecy::SecretString;
use age::{DecryptError, scrypt};
use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// As the `age` program has it: about a second, and 256 MiB.
const WORK: u8 = 18;

/// The most work that is done for a file, four times as much: one that asks for more was made to be slow.
const MAX_WORK: u8 = 20;

/// The longest sealed file. age's parser takes quadratic time in the length of the header.
const MAX_SEALED: usize = 64 << 10;

/// Whether a file is encrypted as a whole, in either of age's formats.
pub fn is_sealed(bytes: &[u8]) -> bool {
    let text = bytes.trim_ascii_start();
    text.starts_with(b"age-encryption.org/") || text.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----")
}

/// Encrypts the text of an identity file, in age's binary format.
pub fn seal(text: &str, passphrase: SecretString) -> Result<Vec<u8>> {
    let failed = |_| Error::Internal("sealing the key".into());
    let mut recipient = scrypt::Recipient::new(passphrase);
    recipient.set_work_factor(WORK);
    let encryptor = age::Encryptor::with_recipients(iter::once(&recipient as &dyn age::Recipient));
    let encryptor = encryptor.map_err(|_| Error::Internal("sealing the key".into()))?;
    let mut sealed = Vec::new();
    let mut writer = encryptor.wrap_output(&mut sealed).map_err(failed)?;
    writer.write_all(text.as_bytes()).and_then(|()| writer.finish().map(drop)).map_err(failed)?;
    Ok(sealed)
}

/// The text of a sealed identity file, which `path` names in errors. [`Error::WrongPassphrase`] if it is the wrong one.
pub fn unseal(path: &Path, bytes: &[u8], passphrase: SecretString) -> Result<Zeroizing<String>> {
    let unusable = |problem| Error::UnusableKey { path: path.into(), problem };
    if bytes.len() > MAX_SEALED {
        return Err(unusable("is too long for an identity file"));
    }
    let decryptor = age::Decryptor::new_buffered(ArmoredReader::new(bytes.trim_ascii_start()));
    let decryptor = decryptor.map_err(|_| unusable("is not a whole age file"))?;
    if !decryptor.is_scrypt() {
        return Err(unusable("is encrypted, and not with a passphrase"));
    }
    let mut identity = scrypt::Identity::new(passphrase);
    identity.set_max_work_factor(MAX_WORK);
    let opened = decryptor.decrypt(iter::once(&identity as &dyn age::Identity));
    let mut reader = opened.map_err(|error| match error {
        DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed | DecryptError::NoMatchingKeys => {
            Error::WrongPassphrase(path.into())
        }
        DecryptError::ExcessiveWork { .. } => unusable("asks for more work than any passphrase is worth"),
        _ => unusable("is damaged"),
    })?;
    // The plaintext is shorter than the file: the buffer never moves, so no copy is left behind.
    let mut text = Zeroizing::new(String::with_capacity(bytes.len()));
    reader.read_to_string(&mut text).map_err(|_| unusable("is damaged, or is not an identity file"))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_passphrase_opens_it() {
        let path = Path::new("identities");
        let sealed = seal("secret text", SecretString::from("right")).unwrap();
        assert!(is_sealed(&sealed) && is_sealed(b"\n-----BEGIN AGE ENCRYPTED FILE-----") && !is_sealed(b"AGE-SECRET"));
        assert_eq!(unseal(path, &sealed, SecretString::from("right")).unwrap().as_str(), "secret text");
        let wrong = unseal(path, &sealed, SecretString::from("wrong")).err().unwrap();
        assert!(matches!(wrong, Error::WrongPassphrase(_)), "{wrong}");
        let damaged = unseal(path, &sealed[..sealed.len() - 1], SecretString::from("right")).err().unwrap();
        assert!(matches!(damaged, Error::UnusableKey { .. }), "{damaged}");
    }

    /// A factor of 30 would take an hour and a terabyte.
    #[test]
    fn a_file_that_was_made_to_be_slow_is_refused_at_once() {
        let header =
            "age-encryption.org/v1\n-> scrypt bBjlhJVYZeE4aqUdmtRHfw 30\nZV/AhotwSGqaPCU43cepl4WYUouAa17a3xpu4G2yi5k\n";
        let file = format!("{header}--- xcg1IsnLJ8B2Ukk2nUSqlFZ2xYYeQZDbLPsPZfcxvgw\n0123456789012345");
        let error = unseal(Path::new("identities"), file.as_bytes(), SecretString::from("x")).err().unwrap();
        assert!(error.to_string().contains("more work"), "{error}");
    }
}
