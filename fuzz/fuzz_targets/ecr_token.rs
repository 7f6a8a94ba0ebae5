//! Tokens of ECR, as AWS answers them and as people paste them, and the labels under which they are kept.

#![no_main]

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use coffer::credential::Credential;
use coffer::fuzzing::{Label, credential, pasted_expiry};
use libfuzzer_sys::fuzz_target;
use secrecy::{ExposeSecret, SecretString};

fuzz_target!(|text: &str| {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    if let Ok(found) = credential(text) {
        assert!(!found.username.trim().is_empty() && !found.username.chars().any(char::is_control));
        let inside = format!("{}:{}", found.username, found.secret.expose_secret());
        assert_eq!(STANDARD.encode(inside), text);
    }
    // A text and its base64, so that both what is garbled and what is not are met.
    for secret in [text.to_owned(), STANDARD.encode(text)] {
        let pasted = Credential { username: "AWS".into(), secret: SecretString::from(secret) };
        let expiry = pasted_expiry(&pasted, now);
        assert!(expiry.duration_since(SystemTime::UNIX_EPOCH).is_ok());
    }
    if let Ok(label) = text.parse::<Label>() {
        assert!(label.to_string().parse::<Label>().is_ok_and(|again| again == label));
        assert!(!label.is_fresh(now) || label.is_valid(now), "fresh, and not valid: {label}");
        assert!(!label.is_fresh(now) || label.minted <= now);
    }
});
