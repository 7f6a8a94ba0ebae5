//! Who would ask AWS for a token: a hash of everything that decides it.
//!
//! Keys that rotate behind a role, an SSO session, a process or an instance do not change it; another profile, another
//! rule, another endpoint do. It stands beside the ciphertext; what goes in is either no secret or has far more entropy
//! than a hash could give away.

use std::env;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use crate::files::{self, Privacy};
use crate::rule::Rule;
use crate::settings;

/// What the SDK reads to decide who asks, where, and in what region. Endpoints of single services come besides.
const VARIABLES: [&str; 22] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_CONFIG_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_DEFAULT_PROFILE",
    "AWS_DEFAULT_REGION",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_ROLE_ARN",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_STS_REGIONAL_ENDPOINTS",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
];

/// `AWS_ENDPOINT_URL` and `AWS_ENDPOINT_URL_*`: a test stack's token is not one of AWS.
pub const ENDPOINTS: &str = "AWS_ENDPOINT_URL";

/// An AWS configuration longer than this is not one.
const MAX_FILE: u64 = 16 << 20;

/// The fingerprint under a rule, in this environment: 32 hexadecimal digits.
pub fn fingerprint(rule: Option<&Rule>) -> String {
    let mut hash = Parts::default();
    hash.add(format!("{rule:?}").as_bytes());
    hash.add_variables(|name| VARIABLES.contains(&name) || name.starts_with(ENDPOINTS));
    for path in files() {
        // One that cannot be read says nothing to the SDK either.
        let text = path.and_then(|path| files::read(&path, MAX_FILE, Privacy::Any).ok().flatten());
        hash.add(text.as_ref().map_or(&[], |text| text.as_slice()));
    }
    hash.digits()
}

/// The same of a session: whose device and keys began it, and at which AWS.
pub fn of_session(serial: &str, user: &str) -> String {
    let mut hash = Parts::default();
    hash.add(serial.as_bytes());
    hash.add(user.as_bytes());
    hash.add_variables(|name| name.starts_with(ENDPOINTS));
    hash.digits()
}

/// A hash of several parts.
#[derive(Default)]
struct Parts(Sha256);

impl Parts {
    /// The length first, so that no two lists of parts read alike.
    fn add(&mut self, part: &[u8]) {
        self.0.update(part.len().to_le_bytes());
        self.0.update(part);
    }

    fn add_variables(&mut self, decides: impl Fn(&str) -> bool) {
        let mut found: Vec<_> = env::vars_os().filter(|(name, _)| name.to_str().is_some_and(&decides)).collect();
        found.sort();
        for (name, value) in found {
            self.add(name.as_encoded_bytes());
            self.add(value.as_encoded_bytes());
        }
    }

    fn digits(self) -> String {
        self.0.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The two files of the AWS configuration; `None` for one that nothing names.
pub fn files() -> [Option<PathBuf>; 2] {
    [file("AWS_CONFIG_FILE", "config"), file("AWS_SHARED_CREDENTIALS_FILE", "credentials")]
}

/// A file of the AWS configuration, where the SDK looks for it: a `~/` in the variable is the home directory.
fn file(variable: &str, name: &str) -> Option<PathBuf> {
    let home = settings::home().ok();
    match settings::variable(variable).map(PathBuf::from) {
        Some(path) => match (path.strip_prefix("~"), home) {
            (Ok(below), Some(home)) => Some(home.join(below)),
            _ => Some(path),
        },
        None => Some(home?.join(".aws").join(name)),
    }
}
