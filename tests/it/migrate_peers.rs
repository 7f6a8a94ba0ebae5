//! `migrate` from Docker's own helpers, as Debian ships them, with what they keep their secrets in.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::clients::read_json;
use crate::support::{Bus, Pass, World, login};

/// What people have: the Hub, an identity token, a host with a port, and secrets that shells and lines break on.
const LOGINS: [(&str, &str, &str); 5] = [
    ("https://index.docker.io/v1/", "bob", "dckr_pat_0123456789"),
    ("registry.azurecr.example", "<token>", "eyJhbGciOiJSUzI1NiJ9.eyJqdGkiOiIxIn0.c2lnbmF0dXJl"),
    ("localhost:5000", "alice@example.com", "a quote\" and ' and \\ and $HOME and `id` and a colon: there"),
    ("gcr.example", "_json_key", "{\n  \"private_key\": \"-----BEGIN PRIVATE KEY-----\\nMIIE\\n\"\n}"),
    ("ghcr.io", "alice", "\u{e4}\u{df}\u{1f511}"),
];

fn fill(world: &World, program: &str) {
    for (server, username, secret) in LOGINS {
        world.call(program, &["store"]).input(login(server, username, secret)).run().ok();
    }
}

/// What a program answers for each of them.
fn answers(world: &World, program: &str) -> Vec<Value> {
    let ask = |(server, ..): &(&str, &str, &str)| world.call(program, &["get"]).input(server).run().ok();
    LOGINS.iter().map(|login| ask(login).parse().unwrap()).collect()
}

/// That everything that a helper holds is imported, and still there afterwards, whatever Docker's file says.
#[track_caller]
fn gives_everything(world: &World, name: &str, config: &str, arguments: &[&str]) {
    let program = format!("docker-credential-{name}");
    fill(world, &program);
    let path = world.write(".docker/config.json", config);
    let before = answers(world, &program);
    for (answer, (_, username, secret)) in before.iter().zip(LOGINS) {
        assert_eq!((&answer["Username"], &answer["Secret"]), (&json!(username), &json!(secret)), "{program} itself");
    }
    let said = world.coffer(&[&["migrate", "--yes"], arguments].concat()).run().ok();
    for (server, ..) in LOGINS {
        assert!(said.contains(&format!("docker-credential-{name}: imported {server}")), "{said}");
    }
    assert_eq!(answers(world, "docker-credential-coffer"), before);
    assert_eq!(answers(world, &program), before, "something was erased there");
    let listed: Value = world.coffer(&["list"]).run().ok().parse().unwrap();
    assert_eq!(listed.as_object().unwrap().len(), LOGINS.len());
    for (_, _, secret) in LOGINS {
        assert_eq!(world.files_with(&world.path(""), secret), Vec::<PathBuf>::new());
    }

    let after = read_json(&path);
    let before: Value = config.parse().unwrap();
    if before["credsStore"] == name {
        assert_eq!(after["credsStore"], "coffer");
        // Back to the helper, which has everything still.
        world.coffer(&["migrate", "--undo", "--yes"]).run().ok();
        assert_eq!(read_json(&path), before);
        world.coffer(&["migrate", "--yes"]).run().ok();
        assert_eq!(read_json(&path), after);
    }
    let snapshot = world.snapshot(&world.home().join(".docker"));
    assert_eq!(world.coffer(&["migrate", "--yes"]).run().ok(), "nothing to do\n");
    assert!(world.snapshot(&world.home().join(".docker")) == snapshot);
}

#[test]
fn pass_gives_everything() {
    let mut world = World::new();
    let _pass = Pass::start(&mut world);
    gives_everything(&world, "pass", r#"{"auths":{"ghcr.io":{}},"credsStore":"pass"}"#, &[]);
}

#[test]
fn pass_gives_everything_though_docker_does_not_ask_it() {
    let mut world = World::new();
    let _pass = Pass::start(&mut world);
    gives_everything(&world, "pass", r#"{"auths":{"ghcr.io":{}}}"#, &["--from", "pass"]);
}

#[test]
fn secretservice_gives_everything() {
    let mut world = World::new();
    let _bus = Bus::with_keyring(&mut world);
    gives_everything(&world, "secretservice", r#"{"auths":{},"credsStore":"secretservice"}"#, &[]);
}

#[test]
fn secretservice_gives_everything_to_the_keyring_store() {
    let mut world = World::new();
    world.config("store = \"keyring\"");
    let _bus = Bus::with_keyring(&mut world);
    gives_everything(
        &world,
        "secretservice",
        r#"{"credsStore":"coffer"}"#,
        &["--from", "docker-credential-secretservice"],
    );
}

/// The key of `pass` is out of reach: an agent that asks nobody.
#[test]
fn what_pass_cannot_decrypt_now_it_goes_on_answering() {
    let mut world = World::new();
    let _pass = Pass::start(&mut world);
    fill(&world, "docker-credential-pass");
    let text = r#"{"auths":{"ghcr.io":{},"localhost:5000":{}},"credsStore":"pass"}"#;
    let path = world.write(".docker/config.json", text);
    let gnupg = world.path("gnupg");
    fs::rename(gnupg.join("private-keys-v1.d"), gnupg.join("away")).unwrap();
    let said = world.coffer(&["migrate", "--yes"]).run();
    assert_eq!(said.code, Some(1), "{said:#?}");
    fs::rename(gnupg.join("away"), gnupg.join("private-keys-v1.d")).unwrap();
    let config = read_json(&path);
    for (server, ..) in LOGINS {
        assert!(said.stdout.contains(&format!("docker-credential-pass: {server}: ")), "{said:#?}");
        assert_eq!(config["credHelpers"][server], "pass", "{config}");
    }
    world.coffer(&["migrate", "--yes", "--from", "pass"]).run().ok();
    assert_eq!(answers(&world, "docker-credential-coffer"), answers(&world, "docker-credential-pass"));
    let named = read_json(&path)["credHelpers"].clone();
    assert!(named.as_object().unwrap().values().all(|helper| helper == "coffer"), "{named}");
}

/// It dies of it, and prints no word that could be passed on.
#[test]
fn what_a_locked_keyring_holds_secretservice_goes_on_answering() {
    let mut world = World::new();
    let mut bus = Bus::with_keyring(&mut world);
    world.config("[age]\nkey = \"file\"");
    fill(&world, "docker-credential-secretservice");
    let path = world.write(".docker/config.json", r#"{"auths":{"ghcr.io":{}},"credsStore":"secretservice"}"#);
    bus.lock(&world);
    let said = world.coffer(&["migrate", "--yes"]).run();
    assert_eq!(said.code, Some(1), "{said:#?}");
    let config = read_json(&path);
    for (server, ..) in LOGINS {
        assert_eq!(config["credHelpers"][server], "secretservice", "{config}");
    }
    // The next morning.
    bus.stop_keyring();
    bus.start_keyring(&world);
    world.coffer(&["migrate", "--yes", "--from", "secretservice"]).run().ok();
    let theirs = answers(&world, "docker-credential-secretservice");
    assert_eq!(answers(&world, "docker-credential-coffer"), theirs);
}
