//! The AWS config and credentials files: what they say, and where a profile goes back to.

use std::error::Error;
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;

use aws_config::profile::{Profile, ProfileSet};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_types::os_shim_internal::{Env, Fs};

use super::fingerprint;
use super::problem::Problem;
use crate::settings;

/// What the files say. The SDK's own errors about them name no line.
pub async fn load() -> Result<ProfileSet, Problem> {
    // The SDK would wait for somebody to write into it, and nothing could end that but the process.
    let is_fifo = |path: &PathBuf| fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo());
    let token = settings::variable("AWS_WEB_IDENTITY_TOKEN_FILE").map(PathBuf::from);
    if let Some(path) = fingerprint::files().into_iter().chain([token]).flatten().find(is_fifo) {
        return Err(Problem::new(format!("{} is a FIFO, not a file", path.display()), "put a file in its place"));
    }
    let loaded = aws_config::profile::load(&Fs::real(), &Env::real(), &EnvConfigFiles::default(), None).await;
    loaded.map_err(|error| {
        let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        let cause = cause.lines().map(str::trim).collect::<Vec<_>>().join(" ");
        Problem::new(cause, "mend that line of the AWS config file")
    })
}

/// A profile, and those that it goes back to through `source_profile`, as far as they exist. It ends, as the SDK's does, at
/// one that is gone back to and has keys of its own; and a loop where it would begin again.
pub fn chain<'a>(profiles: &'a ProfileSet, name: &str) -> Vec<&'a Profile> {
    let mut chain: Vec<&Profile> = Vec::new();
    let mut next = profiles.get_profile(name);
    while let Some(profile) = next.filter(|profile| chain.iter().all(|seen| seen.name() != profile.name())) {
        let has_keys = profile.get("aws_access_key_id").is_some();
        next = profile.get("source_profile").and_then(|source| profiles.get_profile(source));
        next = next.filter(|_| chain.is_empty() || !has_keys);
        chain.push(profile);
    }
    chain
}

/// That a profile exists, and all that it goes back to. The SDK would go on to the instance's role, and ask as somebody else.
pub fn check(profiles: &ProfileSet, name: &str) -> Result<(), Problem> {
    let missing = |name: &str, named_by: String| {
        let cure = "see those that there are: aws configure list-profiles";
        Err(Problem::new(format!("there is no AWS profile {name}{named_by}"), cure))
    };
    let chain = chain(profiles, name);
    let Some(last) = chain.last() else {
        return if name == "default" { Ok(()) } else { missing(name, String::new()) };
    };
    match last.get("source_profile") {
        Some(source) if last.get("role_arn").is_some() && profiles.get_profile(source).is_none() => {
            missing(source, format!(", which profile {} names as its source_profile", last.name()))
        }
        _ => Ok(()),
    }
}
