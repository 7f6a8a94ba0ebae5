//! Other helpers that are out for harm, where they are looked for, and names of registries that are: each request ends in time,
//! is answered for the server that was asked for alone, and says nothing that a terminal would obey.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::support::keys::token;
use crate::support::scripted::{Scripted, gives, lists};
use crate::support::{IN_TIME, World, chmod, login, wait_until};

/// Docker itself refuses to run what it finds in a relative directory of the PATH, since Go 1.19.
#[test]
fn nothing_is_run_from_the_directory_that_a_client_is_in() {
    let mut world = World::new();
    world.store_login("ghcr.io", "alice", "x").silent();
    world.coffer(&["key", "protect", "--passphrase"]).input("sesame\n").run().ok();
    world.config("[[registry]]\nmatch = \"quay.io\"\nhelper = \"evil\"\n");
    for program in ["docker-credential-evil", "pinentry", "docker-credential-coffer"] {
        let path = world.write(program, "#!/bin/sh\ntouch \"$HOME/was-run\"\n");
        chmod(&path, 0o755);
    }
    let program = Path::new(env!("CARGO_BIN_EXE_docker-credential-coffer")).parent().unwrap();
    for path in [".:BIN", ":BIN", "BIN:.", "./:../home:BIN"] {
        world.set("PATH", &path.replace("BIN", program.to_str().unwrap()));
        world.get("quay.io").fails("docker-credential-evil is not installed");
        world.get("ghcr.io").fails("neither a pinentry nor a terminal");
        world.coffer(&["doctor"]).run();
        assert!(!world.home().join("was-run").exists(), "{path}");
    }
}

/// age looks for them itself, in the current directory too.
#[test]
fn no_plugin_of_age_is_run_from_the_directory_that_a_client_is_in() {
    let mut world = World::new();
    let identity = token(&world, "mine");
    world.store_login("ghcr.io", "alice", "x").silent();
    world.coffer(&["key", "protect", "--plugin", identity.to_str().unwrap()]).run().ok();
    let path = world.write("age-plugin-token", "#!/bin/sh\ntouch \"$HOME/was-run\"\n");
    chmod(&path, 0o755);
    let hint = "take relative and empty directories out of the PATH";
    let message = "age-plugin-token lies in the current directory, or in another that the PATH does not name in full";
    let directories = world.variable("PATH");
    for path in [".:PATH", ":PATH", "./:../home:PATH"] {
        world.set("PATH", &path.replace("PATH", &directories));
        world.client_sees(world.get("ghcr.io"), message, hint);
        world.client_sees(world.store_login("quay.io", "alice", "x"), message, hint);
        assert!(!world.home().join("was-run").exists(), "{path}");
    }
    // Behind the one that is installed, it is never reached.
    world.set("PATH", &format!("{directories}:."));
    world.get("ghcr.io").answers("ghcr.io", "alice", "x");
    assert!(!world.home().join("was-run").exists());
}

/// One that is asked for a second time has less time left than a helper may take.
#[test]
fn no_helper_outlives_the_request() {
    let world = World::new();
    world.config("[[registry]]\nmatch = \"evil.example\"\nhelper = \"evil\"\n");
    world.script("docker-credential-evil", "[ \"$1\" = get ] && exec sleep 60; sleep 8; exit 1");
    let outcome = world.coffer(&["erase"]).input("evil.example").run();
    outcome.fails("gave up after 19 s of waiting for another credential helper");
    wait_until("the helper's end", || world.is_quiet());
}

/// Less than a helper may take that is waited for.
const QUICK: Duration = Duration::from_secs(14);

/// A helper that does its worst, on the way of a rule. Docker kills at 30 s.
#[test]
fn a_hostile_helper_costs_no_more_than_its_time() {
    let world = World::new();
    world.config("[[registry]]\nmatch = \"evil.example\"\nhelper = \"evil\"\n");
    world.store_login("ghcr.io", "alice", "x").silent();
    for (name, script, limit, words) in [
        ("endless output", "cat >/dev/null; exec cat /dev/zero", QUICK, "its answer does not end"),
        ("endless lines", "exec yes", QUICK, "its answer does not end"),
        (
            "a gibibyte of JSON",
            "printf '{\"Secret\":\"'; exec head -c 1073741824 /dev/zero",
            QUICK,
            "its answer does not end",
        ),
        ("endless output and failure", "head -c 20000000 /dev/zero; exit 1", QUICK, "its answer does not end"),
        ("endless words on standard error", "exec yes >&2", IN_TIME, "failed without a message"),
        (
            "a grandchild that keeps the pipe",
            "cat >/dev/null; sleep 40 & echo no; exit 1",
            IN_TIME,
            "no answer within 15 s",
        ),
        ("a closed output", "exec >&-; exec sleep 40", IN_TIME, ""),
        (
            "escape sequences",
            "printf 'a\\033[31mb\\302\\2331mc\\342\\200\\256d\\n\\re'; exit 1",
            QUICK,
            "failed: a [31mb",
        ),
        ("a signal", "kill -SEGV $$", QUICK, "failed without a message"),
        ("no program", "exit 127", QUICK, "failed without a message"),
        ("itself, again", "exec docker-credential-coffer get", QUICK, "leads back"),
    ] {
        world.script("docker-credential-evil", script);
        let command = "exec docker-credential-coffer get 2>\"$XDG_RUNTIME_DIR/said\"";
        let outcome = world.call("sh", &["-c", command]).input("evil.example").run();
        outcome.is_tame(name, limit);
        assert!(outcome.code == Some(1) && outcome.stdout.contains(words), "{name}: {outcome:#?}");
        let _ = fs::remove_file(world.path("run/said"));
    }
    world.get("ghcr.io").answers("ghcr.io", "alice", "x");
    // What it answers is for the server that was asked for, and for no other.
    world.script("docker-credential-evil", &gives("ghcr.io", "eve", "evil"));
    world.get("evil.example").answers("evil.example", "eve", "evil");
    world.get("ghcr.io").answers("ghcr.io", "alice", "x");
}

#[test]
fn a_hostile_helper_gives_a_migration_nothing_that_it_may_not() {
    let world = World::new();
    world.store_login("ghcr.io", "alice", "hers").silent();
    let lies = lists(&[
        "ghcr.io",
        "../../evil",
        "-x",
        "evil\u{1b}[31m.example",
        "*",
        "e\u{202e}vil.example",
        "http://ghcr.io",
    ]);
    let gets = [
        ("ghcr.io", gives("ghcr.io", "eve", "evil")),
        ("*", gives("*", "eve\u{1b}[31m", "evil")),
        ("http://ghcr.io", gives("ghcr.io", "eve", "plain")),
    ];
    let scripted = Scripted::install(&world, "evil", &lies, &gets);
    for call in [&["migrate", "--from", "evil", "--dry-run"][..], &["migrate", "--from", "evil", "--yes"]] {
        let outcome = world.coffer(call).run();
        outcome.is_tame(&format!("{call:?}"), IN_TIME);
        assert!(outcome.stdout.contains("the store holds another login for it"), "{outcome:#?}");
    }
    assert!(!scripted.asked().is_empty());
    world.get("ghcr.io").answers("ghcr.io", "alice", "hers");
    world.get("ghcr.io/x").answers("ghcr.io/x", "alice", "hers");
    for (name, script) in [("endless", "exec yes"), ("a gibibyte", "printf '{\"'; exec head -c 1073741824 /dev/zero")] {
        world.script("docker-credential-evil", script);
        world.write(".docker/config.json", r#"{"auths":{"quay.io":{}},"credsStore":"evil"}"#);
        let outcome = world.coffer(&["migrate", "--yes"]).run();
        outcome.is_tame(name, IN_TIME);
        assert!(outcome.stdout.contains("its answer does not end"), "{name}: {outcome:#?}");
        world.get("quay.io").misses();
    }
}

/// Every command that takes or prints a registry's name, with names that are none or look like another.
#[test]
fn hostile_names_are_refused_or_are_themselves_alone() {
    let world = World::new();
    world.config("[[registry]]\nmatch = \"*.helped.example\"\nhelper = \"h\"\n");
    world.store_login("ghcr.io", "alice", "hers").silent();
    let long = format!("ghcr.io/{}", "x".repeat(100_000));
    let names = [
        "../../../etc/passwd",
        "ghcr.io/../../x",
        "ghcr.io/..",
        "/ghcr.io",
        "~/x",
        "-h",
        "--json",
        "ghcr.io\n",
        "ghcr.io\r\nquay.io",
        "ghcr.io\u{1b}[31m",
        "\u{1b}]0;x\u{7}ghcr.io",
        "ghcr.\u{200b}io",
        "ghcr.io\u{202e}",
        "gh\u{441}r.io",
        "ghcr\u{3002}io",
        "ghcr.io\u{ff0f}x",
        "ghcr.io:443:443",
        "ghcr.io:0x1bb",
        "ghcr.io#x",
        "ghcr.io?x",
        "https://ghcr.io?x",
        "http://ghcr.io",
        "ftp://ghcr.io",
        "ghcr.io:80",
        "ghcr.io.evil.example",
        "evilghcr.io",
        "ghcr.io@evil.example",
        "evil.example@ghcr.io",
        "ghcr.io%00",
        "ghcr.io\\x",
        "$(touch evil)",
        "*",
        "",
        " ",
        long.as_str(),
    ];
    for name in names {
        let image = json!({ "apiVersion": "credentialprovider.kubelet.k8s.io/v1", "kind": "CredentialProviderRequest", "image": format!("{name}/x") });
        let mut calls: Vec<(Vec<&str>, String)> = vec![
            (vec!["get"], name.into()),
            (vec!["erase"], name.into()),
            (vec!["store"], login(name, "eve", "evil")),
            (vec!["get"], format!("x.helped.example/{name}")),
            (vec!["kubelet"], image.to_string()),
        ];
        for call in [
            &["explain", "--", name][..],
            &["explain", "--json", "--", name],
            &["export", "--format", "json", "--", name],
            &["mfa", "--", name],
        ] {
            calls.push((call.to_vec(), String::new()));
        }
        calls.extend([(vec!["ls"], String::new()), (vec!["list"], String::new()), (vec!["erase"], name.into())]);
        let world_before = world.files(&world.path("")).len();
        for (call, input) in calls {
            let outcome = world.coffer(&call).env("COFFER_LOG", "debug").input(input).run();
            outcome.is_tame(&format!("{name:.40?}: {call:.40?}"), IN_TIME);
            let ends = name.trim().trim_end_matches('/');
            // Trimmed it is the registry's own name, and the other spellings are of the kind that its namespaces have.
            let is_own = ends == "ghcr.io" || name == long;
            assert!(is_own || !outcome.said().contains("hers"), "{name:?}: {call:?}: {outcome:#?}");
        }
        assert!(world.files(&world.path("")).len() <= world_before + 1, "{name:?}");
        if name.trim() == "ghcr.io" {
            world.store_login("ghcr.io", "alice", "hers").silent();
        }
        world.get("ghcr.io").answers("ghcr.io", "alice", "hers");
    }
    assert!(!world.home().join("evil").exists());
}
