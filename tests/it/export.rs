//! `export`: for what cannot call a helper, in the forms that it reads.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::{Aws, Registry, World};

fn exported(world: &World, format: &str, servers: &[&str]) -> String {
    world.coffer(&[&["export", "--format", format], servers].concat()).run().ok()
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn with_logins() -> World {
    let world = World::new();
    world.store_login("ghcr.io", "alice", "pa ss:\"word\"\n").silent();
    world.store_login("https://index.docker.io/v1/", "bob", "hub").silent();
    world.store_login("quay.io", "<token>", "identity").silent();
    world
}

#[test]
fn each_form_is_what_its_reader_takes() {
    let world = with_logins();
    let auth = STANDARD.encode("alice:pa ss:\"word\"\n");
    let hub = STANDARD.encode("bob:hub");
    assert_eq!(
        json_of(&exported(&world, "json", &["ghcr.io"])),
        json!({ "ServerURL": "ghcr.io", "Username": "alice", "Secret": "pa ss:\"word\"\n" })
    );
    assert_eq!(exported(&world, "password", &["docker.io"]), "hub\n");
    assert_eq!(exported(&world, "header", &["ghcr.io"]), format!("Authorization: Basic {auth}\n"));
    let config = json!({ "auths": {
        "ghcr.io": { "auth": auth }, "https://index.docker.io/v1/": { "auth": hub }, "quay.io": { "identitytoken": "identity" },
    } });
    assert_eq!(json_of(&exported(&world, "docker-config", &["ghcr.io", "docker.io", "quay.io"])), config);
    let secret = json_of(&exported(&world, "kubernetes", &["--name", "pull", "ghcr.io", "docker.io", "quay.io"]));
    assert_eq!((&secret["kind"], &secret["metadata"]["name"]), (&json!("Secret"), &json!("pull")));
    assert_eq!(secret["type"], "kubernetes.io/dockerconfigjson");
    let data = STANDARD.decode(secret["data"][".dockerconfigjson"].as_str().unwrap()).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&data).unwrap(), config);
    let ecs = exported(&world, "ecs-docker", &["ghcr.io"]);
    let (kind, data) = ecs.trim_end().split_once('\n').unwrap();
    assert_eq!(kind, "ECS_ENGINE_AUTH_TYPE=docker");
    let data = json_of(data.strip_prefix("ECS_ENGINE_AUTH_DATA=").unwrap());
    assert_eq!(data, json!({ "ghcr.io": { "username": "alice", "password": "pa ss:\"word\"\n", "email": "" } }));
    let ecs = exported(&world, "ecs-dockercfg", &["ghcr.io", "docker.io"]);
    let data = json_of(ecs.trim_end().split_once("ECS_ENGINE_AUTH_DATA=").unwrap().1);
    let expected = json!({
        "ghcr.io": { "auth": auth, "email": "" }, "https://index.docker.io/v1/": { "auth": hub, "email": "" },
    });
    assert_eq!(data, expected);
}

/// What export writes, the migration reads.
#[test]
fn what_is_exported_can_be_imported() {
    let world = with_logins();
    for (name, format) in [
        ("ecs.config", "ecs-docker"),
        ("ecs.config", "ecs-dockercfg"),
        (".dockerconfigjson", "docker-config"),
        ("s.json", "kubernetes"),
    ] {
        let text = exported(&world, format, &["ghcr.io", "docker.io"]);
        let other = World::new();
        let file = other.write(name, &text);
        other.coffer(&["migrate", "--yes", file.to_str().unwrap()]).run().ok();
        other.get("ghcr.io").answers("ghcr.io", "alice", "pa ss:\"word\"\n");
        other.get("docker.io").answers("docker.io", "bob", "hub");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    }
}

#[test]
fn what_cannot_be_exported_is_said() {
    let world = with_logins();
    let token = "what is held for quay.io is an identity token, which this format cannot carry";
    let log_in = "log in with a user and a password (or an access token in its place), or use docker-config";
    for (arguments, message, hint) in [
        (
            &["--format", "password", "gcr.io"][..],
            "nothing is held for gcr.io",
            "docker login to it, or see docker-credential-coffer explain gcr.io",
        ),
        (&["--format", "password", "ghcr.io", "quay.io"], "this format is of one credential", "name one registry"),
        (&["--format", "header", "quay.io"], token, log_in),
        (&["--format", "ecs-docker", "quay.io"], token, log_in),
        (
            &["--format", "json", "user@ghcr.io"],
            "the server name holds one of @ \\ %",
            "name the registry as host[:port], for example registry.example.com:5000",
        ),
    ] {
        world.person_sees(world.coffer(&[&["export"], arguments].concat()).run(), message, hint);
    }
    for (arguments, words) in
        [(&["--format", "yaml", "ghcr.io"][..], "invalid value 'yaml'"), (&["--format", "json"], "SERVER")]
    {
        let outcome = world.coffer(&[&["export"], arguments].concat()).run();
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""), "{outcome:#?}");
        assert!(outcome.stderr.contains(words), "{outcome:#?}");
    }
}

/// A client that splits at the first colon would send `a`, and `b:c` as the password.
#[test]
fn a_user_with_a_colon_is_not_told_in_base64() {
    let world = World::new();
    world.store_login("ghcr.io", "a:b", "c").silent();
    for format in ["header", "ecs-dockercfg"] {
        world.person_sees(
            world.coffer(&["export", "--format", format, "ghcr.io"]).run(),
            "the user of ghcr.io has a colon in its name, which this format cannot carry",
            "log in as another user, or use json, docker-config or ecs-docker",
        );
    }
    let config = json!({ "auths": { "ghcr.io": { "username": "a:b", "password": "c" } } });
    assert_eq!(json_of(&exported(&world, "docker-config", &["ghcr.io"])), config);
    assert!(exported(&world, "ecs-docker", &["ghcr.io"]).contains(r#""username":"a:b","password":"c""#));
}

/// An `auth` of nothing but a colon makes docker drop every entry of its file.
#[test]
fn what_is_answered_for_nomad_alone_is_not_exported() {
    let world = World::new();
    world.config("[[registry]]\nmatch = \"docker.io\"\nanonymous = \"empty\"\n");
    for format in ["json", "password", "header", "docker-config", "kubernetes", "ecs-docker", "ecs-dockercfg"] {
        let outcome = world.coffer(&["export", "--format", format, "docker.io"]).run();
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""), "{outcome:#?}");
    }
}

#[test]
fn the_kubelet_reads_no_identity_tokens() {
    let world = with_logins();
    world.is_told(
        world.coffer(&["export", "--format", "kubernetes", "quay.io"]).run(),
        "what is held for quay.io is an identity token, which the kubelet does not read",
    );
}

#[test]
fn a_terminal_is_warned() {
    let world = with_logins();
    let command = format!("{} export --format password ghcr.io", env!("CARGO_BIN_EXE_docker-credential-coffer"));
    let said = world.call("script", &["-qec", &command, "/dev/null"]).run().ok();
    assert!(said.starts_with("what follows is secret; it stays in the terminal's scrollback\r\n"), "{said}");
    let quiet = world.coffer(&["export", "--format", "password", "ghcr.io"]).run();
    assert_eq!(quiet.stderr, "");
}

#[test]
fn a_token_for_ecr_is_minted() {
    let mut world = World::new();
    let _aws = Aws::start(&mut world);
    let host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
    assert!(exported(&world, "header", &[host]).starts_with("Authorization: Basic QVdTO"));
}

/// The registry's HTTP API, without the password in anybody's arguments.
#[test]
fn curl_and_docker_login_take_what_is_piped_to_them() {
    let world = World::new();
    let registry = Registry::start(&world, "alice", "correct horse");
    world.store_login(&registry.name, "alice", "correct horse").silent();
    let name = &registry.name;
    let script =
        format!("docker-credential-coffer export --format header {name} | curl -sf -H @- http://{name}/v2/_catalog");
    assert_eq!(world.call("sh", &["-c", &script]).run().ok().trim(), "{\"repositories\":[]}");
    world.write(".docker/config.json", r#"{"auths":{"x.example":{}}}"#);
    let script = format!(
        "docker-credential-coffer export --format password {name} | docker login -u alice --password-stdin {name}"
    );
    assert!(world.call("sh", &["-c", &script]).run().ok().contains("Login Succeeded"));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error_and_a_full_disk_is() {
    let world = with_logins();
    let said =
        world.call("sh", &["-c", "docker-credential-coffer man | true; docker-credential-coffer ls | true"]).run();
    assert_eq!(said.stderr, "", "{said:#?}");
    let full = world.call("sh", &["-c", "docker-credential-coffer ls > /dev/full"]).run();
    assert!(full.code == Some(1) && full.stderr.starts_with("cannot write standard output"), "{full:#?}");
}
