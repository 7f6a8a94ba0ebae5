//! regctl's configuration: `hosts: {KEY: {user, pass, token}}`. Told of, and not changed: regctl asks a helper only where it
//! was told so, host by host.

use serde_json::Value;

use super::document::Document;
use super::{Content, Finding, Kind};

/// Every secret in the file.
pub fn findings(document: &Document) -> Vec<Finding> {
    let hosts = document.get("hosts").and_then(Value::as_object).into_iter().flatten();
    let is_set = |host: &Value, name: &str| host.get(name).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    let secret = hosts.filter_map(|(key, host)| match (is_set(host, "token"), is_set(host, "pass")) {
        (true, _) => Some((key, Kind::IdentityToken)),
        (false, true) => Some((key, Kind::Password)),
        (false, false) => None,
    });
    secret
        .map(|(key, kind)| Finding {
            key: key.clone(),
            kind,
            content: Content::fixed(
                "regctl asks a helper only where it is told to",
                "docker login to it, and regctl registry set --cred-helper docker-credential-coffer HOST",
            ),
        })
        .collect()
}
