//! What the kubelet reads: its own `config.json`, and pull secrets (`.dockerconfigjson`, `.dockercfg`), as files or as
//! the JSON of a Secret, alone or in a List.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use zeroize::Zeroizing;

use super::document::Document;
use super::{Finding, docker, dockercfg};

/// Every secret in the file.
pub fn findings(document: &Document) -> Vec<Finding> {
    if document.get("auths").is_some() {
        return docker::findings(document);
    }
    match document.get("kind").and_then(Value::as_str) {
        Some(_) => document.get("items").and_then(Value::as_array).map_or_else(
            || in_secret(document.get("data"), document.get("stringData")),
            |items| items.iter().flat_map(|item| in_secret(item.get("data"), item.get("stringData"))).collect(),
        ),
        None => dockercfg::findings(document),
    }
}

fn in_secret(data: Option<&Value>, texts: Option<&Value>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in [".dockerconfigjson", ".dockercfg"] {
        let value = |of: Option<&Value>| of?.get(name)?.as_str().map(|text| Zeroizing::new(text.as_bytes().to_vec()));
        let decoded = value(data).and_then(|text| STANDARD.decode(&*text).ok().map(Zeroizing::new));
        for text in value(texts).into_iter().chain(decoded) {
            match Document::parse(&text) {
                Ok(inside) if name == ".dockercfg" => findings.extend(dockercfg::findings(&inside)),
                Ok(inside) => findings.extend(docker::findings(&inside)),
                Err(_) => {}
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        let config = r#"{"auths":{"r.example":{"auth":"dTpw"}}}"#;
        let bare = r#"{"r.example":{"auth":"dTpw"}}"#;
        let secret =
            |name: &str, text: &str| format!(r#"{{"kind":"Secret","data":{{"{name}":"{}"}}}}"#, STANDARD.encode(text));
        let text = serde_json::to_string(config).unwrap();
        for text in [
            config.to_owned(),
            bare.to_owned(),
            secret(".dockerconfigjson", config),
            secret(".dockercfg", bare),
            format!(r#"{{"kind":"Secret","stringData":{{".dockerconfigjson":{text}}}}}"#),
            format!(r#"{{"kind":"List","items":[{{"kind":"Pod"}},{}]}}"#, secret(".dockerconfigjson", config)),
        ] {
            let found = findings(&Document::parse(text.as_bytes()).unwrap());
            assert!(matches!(&found[..], [Finding { key, .. }] if key == "r.example"), "{text}: {found:?}");
        }
    }
}
