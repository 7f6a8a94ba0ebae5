//! `mfa`: one code from an MFA device, for a day of minting.

use std::io::{self, BufRead};
use std::time::SystemTime;

use super::{examples, moment, tell};
use crate::ecr;
use crate::error::{Error, Result};
use crate::routes::{self, Source};
use crate::rule::Rule;
use crate::server::ServerKey;
use crate::settings::Settings;

/// Give the code of an MFA device, for a day of ECR tokens.
///
/// The code is read from the terminal, or from standard input.
#[derive(Debug, clap::Args)]
#[command(after_help = examples(&["mfa", "mfa 123456789012.dkr.ecr.eu-west-1.amazonaws.com"]))]
pub struct Arguments {
    /// The registry to give it for. Without: every device that a rule or the default profile names.
    server: Option<String>,
}

pub(super) fn run(arguments: &Arguments, settings: &Settings) -> Result<()> {
    let Some(server) = &arguments.server else { return every_device(settings) };
    let server: ServerKey = server.parse()?;
    let route = routes::route(settings, &server);
    let Source::Ecr(host) = route.source else {
        return Err(Error::Command {
            message: format!("{server} is not answered with tokens of ECR"),
            cure: format!("see how it is answered: docker-credential-coffer explain {server}"),
        });
    };
    let Some((serial, _)) = ecr::mfa_device(route.rule, settings.ecr.timeout)? else { return Err(no_device()) };
    begin(settings, route.rule, &serial)?;
    routes::ecr_registry(settings, &server, host, route.rule).renew(settings)
}

/// Each device of each user once, however many rules name it. A rule that does not work is no reason to leave out the others.
fn every_device(settings: &Settings) -> Result<()> {
    let mut asked = Vec::new();
    let mut failed = None;
    for rule in settings.rules.iter().filter(|rule| rule.asks_aws()).map(Some).chain([None]) {
        let device = ecr::mfa_device(rule, settings.ecr.timeout);
        let begun = device.and_then(|device| match device {
            Some(device) if !asked.contains(&device) => {
                begin(settings, rule, &device.0)?;
                asked.push(device);
                Ok(())
            }
            _ => Ok(()),
        });
        if let Err(error) = begun {
            failed.get_or_insert(error);
        }
    }
    match failed {
        Some(error) => Err(error),
        None if asked.is_empty() => Err(no_device()),
        None => Ok(()),
    }
}

fn no_device() -> Error {
    Error::Command {
        message: "nothing here needs an MFA code".into(),
        cure: "name the device with mfa_serial in the AWS profile, or with mfa-serial in a rule of config.toml".into(),
    }
}

fn begin(settings: &Settings, rule: Option<&Rule>, serial: &str) -> Result<()> {
    tell(format_args!("code of the MFA device {serial}:"));
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line);
    read.map_err(|source| Error::Stdio { action: "read the code", source })?;
    let code = line.trim();
    if code.len() != 6 || !code.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Error::Command {
            message: "that is not a code".into(),
            cure: "give the six digits it shows".into(),
        });
    }
    let until = ecr::begin_session(rule, code, &*routes::aws_sessions(settings), settings.ecr.timeout)?;
    tell(format_args!("good until {}", moment(until.unwrap_or(SystemTime::UNIX_EPOCH))));
    Ok(())
}
