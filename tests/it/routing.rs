//! `config.toml`: rules, other helpers, anonymous registries, and what `explain` says of them.

use crate::support::{World, login};

/// A helper of the tests' own, which keeps what it was called with.
const RECORDER: &str = r#"
echo "$1 $(cat)" >> "$HOME/calls"
case "$1" in
    get) echo '{"ServerURL":"x","Username":"_token","Secret":"from the helper"}';;
esac"#;

fn calls(world: &World) -> String {
    std::fs::read_to_string(world.home().join("calls")).unwrap_or_default()
}

#[test]
fn a_mistake_in_the_configuration_is_an_error_that_names_its_line() {
    let world = World::new();
    let path = world.config("[ecr]\ncache = true\ntimeot = \"10s\"\n");
    let words = format!("{}:3: unknown field `timeot`", path.display());
    world.get("ghcr.io").fails(&words);
    world.store_login("ghcr.io", "a", "b").fails(&words);
    let list = world.coffer(&["list"]).run();
    assert!(list.stdout.contains(&words));
    world.config("store = \"age\"\n\u{0}");
    world.get("ghcr.io").fails("config.toml:2:");
    let elsewhere = world.write("other.toml", "store = \"age\"\n");
    world.coffer(&["get"]).env("COFFER_CONFIG", elsewhere.to_str().unwrap()).input("ghcr.io").run().misses();
}

#[test]
fn a_helper_route_takes_every_action() {
    let world = World::new();
    world.config("[[registry]]\nmatch = \"*.pkg.dev\"\nhelper = \"recorder\"\n");
    world.script("docker-credential-recorder", RECORDER);
    let server = "https://europe-docker.pkg.dev/project";
    world.get(server).answers(server, "_token", "from the helper");
    world.store_login(server, "u", "given").silent();
    world.coffer(&["erase"]).input(server).run().silent();
    assert_eq!(world.coffer(&["list"]).run().ok(), "{}\n");
    let stored = login(server, "u", "given");
    assert_eq!(calls(&world), format!("get {server}\nstore {stored}erase {server}\n"));
    world.get("pkg.dev").misses();
    assert!(world.files(&world.store()).is_empty());
}

#[test]
fn a_helper_that_fails_says_so_and_leaks_nothing() {
    let world = World::new();
    world.config("[[registry]]\nmatch = \"*\"\nhelper = \"other\"\n");
    world.get("ghcr.io").fails("docker-credential-other is not installed");
    for (script, words) in [
        ("echo 'gcloud is not logged in'; exit 1", "docker-credential-other failed: gcloud is not logged in"),
        ("echo '{\"Secret\":\"SECRET-VALUE\"}'; exit 1", "failed without a message"),
        ("echo 'SECRET-VALUE'", "its answer is not a credential"),
        ("exit 3", "failed without a message"),
        ("kill -9 $$", "failed without a message"),
        ("printf 'two\\nlines\\033[31m'; exit 1", "two lines"),
    ] {
        world.script("docker-credential-other", script);
        let outcome = world.get("ghcr.io");
        assert!(!outcome.said().contains("SECRET-VALUE"), "{outcome:#?}");
        outcome.fails(words);
    }
    world.script("docker-credential-other", "echo 'credentials not found in native keychain'; exit 1");
    world.get("ghcr.io").misses();
    // Its erase of nothing fails, as docker-credential-pass's does; ours does not.
    world.coffer(&["erase"]).input("ghcr.io").run().silent();
    world.script("docker-credential-other", "echo no; exit 1");
    world.coffer(&["erase"]).input("ghcr.io").run().fails("docker-credential-other failed: no");
    // docker-credential-helpers#220: pass's way to hold nothing.
    world.script("docker-credential-other", "echo '{\"ServerURL\":\"\",\"Username\":\"\",\"Secret\":\"\"}'");
    world.get("ghcr.io").misses();
    world.script("docker-credential-other", "exec docker-credential-coffer \"$1\"");
    let around = world.get("ghcr.io");
    assert!(
        around.code == Some(1)
            && around.stdout.contains("docker-credential-other leads back to docker-credential-coffer"),
        "{around:#?}"
    );
}

#[test]
fn a_helper_that_hangs_costs_no_more_than_its_time() {
    let world = World::new();
    world.config("[[registry]]\nmatch = \"*\"\nhelper = \"slow\"\n");
    world.script("docker-credential-slow", "exec sleep 60");
    world.get("ghcr.io").fails("docker-credential-slow failed: no answer within 15 s");
}

#[test]
fn an_anonymous_registry_is_a_miss_and_takes_no_login() {
    let world = World::new();
    world.store_login("mirror.internal:5000", "old", "x").silent();
    world.config(
        "[[registry]]\nmatch = \"mirror.internal:5000\"\nanonymous = true\n\
         [[registry]]\nmatch = \"nomad.internal\"\nanonymous = \"empty\"\n",
    );
    world.get("mirror.internal:5000").misses();
    world.get("http://mirror.internal:5000/x").misses();
    world.get("nomad.internal").answers("nomad.internal", "", "");
    world.store_login("mirror.internal:5000", "a", "b").fails("mirror.internal:5000 is anonymous by rule 1");
    world.coffer(&["erase"]).input("mirror.internal:5000").run().silent();
    assert_eq!(world.coffer(&["list"]).run().ok(), "{}\n", "what a get would not answer is not listed");
}

#[test]
fn the_first_rule_that_matches_decides() {
    let world = World::new();
    world.config(
        "[[registry]]\nmatch = \"a.example.com\"\nprofile = \"ignored for a store\"\n\
         [[registry]]\nmatch = \"*.example.com\"\nanonymous = true\n",
    );
    world.store_login("a.example.com", "alice", "x").silent();
    world.get("a.example.com").answers("a.example.com", "alice", "x");
    world.get("b.example.com").misses();
    let explained = |server: &str| -> serde_json::Value {
        serde_json::from_str(&world.coffer(&["explain", server, "--json"]).run().ok()).unwrap()
    };
    assert_eq!(
        explained("https://A.example.com/v2/"),
        serde_json::json!({
            "server": "https://A.example.com/v2/", "key": "a.example.com", "rule": 1, "source": "store", "held": true,
            "ecr": null, "helper": null,
        })
    );
    assert_eq!(explained("b.example.com")["source"], "anonymous");
    assert_eq!(explained("b.example.com")["rule"], 2);
    assert_eq!(explained("ghcr.io")["held"], false);
}

#[test]
fn the_hub_is_matched_as_docker_io_under_every_spelling() {
    let world = World::new();
    world.config("[[registry]]\nmatch = \"docker.io\"\nanonymous = true\n");
    for spelling in [
        "https://index.docker.io/v1/",
        "registry-1.docker.io",
        "docker.io/library/x",
        "https://index.docker.io/v1/access-token",
    ] {
        world.store_login(spelling, "u", "x").fails("docker.io is anonymous");
    }
}

#[test]
fn explain_opens_nothing_and_calls_nobody() {
    let world = World::new();
    world.store_login("ghcr.io", "alice", "hunter2").silent();
    std::fs::remove_file(world.store().join("identities")).unwrap();
    world.config(
        "[[registry]]\nmatch = \"*.pkg.dev\"\nhelper = \"recorder\"\n\
         [[registry]]\nmatch = \"images.example.com\"\necr = \"123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com\"\n\
         profile = \"prod\"\nrole-arn = \"arn:aws:iam::123456789012:role/pull\"\n",
    );
    world.script("docker-credential-recorder", RECORDER);
    let said = |server: &str| world.coffer(&["explain", server]).run().ok();
    assert!(said("ghcr.io/x").contains("the store holds a credential"));
    assert!(said("x.pkg.dev").contains("docker-credential-recorder answers"));
    let ecr = said("images.example.com");
    assert!(ecr.contains("account 123456789012 in us-gov-west-1, FIPS endpoint"), "{ecr}");
    assert!(ecr.contains("AWS profile prod in role arn:aws:iam::123456789012:role/pull"), "{ecr}");
    assert_eq!(calls(&world), "");
    let json = world.coffer(&["explain", "images.example.com", "--json"]).run().ok();
    let ecr = serde_json::from_str::<serde_json::Value>(&json).unwrap()["ecr"].clone();
    assert_eq!(
        ecr,
        serde_json::json!({
            "account": "123456789012", "region": "us-gov-west-1", "public": false, "fips": true, "dual_stack": false,
            "profile": "prod", "role_arn": "arn:aws:iam::123456789012:role/pull", "cached_until": null,
        })
    );
}

/// The first thing to run when a pull fails: perhaps the client never asked.
#[test]
fn explain_says_whom_each_client_asks() {
    let mut world = World::new();
    let said = |world: &World, words: &str| {
        let said = world.shown(&world.coffer(&["explain", "quay.io/org/app"]).run().ok());
        assert!(said.lines().any(|line| line == words), "{words:?} is not in {said}");
    };
    said(&world, "docker asks nobody (~/.docker/config.json)");
    world.write(".docker/config.json", "{");
    said(&world, "docker has a file that cannot be read: ~/.docker/config.json is not JSON at line 1 column 1");
    world.write(".docker/config.json", r#"{"auths":{"quay.io":{"auth":"YTpi"}}}"#);
    said(&world, "docker reads the login in plaintext (~/.docker/config.json)");
    world.write(".docker/config.json", r#"{"credsStore":"coffer"}"#);
    said(&world, "docker asks Coffer (~/.docker/config.json)");
    world.write(".docker/config.json", r#"{"credsStore":"coffer","credHelpers":{"quay.io":"gcloud"}}"#);
    said(&world, "docker asks docker-credential-gcloud, not Coffer (~/.docker/config.json)");
    world.write(".docker/config.json", r#"{"credsStore":"coffer","credHelpers":{"quay.io":""}}"#);
    said(&world, "docker reads the login in plaintext (~/.docker/config.json)");
    world.write(".config/containers/auth.json", r#"{"credHelpers":{"quay.io":"coffer"}}"#);
    said(&world, "podman, like skopeo and buildah, asks Coffer (~/.config/containers/auth.json)");
    world.set("DOCKER_AUTH_CONFIG", r#"{"auths":{"quay.io":{"auth":"YTpi"}}}"#);
    said(&world, "docker takes what DOCKER_AUTH_CONFIG says, and asks nobody");
}

/// Docker looks for the Hub's URL among its `credHelpers`, podman and its kin for `docker.io`; neither for the other.
#[test]
fn explain_reads_the_name_of_the_hub_as_each_client_does() {
    let world = World::new();
    let calls = world.path("calls");
    world.script("docker-credential-other", &format!("echo called >> {}", calls.display()));
    for (key, is_dockers) in [("docker.io", false), ("https://index.docker.io/v1/", true)] {
        let config = format!(r#"{{"auths":{{}},"credsStore":"coffer","credHelpers":{{"{key}":"other"}}}}"#);
        world.write(".docker/config.json", &config);
        let said = world.coffer(&["explain", "docker.io"]).run().ok();
        assert_eq!(said.contains("docker asks docker-credential-other"), is_dockers, "{said}");
        assert_eq!(
            said.contains("podman, like skopeo and buildah, asks docker-credential-other"),
            !is_dockers,
            "{said}"
        );
        let _ = std::fs::remove_file(&calls);
        world.write(".docker/config.json", &config.replace("{}", r#"{"https://index.docker.io/v1/":{}}"#));
        world.call("docker", &["logout"]).run();
        assert_eq!(calls.exists(), is_dockers);
    }
}
