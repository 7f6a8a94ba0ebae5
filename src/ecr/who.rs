//! Who asks AWS: credentials and region, as the rule says, or else as the SDK's default chain finds them.
//!
//! What the SDK would panic over when it meets it in the environment is checked or set here first
//! (`AWS_RETRY_MODE=legacy`, `AWS_MAX_ATTEMPTS=0`, a line break in a key).

use std::env;
use std::fmt;
use std::time::{Duration, SystemTime};

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider};
use aws_config::imds;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider, ProfileSet};
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future;
use aws_sdk_ecr::config::{Credentials, ProvideCredentials, SharedCredentialsProvider, SharedHttpClient};

use super::fingerprint::ENDPOINTS;
use super::https::Clients;
use super::mfa::{self, Identity, User};
use super::problem::Problem;
use super::profiles;
use super::sso::{self, Standing};
use crate::ecr_host::EcrHost;
use crate::rule::Rule;
use crate::settings::home;
use crate::trace;

/// How long the instance metadata service has for one answer: it is next door, or it is not there.
const IMDS_PATIENCE: Duration = Duration::from_secs(1);

/// Keys that go into a header.
const KEYS: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// The profile that asks: the rule's, else the environment's. `None`: whatever the default chain comes to.
pub fn profile(rule: Option<&Rule>) -> Option<String> {
    let named = rule.and_then(|rule| rule.profile.clone());
    named.or_else(|| env::var("AWS_PROFILE").ok().filter(|name| !name.is_empty()))
}

/// Credentials, region and client for a call to mint. `session` gives what a code has begun for an MFA device.
pub async fn sdk_config(
    host: &EcrHost,
    rule: Option<&Rule>,
    session: impl FnOnce(&Identity) -> Result<Option<Credentials>, Problem>,
) -> Result<SdkConfig, Problem> {
    let identity = mfa::identity(&checked_profiles(rule).await?, rule);
    let region = region(rule, Some(&host.region)).await;
    if let Some(identity) = &identity {
        let session = match session(identity) {
            Err(problem) if !identity.is_needed => {
                trace::debug(|| format!("the session of {}: {}", identity.serial, problem.what));
                None
            }
            session => session?,
        };
        match session {
            Some(session) => {
                let config = config(rule, region, Clients::new()?.proxied, session).await;
                return Ok(identity.assume(config).await);
            }
            None if identity.is_needed => return Err(needs_code(identity, host)),
            None => {}
        }
    }
    let clients = Clients::new()?;
    let credentials = match rule.and_then(|rule| rule.profile.as_deref()) {
        Some(profile) => of_profile(region.clone(), &clients, profile),
        None => default_chain(region.clone(), &clients),
    };
    Ok(mfa::in_role(config(rule, region, clients.proxied, credentials).await, rule).await)
}

fn needs_code(identity: &Identity, host: &EcrHost) -> Problem {
    let cure = format!("docker-credential-coffer mfa {}", host.host);
    Problem::new(format!("the MFA device {} has given no code for today", identity.serial), cure)
}

/// Who asks under a rule if that takes an MFA device, with the configuration of the user behind the roles.
pub async fn mfa_user(rule: Option<&Rule>) -> Result<Option<(Identity, SdkConfig)>, Problem> {
    let Some(identity) = mfa::identity(&checked_profiles(rule).await?, rule) else { return Ok(None) };
    let region = region(rule, None).await;
    let clients = Clients::new()?;
    let credentials = match &identity.user {
        User::Profile(profile) => of_profile(region.clone(), &clients, profile),
        User::Keys(keys) => SharedCredentialsProvider::new(keys.clone()),
        User::DefaultChain => default_chain(region.clone(), &clients),
    };
    Ok(Some((identity, config(rule, region, clients.proxied, credentials).await)))
}

/// What can be told of who would ask under a rule without asking anybody. The profile's name.
pub async fn check(rule: Option<&Rule>, now: SystemTime) -> Result<String, Problem> {
    let profiles = checked_profiles(rule).await?;
    let name = profile(rule).unwrap_or_else(|| "default".into());
    let cache = home().map_err(|error| Problem::new(error.to_string(), error.hint().unwrap_or_default()))?;
    let login = format!("aws sso login --profile {name}");
    match sso::standing(&profiles, &name, &cache.join(".aws/sso/cache"), now) {
        Standing::NotNeeded | Standing::Good => Ok(name),
        Standing::Undefined(session) => Err(Problem::new(
            format!("profile {name} needs the sso-session {session}, which the AWS config file does not hold"),
            format!("write it anew: aws configure sso --profile {name}"),
        )),
        Standing::Missing => {
            Err(Problem::new(format!("nobody has logged in to the SSO session of profile {name}"), login))
        }
        Standing::Expired(moment) => {
            let moment = jiff::Timestamp::try_from(moment).unwrap_or_default();
            Err(Problem::new(format!("the SSO session of profile {name} ended at {moment:.0}"), login))
        }
    }
}

async fn checked_profiles(rule: Option<&Rule>) -> Result<ProfileSet, Problem> {
    check_keys()?;
    check_endpoints()?;
    let profiles = profiles::load().await?;
    profiles::check(&profiles, profile(rule).as_deref().unwrap_or("default"))?;
    Ok(profiles)
}

/// A profile alone, not first in a chain: what it does not hold must not be answered by somebody else.
fn of_profile(region: Option<Region>, clients: &Clients, name: &str) -> SharedCredentialsProvider {
    let provider = provider_config(region, &clients.proxied);
    SharedCredentialsProvider::new(
        ProfileFileCredentialsProvider::builder().configure(&provider).profile_name(name).build(),
    )
}

/// The configuration of every client. Endpoints come from the profile that asks, as with `aws --profile`.
async fn config(
    rule: Option<&Rule>,
    region: Option<Region>,
    client: SharedHttpClient,
    credentials: impl ProvideCredentials + 'static,
) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(client)
        .retry_config(RetryConfig::standard())
        .region(region)
        .credentials_provider(SharedCredentialsProvider::new(Checked(credentials)));
    if let Some(profile) = profile(rule) {
        loader = loader.profile_name(profile);
    }
    loader.load().await
}

/// Credentials whose keys can go into a header, whoever gave them: the SDK panics over one that cannot.
#[derive(Debug)]
struct Checked<P>(P);

impl<P: ProvideCredentials> ProvideCredentials for Checked<P> {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let keys = self.0.provide_credentials().await?;
            let parts = [keys.access_key_id(), keys.secret_access_key(), keys.session_token().unwrap_or_default()];
            if parts.into_iter().all(is_header_text) {
                Ok(keys)
            } else {
                Err(CredentialsError::invalid_configuration("a key holds a control character"))
            }
        })
    }
}

fn provider_config(region: Option<Region>, client: &SharedHttpClient) -> ProviderConfig {
    ProviderConfig::without_region()
        .with_region(region)
        .with_http_client(client.clone())
        .with_retry_config(RetryConfig::standard())
        .with_behavior_version(Some(BehaviorVersion::v2026_01_12()))
}

/// A line break in a key cannot go into a header.
fn check_keys() -> Result<(), Problem> {
    for name in KEYS {
        if env::var_os(name).is_some_and(|value| !value.to_str().is_some_and(is_header_text)) {
            return Err(Problem::new(
                format!("{name} holds a control character"),
                format!("set {name} anew, on one line"),
            ));
        }
    }
    Ok(())
}

/// The SDK would quote the whole request, secrets included, over an endpoint that is no URL.
fn check_endpoints() -> Result<(), Problem> {
    for (name, value) in env::vars_os() {
        let is_url = value.to_str().is_some_and(|value| value.starts_with("http://") || value.starts_with("https://"));
        if name.as_encoded_bytes().starts_with(ENDPOINTS.as_bytes()) && !value.is_empty() && !is_url {
            let name = name.display();
            return Err(Problem::new(format!("{name} is not a URL"), format!("begin {name} with https:// or http://")));
        }
    }
    Ok(())
}

fn is_header_text(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// The SDK's default chain, in its order, with the metadata services asked directly and within their time.
fn default_chain(region: Option<Region>, clients: &Clients) -> SharedCredentialsProvider {
    let proxied = provider_config(region.clone(), &clients.proxied);
    let direct = provider_config(region.clone(), &clients.direct);
    let plain = provider_config(region, &clients.plain);
    let profile = ProfileFileCredentialsProvider::builder().configure(&proxied);
    let web_identity = move || WebIdentityTokenCredentialsProvider::builder().configure(&proxied).build();
    let container = EcsCredentialsProvider::builder().configure(&direct);
    let instance = move || {
        let imds = imds::Client::builder()
            .configure(&plain)
            .max_attempts(1)
            .connect_timeout(IMDS_PATIENCE)
            .read_timeout(IMDS_PATIENCE);
        ImdsCredentialsProvider::builder().configure(&direct).imds_client(imds.build()).build()
    };
    let chain = CredentialsProviderChain::first_try("Environment", EnvironmentVariableCredentialsProvider::new())
        .or_else("Profile", profile.build())
        .or_else("WebIdentityToken", Late(web_identity))
        .or_else("EcsContainer", container.build())
        .or_else("Ec2InstanceMetadata", Late(instance));
    SharedCredentialsProvider::new(chain)
}

/// A provider that is made when its turn comes. These two make clients of their own, a fifth of the work of a mint, and are
/// asked by few.
struct Late<F>(F);

impl<F> fmt::Debug for Late<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Late")
    }
}

impl<P: ProvideCredentials, F: Fn() -> P + Send + Sync> ProvideCredentials for Late<F> {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let provider = (self.0)();
            provider.provide_credentials().await
        })
    }
}

/// Where STS and SSO are asked: the rule's region, the environment's, the profile's, else `fallback`, the host's own.
/// Not the metadata service's: asking it would cost seconds wherever there is none.
async fn region(rule: Option<&Rule>, fallback: Option<&str>) -> Option<Region> {
    let mut from_profile = ProfileFileRegionProvider::builder();
    if let Some(profile) = profile(rule) {
        from_profile = from_profile.profile_name(profile);
    }
    RegionProviderChain::first_try(rule.and_then(|rule| rule.region.clone()).map(Region::new))
        .or_else(EnvironmentVariableRegionProvider::new())
        .or_else(from_profile.build())
        .or_else(Region::new(fallback.unwrap_or("us-east-1").to_owned()))
        .region()
        .await
}
