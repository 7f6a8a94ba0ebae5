//! Two logins for one place: nobody loses what he could pull, and what stays in plaintext is told.
//!
//! Where a pull is to show who was asked, the other one's password is wrong.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::json;

use crate::support::clients::{CONTAINERS, PASSWORD, USER, docker_login, keeps_no_plaintext, read_json};
use crate::support::{Machine, entry};

/// Docker's file comes first.
#[test]
fn podman_keeps_another_login_than_dockers() {
    let machine = Machine::new();
    let (world, name) = (&machine.world, &machine.registry.name);
    let config = machine.docker(json!({ "auths": { name: entry("docker", "wrong") } }));
    let auths = json!({ "auths": { name: entry(USER, PASSWORD), "quay.io": entry(USER, PASSWORD) } });
    let auth_file = world.write(".config/containers/auth.json", &auths.to_string());
    machine.pulls(&CONTAINERS);
    machine.is_refused(&["docker"]);

    let said = machine.migrate().ok();
    let reason = "the store holds another login for it, of docker; log out of one of them (docker-credential-coffer erase \
                  forgets the store's), and migrate again";
    assert!(said.contains(&format!("{}: {name}: {reason}\n", auth_file.display())), "{said}");
    world.get(name).answers(name, "docker", "wrong");
    assert_eq!(
        read_json(&auth_file),
        json!({ "auths": { name: entry(USER, PASSWORD), "quay.io": {} }, "credHelpers": { "quay.io": "coffer" } })
    );
    machine.pulls(&CONTAINERS);
    machine.is_refused(&["docker"]);
    // Told again, and left again.
    let before = world.snapshot(&world.path(""));
    assert!(machine.migrate().ok().contains("of docker"));
    assert!(world.snapshot(&world.path("")) == before, "a second run changed something");

    // Docker's login goes; podman's may move then.
    world.call("docker", &["logout", name]).run().ok();
    machine.migrate().ok();
    keeps_no_plaintext(world, &world.path(""));
    machine.pulls(&["docker", "podman", "skopeo"]);
    assert_eq!(read_json(config)["credsStore"], "coffer");
}

#[test]
fn podmans_logout_of_the_other_login_completes_the_migration() {
    let machine = Machine::new();
    let (world, name) = (&machine.world, &machine.registry.name);
    machine.docker(json!({ "auths": { name: entry(USER, PASSWORD) } }));
    let auth_file = world.path("run/containers/auth.json");
    fs::create_dir_all(auth_file.parent().unwrap()).unwrap();
    fs::write(&auth_file, json!({ "auths": { name: entry("podman", "wrong") } }).to_string()).unwrap();
    machine.pulls(&["docker"]);
    machine.is_refused(&["podman"]);
    machine.migrate().ok();
    machine.pulls(&["docker"]);
    machine.is_refused(&["podman"]);
    world.call("podman", &["logout", name]).run().ok();
    assert_eq!(machine.migrate().ok(), "nothing to do\n");
    // From Docker's file, which names Coffer for podman too.
    machine.pulls(&["docker", "podman"]);
    world.coffer(&["audit"]).run().silent();
}

/// The store holds a login of podman's, say. Docker goes on taking its own from its file.
#[test]
fn docker_keeps_another_login_than_the_stores() {
    let machine = Machine::new();
    let (world, name) = (&machine.world, &machine.registry.name);
    let programs = world.without_containers();
    world.store_login(name, "podman", "wrong").silent();
    let config = machine.docker(json!({ "auths": { name: entry(USER, PASSWORD), "quay.io": entry(USER, PASSWORD) } }));
    let migrate = || world.coffer(&["migrate", "--yes"]).env("PATH", &programs).run();
    machine.pulls(&["docker"]);
    let said = migrate().ok();
    assert!(said.contains(&format!("config.json: {name}: the store holds another login for it, of podman")), "{said}");
    let expected = json!({
        "auths": { name: entry(USER, PASSWORD), "quay.io": {} },
        "credsStore": "coffer",
        "credHelpers": { name: "" },
    });
    assert_eq!(read_json(&config), expected);
    machine.pulls(&["docker"]);
    world.get(name).answers(name, "podman", "wrong");
    let before = world.snapshot(&world.path(""));
    migrate().ok();
    assert!(world.snapshot(&world.path("")) == before, "a second run changed something");

    // The store's goes, and Docker's may move.
    world.coffer(&["erase"]).input(name).run().silent();
    migrate().ok();
    keeps_no_plaintext(world, &world.path(""));
    assert_eq!(read_json(&config), json!({ "auths": { name: {}, "quay.io": {} }, "credsStore": "coffer" }));
    machine.pulls(&["docker"]);
}

/// `http://HOST` is no place of the store's `HOST`; it served all of it, though.
#[test]
fn docker_keeps_another_login_that_it_spells_otherwise() {
    for key in ["http://HOST", "HOST/team"] {
        let machine = Machine::new();
        let (world, name) = (&machine.world, &machine.registry.name);
        let key = key.replace("HOST", name);
        let path = world.without_containers();
        world.store_login(name, "podman", "wrong").silent();
        let config = machine.docker(json!({ "auths": { &key: entry(USER, PASSWORD) } }));
        let migrate = || world.coffer(&["migrate", "--yes"]).env("PATH", &path).run();
        machine.pulls(&["docker"]);
        assert!(migrate().ok().contains(&format!("{key}: the store holds another login for it, of podman")));
        machine.pulls(&["docker"]);
        world.coffer(&["erase"]).input(name).run().silent();
        migrate().ok();
        keeps_no_plaintext(world, &world.path(""));
        machine.pulls(&["docker"]);
        assert_eq!(read_json(config), json!({ "auths": { &key: {} }, "credsStore": "coffer" }));
    }
}

/// A logout of Docker's asks the store for `https://HOST` to be forgotten too, whatever its file says of `HOST`.
#[test]
fn after_dockers_logout_the_next_login_goes_to_the_store() {
    let machine = Machine::new();
    let (world, name) = (&machine.world, &machine.registry.name);
    let path = world.without_containers();
    world.store_login(name, "podman", "wrong").silent();
    let config = machine.docker(json!({ "auths": { name: entry(USER, PASSWORD) } }));
    let migrate = || world.coffer(&["migrate", "--yes"]).env("PATH", &path).run();
    migrate().ok();
    machine.pulls(&["docker"]);
    world.call("docker", &["logout", name]).run().ok();
    machine.is_refused(&["docker"]);
    migrate().ok();
    assert_eq!(read_json(&config), json!({ "auths": {}, "credsStore": "coffer" }));
    assert_eq!(migrate().ok(), "nothing to do\n");
    docker_login(world, &machine.registry, PASSWORD).ok();
    keeps_no_plaintext(world, &world.home());
    machine.pulls(&["docker"]);
}

/// An empty name would have podman call a helper without one, and fail.
#[test]
fn podman_lives_off_dockers_file_whatever_the_store_holds() {
    let machine = Machine::new();
    let (world, name) = (&machine.world, &machine.registry.name);
    world.store_login(name, "somebody", "wrong").silent();
    let config = machine.docker(json!({ "auths": { name: entry(USER, PASSWORD), "quay.io": entry(USER, PASSWORD),
        "https://index.docker.io/v1/": entry(USER, PASSWORD) } }));
    machine.pulls(&["docker", "podman", "skopeo", "buildah"]);
    machine.migrate().ok();
    machine.pulls(&["docker", "podman", "skopeo", "buildah"]);
    // Nor is Docker told to ask the store for everything, since that would give it another login than its own.
    let expected = json!({
        "auths": { name: entry(USER, PASSWORD), "quay.io": {}, "https://index.docker.io/v1/": {} },
        "credHelpers": { "quay.io": "coffer", "docker.io": "coffer", "https://index.docker.io/v1/": "coffer" },
    });
    assert_eq!(read_json(&config), expected);
    for server in ["quay.io", "https://index.docker.io/v1/"] {
        world.get(server).answers(server, USER, PASSWORD);
    }
    let before = world.snapshot(&world.path(""));
    machine.migrate().ok();
    assert!(world.snapshot(&world.path("")) == before, "a second run changed something");
    // It would promise that the next login of Docker's goes to the store.
    let setup = world.coffer(&["setup", "--yes"]).run();
    assert!(setup.code == Some(1) && setup.stderr.contains("nothing was done"), "{setup:#?}");
    assert!(world.snapshot(&world.path("")) == before, "setup changed something");

    world.coffer(&["erase"]).input(name).run().silent();
    machine.migrate().ok();
    keeps_no_plaintext(world, &world.path(""));
    machine.pulls(&["docker", "podman", "skopeo", "buildah"]);
    assert_eq!(read_json(&config)["credsStore"], "coffer");
}

/// Docker asks its helper and never looks at the entry; podman looks at nothing else.
#[test]
fn podman_keeps_what_docker_does_not_look_at() {
    let machine = Machine::new();
    let (world, name) = (&machine.world, &machine.registry.name);
    world.store_login(name, "docker", "wrong").silent();
    let config = machine.docker(json!({ "auths": { name: entry(USER, PASSWORD) }, "credsStore": "coffer" }));
    machine.pulls(&CONTAINERS);
    machine.is_refused(&["docker"]);
    machine.migrate().ok();
    machine.pulls(&CONTAINERS);
    machine.is_refused(&["docker"]);
    assert_eq!(read_json(config)["credsStore"], "coffer");
}

/// podman prefers the namespace's, Docker knows the host's alone.
#[test]
fn a_namespace_in_dockers_file_stays_podmans() {
    for is_linked in [false, true] {
        let machine = Machine::new();
        let (world, name) = (&machine.world, &machine.registry.name);
        let namespace = format!("{name}/team");
        machine.docker(json!({ "auths": {
            name: entry("host", "wrong"), &namespace: entry(USER, PASSWORD), "quay.io": entry(USER, PASSWORD) } }));
        if is_linked {
            fs::create_dir_all(world.home().join(".config/containers")).unwrap();
            symlink("../../.docker/config.json", world.home().join(".config/containers/auth.json")).unwrap();
        }
        machine.pulls(&CONTAINERS);
        machine.is_refused(&["docker"]);
        machine.migrate().ok();
        machine.pulls(&CONTAINERS);
        machine.is_refused(&["docker"]);
        world.get("quay.io").answers("quay.io", USER, PASSWORD);
        let before = world.snapshot(&world.path(""));
        machine.migrate().ok();
        assert!(world.snapshot(&world.path("")) == before, "a second run changed something");
    }
}

#[test]
fn a_helper_that_docker_names_is_not_set_aside_for_an_old_file() {
    let machine = Machine::new();
    let (world, name) = (&machine.world, &machine.registry.name);
    let answer = json!({ "ServerURL": name, "Username": USER, "Secret": PASSWORD });
    world.script("docker-credential-cloud", &format!("echo '{answer}'"));
    world.write(".dockercfg", &json!({ name: entry("old", "wrong") }).to_string());
    let config = machine.docker(json!({ "auths": {}, "credHelpers": { name: "cloud" } }));
    machine.pulls(&["docker", "podman", "skopeo"]);
    machine.migrate().ok();
    machine.pulls(&["docker", "podman", "skopeo"]);
    assert_eq!(read_json(config)["credHelpers"], json!({ name: "cloud" }));
}

#[test]
fn docker_keeps_a_login_whose_place_in_the_store_is_broken() {
    for key in ["HOST", "http://HOST"] {
        let machine = Machine::new();
        let (world, name) = (&machine.world, &machine.registry.name);
        let key = key.replace("HOST", name);
        let path = world.without_containers();
        world.store_login(name, "somebody", "wrong").silent();
        let stored = world.files(&world.store()).into_iter().find(|file| file.ends_with("somebody.age")).unwrap();
        fs::write(world.store().join(stored), "not age").unwrap();
        let text = json!({ "auths": { &key: entry(USER, PASSWORD), "quay.io": entry(USER, PASSWORD) } });
        let config = machine.docker(text);
        machine.pulls(&["docker"]);
        let said = world.coffer(&["migrate", "--yes"]).env("PATH", &path).run();
        assert!(said.code == Some(1) && said.stdout.contains("somebody.age"), "{said:#?}");
        machine.pulls(&["docker"]);
        assert_eq!(read_json(config)["auths"]["quay.io"], json!({}));
    }
}
