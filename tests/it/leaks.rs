//! The secret marker: on no path that fails does a secret come to light. Every call is traced, and the marker may stand in
//! nothing that the process says, hands on or writes. Here: requests, and what others have put into the store.

use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::support::marker::{MARKER, TOUGH, form_in};
use crate::support::{World, chmod, find_in_time, login, wait_until};

const KUBELET: &str = "\"apiVersion\":\"credentialprovider.kubelet.k8s.io/v1\",\"kind\":\"CredentialProviderRequest\"";

/// The search itself: one that finds nothing would pass everything.
#[test]
fn the_marker_is_found_in_every_form() {
    use base64::Engine;
    let base64 = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let hex: String = MARKER.bytes().map(|byte| format!("{byte:02X}")).collect();
    let backwards: String = base64(&format!("alice:{MARKER}")).chars().rev().collect();
    let json = serde_json::to_string(TOUGH).unwrap();
    for hidden in [
        MARKER.to_owned(),
        MARKER.to_lowercase(),
        format!("https://u:{MARKER}%2F@h"),
        json,
        hex,
        backwards,
        base64(MARKER),
        base64(&format!("u:{MARKER}")),
        base64(&format!("us:{MARKER}!")),
        base64(&login("ghcr.io", "alice", TOUGH)),
    ] {
        assert!(form_in(format!("before {hidden} after").as_bytes()).is_some(), "{hidden}");
    }
    assert_eq!(form_in(b"K7qZ0f9c2e7b51d8X"), None);
    // What is let through, so that all else is seen to be looked at: an answer, and the file in it.
    let world = World::new();
    world.store_login("ghcr.io", "alice", TOUGH).silent();
    let answer = world.watch(&["get"], "ghcr.io");
    assert!(answer.calls.iter().any(|call| call.starts_with("write(1<")), "{:#?}", answer.calls);
    answer.calls_are("get", &["write(1<"]);
    answer.outcome.answers("ghcr.io", "alice", TOUGH);
}

#[test]
fn no_request_that_fails_shows_its_secret() {
    let world = World::new();
    world.store_login("ghcr.io", "alice", "another").silent();
    let json = |text: &str| serde_json::to_string(text).unwrap();
    let secret = json(TOUGH);
    let whole = login("ghcr.io", "alice", TOUGH);
    let stores = [
        ("truncated", whole[..whole.len() - 4].to_owned(), "it ends"),
        ("cut in an escape", format!("{{\"Secret\":\"{MARKER}\\u00"), "it ends"),
        ("no name", login("", "alice", TOUGH), "no credentials server URL"),
        ("no user", login("ghcr.io", "", TOUGH), "no credentials username"),
        ("secret in the server's name", login(&format!("https://alice:{MARKER}@ghcr.io"), "a", "b"), "one of @"),
        ("secret in the path", login(&format!("ghcr.io/../{MARKER}"), "a", "b"), "climbs"),
        ("secret escaped in the name", login(&format!("ghcr.io%2f{MARKER}"), "a", "b"), "one of @"),
        ("secret in a name of two lines", login(&format!("ghcr.io\n{MARKER}"), "a", "b"), "control character"),
        ("secret in a name that is long", login(&format!("{MARKER}{}", "x".repeat(3000)), "a", "b"), "2048 bytes"),
        ("user and secret exchanged, and of two lines", login("ghcr.io", &format!("{TOUGH}\n"), "alice"), "control"),
        ("a list", format!("{{\"Secret\":[{secret}]}}"), "wrong type"),
        ("an object", format!("{{\"Secret\":{{{secret}:1}}}}"), "wrong type"),
        ("a secret as a name of its own", format!("{{{secret}}}"), "syntax error"),
        ("the user an object", format!("{{\"Username\":{{\"x\":{secret}}}}}"), "wrong type"),
        ("the server a list", format!("{{\"ServerURL\":[{secret}],\"Secret\":{secret}}}"), "wrong type"),
        ("the secret alone", TOUGH.to_owned(), "syntax error"),
        ("a string", secret.clone(), "wrong type"),
        ("half a surrogate", format!("{{\"Secret\":\"{MARKER}\\ud800\"}}"), "syntax error"),
        ("a line break", format!("{{\"Secret\":\"{MARKER}\n\"}}"), "syntax error"),
        ("garbage between", format!("{{\"ServerURL\":\"ghcr.io\"{MARKER},\"Secret\":{secret}}}"), "syntax error"),
        ("too long", login("ghcr.io", "alice", &TOUGH.repeat(60_000)), "longer than 1048576"),
        ("twice, the second wrong", format!("{{\"Secret\":{secret},\"Secret\":{{\"x\":{secret}}}}}"), "wrong type"),
        ("deep", format!("{{\"Secret\":{}{secret}", "[".repeat(200)), "wrong type"),
    ];
    for (name, request, words) in stores {
        let watched = world.watch(&["store"], &request);
        watched.hides_it(name);
        assert!(watched.outcome.stdout.contains(words), "{name}: {:#?}", watched.outcome);
    }
    for action in ["get", "erase"] {
        for (name, request, words) in [
            ("a request of store", whole.clone(), "begins with {"),
            ("a login in the name", format!("https://alice:{MARKER}@ghcr.io"), "one of @"),
            ("a secret and what is no name", format!("{MARKER}\\"), "one of @"),
            ("a secret in a path that climbs", format!("ghcr.io/../{MARKER}"), "climbs"),
        ] {
            let watched = world.watch(&[action], &request);
            watched.hides_it(&format!("{action}: {name}"));
            assert!(watched.outcome.stdout.contains(words), "{name}: {:#?}", watched.outcome);
        }
    }
    let not_utf8 = [MARKER.as_bytes(), b"\xff"].concat();
    world.watch(&["get"], not_utf8).hides_it("not UTF-8");
    for (name, request) in [
        ("a field that nobody knows", format!("{{{KUBELET},\"image\":\"nginx\",\"{MARKER}\":{secret}}}")),
        ("a token where the image is", format!("{{{KUBELET},\"image\":{{\"x\":{secret}}}}}")),
        ("of another version", format!("{{\"apiVersion\":{secret},\"kind\":{secret},\"image\":{secret}}}")),
        ("cut", format!("{{{KUBELET},\"serviceAccountToken\":{}", &secret[..20])),
        ("followed by more", format!("{{{KUBELET},\"image\":\"nginx\"}} {MARKER}")),
        ("a login in the image", format!("{{{KUBELET},\"image\":\"https://alice:{MARKER}@ghcr.io/x\"}}")),
        ("no JSON", TOUGH.to_owned()),
    ] {
        let watched = world.watch(&["kubelet"], &request);
        watched.hides_it(name);
        // An image has no login before it: what follows the `@` is taken for its digest.
        let is_read = name == "a login in the image";
        assert_eq!(watched.outcome.code, Some(i32::from(!is_read)), "{name}: {:#?}", watched.outcome);
    }
    world.get("ghcr.io").answers("ghcr.io", "alice", "another");
}

/// A token of a service account is no part of what is asked, and goes nowhere.
#[test]
fn what_the_kubelet_sends_besides_goes_nowhere() {
    let world = World::new();
    let request = format!("{{{KUBELET},\"image\":\"ghcr.io/x\",\"serviceAccountToken\":\"{MARKER}\"}}");
    let watched = world.watch(&["kubelet"], request);
    watched.hides_it("kubelet");
    assert_eq!(watched.outcome.code, Some(0), "{:#?}", watched.outcome);
}

/// What somebody with the recipient has encrypted: whatever stands inside, nothing of it is said but what was asked for.
#[test]
fn nothing_that_is_wrong_inside_a_file_is_quoted() {
    let world = World::new();
    world.store_login("ghcr.io", "alice", "first").silent();
    let path = world.store().join("store/ghcr.io/alice.age");
    let recipients = world.store().join("store/.age-recipients");
    let encrypt = |text: &str| {
        let call = ["-R", recipients.to_str().unwrap(), "-o", path.to_str().unwrap()];
        fs::remove_file(&path).unwrap();
        world.call("age", &call).input(text).run().ok();
        chmod(&path, 0o600);
    };
    let entry = |server: &str, user: &str| json!({"ServerURL": server, "Username": user, "Secret": TOUGH}).to_string();
    let inside = [
        ("no JSON", TOUGH.to_owned(), "does not hold a credential"),
        ("cut", entry("ghcr.io", "alice")[..70].to_owned(), "does not hold a credential"),
        ("of the wrong type", json!({"ServerURL": "ghcr.io", "Secret": [TOUGH]}).to_string(), "does not hold"),
        ("another server", entry("quay.io", "alice"), "made for another server"),
        ("no server", entry("", "alice"), "made for another server"),
        ("secret as the server", entry(&format!("https://a:{MARKER}@ghcr.io"), "alice"), "made for another server"),
        ("another user", entry("ghcr.io", "bob"), "made for another username"),
        ("secret as the user", entry("ghcr.io", TOUGH), "made for another username"),
        ("a user of two lines", entry("ghcr.io", "alice\u{1b}[31m\nbob"), "made for another username"),
    ];
    for (name, text, words) in inside {
        encrypt(&text);
        for call in [&["get"][..], &["export", "--format", "json", "ghcr.io"]] {
            let watched = world.watch(call, "ghcr.io");
            watched.hides_it(name);
            assert!(watched.outcome.said().contains(words), "{name}: {:#?}", watched.outcome);
            assert!(!watched.outcome.said().contains('\u{1b}'), "{name}: {:#?}", watched.outcome);
        }
    }
    // The file holds the secret in clear, as another program may have put it there.
    fs::write(&path, login("ghcr.io", "alice", TOUGH)).unwrap();
    for call in [&["get"][..], &["erase"], &["list"], &["ls"], &["doctor"], &["explain", "ghcr.io"], &["key", "rotate"]]
    {
        world.watch(call, if call.len() == 1 { "ghcr.io" } else { "" }).hides_it(call[0]);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, login("ghcr.io", "alice", TOUGH)).unwrap();
    }
}

/// A secret pasted where `config.toml` wants something else; each command that reads it says where, and not what.
#[test]
fn no_mistake_in_the_configuration_is_quoted() {
    let world = World::new();
    world.store_login("ghcr.io", "alice", "x").silent();
    let key = format!("AGE-SECRET-KEY-1{MARKER}");
    for text in [
        format!("[age]\nkey = \"{key}\""),
        format!("[age]\nkey = {key}"),
        format!("store = \"{MARKER}\""),
        format!("{key}\n"),
        format!("\"{MARKER}\" = true"),
        format!("[[registry]]\nmatch = \"https://alice:{MARKER}@ghcr.io\""),
        format!("[[registry]]\nmatch = \"ghcr.io\"\nhelper = \"{MARKER} x\""),
        format!("[[registry]]\nmatch = \"ghcr.io\"\nanonymous = \"{MARKER}\""),
        format!("[[registry]]\nmatch = \"ghcr.io\"\n{MARKER} = \"x\""),
    ] {
        world.config(&text);
        for call in [&["get"][..], &["doctor", "--json"], &["ls"], &["migrate", "--dry-run"]] {
            let watched = world.watch(call, "ghcr.io");
            watched.hides_it(&text);
            assert!(watched.outcome.said().contains("config.toml:"), "{text}: {:#?}", watched.outcome);
        }
    }
}

/// No core file, whatever signal ends it: the limit is lowered for good, and what it starts inherits that.
#[test]
fn a_process_that_is_killed_leaves_no_core() {
    let world = World::new();
    world.store_login("ghcr.io", "alice", "x").silent();
    world.config("[[registry]]\nmatch = \"helped.example\"\nhelper = \"slow\"\n");
    world.script("docker-credential-slow", "ulimit -c >\"$HOME/limit\"; exec sleep 30");
    for (call, input) in [
        ("store", login("quay.io", "alice", MARKER).trim_end().to_owned()),
        ("get", MARKER.to_owned()),
        ("kubelet", format!("{{\"serviceAccountToken\":\"{MARKER}")),
        ("key protect --passphrase", MARKER.to_owned()),
        ("store", login("helped.example", "alice", MARKER)),
    ] {
        for signal in ["ABRT", "SEGV"] {
            let mut shell = world.command("sh");
            let script = format!("ulimit -S -c unlimited; ulimit -c >&2; exec docker-credential-coffer {call}");
            let mut child = shell.args(["-c", &script]).stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
            let mut input_of = child.stdin.take().unwrap();
            input_of.write_all(input.as_bytes()).unwrap();
            // Whole, it waits for its helper; otherwise for the rest.
            let is_whole = input.contains("helped");
            let rest = (!is_whole).then_some(input_of);
            let limits = format!("/proc/{}/limits", child.id());
            let is_hardened = || {
                let limits = fs::read_to_string(&limits).unwrap_or_default();
                let core = limits.lines().find(|line| line.starts_with("Max core file size"));
                core.is_some_and(|core| core.split_whitespace().nth(5) == Some("0"))
            };
            let waits_for_helper = || !is_whole || world.home().join("limit").exists();
            wait_until(call, || is_hardened() && waits_for_helper());
            // Rust's own handler of SEGV takes the first for an overflow of the stack; the next ends it.
            let status = find_in_time("its end", || {
                world.call("kill", &["-s", signal, &child.id().to_string()]).run();
                thread::sleep(Duration::from_millis(100));
                child.try_wait().unwrap()
            });
            assert!(status.signal() == Some(if signal == "SEGV" { 11 } else { 6 }), "{call} {signal}: {status:?}");
            assert!(!status.core_dumped(), "{call} {signal}: {status:?}");
            drop(rest);
        }
    }
    // What it has started could hold the secret too.
    assert_eq!(fs::read_to_string(world.home().join("limit")).unwrap(), "0\n");
    assert!(!world.files(&world.path("")).iter().any(|name| name.contains("core.") || name.ends_with("core")));
}
