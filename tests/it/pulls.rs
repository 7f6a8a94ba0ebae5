//! `docker pull` and the classic `docker build`: which logins the docker CLI sends to its engine when it asks Coffer.

use serde_json::{Value, json};

use crate::support::engine::Engine;
use crate::support::{Aws, World};

const ECR: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com";

/// A world whose docker asks Coffer, with a login for each of two registries and one for the Hub.
fn world() -> (World, Engine) {
    let mut world = World::new();
    let engine = Engine::start(&mut world);
    world.write(".docker/config.json", r#"{"credsStore":"coffer"}"#);
    world.store_login("registry.example.com", "alice", "hunter2").silent();
    world.store_login("https://index.docker.io/v1/", "bob", "dckr_pat_x").silent();
    world.store_login("quay.io", "<token>", "an identity token").silent();
    (world, engine)
}

/// What comes with the pull of an image.
fn pulled(world: &World, engine: &Engine, image: &str) -> Value {
    world.call("docker", &["pull", image]).run().ok();
    let mut logins = engine.logins();
    assert_eq!(logins.len(), 1, "{image}");
    logins.remove(0)
}

#[test]
fn a_pull_comes_with_the_login_that_is_held() {
    let (world, engine) = world();
    for (image, username, password, address) in [
        ("registry.example.com/team/app:1", "alice", "hunter2", "registry.example.com"),
        ("alpine", "bob", "dckr_pat_x", "https://index.docker.io/v1/"),
        ("docker.io/library/alpine:3", "bob", "dckr_pat_x", "https://index.docker.io/v1/"),
    ] {
        let login = json!({ "username": username, "password": password, "serveraddress": address });
        assert_eq!(pulled(&world, &engine, image), login, "{image}");
    }
    let token = json!({ "identitytoken": "an identity token", "serveraddress": "quay.io" });
    assert_eq!(pulled(&world, &engine, "quay.io/org/app"), token);
}

#[test]
fn a_pull_of_what_nobody_has_a_login_for_is_anonymous() {
    let (world, engine) = world();
    assert_eq!(pulled(&world, &engine, "ghcr.io/org/app"), json!({}));
}

#[test]
fn a_pull_from_ecr_comes_with_a_token_and_no_login_was_needed() {
    let (mut world, engine) = world();
    let aws = Aws::start(&mut world);
    for _ in 0..2 {
        let login = json!({ "username": "AWS", "password": "token-1", "serveraddress": ECR });
        assert_eq!(pulled(&world, &engine, &format!("{ECR}/app:1")), login);
    }
    assert_eq!(aws.calls(), 1);
}

/// As on a worker in EC2 that nobody has logged in to: Docker's file of one line, and the instance's role.
#[test]
fn a_pull_on_an_instance_comes_with_a_token_of_its_role() {
    let (mut world, engine) = world();
    let aws = Aws::start(&mut world);
    world.unset("AWS_ACCESS_KEY_ID");
    world.unset("AWS_SECRET_ACCESS_KEY");
    world.unset("AWS_EC2_METADATA_DISABLED");
    let url = aws.url.clone();
    world.set("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url);
    let login = json!({ "username": "AWS", "password": "token-1", "serveraddress": ECR });
    assert_eq!(pulled(&world, &engine, &format!("{ECR}/app:1")), login);
    assert!(aws.asked_for_tokens()[0].scope.starts_with("ASIAINSTANCE/"), "{:?}", aws.asked_for_tokens());
    let asked = aws.asked().len();
    assert_eq!(pulled(&world, &engine, &format!("{ECR}/app:2")), login);
    assert_eq!(aws.asked().len(), asked, "not even the metadata are asked for a token that is kept");
}

/// It asks for everything that is listed, one after the other; and one that failed would void them all.
#[test]
fn a_classic_build_comes_with_everything_that_is_held() {
    let (mut world, engine) = world();
    let aws = Aws::start(&mut world);
    pulled(&world, &engine, &format!("{ECR}/app:1"));
    world.set("DOCKER_BUILDKIT", "0");
    world.write("context/Dockerfile", "FROM scratch\n");
    world.call("docker", &["build", "context"]).run().ok();
    let login = |username: &str, password: &str, address: &str| json!({ "username": username, "password": password, "serveraddress": address });
    let expected = json!({
        ECR: login("AWS", "token-1", ECR),
        "https://index.docker.io/v1/": login("bob", "dckr_pat_x", "https://index.docker.io/v1/"),
        "quay.io": { "identitytoken": "an identity token", "serveraddress": "quay.io" },
        "registry.example.com": login("alice", "hunter2", "registry.example.com"),
    });
    assert_eq!(engine.logins(), [expected]);
    assert_eq!(aws.calls(), 1);
}
