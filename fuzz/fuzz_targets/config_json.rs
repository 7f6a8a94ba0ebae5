//! Docker's `config.json` and the files like it, read and written again.

#![no_main]

use coffer::auth_files::{AuthFile, Client, Content, Edit, Treatment, shown};
use coffer::fuzzing::Document;
use coffer_fuzz::json::Tree;
use coffer_fuzz::{check_error, check_finding};
use libfuzzer_sys::fuzz_target;

const CLIENTS: [Client; 5] = [Client::Docker, Client::Buildx, Client::Containers, Client::Helm, Client::Dockercfg];

/// What an entry loses.
const FIELDS: [&str; 6] = ["auth", "username", "password", "email", "serveraddress", "identitytoken"];

fuzz_target!(|data: &[u8]| {
    let Some((first, text)) = data.split_first() else { return };
    let client = CLIENTS[usize::from(*first) % CLIENTS.len()];
    // That library's own name for a number, which it takes for one whoever wrote it.
    if String::from_utf8_lossy(text).contains("$serde_json") || text.windows(5).any(|escape| escape == b"\\u002") {
        return;
    }
    let file = match AuthFile::of_text(client, text) {
        Ok(file) => file,
        Err(error) => return check_error(&error),
    };
    let findings = file.findings();
    findings.iter().for_each(check_finding);
    file.keys().into_iter().for_each(|key| drop(shown(key)));
    if file.treatment() != Treatment::Rewrite {
        return;
    }
    let is_bare = client == Client::Dockercfg;
    let before = tree(text);
    let same = file.edited(&Edit::default()).unwrap();
    assert_eq!(Document::parse(&same).unwrap(), document(text, is_bare));
    assert_eq!(tree(&same), with_auths(before.clone(), is_bare));
    assert_eq!(*again(client, &same, &Edit::default()), *same, "written twice");

    let keys: Vec<String> = file.keys().into_iter().map(str::to_owned).collect();
    let edit = Edit {
        scrub: keys.iter().cloned().collect(),
        creds_store: Some("coffer".into()),
        helpers: vec![("new.example".into(), Some("coffer".into())), ("old.example".into(), None)],
    };
    let edited = file.edited(&edit).unwrap();
    let after = AuthFile::of_text(client, &edited).unwrap();
    let kept = after.findings();
    assert!(!kept.iter().any(|finding| matches!(finding.content, Content::Login(..))), "a login is left");
    assert_eq!(*again(client, &edited, &edit), *edited, "edited twice");
    assert_eq!(after.keys(), keys);
    assert_eq!(rest(tree(&edited), is_bare), rest(with_auths(before, is_bare), is_bare));
    if !is_bare {
        assert_eq!(after.creds_store(), Some("coffer"));
        assert!(after.helpers().contains(&("new.example", "coffer")));
        assert!(!after.helpers().iter().any(|(registry, _)| *registry == "old.example"));
    }
});

fn again(client: Client, text: &[u8], edit: &Edit) -> Vec<u8> {
    AuthFile::of_text(client, text).unwrap().edited(edit).unwrap().to_vec()
}

fn document(text: &[u8], is_bare: bool) -> Document {
    let mut document = Document::parse(text).unwrap();
    if !is_bare && document.0.is_empty() {
        document.set("auths", serde_json::json!({}));
    }
    document
}

/// The file as it stands, whoever reads it.
fn tree(text: &[u8]) -> Tree {
    // What follows the first value is no JSON, and need not be text.
    let end = text.iter().rposition(|byte| *byte == b'}').map_or(0, |at| at + 1);
    let text = String::from_utf8_lossy(&text[..end]);
    if text.trim().is_empty() || text.trim_start().starts_with("null") {
        return Tree::Object(Vec::new());
    }
    Tree::read(&text).merged()
}

/// Docker's own is always there.
fn with_auths(tree: Tree, is_bare: bool) -> Tree {
    match tree {
        Tree::Object(fields) if fields.is_empty() && !is_bare => {
            Tree::Object(vec![("auths".into(), Tree::Object(Vec::new()))])
        }
        tree => tree,
    }
}

/// All but what an edit is for.
fn rest(tree: Tree, is_bare: bool) -> Vec<(String, Tree)> {
    let Tree::Object(fields) = tree else { panic!("not an object") };
    if is_bare {
        return fields.into_iter().map(|(key, entry)| (key, marker(entry))).collect();
    }
    let named = |name: &str, known: &str| name.eq_ignore_ascii_case(known);
    let kept = fields.into_iter().filter(|(name, _)| !named(name, "credsStore") && !named(name, "credHelpers"));
    kept.map(|(name, value)| match value {
        Tree::Object(entries) if named(&name, "auths") => {
            (name, Tree::Object(entries.into_iter().map(|(key, entry)| (key, marker(entry))).collect()))
        }
        value => (name, value),
    })
    .collect()
}

fn marker(entry: Tree) -> Tree {
    let Tree::Object(mut fields) = entry else { return Tree::Object(Vec::new()) };
    fields.retain(|(name, _)| !FIELDS.iter().any(|field| field.eq_ignore_ascii_case(name)));
    Tree::Object(fields)
}
