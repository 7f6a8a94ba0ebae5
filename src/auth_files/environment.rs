//! `DOCKER_AUTH_CONFIG`, the variable that says what a file would.

use zeroize::Zeroizing;

use super::document::Document;
use super::{Content, Finding, Kind, docker};
use crate::settings;

/// The variable in which Docker (28.3 and later) takes entries before it asks any store.
pub const ENVIRONMENT: &str = "DOCKER_AUTH_CONFIG";

/// What stands in [`ENVIRONMENT`]. No file can be rewritten to change that.
pub fn environment() -> Vec<Finding> {
    let Some(text) = settings::variable(ENVIRONMENT) else { return Vec::new() };
    let fixed = Content::fixed(
        "it stands in the environment, where Docker takes it before any store",
        "unset it where it is set (a CI variable, a shell's profile), and docker login",
    );
    match Document::parse(&Zeroizing::new(text.into_encoded_bytes())) {
        Ok(document) => {
            let findings = docker::findings(&document).into_iter();
            findings.map(|finding| Finding { content: fixed.clone(), ..finding }).collect()
        }
        Err(_) => vec![Finding { key: String::new(), kind: Kind::Undecodable, content: fixed }],
    }
}
