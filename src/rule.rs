//! A `[[registry]]` rule of `config.toml`: which registries it is for, and what it says of them.
//!
//! Each part is checked as it is read, so that the error can name its line. What a rule means for a request is the routes'
//! affair.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer};

use crate::ecr_host::EcrHost;
use crate::server::ServerKey;

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

    /// What serde cannot say: which keys go together.
    pub fn check(&self) -> Result<(), &'static str> {
        let sources = [self.ecr.is_some(), self.helper.is_some(), self.anonymous.is_some()];
        if sources.into_iter().filter(|is_set| *is_set).count() > 1 {
            return Err("ecr, helper and anonymous exclude one another");
        }
        let is_about_aws =
            self.profile.is_some() || self.role_arn.is_some() || self.region.is_some() || self.mfa_serial.is_some();
        if is_about_aws && !self.asks_aws() {
            return Err(
                "profile, role-arn, region and mfa-serial are for ECR, not for a helper or an anonymous registry",
            );
        }
        if (self.external_id.is_some() || self.session_name.is_some()) && self.role_arn.is_none() {
            return Err("external-id and session-name need a role-arn");
        }
        Ok(())
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
        let text = text.to_ascii_lowercase();
        let is_one = !text.contains('*');
        if is_one && text.parse::<ServerKey>().ok().as_ref().and_then(ServerKey::registry) != Some(text.as_str()) {
            return Err(
                "match is no registry's one name: the Hub is docker.io, port 443 and a dot at the end are left out",
            );
        }
        Ok(Self(text))
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

#[cfg(test)]
mod tests {
    use super::*;

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
