//! `explain`: how a `get` would be answered, and why; and which clients would ask at all. No secret, no network, no unlocking.

use std::io::Write;

use serde::Serialize;

use super::{examples, moment, printable};
use crate::ecr;
use crate::error::{Error, Result};
use crate::routes::{self, Source};
use crate::search_path;
use crate::server::ServerKey;
use crate::settings::Settings;

mod clients;

/// Show how a get for SERVER would be answered, and who asks.
///
/// Why it is so, and which clients are told to ask at all. Without network, prompt or secret.
#[derive(Debug, clap::Args)]
#[command(after_help = examples(&["explain ghcr.io", "explain 123456789012.dkr.ecr.eu-west-1.amazonaws.com"]))]
pub struct Arguments {
    /// The registry, as a client would name it.
    server: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// The answer. Its JSON shape is stable.
#[derive(Debug, Serialize)]
struct Explanation<'a> {
    server: &'a str,
    key: &'a str,
    rule: Option<usize>,
    source: &'static str,
    held: Option<bool>,
    ecr: Option<Ecr>,
    helper: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Ecr {
    account: Option<String>,
    region: String,
    public: bool,
    fips: bool,
    dual_stack: bool,
    profile: Option<String>,
    role_arn: Option<String>,
    cached_until: Option<String>,
}

pub(super) fn run(arguments: &Arguments, settings: &Settings, out: &mut dyn Write) -> Result<()> {
    let server = arguments.server.trim();
    let key: ServerKey = server.parse()?;
    let explanation = explain(server, &key, settings);
    let text = if arguments.json {
        serde_json::to_string(&explanation).map_err(|_| Error::Internal("explain".into()))?
    } else {
        explanation.in_words(&key, settings)
    };
    writeln!(out, "{text}").map_err(Error::output)
}

fn explain<'a>(server: &'a str, key: &'a ServerKey, settings: &'a Settings) -> Explanation<'a> {
    let route = routes::route(settings, key);
    let mut explanation = Explanation {
        server,
        key: key.name(),
        rule: route.number,
        source: "store",
        held: None,
        ecr: None,
        helper: None,
    };
    match route.source {
        Source::Store => explanation.held = held(settings, key),
        Source::Helper(name) => {
            explanation.source = "helper";
            explanation.helper = Some(name.as_str());
        }
        Source::Anonymous(_) => explanation.source = "anonymous",
        Source::Ecr(host) => {
            explanation.source = "ecr";
            let registry = routes::ecr_registry(settings, key, host, route.rule);
            explanation.ecr = Some(Ecr {
                cached_until: registry.kept_until().map(moment),
                public: registry.host.is_public(),
                account: registry.host.account,
                region: registry.host.region,
                fips: registry.host.fips,
                dual_stack: registry.host.dual_stack,
                profile: ecr::profile(route.rule),
                role_arn: route.rule.and_then(|rule| rule.role_arn.clone()),
            });
        }
    }
    explanation
}

/// Whether the server or one of its parents is held; `None` if the store cannot tell.
fn held(settings: &Settings, key: &ServerKey) -> Option<bool> {
    let store = routes::store(settings);
    for candidate in key.candidates() {
        if store.find(&candidate).ok()?.is_some() {
            return Some(true);
        }
    }
    Some(false)
}

impl Explanation<'_> {
    fn in_words(&self, key: &ServerKey, settings: &Settings) -> String {
        let mut lines = vec![format!("{} is looked up as {}", self.server, self.key)];
        lines.push(match self.rule {
            Some(number) => format!("rule {number} of {} decides", settings.config.display()),
            None => "no rule matches it".into(),
        });
        lines.push(match (self.source, self.held) {
            ("store", Some(true)) => "the store holds a credential for it".into(),
            ("store", Some(false)) => "the store holds nothing for it: not found".into(),
            ("store", None) => "the store cannot tell whether it holds anything for it".into(),
            ("helper", _) => {
                let program = format!("docker-credential-{}", self.helper.unwrap_or_default());
                let is_there = search_path::find(&program).is_some();
                if is_there {
                    format!("{program} answers")
                } else {
                    format!("{program} is to answer, and is not on the PATH")
                }
            }
            ("anonymous", _) => "it is anonymous: there is no credential".into(),
            _ => self.ecr.as_ref().map_or_else(String::new, Ecr::in_words),
        });
        lines.extend(clients::lines(key));
        // Helpers' names come from clients' files, as whoever wrote those has put them.
        lines.iter().map(|line| printable(line)).collect::<Vec<_>>().join("\n")
    }
}

impl Ecr {
    fn in_words(&self) -> String {
        let registry = match &self.account {
            Some(account) => format!("account {account} in {}", self.region),
            None => "ECR Public".into(),
        };
        let endpoint = match (self.fips, self.dual_stack) {
            (false, false) => "",
            (true, false) => ", FIPS endpoint",
            (false, true) => ", dual-stack endpoint",
            (true, true) => ", FIPS dual-stack endpoint",
        };
        let profile = self
            .profile
            .as_ref()
            .map_or_else(|| "the default AWS credentials".into(), |name| format!("AWS profile {name}"));
        let role = self.role_arn.as_ref().map_or_else(String::new, |arn| format!(" in role {arn}"));
        let kept = match &self.cached_until {
            Some(moment) => format!("; one is kept that is valid until {moment}"),
            None => String::new(),
        };
        format!("a token is minted for {registry}{endpoint}, as {profile}{role}{kept}")
    }
}
