//! The secret marker on the way to AWS: keys in malformed files, processes and services that answer wrongly, tokens in
//! replies that are none, codes of MFA devices.

use serde_json::json;

use crate::support::marker::MARKER;
use crate::support::{Aws, Reply, World};

const HOST: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// Coffer among AWS on loopback, whose keys come from the files alone.
fn world() -> (World, Aws) {
    let mut world = World::new();
    let aws = Aws::start(&mut world);
    world.unset("AWS_ACCESS_KEY_ID");
    world.unset("AWS_SECRET_ACCESS_KEY");
    world.config("[ecr]\ntimeout = \"5s\"\n");
    (world, aws)
}

const CALLS: [(&[&str], &str); 5] = [
    (&["get"], HOST),
    (&["export", "--format", "password", HOST], ""),
    (&["explain", HOST], ""),
    (&["doctor", "--json"], ""),
    (&["mfa", HOST], ""),
];

#[test]
fn nothing_of_a_malformed_aws_file_is_quoted() {
    let (world, _aws) = world();
    for (name, text) in [
        ("no equals sign", format!("[default]\naws_access_key_id = A\naws_secret_access_key {MARKER}\n")),
        ("no name", format!("[default]\n= {MARKER}\n")),
        ("no profile", format!("aws_secret_access_key = {MARKER}\n")),
        ("a profile that is cut", format!("[default {MARKER}\n")),
        ("a line that goes on", format!("[default]\n  {MARKER}\n")),
        ("a property within", format!("[default]\ns3 =\n  {MARKER}\n")),
        ("no key beside it", format!("[default]\naws_secret_access_key = {MARKER}\n")),
        ("a control character", format!("[default]\naws_access_key_id = A\naws_secret_access_key = {MARKER}\u{1}\n")),
        (
            "an endpoint",
            format!("[default]\naws_access_key_id = A\naws_secret_access_key = {MARKER}\nendpoint_url = no url\n"),
        ),
        ("a region", format!("[default]\naws_access_key_id = A\naws_secret_access_key = {MARKER}\nregion = a b/c?\n")),
    ] {
        for file in [".aws/credentials", ".aws/config"] {
            world.write(".aws/credentials", "");
            world.write(".aws/config", "");
            world.write(file, &text);
            for (call, input) in CALLS {
                let watched = world.watch(call, input);
                watched.hides_it(&format!("{name} in {file}: {call:?}"));
            }
        }
    }
}

/// A `credential_process`, an SSO cache, a container's service: each answers with the secret in it, wrongly.
#[test]
fn nothing_of_a_credential_process_is_quoted() {
    let (world, _aws) = world();
    let whole = json!({ "Version": 1, "AccessKeyId": "A", "SecretAccessKey": MARKER, "SessionToken": MARKER });
    let with = |name: &str, value: serde_json::Value| {
        let mut answer = whole.clone();
        answer[name] = value;
        answer.to_string()
    };
    for (name, end) in [
        ("cut", format!("echo '{}'", &whole.to_string()[..60])),
        ("garbage", format!("echo {MARKER}")),
        ("a name that is none", format!("echo '{{{MARKER}}}'")),
        ("more after it", format!("echo '{whole} {MARKER}'")),
        ("an object where text is", format!("echo '{}'", with("SecretAccessKey", json!({ "x": MARKER })))),
        ("the secret as the version", format!("echo '{}'", with("Version", json!(MARKER)))),
        ("the secret as the end", format!("echo '{}'", with("Expiration", json!(MARKER)))),
        ("a control character", format!("echo '{}'", with("SecretAccessKey", json!(format!("{MARKER}\u{1}"))))),
        ("an escape that is none", format!("echo '{{\"SecretAccessKey\":\"\\\\q{MARKER}\"}}'")),
        ("no key", format!("echo '{{\"Version\":1,\"SecretAccessKey\":\"{MARKER}\"}}'")),
        ("failed with it", format!("echo '{whole}'; exit 3")),
        ("failed with it on standard error", format!("echo 'cannot use {MARKER}' >&2; exit 3")),
        ("failed with two lines of it", format!("printf 'a\\n{MARKER}\\n' >&2; exit 3")),
        ("not UTF-8", format!("printf '{MARKER}\\377'")),
        ("ended by a signal", format!("echo {MARKER}; echo {MARKER} >&2; kill -9 $$")),
    ] {
        world.script("keys", &end);
        world.write(".aws/config", &format!("[default]\ncredential_process = {}\n", world.path("bin/keys").display()));
        for (call, input) in CALLS {
            world.watch(call, input).hides_it(&format!("{name}: {call:?}"));
        }
    }
}

#[test]
fn nothing_of_other_places_for_keys_is_quoted() {
    let (mut world, _aws) = world();
    let sso = "[default]\nsso_session = s\nsso_account_id = 1\nsso_role_name = r\n\
               [sso-session s]\nsso_region = us-east-1\nsso_start_url = https://x.awsapps.com/start\n";
    world.write(".aws/config", sso);
    // The SHA-1 of the session's name is the file's, as the CLI has it.
    let cache = ".aws/sso/cache/a0f1490a20d0211c997b44bc357e1972deab8ae3.json";
    for text in [
        format!("{{\"accessToken\":\"{MARKER}"),
        format!("{{\"accessToken\":[\"{MARKER}\"],\"expiresAt\":\"2099-01-01T00:00:00Z\"}}"),
        format!("{{\"accessToken\":\"{MARKER}\",\"expiresAt\":\"{MARKER}\"}}"),
        format!(
            "{{\"accessToken\":\"{MARKER}\",\"expiresAt\":\"2000-01-01T00:00:00Z\",\"refreshToken\":\"{MARKER}\"}}"
        ),
        MARKER.to_owned(),
    ] {
        world.write(cache, &text);
        for (call, input) in CALLS {
            world.watch(call, input).hides_it(&format!("{text}: {call:?}"));
        }
    }
    world.write(".aws/config", "");
    // A token for a web identity, at an endpoint that is no URL, does not answer, or refuses.
    let token = world.write("token", MARKER);
    world.set("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap());
    world.set("AWS_ROLE_ARN", "arn:aws:iam::1:role/web");
    for endpoint in ["localhost:1", "http://127.0.0.1:1", "http://[", "https://127.0.0.1:1", "http://a b/"] {
        world.set("AWS_ENDPOINT_URL", endpoint);
        for call in [&["get"][..], &["doctor"]] {
            world.watch(call, HOST).hides_it(&format!("{endpoint}: {call:?}"));
        }
    }
    world.unset("AWS_WEB_IDENTITY_TOKEN_FILE");
    world.set("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/container");
    world.set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.to_str().unwrap());
    world.watch(&["get"], HOST).hides_it("a container's service that is not there");
}

/// What ECR answers, malformed around a token in every way.
#[test]
fn no_token_in_a_malformed_reply_is_quoted() {
    let (mut world, aws) = world();
    world.set("AWS_ACCESS_KEY_ID", "A");
    world.set("AWS_SECRET_ACCESS_KEY", "nobody's");
    let token = base64(&format!("AWS:{MARKER}"));
    let reply = |entry: serde_json::Value| json!({ "authorizationData": [entry] }).to_string();
    for text in [
        format!("{{\"authorizationData\":[{{\"authorizationToken\":\"{token}"),
        format!("{{\"authorizationData\":[{{\"authorizationToken\":\"{token}\"}}]"),
        format!("{{\"authorizationData\":\"{token}\"}}"),
        format!("{{\"authorizationData\":[\"{token}\"]}}"),
        format!("{{\"authorizationData\":[{{\"authorizationToken\":[\"{token}\"]}}]}}"),
        format!("{{\"authorizationData\":[{{\"authorizationToken\":{token}}}]}}"),
        format!("{{\"authorizationData\":[{{\"{token}\"}}]}}"),
        format!("{{\"authorizationData\":[{{\"authorizationToken\":\"{token}\\q\"}}]}}"),
        reply(json!({ "authorizationToken": token, "expiresAt": token })),
        reply(json!({ "authorizationToken": token, "expiresAt": { "x": token } })),
        reply(json!({ "authorizationToken": token, "proxyEndpoint": [token] })),
        reply(json!({ "authorizationToken": format!("{token}\n!") })),
        reply(json!({ "authorizationToken": format!(" {token}") })),
        reply(json!({ "authorizationToken": MARKER })),
        reply(json!({ "authorizationToken": base64(MARKER) })),
        reply(json!({ "authorizationToken": base64(&format!("A\nWS:{MARKER}")) })),
        reply(json!({ "authorizationToken": base64(&format!(":{MARKER}")) })),
        reply(json!({ "authorizationToken": base64(&format!("AWS:{MARKER}")) + "=" })),
        format!("<html>{token} {MARKER}</html>"),
        format!("{MARKER}{token}"),
        format!("\u{feff}{{\"x\":\"{token}\"}}"),
    ] {
        aws.reply(Reply::Text(text.clone()));
        for server in [HOST, "public.ecr.aws"] {
            let watched = world.watch(&["get"], server);
            watched.hides_it(&text);
            assert_eq!(watched.outcome.code, Some(1), "{text}: {:#?}", watched.outcome);
        }
    }
    // A good one that cannot be kept is answered, and stands nowhere else.
    aws.reply(Reply::Text(reply(json!({ "authorizationToken": token, "expiresAt": 99_999_999_999.0 }))));
    let answered = world.watch(&["get"], HOST);
    answered.calls_are("a token", &["write(1<"]);
    answered.outcome.answers(HOST, "AWS", MARKER);
    let again = world.watch(&["get"], HOST);
    again.calls_are("a kept token", &["write(1<"]);
    again.outcome.answers(HOST, "AWS", MARKER);
}

/// A code is good for a minute, and a session for a day and a half.
#[test]
fn no_code_and_no_session_comes_back() {
    let (world, aws) = world();
    world.write(
        ".aws/config",
        "[default]\naws_access_key_id = A\naws_secret_access_key = b\nmfa_serial = arn:aws:iam::1:mfa/x\n",
    );
    for code in [MARKER.to_owned(), format!("{MARKER}\n123456"), format!("12345\u{1b}{MARKER}")] {
        let watched = world.watch(&["mfa", HOST], format!("{code}\n"));
        watched.hides_it("no code");
        assert!(watched.outcome.stderr.contains("not a code"), "{:#?}", watched.outcome);
    }
    // Six digits that stand in nothing else here.
    let code = "739146";
    world.coffer(&["mfa", HOST]).input(format!("{code}\n")).run().ok();
    let again = world.coffer(&["mfa", HOST]).input(format!("{code}\n")).env("COFFER_LOG", "debug").run();
    assert!(again.code == Some(1) && !again.said().contains(code), "{again:#?}");
    assert_eq!(world.files_with(&world.path(""), code), Vec::<std::path::PathBuf>::new());
    assert!(world.files_with(&world.path(""), "SECRET-OF-THE-SESSION").is_empty());
    assert!(world.files_with(&world.path(""), "TOKEN-OF-THE-SESSION").is_empty());
    aws.reply(Reply::Error(403, "AccessDeniedException", "no"));
    let refused = world.coffer(&["get"]).env("COFFER_LOG", "debug").input(HOST).run();
    assert!(!refused.said().contains("OF-THE-SESSION"), "{refused:#?}");
}
