//! A token for ECR, and what is known of one without opening it.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::credential::{Credential, Found};

/// How long a token lives: AWS gives none a longer life, and one may not say so itself.
pub const LIFE: Duration = Duration::from_secs(12 * 3600);

/// What AWS answered.
pub struct Token {
    /// User `AWS` and the password.
    pub credential: Credential,
    /// When the registry stops taking it, where AWS said so.
    pub expires: Option<SystemTime>,
}

impl From<Token> for Found {
    fn from(Token { credential, expires }: Token) -> Self {
        Self { credential, expires, warning: None }
    }
}

/// That a text is no token.
#[derive(Debug)]
pub struct Malformed;

/// The credential in a token: base64 of `AWS:PASSWORD`.
pub fn credential(token: &str) -> Result<Credential, Malformed> {
    let decoded = Zeroizing::new(STANDARD.decode(token).map_err(|_| Malformed)?);
    let text = std::str::from_utf8(&decoded).map_err(|_| Malformed)?;
    let (username, password) = text.split_once(':').ok_or(Malformed)?;
    if password.is_empty() {
        return Err(Malformed);
    }
    Credential::new(username.into(), SecretString::from(password)).map_err(|_| Malformed)
}

/// When a token that `docker login` was given expires: the password is base64 of JSON that says so; one that does
/// not is good for twelve hours from when it was stored.
pub fn pasted_expiry(credential: &Credential, since: SystemTime) -> SystemTime {
    #[derive(Deserialize)]
    struct Inside {
        expiration: u64,
    }
    let decoded = STANDARD.decode(credential.secret.expose_secret()).map(Zeroizing::new).ok();
    let inside = decoded.and_then(|json| serde_json::from_slice::<Inside>(&json).ok());
    match inside.and_then(|inside| from_epoch(inside.expiration)) {
        Some(expiry) => expiry,
        None => since + LIFE,
    }
}

/// What stands in the username's place on the shelf of tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// When it was minted.
    pub minted: SystemTime,
    /// When the registry stops taking it.
    pub expires: SystemTime,
    /// Who asked for it.
    pub fingerprint: String,
}

impl Label {
    /// Whether the registry takes it at a moment.
    pub fn is_valid(&self, now: SystemTime) -> bool {
        now < self.expires
    }

    /// Whether it is in the first half of its life, so that it need not be minted anew. One from the future is not:
    /// then one of the two clocks was wrong.
    pub fn is_fresh(&self, now: SystemTime) -> bool {
        let life = self.expires.duration_since(self.minted).unwrap_or_default();
        now.duration_since(self.minted).is_ok_and(|age| age < life / 2)
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}-{}-{}", epoch(self.minted), epoch(self.expires), self.fingerprint)
    }
}

impl FromStr for Label {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let mut parts = text.splitn(3, '-');
        let mut moment = || parts.next()?.parse().ok().and_then(from_epoch);
        let (minted, expires) = (moment().ok_or(Malformed)?, moment().ok_or(Malformed)?);
        let fingerprint = parts.next().ok_or(Malformed)?.to_owned();
        Ok(Self { minted, expires, fingerprint })
    }
}

/// Whether a text is a label, of something that is still good at a moment.
pub fn is_valid(text: &str, now: SystemTime) -> bool {
    text.parse().is_ok_and(|label: Label| label.is_valid(now))
}

fn epoch(moment: SystemTime) -> u64 {
    moment.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn from_epoch(seconds: u64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        from_epoch(seconds).unwrap()
    }

    #[test]
    fn a_token_is_base64_of_user_and_password() {
        let good = credential(&STANDARD.encode("AWS:pass:word")).unwrap();
        assert_eq!((good.username.as_str(), good.secret.expose_secret()), ("AWS", "pass:word"));
        for bad in ["", "%%%", "QVdT", "QVdTOg==", &STANDARD.encode(":x"), &STANDARD.encode([0xff, b':', b'x'])] {
            assert!(credential(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_label_comes_back_and_knows_its_age() {
        let label = Label { minted: at(1000), expires: at(2000), fingerprint: "ab12".into() };
        assert_eq!(label.to_string(), "1000-2000-ab12");
        assert_eq!("1000-2000-ab12".parse::<Label>().unwrap(), label);
        for (now, fresh, valid) in
            [(999, false, true), (1000, true, true), (1499, true, true), (1500, false, true), (2000, false, false)]
        {
            assert_eq!((label.is_fresh(at(now)), label.is_valid(at(now))), (fresh, valid), "{now}");
        }
        for bad in ["", "AWS", "1-2", "x-2-f", "1--f", "99999999999999999999-1-f"] {
            assert!(bad.parse::<Label>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_pasted_token_says_when_it_expires_or_has_twelve_hours() {
        let pasted = |secret: String| Credential::new("AWS".into(), SecretString::from(secret)).unwrap();
        let saying = pasted(STANDARD.encode(r#"{"payload":"x","version":"2","type":"DATA_KEY","expiration":5000}"#));
        assert_eq!(pasted_expiry(&saying, at(100)), at(5000));
        assert_eq!(pasted_expiry(&pasted("opaque".into()), at(100)), at(100 + 12 * 3600));
        let absurd = pasted(STANDARD.encode(format!(r#"{{"expiration":{}}}"#, u64::MAX)));
        assert_eq!(pasted_expiry(&absurd, at(100)), at(100 + 12 * 3600));
    }
}
