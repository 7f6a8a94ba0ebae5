//! `unlock`: the opened key in the kernel's keyring, for a while.

use std::time::Duration;

use super::{examples, key_show, moment, tell};
use crate::error::{Error, Result};
use crate::key::{self, Kind};
use crate::settings::{self, Settings, StoreKind};

/// Open the key once, and keep it open for a while.
///
/// It stays in the kernel's keyring, until its time is up or `lock` is called.
///
/// The passphrase is asked for with pinentry or on the terminal; it is read from standard input where that is no terminal.
#[derive(Debug, clap::Args)]
#[command(after_help = examples(&["unlock", "unlock --for 30m"]))]
pub struct Arguments {
    /// How long: a number and s, m or h. Without: [age] unlock-for of config.toml, or 8h.
    #[arg(long = "for", value_name = "TIME", value_parser = span)]
    time: Option<Duration>,
}

/// The longest that a key stays unlocked: a year.
const MAX_TIME: Duration = Duration::from_secs(365 * 24 * 3600);

fn span(text: &str) -> Result<Duration, &'static str> {
    let time = settings::parse_span(text).ok_or("not a span of time such as 30m or 8h")?;
    if time > MAX_TIME { Err("longer than a year") } else { Ok(time) }
}

pub(super) fn run(arguments: &Arguments, settings: &Settings) -> Result<()> {
    if settings.store == StoreKind::Keyring {
        return Err(Error::Command {
            message: "the store is the OS keyring, which the desktop unlocks".into(),
            cure: "see docs/keys.md for the kinds of key that can be unlocked".into(),
        });
    }
    match key::kind(settings)? {
        Kind::None => Err(key_show::nowhere(settings)),
        Kind::Plain => {
            tell("the key is a plain file, which needs no unlocking");
            Ok(())
        }
        Kind::Plugins(names) => Err(Error::Command {
            message: format!(
                "the key never leaves the token of age-plugin-{}, so it cannot be unlocked",
                names.join(", ")
            ),
            cure: "use the token each time, or set the plugin up to ask for a touch less often".into(),
        }),
        Kind::Sealed | Kind::Keyring => {
            let until = key::unlock(settings, arguments.time.unwrap_or(settings.unlock_for).min(MAX_TIME))?;
            tell(format_args!("unlocked until {}", moment(until)));
            Ok(())
        }
    }
}
