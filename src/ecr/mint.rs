//! Minting: the only module that knows the AWS SDK, and the only one that starts an async runtime.
//!
//! Errors are made from the SDK's own words, taken from `Display` alone: its `Debug` prints raw responses,
//! tokens included.

use std::time::{Duration, SystemTime};

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::imds;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_sdk_ecr::config::SharedCredentialsProvider;
use aws_sdk_ecr::primitives::DateTime;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};
use aws_types::os_shim_internal::{Env, Fs};
use zeroize::Zeroizing;

use super::token::{self, Token};
use crate::deadline;
use crate::ecr_host::EcrHost;
use crate::error::{Error, Result, one_line};
use crate::settings::Rule;
use crate::trace;

/// How long the instance metadata service has for one answer: it is next door, or it is not there.
const IMDS_PATIENCE: Duration = Duration::from_secs(1);

/// The most words that are taken of an SDK error, in characters.
const MAX_QUOTE: usize = 400;

/// What went wrong, before it is known for which host.
struct Problem {
    what: String,
    cure: &'static str,
}

impl Problem {
    fn new(what: impl Into<String>, cure: &'static str) -> Self {
        Self { what: what.into(), cure }
    }
}

const CHECK_CREDENTIALS: &str = "check with: aws sts get-caller-identity (with --profile where one is named)";
const CHECK_NETWORK: &str = "check the network, HTTPS_PROXY, AWS_CA_BUNDLE and AWS_ENDPOINT_URL";

/// A fresh token for a registry, asked of AWS as the rule says, or else as the SDK's default chain finds.
///
/// Takes no longer than `limit`, the resolving of credentials included.
pub fn mint(host: &EcrHost, rule: Option<&Rule>, limit: Duration) -> Result<Token> {
    deadline::waiting_for("AWS");
    trace::debug(|| format!("minting for {} in {}", host.host, host.region));
    ask(host, rule, limit).map_err(|Problem { what, cure }| {
        let problem = one_line(&what).chars().take(MAX_QUOTE).collect();
        Error::Mint { host: host.host.clone(), problem, cure }
    })
}

fn ask(host: &EcrHost, rule: Option<&Rule>, limit: Duration) -> Result<Token, Problem> {
    if rule.is_some_and(|rule| rule.mfa_serial.is_some()) {
        return Err(Problem::new(
            "its rule names an mfa-serial, which this version cannot use",
            "remove mfa-serial from the rule",
        ));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        Problem::new(format!("no async runtime: {error}"), "see the limits of the process (ulimit -a)")
    })?;
    let minted = runtime.block_on(async {
        let timed = tokio::time::timeout(limit, token(host, rule)).await;
        timed.unwrap_or_else(|_| {
            Err(Problem::new(format!("no answer within {:.0} s", limit.as_secs_f64().ceil()), CHECK_NETWORK))
        })
    });
    // Dropping it would wait for a name server that does not answer.
    runtime.shutdown_background();
    minted
}

async fn token(host: &EcrHost, rule: Option<&Rule>) -> Result<Token, Problem> {
    let config = sdk_config(host, rule).await?;
    let (token, expires) =
        if host.is_public() { public_token(&config).await? } else { private_token(&config, host).await? };
    let malformed = |what| Problem::new(what, "try again, and check AWS_ENDPOINT_URL");
    let token = token.map(Zeroizing::new).ok_or_else(|| malformed("AWS answered without a token"))?;
    let credential = token::credential(&token).map_err(|_| malformed("AWS answered with a malformed token"))?;
    Ok(Token { credential, expires: expires.and_then(|moment| SystemTime::try_from(moment).ok()) })
}

/// What AWS answers: the token, and when it expires.
type Reply = (Option<String>, Option<DateTime>);

async fn private_token(config: &SdkConfig, host: &EcrHost) -> Result<Reply, Problem> {
    // FIPS and dual stack belong on this client alone: on the loader they would redirect SSO and STS too.
    let mut builder = aws_sdk_ecr::config::Builder::from(config).region(Region::new(host.region.clone()));
    if host.fips {
        builder = builder.use_fips(true);
    }
    if host.dual_stack {
        builder = builder.use_dual_stack(true);
    }
    let request = aws_sdk_ecr::Client::from_conf(builder.build()).get_authorization_token();
    // The registry's own account. The parameter is deprecated, and still what other accounts' registries need.
    #[expect(deprecated, reason = "the only way to ask for another account's registry")]
    let reply = request.set_registry_ids(host.account.clone().map(|account| vec![account])).send().await;
    let data = reply.map_err(|error| sdk_problem(&error.into()))?.authorization_data;
    let data = data.unwrap_or_default().into_iter().next();
    Ok(data.map_or((None, None), |data| (data.authorization_token, data.expires_at)))
}

async fn public_token(config: &SdkConfig) -> Result<Reply, Problem> {
    let builder = aws_sdk_ecrpublic::config::Builder::from(config).region(Region::new("us-east-1"));
    let reply = aws_sdk_ecrpublic::Client::from_conf(builder.build()).get_authorization_token().send().await;
    let data = reply.map_err(|error| sdk_problem(&error.into()))?.authorization_data;
    Ok(data.map_or((None, None), |data| (data.authorization_token, data.expires_at)))
}

/// Region, credentials and client, with everything set explicitly that the SDK would panic over when it
/// finds it in the environment (`AWS_RETRY_MODE=legacy`, `AWS_MAX_ATTEMPTS=0`).
async fn sdk_config(host: &EcrHost, rule: Option<&Rule>) -> Result<SdkConfig, Problem> {
    let profile = rule.and_then(|rule| rule.profile.as_deref());
    if let Some(profile) = profile {
        check_profile(profile).await?;
    }
    let http = https_client(ProxyConfig::from_env())?;
    let region = region(host, rule, profile).await;
    let provider = ProviderConfig::without_region()
        .with_region(region.clone())
        .with_http_client(http.clone())
        .with_retry_config(RetryConfig::standard())
        .with_behavior_version(Some(BehaviorVersion::v2026_01_12()));
    let credentials = match profile {
        // Alone, not first in a chain: what it does not hold must not be answered by somebody else.
        Some(profile) => SharedCredentialsProvider::new(
            ProfileFileCredentialsProvider::builder().configure(&provider).profile_name(profile).build(),
        ),
        None => SharedCredentialsProvider::new(default_chain(provider, region.clone()).await?),
    };
    let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .retry_config(RetryConfig::standard())
        .region(region)
        .credentials_provider(credentials)
        .load()
        .await;
    Ok(match rule.and_then(|rule| rule.role_arn.as_deref().map(|arn| (rule, arn))) {
        Some((rule, arn)) => in_role(config, rule, arn).await,
        None => config,
    })
}

/// The SDK would only say that "the credential provider was not enabled".
async fn check_profile(name: &str) -> Result<(), Problem> {
    let files = EnvConfigFiles::default();
    let loaded = aws_config::profile::load(&Fs::real(), &Env::real(), &files, None).await;
    let profiles =
        loaded.map_err(|error| Problem::new(error.to_string(), "mend the AWS config and credentials files"))?;
    if profiles.get_profile(name).is_some() {
        return Ok(());
    }
    Err(Problem::new(
        format!("there is no AWS profile {name}"),
        "see those that there are: aws configure list-profiles",
    ))
}

async fn default_chain(provider: ProviderConfig, region: Option<Region>) -> Result<DefaultCredentialsChain, Problem> {
    // The metadata service is on this machine's own link; a proxy would answer for its own machine.
    let direct = provider.clone().with_http_client(https_client(ProxyConfig::disabled())?);
    let imds = imds::Client::builder()
        .configure(&direct)
        .max_attempts(1)
        .connect_timeout(IMDS_PATIENCE)
        .read_timeout(IMDS_PATIENCE)
        .build();
    Ok(DefaultCredentialsChain::builder().configure(provider).region(region).imds_client(imds).build().await)
}

async fn in_role(config: SdkConfig, rule: &Rule, arn: &str) -> SdkConfig {
    let mut role = AssumeRoleProvider::builder(arn).configure(&config);
    if let Some(id) = &rule.external_id {
        role = role.external_id(id);
    }
    if let Some(name) = &rule.session_name {
        role = role.session_name(name);
    }
    let credentials = SharedCredentialsProvider::new(role.build().await);
    config.into_builder().credentials_provider(credentials).build()
}

/// Where STS and SSO are asked: the rule's region, the environment's, the profile's, else the host's own.
/// Not the metadata service's: asking it would cost seconds wherever there is none.
async fn region(host: &EcrHost, rule: Option<&Rule>, profile: Option<&str>) -> Option<Region> {
    let mut from_profile = ProfileFileRegionProvider::builder();
    if let Some(profile) = profile {
        from_profile = from_profile.profile_name(profile);
    }
    RegionProviderChain::first_try(rule.and_then(|rule| rule.region.clone()).map(Region::new))
        .or_else(EnvironmentVariableRegionProvider::new())
        .or_else(from_profile.build())
        .or_else(Region::new(host.region.clone()))
        .region()
        .await
}

/// The SDK's own client knows neither `AWS_CA_BUNDLE` nor, once replaced, the proxy variables.
fn https_client(proxy: ProxyConfig) -> Result<aws_sdk_ecr::config::SharedHttpClient, Problem> {
    let tls = TlsContext::builder().with_trust_store(trust_store()?).build();
    let tls = tls.map_err(|error| Problem::new(format!("no TLS: {error}"), CHECK_NETWORK))?;
    Ok(Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder().proxy_config(proxy.clone());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        connector.tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(tls.clone()).build()
    }))
}

/// The system's certificates, or those of `AWS_CA_BUNDLE` in their place, as the AWS CLI has it.
fn trust_store() -> Result<TrustStore, Problem> {
    let Some(bundle) = std::env::var_os("AWS_CA_BUNDLE").filter(|path| !path.is_empty()) else {
        return Ok(TrustStore::default());
    };
    let unreadable = |why: String| {
        Problem::new(
            format!("AWS_CA_BUNDLE names {}: {why}", bundle.display()),
            "name a PEM file of CA certificates, or unset it",
        )
    };
    let pem = std::fs::read(&bundle).map_err(|error| unreadable(error.to_string()))?;
    // The client panics over a bundle without a certificate.
    if !pem.windows(27).any(|line| line == b"-----BEGIN CERTIFICATE-----") {
        return Err(unreadable("holds no certificate".into()));
    }
    Ok(TrustStore::empty().with_pem_certificate(pem))
}

/// The causes that the SDK names, outermost first, each said once.
fn sdk_problem(error: &aws_sdk_ecr::error::BoxError) -> Problem {
    let mut causes: Vec<String> = Vec::new();
    let mut next: Option<&dyn std::error::Error> = Some(error.as_ref());
    while let Some(cause) = next {
        let text = one_line(&cause.to_string());
        if !text.is_empty() && !causes.iter().any(|known| known.contains(&text)) {
            causes.push(text);
        }
        next = cause.source();
    }
    let what = causes.join(": ");
    let is_network = ["connect", "dns", "timeout", "timed out", "certificate"].iter().any(|word| what.contains(word));
    Problem::new(what, if is_network { CHECK_NETWORK } else { CHECK_CREDENTIALS })
}
