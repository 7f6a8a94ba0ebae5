//! The real clients against a real registry, with Coffer between them.
//!
//! docker finds Coffer through `credsStore`. skopeo, podman and buildah know `credHelpers` alone, and read it in the
//! file that `REGISTRY_AUTH_FILE` names. Nothing here leaves the loopback interface.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::clients::{
    CONTAINERS, PASSWORD, USER, containers_login, copy, docker_login, docker_py, is_refused, keep_storage,
    keeps_no_plaintext, push, read_json, write_image,
};
use crate::support::{Bus, Registry, World};

/// A world whose Docker keeps its credentials in Coffer, and a registry that knows alice.
fn with_docker() -> (World, Registry) {
    let world = World::new();
    world.write(".docker/config.json", r#"{"credsStore":"coffer"}"#);
    let registry = Registry::start(&world, USER, PASSWORD);
    (world, registry)
}

/// A world whose skopeo, podman and buildah ask Coffer for one registry, and that registry, which knows alice.
fn with_containers() -> (World, Registry) {
    let mut world = World::new();
    let registry = Registry::start(&world, USER, PASSWORD);
    ask_coffer_for(&mut world, &registry.name);
    (world, registry)
}

/// Names Coffer in containers' `auth.json`, and keeps podman's and buildah's storage inside the world.
fn ask_coffer_for(world: &mut World, registry: &str) -> PathBuf {
    let auth_file = world.write("auth.json", &json!({ "credHelpers": { registry: "coffer" } }).to_string());
    world.set("REGISTRY_AUTH_FILE", auth_file.to_str().unwrap());
    keep_storage(world);
    auth_file
}

#[test]
fn docker_login_keeps_the_password_in_coffer_alone() {
    let (world, registry) = with_docker();
    assert!(docker_login(&world, &registry, PASSWORD).ok().contains("Login Succeeded"));
    let config = read_json(world.home().join(".docker/config.json"));
    assert_eq!(config, json!({ "auths": { &registry.name: {} }, "credsStore": "coffer" }));
    world.get(&registry.name).answers(&registry.name, USER, PASSWORD);
    keeps_no_plaintext(&world, &world.home());
    // Again, as people do.
    docker_login(&world, &registry, PASSWORD).ok();
    world.get(&registry.name).answers(&registry.name, USER, PASSWORD);
    keeps_no_plaintext(&world, &world.home());
}

/// That the search for plaintext finds what Docker leaves when it has no helper.
#[test]
fn docker_login_without_coffer_keeps_the_password_in_its_file() {
    let (world, registry) = with_docker();
    // With an empty file Docker would look for some helper to use.
    let config = world.write(".docker/config.json", r#"{"auths":{"ghcr.io":{}}}"#);
    docker_login(&world, &registry, PASSWORD).ok();
    assert_eq!(world.files_with(&world.home(), PASSWORD), [config]);
}

#[test]
fn docker_asks_coffer_for_the_registries_named_in_cred_helpers() {
    let (world, registry) = with_docker();
    world.write(".docker/config.json", &json!({ "credHelpers": { &registry.name: "coffer" } }).to_string());
    docker_login(&world, &registry, PASSWORD).ok();
    world.get(&registry.name).answers(&registry.name, USER, PASSWORD);
    keeps_no_plaintext(&world, &world.home());
    world.call("docker", &["logout", &registry.name]).run().ok();
    world.get(&registry.name).misses();
}

#[test]
fn docker_login_with_a_wrong_password_stores_nothing() {
    let (world, registry) = with_docker();
    is_refused(docker_login(&world, &registry, "wrong"));
    world.get(&registry.name).misses();
    assert_eq!(world.files(&world.store()), Vec::<String>::new());
    // What was right stays.
    docker_login(&world, &registry, PASSWORD).ok();
    is_refused(docker_login(&world, &registry, "wrong"));
    world.get(&registry.name).answers(&registry.name, USER, PASSWORD);
}

#[test]
fn docker_logout_forgets_once_and_again() {
    let (world, registry) = with_docker();
    docker_login(&world, &registry, PASSWORD).ok();
    for _ in 0..2 {
        let outcome = world.call("docker", &["logout", &registry.name]).run();
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{outcome:#?}");
        world.get(&registry.name).misses();
        let config = read_json(world.home().join(".docker/config.json"));
        assert_eq!(config, json!({ "auths": {}, "credsStore": "coffer" }));
    }
}

#[test]
fn docker_login_fails_when_coffer_cannot_store() {
    let (world, registry) = with_docker();
    world.config("store = \"nonsense\"");
    let outcome = docker_login(&world, &registry, PASSWORD);
    assert_eq!(outcome.code, Some(1), "{outcome:#?}");
    assert!(outcome.stderr.contains("config.toml"), "the user learns why: {outcome:#?}");
    assert_eq!(read_json(world.home().join(".docker/config.json")), json!({ "credsStore": "coffer" }));
    keeps_no_plaintext(&world, &world.home());
}

#[test]
fn docker_logs_in_and_out_of_the_os_keyring() {
    let (mut world, registry) = with_docker();
    world.config("store = \"keyring\"");
    let _bus = Bus::with_keyring(&mut world);
    docker_login(&world, &registry, PASSWORD).ok();
    world.get(&registry.name).answers(&registry.name, USER, PASSWORD);
    assert_eq!(world.files(&world.store()), Vec::<String>::new());
    keeps_no_plaintext(&world, &world.home());
    world.call("docker", &["logout", &registry.name]).run().ok();
    world.get(&registry.name).misses();
}

#[test]
fn a_push_after_login_needs_no_password() {
    let (mut world, registry) = with_docker();
    ask_coffer_for(&mut world, &registry.name);
    let layout = world.path("image");
    let manifest = write_image(&layout);
    let image = format!("docker://{}/team/tiny:1", registry.name);
    is_refused(push(&world, &layout, &image));

    docker_login(&world, &registry, PASSWORD).ok();
    push(&world, &layout, &image).ok();
    let back = world.path("back");
    copy(&world, &image, &back).ok();
    assert_eq!(fs::read(back.join("manifest.json")).unwrap(), manifest);
    keeps_no_plaintext(&world, &world.home());

    world.call("docker", &["logout", &registry.name]).run().ok();
    is_refused(copy(&world, &image, &world.path("again")));
}

/// `login`, `login --get-login` and `logout`, which skopeo, podman and buildah share.
fn a_login_and_a_logout(program: &str) {
    let (world, registry) = with_containers();
    let auth_file = world.home().join("auth.json");
    let before = read_json(&auth_file);
    let name = registry.name.as_str();
    let login = |password: &str| containers_login(&world, program, name, password);

    is_refused(login("wrong"));
    world.get(name).misses();
    assert!(login(PASSWORD).ok().contains("Login Succeeded"));
    world.get(name).answers(name, USER, PASSWORD);
    assert_eq!(world.call(program, &["login", "--get-login", name]).run().ok().trim(), USER);
    assert_eq!(read_json(&auth_file), before, "{program} wrote nothing of its own");
    keeps_no_plaintext(&world, &world.home());

    world.call(program, &["logout", name]).run().ok();
    world.get(name).misses();
    assert_eq!(read_json(&auth_file)["credHelpers"], before["credHelpers"]);
    // skopeo 1.9.3 overflows its stack if the helper fails here.
    world.call(program, &["logout", name]).run().ok();
    let never = world.call(program, &["login", "--get-login", name]).run();
    assert!(never.stderr.contains("not logged into"), "{never:#?}");
}

#[test]
fn skopeo_logs_in_and_out() {
    a_login_and_a_logout("skopeo");
}

#[test]
fn podman_logs_in_and_out() {
    a_login_and_a_logout("podman");
}

#[test]
fn buildah_logs_in_and_out() {
    a_login_and_a_logout("buildah");
}

/// As docs/clients.md has it. `explain` and `doctor` say so, and follow the files as the clients do.
#[test]
fn a_default_helper_serves_every_registry() {
    let mut world = World::new();
    let registry = Registry::start(&world, USER, PASSWORD);
    let name = registry.name.as_str();
    keep_storage(&mut world);
    let (own, drop_in) = (".config/containers/registries.conf", ".config/containers/registries.conf.d/coffer.conf");
    world.write(drop_in, "credential-helpers = [\"coffer\", \"containers-auth.json\"]\n");
    for program in CONTAINERS {
        containers_login(&world, program, name, PASSWORD).ok();
        world.get(name).answers(name, USER, PASSWORD);
        assert_eq!(world.call(program, &["login", "--get-login", name]).run().ok().trim(), USER);
        keeps_no_plaintext(&world, &world.path(""));
        world.call(program, &["logout", name]).run().ok();
        world.get(name).misses();
    }
    world.store_login(name, USER, PASSWORD).silent();
    let says = |call: &[&str]| world.shown(&world.coffer(call).run().stdout);
    let asks = |file: &str| format!("podman, like skopeo and buildah, asks Coffer (~/{file})\n");
    assert!(says(&["explain", name]).contains(&asks(drop_in)));
    let told = format!(
        "ok   containers: podman asks Coffer for every registry, as ~/{drop_in} says (podman logout --all erases everything \
         that it holds)\n"
    );
    assert!(says(&["doctor"]).contains(&told), "{}", says(&["doctor"]));
    // Each file takes the place of those before it.
    world.write(own, "credential-helpers = [\"gone\"]\n");
    assert!(says(&["explain", name]).contains(&asks(drop_in)));
    world.write(drop_in, "# nothing\n");
    let other = format!("asks docker-credential-gone, not Coffer (~/{own})");
    assert!(says(&["explain", name]).contains(&other), "{}", says(&["explain", name]));
    world.write(own, "credential-helpers = [\"containers-auth.json\", \"coffer\"]\n");
    assert!(says(&["explain", name]).contains(&asks(own)));
    let auth = world.write(".config/containers/auth.json", &json!({ "credHelpers": { name: "gone" } }).to_string());
    assert!(
        says(&["explain", name]).contains("asks docker-credential-gone, not Coffer (~/.config/containers/auth.json)")
    );
    std::fs::remove_file(auth).unwrap();
    // What is no such file is as if it were not there.
    world.write(own, "credential-helpers = 7\n");
    assert!(!says(&["explain", name]).contains("podman"));
}

#[test]
fn podman_logout_of_all_forgets_what_its_file_names() {
    let (world, registry) = with_containers();
    world.store_login(&registry.name, USER, PASSWORD).silent();
    world.store_login("ghcr.io", "bob", "another's").silent();
    world.call("podman", &["logout", "--all"]).run().ok();
    world.get(&registry.name).misses();
    world.get("ghcr.io").answers("ghcr.io", "bob", "another's");
}

#[test]
fn one_login_serves_every_client() {
    let (world, registry) = with_containers();
    containers_login(&world, "podman", &registry.name, PASSWORD).ok();
    for program in CONTAINERS {
        let said = world.call(program, &["login", "--get-login", &registry.name]).run().ok();
        assert_eq!(said.trim(), USER, "{program}");
    }
    let layout = world.path("image");
    write_image(&layout);
    push(&world, &layout, &format!("docker://{}/tiny", registry.name)).ok();
}

/// Docker stores under a URL, podman and its kin ask for a host.
#[test]
fn the_hubs_login_answers_to_every_name_of_the_hub() {
    let mut world = World::new();
    ask_coffer_for(&mut world, "docker.io");
    world.store_login("https://index.docker.io/v1/", USER, PASSWORD).silent();
    for name in ["docker.io", "index.docker.io", "registry-1.docker.io:443", "https://index.docker.io/v1/"] {
        world.get(name).answers(name, USER, PASSWORD);
    }
    for program in CONTAINERS {
        assert_eq!(world.call(program, &["login", "--get-login", "docker.io"]).run().ok().trim(), USER, "{program}");
    }
    world.call("skopeo", &["logout", "docker.io"]).run().ok();
    world.get("https://index.docker.io/v1/").misses();
}

#[test]
fn docker_py_finds_what_docker_login_stored() {
    let (world, registry) = with_docker();
    docker_login(&world, &registry, PASSWORD).ok();
    world.store_login("https://index.docker.io/v1/", "bob", "token").silent();
    let program = format!(
        "import docker.auth, json\n\
         config = docker.auth.load_config()\n\
         print(json.dumps(config.resolve_authconfig('{0}')))\n\
         print(json.dumps(config.resolve_authconfig()))\n\
         print(json.dumps(config.resolve_authconfig('nowhere.example')))\n\
         print(json.dumps(sorted(config.get_all_credentials())))\n",
        registry.name
    );
    let said: Vec<Value> = docker_py(&world, &program).lines().map(|line| line.parse().unwrap()).collect();
    let expected = [
        json!({ "ServerAddress": registry.name, "Username": USER, "Password": PASSWORD }),
        json!({ "ServerAddress": "https://index.docker.io/v1/", "Username": "bob", "Password": "token" }),
        Value::Null,
        // The last is docker-py's own spelling of the one before.
        json!([registry.name, "https://index.docker.io/v1/", "index.docker.io"]),
    ];
    assert_eq!(said, expected);
}

#[test]
fn docker_pys_store_stores_lists_and_erases() {
    let world = World::new();
    let program = "\
import docker.credentials as c, json
store = c.Store('coffer')
def misses(server):
    try:
        print(store.get(server))
    except c.errors.CredentialsNotFound:
        print('miss')
misses('ghcr.io')
store.erase('ghcr.io')
print(json.dumps(store.list()))
store.store('ghcr.io', 'alice', 'pass \"word\"\\n')
print(json.dumps(store.get('https://ghcr.io')))
print(json.dumps(store.list()))
store.erase('ghcr.io')
misses('ghcr.io')
";
    let said = docker_py(&world, program);
    let expected = [
        "miss",
        "{}",
        r#"{"ServerURL": "https://ghcr.io", "Username": "alice", "Secret": "pass \"word\"\n"}"#,
        r#"{"ghcr.io": "alice"}"#,
        "miss",
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn docker_py_hears_what_is_wrong() {
    let world = World::new();
    world.config("store = \"nonsense\"");
    let program = "\
import docker.credentials as c
try:
    c.Store('coffer').get('ghcr.io')
except c.errors.CredentialsNotFound:
    print('a miss')
except c.errors.StoreError as error:
    print(error)
";
    assert!(docker_py(&world, program).contains("config.toml"));
}
