//! File names for any text: servers, usernames.
//!
//! Readable, so that a directory explains itself; never `..`, hidden, or two names that a file system which folds
//! case would merge; and never longer than a file system takes.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};

/// Names longer than this when encoded are shortened: file systems end at 255 bytes, a suffix included.
const MAX_NAME: usize = 200;

/// How much of a shortened name stays readable.
const READABLE: usize = 100;

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

/// The file name of a text.
pub fn encode(text: &str) -> String {
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
pub fn decode(name: &str) -> Option<String> {
    let text = percent_decode_str(name).decode_utf8().ok()?;
    (encode(&text) == name).then(|| text.into_owned())
}

/// Whether [`encode`] makes such a name, whole or shortened.
pub fn is_name(name: &str) -> bool {
    let is_hash = |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    decode(name).is_some() || name.split_once('~').is_some_and(|(start, hash)| start.len() == READABLE && is_hash(hash))
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
        assert!(is_name(&one) && is_name("alice") && !is_name("alice (copy)") && !is_name("._alice"));
        assert_eq!(encode(&"x".repeat(200)).len(), 200);
    }

    #[test]
    fn a_foreign_name_is_no_name_of_ours() {
        for name in ["Ghcr.io", "a b", "%61", "%2e%2e", "%ff", "a~b"] {
            assert_eq!(decode(name), None, "{name}");
        }
    }
}
