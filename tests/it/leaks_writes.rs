//! The secret marker when it can be written nowhere: outputs that are full or gone, and a disk that is full at every write.
//! And where it may be written when all goes well.

use std::fs;

use serde_json::json;

use crate::support::marker::{MARKER, TOUGH, form_in};
use crate::support::scripted::{Scripted, gives, lists};
use crate::support::{World, login};

/// Everything that gives a secret out, and the only place that it goes to.
#[test]
fn a_secret_is_written_to_standard_output_alone() {
    let world = World::new();
    world.store_login("ghcr.io", "alice", TOUGH).silent();
    let request = json!({
        "apiVersion": "credentialprovider.kubelet.k8s.io/v1", "kind": "CredentialProviderRequest", "image": "ghcr.io/x",
    });
    let mut calls: Vec<(Vec<&str>, String)> =
        vec![(vec!["get"], "ghcr.io".into()), (vec!["kubelet"], request.to_string())];
    for format in ["json", "password", "header", "docker-config", "kubernetes", "ecs-docker", "ecs-dockercfg"] {
        calls.push((vec!["export", "--format", format, "ghcr.io"], String::new()));
    }
    for (call, input) in &calls {
        let watched = world.watch(call, input);
        watched.calls_are(&format!("{call:?}"), &["write(1<"]);
        // A manifest holds it in base64 of base64.
        assert!(!watched.calls.is_empty() || call.contains(&"kubernetes"), "{call:?}: {:#?}", watched.outcome);
        assert_eq!(watched.outcome.code, Some(0), "{call:?}: {:#?}", watched.outcome);
        assert_eq!(form_in(watched.outcome.stderr.as_bytes()), None, "{call:?}: {:#?}", watched.outcome);
        for (name, output) in [("full", ">/dev/full"), ("closed", ">&-"), ("read alone", "1</dev/null")] {
            let line = format!("COFFER_LOG=debug exec docker-credential-coffer {} {output}", call.join(" "));
            let outcome = world.call("sh", &["-c", &line]).input(input).run();
            assert_eq!(form_in(outcome.said().as_bytes()), None, "{call:?} {name}: {outcome:#?}");
            // What cannot be written to is to Rust as if it were /dev/null.
            assert_eq!(outcome.code, Some(i32::from(name == "full")), "{call:?} {name}: {outcome:#?}");
        }
    }
    // Everything else opens the same file, and says nothing of it.
    for call in [
        &["list"][..],
        &["ls"],
        &["doctor"],
        &["explain", "ghcr.io"],
        &["audit"],
        &["key", "show"],
        &["recipients", "list"],
        &["recipients", "add", "--recovery"],
        &["key", "rotate"],
        &["setup", "--yes"],
        &["migrate", "--yes"],
        &["unlock"],
        &["lock"],
        &["completions", "bash"],
        &["erase"],
    ] {
        world.watch(call, "ghcr.io").hides_it(&format!("{call:?}"));
    }
}

/// No way from a file or a helper into the store writes a secret on its way; only `--undo` writes one, where it was.
#[test]
fn a_migration_writes_a_secret_back_where_it_was_alone() {
    let world = World::new();
    let auth = json!({ "auths": { "a.example": { "username": "alice", "password": TOUGH } }, "credsStore": "pass" });
    let path = world.write(".docker/config.json", &auth.to_string());
    Scripted::install(&world, "pass", &lists(&["b.example"]), &[("b.example", gives("b.example", "bob", MARKER))]);
    let moved = world.watch(&["migrate", "--yes"], "");
    moved.hides_it("migrate");
    assert_eq!(moved.outcome.code, Some(0), "{:#?}", moved.outcome);
    world.get("a.example").answers("a.example", "alice", TOUGH);
    world.get("b.example").answers("b.example", "bob", MARKER);
    assert_eq!(form_in(&fs::read(&path).unwrap()), None);
    let undone = world.watch(&["migrate", "--undo", "--yes"], "");
    assert_eq!(undone.files, std::slice::from_ref(&path), "{:#?}", undone.outcome);
    let beside = path.parent().unwrap().join(".coffer-");
    let is_own = |call: &String| call.starts_with("write(") && call.contains(beside.to_str().unwrap());
    assert!(undone.calls.len() == 1 && undone.calls.iter().all(is_own), "{:#?}", undone.calls);
    assert_eq!(form_in(undone.outcome.said().as_bytes()), None, "{:#?}", undone.outcome);
}

/// The disk is full at the first write, at the second, and so on: what was begun is ciphertext, and nothing is said.
#[test]
fn a_disk_that_is_full_at_any_write_shows_no_secret() {
    type Prepare = fn(&World);
    let config = json!({ "auths": { "a.example": { "username": "alice", "password": TOUGH } } }).to_string();
    let prepare: Prepare = |world| {
        world.store_login("ghcr.io", "alice", TOUGH).silent();
    };
    let cases: [(&[&str], String, Prepare); 5] = [
        (&["store"], login("ghcr.io", "alice", TOUGH), |_| {}),
        (&["store"], login("ghcr.io", "bob", TOUGH), prepare),
        (&["key", "rotate"], String::new(), prepare),
        (&["key", "protect", "--passphrase"], format!("{MARKER}\n"), prepare),
        (&["migrate", "--yes"], String::new(), prepare),
    ];
    for (call, input, prepare) in cases {
        for number in 1.. {
            assert!(number < 100, "{call:?} does not end");
            let world = World::new();
            prepare(&world);
            if call[0] == "migrate" {
                world.write(".docker/config.json", &config);
            }
            let fault = format!("inject=write,pwrite64,writev:error=ENOSPC:when={number}+");
            let watched = world.watch_with(&["-e", "trace=all", "-e", &fault], call, &input);
            watched.hides_it(&format!("{call:?}, write {number}"));
            if watched.outcome.code == Some(0) {
                assert!(number > 1, "{call:?} writes nothing");
                break;
            }
        }
    }
}
