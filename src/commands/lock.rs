//! `lock`: takes the opened key out of the kernel's keyring.

use super::tell;
use crate::error::Result;
use crate::key;
use crate::settings::Settings;

/// Forget the opened key at once.
#[derive(Debug, clap::Args)]
pub struct Arguments {}

pub(super) fn run(settings: &Settings) -> Result<()> {
    tell(if key::lock(settings)? { "locked" } else { "it was not unlocked" });
    Ok(())
}
