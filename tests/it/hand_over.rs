//! The two programs: what clients call, and what it hands over to.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::World;
use crate::support::chmod;

const HELPER: &str = env!("CARGO_BIN_EXE_docker-credential-coffer");
const COMMANDS: &str = env!("CARGO_BIN_EXE_docker-coffer");
const ECR_HOST: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com";

/// What clients call, in a directory of its own.
fn alone(world: &World) -> PathBuf {
    let program = world.path("alone/docker-credential-coffer");
    fs::create_dir(world.path("alone")).unwrap();
    fs::copy(HELPER, &program).unwrap();
    program
}

/// An HTTP header that the AWS SDK sends with every request.
#[test]
fn what_clients_call_holds_no_aws_sdk() {
    let holds_sdk = |program: &str| {
        let bytes = fs::read(program).unwrap();
        bytes.windows(16).any(|window| window == b"x-amz-user-agent")
    };
    assert!(holds_sdk(COMMANDS) && !holds_sdk(HELPER));
}

#[test]
fn without_the_other_program_logins_are_answered_and_the_rest_says_what_is_missing() {
    let world = World::new();
    let program = alone(&world);
    world.store_login("ghcr.io", "alice", "hunter2").silent();
    world.call(&program, &["get"]).input("ghcr.io").run().answers("ghcr.io", "alice", "hunter2");
    let missing = program.with_file_name("docker-coffer").display().to_string();
    for (arguments, input) in [(&["ls"][..], ""), (&["get"], ECR_HOST), (&["bogus"], ""), (&[], "")] {
        let said = world.call(&program, arguments).input(input).run();
        assert_eq!(said.code, Some(1), "{said:#?}");
        assert!(said.stderr.contains(&missing) && said.stderr.contains("install both"), "{said:#?}");
    }
    // What docker login was given is better than nothing.
    world.call(&program, &["store"]).input(crate::support::login(ECR_HOST, "AWS", "pasted")).run().silent();
    let said = world.call(&program, &["get"]).input(ECR_HOST).run();
    assert!(said.code == Some(0) && said.stdout.contains("pasted") && said.stderr.contains(&missing), "{said:#?}");
}

#[test]
fn what_is_not_the_other_program_is_not_called_for_ever() {
    let world = World::new();
    let program = alone(&world);
    fs::copy(HELPER, program.with_file_name("docker-coffer")).unwrap();
    for (action, input) in [("ls", ""), ("get", ECR_HOST)] {
        let said = world.call(&program, &[action]).input(input).run();
        assert!(said.code == Some(1) && said.took < Duration::from_secs(14), "{said:#?}");
        assert!(said.stderr.contains("docker-coffer: is not the program of that name"), "{said:#?}");
    }
}

/// The PATH might find another version of it, or another's.
#[test]
fn the_program_beside_it_is_called_with_the_request_and_the_time_that_is_left() {
    let world = World::new();
    let program = alone(&world);
    world.script("docker-coffer", "echo the wrong one");
    let other = program.with_file_name("docker-coffer");
    fs::write(&other, "#!/bin/sh\necho \"$@\"\nexec cat\n").unwrap();
    chmod(&other, 0o755);
    let called = |call: &Path, arguments: &[&str]| world.call(call, arguments).input(ECR_HOST).run().ok();
    let asked = called(&program, &["get"]);
    let (left, rest) = asked.strip_prefix("--handed-over=").unwrap().split_once(' ').unwrap();
    assert!((10_000..=19_000).contains(&left.parse::<u64>().unwrap()), "{asked}");
    assert_eq!(rest, format!("get\n{ECR_HOST}"));
    // By a link, as packages and dotfiles make them.
    let link = world.path("bin/docker-credential-coffer");
    std::os::unix::fs::symlink(&program, &link).unwrap();
    assert!(called(&link, &["export", "--format", "x"]).contains(" export --format x\n"));
}
