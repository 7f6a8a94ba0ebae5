//! The CLI of dev containers, which editors call: features from a registry that wants a login.

use std::fs;

use crate::support::clients::{PASSWORD, USER, docker_login, keeps_no_plaintext};
use crate::support::{Outcome, Registry, World};

/// Where `tests/run` puts it.
const CLI: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/npm/node_modules/@devcontainers/cli/devcontainer.js");

fn features(world: &World, arguments: &[&str]) -> Outcome {
    world.call("node", &[&[CLI, "features"], arguments].concat()).run()
}

#[test]
fn features_are_published_and_found_with_the_login_that_docker_stored() {
    let world = World::new();
    world.write(".docker/config.json", r#"{"credsStore":"coffer"}"#);
    let mut registry = Registry::start(&world, USER, PASSWORD);
    // It speaks plain HTTP to this name alone.
    registry.name = registry.name.replace("127.0.0.1", "localhost");
    world.write("src/hello/devcontainer-feature.json", r#"{"id":"hello","version":"1.0.0","name":"Hello"}"#);
    world.write("src/hello/install.sh", "#!/bin/sh\n");
    let publish = ["publish", "-r", &registry.name, "-n", "team/features", "src"];
    assert_ne!(features(&world, &publish).code, Some(0));

    docker_login(&world, &registry, PASSWORD).ok();
    assert!(features(&world, &publish).ok().contains("publishedTags"));
    let feature = format!("{}/team/features/hello:1", registry.name);
    assert!(features(&world, &["info", "manifest", &feature]).ok().contains("Canonical Identifier"));
    keeps_no_plaintext(&world, &world.home());

    fs::remove_file(world.home().join(".docker/config.json")).unwrap();
    assert_ne!(features(&world, &["info", "manifest", &feature]).code, Some(0));
}
