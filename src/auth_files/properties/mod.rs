//! What holds of a rewrite for any document: nothing changes but secrets in `auths`, `credsStore` and `credHelpers`.
//!
//! Documents are made here as trees and spelt out in every way that JSON allows; what the rewrite has to write is spelt out once
//! more, as Docker does, and compared to the byte.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::string::string_regex;
use proptest::test_runner::{Config, RngSeed};

mod json;

use super::{AuthFile, Client, Content, Edit};

use json::Json::{self, Array, Object, Text, Word};

fn object<const N: usize>(fields: [(&str, Json); N]) -> Json {
    Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// Not `$serde_json::private::Number`, which that library reads as a number whoever wrote it: such a file is refused, or is
/// given that number.
fn name() -> impl Strategy<Value = String> {
    let odd = vec!["", "a", "A", "auth", "auths", "kind", "<&>\u{2028}\"\\", "ключ", "__proto__"];
    prop_oneof![3 => select(odd).prop_map(str::to_owned), 1 => any::<String>()]
}

fn word() -> impl Strategy<Value = Json> {
    let odd = vec![
        "null",
        "true",
        "false",
        "0",
        "-0",
        "0.0",
        "1.50",
        "1e5",
        "1E5",
        "1e+05",
        "1E-0",
        "12345678901234567890123",
        "-0.10e10",
        "1e999",
        "0.1000000000000000055511151231257827",
    ];
    let any = string_regex("-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?").unwrap();
    prop_oneof![select(odd).prop_map(|word| Word(word.into())), any.prop_map(Word)]
}

fn value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![word(), any::<String>().prop_map(Text), name().prop_map(Text)];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![vec(inner.clone(), 0..4).prop_map(Array), vec((name(), inner), 0..4).prop_map(Object)]
    })
}

/// An entry of `auths`, in every shape that a client or nobody has written.
fn entry() -> impl Strategy<Value = Json> {
    let fields = vec![
        "auth",
        "Auth",
        "AUTH",
        "username",
        "password",
        "Email",
        "serveraddress",
        "identitytoken",
        "registrytoken",
        "note",
    ];
    let secret = select(vec!["", "dTpw", "dTpwdw==", "dTpwdw", "not base64!", "u", "dG9rZW46"]).prop_map(Json::text);
    let field = (select(fields).prop_map(str::to_owned), prop_oneof![4 => secret, 1 => value()]);
    prop_oneof![6 => vec(field, 0..5).prop_map(Object), 1 => value()]
}

fn server() -> impl Strategy<Value = String> {
    let known = vec!["ghcr.io", "https://index.docker.io/v1/", "quay.io/org", "hub-tool-token", "http://h:5000"];
    prop_oneof![4 => select(known).prop_map(str::to_owned), 1 => name()]
}

fn auths() -> impl Strategy<Value = Json> {
    prop_oneof![8 => vec((server(), entry()), 0..5).prop_map(Object), 1 => value()]
}

fn helpers() -> impl Strategy<Value = Json> {
    let helper = prop_oneof![select(vec!["", "pass", "ecr-login"]).prop_map(Json::text), value()];
    prop_oneof![4 => vec((server(), helper), 0..3).prop_map(Object), 1 => value()]
}

/// A whole file, some of whose names stand twice or in another case.
fn config() -> impl Strategy<Value = Vec<(String, Json)>> {
    let named = |names: Vec<&'static str>| select(names).prop_map(str::to_owned);
    let field = prop_oneof![
        4 => (named(vec!["auths", "auths", "Auths", "AUTHS"]), auths()),
        1 => (named(vec!["credsStore", "CredsStore"]), prop_oneof![select(vec!["pass", ""]).prop_map(Json::text), value()]),
        1 => (named(vec!["credHelpers", "CREDHELPERS"]), helpers()),
        4 => (prop_oneof![named(vec!["HttpHeaders", "proxies", "psFormat", "currentContext"]), name()], value()),
    ];
    vec(field, 0..6)
}

fn spelt(fields: &[(String, Json)], style: &[u8]) -> String {
    let mut out = String::new();
    Object(fields.to_vec()).spelt(&mut style.iter().copied().cycle(), &mut out);
    out
}

fn as_docker(fields: Vec<(String, Json)>) -> String {
    let mut out = String::new();
    Object(fields).as_docker(0, &mut out);
    out
}

/// The top level keeps even names that stand twice.
fn merged(fields: Vec<(String, Json)>) -> Vec<(String, Json)> {
    fields.into_iter().map(|(name, value)| (name, value.merged())).collect()
}

fn is(name: &str, known: &str) -> bool {
    name.eq_ignore_ascii_case(known)
}

fn edited(client: Client, text: &str, edit: &Edit) -> String {
    let file = AuthFile::of_text(client, text.as_bytes()).unwrap();
    String::from_utf8(file.edited(edit).unwrap().to_vec()).unwrap()
}

/// The same in every run; `PROPTEST_RNG_SEED` and `PROPTEST_CASES` in the environment try others.
fn cases() -> Config {
    let default = Config::default();
    let rng_seed = if default.rng_seed == RngSeed::Random { RngSeed::Fixed(0xC0FFE2) } else { default.rng_seed };
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { default.cases } else { 700 };
    Config { cases, rng_seed, failure_persistence: None, ..default }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn an_edit_of_nothing_keeps_order_numbers_and_names(fields in config(), style in vec(any::<u8>(), 1..40)) {
        prop_assume!(!fields.is_empty());
        let text = spelt(&fields, &style);
        prop_assert_eq!(edited(Client::Docker, &text, &Edit::default()), as_docker(merged(fields)), "{}", text);
    }

    #[test]
    fn a_scrub_takes_the_secrets_of_the_entries_that_it_names(
        fields in config(), scrub in vec(server(), 0..3), style in vec(any::<u8>(), 1..40),
    ) {
        prop_assume!(!fields.is_empty());
        let edit = Edit { scrub: scrub.into_iter().collect(), ..Edit::default() };
        let text = spelt(&fields, &style);
        let scrubbed = |(key, entry): (String, Json)| {
            let entry = if edit.scrub.contains(&key) { entry.marker() } else { entry };
            (key, entry)
        };
        let expected = merged(fields).into_iter().map(|(name, value)| match value {
            Object(entries) if is(&name, "auths") => (name, Object(entries.into_iter().map(scrubbed).collect())),
            value => (name, value),
        });
        prop_assert_eq!(edited(Client::Docker, &text, &edit), as_docker(expected.collect()), "{}", text);
    }

    #[test]
    fn a_store_and_helpers_change_nothing_but_their_own_fields(fields in config(), style in vec(any::<u8>(), 1..40)) {
        let text = spelt(&fields, &style);
        let edit = Edit {
            creds_store: Some("coffer".into()),
            helpers: vec![("ghcr.io".into(), None), ("new.example".into(), Some("coffer".into()))],
            ..Edit::default()
        };
        let mut expected = merged(fields);
        if expected.is_empty() {
            expected.push(("auths".into(), Object(Vec::new())));
        }
        let mut set = |known: &str, change: &dyn Fn(Option<Json>) -> Json| {
            match expected.iter_mut().rfind(|(name, _)| is(name, known)) {
                Some((_, value)) => *value = change(Some(value.clone())),
                None => expected.push((known.into(), change(None))),
            }
        };
        set("credsStore", &|_| Json::text("coffer"));
        set("credHelpers", &|old| {
            let mut helpers = match old {
                Some(Object(helpers)) => helpers,
                _ => Vec::new(),
            };
            helpers.retain(|(registry, _)| registry != "ghcr.io");
            match helpers.iter_mut().find(|(registry, _)| registry == "new.example") {
                Some((_, helper)) => *helper = Json::text("coffer"),
                None => helpers.push(("new.example".into(), Json::text("coffer"))),
            }
            Object(helpers)
        });
        prop_assert_eq!(edited(Client::Docker, &text, &edit), as_docker(expected), "{}", text);
    }

    #[test]
    fn nothing_that_could_be_stored_is_left_when_all_is_scrubbed(fields in config(), style in vec(any::<u8>(), 1..40)) {
        let text = spelt(&fields, &style);
        let file = AuthFile::of_text(Client::Docker, text.as_bytes()).unwrap();
        let edit = Edit { scrub: file.keys().into_iter().map(str::to_owned).collect(), ..Edit::default() };
        let after = AuthFile::of_text(Client::Docker, &file.edited(&edit).unwrap()).unwrap();
        let is_login = |content: &Content| matches!(content, Content::Login(..));
        prop_assert!(!after.findings().iter().any(|finding| is_login(&finding.content)), "{}", text);
        prop_assert_eq!(after.keys(), file.keys());
    }

    #[test]
    fn the_bare_map_keeps_all_but_secrets(entries in vec((server(), entry()), 0..5), style in vec(any::<u8>(), 1..40)) {
        let text = spelt(&entries, &style);
        let edit = Edit { scrub: entries.iter().map(|(key, _)| key.clone()).collect(), ..Edit::default() };
        let expected = merged(entries).into_iter().map(|(key, entry)| (key, entry.marker())).collect();
        prop_assert_eq!(edited(Client::Dockercfg, &text, &edit), as_docker(expected), "{}", text);
    }
}

#[test]
fn the_spelling_of_these_tests_is_docker_s() {
    let fields = vec![("a".to_owned(), object([("b", Array(vec![Word("1.50".into())])), ("c", Json::text("<"))]))];
    assert_eq!(as_docker(fields), "{\n\t\"a\": {\n\t\t\"b\": [\n\t\t\t1.50\n\t\t],\n\t\t\"c\": \"\\u003c\"\n\t}\n}");
}
