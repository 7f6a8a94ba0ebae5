//! Which hosts are Amazon ECR, and what each says of itself.
//!
//! A pure type, matched on the whole host: a look-alike is an ordinary registry and never causes a call to
//! AWS. Partition, region, FIPS and dual stack follow from the name, so that a region that opens tomorrow
//! works today.

use std::str::FromStr;

use serde::Deserialize;

/// Suffixes of `ACCOUNT.dkr.ecr.REGION.` and its FIPS form.
const SUFFIXES: [&str; 8] = [
    "amazonaws.com",
    "amazonaws.com.cn",
    "amazonaws.eu",
    "c2s.ic.gov",
    "sc2s.sgov.gov",
    "cloud.adc-e.uk",
    "csp.hci.ic.gov",
    DUAL_STACK_CHINA,
];

/// Suffixes of `ACCOUNT.dkr-ecr.REGION.` and its FIPS form.
const DUAL_STACK_SUFFIXES: [&str; 2] = ["on.aws", DUAL_STACK_CHINA];

const DUAL_STACK_CHINA: &str = "on.amazonwebservices.com.cn";

/// The public registry answers under both names, always from one region.
const PUBLIC: [&str; 2] = ["public.ecr.aws", "ecr-public.aws.com"];
const PUBLIC_REGION: &str = "us-east-1";

/// A host of Amazon ECR.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct EcrHost {
    /// The host, in lower case.
    pub host: String,
    /// The registry's account; `None` for ECR Public.
    pub account: Option<String>,
    /// The region whose API mints for it.
    pub region: String,
    /// Whether the API's FIPS endpoint is to be asked.
    pub fips: bool,
    /// Whether the API's dual-stack endpoint is to be asked.
    pub dual_stack: bool,
}

impl EcrHost {
    /// Whether this is ECR Public.
    pub fn is_public(&self) -> bool {
        self.account.is_none()
    }
}

/// That a text is no host of ECR.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a host of Amazon ECR, such as 123456789012.dkr.ecr.eu-west-1.amazonaws.com")]
pub struct NotEcr;

impl TryFrom<String> for EcrHost {
    type Error = NotEcr;

    fn try_from(host: String) -> Result<Self, NotEcr> {
        host.parse()
    }
}

impl FromStr for EcrHost {
    type Err = NotEcr;

    /// Reads a host in lower case, without a port, as [`crate::server::ServerKey::registry`] gives it.
    fn from_str(host: &str) -> Result<Self, NotEcr> {
        if PUBLIC.contains(&host) {
            return Ok(Self {
                host: host.into(),
                account: None,
                region: PUBLIC_REGION.into(),
                fips: false,
                dual_stack: false,
            });
        }
        let (account, rest) = host.split_once('.').ok_or(NotEcr)?;
        if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NotEcr);
        }
        let (dual, rest) = match rest.strip_prefix("dkr.") {
            Some(rest) => (false, rest),
            None => (true, rest.strip_prefix("dkr-").ok_or(NotEcr)?),
        };
        let (service, rest) = rest.split_once('.').ok_or(NotEcr)?;
        let fips = match service {
            "ecr" => false,
            "ecr-fips" => true,
            _ => return Err(NotEcr),
        };
        let (region, suffix) = rest.split_once('.').ok_or(NotEcr)?;
        let suffixes: &[&str] = if dual { &DUAL_STACK_SUFFIXES } else { &SUFFIXES };
        if !suffixes.contains(&suffix) || !is_region(region) {
            return Err(NotEcr);
        }
        Ok(Self {
            host: host.into(),
            account: Some(account.into()),
            region: region.into(),
            fips,
            dual_stack: dual || suffix == DUAL_STACK_CHINA,
        })
    }
}

/// Any name that could be a region's: it becomes part of the API's host name.
fn is_region(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_known() {
        for (host, region, fips, dual_stack) in [
            ("123456789012.dkr.ecr.us-west-2.amazonaws.com", "us-west-2", false, false),
            ("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1", true, false),
            ("123456789012.dkr-ecr.us-west-2.on.aws", "us-west-2", false, true),
            ("123456789012.dkr-ecr-fips.us-east-1.on.aws", "us-east-1", true, true),
            ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "cn-north-1", false, false),
            ("123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn", "cn-north-1", false, true),
            ("123456789012.dkr.ecr.cn-north-1.on.amazonwebservices.com.cn", "cn-north-1", false, true),
            ("123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1", false, false),
            ("123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov", "us-iso-east-1", false, false),
            ("123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov", "us-isob-east-1", false, false),
            ("123456789012.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk", "eu-isoe-west-1", false, false),
            ("123456789012.dkr.ecr.us-isof-south-1.csp.hci.ic.gov", "us-isof-south-1", false, false),
            ("000000000000.dkr.ecr.mars-north-9.amazonaws.com", "mars-north-9", false, false),
        ] {
            let ecr: EcrHost = host.parse().unwrap();
            assert_eq!(ecr.account.as_deref(), Some(&host[..12]), "{host}");
            assert_eq!((ecr.region.as_str(), ecr.fips, ecr.dual_stack), (region, fips, dual_stack), "{host}");
        }
        for host in PUBLIC {
            let ecr: EcrHost = host.parse().unwrap();
            assert!(ecr.is_public() && ecr.region == "us-east-1");
        }
    }

    #[test]
    fn a_look_alike_is_not_ecr() {
        for host in [
            "123456789012.dkr.ecr.us-east-1.amazonaws.com.fake.example.com",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com:5000",
            "evil.123456789012.dkr.ecr.us-east-1.amazonaws.com",
            ".dkr.ecr.us-east-1.amazonaws.com",
            "dkr.ecr.us-east-1.amazonaws.com",
            "12345678901.dkr.ecr.us-east-1.amazonaws.com",
            "1234567890123.dkr.ecr.us-east-1.amazonaws.com",
            "12345678901a.dkr.ecr.us-east-1.amazonaws.com",
            "123456789012.dkr-ecr.us-east-1.on.aws.com.cn",
            "123456789012.dkr-ecr.us-east-1.amazonaws.com",
            "123456789012.dkr.ecr.us-east-1.on.aws",
            "123456789012.dkr.ecr..amazonaws.com",
            "123456789012.dkr.ecr.-a.amazonaws.com",
            "123456789012.dkr.ecr.a.b.amazonaws.com",
            "123456789012.dkr.ecr.us-east-1.amazonaws.comx",
            "123456789012.dkr.ecrx.us-east-1.amazonaws.com",
            "123456789012xdkr.ecr.us-east-1.amazonaws.com",
            "public.ecr.aws.evil.example",
            "xpublic.ecr.aws",
            "",
        ] {
            assert_eq!(host.parse::<EcrHost>(), Err(NotEcr), "{host}");
        }
    }
}
