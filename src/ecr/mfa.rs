//! Identities that need a code from an MFA device, which the SDK knows nothing of.
//!
//! A code makes a session of the user behind the roles (`GetSessionToken`, up to 36 hours), and every role is assumed from
//! that session: a role's own session would last an hour, and AWS takes a code only once. So one code in the morning lasts
//! the day, for all registries of that identity.

use std::env;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_config::profile::{Profile, ProfileSet};
use aws_config::sts::AssumeRoleProvider;
use aws_sdk_ecr::config::{Credentials, SharedCredentialsProvider};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::fingerprint;
use super::problem::Problem;
use super::profiles;
use super::token::{self, Label};
use super::who;
use crate::credential::Credential;
use crate::error::{Error, Result};
use crate::rule::Rule;
use crate::server::ServerKey;
use crate::settings;
use crate::store::Store;

/// How long a session is asked for: the most that AWS gives a user.
const LIFE: Duration = Duration::from_secs(36 * 3600);

/// Who asks AWS, where that takes a code.
#[derive(Debug)]
pub struct Identity {
    /// The MFA device.
    pub serial: String,
    /// Who has it.
    pub user: User,
    /// What is assumed from the session, in this order.
    roles: Vec<Role>,
    /// Whether the session is needed. A user's own keys may do without, and the AWS CLI tries them so.
    pub is_needed: bool,
}

/// The user behind the roles, whose own keys a session is asked for with.
#[derive(Debug)]
pub enum User {
    /// A profile that assumes no role.
    Profile(String),
    /// Keys that stand in a profile beside a role.
    Keys(Credentials),
    /// Whatever the default chain finds.
    DefaultChain,
}

#[derive(Debug)]
struct Role {
    arn: String,
    external_id: Option<String>,
    session_name: Option<String>,
}

/// Who asks under a rule, if a device is named by the rule, by the profile, or by one that it goes back to.
///
/// `None` too for roles that go back to no user, such as those of an instance: no code can help them.
pub fn identity(profiles: &ProfileSet, rule: Option<&Rule>) -> Option<Identity> {
    let chain = selected(rule).map_or_else(Vec::new, |name| profiles::chain(profiles, &name));
    let (user, assumed) = user_of(&chain)?;
    let device = |profile: &&Profile| profile.get("mfa_serial").map(str::to_owned);
    let of_role = rule.and_then(|rule| rule.mfa_serial.clone()).or_else(|| assumed.iter().find_map(device));
    let is_needed = of_role.is_some();
    let serial = of_role.or_else(|| chain.last().and_then(device))?;
    let mut roles: Vec<Role> = assumed.iter().rev().filter_map(|profile| role_of(profile)).collect();
    roles.extend(rule.and_then(role_of_rule));
    Some(Identity { serial, user, roles, is_needed })
}

/// The user at the end of a chain of profiles, and those before him, which assume roles.
fn user_of<'a>(chain: &'a [&'a Profile]) -> Option<(User, &'a [&'a Profile])> {
    let Some((last, before)) = chain.split_last() else { return Some((User::DefaultChain, &[])) };
    if role_of(last).is_none() {
        return Some((User::Profile(last.name().to_owned()), before));
    }
    if last.get("credential_source") == Some("Environment") {
        return Some((User::DefaultChain, chain));
    }
    // Keys beside a role are the role's own source, or, in a profile that another goes back to, used instead of it.
    let keys = keys_of(last)?;
    let assumed = if before.is_empty() { chain } else { before };
    Some((User::Keys(keys), assumed))
}

fn keys_of(profile: &Profile) -> Option<Credentials> {
    let text = |name| profile.get(name).map(str::to_owned);
    let (id, secret) = (text("aws_access_key_id")?, text("aws_secret_access_key")?);
    Some(Credentials::new(id, secret, text("aws_session_token"), None, "profile"))
}

/// The profile where the chain begins; none where the environment's keys go first, as in the SDK.
fn selected(rule: Option<&Rule>) -> Option<String> {
    let is_named = rule.is_some_and(|rule| rule.profile.is_some());
    if !is_named && settings::variable("AWS_ACCESS_KEY_ID").is_some() {
        return None;
    }
    Some(who::profile(rule).unwrap_or_else(|| "default".into()))
}

fn role_of(profile: &Profile) -> Option<Role> {
    let text = |name| profile.get(name).map(str::to_owned);
    Some(Role { arn: text("role_arn")?, external_id: text("external_id"), session_name: text("role_session_name") })
}

fn role_of_rule(rule: &Rule) -> Option<Role> {
    let (external_id, session_name) = (rule.external_id.clone(), rule.session_name.clone());
    Some(Role { arn: rule.role_arn.clone()?, external_id, session_name })
}

impl Identity {
    /// The name under which the session is kept: of this device, this user, and the AWS that was asked. A hash, since a device
    /// may be named after a mail address.
    pub fn session_key(&self) -> Result<ServerKey> {
        let user = match &self.user {
            User::Profile(name) => format!("profile {name}"),
            User::Keys(keys) => format!("key {}", keys.access_key_id()),
            User::DefaultChain => format!("key {}", env::var("AWS_ACCESS_KEY_ID").unwrap_or_default()),
        };
        format!("mfa://{}", fingerprint::of_session(&self.serial, &user)).parse()
    }

    /// The configuration with the credentials of the last of the roles. `config` has the session's.
    pub async fn assume(&self, mut config: SdkConfig) -> SdkConfig {
        for role in &self.roles {
            config = role.assume(config).await;
        }
        config
    }

    /// Asks AWS for a session with a code. `config` has the user's own credentials.
    pub async fn begin(&self, config: &SdkConfig, code: &str) -> Result<Session, Problem> {
        let request = aws_sdk_sts::Client::new(config).get_session_token();
        let seconds = i32::try_from(LIFE.as_secs()).ok();
        let request = request.serial_number(&self.serial).token_code(code).set_duration_seconds(seconds);
        let reply = request.send().await.map_err(|error| Problem::of(&error, None))?;
        let keys = reply.credentials.ok_or_else(|| Problem::new("AWS answered without a session", "try again"))?;
        let expires = SystemTime::try_from(*keys.expiration());
        Ok(Session {
            keys: Keys {
                access_key_id: keys.access_key_id,
                secret_access_key: keys.secret_access_key,
                session_token: keys.session_token,
            },
            expires: expires.map_err(|_| Problem::new("AWS answered with a session of no known end", "try again"))?,
        })
    }
}

impl Role {
    async fn assume(&self, config: SdkConfig) -> SdkConfig {
        let mut role = AssumeRoleProvider::builder(&self.arn).configure(&config);
        if let Some(id) = &self.external_id {
            role = role.external_id(id);
        }
        if let Some(name) = &self.session_name {
            role = role.session_name(name);
        }
        let credentials = SharedCredentialsProvider::new(role.build().await);
        config.into_builder().credentials_provider(credentials).build()
    }
}

/// The configuration in the rule's role, where it names one.
pub async fn in_role(config: SdkConfig, rule: Option<&Rule>) -> SdkConfig {
    match rule.and_then(role_of_rule) {
        Some(role) => role.assume(config).await,
        None => config,
    }
}

/// A session that a code has begun.
pub struct Session {
    keys: Keys,
    /// When it ends.
    pub expires: SystemTime,
}

/// In the form in which the AWS CLI caches them.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Keys {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
}

impl Session {
    /// Keeps it, encrypted, for who asked.
    pub fn keep(&self, sessions: &dyn Store, key: &ServerKey) -> Result<()> {
        let now = SystemTime::now();
        let label = Label { minted: now, expires: self.expires, fingerprint: "session".into() };
        let json = Zeroizing::new(serde_json::to_string(&self.keys).unwrap_or_default());
        let credential = Credential { username: label.to_string(), secret: SecretString::from(json.as_str()) };
        sessions.put(key, &credential)
    }
}

/// The credentials of the session that is kept, if it has not ended. One that the store's key does not open is none: a new
/// code makes a new one.
pub fn kept(sessions: &dyn Store, key: &ServerKey) -> Result<Option<Credentials>> {
    if !sessions.find(key)?.is_some_and(|held| token::is_valid(&held.username, SystemTime::now())) {
        return Ok(None);
    }
    let credential = match sessions.get(key) {
        Ok(Some(credential)) => credential,
        Ok(None) | Err(Error::WrongKey { has_plugin: false, .. } | Error::BadFile { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let keys = serde_json::from_str::<Keys>(credential.secret.expose_secret()).ok();
    Ok(keys.map(|keys| {
        let Keys { access_key_id, secret_access_key, session_token } = keys;
        Credentials::new(access_key_id, secret_access_key, Some(session_token), None, "coffer-mfa")
    }))
}
