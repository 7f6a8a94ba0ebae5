//! What users see of the OS keyring: when it is out of reach, locked, or holds what nobody here has put there.

use std::process::Stdio;

use crate::support::{Bus, Server, World};

const START: &str = "start a Secret Service such as gnome-keyring in this session, or do without: store = \"age\", and \
                     key = \"file\" below [age]";
const MEND: &str = "mend or remove it with the keyring's own program, such as seahorse";
const KEY: &str = "docker-credential-coffer identity";

fn world(config: &str) -> World {
    let world = World::new();
    world.config(config);
    world
}

/// Puts an item into the keyring by hand.
fn put(world: &World, service: &str, username: &str, secret: &str) {
    let names = ["service", service, "username", username, "login", "alice"];
    world.call("secret-tool", &[&["store", "--label=by hand"], &names[..]].concat()).input(secret).run().ok();
}

fn remove(world: &World, service: &str) {
    world.call("secret-tool", &["clear", "service", service]).run();
}

#[test]
fn out_of_reach() {
    for config in ["store = \"keyring\"\n", "[age]\nkey = \"keyring\"\n"] {
        let mut world = world(config);
        let store = |world: &World| world.store_login("ghcr.io", "alice", "x");
        world.client_sees(store(&world), "the OS keyring cannot be reached: there is no D-Bus session bus", START);
        let _bus = Bus::empty(&mut world);
        world.client_sees(
            store(&world),
            "the OS keyring cannot be reached: DBus error: The name org.freedesktop.secrets was not provided by any .service files",
            START,
        );
    }
}

/// As before the first login to a desktop.
#[test]
fn without_a_collection() {
    let mut world = world("store = \"keyring\"\n");
    let bus = Bus::empty(&mut world);
    let mut command = world.command("gnome-keyring-daemon");
    command.args(["--foreground", "--components=secrets"]).stdin(Stdio::null()).stdout(Stdio::null());
    let _keyring = Server::start(&mut command);
    bus.wait_for(&world, "org.freedesktop.secrets");
    world.client_sees(
        world.store_login("ghcr.io", "alice", "x"),
        "the OS keyring cannot be reached: it has no default collection",
        START,
    );
}

#[test]
fn locked() {
    let mut world = world("store = \"keyring\"\n");
    let bus = Bus::with_keyring(&mut world);
    world.store_login("ghcr.io", "alice", "x").silent();
    bus.lock(&world);
    world.client_sees(
        world.get("ghcr.io"),
        "the OS keyring is locked",
        "unlock the keyring (log in to the desktop, or gnome-keyring-daemon --unlock) and try again",
    );
}

#[test]
fn items_of_credentials() {
    let mut world = world("store = \"keyring\"\n");
    let _bus = Bus::with_keyring(&mut world);
    world.store_login("ghcr.io", "alice", "x").silent();
    let shown = world.call("secret-tool", &["search", "--all", "service", "docker-credential-coffer"]).run().said();
    assert!(shown.contains("label = ghcr.io (alice) in docker-credential-coffer\n"), "{shown}");
    for secret in ["SECRET", "{\"ServerURL\":\"quay.io\",\"Username\":\"alice\",\"Secret\":\"x\"}"] {
        remove(&world, "docker-credential-coffer");
        put(&world, "docker-credential-coffer", "ghcr.io", secret);
        world.client_sees(
            world.get("ghcr.io"),
            "an item of the OS keyring is broken: that of ghcr.io is not a credential for it",
            MEND,
        );
    }
    put(&world, "docker-credential-coffer", "alice@ghcr.io", "SECRET");
    let listed = world.coffer(&["list"]).run();
    assert_eq!(listed.stdout, "{\"ghcr.io\":\"alice\"}\n");
    world.is_told(listed, "an item of the OS keyring is broken: it is not named after a server");
}

#[test]
fn items_of_keys() {
    let mut world = world("[age]\nkey = \"keyring\"\n");
    let bus = Bus::with_keyring(&mut world);
    world.store_login("ghcr.io", "alice", "x").silent();
    let shown = world.call("secret-tool", &["search", "--all", "service", KEY]).run().said();
    assert!(shown.contains("label = Key of docker-credential-coffer\n"), "{shown}");
    remove(&world, KEY);
    let store = "no key for the store in ~/.local/share/coffer";
    world.client_sees(
        world.get("ghcr.io"),
        &format!("{store}: the OS keyring holds none"),
        "bring back the identities file, unlock the OS keyring, or set COFFER_IDENTITY_FILE",
    );
    put(&world, KEY, "nobody", "SECRET");
    world.client_sees(
        world.get("ghcr.io"),
        "an item of the OS keyring is broken: that of the key is not an age identity",
        MEND,
    );
    world.client_sees(
        world.store_login("quay.io", "alice", "x"),
        "an item of the OS keyring is broken: that of the key is not named after a recipient",
        MEND,
    );
    drop(bus);
}
