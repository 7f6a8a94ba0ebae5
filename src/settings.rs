//! What the user decided: `config.toml` and the environment.
//!
//! Every mistake in the file is an error that names its line; nothing is guessed and nothing ignored.
//! This module decides nothing about a request: what a rule means for a server is the routes' affair.

use std::env;
use std::ffi::OsString;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use etcetera::BaseStrategy;
use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, one_line};
use crate::files::{self, Privacy};
use crate::rule::Rule;

/// A configuration file longer than this is not one.
const MAX_CONFIG: u64 = 1 << 20;

/// The most that `[ecr] timeout` may say: clients wait for 20 s in all.
const MAX_TIME_TO_MINT: Duration = Duration::from_secs(15);

/// How long the key stays unlocked unless somebody says otherwise: a working day.
const UNLOCK_FOR: Duration = Duration::from_secs(8 * 3600);

/// All settings, with their defaults filled in.
#[derive(Debug)]
pub struct Settings {
    /// Where the age store, its key and its locks lie.
    pub directory: PathBuf,
    /// The configuration file, whether it exists or not.
    pub config: PathBuf,
    /// Which store keeps credentials.
    pub store: StoreKind,
    /// Who holds the key of the age store; `None`: whoever has it.
    pub key: Option<KeyHolder>,
    /// `COFFER_IDENTITY_FILE`: goes before any other key.
    pub identity_file: Option<PathBuf>,
    /// Whether somebody may be asked something: neither `COFFER_NO_PROMPT` nor `CI` is set.
    pub may_prompt: bool,
    /// How long `unlock` opens the key for.
    pub unlock_for: Duration,
    /// How ECR tokens are minted.
    pub ecr: EcrSettings,
    /// The `[[registry]]` rules, in order.
    pub rules: Vec<Rule>,
}

/// The two stores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// Files encrypted with age.
    #[default]
    Age,
    /// Items of the OS keyring.
    Keyring,
}

/// Who holds the identity of the age store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum KeyHolder {
    /// An item of the OS keyring.
    Keyring,
    /// The file `identities` in the store's directory.
    File,
}

/// The `[ecr]` table.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EcrSettings {
    /// Whether tokens may be kept.
    pub cache: bool,
    /// The most that minting may take, all included.
    #[serde(deserialize_with = "time_to_mint")]
    pub timeout: Duration,
}

impl Default for EcrSettings {
    fn default() -> Self {
        Self { cache: true, timeout: Duration::from_secs(10) }
    }
}

/// `config.toml`, as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Document {
    store: StoreKind,
    age: AgeTable,
    ecr: EcrSettings,
    registry: Vec<toml::Spanned<Rule>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
struct AgeTable {
    key: Option<KeyHolder>,
    #[serde(deserialize_with = "some_span_of_time")]
    unlock_for: Option<Duration>,
}

impl Settings {
    /// Reads the environment and the configuration file.
    pub fn load() -> Result<Self> {
        let config = config_path()?;
        let text = files::read(&config, MAX_CONFIG, Privacy::Any)?.unwrap_or_default();
        Self::of(config, &text)
    }

    /// Reads the environment, with this text of the configuration file; an empty one decides nothing.
    pub fn of(config: PathBuf, text: &[u8]) -> Result<Self> {
        let document = Document::parse(&config, text)?;
        Ok(Self {
            directory: directory()?,
            config,
            store: document.store,
            key: document.age.key,
            identity_file: absolute("COFFER_IDENTITY_FILE")?,
            may_prompt: variable("COFFER_NO_PROMPT").is_none() && variable("CI").is_none(),
            unlock_for: document.age.unlock_for.unwrap_or(UNLOCK_FOR),
            ecr: document.ecr,
            rules: document.registry.into_iter().map(toml::Spanned::into_inner).collect(),
        })
    }
}

impl Document {
    fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(bytes).map_err(|error| Error::Config {
            path: path.into(),
            line: line_of(bytes, error.valid_up_to()),
            message: "not UTF-8".into(),
        })?;
        let mistake = |span: Option<Range<usize>>, message: &str| Error::Config {
            path: path.into(),
            line: line_of(bytes, span.map_or(0, |span| span.start)),
            message: told(message),
        };
        let document: Self = toml::from_str(text).map_err(|error| mistake(error.span(), error.message()))?;
        for rule in &document.registry {
            rule.get_ref().check().map_err(|message| mistake(Some(rule.span()), message))?;
        }
        Ok(document)
    }
}

/// What is wrong with a line, without the value that stands there: somebody may have taken the line for a place of secrets.
/// The name of a key is told if it looks like one.
fn told(message: &str) -> String {
    let unknown = |kind: &str| message.strip_prefix(kind).and_then(|rest| rest.rsplit_once("`, expected "));
    let is_name = |name: &str| name.len() <= 24 && name.bytes().all(|c| c.is_ascii_lowercase() || b"-_".contains(&c));
    if let Some((name, expected)) = unknown("unknown field `") {
        let name = if is_name(name) { format!(" `{name}`") } else { String::new() };
        return one_line(&format!("unknown field{name}, expected {expected}"));
    }
    if let Some((_, expected)) = unknown("unknown variant `") {
        return one_line(&format!("unknown value, expected {expected}"));
    }
    match message.rsplit_once(", expected ") {
        Some((what, expected)) if what.starts_with("invalid type: ") || what.starts_with("invalid value: ") => {
            let kind = what.split(['`', '"']).next().unwrap_or_default().trim_end();
            one_line(&format!("{kind}, expected {expected}"))
        }
        _ => one_line(message),
    }
}

/// The line of a position, counted from 1.
fn line_of(bytes: &[u8], position: usize) -> usize {
    1 + bytes.iter().take(position).filter(|byte| **byte == b'\n').count()
}

/// `"10s"`, `"5m"`, `"8h"`: a whole number and its unit, not zero.
fn span_of_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_span(&text).ok_or_else(|| de::Error::custom("not a span of time such as \"10s\", \"5m\" or \"8h\""))
}

/// Longer would leave no time to answer what is kept instead.
fn time_to_mint<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let time = span_of_time(deserializer)?;
    if time > MAX_TIME_TO_MINT { Err(de::Error::custom("longer than 15s")) } else { Ok(time) }
}

fn some_span_of_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    span_of_time(deserializer).map(Some)
}

/// A whole number and its unit, `s`, `m` or `h`; not zero.
pub fn parse_span(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    let number = number.parse::<u32>().ok().filter(|number| *number > 0)?;
    Some(Duration::from_secs(u64::from(number) * seconds))
}

/// An environment variable that is set to something.
pub fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

/// A variable that names a path. A relative one would mean another file in every directory.
fn absolute(name: &'static str) -> Result<Option<PathBuf>> {
    match variable(name).map(PathBuf::from) {
        Some(path) if path.is_relative() => Err(Error::Environment { name, problem: "is not an absolute path" }),
        path => Ok(path),
    }
}

fn base() -> Result<etcetera::base_strategy::Xdg> {
    let base = etcetera::base_strategy::Xdg::new().map_err(|_| Error::NoHome)?;
    // An empty HOME would put the store into whatever directory the client was called in.
    if base.home_dir().is_relative() {
        return Err(Error::Environment { name: "HOME", problem: "is not an absolute path" });
    }
    Ok(base)
}

fn config_path() -> Result<PathBuf> {
    match absolute("COFFER_CONFIG")? {
        Some(path) => Ok(path),
        None => Ok(base()?.config_dir().join("coffer/config.toml")),
    }
}

fn directory() -> Result<PathBuf> {
    match absolute("COFFER_DIR")? {
        Some(path) => Ok(path),
        None => Ok(base()?.data_dir().join("coffer")),
    }
}

/// The user's home directory, from HOME or else the password database.
pub fn home() -> Result<PathBuf> {
    Ok(base()?.home_dir().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::Anonymous;

    fn parse(text: &str) -> Result<Document> {
        Document::parse(Path::new("config.toml"), text.as_bytes())
    }

    #[test]
    fn every_documented_key_is_read() {
        let document = parse(
            r#"
store = "keyring"
[age]
key = "file"
unlock-for = "8h"
[ecr]
cache = false
timeout = "5s"
[[registry]]
match = "123456789012.dkr.ecr.*"
profile = "prod"
role-arn = "arn:aws:iam::123456789012:role/pull"
external-id = "x"
session-name = "y"
region = "eu-west-1"
[[registry]]
match = "images.example.com"
ecr = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
[[registry]]
match = "*.pkg.dev"
helper = "gcloud"
[[registry]]
match = "mirror.internal:5000"
anonymous = true
[[registry]]
match = "nomad.internal"
anonymous = "empty"
"#,
        )
        .unwrap();
        assert_eq!(document.store, StoreKind::Keyring);
        assert_eq!(document.age.key, Some(KeyHolder::File));
        assert_eq!((document.ecr.cache, document.ecr.timeout.as_secs()), (false, 5));
        assert_eq!(document.registry.len(), 5);
        assert_eq!(document.registry[4].get_ref().anonymous, Some(Anonymous::Empty));
    }

    #[test]
    fn every_mistake_names_its_line() {
        for (text, line, word) in [
            ("store = \"vault\"", 1, "unknown value, expected `age` or `keyring`"),
            ("\n\nstorage = 1", 3, "storage"),
            ("[age]\nkey = \"tpm\"", 2, "expected `keyring` or `file`"),
            ("[age]\nkye = \"file\"", 2, "kye"),
            ("[ecr]\n\ntimeout = \"soon\"", 3, "span of time"),
            ("[ecr]\ntimeout = \"0s\"", 2, "span of time"),
            ("[ecr]\ntimeout = \"16s\"", 2, "longer than 15s"),
            ("[ecr]\ntimeout = \"é\"", 2, "span of time"),
            ("store = \"age\"\nstore = \"age\"", 2, "duplicate"),
            ("store = ", 1, "value"),
            ("[[registry]]\nmatch = \"a\"\n\n[[registry]]\nhelper = \"x\"", 4, "match"),
            ("[[registry]]\nmatch = \"a/b\"", 2, "slash"),
            ("[[registry]]\nmatch = \"\"", 2, "empty"),
            ("[[registry]]\nmatch = \"index.docker.io\"", 2, "docker.io"),
            ("[[registry]]\nmatch = \"ghcr.io:443\"", 2, "443"),
            ("[[registry]]\nmatch = \"a\"\nhelper = \"coffer\"", 3, "itself"),
            ("[[registry]]\nmatch = \"a\"\nhelper = \"../x\"", 3, "program"),
            ("[[registry]]\nmatch = \"a\"\nanonymous = false", 3, "empty"),
            ("[[registry]]\nmatch = \"a\"\nanonymous = \"no\"", 3, "empty"),
            ("[[registry]]\nmatch = \"a\"\necr = \"ghcr.io\"", 3, "ECR"),
            ("[[registry]]\nmatch = \"a\"\nrole = \"x\"", 3, "role"),
            ("# c\n[[registry]]\nmatch = \"a\"\nhelper = \"x\"\nanonymous = true", 2, "exclude"),
            ("[[registry]]\nmatch = \"a\"\nhelper = \"x\"\nprofile = \"p\"", 1, "ECR"),
            ("[[registry]]\nmatch = \"a\"\nexternal-id = \"x\"", 1, "role-arn"),
        ] {
            let error = parse(text).unwrap_err();
            let Error::Config { line: found, message, .. } = &error else { panic!("{error}") };
            assert_eq!(*found, line, "{text}: {message}");
            assert!(message.contains(word) && !message.contains('\n'), "{text}: {message}");
        }
    }

    /// A key pasted where its holder is named, a password under a name of the user's own making.
    #[test]
    fn no_mistake_quotes_a_value() {
        for text in [
            "store = \"S3CRET\"",
            "store = \"S3CRET`, expected x\"",
            "store = S3CRET",
            "store = \"S3CRET",
            "S3CRET",
            "S3CRET = 1",
            "\"S3CRET\" = 1",
            "[S3CRET]",
            "[age]\nkey = \"AGE-SECRET-KEY-1S3CRET\"",
            "[age]\nkey = [\"S3CRET\"]",
            "[age]\nunlock-for = \"S3CRET\"",
            "[ecr]\ncache = \"S3CRET\"",
            "[ecr]\ncache = \"\\\"S3CRET, expected x\"",
            "[ecr]\ntimeout = \"S3CRET\"",
            "registry = \"S3CRET\"",
            "[[registry]]\nmatch = \"https://u:S3CRET@h\"",
            "[[registry]]\nmatch = \"a\"\nhelper = \"S3CRET \"",
            "[[registry]]\nmatch = \"a\"\nanonymous = \"S3CRET\"",
            "[[registry]]\nmatch = \"a\"\necr = \"S3CRET\"",
            "[[registry]]\nmatch = \"a\"\nS3CRET = \"S3CRET\"",
            "[[registry]]\nmatch = \"a\"\nhelper = \"b\"\nprofile = \"S3CRET\"",
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(!error.contains("S3CRET"), "{text}: {error}");
        }
    }
}
