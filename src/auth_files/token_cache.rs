//! docker-credential-ecr-login's cache: base64 of `AWS:PASSWORD`, by registry and by who asked.

use serde_json::Value;

use super::document::Document;
use super::{Content, Finding, Kind};

/// Every token in the file.
pub fn findings(document: &Document) -> Vec<Finding> {
    let registries = document.get("Registries").and_then(Value::as_object).into_iter().flatten();
    let tokens = registries.map(|(key, _)| Finding {
        key: key.clone(),
        kind: Kind::TokenCache,
        content: Content::fixed(
            "tokens for ECR in clear",
            "docker-credential-coffer migrate removes the file; Coffer mints its own, and keeps them encrypted",
        ),
    });
    tokens.collect()
}
