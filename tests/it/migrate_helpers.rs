//! `migrate` from other helpers, scripted to do what the real ones do on bad days: such a helper costs only what it did
//! not give.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::World;
use crate::support::clients::read_json;
use crate::support::scripted::{Scripted, fails, gives, lists};

const HUB: &str = "https://index.docker.io/v1/";

/// Docker's file, in which a helper answers for everything, and these servers are marked.
fn docker(world: &World, creds_store: &str, markers: &[&str]) -> PathBuf {
    let auths: serde_json::Map<_, _> = markers.iter().map(|server| ((*server).to_owned(), json!({}))).collect();
    world.write(".docker/config.json", &json!({ "auths": auths, "credsStore": creds_store }).to_string())
}

fn config(world: &World) -> Value {
    read_json(world.home().join(".docker/config.json"))
}

fn migrate(world: &World, arguments: &[&str]) -> crate::support::Outcome {
    world.coffer(&[&["migrate", "--yes"], arguments].concat()).run()
}

#[test]
fn what_a_helper_holds_is_asked_for_and_never_erased() {
    let world = World::new();
    let gets = [("ghcr.io", gives("ghcr.io", "alice", "one")), (HUB, gives(HUB, "<token>", "two"))];
    let helper = Scripted::install(&world, "pass", &lists(&["ghcr.io", HUB]), &gets);
    docker(&world, "pass", &["ghcr.io", "gone.example"]);
    let said = migrate(&world, &["--json"]);
    let report: Value = serde_json::from_str(&said.ok()).unwrap();
    let imported = |server: &str| json!({ "helper": "pass", "server": server });
    assert_eq!(report["imported"], json!([imported("ghcr.io"), imported(HUB)]));
    // What is marked alone may be another helper's.
    assert_eq!(report["left"], json!([]));
    world.get("ghcr.io").answers("ghcr.io", "alice", "one");
    world.get(HUB).answers(HUB, "<token>", "two");
    assert_eq!(config(&world), json!({ "auths": { "ghcr.io": {}, "gone.example": {} }, "credsStore": "coffer" }));
    assert_eq!(helper.asked(), ["list", "get ghcr.io", "get gone.example", &format!("get {HUB}")]);
    assert_eq!(migrate(&world, &[]).ok(), "nothing to do\n");
    assert!(helper.asked().is_empty());
}

/// As on a server to which somebody copied the file of his laptop.
#[test]
fn a_helper_that_is_not_installed_is_told_and_given_up() {
    let world = World::new();
    docker(&world, "desktop", &["ghcr.io"]);
    let auths = r#"{"auths":{"quay.io":{"auth":"YTpi"}}}"#;
    let auth_file = world.write(".config/containers/auth.json", auths);
    let said = migrate(&world, &[]);
    assert_eq!(said.code, Some(1), "{said:#?}");
    assert!(said.stdout.contains("docker-credential-desktop is not installed; "), "{said:#?}");
    assert!(said.stdout.contains("migrate --from desktop"), "{said:#?}");
    assert_eq!(config(&world), json!({ "auths": { "ghcr.io": {} }, "credsStore": "coffer" }));
    assert_eq!(read_json(auth_file), json!({ "auths": { "quay.io": {} }, "credHelpers": { "quay.io": "coffer" } }));
    world.get("quay.io").answers("quay.io", "a", "b");
    assert_eq!(migrate(&world, &[]).ok(), "nothing to do\n");
    let said = migrate(&world, &["--from", "desktop"]);
    assert!(said.code == Some(1) && said.stdout.contains("docker-credential-desktop"), "{said:#?}");
}

/// 15 seconds; clients would wait for longer.
#[test]
fn a_list_that_hangs_costs_its_time_alone() {
    let world = World::new();
    let helper = Scripted::install(&world, "pass", "exec sleep 60", &[("ghcr.io", gives("ghcr.io", "alice", "one"))]);
    docker(&world, "pass", &["ghcr.io", "quay.io"]);
    let said = migrate(&world, &[]);
    assert!(said.took > Duration::from_secs(14) && said.took < Duration::from_secs(25), "{said:#?}");
    assert!(said.code == Some(1) && said.stdout.contains("no answer within 15 s"), "{said:#?}");
    assert_eq!(helper.asked(), ["list", "get ghcr.io", "get quay.io"]);
    world.get("ghcr.io").answers("ghcr.io", "alice", "one");
    world.get("quay.io").misses();
}

#[test]
fn where_a_list_is_wrong_the_markers_name_what_is_held() {
    for (list, code) in [
        ("echo '{}'", 0),
        ("echo null", 0),
        ("echo hunter2 is no list", 1),
        ("echo '[\"ghcr.io\"]'", 1),
        ("echo 'gpg: decryption failed'; exit 2", 1),
        ("kill -9 $$", 1),
    ] {
        let world = World::new();
        Scripted::install(&world, "pass", list, &[("ghcr.io", gives("ghcr.io", "alice", "one"))]);
        docker(&world, "pass", &["ghcr.io"]);
        let said = migrate(&world, &[]);
        assert_eq!(said.code, Some(code), "{list}: {said:#?}");
        assert!(!said.said().contains("hunter2"), "{said:#?}");
        world.get("ghcr.io").answers("ghcr.io", "alice", "one");
    }
}

#[test]
fn what_a_helper_did_not_give_it_goes_on_answering() {
    let world = World::new();
    let servers = ["ghcr.io", "quay.io", "r.example:5000"];
    let gets = |third: String| {
        [
            ("ghcr.io", gives("ghcr.io", "alice", "one")),
            ("quay.io", gives("quay.io", "alice", "two")),
            (servers[2], third),
        ]
    };
    Scripted::install(&world, "pass", &lists(&servers), &gets(fails("gpg: decryption failed")));
    docker(&world, "pass", &servers);
    let said = migrate(&world, &[]);
    assert_eq!(said.code, Some(1), "{said:#?}");
    assert!(said.stdout.contains("r.example:5000: docker-credential-pass failed: gpg: decryption failed"), "{said:#?}");
    world.get("ghcr.io").answers("ghcr.io", "alice", "one");
    world.get("quay.io").answers("quay.io", "alice", "two");
    let auths = json!({ "ghcr.io": {}, "quay.io": {}, "r.example:5000": {} });
    let expected = json!({ "auths": &auths, "credsStore": "coffer", "credHelpers": { "r.example:5000": "pass" } });
    assert_eq!(config(&world), expected);
    assert_eq!(migrate(&world, &[]).ok(), "nothing to do\n");

    // It works again.
    Scripted::install(&world, "pass", &lists(&servers), &gets(gives(servers[2], "alice", "three")));
    symlink("/bin/cat", world.path("bin/cat")).unwrap();
    let again = world.coffer(&["migrate", "--yes", "--from", "pass"]).env("PATH", &world.without_containers()).run();
    assert!(again.ok().contains("imported r.example:5000"));
    world.get(servers[2]).answers(servers[2], "alice", "three");
    assert_eq!(config(&world), json!({ "auths": auths, "credsStore": "coffer" }));
}

/// The Hub's tokens are not the Hub's login.
#[test]
fn one_name_of_the_hub_does_not_stand_for_another() {
    let world = World::new();
    let token = "https://index.docker.io/v1/access-token";
    let gets = [(HUB, gives(HUB, "alice", "theirs")), (token, gives(token, "alice", "jwt"))];
    Scripted::install(&world, "pass", &lists(&[HUB, token]), &gets);
    world.store_login(HUB, "bob", "ours").silent();
    docker(&world, "pass", &[HUB]);
    let said = migrate(&world, &[]);
    assert!(said.code == Some(1) && said.stdout.contains("the store holds another login for it, of bob"), "{said:#?}");
    // Docker goes on pulling as alice.
    assert_eq!(config(&world)["credHelpers"], json!({ HUB: "pass" }));
    world.get(HUB).answers(HUB, "bob", "ours");
    world.get(token).answers(token, "alice", "jwt");

    let gets = [(HUB, gives(HUB, "alice", "theirs")), (token, fails("locked"))];
    let world = World::new();
    Scripted::install(&world, "pass", &lists(&[HUB, token]), &gets);
    docker(&world, "pass", &[HUB]);
    assert_eq!(migrate(&world, &[]).code, Some(1));
    assert_eq!(config(&world)["credHelpers"], json!({ token: "pass" }));
    world.get(HUB).answers(HUB, "alice", "theirs");
}

#[test]
fn tokens_for_ecr_are_not_asked_for() {
    let world = World::new();
    let ecr = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
    let servers = [ecr, "public.ecr.aws", &format!("https://{ecr}"), "ghcr.io"];
    let gets = [("ghcr.io", gives("ghcr.io", "alice", "one")), (ecr, gives(ecr, "AWS", "old"))];
    let helper = Scripted::install(&world, "pass", &lists(&servers), &gets);
    docker(&world, "pass", &[ecr, "ghcr.io"]);
    migrate(&world, &[]).ok();
    assert_eq!(helper.asked(), ["list", "get ghcr.io"]);
    assert_eq!(config(&world)["credsStore"], "coffer");
    assert_eq!(config(&world)["credHelpers"], Value::Null);
}

/// Docker itself does not look at the name in an answer.
#[test]
fn an_answer_counts_for_the_server_that_was_asked_for() {
    let world = World::new();
    let gets = [("ghcr.io", gives("quay.io", "alice", "one"))];
    Scripted::install(&world, "pass", &lists(&["ghcr.io"]), &gets);
    docker(&world, "pass", &["ghcr.io"]);
    migrate(&world, &[]).ok();
    world.get("ghcr.io").answers("ghcr.io", "alice", "one");
    world.get("quay.io").misses();
}

#[test]
fn what_a_helper_prints_as_it_fails_is_quoted_unless_it_may_be_a_secret() {
    let world = World::new();
    let gets = [
        ("a.example", format!("{}; exit 1", gives("a.example", "alice", "hunter2"))),
        ("b.example", "echo 'hunter2 is no JSON'".to_owned()),
        ("c.example", format!("echo watch out >&2; {}", gives("c.example", "alice", "one"))),
        ("d.example", gives("d.example", "", "hunter2")),
        ("e.example", "printf 'two\\nlines \\033[31m'; exit 1".to_owned()),
    ];
    let servers = gets.each_ref().map(|(server, _)| *server);
    Scripted::install(&world, "pass", &lists(&servers), &gets);
    docker(&world, "pass", &servers);
    let said = migrate(&world, &[]);
    assert_eq!(said.code, Some(1), "{said:#?}");
    assert!(!said.said().contains("hunter2") && !said.said().contains('\u{1b}'), "{said:#?}");
    for words in [
        "a.example: docker-credential-pass failed: it failed without a message",
        "b.example: docker-credential-pass failed: its answer is not a credential",
        "d.example: no credentials username",
        "e.example: docker-credential-pass failed: two lines",
    ] {
        assert!(said.stdout.contains(words), "{words}: {said:#?}");
    }
    assert!(said.stderr.contains("watch out"), "{said:#?}");
    world.get("c.example").answers("c.example", "alice", "one");
    let still = json!({ "a.example": "pass", "b.example": "pass", "d.example": "pass", "e.example": "pass" });
    assert_eq!(config(&world)["credHelpers"], still);
    assert_eq!(world.files_with(&world.home(), "hunter2"), Vec::<PathBuf>::new());
}

/// Since 0.9.0 it lists labels (docker-credential-helpers, `secretservice`), and answers for servers as before.
#[test]
fn labels_in_the_list_of_secretservice_are_servers() {
    let world = World::new();
    let servers = ["ghcr.io", HUB, "r.example:5000"];
    let gets = servers.map(|server| (server, gives(server, "alice", server)));
    let labels = ["Registry credentials for ghcr.io", &format!("Registry credentials for {HUB}"), "r.example:5000"];
    let helper = Scripted::install(&world, "secretservice", &lists(&labels), &gets);
    docker(&world, "secretservice", &[]);
    migrate(&world, &[]).ok();
    for server in servers {
        world.get(server).answers(server, "alice", server);
    }
    assert!(helper.asked().iter().all(|request| !request.contains("Registry")));
}

/// As docker-credential-secretservice has it, since 0.9.0, while the keyring is locked: it must not look empty.
#[test]
fn what_is_listed_and_not_given_its_helper_goes_on_answering() {
    let world = World::new();
    let gets = [("quay.io", gives("quay.io", "alice", "two"))];
    let labels = ["Registry credentials for ghcr.io", "quay.io"];
    Scripted::install(&world, "secretservice", &lists(&labels), &gets);
    docker(&world, "secretservice", &["ghcr.io", "quay.io"]);
    let said = migrate(&world, &[]);
    assert!(said.code == Some(1) && said.stdout.contains("ghcr.io: "), "{said:#?}");
    assert_eq!(config(&world)["credHelpers"], json!({ "ghcr.io": "secretservice" }));
    assert_eq!(migrate(&world, &[]).ok(), "nothing to do\n");
}

#[test]
fn ecr_login_has_nothing_to_import() {
    let world = World::new();
    let helper = Scripted::install(&world, "ecr-login", &lists(&["ghcr.io"]), &[]);
    docker(&world, "ecr-login", &[]);
    migrate(&world, &[]).ok();
    assert_eq!(config(&world), json!({ "auths": {}, "credsStore": "coffer" }));
    assert!(helper.asked().is_empty());
}

#[test]
fn ecr_login_hands_over_its_registries_and_others_keep_theirs() {
    let (ecr, other) = ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", "mirror.example");
    let helpers = json!({ ecr: "ecr-login", "public.ecr.aws": "ecr-login", "gcr.io": "gcloud", other: "ecr-login" });
    let text = json!({ "auths": { "ghcr.io": { "auth": "YTpi" } }, "credHelpers": helpers }).to_string();
    let world = World::new();
    world.write(".docker/config.json", &text);
    let auth_file = world.write(".config/containers/auth.json", &text);
    world.coffer(&["migrate", "--yes"]).env("PATH", &world.without_containers()).run().ok();
    assert_eq!(config(&world)["credHelpers"], json!({ "gcr.io": "gcloud", other: "ecr-login" }));
    let coffer = json!({ ecr: "coffer", "public.ecr.aws": "coffer", "gcr.io": "gcloud", other: "ecr-login", "ghcr.io": "coffer" });
    assert_eq!(read_json(auth_file)["credHelpers"], coffer);
    // Where podman reads it, Docker's file says so too.
    world.write(".docker/config.json", &text);
    migrate(&world, &[]).ok();
    assert_eq!(config(&world)["credHelpers"], coffer);
}

/// podman asks for whole registries, and would ask nobody.
#[test]
fn podmans_entry_for_a_part_of_ecr_becomes_the_registrys() {
    let world = World::new();
    let ecr = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
    let key = format!("{ecr}/team");
    let auth_file = world
        .write(".config/containers/auth.json", &json!({ "auths": { &key: { "auth": "QVdTOnRva2Vu" } } }).to_string());
    migrate(&world, &[]).ok();
    assert_eq!(read_json(auth_file), json!({ "auths": { key: {} }, "credHelpers": { ecr: "coffer" } }));
}

/// podman reads `credHelpers` in Docker's file, and no `credsStore`.
#[test]
fn podman_is_told_who_answers_for_what_was_imported() {
    let world = World::new();
    Scripted::install(&world, "pass", &lists(&["ghcr.io"]), &[("ghcr.io", gives("ghcr.io", "alice", "one"))]);
    world.write(".docker/config.json", r#"{"credHelpers":{"ghcr.io":"pass","gcr.io":"pass"}}"#);
    for client in ["podman", "skopeo"] {
        assert_eq!(world.call(client, &["login", "--get-login", "ghcr.io"]).run().ok().trim(), "alice");
    }
    // Who is named for single registries stays until he is named here.
    assert_eq!(migrate(&world, &[]).ok(), "nothing to do\n");
    migrate(&world, &["--from", "pass"]).ok();
    fs::remove_file(world.path("bin/docker-credential-pass")).unwrap();
    for client in ["podman", "skopeo"] {
        assert_eq!(world.call(client, &["login", "--get-login", "ghcr.io"]).run().ok().trim(), "alice");
    }
    assert_eq!(config(&world)["credHelpers"]["gcr.io"], "pass");
}

#[test]
fn of_two_helpers_the_one_that_docker_asks_comes_first() {
    let world = World::new();
    let gets = |user| [("ghcr.io", gives("ghcr.io", user, user)), ("quay.io", gives("quay.io", user, user))];
    Scripted::install(&world, "pass", &lists(&["ghcr.io"]), &gets("live"));
    Scripted::install(&world, "osxkeychain", &lists(&["ghcr.io", "quay.io"]), &gets("old"));
    docker(&world, "pass", &[]);
    let said = migrate(&world, &["--from", "osxkeychain", "--from", "docker-credential-pass"]);
    assert!(said.code == Some(1) && said.stdout.contains("another login for it, of live"), "{said:#?}");
    world.get("ghcr.io").answers("ghcr.io", "live", "live");
    world.get("quay.io").answers("quay.io", "old", "old");
    assert_eq!(config(&world), json!({ "auths": {}, "credsStore": "coffer" }));
}

#[test]
fn a_name_that_is_no_helpers_is_refused() {
    for name in ["coffer", "a/b", "", "../x"] {
        let world = World::new();
        let said = migrate(&world, &["--from", name]);
        assert_eq!(said.code, Some(2), "{name}: {said:#?}");
        docker(&world, name, &["ghcr.io"]);
        let said = migrate(&world, &[]);
        assert!(matches!(said.code, Some(0 | 1)), "{name}: {said:#?}");
    }
}

/// Nobody knows what would be lost with it.
#[test]
fn a_helper_that_gives_neither_a_list_nor_a_login_goes_on_answering() {
    let world = World::new();
    world.script("docker-credential-odd", "echo 'the agent is locked'; exit 1");
    let text = r#"{"credsStore":"odd"}"#;
    let config = world.write(".docker/config.json", text);
    let outcome = world.coffer(&["migrate", "--yes"]).run();
    assert!(outcome.code == Some(1) && outcome.stdout.contains("the agent is locked"), "{outcome:#?}");
    assert_eq!(std::fs::read_to_string(config).unwrap(), text);
    world.person_sees(
        world.coffer(&["setup", "--yes"]).run(),
        "~/.docker/config.json holds logins that Docker or podman would lose; nothing was done",
        "docker-credential-coffer migrate --dry-run names them; log out of those or of the others, and run setup again",
    );
}

#[test]
fn a_listed_name_that_is_no_servers_is_told() {
    let world = World::new();
    world.script(
        "docker-credential-odd",
        "cat >/dev/null; [ $1 = list ] && echo '{\"https://u@h.example/\":\"u\"}' || exit 1",
    );
    world.write(".docker/config.json", r#"{"credsStore":"odd"}"#);
    let outcome = world.coffer(&["migrate", "--yes"]).run();
    assert!(outcome.code == Some(1) && outcome.stdout.contains("h.example"), "{outcome:#?}");
}
