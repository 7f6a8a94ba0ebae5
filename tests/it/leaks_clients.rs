//! The secret marker among other programs: helpers that fail with it, and clients' files that are malformed around it.

use std::fs;

use serde_json::json;

use crate::support::marker::{MARKER, TOUGH, form_in};
use crate::support::scripted::{Scripted, lists};
use crate::support::{World, login};

/// What a child is given: its arguments, its environment, and what it reads.
const DUMP: &str =
    "tr '\\0' ' ' </proc/$$/cmdline >\"$HOME/argv\"; tr '\\0' '\\n' </proc/$$/environ >\"$HOME/environ\"";

/// A secret for another helper goes to its standard input, and nowhere else; whatever becomes of it.
#[test]
fn a_helper_is_given_a_secret_through_its_input_alone() {
    let world = World::new();
    world.config("[[registry]]\nmatch = \"*\"\nhelper = \"other\"\n");
    let request = login("ghcr.io", "alice", TOUGH);
    for (end, code) in [
        ("cat >/dev/null", 0),
        ("cat >/dev/null; exit 1", 1),
        ("exit 0", 0),
        ("exit 1", 1),
        ("cat", 0),
        ("cat; exit 1", 1),
        ("cat >&2 </dev/null; echo cannot keep; exit 1", 1),
        ("printf 'cannot keep '; cat; exit 1", 1),
        ("printf 'cannot keep '; cat | base64 -w 0; exit 1", 1),
        ("printf 'cannot keep: '; sed 's/.*Secret\":\"//; s/\".*//'; exit 1", 1),
        ("printf 'cannot keep '; cat | tr '{}' '()'; exit 1", 1),
        ("kill -9 $$", 1),
    ] {
        world.script("docker-credential-other", &format!("{DUMP}\n{end}"));
        let watched = world.watch(&["store"], &request);
        watched.calls_are(end, &["write(", "<... write resumed"]);
        let writes: Vec<_> = watched.calls.iter().filter(|call| !call.contains("<pipe:")).collect();
        assert!(writes.is_empty() && watched.calls.len() <= 1, "{end}: {:#?}", watched.calls);
        assert_eq!(form_in(watched.outcome.said().as_bytes()), None, "{end}: {:#?}", watched.outcome);
        assert_eq!(watched.outcome.code, Some(code), "{end}: {:#?}", watched.outcome);
        for dump in ["argv", "environ"] {
            let given = fs::read(world.home().join(dump)).unwrap();
            assert!(!given.is_empty() && form_in(&given).is_none(), "{end}: {dump}");
        }
    }
    world.script("docker-credential-other", &format!("cat >/dev/null; echo {MARKER} | rev; exit 1"));
    world.watch(&["get"], "ghcr.io");
}

#[test]
fn nothing_that_a_helper_answers_wrongly_is_quoted() {
    let world = World::new();
    world.config("[[registry]]\nmatch = \"*\"\nhelper = \"other\"\n");
    let answer = json!({ "ServerURL": "ghcr.io", "Username": "alice", "Secret": MARKER }).to_string();
    for script in [
        format!("echo '{}'", &answer[..answer.len() - 3]),
        format!("echo '{answer}'; exit 1"),
        format!("echo 'warning: old'; echo '{answer}'"),
        format!("echo 'warning: old'; echo '{answer}'; exit 1"),
        format!("echo '{{\"Secret\":[\"{MARKER}\"]}}'"),
        format!("echo '{{\"Username\":{{\"{MARKER}\":1}}}}'"),
        format!("echo '[\"{MARKER}\"]'"),
        format!("echo {MARKER}"),
        format!("printf '{MARKER}\\377'"),
        format!("echo '{answer}'; kill -9 $$"),
    ] {
        world.script("docker-credential-other", &format!("{DUMP}\n{script}"));
        for call in [&["get"][..], &["export", "--format", "header", "ghcr.io"]] {
            let watched = world.watch(call, "ghcr.io");
            watched.hides_it(&script);
            assert_eq!(watched.outcome.code, Some(1), "{script}: {:#?}", watched.outcome);
        }
    }
}

#[test]
fn nothing_that_a_helper_gives_wrongly_to_a_migration_is_quoted() {
    let world = World::new();
    world.write(".docker/config.json", r#"{"auths":{"ghcr.io":{}},"credsStore":"pass"}"#);
    let entry =
        |server: &str, user: &str| json!({ "ServerURL": server, "Username": user, "Secret": TOUGH }).to_string();
    for (name, list, get) in [
        (
            "a list with a login in a name",
            format!("echo '{{\"https://alice:{MARKER}@h.example/\":\"u\"}}'"),
            "exit 1".into(),
        ),
        ("a list with a token in a name", format!("echo '{{\"https://{MARKER}@h.example\":\"u\"}}'"), "exit 1".into()),
        ("no list", format!("echo {MARKER}"), "exit 1".into()),
        ("a list that fails with it", format!("echo '{{\"{MARKER}\"'; exit 1"), "exit 1".into()),
        ("no user", lists(&["ghcr.io"]), format!("cat <<'X'\n{}\nX\n", entry("ghcr.io", ""))),
        ("a user of two lines", lists(&["ghcr.io"]), format!("cat <<'X'\n{}\nX\n", entry("ghcr.io", "a\nb"))),
        ("cut", lists(&["ghcr.io"]), format!("echo '{{\"Secret\":\"{MARKER}'")),
        ("failed with it", lists(&["ghcr.io"]), format!("cat <<'X'\n{}\nX\nexit 1", entry("ghcr.io", "alice"))),
    ] {
        Scripted::install(&world, "pass", &list, &[("ghcr.io", get)]);
        for call in [&["migrate", "--yes"][..], &["migrate", "--dry-run", "--json"], &["setup", "--yes"], &["doctor"]] {
            let watched = world.watch(call, "");
            watched.hides_it(&format!("{name} {call:?}"));
        }
        world.write(".docker/config.json", r#"{"auths":{"ghcr.io":{}},"credsStore":"pass"}"#);
    }
}

/// Every place of a client's file where a secret may stand, malformed so that it has to be told of.
#[test]
fn nothing_of_a_clients_file_is_quoted() {
    let secret = serde_json::to_string(TOUGH).unwrap();
    let files = [
        (".docker/config.json", format!("{{\"auths\":{{\"a.example\":{{\"auth\":{secret},}}}}}}")),
        (".docker/config.json", format!("{{\"auths\":{{\"a.example\":{{\"auth\":{secret}}}}}}}")),
        (".docker/config.json", format!("{{\"auths\":{{\"a.example\":{{\"identitytoken\":[{secret}]}}}}}}")),
        (".docker/config.json", format!("{{\"auths\":{{\"a.example\":{secret}}}}}")),
        (".docker/config.json", format!("{{\"auths\":{{\"a.example\":{{\"registrytoken\":{secret}}}}}}}")),
        (".docker/config.json", format!("{{\"HttpHeaders\":{{\"X\":{secret}}}}}")),
        (".docker/config.json", format!("{{\"proxies\":{{\"default\":{{\"httpProxy\":\"http://u:{MARKER}@p:1\"}}}}}}")),
        (
            ".docker/config.json",
            format!(
                "{{\"auths\":{{\"https://alice:{MARKER}@a.example/v1/\":{{\"auth\":\"dTpw\",\"username\":\"x\",\"password\":\"y\"}}}}}}"
            ),
        ),
        (
            ".docker/config.json",
            format!("{{\"auths\":{{\"https://alice:pa/{MARKER}@a.example\":{{\"auth\":\"dTpw\"}}}}}}"),
        ),
        (".docker/config.json", format!("{{\"auths\":{{\"https://{MARKER}@a.example\":{{\"auth\":\"dTpw\"}}}}}}")),
        (".docker/config.json", format!("{{\"auths\":{{\"https://{MARKER}:x@a.example\":{{\"auth\":\"dTpw\"}}}}}}")),
        (".docker/config.json", format!("{{\"credHelpers\":{{\"https://alice:{MARKER}@a.example\":\"gone\"}}}}")),
        (".docker/config.json", format!("{{\"credHelpers\":{{\"https://alice:{MARKER}@a.example\":\"\"}}}}")),
        (".docker/config.json", format!("[{secret}]")),
        (".docker/config.json", TOUGH.to_owned()),
        (".config/containers/auth.json", format!("{{\"auths\":{{\"a.example\":{{\"auth\":{secret}}}}}}}")),
        (".config/containers/auth.json", format!("{{\"auths\":{{\"a.example\":{{\"auth\":\"{MARKER}")),
        (".dockercfg", format!("{{\"https://u:{MARKER}@a.example\":{{\"auth\":7}}}}")),
        (".dockercfg", format!("auth = {MARKER}\nemail = x")),
        (".dockercfg", format!("auth {MARKER}")),
        (".config/helm/registry/config.json", format!("{{\"auths\":{{\"a.example\":{{\"auth\":{secret}}}}}}}")),
        (".regctl/config.json", format!("{{\"hosts\":{{\"a.example\":{{\"user\":\"u\",\"pass\":{secret}}}}}}}")),
        (".regctl/config.json", format!("{{\"hosts\":{{\"a.example\":{{\"pass\":\"{MARKER}")),
        (".ecr/cache.json", format!("{{\"Registries\":{{\"a\":{{\"AuthorizationToken\":\"{MARKER}")),
    ];
    for (file, text) in files {
        let world = World::new();
        let path = world.write(file, &text);
        for call in [
            &["audit", "--json"][..],
            &["audit"],
            &["doctor"],
            &["explain", "a.example"],
            &["migrate", "--dry-run"],
            &["migrate", "--dry-run", "--json"],
            &["setup", "--no-migrate"],
            &["migrate", "--yes", "--json"],
            &["setup", "--yes"],
        ] {
            let watched = world.watch(call, "");
            // The file itself is written anew with what has to stay in it, and swept of what it held.
            watched.calls_are(&format!("{call:?} {text}"), &["write(", "<... write resumed"]);
            let own = watched.calls.iter().all(|call| call.contains("/.coffer-"));
            assert!(own, "{call:?} {text}: {:#?}", watched.calls);
            assert_eq!(form_in(watched.outcome.said().as_bytes()), None, "{call:?} {text}: {:#?}", watched.outcome);
        }
        // A file that nobody needs is removed; none is left beside another.
        let left = world.files(path.parent().unwrap());
        assert!(!left.iter().any(|name| name.contains(".coffer-")), "{left:?}");
    }
    for name in ["ecs.config", "pull-secret.json"] {
        let world = World::new();
        for text in [
            format!("ECS_ENGINE_AUTH_DATA='{{\"a\":{{\"auth\":\"{MARKER}\"}}}}'"),
            format!("{{\"EngineAuthData\":{{\"a.example\":{{\"auth\":\"{MARKER}\"}}"),
            format!("{{\"kind\":\"Secret\",\"data\":{{\".dockerconfigjson\":\"{MARKER}\"}}"),
        ] {
            let path = world.write(name, &text);
            for call in [&["audit"][..], &["migrate", "--yes"]] {
                world.watch(&[call, &[path.to_str().unwrap()]].concat(), "").hides_it(&format!("{call:?} {text}"));
            }
        }
    }
}

/// Docker takes entries from the environment. What stands there is in the environment of every child already, and
/// nowhere else.
#[test]
fn what_stands_in_the_environment_is_not_said() {
    let mut world = World::new();
    for text in [format!("{{\"auths\":{{\"a.example\":{{\"auth\":\"{MARKER}\"}}}}}}"), format!("{{\"auths\":{MARKER}")]
    {
        world.set("DOCKER_AUTH_CONFIG", &text);
        for call in [&["audit"][..], &["doctor"], &["explain", "a.example"], &["migrate", "--yes"]] {
            let watched = world.watch(call, "");
            watched.calls_are(&text, &["execve("]);
            assert_eq!(form_in(watched.outcome.said().as_bytes()), None, "{:#?}", watched.outcome);
        }
    }
}
