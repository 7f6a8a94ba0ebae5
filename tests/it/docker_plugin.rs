//! `docker coffer`: the real docker CLI, which finds Coffer among its plugins.

use std::os::unix::fs::symlink;

use crate::support::World;

/// A world that `setup` has been run in.
fn set_up() -> World {
    let world = World::new();
    world.write(".docker/config.json", r#"{"auths":{"ghcr.io":{"auth":"YTpi"}}}"#);
    world.coffer(&["setup", "--yes"]).run().ok();
    world
}

#[test]
fn docker_lists_coffer_among_its_commands() {
    let world = set_up();
    let help = world.call("docker", &["--help"]).run().ok();
    let line = help.lines().find(|line| line.trim_start().starts_with("coffer"));
    assert!(
        line.is_some_and(|line| line.ends_with(" Registry logins kept encrypted, and tokens for Amazon ECR")),
        "{help}"
    );
}

#[test]
fn docker_passes_commands_on() {
    let world = set_up();
    assert!(world.call("docker", &["coffer", "ls"]).run().ok().contains("ghcr.io"));
    world.write(".docker/config.json", r#"{"auths":{"quay.io":{"auth":"YTpi"}}}"#);
    let said = world.call("docker", &["coffer", "migrate", "--dry-run"]).run().ok();
    assert!(said.contains("would move 1 login") && said.contains("quay.io"), "{said}");
    let found = world.call("docker", &["coffer", "audit"]).run();
    assert!(found.code == Some(1) && found.stdout.contains("quay.io"), "{found:#?}");
    world.call("docker", &["coffer", "migrate", "--yes"]).run().ok();
    world.get("quay.io").answers("quay.io", "a", "b");
}

#[test]
fn wrong_usage_is_told_as_of_docker_coffer() {
    let world = set_up();
    for arguments in [&["coffer", "bogus"][..], &["coffer", "ls", "--bogus"], &["coffer"]] {
        let said = world.call("docker", arguments).run();
        assert_eq!(said.code, Some(2), "{said:#?}");
        assert!(said.stderr.contains("Usage: docker coffer"), "{said:#?}");
    }
}

#[test]
fn help_is_asked_for_in_dockers_ways() {
    let world = set_up();
    for arguments in
        [&["coffer", "--help"][..], &["help", "coffer"], &["coffer", "help"], &["coffer", "migrate", "--help"]]
    {
        let said = world.call("docker", arguments).run();
        assert!(said.code == Some(0) && said.stdout.contains("Usage: docker coffer"), "{arguments:?} {said:#?}");
    }
}

#[test]
fn examples_are_those_of_docker_coffer() {
    let world = set_up();
    for command in ["setup", "migrate", "export", "completions"] {
        let said = world.call("docker", &["coffer", command, "--help"]).run().ok();
        assert!(said.contains(&format!("\n  docker coffer {command} ")), "{said}");
        assert!(!said.contains("\n  docker-credential-coffer"), "{said}");
        let alone = world.coffer(&[command, "--help"]).run().ok();
        assert!(alone.contains(&format!("\n  docker-credential-coffer {command} ")), "{alone}");
    }
}

/// The CLI hands its own options on, before the command.
#[test]
fn dockers_own_options_may_come_first() {
    let world = set_up();
    for options in [
        &["-D"][..],
        &["--debug"],
        &["-l", "info"],
        &["--log-level=info"],
        &["-H", "unix:///nowhere"],
        &["-c", "default"],
    ] {
        let said = world.call("docker", &[options, &["coffer", "ls"]].concat()).run();
        assert!(said.code == Some(0) && said.stdout.contains("ghcr.io"), "{options:?} {said:#?}");
    }
}

/// Otherwise another file than the one that was meant would be migrated.
#[test]
fn dockers_config_option_is_refused_with_what_to_do() {
    let world = set_up();
    let elsewhere = world.path("elsewhere");
    symlink(world.home().join(".docker"), &elsewhere).unwrap();
    let said = world.call("docker", &["--config", elsewhere.to_str().unwrap(), "coffer", "ls"]).run();
    assert!(
        said.code == Some(2)
            && said.stderr.contains("--config does not reach docker coffer; set DOCKER_CONFIG instead\n"),
        "{said:#?}"
    );
    let said = world.call("docker", &["coffer", "ls"]).env("DOCKER_CONFIG", elsewhere.to_str().unwrap()).run();
    assert!(said.ok().contains("ghcr.io"));
}
