//! What the user decided: `config.toml` and the environment.
//!
//! Every mistake in the file is an error that names its line; nothing is guessed and nothing ignored.
//! This module decides nothing about a request: what a rule means for a server is the routes' affair.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use etcetera::BaseStrategy;
use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize};

use crate::ecr_host::EcrHost;
use crate::error::{Error, Result, one_line};
use crate::files::{self, Privacy};

/// A configuration file longer than this is not one.
const MAX_CONFIG: u64 = 1 << 20;

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
    #[serde(deserialize_with = "span_of_time")]
    pub timeout: Duration,
}

impl Default for EcrSettings {
    fn default() -> Self {
        Self { cache: true, timeout: Duration::from_secs(10) }
    }
}

/// One `[[registry]]` table.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Rule {
    /// Which registries it is for.
    #[serde(rename = "match")]
    pub pattern: Pattern,
    /// The ECR host behind a name of one's own.
    pub ecr: Option<EcrHost>,
    /// The helper that answers, without `docker-credential-`.
    pub helper: Option<HelperName>,
    /// That there is no credential.
    #[serde(default)]
    pub anonymous: Option<Anonymous>,
    /// The AWS profile to mint as.
    pub profile: Option<String>,
    /// The role to assume from there.
    pub role_arn: Option<String>,
    /// What the role's trust policy asks for.
    pub external_id: Option<String>,
    /// The name of the role's session.
    pub session_name: Option<String>,
    /// Where STS is asked.
    pub region: Option<String>,
    /// The MFA device that the role or the user needs.
    pub mfa_serial: Option<String>,
}

impl Rule {
    /// Whether a registry that it matches may be minted for.
    pub fn asks_aws(&self) -> bool {
        self.helper.is_none() && self.anonymous.is_none()
    }
}

/// What an anonymous registry answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anonymous {
    /// That nothing is held.
    Miss,
    /// Empty strings.
    Empty,
}

impl<'de> Deserialize<'de> for Anonymous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Anonymous;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("true or \"empty\"")
            }
            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Anonymous, E> {
                if value { Ok(Anonymous::Miss) } else { Err(E::invalid_value(de::Unexpected::Bool(value), &self)) }
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<Anonymous, E> {
                if value == "empty" {
                    Ok(Anonymous::Empty)
                } else {
                    Err(E::invalid_value(de::Unexpected::Str(value), &self))
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// The `match` of a rule: a `host[:port]` in which `*` stands for any text, dots included.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern(String);

impl TryFrom<String> for Pattern {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("match is empty");
        }
        if text.contains('/') {
            return Err("match is compared with host[:port] alone, so it cannot hold a slash");
        }
        if text.contains(|c: char| c.is_control() || c.is_whitespace()) {
            return Err("match holds white space");
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

impl Pattern {
    /// Whether the rule is for a registry, given as [`crate::server::ServerKey::registry`] names it.
    pub fn matches(&self, registry: &str) -> bool {
        let mut pieces = self.0.split('*');
        let Some(mut rest) = registry.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
        let Some(last) = pieces.next_back() else { return rest.is_empty() };
        // The earliest place for each piece leaves the most room for those that follow.
        for piece in pieces {
            let Some(at) = rest.find(piece) else { return false };
            rest = &rest[at + piece.len()..];
        }
        rest.ends_with(last)
    }
}

/// What stands behind `docker-credential-` in the name of a program that is not this one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct HelperName(String);

impl TryFrom<String> for HelperName {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, &'static str> {
        if name == "coffer" {
            return Err("helper cannot be coffer itself");
        }
        let is_file_name = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if name.is_empty() || !is_file_name {
            return Err("helper must be the end of a program's name, as \"gcloud\" is of docker-credential-gcloud");
        }
        Ok(Self(name))
    }
}

impl HelperName {
    /// The name, without `docker-credential-`.
    pub fn as_str(&self) -> &str {
        &self.0
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
    /// Checked, and kept for the command that unlocks.
    #[serde(deserialize_with = "some_span_of_time")]
    unlock_for: Option<Duration>,
}

impl Settings {
    /// Reads the environment and the configuration file.
    pub fn load() -> Result<Self> {
        let config = config_path()?;
        let document = match files::read(&config, MAX_CONFIG, Privacy::Any)? {
            Some(bytes) => Document::parse(&config, &bytes)?,
            None => Document::default(),
        };
        Ok(Self {
            directory: directory()?,
            config,
            store: document.store,
            key: document.age.key,
            identity_file: absolute("COFFER_IDENTITY_FILE")?,
            may_prompt: variable("COFFER_NO_PROMPT").is_none() && variable("CI").is_none(),
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
            message: one_line(message),
        };
        let document: Self = toml::from_str(text).map_err(|error| mistake(error.span(), error.message()))?;
        for rule in &document.registry {
            check_rule(rule.get_ref()).map_err(|message| mistake(Some(rule.span()), message))?;
        }
        Ok(document)
    }
}

/// What serde cannot say: which keys of a rule go together.
fn check_rule(rule: &Rule) -> Result<(), &'static str> {
    let sources = [rule.ecr.is_some(), rule.helper.is_some(), rule.anonymous.is_some()];
    if sources.into_iter().filter(|is_set| *is_set).count() > 1 {
        return Err("ecr, helper and anonymous exclude one another");
    }
    let is_about_aws =
        rule.profile.is_some() || rule.role_arn.is_some() || rule.region.is_some() || rule.mfa_serial.is_some();
    if is_about_aws && !rule.asks_aws() {
        return Err("profile, role-arn, region and mfa-serial are for ECR, not for a helper or an anonymous registry");
    }
    if (rule.external_id.is_some() || rule.session_name.is_some()) && rule.role_arn.is_none() {
        return Err("external-id and session-name need a role-arn");
    }
    Ok(())
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

fn some_span_of_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    span_of_time(deserializer).map(Some)
}

fn parse_span(text: &str) -> Option<Duration> {
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

/// A variable that is set to something.
fn variable(name: &str) -> Option<OsString> {
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
            ("store = \"vault\"", 1, "vault"),
            ("\n\nstorage = 1", 3, "storage"),
            ("[age]\nkey = \"tpm\"", 2, "tpm"),
            ("[age]\nkye = \"file\"", 2, "kye"),
            ("[ecr]\n\ntimeout = \"soon\"", 3, "span of time"),
            ("[ecr]\ntimeout = \"0s\"", 2, "span of time"),
            ("[ecr]\ntimeout = \"é\"", 2, "span of time"),
            ("store = \"age\"\nstore = \"age\"", 2, "duplicate"),
            ("store = ", 1, "value"),
            ("[[registry]]\nmatch = \"a\"\n\n[[registry]]\nhelper = \"x\"", 4, "match"),
            ("[[registry]]\nmatch = \"a/b\"", 2, "slash"),
            ("[[registry]]\nmatch = \"\"", 2, "empty"),
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

    #[test]
    fn patterns_match_whole_registries() {
        for (pattern, registry, expected) in [
            ("ghcr.io", "ghcr.io", true),
            ("GHCR.io", "ghcr.io", true),
            ("ghcr.io", "ghcr.io:5000", false),
            ("ghcr.io", "xghcr.io", false),
            ("*", "anything:1", true),
            ("*.pkg.dev", "europe-docker.pkg.dev", true),
            ("*.pkg.dev", "a.b.pkg.dev", true),
            ("*.pkg.dev", "pkg.dev", false),
            ("*.pkg.dev", "pkg.dev.evil.example", false),
            ("123456789012.dkr.ecr.*", "123456789012.dkr.ecr.eu-west-1.amazonaws.com", true),
            ("*.dkr.ecr.*.amazonaws.com", "1.dkr.ecr.x.amazonaws.com", true),
            ("*.dkr.ecr.*.amazonaws.com", "1.dkr.ecr.amazonaws.com", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("*ab*ab", "xabab", true),
            ("*ab*ab", "xab", false),
            ("h:*", "h:5000", true),
        ] {
            let rule = Pattern::try_from(pattern.to_owned()).unwrap();
            assert_eq!(rule.matches(registry), expected, "{pattern} {registry}");
        }
    }
}
