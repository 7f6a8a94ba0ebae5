//! The ECS agent's configuration: lines `KEY=VALUE` in `ecs.config`, or the same in `ecs.config.json`.
//!
//! The agent splits a line at its first `=` and unquotes nothing. Both of its formats (`dockercfg`, `docker`) are a map of
//! entries.

use serde_json::Value;
use zeroize::Zeroizing;

use super::document::{Document, NotJson};
use super::{Content, Finding, Kind};

/// Every secret in the file.
pub fn findings(bytes: &[u8]) -> Result<Vec<Finding>, NotJson> {
    if bytes.trim_ascii_start().starts_with(b"{") {
        let document = Document::parse(bytes)?;
        return Ok(document.get("EngineAuthData").map_or_else(Vec::new, of_entries));
    }
    let text = Zeroizing::new(String::from_utf8_lossy(bytes).into_owned());
    let assignments = text.lines().filter_map(|line| line.trim().split_once('='));
    let data = assignments.rev().find(|(name, _)| name.trim() == "ECS_ENGINE_AUTH_DATA");
    let Some((_, data)) = data.filter(|(_, data)| !data.trim().is_empty()) else { return Ok(Vec::new()) };
    Ok(serde_json::from_str(data.trim()).map_or_else(|_| vec![undecodable()], |data| of_entries(&data)))
}

fn of_entries(data: &Value) -> Vec<Finding> {
    let entries = data.as_object().into_iter().flatten();
    entries.flat_map(|(key, entry)| Finding::of_entry(key, entry)).collect()
}

fn undecodable() -> Finding {
    let reason = "ECS_ENGINE_AUTH_DATA is not JSON, so the agent cannot use it";
    Finding {
        key: "ECS_ENGINE_AUTH_DATA".into(),
        kind: Kind::Undecodable,
        content: Content::fixed(reason, "write it without quotes around it and without line breaks, or remove it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<(String, Kind)> {
        findings(text.as_bytes()).unwrap().into_iter().map(|finding| (finding.key, finding.kind)).collect()
    }

    #[test]
    fn both_formats_are_read_in_both_files() {
        let expected = [("r.example".to_owned(), Kind::Password)];
        for text in [
            "ECS_CLUSTER=a\nECS_ENGINE_AUTH_TYPE=dockercfg\nECS_ENGINE_AUTH_DATA={\"r.example\":{\"auth\":\"dTpwPT09\",\"email\":\"e\"}}\n",
            "ECS_ENGINE_AUTH_TYPE=docker\nECS_ENGINE_AUTH_DATA={\"r.example\":{\"username\":\"u\",\"password\":\"a=b\",\"email\":\"e\"}}",
            "{\"Cluster\":\"a\",\"EngineAuthType\":\"docker\",\"EngineAuthData\":{\"r.example\":{\"username\":\"u\",\"password\":\"p\"}}}",
        ] {
            assert_eq!(keys(text), expected, "{text}");
        }
    }

    #[test]
    fn what_holds_nothing_and_what_is_quoted() {
        for text in ["", "ECS_CLUSTER=a\n", "# ECS_ENGINE_AUTH_DATA={}\n", "ECS_ENGINE_AUTH_DATA=\n", "{}"] {
            assert_eq!(keys(text), [], "{text}");
        }
        assert_eq!(keys("ECS_ENGINE_AUTH_DATA='{}'")[0].1, Kind::Undecodable);
        assert!(findings(b"{\"EngineAuthData\":").is_err());
    }
}
