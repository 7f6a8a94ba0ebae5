//! What the fuzz targets in `fuzz/` reach that nobody else may: parsers below the public functions, without the files and
//! programs around them. Only their builds hold this, by `--cfg fuzzing`. Nothing here may do more than pass on.

use crate::credential::Credential;
use crate::error::Result;
use crate::helper;
use crate::rule::HelperName;

pub use crate::auth_files::document::Document;
pub use crate::commands::kubelet::image;
pub use crate::ecr::sso::standing;
pub use crate::ecr::token::{Label, credential, pasted_expiry};
pub use crate::key::sealed::{is_sealed, unseal};

/// The profiles of the AWS config files.
pub mod profiles {
    pub use crate::ecr::profiles::{chain, check};
}

/// A helper's answer to `get`.
pub fn helper_credential(name: &HelperName, answer: &[u8]) -> Result<Option<Credential>> {
    helper::credential(name, answer)
}

/// A helper's answer to `list`.
pub fn helper_servers(name: &HelperName, answer: &[u8]) -> Result<Vec<String>> {
    helper::servers(name, answer)
}

/// What is quoted of a helper that failed.
pub fn helper_quote(answer: &[u8]) -> String {
    helper::quotable(answer)
}
