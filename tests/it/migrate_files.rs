//! Every client's file: what `audit` finds there, what `migrate` does about it, and what both say to programs.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;

use serde_json::{Value, json};

use crate::support::{World, chmod};

/// `user:MARK-OF-A-SECRET`
const AUTH: &str = "dXNlcjpNQVJLLU9GLUEtU0VDUkVU";
const MARK: &str = "MARK-OF-A-SECRET";

/// A home with a file of each client that can be put there, and one in the environment.
fn of_every_client() -> World {
    let mut world = World::new();
    let config = |key: &str| json!({ "auths": { key: { "auth": AUTH } } }).to_string();
    world.write(
        ".docker/config.json",
        &json!({
            "auths": {
                "docker.example": { "auth": AUTH }, "token.example": { "identitytoken": MARK },
                "registry.example": { "registrytoken": MARK }, "broken.example": { "auth": format!("!{MARK}") },
            },
            "HttpHeaders": { "X-Auth": MARK },
            "proxies": { "default": { "httpProxy": format!("http://user:{MARK}@proxy:3128") } },
        })
        .to_string(),
    );
    world.write(".docker/buildx/config/buildx.example/config.json", &config("buildx.example"));
    world.write(".config/containers/auth.json", &config("containers.example"));
    world.write(".dockercfg", &json!({ "legacy.example": { "auth": AUTH, "email": "e" } }).to_string());
    world.write(".config/helm/registry/config.json", &config("helm.example"));
    world.write(
        ".regctl/config.json",
        &json!({ "hosts": { "regctl.example": { "user": "u", "pass": MARK } } }).to_string(),
    );
    world.write(
        ".ecr/cache.json",
        &json!({ "Registries": { "x": { "AuthorizationToken": AUTH } }, "Version": "1.0" }).to_string(),
    );
    world.set("DOCKER_AUTH_CONFIG", &config("environment.example"));
    world
}

/// Every file and directory, with what can be seen of it.
fn snapshot(world: &World) -> BTreeMap<String, (u32, i64, Vec<u8>)> {
    let home = world.home();
    let look = |name: String| {
        let metadata = fs::metadata(home.join(&name)).unwrap();
        let bytes = fs::read(home.join(&name)).unwrap();
        (name, (metadata.mode(), metadata.mtime_nsec(), bytes))
    };
    world.files(&home).into_iter().map(look).collect()
}

fn read(world: &World, file: &str) -> Value {
    serde_json::from_slice(&fs::read(world.home().join(file)).unwrap()).unwrap()
}

const FOUND: [(&str, &str, &str, &str, bool); 13] = [
    (".docker/config.json", "docker", "docker.example", "password", true),
    (".docker/config.json", "docker", "token.example", "identity-token", true),
    (".docker/config.json", "docker", "registry.example", "registry-token", false),
    (".docker/config.json", "docker", "broken.example", "undecodable", false),
    (".docker/config.json", "docker", "HttpHeaders.X-Auth", "http-header", false),
    (".docker/config.json", "docker", "proxies.default.httpProxy", "proxy-password", false),
    (".docker/buildx/config/buildx.example/config.json", "buildx", "buildx.example", "password", true),
    (".config/containers/auth.json", "containers", "containers.example", "password", true),
    (".dockercfg", "dockercfg", "legacy.example", "password", true),
    (".config/helm/registry/config.json", "helm", "helm.example", "password", true),
    (".regctl/config.json", "regctl", "regctl.example", "password", false),
    (".ecr/cache.json", "ecr-login", "x", "token-cache", true),
    ("DOCKER_AUTH_CONFIG", "environment", "environment.example", "password", false),
];

#[test]
fn audit_finds_what_is_there_and_changes_nothing() {
    let world = of_every_client();
    let before = snapshot(&world);
    let outcome = world.coffer(&["audit", "--json"]).run();
    assert_eq!(outcome.code, Some(1), "{outcome:#?}");
    assert!(!outcome.said().contains(MARK) && !outcome.said().contains(AUTH), "{outcome:#?}");
    let audit: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(audit.as_object().unwrap().keys().collect::<Vec<_>>(), ["clean", "findings"]);
    assert_eq!(audit["clean"], false);
    let rows: Vec<_> = audit["findings"].as_array().unwrap().iter().collect();
    for row in &rows {
        let fields: Vec<_> = row.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["file", "client", "key", "kind", "fixable", "advice"]);
        assert!(!row["advice"].as_str().unwrap().is_empty());
    }
    let home = format!("{}/", world.home().display());
    let told = rows.iter().map(|row| {
        let text = |name: &str| row[name].as_str().unwrap();
        let file = text("file");
        (file.strip_prefix(&home).unwrap_or(file), text("client"), text("key"), text("kind"), row["fixable"] == true)
    });
    assert_eq!(told.collect::<Vec<_>>(), FOUND);
    let said = world.coffer(&["audit"]).run();
    assert!(
        said.code == Some(1) && said.stdout.lines().count() == FOUND.len() && !said.said().contains(MARK),
        "{said:#?}"
    );
    assert_eq!(snapshot(&world), before);
    let clean = World::new().coffer(&["audit", "--json"]).run().ok();
    assert_eq!(serde_json::from_str::<Value>(&clean).unwrap(), json!({ "clean": true, "findings": [] }));
}

#[test]
fn each_file_is_moved_reported_or_deleted_and_no_secret_is_said() {
    let world = of_every_client();
    let before = snapshot(&world);
    let dry = world.coffer(&["migrate", "--dry-run", "--json"]).run();
    assert!(dry.code == Some(0) && !dry.said().contains(MARK), "{dry:#?}");
    assert_eq!(snapshot(&world), before);
    let outcome = world.coffer(&["migrate", "--yes", "--json"]).run();
    assert!(
        outcome.code == Some(0) && !outcome.said().contains(MARK) && !outcome.said().contains(AUTH),
        "{outcome:#?}"
    );
    let parsed = |said: &str| serde_json::from_str::<Value>(said).unwrap();
    let (plan, report) = (parsed(&dry.stdout), parsed(&outcome.stdout));
    for (report, is_dry) in [(&plan, true), (&report, false)] {
        assert_eq!(
            report.as_object().unwrap().keys().collect::<Vec<_>>(),
            ["moved", "left", "imported", "files", "dry_run"]
        );
        assert_eq!(report["dry_run"], is_dry);
        for (list, fields) in [
            ("moved", &["file", "key", "server"][..]),
            ("left", &["file", "key", "reason"]),
            ("files", &["file", "rewritten", "backup"]),
        ] {
            for row in report[list].as_array().unwrap() {
                assert_eq!(row.as_object().unwrap().keys().collect::<Vec<_>>(), fields);
            }
        }
        for file in report["files"].as_array().unwrap() {
            assert_eq!(file["rewritten"], !is_dry);
            let is_cache = file["file"].as_str().unwrap().ends_with("cache.json");
            assert_eq!(file["backup"].is_string(), !is_dry && !is_cache);
        }
    }
    assert_eq!(plan["moved"], report["moved"]);
    assert_eq!(plan["left"], report["left"]);
    assert_eq!(plan["files"].as_array().unwrap().len(), report["files"].as_array().unwrap().len());

    for server in ["docker", "buildx", "containers", "legacy", "helm"].map(|name| format!("{name}.example")) {
        world.get(&server).answers(&server, "user", MARK);
    }
    world.get("token.example").answers("token.example", "<token>", MARK);
    world.get("regctl.example").misses();
    world.get("environment.example").misses();
    assert!(!world.home().join(".ecr/cache.json").exists());
    assert_eq!(read(&world, ".dockercfg"), json!({ "legacy.example": {} }));
    let containers =
        json!({ "auths": { "containers.example": {} }, "credHelpers": { "containers.example": "coffer" } });
    assert_eq!(read(&world, ".config/containers/auth.json"), containers);
    for (file, key) in [
        (".docker/buildx/config/buildx.example/config.json", "buildx.example"),
        (".config/helm/registry/config.json", "helm.example"),
    ] {
        assert_eq!(read(&world, file), json!({ "auths": { key: {} }, "credsStore": "coffer" }));
    }
    // What has to stay, and nothing besides, is still in clear.
    let left: Vec<_> = world.files_with(&world.home(), MARK);
    assert_eq!(left, [world.home().join(".docker/config.json"), world.home().join(".regctl/config.json")]);
    assert_eq!(world.files_with(&world.home(), AUTH), Vec::<std::path::PathBuf>::new());
    let after = snapshot(&world);
    world.coffer(&["migrate", "--yes"]).run().ok();
    assert_eq!(snapshot(&world), after);
}

#[test]
fn files_of_the_ecs_agent_and_the_kubelet_are_imported_and_stay() {
    let world = World::new();
    let secret = json!({ "kind": "Secret", "data": { ".dockerconfigjson": base64(&json!({ "auths": { "secret.example": { "auth": AUTH } } }).to_string()) } });
    let files = [
        (
            "etc/ecs.config",
            format!(
                "ECS_ENGINE_AUTH_TYPE=dockercfg\nECS_ENGINE_AUTH_DATA={{\"ecs.example\":{{\"auth\":\"{AUTH}\"}}}}\n"
            ),
            "ecs.example",
            "ecs",
        ),
        (
            "kubelet/config.json",
            json!({ "auths": { "kubelet.example": { "auth": AUTH } } }).to_string(),
            "kubelet.example",
            "kubelet",
        ),
        ("secret.json", secret.to_string(), "secret.example", "kubelet"),
    ];
    for (file, text, server, client) in files {
        let path = world.write(file, &text);
        let audit = world.coffer(&["audit", "--json", file]).run();
        let audit: Value = serde_json::from_str(&audit.stdout).unwrap();
        assert_eq!(
            (&audit["findings"][0]["client"], &audit["findings"][0]["fixable"]),
            (&json!(client), &json!(false))
        );
        let said = world.coffer(&["migrate", "--yes", file]).run().ok();
        let reason = "its reader knows no helper, so it stays there too; let root alone read the file";
        assert!(said.contains(&format!(": {reason}\n")), "{said}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        world.get(server).answers(server, "user", MARK);
    }
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[test]
fn a_file_that_is_named_is_touched_alone() {
    let world = of_every_client();
    let before = snapshot(&world);
    world.coffer(&["migrate", "--yes", ".config/helm/registry/config.json"]).run().ok();
    let mut after = snapshot(&world);
    after.retain(|name, _| !name.starts_with(".local/"));
    let changed: Vec<_> =
        after.iter().filter(|(name, seen)| before.get(*name) != Some(seen)).map(|(name, _)| name).collect();
    assert_eq!(changed, [".config/helm/registry/config.json"]);
    let missing = world.coffer(&["migrate", "--yes", "nowhere.json"]).run();
    assert!(missing.code == Some(1) && missing.stdout.contains("nowhere.json: does not exist"), "{missing:#?}");
}

#[test]
fn a_file_of_before_2015_is_not_moved_with_another_than_dockers_own() {
    let world = World::new();
    let text = json!({ "legacy.example": { "auth": AUTH } }).to_string();
    let path = world.write(".dockercfg", &text);
    world.write("other.json", &json!({ "auths": { "other.example": { "auth": AUTH } } }).to_string());
    let outcome = world.coffer(&["migrate", "--yes", ".dockercfg", "other.json"]).run();
    assert!(outcome.code == Some(1) && outcome.stdout.contains("it stays until Docker's"), "{outcome:#?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    world.coffer(&["migrate", "--yes"]).run().ok();
    assert_eq!(world.coffer(&["migrate", "--yes", ".dockercfg"]).run().ok(), "nothing to do\n");
}

#[test]
fn on_a_terminal_it_asks_and_no_changes_nothing() {
    let world = of_every_client();
    let before = snapshot(&world);
    let run = |answer: &str, redirected: &str| {
        let command = format!("{} migrate {redirected}", env!("CARGO_BIN_EXE_docker-credential-coffer"));
        world.call("script", &["-qec", &command, "/dev/null"]).input(answer).run()
    };
    for answer in ["n\n", "no\n", "what?\n"] {
        let declined = run(answer, "");
        assert!(declined.code == Some(1) && declined.stdout.contains("go on? [Y/n]"), "{declined:#?}");
        assert!(declined.stdout.contains("nothing was done") && !declined.stdout.contains(MARK), "{declined:#?}");
        assert_eq!(snapshot(&world), before);
    }
    let many: serde_json::Map<String, Value> =
        (0..250).map(|n| (format!("n{n}.example"), json!({ "auth": AUTH }))).collect();
    world.write(".docker/config.json", &json!({ "auths": many }).to_string());
    let report = world.path("report");
    let accepted = run("y\n", &format!("> {}", report.display()));
    assert!(accepted.code == Some(0) && accepted.stdout.contains("logins are in the store"), "{accepted:#?}");
    let report = fs::read_to_string(report).unwrap();
    assert!(report.contains("moved 250 logins") && !report.contains("are in the store"), "{report}");
    world.write(".docker/config.json", &json!({ "auths": { "more.example": { "auth": AUTH } } }).to_string());
    let quiet = world.coffer(&["migrate", "--yes"]).run();
    assert!(!quiet.said().contains("are in the store"), "{quiet:#?}");
}

#[test]
fn a_password_in_an_entrys_name_is_not_told() {
    let world = World::new();
    let auths =
        json!({ "https://alice:hunter2@a.example/v1/": { "auth": AUTH }, "bob:hunter2@b.example": { "auth": AUTH } });
    world.write(".docker/config.json", &json!({ "auths": auths }).to_string());
    for arguments in [["migrate", "--dry-run"], ["migrate", "--json"], ["audit", "--json"], ["audit", "."]] {
        let arguments = arguments.map(|argument| if argument == "." { ".docker/config.json" } else { argument });
        let told = world.coffer(&arguments).run();
        assert!(told.stdout.contains("https://***@a.example/v1/"), "{told:#?}");
        assert!(!format!("{told:?}").contains("hunter2"), "{told:#?}");
    }
}

/// It can name no helper itself, so podman would lose what only it holds.
#[test]
fn the_file_of_before_2015_is_not_migrated_without_dockers_present_one() {
    let world = World::new();
    let text = r#"{"quay.io":{"auth":"YTpi"}}"#;
    let file = world.write(".dockercfg", text);
    let outcome = world.coffer(&["migrate", "--yes", file.to_str().unwrap()]).run();
    assert!(outcome.code == Some(1) && outcome.stdout.contains("migrate both"), "{outcome:#?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    world.coffer(&["migrate", "--yes"]).run().ok();
    world.get("quay.io").answers("quay.io", "a", "b");
}

/// As of a container that runs as whatever user it is told to.
#[test]
fn of_a_user_without_a_home_what_variables_name_is_looked_at() {
    let mut world = World::new();
    world.write("docker/config.json", r#"{"auths":{"ghcr.io":{"auth":"YTpi"}}}"#);
    world.set("DOCKER_CONFIG", world.home().join("docker").to_str().unwrap());
    for directory in ["", "home", "home/docker"] {
        chmod(&world.path(directory), 0o755);
    }
    let nobody = ["--reuid=54321", "--regid=54321", "--clear-groups", "docker-credential-coffer", "audit"];
    let found = world.call("setpriv", &nobody).without("HOME").without("XDG_RUNTIME_DIR").run();
    assert_eq!(
        (found.code, found.stdout, found.stderr),
        (
            Some(1),
            format!(
                "{}/docker/config.json: ghcr.io: docker-credential-coffer migrate moves it into the store\n",
                world.home().display()
            ),
            "found in plaintext: 1 secret\nhint: docker-credential-coffer migrate --dry-run shows what it would do about them\n"
                .into()
        )
    );
}

/// It was overwritten and removed by its name alone, without a backup.
#[test]
fn a_cache_json_that_is_no_cache_of_tokens_is_never_removed() {
    let mut world = World::new();
    let config = world.write("mine/cache.json", r#"{"auths":{"ghcr.io":{"auth":"YTpi"}}}"#);
    world.coffer(&["migrate", "--yes", config.to_str().unwrap()]).run().ok();
    world.get("ghcr.io").answers("ghcr.io", "a", "b");
    assert_eq!(read(&world, "mine/cache.json")["auths"], json!({ "ghcr.io": {} }));
    for text in [r#"{"precious":1}"#, r#"{"Registries":{"x":{}},"precious":1}"#] {
        let cache = world.write("other/cache.json", text);
        world.set("AWS_ECR_CACHE_DIR", cache.parent().unwrap().to_str().unwrap());
        let said = world.coffer(&["migrate", "--yes"]).run();
        let problem = "~/other/cache.json is not a cache of docker-credential-ecr-login\n";
        assert!(said.code == Some(1) && world.shown(&said.stdout).contains(problem), "{said:#?}");
        assert_eq!(fs::read_to_string(&cache).unwrap(), text);
    }
    for text in ["{}", r#"{"Registries":{},"Version":"1.0"}"#] {
        let cache = world.write("other/cache.json", text);
        world.coffer(&["migrate", "--yes"]).run().ok();
        assert_eq!(fs::read_to_string(&cache).unwrap(), text);
    }
}
