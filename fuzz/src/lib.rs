//! What the fuzz targets share: the secret that they look for, a store to read from, and rules written a second time.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

pub mod json;
#[path = "../../tests/it/support/spelling.rs"]
pub mod spelling;
pub mod world;

use coffer::auth_files::{Content, Finding};
use coffer::error::Error;

/// Stands where a secret would, in the seeds and the dictionary. No message may ever hold it.
pub const SECRET: &str = "hunter2hunter2";

/// Fails if a message holds the secret, or is not one line of plain text.
pub fn check_message(text: &str) {
    assert!(!text.contains(SECRET), "the secret is told: {text}");
    assert!(!text.chars().any(char::is_control), "not plain: {text:?}");
}

/// The same of an error and its cure.
pub fn check_error(error: &Error) {
    check_message(&error.to_string());
    check_message(&error.hint().unwrap_or_default());
    assert!(!format!("{error:?}").contains(SECRET), "the secret is told: {error:?}");
}

/// The same of what is said of a secret that was found. Its name is its owner's.
pub fn check_finding(finding: &Finding) {
    match &finding.content {
        Content::Fixed(reason, advice) => {
            check_message(reason);
            check_message(advice);
        }
        Content::Login(login, note) => {
            assert!(!login.username.trim().is_empty() && !login.username.chars().any(char::is_control));
            check_message(note.unwrap_or_default());
            let shown = format!("{:?}", login.secret);
            assert!(!shown.contains(SECRET), "the secret is told: {shown}");
        }
    }
}
