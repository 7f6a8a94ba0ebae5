//! What the SDK's errors mean, and what to do about each.
//!
//! Many of the SDK's error kinds are private or no more than a code, so they are told apart by the codes of AWS's services
//! and, where there is none, by the words that the SDK uses. Taken from `Display` alone: its `Debug` prints raw responses,
//! tokens included. `Display` too quotes a request now and then, which is cut off.

use std::error::Error;

use aws_sdk_ecr::error::ErrorMetadata;

use crate::error::{self, one_line};

/// The most that is quoted of the SDK, in characters.
const MAX_QUOTE: usize = 400;

/// What went wrong, before it is known for which host.
#[derive(Debug)]
pub struct Problem {
    /// In one line.
    pub what: String,
    /// What to do.
    pub cure: String,
}

pub const CHECK_NETWORK: &str = "check the network, HTTPS_PROXY, NO_PROXY and AWS_ENDPOINT_URL";
const CHECK_IDENTITY: &str = "see who asks: aws sts get-caller-identity";
const CHECK_AGAIN: &str = "try again, and see what COFFER_LOG=debug says";

impl Problem {
    /// A problem of our own finding.
    pub fn new(what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { what: what.into(), cure: cure.into() }
    }

    /// The error of a token that could not be minted.
    pub fn minting(self, host: &str) -> error::Error {
        error::Error::Mint { host: host.into(), problem: self.what, cure: self.cure }
    }

    /// The error of a session that could not be begun.
    pub fn beginning(self) -> error::Error {
        error::Error::Command { message: format!("no session was begun: {}", self.what), cure: self.cure }
    }

    /// What an error of the SDK means. `profile` is the one that asks, for the commands that renew it.
    pub fn of(error: &(dyn Error + 'static), profile: Option<&str>) -> Self {
        let (causes, said) = unfold(error);
        let known = match &said {
            Some((code, message)) => by_code(code, message),
            None => None,
        };
        let problem = known.or_else(|| by_words(&causes, profile));
        let problem = problem.unwrap_or_else(|| Self::new(causes.join(": "), CHECK_AGAIN));
        Self { what: one_line(&problem.what).chars().take(MAX_QUOTE).collect(), cure: problem.cure }
    }
}

/// The error and its causes, outermost first, each said once; and the code and message of the service that refused.
fn unfold(error: &(dyn Error + 'static)) -> (Vec<String>, Option<(String, String)>) {
    let (mut causes, mut said): (Vec<String>, _) = (Vec::new(), None);
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(metadata) = cause.downcast_ref::<ErrorMetadata>() {
            let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
            said = Some((text(metadata.code()), text(metadata.message())));
        }
        let text = without_request(&one_line(&cause.to_string()));
        if !text.is_empty() && !causes.iter().any(|known| known.contains(&text)) {
            causes.push(text);
        }
        next = cause.source();
    }
    (causes, said)
}

/// A cause up to where the SDK quotes the request that it was about, whose body can be a code or a web identity's token; a value
/// of a reply that is not of its type; or what a `credential_process` said beside its answer.
fn without_request(text: &str) -> String {
    let end = ["Request {", "SdkBody", "to request", ". Stderr:", ": failed to parse"]
        .iter()
        .filter_map(|mark| text.find(mark))
        .min();
    text[..end.unwrap_or(text.len())].trim_end_matches([' ', '`', ':']).to_owned()
}

/// By the code of the service that answered, whichever it was.
fn by_code(code: &str, message: &str) -> Option<Problem> {
    let is_old = ["expired", "earlier", "later", "skew"].iter().any(|word| message.contains(word));
    let (meaning, cure) = match code {
        "AccessDenied" if message.contains("MFA one time pass code") => {
            ("the code was refused", "wait for the next one: AWS takes each code once")
        }
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" => (
            "access denied",
            "allow that action in IAM, or name another profile or role for this registry in config.toml",
        ),
        "ExpiredToken" | "ExpiredTokenException" => {
            ("the AWS session has expired", "renew it, for example with: aws sso login")
        }
        "UnrecognizedClientException" | "InvalidClientTokenId" | "InvalidAccessKeyId" => {
            ("AWS does not know the access key", CHECK_IDENTITY)
        }
        "RequestExpired" | "RequestTimeTooSkewed" => CLOCK,
        "InvalidSignatureException" | "SignatureDoesNotMatch" | "AuthFailure" if is_old => CLOCK,
        "InvalidSignatureException" | "SignatureDoesNotMatch" | "AuthFailure" => {
            ("the secret access key is not that of the access key", CHECK_IDENTITY)
        }
        "ThrottlingException" | "Throttling" | "TooManyRequestsException" | "RequestLimitExceeded" => {
            ("AWS throttles", "wait a moment, and let tokens be kept ([ecr] cache = true)")
        }
        _ => return None,
    };
    Some(Problem::new(format!("{meaning}: {message}"), cure))
}

const CLOCK: (&str, &str) = ("the clock of this machine is off", "set it, for example with: timedatectl set-ntp true");

/// What the SDK says of a profile that holds nothing to ask with.
const NOT_ENABLED: &str = "the credential provider was not enabled";

/// By the SDK's own words, where no service answered.
fn by_words(causes: &[String], profile: Option<&str>) -> Option<Problem> {
    let says = |words: &[&str]| causes.iter().any(|cause| words.iter().any(|word| cause.contains(word)));
    // Where the causes end says most.
    let innermost = causes[causes.len().saturating_sub(2)..].join(": ");
    let (whose, option) = match profile {
        Some(profile) => (format!(" of profile {profile}"), format!(" --profile {profile}")),
        None => (String::new(), String::new()),
    };
    Some(if says(&["SSO token", "/sso/cache/", "Session token not found"]) {
        Problem::new(
            format!("the SSO session{whose} has expired, or was never begun"),
            format!("begin one: aws sso login{option}"),
        )
    } else if says(&["/login/cache/", "login session", "login token"]) {
        Problem::new(
            format!("the login session{whose} has expired, or was never begun"),
            format!("begin one: aws login{option}"),
        )
    } else if says(&["no credentials found in chain", "no providers in chain"]) {
        Problem::new(
            "no AWS credentials found in the environment, the profile, a web identity, the container or the instance",
            "set AWS_PROFILE, or name a profile for this registry in config.toml, or docker login with a token",
        )
    } else if says(&[NOT_ENABLED]) {
        let why = causes.last().filter(|cause| !cause.contains(NOT_ENABLED));
        let why = why.map_or_else(String::new, |cause| format!(": {cause}"));
        Problem::new(
            format!("no credentials{whose}{why}"),
            format!("give it keys, SSO, a process or a role: aws configure{option}"),
        )
    } else if says(&["certificate"]) {
        Problem::new(
            format!("the certificate is not trusted: {}", innermost),
            "name the CA that signed it with AWS_CA_BUNDLE, if it is your proxy's",
        )
    } else if says(&["tunnel error", "proxy"]) {
        Problem::new(format!("the proxy refuses: {}", innermost), "check HTTPS_PROXY and NO_PROXY")
    } else if says(&["dns error", "failed to lookup"]) {
        Problem::new(format!("no network, or no name server: {}", innermost), CHECK_NETWORK)
    } else if says(&["connect error", "Connect", "io error", "timeout", "timed out"]) {
        Problem::new(format!("AWS cannot be reached: {}", innermost), CHECK_NETWORK)
    } else if says(&["external process", "credential_process"]) {
        Problem::new(innermost, "run the credential_process of the profile by hand")
    } else if says(&["not properly configured"]) {
        Problem::new(innermost, "mend the profile in the AWS config file")
    } else {
        return None;
    })
}
