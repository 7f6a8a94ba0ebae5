//! A registry login, and the one JSON shape in which it travels and rests.
//!
//! Docker's protocol, other helpers and the files of the age store all say
//! `{"ServerURL", "Username", "Secret"}`. Reading is as lenient as Docker's own helpers are; the secret is
//! exposed in [`Login::to_json`], and to be compared, alone, and no error says anything of the text that failed to parse.

use std::fmt;
use std::io::{self, Read};
use std::time::SystemTime;

use secrecy::{ExposeSecret, SecretString};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// The username that says that the secret is an identity (refresh) token.
pub const IDENTITY_TOKEN: &str = "<token>";

/// What a registry asks for.
#[derive(Debug, Clone)]
pub struct Credential {
    /// The user, or [`IDENTITY_TOKEN`].
    pub username: String,
    /// Password or token; any text, the empty one too.
    pub secret: SecretString,
}

impl Credential {
    /// A credential whose username can be one.
    ///
    /// Fails for an empty name, and for control characters, which no registry can be sent (RFC 7617).
    pub fn new(username: String, secret: SecretString) -> Result<Self> {
        if username.trim().is_empty() {
            return Err(Error::NoUsername);
        }
        if username.chars().any(char::is_control) {
            return Err(Error::BadUsername("holds a control character"));
        }
        Ok(Self { username, secret })
    }

    /// Whether both say the same. Not for what an attacker chose: it takes as long as they are alike.
    pub fn is_same(&self, other: &Self) -> bool {
        self.username == other.username && self.secret.expose_secret() == other.secret.expose_secret()
    }

    /// Empty strings in both fields: what Nomad takes for "ask the registry anonymously".
    pub fn empty() -> Self {
        Self { username: String::new(), secret: SecretString::from("") }
    }

    /// Whether it is [`Credential::empty`], and so for Nomad alone.
    pub fn is_empty(&self) -> bool {
        self.username.is_empty() && self.secret.expose_secret().is_empty()
    }
}

/// A credential that answers a request, and what a person should know of it.
#[derive(Debug)]
pub struct Found {
    /// What the registry is to be sent.
    pub credential: Credential,
    /// Until when it is good, where that is known.
    pub expires: Option<SystemTime>,
    /// Why it is not as fresh as it should be.
    pub warning: Option<Error>,
}

impl From<Credential> for Found {
    fn from(credential: Credential) -> Self {
        Self { credential, expires: None, warning: None }
    }
}

/// A credential and the name of its server, as written by whoever wrote it.
#[derive(Debug)]
pub struct Login {
    /// The server, in any spelling.
    pub server: String,
    /// The user, unchecked.
    pub username: String,
    /// The secret.
    pub secret: SecretString,
}

impl Login {
    /// Reads the first JSON value in `json`. Field names count in any case, unknown fields and whatever
    /// follows are ignored, and a missing field or a `null` is an empty string, as Docker's helpers have it.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        Self::deserialize(&mut deserializer).map_err(|error| withheld(&error))
    }

    /// The reply, or the plaintext of a file: exactly the three fields, and a newline.
    pub fn to_json(server: &str, credential: &Credential) -> Zeroizing<Vec<u8>> {
        let fields = [
            ("{\"ServerURL\":", server),
            (",\"Username\":", &credential.username),
            (",\"Secret\":", credential.secret.expose_secret()),
        ];
        // Escaping makes a byte six at the most. Reserving that much keeps the buffer from moving, which
        // would leave a copy of the secret behind.
        let room = fields.iter().map(|(name, value)| name.len() + 6 * value.len() + 2).sum::<usize>();
        let mut json = Zeroizing::new(Vec::with_capacity(room + 2));
        for (name, value) in fields {
            json.extend_from_slice(name.as_bytes());
            // A string into memory cannot fail to serialize.
            let _ = serde_json::to_writer(&mut *json, value);
        }
        json.extend_from_slice(b"}\n");
        json
    }
}

/// Reads all of an input that may hold a secret, up to `limit` bytes.
///
/// Grows by moving into a new buffer and wiping the old one: `Vec` would leave copies behind, and one that is
/// as large as the limit from the start would cost more to wipe than all the rest of a `get`.
pub fn read_wiped(input: &mut dyn Read, limit: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(8 << 10));
    let mut chunk = Zeroizing::new([0; 4 << 10]);
    while bytes.len() < limit {
        let room = chunk.len().min(limit - bytes.len());
        let read = match input.read(&mut chunk[..room]) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if bytes.len() + read > bytes.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(bytes.capacity() * 2));
            larger.extend_from_slice(&bytes);
            bytes = larger;
        }
        bytes.extend_from_slice(&chunk[..read]);
    }
    Ok(bytes)
}

/// An error without a word of the input: serde's own would quote a string of the wrong type.
fn withheld(error: &serde_json::Error) -> Error {
    let problem = match error.classify() {
        serde_json::error::Category::Data => "a field of the wrong type",
        serde_json::error::Category::Eof => "it ends",
        _ => "a syntax error",
    };
    Error::BadJson { problem, line: error.line(), column: error.column() }
}

impl<'de> Deserialize<'de> for Login {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(LoginVisitor)
    }
}

struct LoginVisitor;

impl<'de> Visitor<'de> for LoginVisitor {
    type Value = Login;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a credential")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Login, A::Error> {
        let mut login = Login { server: String::new(), username: String::new(), secret: SecretString::from("") };
        while let Some(field) = map.next_key::<String>()? {
            if field.eq_ignore_ascii_case("ServerURL") {
                login.server = map.next_value::<Option<String>>()?.unwrap_or_default();
            } else if field.eq_ignore_ascii_case("Username") {
                login.username = map.next_value::<Option<String>>()?.unwrap_or_default();
            } else if field.eq_ignore_ascii_case("Secret") {
                login.secret = map.next_value::<Option<Secret>>()?.map_or_else(|| SecretString::from(""), |s| s.0);
            } else {
                map.next_value::<de::IgnoredAny>()?;
            }
        }
        Ok(login)
    }
}

/// A string that is wrapped at once, at its exact size, so that no copy is left unwiped.
struct Secret(SecretString);

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(SecretVisitor)
    }
}

struct SecretVisitor;

impl Visitor<'_> for SecretVisitor {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E>(self, text: &str) -> Result<Secret, E> {
        Ok(Secret(SecretString::from(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_peers_read() {
        for json in [
            r#"{"ServerURL":"s","Username":"u","Secret":"p"}"#,
            r#" {"serverurl":"s","USERNAME":"u","secret":"p"} trailing {"#,
            "{\n  \"Extra\": [1, {}],\n  \"Secret\": \"p\",\n  \"Username\": \"u\",\n  \"ServerURL\": \"s\"\n}\n",
            r#"{"ServerURL":"\u0073","Username":"u","Secret":"old","Secret":"p"}"#,
        ] {
            let login = Login::from_json(json.as_bytes()).unwrap();
            assert_eq!((login.server.as_str(), login.username.as_str()), ("s", "u"), "{json}");
            assert_eq!(login.secret.expose_secret(), "p", "{json}");
        }
        let bare = Login::from_json(br#"{"Username":null}"#).unwrap();
        assert_eq!((bare.server.as_str(), bare.username.as_str(), bare.secret.expose_secret()), ("", "", ""));
    }

    #[test]
    fn an_error_never_quotes_the_input() {
        for json in [
            r#"{"Secret":"hunter2"#,
            r#""hunter2""#,
            r#"["hunter2"]"#,
            r#"{"Secret":{"x":"hunter2"}}"#,
            r#"{"Username":["hunter2"]}"#,
            r#"{"Secret":"hunter2\ud800"}"#,
            r#"{"hunter2"}"#,
            "hunter2",
            "",
        ] {
            let error = Login::from_json(json.as_bytes()).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{json}: {error}");
        }
        assert!(Login::from_json(b"{\"Secret\":\"\xff\"}").is_err());
    }

    #[test]
    fn every_secret_comes_back_to_the_byte() {
        let awkward = "quote\" back\\slash \n\r\t\0 \u{2028} <&> \u{1F511} {\"private_key\": \"a\\nb\"}  ";
        let credential = Credential::new("_json_key".into(), SecretString::from(awkward)).unwrap();
        let json = Login::to_json("https://gcr.io/x\u{e9}", &credential);
        let login = Login::from_json(&json).unwrap();
        assert_eq!(login.secret.expose_secret(), awkward);
        assert_eq!(login.server, "https://gcr.io/x\u{e9}");
        assert!(json.ends_with(b"\"}\n"));
    }

    #[test]
    fn a_username_must_be_one() {
        for empty in ["", " ", "\t"] {
            assert!(matches!(Credential::new(empty.into(), SecretString::from("")), Err(Error::NoUsername)));
        }
        for bad in ["a\nb", "a\0"] {
            assert!(matches!(Credential::new(bad.into(), SecretString::from("")), Err(Error::BadUsername(_))));
        }
        for good in ["<token>", "../../etc", "a/b", "a b", "\u{fc}"] {
            assert!(Credential::new(good.into(), SecretString::from("")).is_ok(), "{good}");
        }
    }
}
