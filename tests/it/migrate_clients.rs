//! `migrate` between two pulls: what the real clients could pull before, they can pull after, and no password lies in
//! plaintext any more.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::support::clients::{
    CONTAINERS, PASSWORD, USER, containers_login, docker_login, docker_py, keeps_no_plaintext, read_json,
};
use crate::support::{Machine, World, entry};

/// Every client that pulls.
const ALL: [&str; 4] = ["docker", "podman", "skopeo", "buildah"];

/// podman and its kin fall back to Docker's file, in which they know `credHelpers` alone.
#[test]
fn every_client_lives_off_dockers_file() {
    let machine = Machine::new();
    machine.is_refused(&ALL);
    // With an empty file Docker would look for some helper to use.
    let config = machine.docker(json!({ "auths": { "ghcr.io": {} } }));
    docker_login(&machine.world, &machine.registry, PASSWORD).ok();
    machine.keeps_pulling(&ALL);
    let expected = json!({
        "auths": { &machine.registry.name: {}, "ghcr.io": {} },
        "credsStore": "coffer",
        "credHelpers": { &machine.registry.name: "coffer" },
    });
    assert_eq!(read_json(config), expected);
}

#[test]
fn docker_alone_needs_no_cred_helpers() {
    let machine = Machine::new();
    let config = machine.docker(json!({ "auths": { "ghcr.io": {} } }));
    docker_login(&machine.world, &machine.registry, PASSWORD).ok();
    let path = machine.world.without_containers();
    machine.world.coffer(&["migrate", "--yes"]).env("PATH", &path).run().ok();
    let expected = json!({ "auths": { &machine.registry.name: {}, "ghcr.io": {} }, "credsStore": "coffer" });
    assert_eq!(read_json(config), expected);
    keeps_no_plaintext(&machine.world, &machine.world.path(""));
    machine.pulls(&["docker"]);
}

/// `login` of its own accord writes to the runtime directory.
#[test]
fn auth_json_is_found_in_each_of_its_places() {
    for (variable, value, file, program) in [
        ("REGISTRY_AUTH_FILE", "auth/mine.json", "auth/mine.json", "podman"),
        ("REGISTRY_AUTH_FILE", "auth/mine.json", "auth/mine.json", "skopeo"),
        ("XDG_RUNTIME_DIR", "run", "run/containers/auth.json", "podman"),
        ("XDG_RUNTIME_DIR", "run", "run/containers/auth.json", "skopeo"),
        ("XDG_RUNTIME_DIR", "run", "run/containers/auth.json", "buildah"),
        ("XDG_CONFIG_HOME", "xdg", "xdg/containers/auth.json", "buildah"),
        ("XDG_CONFIG_HOME", "home/.config", "home/.config/containers/auth.json", "podman"),
    ] {
        let mut machine = Machine::new();
        let (name, auth_file) = (machine.registry.name.clone(), machine.world.path(file));
        let value = machine.world.path(value);
        machine.world.set(variable, value.to_str().unwrap());
        fs::create_dir_all(auth_file.parent().unwrap()).unwrap();
        containers_login(&machine.world, program, &name, PASSWORD).ok();
        if variable == "XDG_CONFIG_HOME" {
            fs::rename(machine.world.path("run/containers/auth.json"), &auth_file).unwrap();
        }
        let plain = machine.world.files_with(&machine.world.path(""), PASSWORD);
        assert_eq!(plain, std::slice::from_ref(&auth_file), "{program}");
        machine.keeps_pulling(&[program]);
        let expected = json!({ "auths": { &name: {} }, "credHelpers": { &name: "coffer" } });
        assert_eq!(read_json(auth_file), expected, "{variable} {program}");
        assert!(!machine.world.home().join(".docker").exists(), "Docker was told, and has nothing");
    }
}

/// Docker takes a key for the host that it names, whatever else stands in it.
#[test]
fn a_key_that_is_a_url_serves_its_host() {
    for (before, after) in [("http://", ""), ("https://", "/v1/"), ("https://", ""), ("http://", "/v2/"), ("", "/")] {
        let machine = Machine::new();
        let key = format!("{before}{}{after}", machine.registry.name);
        let config = machine.docker(json!({ "auths": { &key: entry(USER, PASSWORD) } }));
        // podman wants a scheme, to take a key for a URL.
        machine.keeps_pulling(if before.is_empty() { &["docker"] } else { &["docker", "skopeo"] });
        assert_eq!(read_json(config)["auths"], json!({ key: {} }));
    }
}

#[test]
fn dockers_key_with_a_path_serves_the_whole_host() {
    let machine = Machine::new();
    let key = format!("{}/team", machine.registry.name);
    let config = machine.docker(json!({ "auths": { &key: entry(USER, PASSWORD) } }));
    machine.keeps_pulling(&ALL);
    assert_eq!(read_json(config)["auths"], json!({ key: {} }));
}

/// podman asks helpers for whole registries only.
#[test]
fn a_namespace_of_podmans_stays_with_its_host() {
    let machine = Machine::new();
    let (world, name) = (&machine.world, &machine.registry.name);
    containers_login(world, "podman", &format!("{name}/team"), PASSWORD).ok();
    let auth_file = world.path("run/containers/auth.json");
    let mut auths = read_json(&auth_file);
    // That would not do, so that a pull shows who was asked.
    auths["auths"][name] = entry("mallory", "wrong");
    auths["auths"]["quay.io"] = entry(USER, PASSWORD);
    fs::write(&auth_file, auths.to_string()).unwrap();
    machine.pulls(&CONTAINERS);

    let said = machine.migrate().ok();
    for key in [name, &format!("{name}/team")] {
        let reason = "podman asks helpers for whole registries only, and this file has a namespace of this one";
        assert!(said.contains(&format!("{}: {key}: {reason}\n", auth_file.display())), "{said}");
        auths["auths"][key] = read_json(&auth_file)["auths"][key].clone();
    }
    auths["auths"]["quay.io"] = json!({});
    auths["credHelpers"] = json!({ "quay.io": "coffer" });
    assert_eq!(read_json(&auth_file), auths);
    machine.pulls(&CONTAINERS);
    world.get("quay.io").answers("quay.io", USER, PASSWORD);
    world.get(name).misses();
    let before = world.snapshot(&world.path(""));
    machine.migrate().ok();
    assert!(world.snapshot(&world.path("")) == before, "a second run changed something");
}

#[test]
fn skopeo_goes_on_pulling_with_dockers_file_of_before_2015() {
    for key in ["HOST", "https://HOST/v1/", "http://HOST"] {
        let machine = Machine::new();
        let key = key.replace("HOST", &machine.registry.name);
        let mut login = entry(USER, PASSWORD);
        login["email"] = "alice@example.com".into();
        let legacy = machine.world.write(".dockercfg", &json!({ &key: login }).to_string());
        machine.keeps_pulling(&CONTAINERS);
        assert_eq!(read_json(legacy), json!({ key: {} }));
        let config = read_json(machine.world.home().join(".docker/config.json"));
        assert_eq!(config["credHelpers"], json!({ &machine.registry.name: "coffer" }));
    }
}

/// skopeo takes the two lines for broken JSON, and can pull nothing at all, so long as they lie there.
#[test]
fn the_two_lines_of_before_2015_go_and_the_hub_is_named() {
    let machine = Machine::new();
    let text = format!("auth = {}\nemail = alice@example.com\n", STANDARD.encode(format!("{USER}:{PASSWORD}")));
    let legacy = machine.world.write(".dockercfg", &text);
    machine.migrate().ok();
    assert!(!legacy.exists());
    keeps_no_plaintext(&machine.world, &machine.world.path(""));
    for client in CONTAINERS {
        let said = machine.world.call(client, &["login", "--get-login", "docker.io"]).run().ok();
        assert_eq!(said.trim(), USER, "{client}");
    }
    machine.world.get("https://index.docker.io/v1/").answers("https://index.docker.io/v1/", USER, PASSWORD);
    machine.world.coffer(&["migrate", "--undo", "--yes"]).run().ok();
    assert_eq!(fs::read_to_string(legacy).unwrap(), text);
}

#[test]
fn one_file_may_serve_docker_and_podman() {
    let machine = Machine::new();
    machine.docker(json!({ "auths": { "ghcr.io": {} } }));
    docker_login(&machine.world, &machine.registry, PASSWORD).ok();
    let link = machine.world.home().join(".config/containers/auth.json");
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    symlink("../../.docker/config.json", &link).unwrap();
    machine.keeps_pulling(&ALL);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(read_json(&link)["credHelpers"], json!({ &machine.registry.name: "coffer" }));
    assert_eq!(read_json(&link)["credsStore"], "coffer");
}

#[test]
fn one_login_may_lie_in_every_file() {
    let machine = Machine::new();
    let auths = json!({ "auths": { &machine.registry.name: entry(USER, PASSWORD) } });
    machine.docker(auths.clone());
    machine.world.write(".config/containers/auth.json", &auths.to_string());
    machine.world.write("../run/containers/auth.json", &auths.to_string());
    machine.world.write(".dockercfg", &auths["auths"].to_string());
    machine.keeps_pulling(&ALL);
}

/// podman compares names letter by letter, and asks a helper for what it was asked for.
#[test]
fn a_host_keeps_its_spelling() {
    let world = World::new();
    let names = ["Registry.Example:5000", "secure.example:443", "plain.example"];
    let auths = json!({ "auths": {
        names[0]: entry(USER, "one"), names[1]: entry(USER, "two"), "https://plain.example/v2/": entry(USER, "three") } });
    for file in [".docker/config.json", ".config/containers/auth.json"] {
        let path = world.write(file, &auths.to_string());
        let ask = |name: &str| world.call("podman", &["login", "--get-login", name]).run();
        assert!(names.iter().all(|name| ask(name).code == Some(0)));
        world.coffer(&["migrate", "--yes"]).run().ok();
        for name in names {
            assert_eq!(ask(name).ok().trim(), USER, "{file} {name}");
        }
        assert_eq!(world.files_with(&world.path(""), "three"), Vec::<PathBuf>::new());
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn docker_py_is_given_the_same_before_and_after() {
    let world = World::new();
    let auths = json!({ "https://index.docker.io/v1/": entry("bob", "a:b\n\"c\""), "ghcr.io": entry(USER, PASSWORD),
        "registry.example:5000": entry(USER, "zwei"), "marker.example": {} });
    world.write(".docker/config.json", &json!({ "auths": auths }).to_string());
    let ask = || {
        let program = "\
import docker.auth
config = docker.auth.load_config()
for name in ['docker.io', None, 'ghcr.io', 'registry.example:5000', 'marker.example', 'nowhere.example']:
    found = config.resolve_authconfig(name) or {}
    print(name, found.get('username', found.get('Username')), repr(found.get('password', found.get('Password'))))
";
        docker_py(&world, program)
    };
    let before = ask();
    assert!(before.contains(PASSWORD) && before.contains("None bob"), "{before}");
    world.coffer(&["migrate", "--yes"]).run().ok();
    keeps_no_plaintext(&world, &world.path(""));
    assert_eq!(ask(), before);
    world.coffer(&["migrate", "--undo", "--yes"]).run().ok();
    assert_eq!(ask(), before);
}
