//! `~/.dockercfg`, Docker's file of before 2015: the entries alone, or, older still, two lines for the Hub.

use serde_json::{Value, json};

use super::document::Document;
use super::{Edit, Finding, entry};
use crate::server::DOCKER_HUB;

/// Every secret of the bare map.
pub fn findings(document: &Document) -> Vec<Finding> {
    document.0.iter().flat_map(|(key, entry)| Finding::of_entry(key, entry)).collect()
}

/// The bare map with an edit made; it can name no helper.
pub fn edited(document: &Document, edit: &Edit) -> Document {
    let mut edited = document.clone();
    for (_, entry) in edited.0.iter_mut().filter(|(key, _)| edit.scrub.contains(key)) {
        entry::scrub(entry);
    }
    edited
}

/// What the two lines `auth = ...` and `email = ...` hold; `None` if the file has another form.
pub fn two_lines(bytes: &[u8]) -> Option<Vec<Finding>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let auth = text.lines().find_map(|line| line.trim().strip_prefix("auth")?.trim_start().strip_prefix('='))?;
    let entry: Value = json!({ "auth": auth.trim() });
    Some(Finding::of_entry(DOCKER_HUB, &entry))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth_files::Content;

    #[test]
    fn the_two_lines_are_the_hubs() {
        let found = two_lines(b"auth = dTpw\nemail = u@example.com\n").unwrap();
        assert!(matches!(&found[..], [Finding { key, content: Content::Login(login, _), .. }]
            if key == DOCKER_HUB && login.username == "u"));
        assert!(two_lines(br#"{"https://index.docker.io/v1/": {"auth": "dTpw", "email": "e"}}"#).is_none());
        assert!(two_lines(b"").is_none());
    }
}
