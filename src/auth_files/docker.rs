//! Docker's `config.json` and its kin: `auths`, `credsStore`, `credHelpers`, and the secrets that lie beside them.
//!
//! The keys of an object count in any case, as Go has it. buildx, Helm and `auth.json` of podman have the same shape.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::document::Document;
use super::{Content, Edit, Finding, Kind, entry};

/// The helper that answers for every registry.
pub fn creds_store(document: &Document) -> Option<&str> {
    document.get("credsStore").and_then(Value::as_str).filter(|name| !name.is_empty())
}

/// The helpers that answer for single registries. An empty name turns the store off for that one.
pub fn helpers(document: &Document) -> Vec<(&str, &str)> {
    let helpers = document.get("credHelpers").and_then(Value::as_object).into_iter().flatten();
    helpers.filter_map(|(registry, helper)| Some((registry.as_str(), helper.as_str()?))).collect()
}

/// The entries of `auths`, which Docker merges if it stands twice.
pub fn entries(document: &Document) -> impl Iterator<Item = (&str, &Value)> {
    let named = document.0.iter().filter(|(field, _)| is_auths(field));
    named.filter_map(|(_, value)| value.as_object()).flatten().map(|(key, entry)| (key.as_str(), entry))
}

fn is_auths(field: &str) -> bool {
    field.eq_ignore_ascii_case("auths")
}

/// Every secret in the file, in its order.
pub fn findings(document: &Document) -> Vec<Finding> {
    let mut findings = of_entries(document);
    for (field, value) in &document.0 {
        let Some(value) = value.as_object() else { continue };
        if field.eq_ignore_ascii_case("HttpHeaders") {
            findings.extend(headers(value));
        } else if field.eq_ignore_ascii_case("proxies") {
            findings.extend(proxies(value));
        }
    }
    findings
}

/// Of a key that stands twice, the last counts, as Docker has it.
fn of_entries(document: &Document) -> Vec<Finding> {
    let last: HashMap<&str, usize> = (0..).zip(entries(document)).map(|(at, (key, _))| (key, at)).collect();
    let counting = (0..).zip(entries(document)).filter(|(at, (key, _))| last[key] == *at);
    counting.flat_map(|(_, (key, entry))| Finding::of_entry(key, entry)).collect()
}

fn headers(headers: &Map<String, Value>) -> impl Iterator<Item = Finding> {
    // Docker itself wrote this one for years.
    let told = headers.keys().filter(|name| !name.eq_ignore_ascii_case("User-Agent"));
    told.map(|name| Finding {
        key: format!("HttpHeaders.{name}"),
        kind: Kind::HttpHeader,
        content: Content::fixed(
            "Docker sends this header to its engine, and no helper can carry it",
            "remove it if it holds a secret that is not needed any more",
        ),
    })
}

fn proxies(proxies: &Map<String, Value>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (host, settings) in proxies {
        for (name, value) in settings.as_object().into_iter().flatten() {
            if value.as_str().is_some_and(has_password) {
                findings.push(Finding {
                    key: format!("proxies.{host}.{name}"),
                    kind: Kind::ProxyPassword,
                    content: Content::fixed(
                        "a proxy's password, which Docker passes on to containers, and no helper can carry",
                        "let the proxy know this machine by its address, or run a proxy here that knows the password",
                    ),
                });
            }
        }
    }
    findings
}

/// Whether a URL says `user:password@`.
fn has_password(url: &str) -> bool {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    let user = authority.rsplit_once('@').map(|(user, _)| user);
    user.and_then(|user| user.split_once(':')).is_some_and(|(_, password)| !password.is_empty())
}

/// The file with an edit made.
pub fn edited(document: &Document, edit: &Edit) -> Document {
    let mut edited = document.clone();
    if edited.0.is_empty() {
        // Docker always writes it.
        edited.set("auths", Value::Object(Map::new()));
    }
    for (_, value) in edited.0.iter_mut().filter(|(field, _)| is_auths(field)) {
        for (key, entry) in value.as_object_mut().into_iter().flatten() {
            if edit.scrub.contains(key) {
                entry::scrub(entry);
            }
        }
    }
    if let Some(name) = &edit.creds_store {
        edited.set("credsStore", Value::String(name.clone()));
    }
    if !edit.helpers.is_empty() {
        set_helpers(&mut edited, &edit.helpers);
    }
    edited
}

fn set_helpers(document: &mut Document, changes: &[(String, Option<String>)]) {
    let mut helpers = document.get("credHelpers").and_then(Value::as_object).cloned().unwrap_or_default();
    let had_any = !helpers.is_empty();
    let gone: Vec<&String> =
        changes.iter().filter(|(_, helper)| helper.is_none()).map(|(registry, _)| registry).collect();
    helpers.retain(|registry, _| !gone.contains(&registry));
    for (registry, helper) in changes {
        if let Some(helper) = helper {
            helpers.insert(registry.clone(), Value::String(helper.clone()));
        }
    }
    match (helpers.is_empty(), had_any) {
        // As Docker leaves it out.
        (true, true) => document.0.retain(|(field, _)| !field.eq_ignore_ascii_case("credHelpers")),
        (true, false) => {}
        (false, _) => document.set("credHelpers", Value::Object(helpers)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Document {
        Document::parse(text.as_bytes()).unwrap()
    }

    fn told(text: &str) -> Vec<(String, Kind)> {
        findings(&document(text)).into_iter().map(|finding| (finding.key, finding.kind)).collect()
    }

    #[test]
    fn every_kind_of_secret_is_found() {
        let found = told(
            r#"{"auths":{"a":{"auth":"dTpw"},"b":{"identitytoken":"t"},"c":{"registrytoken":"t"},"d":{},"e":{"auth":"!"}},
            "HttpHeaders":{"User-Agent":"Docker-Client/19.03","X-Auth":"s"},
            "proxies":{"default":{"httpProxy":"http://u:p@proxy:3128/","noProxy":"a@b:c","ftpProxy":"http://proxy:3128"}}}"#,
        );
        let expected = [
            ("a", Kind::Password),
            ("b", Kind::IdentityToken),
            ("c", Kind::RegistryToken),
            ("e", Kind::Undecodable),
            ("HttpHeaders.X-Auth", Kind::HttpHeader),
            ("proxies.default.httpProxy", Kind::ProxyPassword),
        ];
        assert_eq!(found, expected.map(|(key, kind)| (key.to_owned(), kind)));
    }

    #[test]
    fn of_a_key_that_stands_twice_the_last_counts() {
        let twice = document(r#"{"auths":{"a":{"auth":"dTp4"}},"Auths":{"a":{"auth":"dTp5"}}}"#);
        let found = findings(&twice);
        assert!(matches!(&found[..], [Finding { content: Content::Login(login, _), .. }]
            if secrecy::ExposeSecret::expose_secret(&login.secret) == "y"));
        let edit = Edit { scrub: ["a".to_owned()].into(), ..Edit::default() };
        assert_eq!(edited(&twice, &edit), document(r#"{"auths":{"a":{}},"Auths":{"a":{}}}"#));
    }

    #[test]
    fn an_edit_changes_what_it_names_alone() {
        let before = r#"{"zeta":[1.50],"auths":{"b":{"auth":"dTpw","note":1},"a":{"auth":"dTpw"}},"credHelpers":{"x":"ecr-login","y":"gcloud"}}"#;
        let edit = Edit {
            scrub: ["b".to_owned()].into(),
            creds_store: Some("coffer".into()),
            helpers: vec![("x".into(), None), ("z".into(), Some("pass".into()))],
        };
        let after = r#"{"zeta":[1.50],"auths":{"b":{"note":1},"a":{"auth":"dTpw"}},"credHelpers":{"y":"gcloud","z":"pass"},"credsStore":"coffer"}"#;
        assert_eq!(edited(&document(before), &edit).to_json().unwrap(), document(after).to_json().unwrap());
        let last = Edit { helpers: vec![("x".into(), None)], ..Edit::default() };
        assert_eq!(edited(&document(r#"{"credHelpers":{"x":"ecr-login"}}"#), &last).0.len(), 0);
    }
}
