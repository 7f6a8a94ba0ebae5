//! Who asks AWS: credentials and region, as the rule says, or else as the SDK's default chain finds them.
//!
//! What the SDK would panic over when it meets it in the environment is checked or set here first
//! (`AWS_RETRY_MODE=legacy`, `AWS_MAX_ATTEMPTS=0`, a line break in a key).

use std::env;
use std::time::Duration;

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
use aws_sdk_ecr::config::{Credentials, SharedCredentialsProvider, SharedHttpClient};

use super::https;
use super::mfa::{self, Identity};
use super::problem::Problem;
use super::profiles;
use crate::ecr_host::EcrHost;
use crate::rule::Rule;

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
    let base = match &identity {
        Some(identity) => identity.base.clone(),
        None => rule.and_then(|rule| rule.profile.clone()),
    };
    let config = base_config(base.as_deref(), region(rule, Some(&host.region)).await).await?;
    let Some(identity) = identity else { return Ok(mfa::in_role(config, rule).await) };
    match session(&identity)? {
        Some(session) => Ok(identity.assume(config, session).await),
        None if identity.is_needed => Err(Problem::new(
            format!("the MFA device {} has given no code for today", identity.serial),
            format!("docker-credential-coffer mfa {}", host.host),
        )),
        None => Ok(mfa::in_role(config, rule).await),
    }
}

/// Who asks under a rule if that takes an MFA device, with the configuration of the user behind the roles.
pub async fn mfa_user(rule: Option<&Rule>) -> Result<Option<(Identity, SdkConfig)>, Problem> {
    let Some(identity) = mfa::identity(&checked_profiles(rule).await?, rule) else { return Ok(None) };
    let config = base_config(identity.base.as_deref(), region(rule, None).await).await?;
    Ok(Some((identity, config)))
}

async fn checked_profiles(rule: Option<&Rule>) -> Result<ProfileSet, Problem> {
    check_keys()?;
    let profiles = profiles::load().await?;
    profiles::check(&profiles, profile(rule).as_deref().unwrap_or("default"))?;
    Ok(profiles)
}

/// With the credentials of one profile, or of the default chain.
async fn base_config(profile: Option<&str>, region: Option<Region>) -> Result<SdkConfig, Problem> {
    let http = https::proxied()?;
    let provider = provider_config(region.clone(), http.clone());
    let credentials = match profile {
        // Alone, not first in a chain: what it does not hold must not be answered by somebody else.
        Some(profile) => SharedCredentialsProvider::new(
            ProfileFileCredentialsProvider::builder().configure(&provider).profile_name(profile).build(),
        ),
        None => SharedCredentialsProvider::new(default_chain(&provider)?),
    };
    let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .retry_config(RetryConfig::standard())
        .region(region)
        .credentials_provider(credentials);
    Ok(config.load().await)
}

fn provider_config(region: Option<Region>, http: SharedHttpClient) -> ProviderConfig {
    ProviderConfig::without_region()
        .with_region(region)
        .with_http_client(http)
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

fn is_header_text(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// The SDK's default chain, in its order, with the metadata services asked directly and within their time.
fn default_chain(proxied: &ProviderConfig) -> Result<CredentialsProviderChain, Problem> {
    let direct = proxied.clone().with_http_client(https::direct()?);
    let imds = imds::Client::builder()
        .configure(&direct)
        .max_attempts(1)
        .connect_timeout(IMDS_PATIENCE)
        .read_timeout(IMDS_PATIENCE)
        .build();
    let profile = ProfileFileCredentialsProvider::builder().configure(proxied);
    let web_identity = WebIdentityTokenCredentialsProvider::builder().configure(proxied);
    let container = EcsCredentialsProvider::builder().configure(&direct);
    let instance = ImdsCredentialsProvider::builder().configure(&direct).imds_client(imds);
    Ok(CredentialsProviderChain::first_try("Environment", EnvironmentVariableCredentialsProvider::new())
        .or_else("Profile", profile.build())
        .or_else("WebIdentityToken", web_identity.build())
        .or_else("EcsContainer", container.build())
        .or_else("Ec2InstanceMetadata", instance.build()))
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
