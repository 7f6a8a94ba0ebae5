//! docker-credential-ecr-login's cache: base64 of `AWS:PASSWORD`, by registry and by who asked.

use serde_json::Value;

use super::document::Document;
use super::{Content, Finding, Kind};

/// What stands at its top (amazon-ecr-credential-helper, `cache/file.go`).
const FIELDS: [&str; 2] = ["Registries", "Version"];

/// Every token in the file; `None` if it is no such cache, but something of somebody else's by that name.
pub fn findings(document: &Document) -> Option<Vec<Finding>> {
    if document.0.iter().any(|(name, _)| !FIELDS.contains(&name.as_str())) {
        return None;
    }
    let registries = document.get("Registries").and_then(Value::as_object).into_iter().flatten();
    let tokens = registries.map(|(key, _)| Finding {
        key: key.clone(),
        kind: Kind::TokenCache,
        content: Content::fixed(
            "tokens for ECR in clear",
            "docker-credential-coffer migrate removes the file; Coffer mints its own, and keeps them encrypted",
        ),
    });
    Some(tokens.collect())
}
