//! What users see of a mistake in `config.toml` or in the environment.

use std::fs;

use crate::support::{World, chmod};

const FILE: &str = "~/.config/coffer/config.toml";

#[test]
fn lines_of_the_configuration() {
    let world = World::new();
    for (text, message) in [
        ("stoer = \"age\"", "1: unknown field `stoer`, expected one of `store`, `age`, `ecr`, `registry`"),
        ("store = \"keyrng\"", "1: unknown value, expected `age` or `keyring`"),
        ("store = \"age\"\nstore = \"age\"", "2: duplicate key"),
        ("store = age", "1: string values must be quoted, expected literal string"),
        ("\nstore = \"age\"\n[age", "3: unclosed table, expected `]`"),
        ("[age]\nunlock-for = \"8 hours\"", "2: not a span of time such as \"10s\", \"5m\" or \"8h\""),
        ("[ecr]\ntimeout = 10", "2: invalid type: integer, expected a string"),
        ("[ecr]\ntimeout = \"16s\"", "2: longer than 15s"),
        ("[ecr]\ncache = \"yes\"", "2: invalid type: string, expected a boolean"),
    ] {
        is_refused(&world, text, message);
    }
}

#[test]
fn rules() {
    let world = World::new();
    for (rule, message) in [
        ("profile = \"prod\"", "1: missing field `match`"),
        ("match = \"\"", "2: match is empty"),
        ("match = \"ghcr.io/org\"", "2: match is compared with host[:port] alone, so it cannot hold a slash"),
        ("match = \"ghcr .io\"", "2: match holds white space"),
        (
            "match = \"index.docker.io\"",
            "2: match is no registry's one name: the Hub is docker.io, port 443 and a dot at the end are left out",
        ),
        ("match = \"*\"\nhelper = \"coffer\"", "3: helper cannot be coffer itself"),
        (
            "match = \"*\"\nhelper = \"/bin/sh\"",
            "3: helper must be the end of a program's name, as \"gcloud\" is of docker-credential-gcloud",
        ),
        (
            "match = \"*\"\necr = \"ecr.example\"",
            "3: not a host of Amazon ECR, such as 123456789012.dkr.ecr.eu-west-1.amazonaws.com",
        ),
        ("match = \"*\"\nanonymous = 1", "3: invalid type: integer, expected true or \"empty\""),
        ("match = \"*\"\nanonymous = false", "3: invalid value: boolean, expected true or \"empty\""),
        ("match = \"*\"\nanonymous = \"none\"", "3: invalid value: string, expected true or \"empty\""),
        ("match = \"*\"\nhelper = \"pass\"\nanonymous = true", "1: ecr, helper and anonymous exclude one another"),
        (
            "match = \"*\"\nhelper = \"pass\"\nprofile = \"prod\"",
            "1: profile, role-arn, region and mfa-serial are for ECR, not for a helper or an anonymous registry",
        ),
        ("match = \"*\"\nexternal-id = \"x\"", "1: external-id and session-name need a role-arn"),
    ] {
        is_refused(&world, &format!("[[registry]]\n{rule}"), message);
    }
}

#[track_caller]
fn is_refused(world: &World, text: &str, message: &str) {
    world.config(&format!("{text}\n"));
    world.client_sees(
        world.get("ghcr.io"),
        &format!("{FILE}:{message}"),
        "mend that line; docs/configuration.md lists every key",
    );
}

#[test]
fn the_file_of_the_configuration() {
    let world = World::new();
    let path = world.config("");
    fs::write(&path, b"store = \"age\"\n# caf\xe9\n").unwrap();
    world.client_sees(
        world.get("ghcr.io"),
        &format!("{FILE}:2: not UTF-8"),
        "mend that line; docs/configuration.md lists every key",
    );
    fs::write(&path, "#".repeat((1 << 20) + 1)).unwrap();
    let restore =
        format!("restore {FILE} from a backup, or move it away; a login that it held is made again with docker login");
    world.client_sees(world.get("ghcr.io"), &format!("{FILE} is longer than 1048576 bytes"), &restore);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    world.client_sees(world.get("ghcr.io"), &format!("{FILE} is not a regular file"), &restore);
}

#[test]
fn paths_in_the_environment() {
    let world = World::new();
    for name in ["COFFER_CONFIG", "COFFER_DIR", "COFFER_IDENTITY_FILE", "HOME"] {
        world.client_sees(
            world.coffer(&["get"]).env(name, "coffer").input("ghcr.io").run(),
            &format!("the environment variable {name} is not an absolute path"),
            "set it to an absolute path, or unset it",
        );
    }
}

/// A user that nobody has named, as in a container: `docker run --user 54321`.
#[test]
fn no_home() {
    let world = World::new();
    chmod(&world.path(""), 0o755);
    let program = world.path("bin/docker-credential-coffer");
    fs::copy(env!("CARGO_BIN_EXE_docker-credential-coffer"), &program).unwrap();
    chmod(&world.path("bin"), 0o755);
    let call = ["--reuid=54321", "--clear-groups", program.to_str().unwrap(), "get"];
    world.client_sees(
        world.call("setpriv", &call).without("HOME").input("ghcr.io").run(),
        "no home directory: HOME is not set and the password database names none",
        "set HOME; for logins alone, COFFER_DIR and COFFER_CONFIG will do",
    );
}
