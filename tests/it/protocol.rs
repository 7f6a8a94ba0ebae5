//! The protocol's face as clients see it: bytes, streams, exit codes, time.

use std::io::Write;
use std::process::Stdio;
use std::time::Instant;

use crate::support::{IN_TIME, World, find_in_time, login};

#[test]
fn wrong_calls_are_refused_as_peers_refuse_them() {
    let world = World::new();
    let usage = "Usage: docker-credential-coffer <store|get|erase|list|version>\n";
    for (arguments, said) in [
        (&[][..], usage),
        (&["get", "ghcr.io"], usage),
        (&["bogus", "x"], usage),
        (&["bogus"], "docker-credential-coffer: unknown action: bogus\n"),
        (&["GET"], "docker-credential-coffer: unknown action: GET\n"),
        (&["a\nb"], "docker-credential-coffer: unknown action: a b\n"),
        (&[""], "docker-credential-coffer: unknown action: \n"),
    ] {
        let outcome = world.coffer(arguments).run();
        assert_eq!(
            (outcome.code, outcome.stdout.as_str(), outcome.stderr.as_str()),
            (Some(1), said, "hint: the commands for people: docker-credential-coffer --help\n"),
            "{arguments:?}"
        );
    }
}

#[test]
fn commands_for_people_have_exit_codes_of_their_own() {
    let world = World::new();
    let help = world.coffer(&["--help"]).run();
    assert!(help.code == Some(0) && help.stdout.contains("Usage: docker-credential-coffer"), "{help:#?}");
    for arguments in [&["explain"][..], &["ls", "--bogus"], &["setup", "--store", "vault"]] {
        let outcome = world.coffer(arguments).run();
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""), "{outcome:#?}");
    }
    let failed = world.coffer(&["explain", "user@host"]).run();
    assert_eq!((failed.code, failed.stdout.as_str()), (Some(1), ""), "{failed:#?}");
}

#[test]
fn the_version_needs_no_input_and_no_sound_configuration() {
    let world = World::new();
    world.config("not toml");
    for argument in ["version", "-v", "--version"] {
        let line = world.coffer(&[argument]).without("HOME").run().ok();
        assert_eq!(
            line,
            concat!("docker-credential-coffer (docker-credential-coffer) ", env!("CARGO_PKG_VERSION"), "\n")
        );
    }
}

#[test]
fn the_reply_echoes_the_request() {
    let world = World::new();
    world.store_login("quay.io", "alice", "x").silent();
    for server in ["https://QUAY.io:443/v2/", "//quay.io", "quay.io./", "quay.io/a\"b"] {
        world.get(server).answers(server, "alice", "x");
        world.get(&format!("\r\n {server}\n")).answers(server, "alice", "x");
    }
}

#[test]
fn bad_names_are_errors_and_serve_nothing() {
    let world = World::new();
    world.store_login("ghcr.io", "alice", "hunter2").silent();
    let long = format!("ghcr.io/{}", "a".repeat(3000));
    for (name, words) in [
        ("", "no credentials server URL"),
        (" \t\r\n", "no credentials server URL"),
        ("../../etc/passwd", "holds no host"),
        ("ghcr.io/../x", "path that climbs"),
        ("alice@ghcr.io", "holds one of @"),
        ("ghcr.io\\x", "holds one of @"),
        ("ghcr.io%2fx", "holds one of @"),
        ("ghcr.io\0", "control character"),
        ("ghcr.io\nquay.io", "control character"),
        ("https://", "holds no host"),
        (&long, "longer than 2048 bytes"),
    ] {
        world.get(name).fails(words);
        world.coffer(&["erase"]).input(name).run().fails(words);
        world.store_login(name, "u", "SECRET-VALUE").fails(words);
    }
    world.get("ghcr.io").answers("ghcr.io", "alice", "hunter2");
    assert_eq!(world.coffer(&["list"]).run().ok(), "{\"ghcr.io\":\"alice\"}\n");
}

#[test]
fn bad_requests_are_one_line_without_the_secret() {
    let world = World::new();
    let bare = |username: &str| login("ghcr.io", username, "SECRET-VALUE");
    for (request, words) in [
        (bare(""), "no credentials username"),
        (bare("  "), "no credentials username"),
        (bare("a\nb"), "the username holds a control character"),
        ("".into(), "not the JSON of a credential: it ends"),
        ("SECRET-VALUE".into(), "not the JSON of a credential"),
        ("\"SECRET-VALUE\"".into(), "not the JSON of a credential"),
        ("[\"SECRET-VALUE\"]".into(), "not the JSON of a credential"),
        ("{\"ServerURL\":\"ghcr.io\",\"Username\":\"u\",\"Secret\":\"SECRET-VALUE".into(), "it ends"),
        (
            "{\"ServerURL\":\"ghcr.io\",\"Username\":\"u\",\"Secret\":[\"SECRET-VALUE\"]}".into(),
            "field of the wrong type",
        ),
        ("{\"ServerURL\":\"ghcr.io\",\"Username\":{\"SECRET-VALUE\":1}}".into(), "field of the wrong type"),
        ("{\"ServerURL\":\"ghcr.io\",\"Username\":\"u\",\"Secret\":\"SECRET-VALUE\\ud800\"}".into(), "syntax error"),
        ("{\"ServerURL\":\"ghcr.io\",\"Username\":\"u\",\"Secret\":\"SECRET-VALUE\n\"}".into(), "syntax error"),
    ] {
        let outcome = world.coffer(&["store"]).input(&request).run();
        assert!(!outcome.said().contains("SECRET"), "{outcome:#?}");
        outcome.fails(words);
    }
    let not_utf8 = [&b"{\"ServerURL\":\"ghcr.io\",\"Username\":\"u\",\"Secret\":\"\xff"[..], b"\"}"].concat();
    world.coffer(&["store"]).input(not_utf8).run().fails("syntax error");
    world.coffer(&["get"]).input(b"ghcr.io\xff").run().fails("not UTF-8");
    assert!(world.files(&world.home()).is_empty());
}

#[test]
fn a_mebibyte_goes_through_and_more_is_drained_and_refused() {
    let world = World::new();
    let secret = "s".repeat((1 << 20) - login("ghcr.io", "u", "").len());
    world.store_login("ghcr.io", "u", &secret).silent();
    world.get("ghcr.io").answers("ghcr.io", "u", &secret);
    world.store_login("ghcr.io", "u", &(secret.clone() + "x")).fails("longer than 1048576 bytes");
    world.store_login("ghcr.io", "u", &"x".repeat(20 << 20)).fails("longer than 1048576 bytes");
    world.get("ghcr.io").answers("ghcr.io", "u", &secret);
    // Every byte of it escaped sixfold.
    let controls = "\u{1}".repeat(170_000);
    world.store_login("ghcr.io", "u", &controls).silent();
    world.get("ghcr.io").answers("ghcr.io", "u", &controls);
}

/// A client that cannot write its whole request reports a broken pipe, not our answer.
#[test]
fn a_request_is_drained_even_when_the_configuration_is_broken() {
    let world = World::new();
    world.config("store = 1");
    let mut child = world.command(env!("CARGO_BIN_EXE_docker-credential-coffer"));
    let child = child.arg("store").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(login("ghcr.io", "u", &"x".repeat(500_000)).as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("config.toml:1:"), "{output:?}");
}

#[test]
fn an_input_that_never_ends_costs_no_more_than_its_time() {
    let world = World::new();
    let started = Instant::now();
    let mut child = world.command(env!("CARGO_BIN_EXE_docker-credential-coffer"));
    let child = child.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    let input = child.stdin.take().unwrap();
    let status = child.wait().unwrap();
    assert!(started.elapsed() < IN_TIME && status.code() == Some(1), "{status:?}");
    let said = std::io::read_to_string(child.stdout.take().unwrap()).unwrap();
    assert_eq!(said, "gave up after 19 s of waiting for the end of standard input\n");
    drop(input);
}

/// As a terminal that was stopped with Ctrl-S. It waited there, with the client waiting for its end.
#[test]
fn an_error_that_nobody_reads_is_no_reason_to_stay() {
    let world = World::new();
    let (_reader, writer) = std::io::pipe().unwrap();
    let mut filler = writer.try_clone().unwrap();
    rustix::fs::fcntl_setfl(&filler, rustix::fs::OFlags::NONBLOCK).unwrap();
    while filler.write(&[b'x'; 4096]).is_ok() {}
    rustix::fs::fcntl_setfl(&filler, rustix::fs::OFlags::empty()).unwrap();
    let started = Instant::now();
    let mut command = world.command(env!("CARGO_BIN_EXE_docker-credential-coffer"));
    let mut child = command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(writer).spawn().unwrap();
    let input = child.stdin.take().unwrap();
    let status = find_in_time("its end", || child.try_wait().unwrap());
    assert!(started.elapsed() < IN_TIME && status.code() == Some(1), "{status:?}");
    drop(input);
}

#[test]
fn list_does_not_wait_for_its_input() {
    let world = World::new();
    world.store_login("ghcr.io", "u", "x").silent();
    let mut child = world.command(env!("CARGO_BIN_EXE_docker-credential-coffer"));
    let child = child.arg("list").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut child = child;
    let input = child.stdin.take().unwrap();
    assert!(child.wait().unwrap().success());
    drop(input);
}

/// moby and docker-py strip path and scheme of what is listed: docker/docker-py strips to the host.
#[test]
fn only_whole_registries_are_listed() {
    let world = World::new();
    for server in [
        "https://index.docker.io/v1/",
        "https://index.docker.io/v1/access-token",
        "https://index.docker.io/v1/refresh-token",
        "quay.io/org",
        "http://plain.example",
        "localhost:5000",
        "oci://ghcr.io",
    ] {
        world.store_login(server, "u", server).silent();
    }
    let listed = world.coffer(&["list"]).run().ok();
    assert_eq!(listed, "{\"https://index.docker.io/v1/\":\"u\",\"localhost:5000\":\"u\"}\n");
    assert_eq!(world.coffer(&["ls"]).run().ok().lines().count(), 7);
    world.get("docker.io").answers("docker.io", "u", "https://index.docker.io/v1/");
    world.get("quay.io/org/x").answers("quay.io/org/x", "u", "quay.io/org");
    world.get("quay.io").misses();
    world.get("plain.example").misses();
}

#[test]
fn nothing_is_written_about_what_is_done_unless_asked_for() {
    let world = World::new();
    world.store_login("ghcr.io", "alice", "hunter2").silent();
    let outcome = world.coffer(&["get"]).input("ghcr.io").env("COFFER_LOG", "debug").run();
    assert!(outcome.stderr.contains("source Store") && !outcome.stderr.contains("hunter2"), "{outcome:#?}");
    outcome.answers("ghcr.io", "alice", "hunter2");
    assert_eq!(world.coffer(&["get"]).input("ghcr.io").run().stderr, "");
}

#[test]
fn without_a_home_the_password_database_names_it() {
    let world = World::new();
    // A user whose entry names a home that does not exist: a miss, not an error.
    let outcome = world
        .coffer(&["get"])
        .without("HOME")
        .env("XDG_DATA_HOME", "/nonexistent")
        .env("XDG_CONFIG_HOME", "/nonexistent");
    outcome.input("ghcr.io").run().misses();
    world.coffer(&["get"]).env("HOME", "here").input("ghcr.io").run().fails("HOME is not an absolute path");
    world.coffer(&["get"]).env("COFFER_DIR", "here").input("ghcr.io").run().fails("COFFER_DIR is not an absolute path");
}

#[test]
fn a_reader_that_has_gone_is_no_panic() {
    let world = World::new();
    world.store_login("ghcr.io", "alice", "hunter2").silent();
    let script = "printf ghcr.io | docker-credential-coffer get >&- 2>&-; echo $?; printf nope | docker-credential-coffer get 2>&1 | true";
    assert_eq!(world.call("sh", &["-c", script]).run().ok(), "0\n");
}
