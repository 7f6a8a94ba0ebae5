//! The AWS CLI's SSO sessions, as far as its cache tells of them: `~/.aws/sso/cache/*.json`.
//!
//! Only looked at, never used: the SDK reads and renews them itself.

use std::path::Path;
use std::time::SystemTime;

use aws_config::profile::ProfileSet;
use jiff::Timestamp;
use serde::Deserialize;

use super::profiles;
use crate::files::{self, Privacy};

/// A cached session longer than this is none.
const MAX_SESSION: u64 = 1 << 20;

/// What is said of a session beside its tokens.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Session {
    start_url: String,
    expires_at: String,
    /// Present in sessions that are renewed without a browser.
    refresh_token: Option<serde::de::IgnoredAny>,
    /// Until when they are.
    registration_expires_at: Option<String>,
}

/// How a profile's SSO session stands.
#[derive(Debug, PartialEq, Eq)]
pub enum Standing {
    /// The profile needs none.
    NotNeeded,
    /// The profile names an `sso-session` of this name, which the AWS config does not hold.
    Undefined(String),
    /// Nobody has logged in, or the cache does not say so.
    Missing,
    /// It has ended, and only a browser can renew it.
    Expired(SystemTime),
    /// It is good, or renews itself.
    Good,
}

/// How the SSO session stands of a profile, or of the one that it goes back to. `cache` is the CLI's directory.
pub fn standing(profiles: &ProfileSet, name: &str, cache: &Path, now: SystemTime) -> Standing {
    let chain = profiles::chain(profiles, name);
    let Some(profile) = chain.last() else { return Standing::NotNeeded };
    let start_url = match profile.get("sso_session") {
        Some(name) => match profiles.sso_session(name) {
            Some(session) => session.get("sso_start_url"),
            None => return Standing::Undefined(name.to_owned()),
        },
        None => profile.get("sso_start_url"),
    };
    let Some(start_url) = start_url else { return Standing::NotNeeded };
    let sessions = files::entries(cache).unwrap_or_default().into_iter().filter_map(|entry| {
        let bytes = files::read(&entry.path(), MAX_SESSION, Privacy::Any).ok()??;
        let session: Session = serde_json::from_slice(&bytes).ok()?;
        let expires = moment(&session.expires_at)?;
        let registration_is_over =
            session.registration_expires_at.as_deref().and_then(moment).is_some_and(|end| end < now);
        let renews_itself = session.refresh_token.is_some() && !registration_is_over;
        (session.start_url == start_url).then_some((expires, renews_itself))
    });
    let Some((expires, renews_itself)) = sessions.max() else { return Standing::Missing };
    if renews_itself || now < expires { Standing::Good } else { Standing::Expired(expires) }
}

fn moment(text: &str) -> Option<SystemTime> {
    text.replace("UTC", "Z").parse::<Timestamp>().ok().map(SystemTime::from)
}
