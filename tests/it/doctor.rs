//! `doctor`: each thing that goes wrong in practice is found, named with its cure, and found nowhere else.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Bus, World, chmod};

/// A machine on which everything is as it should be.
fn healthy() -> World {
    let mut world = World::new();
    // Without podman's kin, which is another matter.
    let tools = world.path("tools");
    fs::create_dir(&tools).unwrap();
    let program = env!("CARGO_BIN_EXE_docker-credential-coffer");
    std::os::unix::fs::symlink(program, tools.join("docker-credential-coffer")).unwrap();
    world.set("PATH", &format!("{}:{}", world.path("bin").display(), tools.display()));
    world.coffer(&["setup", "--yes"]).run().ok();
    world
}

/// What doctor found broken, by name.
fn broken(world: &World) -> Vec<(String, String)> {
    let outcome = world.coffer(&["doctor", "--json"]).run();
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{outcome:#?}"));
    let checks = report["checks"].as_array().unwrap();
    let mut found = Vec::new();
    for check in checks {
        let mut fields: Vec<_> = check.as_object().unwrap().keys().map(String::as_str).collect();
        fields.sort_unstable();
        assert_eq!(fields, ["cure", "detail", "name", "ok"]);
        if check["ok"] == json!(false) {
            assert!(check["cure"].is_string(), "{check}");
            found.push((check["name"].as_str().unwrap().to_owned(), check["detail"].as_str().unwrap().to_owned()));
        }
    }
    assert_eq!((report["ok"] == json!(true), outcome.code), (found.is_empty(), Some(i32::from(!found.is_empty()))));
    found
}

/// That one thing alone is broken, and how it is told.
#[track_caller]
fn is_broken(world: &World, name: &str, words: &str) {
    let found = broken(world);
    assert!(matches!(&found[..], [(found, detail)] if found == name && detail.contains(words)), "{found:?}");
}

#[test]
fn a_machine_that_was_set_up_is_well() {
    let world = healthy();
    assert_eq!(broken(&world), []);
    let said = world.coffer(&["doctor"]).run();
    assert!(said.code == Some(0) && !said.stdout.contains("FAIL"), "{said:#?}");
    assert!(said.took.as_millis() < 1000, "{said:#?}");
}

#[test]
fn a_configuration_with_a_mistake() {
    let world = healthy();
    world.config("stoer = 1\n");
    is_broken(&world, "configuration", "config.toml:1:");
}

#[test]
fn a_program_that_clients_do_not_find_or_that_is_another() {
    let mut world = healthy();
    world.script("docker-credential-coffer", "echo 'docker-credential-coffer (docker-credential-coffer) 0.0.1'");
    is_broken(&world, "program", "0.0.1");
    world.script("docker-credential-coffer", "exit 1");
    is_broken(&world, "program", "does not run");
    for (endless, words) in [
        ("/usr/bin/sleep 60", "does not answer"),
        ("exec /usr/bin/sleep 60", "does not answer"),
        ("exec /usr/bin/yes", "says it is y"),
    ] {
        world.script("docker-credential-coffer", endless);
        is_broken(&world, "program", words);
        assert!(world.coffer(&["doctor"]).run().took.as_millis() < 1500);
    }
    let copy = world.path("bin/docker-credential-coffer");
    fs::copy(env!("CARGO_BIN_EXE_docker-credential-coffer"), &copy).unwrap();
    is_broken(&world, "program", "has no docker-coffer beside it");
    fs::copy(env!("CARGO_BIN_EXE_docker-coffer"), copy.with_file_name("docker-coffer")).unwrap();
    assert_eq!(broken(&world), []);
    world.set("PATH", "/nowhere");
    let found = broken(&world);
    assert!(found[0].1.contains("is not on the PATH"), "{found:?}");
}

#[test]
fn who_does_not_have_the_sessions_path_finds_nothing() {
    let world = healthy();
    let is_installed = ["/usr/local/bin", "/usr/bin", "/bin"]
        .iter()
        .any(|directory| fs::exists(format!("{directory}/docker-credential-coffer")).unwrap());
    let said = world.coffer(&["doctor"]).run().ok();
    let expected = if is_installed {
        "ok   services: services and programs that a desktop starts find it, too\n".to_owned()
    } else {
        format!(
            "ok   services: services, cron, sudo and programs that a desktop starts look only in /usr/local/bin and /usr/bin\n     \
             if one of these should: sudo ln -s {} /usr/local/bin/\n",
            world.path("tools/docker-credential-coffer").display()
        )
    };
    assert!(said.contains(&expected), "{said}");
}

/// As under WSL, where the PATH goes on into Windows.
#[test]
fn a_docker_that_is_windows_own() {
    let world = healthy();
    world.script("docker", "exit 0");
    assert_eq!(broken(&world), []);
    world.script("docker.exe", "exit 0");
    fs::remove_file(world.path("bin/docker")).unwrap();
    std::os::unix::fs::symlink("docker.exe", world.path("bin/docker")).unwrap();
    let docker = world.path("bin/docker.exe");
    is_broken(&world, "wsl", &format!("{} is Windows' docker", docker.display()));
}

#[test]
fn docker_that_asks_somebody_else() {
    let world = healthy();
    for (config, words) in [
        (r#"{"credsStore":"desktop"}"#, "Docker Desktop puts that back"),
        (r#"{"credsStore":"pass"}"#, "does not ask Coffer"),
        ("{}", "keeps plaintext"),
    ] {
        world.write(".docker/config.json", config);
        is_broken(&world, "docker", words);
    }
    world.write(".docker/config.json", "{");
    assert!(broken(&world).iter().any(|(name, detail)| name == "docker" && detail.contains("is not JSON")));
}

#[test]
fn helpers_of_single_registries() {
    let world = healthy();
    world.write(".docker/config.json", r#"{"credsStore":"coffer","credHelpers":{"gcr.io":"gcloud"}}"#);
    is_broken(&world, "credHelpers", "docker-credential-gcloud, which is not on the PATH");
    world.script("docker-credential-gcloud", "exit 1");
    assert_eq!(broken(&world), []);
    world.write(".docker/config.json", r#"{"credsStore":"coffer","credHelpers":{"gcr.io":""}}"#);
    is_broken(&world, "credHelpers", "turns helpers off for gcr.io");
}

#[test]
fn a_rule_for_a_helper_that_is_not_there() {
    let world = healthy();
    world.config("[[registry]]\nmatch = \"gcr.io\"\nhelper = \"gcloud\"\n");
    is_broken(&world, "rules", "rule 1 sends what it matches to docker-credential-gcloud, which is not on the PATH");
    assert!(
        world.coffer(&["explain", "gcr.io"]).run().ok().contains("docker-credential-gcloud is to answer, and is not")
    );
    world.script("docker-credential-gcloud", "exit 1");
    assert_eq!(broken(&world), []);
}

#[test]
fn plaintext_and_what_overrides_the_store() {
    let mut world = healthy();
    world.write(".config/containers/auth.json", r#"{"auths":{"quay.io":{"auth":"YTpi"}}}"#);
    is_broken(&world, "plaintext", "1 secret: ");
    fs::remove_file(world.home().join(".config/containers/auth.json")).unwrap();
    world.write(".docker/.coffer-x1y2z3x1y2z3x1y2", r#"{"auths":{}}"#);
    is_broken(&world, "leftovers", ".coffer-x1y2z3x1y2z3x1y2");
    fs::remove_file(world.home().join(".docker/.coffer-x1y2z3x1y2z3x1y2")).unwrap();
    world.set("DOCKER_AUTH_CONFIG", r#"{"auths":{"quay.io":{"auth":"YTpi"}}}"#);
    let names: Vec<_> = broken(&world).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["plaintext", "environment"]);
}

#[test]
fn a_store_that_others_can_read_and_one_with_a_stray_file() {
    let world = healthy();
    world.store_login("ghcr.io", "alice", "x").silent();
    fs::create_dir(world.store().join("store/not%zz")).unwrap();
    fs::write(world.store().join("store/not%zz/a.age"), "x").unwrap();
    is_broken(&world, "store", "1 file of ");
    fs::remove_dir_all(world.store().join("store/not%zz")).unwrap();
    chmod(&world.store().join("identities"), 0o644);
    let found = broken(&world);
    assert!(found.iter().any(|(_, detail)| detail.contains("identities can be read by others")), "{found:?}");
}

#[test]
fn podman_is_told_what_it_does_not_ask_for() {
    let world = healthy();
    world.script("podman", "exit 0");
    world.store_login("quay.io", "alice", "x").silent();
    let said = world.coffer(&["doctor"]).run().ok();
    assert!(said.contains("podman does not ask Coffer for quay.io"), "{said}");
    world.write(".config/containers/auth.json", r#"{"credHelpers":{"quay.io":"coffer"}}"#);
    let said = world.coffer(&["doctor"]).run().ok();
    assert!(said.contains("podman asks Coffer for every registry"), "{said}");
    (0..9).for_each(|number| world.store_login(&format!("r{number}.example.com"), "alice", "x").silent());
    let said = world.coffer(&["doctor"]).run().ok();
    assert!(said.contains("r4.example.com and 4 more (") && !said.contains("r5."), "{said}");
}

#[test]
fn aws_profiles_and_sso_sessions() {
    let world = healthy();
    world.config("[[registry]]\nmatch = \"*.dkr.ecr.*\"\nprofile = \"prod\"\n");
    is_broken(&world, "aws", "rule 1: there is no AWS profile prod");
    world.write(
        ".aws/config",
        "[profile prod]\nsso_session = work\nsso_account_id = 1\nsso_role_name = r\n[sso-session work]\nsso_region = eu-west-1\nsso_start_url = https://x.awsapps.com/start\n",
    );
    is_broken(&world, "aws", "nobody has logged in");
    let session = |expires: &str, rest: &str| {
        let text =
            format!(r#"{{"startUrl":"https://x.awsapps.com/start","expiresAt":"{expires}","accessToken":"t"{rest}}}"#);
        world.write(".aws/sso/cache/abc.json", &text);
    };
    session("2020-01-02T03:04:05Z", "");
    is_broken(&world, "aws", "ended at 2020-01-02T03:04:05Z");
    session("2020-01-02T03:04:05Z", r#","refreshToken":"r""#);
    assert_eq!(broken(&world), []);
    // With a client whose registration is over, the SDK does not renew it.
    session("2020-01-02T03:04:05Z", r#","refreshToken":"r","registrationExpiresAt":"2020-03-02T03:04:05Z""#);
    is_broken(&world, "aws", "ended at 2020-01-02T03:04:05Z");
    session("2020-01-02T03:04:05Z", r#","refreshToken":"r","registrationExpiresAt":"2120-03-02T03:04:05Z""#);
    assert_eq!(broken(&world), []);
    session("2120-01-02T03:04:05UTC", "");
    assert_eq!(broken(&world), []);
    world.write(".aws/config", "[profile prod]\nsso_session = gone\nsso_account_id = 1\nsso_role_name = r\n");
    is_broken(&world, "aws", "needs the sso-session gone, which the AWS config file does not hold");
    world.write(".aws/config", "[profile prod\n");
    assert!(broken(&world).iter().all(|(name, _)| name == "aws"));
    // Nobody waits for somebody to write into it.
    fs::remove_file(world.home().join(".aws/config")).unwrap();
    world.call("/usr/bin/mkfifo", &[".aws/config"]).run().ok();
    assert!(broken(&world).iter().all(|(name, detail)| name == "aws" && detail.contains(".aws/config is a FIFO")));
}

#[test]
fn a_clock_that_is_behind_what_was_written() {
    let world = healthy();
    world.store_login("ghcr.io", "alice", "x").silent();
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(3600);
    fs::File::open(world.store().join("store/ghcr.io")).unwrap().set_modified(later).unwrap();
    is_broken(&world, "clock", "minutes from now");
}

#[test]
fn a_keyring_that_is_locked_or_gone() {
    let mut world = World::new();
    let mut bus = Bus::with_keyring(&mut world);
    world.coffer(&["setup", "--yes", "--key", "keyring"]).run().ok();
    let names = |world: &World| broken(world).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names(&world), Vec::<String>::new());
    world.store_login("ghcr.io", "alice", "x").silent();
    bus.lock(&world);
    assert_eq!(names(&world), ["key"]);
    bus.stop_keyring();
    assert_eq!(names(&world), ["key"]);
}
