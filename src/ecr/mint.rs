//! The calls to AWS, on the one async runtime of this program.

use std::time::{Duration, SystemTime};

use aws_config::{Region, SdkConfig};
use aws_sdk_ecr::primitives::DateTime;
use zeroize::Zeroizing;

use super::mfa::{self, Identity};
use super::problem::{CHECK_NETWORK, Problem};
use super::token::{self, Token};
use super::who;
use crate::deadline;
use crate::ecr_host::EcrHost;
use crate::error::{Error, Result};
use crate::rule::Rule;
use crate::server::ServerKey;
use crate::store::Store;
use crate::trace;

/// How long the reading of AWS's configuration may take.
const CHECK_LIMIT: Duration = Duration::from_secs(1);

/// A fresh token for a registry, asked of AWS as the rule says. `sessions` holds what codes of MFA devices have begun.
///
/// Takes no longer than `limit`, the resolving of names and credentials included.
pub fn mint(host: &EcrHost, rule: Option<&Rule>, sessions: &dyn Store, limit: Duration) -> Result<Token> {
    trace::debug(|| format!("minting for {} in {}", host.host, host.region));
    within(limit, token(host, rule, sessions)).map_err(|problem| problem.minting(&host.host))
}

/// What can be told of who would ask under a rule without asking anybody: that the profile exists, that the files can be
/// read, that its SSO session has not ended. The profile's name.
pub fn check(rule: Option<&Rule>, now: SystemTime) -> Result<String> {
    within(CHECK_LIMIT, who::check(rule, now)).map_err(|Problem { what, cure }| Error::Command { message: what, cure })
}

/// An MFA device of somebody's, and the name under which its session is kept.
pub type Device = (String, ServerKey);

/// The device that who asks under a rule has a code of, if that takes one.
pub fn mfa_device(rule: Option<&Rule>, limit: Duration) -> Result<Option<Device>> {
    let found = within(limit, who::mfa_user(rule)).map_err(Problem::beginning)?;
    let Some((identity, _)) = found else { return Ok(None) };
    let key = identity.session_key()?;
    Ok(Some((identity.serial, key)))
}

/// Begins a session with a code, and keeps it. When it ends; `None` if no code is needed.
pub fn begin_session(
    rule: Option<&Rule>,
    code: &str,
    sessions: &dyn Store,
    limit: Duration,
) -> Result<Option<SystemTime>> {
    let begun = within(limit, async {
        let Some((identity, config)) = who::mfa_user(rule).await? else { return Ok(None) };
        Ok(Some((identity.begin(&config, code).await?, identity)))
    });
    let Some((session, identity)) = begun.map_err(Problem::beginning)? else { return Ok(None) };
    session.keep(sessions, &identity.session_key()?)?;
    Ok(Some(session.expires))
}

/// Runs something on the one runtime, for no longer than `limit`.
fn within<T>(limit: Duration, work: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
    deadline::waiting_for("AWS");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime
        .map_err(|error| Problem::new(format!("no async runtime: {error}"), "see the process's limits: ulimit -a"))?;
    let done = runtime.block_on(async { tokio::time::timeout(limit, work).await });
    // Dropping it would wait for a name server that does not answer.
    runtime.shutdown_background();
    done.unwrap_or_else(|_| {
        Err(Problem::new(format!("no answer within {:.0} s", limit.as_secs_f64().ceil()), CHECK_NETWORK))
    })
}

async fn token(host: &EcrHost, rule: Option<&Rule>, sessions: &dyn Store) -> Result<Token, Problem> {
    let session = |identity: &Identity| {
        let closed = |error: Error| Problem::new(error.to_string(), error.hint().unwrap_or_default());
        identity.session_key().and_then(|key| mfa::kept(sessions, &key)).map_err(closed)
    };
    let config = who::sdk_config(host, rule, session).await?;
    let reply = if host.is_public() { public_token(&config).await } else { private_token(&config, host).await };
    let (token, expires) = reply.map_err(|error| Problem::of(error.as_ref(), who::profile(rule).as_deref()))?;
    let malformed = |what| Problem::new(what, "try again, and check AWS_ENDPOINT_URL");
    let token = token.map(Zeroizing::new).ok_or_else(|| malformed("AWS answered without a token"))?;
    let credential = token::credential(&token).map_err(|_| malformed("AWS answered with a malformed token"))?;
    // Whoever answers in AWS's place cannot have a token answered for ever.
    let latest = SystemTime::now() + token::LIFE;
    let expires = expires.and_then(|moment| SystemTime::try_from(moment).ok());
    Ok(Token { credential, expires: expires.map(|expires| expires.min(latest)) })
}

/// What AWS answers: the token, and when it expires.
type Reply = Result<(Option<String>, Option<DateTime>), aws_sdk_ecr::error::BoxError>;

async fn private_token(config: &SdkConfig, host: &EcrHost) -> Reply {
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
    let reply = request.set_registry_ids(host.account.clone().map(|account| vec![account])).send().await?;
    let data = reply.authorization_data.unwrap_or_default().into_iter().next();
    Ok(data.map_or((None, None), |data| (data.authorization_token, data.expires_at)))
}

async fn public_token(config: &SdkConfig) -> Reply {
    let builder = aws_sdk_ecrpublic::config::Builder::from(config).region(Region::new("us-east-1"));
    let reply = aws_sdk_ecrpublic::Client::from_conf(builder.build()).get_authorization_token().send().await?;
    Ok(reply.authorization_data.map_or((None, None), |data| (data.authorization_token, data.expires_at)))
}
