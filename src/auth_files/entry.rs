//! One entry of `auths`: what it holds, in every encoding that some client accepts.
//!
//! Where clients disagree, Docker's reading counts; what only others accept is taken too, and what nobody could use is
//! left where it is. No error says anything of the text that failed to decode.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secrecy::SecretString;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::Kind;
use crate::credential::{Credential, IDENTITY_TOKEN};

/// The fields that every client's entry may have, with or without a secret in them. One that is moved loses them all.
const FIELDS: [&str; 6] = ["auth", "username", "password", "email", "serveraddress", "identitytoken"];

/// The one secret that no helper can carry.
const REGISTRY_TOKEN: &str = "registrytoken";

/// The longest secret that is taken: a store could not give back one of any length, and no client hands over a longer one.
const MAX_SECRET: usize = 1 << 20;

/// Standard base64 as Go has it: padding or none, and bits to spare in the last character.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A login that an entry holds.
#[derive(Debug)]
pub struct Held {
    /// What the registry is to be sent.
    pub credential: Credential,
    /// Whether it is a password or a token.
    pub kind: Kind,
    /// Whether `username` and `password` say otherwise than `auth`, which counts.
    pub contradicts_itself: bool,
}

/// What an entry holds that could be stored; `None` for a marker. Fails with the reason why nobody could use it.
pub fn read(entry: &Value) -> Result<Option<Held>, &'static str> {
    let fields = match entry {
        Value::Null => return Ok(None),
        Value::Object(fields) => fields,
        _ => return Err("the entry is not an object"),
    };
    let (auth, token) = (text(fields, "auth")?, text(fields, "identitytoken")?);
    let (username, password) = (text(fields, "username")?, text(fields, "password")?);
    let decoded = auth.map(decode).transpose();
    if let Some(token) = token {
        // Docker keeps nothing but the token when it has one, whatever else does not decode.
        let credential = credential(IDENTITY_TOKEN, token)?;
        return Ok(Some(Held { credential, kind: Kind::IdentityToken, contradicts_itself: false }));
    }
    let pair = match (username, password) {
        (Some(username), Some(password)) => Some(credential(username, password)?),
        (None, Some(_)) if auth.is_none() => return Err("the entry has a password and no username"),
        _ => None,
    };
    let Some(credential) = decoded? else {
        return Ok(pair.map(|credential| Held { credential, kind: Kind::Password, contradicts_itself: false }));
    };
    let contradicts_itself = pair.is_some_and(|pair| !pair.is_same(&credential));
    Ok(Some(Held { credential, kind: Kind::Password, contradicts_itself }))
}

/// Whether an entry holds a token that no helper can carry.
pub fn has_registry_token(entry: &Value) -> bool {
    let fields = entry.as_object();
    fields.is_some_and(|fields| matches!(text(fields, REGISTRY_TOKEN), Ok(Some(_)) | Err(_)))
}

/// Leaves the marker, what no helper can carry, and what is not an entry's own.
pub fn scrub(entry: &mut Value) {
    match entry {
        Value::Object(fields) => fields.retain(|name, _| !FIELDS.iter().any(|field| field.eq_ignore_ascii_case(name))),
        other => *other = Value::Object(Map::new()),
    }
}

/// A field that is set to something, whatever the case of its name; the last of several counts, but a `null` takes nothing
/// back, as Go has it.
fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, &'static str> {
    match fields.iter().rfind(|(field, value)| field.eq_ignore_ascii_case(name) && !value.is_null()) {
        None => Ok(None),
        Some((_, Value::String(text))) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
        Some(_) => Err("a field of the entry is not a text"),
    }
}

fn credential(username: &str, secret: &str) -> Result<Credential, &'static str> {
    if secret.len() > MAX_SECRET {
        return Err("the secret is longer than a MiB");
    }
    Credential::new(username.into(), SecretString::from(secret)).map_err(|_| "the username cannot be one")
}

/// Base64 of `user:password`, split at the first colon.
fn decode(auth: &str) -> Result<Credential, &'static str> {
    // Go skips line breaks, and nothing else.
    let joined: Zeroizing<Vec<u8>> =
        Zeroizing::new(auth.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect());
    let decoded = Zeroizing::new(BASE64.decode(&*joined).map_err(|_| "auth is not base64")?);
    let text = std::str::from_utf8(&decoded).map_err(|_| "auth is not UTF-8")?;
    let (username, password) = text.split_once(':').ok_or("auth has no colon between user and password")?;
    if username.is_empty() {
        return Err("auth has an empty user");
    }
    // As Docker does: an old version wrote a buffer whole.
    credential(username, password.trim_matches('\0'))
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
    use secrecy::ExposeSecret;
    use serde_json::json;

    use super::*;

    /// Username and secret of an entry that can be moved, or why it cannot.
    fn held(entry: Value) -> Result<Option<(String, String)>, &'static str> {
        let held = read(&entry)?;
        Ok(held.map(|held| (held.credential.username, held.credential.secret.expose_secret().to_owned())))
    }

    fn of(username: &str, secret: &str) -> Result<Option<(String, String)>, &'static str> {
        Ok(Some((username.into(), secret.into())))
    }

    #[test]
    fn every_encoding_that_a_client_accepts_is_read() {
        let auth = |text: &str| json!({ "auth": STANDARD.encode(text) });
        assert_eq!(held(auth("u:a:b:c")), of("u", "a:b:c"));
        assert_eq!(held(auth("u:")), of("u", ""));
        assert_eq!(held(auth("u:p\0\0")), of("u", "p"));
        assert_eq!(held(auth("u: p ")), of("u", " p "));
        assert_eq!(held(json!({ "auth": STANDARD_NO_PAD.encode("u:pass") })), of("u", "pass"));
        assert_eq!(held(json!({ "auth": "dTpw\r\nYXNz\n" })), of("u", "pass"));
        assert_eq!(held(json!({ "AUTH": "dTpw" })), of("u", "p"));
        assert_eq!(held(json!({ "auth": "dTpw", "Auth": null })), of("u", "p"));
        assert_eq!(held(json!({ "username": "u", "password": "p" })), of("u", "p"));
        assert_eq!(held(json!({ "auth": "", "username": "u", "password": "p" })), of("u", "p"));
        assert_eq!(held(json!({ "identitytoken": "t" })), of("<token>", "t"));
        assert_eq!(held(json!({ "auth": "dTpw", "identitytoken": "t" })), of("<token>", "t"));
        let azure = STANDARD.encode("00000000-0000-0000-0000-000000000000:");
        assert_eq!(held(json!({ "auth": azure, "identitytoken": "t" })), of("<token>", "t"));
    }

    #[test]
    fn a_marker_holds_nothing() {
        for marker in [
            json!({}),
            json!(null),
            json!({ "auth": "" }),
            json!({ "auth": null }),
            json!({ "email": "u@example.com" }),
            json!({ "username": "u" }),
        ] {
            assert_eq!(held(marker.clone()), Ok(None), "{marker}");
        }
    }

    #[test]
    fn what_nobody_could_use_is_told_and_not_quoted() {
        for (entry, reason) in [
            (json!({ "auth": "dT pw" }), "not base64"),
            (json!({ "auth": "dT\tpw" }), "not base64"),
            (json!({ "auth": "dTo_Pz8-" }), "not base64"),
            (json!({ "auth": STANDARD.encode("user") }), "no colon"),
            (json!({ "auth": STANDARD.encode(":p") }), "empty user"),
            (json!({ "auth": STANDARD.encode([b'u', b':', 0xff]) }), "not UTF-8"),
            (json!({ "auth": STANDARD.encode("a\nb:p") }), "username"),
            (json!({ "auth": 7 }), "not a text"),
            (json!({ "password": "p" }), "no username"),
            (json!("dTpw"), "not an object"),
        ] {
            assert!(held(entry.clone()).unwrap_err().contains(reason), "{entry}");
        }
    }

    #[test]
    fn auth_counts_where_the_entry_contradicts_itself() {
        let entry = json!({ "auth": "dTpw", "username": "u", "password": "other" });
        let held = read(&entry).unwrap().unwrap();
        assert!(held.contradicts_itself && held.credential.secret.expose_secret() == "p");
        assert!(
            !read(&json!({ "auth": "dTpw", "username": "u", "password": "p" })).unwrap().unwrap().contradicts_itself
        );
    }

    #[test]
    fn what_no_helper_can_carry_stays() {
        let mut entry = json!({ "auth": "dTpw", "Email": "e", "registrytoken": "r", "note": "n" });
        assert!(has_registry_token(&entry) && !has_registry_token(&json!({ "auth": "dTpw" })));
        scrub(&mut entry);
        assert_eq!(entry, json!({ "registrytoken": "r", "note": "n" }));
    }
}
