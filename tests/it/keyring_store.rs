//! The keyring store, and the key in the OS keyring, on a real gnome-keyring.

use crate::support::{Bus, IN_TIME, World};

fn world_with(config: &str) -> World {
    let world = World::new();
    world.config(config);
    world
}

#[test]
fn a_credential_goes_in_and_comes_back() {
    let mut world = world_with("store = \"keyring\"");
    let _bus = Bus::with_keyring(&mut world);
    world.get("ghcr.io").misses();
    world.store_login("https://ghcr.io", "alice", "hunter2").silent();
    world.store_login("https://index.docker.io/v1/", "bob", "line\nbreak\0 and more").silent();
    world.get("ghcr.io/org/image").answers("ghcr.io/org/image", "alice", "hunter2");
    world.get("docker.io").answers("docker.io", "bob", "line\nbreak\0 and more");
    let listed = world.coffer(&["list"]).run().ok();
    assert_eq!(listed, "{\"ghcr.io\":\"alice\",\"https://index.docker.io/v1/\":\"bob\"}\n");
    // A new login replaces the old one, whatever its username.
    world.store_login("ghcr.io", "carol", "s3cret").silent();
    world.get("ghcr.io").answers("ghcr.io", "carol", "s3cret");
    assert!(world.coffer(&["list"]).run().ok().contains("\"ghcr.io\":\"carol\""));
    for _ in 0..2 {
        world.coffer(&["erase"]).input("ghcr.io").run().silent();
    }
    world.get("ghcr.io").misses();
    assert!(world.files(&world.store()).is_empty(), "the age store is not touched");
}

#[test]
fn what_is_locked_is_not_missing_and_a_miss_unlocks_nothing() {
    let mut world = world_with("store = \"keyring\"");
    world.set("COFFER_NO_PROMPT", "1");
    let bus = Bus::with_keyring(&mut world);
    world.store_login("ghcr.io", "alice", "hunter2").silent();
    bus.lock(&world);
    world.get("quay.io").misses();
    world.get("ghcr.io").fails("the OS keyring is locked");
    world.store_login("quay.io", "bob", "x").fails("the OS keyring is locked");
    world.coffer(&["erase"]).input("quay.io").run().silent();
    world.coffer(&["erase"]).input("ghcr.io").run().fails("the OS keyring is locked");
    assert_eq!(world.coffer(&["list"]).run().ok(), "{\"ghcr.io\":\"alice\"}\n", "names need no unlocking");
}

/// gnome-keyring has its prompt shown by a program of the desktop. Here there is none, and then one that says nothing.
#[test]
fn a_prompt_that_nobody_answers_costs_no_more_than_its_time() {
    let mut world = world_with("store = \"keyring\"");
    let bus = Bus::with_keyring(&mut world);
    world.store_login("ghcr.io", "alice", "hunter2").silent();
    bus.lock(&world);
    world.get("ghcr.io").fails("the OS keyring is locked");
    let _prompter = bus.black_hole(&world, "org.gnome.keyring.SystemPrompter");
    let waited = world.get("ghcr.io");
    assert!(waited.took.as_secs() >= 14, "{waited:#?}");
    waited.fails("the OS keyring is locked");
}

#[test]
fn without_a_keyring_the_error_says_so() {
    let mut world = world_with("store = \"keyring\"");
    world.get("ghcr.io").fails("there is no D-Bus session bus");
    let _bus = Bus::empty(&mut world);
    world.get("ghcr.io").fails("the OS keyring cannot be reached");
    world.store_login("ghcr.io", "alice", "hunter2").fails("the OS keyring cannot be reached");
}

#[test]
fn the_first_login_puts_the_key_into_an_unlocked_keyring() {
    let mut world = World::new();
    let mut bus = Bus::with_keyring(&mut world);
    world.store_login("ghcr.io", "alice", "hunter2").silent();
    assert!(!world.store().join("identities").exists());
    world.get("ghcr.io").answers("ghcr.io", "alice", "hunter2");

    // Locked: what is held cannot be opened, what is not held is still a miss.
    world.set("COFFER_NO_PROMPT", "1");
    bus.lock(&world);
    world.get("ghcr.io").fails("the OS keyring is locked");
    world.get("quay.io").misses();
    assert_eq!(world.coffer(&["list"]).run().ok(), "{\"ghcr.io\":\"alice\"}\n");
    // Writing needs only the recipients.
    world.store_login("quay.io", "bob", "x").silent();

    // Gone: a second key would orphan what the first one opens.
    bus.stop_keyring();
    world.get("ghcr.io").fails("no key for the store");
    world.store_login("gcr.io", "carol", "y").fails("no key for the store");
    bus.start_keyring(&world);
    world.get("ghcr.io").answers("ghcr.io", "alice", "hunter2");
}

#[test]
fn a_locked_keyring_leaves_the_first_key_to_a_file() {
    let mut world = World::new();
    let bus = Bus::with_keyring(&mut world);
    bus.lock(&world);
    world.store_login("ghcr.io", "alice", "hunter2").silent();
    assert!(world.store().join("identities").exists());
    world.get("ghcr.io").answers("ghcr.io", "alice", "hunter2");
}

#[test]
fn a_bus_that_does_not_answer_costs_no_more_than_its_time() {
    let mut world = world_with("store = \"keyring\"");
    let bus = Bus::with_keyring(&mut world);
    let stop = format!("kill -STOP {}", bus.daemon.0.id());
    world.call("sh", &["-c", &stop]).run().ok();
    world.get("ghcr.io").fails("the OS keyring");
    // The kubelet waits for a minute, and then says nothing of why.
    let request = r#"{"apiVersion":"credentialprovider.kubelet.k8s.io/v1","kind":"CredentialProviderRequest","image":"ghcr.io/x"}"#;
    let asked = world.coffer(&["kubelet"]).input(request).run();
    assert!(asked.code == Some(1) && asked.stdout.is_empty() && asked.took < IN_TIME, "{asked:#?}");
    assert!(asked.stderr.starts_with("gave up after 19 s of waiting for"), "{asked:#?}");
}
