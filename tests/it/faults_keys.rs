//! `key protect` and `key rotate`, from every kind of key to another, disturbed at every call.

use std::fs;

use crate::support::faults::Faults;
use crate::support::keys::{Pinentry, token};
use crate::support::strace::Call;
use crate::support::{Bus, SECRET, World};

const PASSPHRASE: &str = "open sesame\nopen sesame\n";

/// What a run with a passphrase is too dear for: all but the moment at which the key changes.
fn is_switch(call: &Call) -> bool {
    call.name.starts_with("rename") && call.arguments.contains("/identities\"")
}

/// Where a run is dear: what names, removes, or is said to the keyring, and where the key is looked for.
fn changes_place(call: &Call) -> bool {
    ["rename", "unlink", "send"].iter().any(|kind| call.name.starts_with(kind))
        || ["statx", "stat", "lstat"].contains(&call.name.as_str()) && call.arguments.contains("/identities\"")
}

/// A world that holds a login, with a token plugged in and somebody at a pinentry.
fn held() -> World {
    let world = World::new();
    Pinentry::install(&world, &[]);
    token(&world, "mine");
    world.store_login("ghcr.io", "alice", SECRET).silent();
    world
}

fn protect(world: &World, options: &[&str]) {
    world.coffer(&[&["key", "protect"], options].concat()).input(PASSPHRASE).run().ok();
}

fn holds(world: &World, when: &str) {
    Pinentry::install(world, &["open sesame"; 6]);
    let outcome = world.get("ghcr.io");
    assert_eq!(outcome.code, Some(0), "{when}: {outcome:#?}");
    outcome.answers("ghcr.io", "alice", SECRET);
    assert!(world.files_with(&world.path(""), SECRET).is_empty(), "{when}");
    let keys = world.files_with(&world.path(""), "AGE-SECRET-KEY-1");
    assert!(keys.iter().all(|path| path.parent() == Some(&world.store())), "{when}: {keys:?}");
}

/// That the key is held so, and nowhere else.
fn is_held(world: &World, words: &str, when: &str) {
    holds(world, when);
    let shown = world.coffer(&["key", "show"]).run().ok();
    assert!(shown.contains(words), "{when}: {shown}");
    let plain = world.files_with(&world.path(""), "AGE-SECRET-KEY-1").len();
    assert_eq!(plain, usize::from(words == "a plain file"), "{when}");
    assert_eq!(world.store().join("identities").exists(), words != "in the OS keyring", "{when}");
    let list = fs::read_to_string(world.store().join("store/.age-recipients")).unwrap();
    assert_eq!(list.lines().count(), 1, "{when}: {list}");
}

fn itself(world: &World) -> &World {
    world
}

#[test]
fn a_plain_key_that_is_sealed_survives_every_fault() {
    let template = held();
    let ended = |world: &World, _, when: &str| is_held(world, "sealed with a passphrase", when);
    let command: (&[&str], _) = (&["key", "protect", "--passphrase"], PASSPHRASE);
    Faults::of(command, &|| template.twin(), itself, &holds, &ended).few(&is_switch).kills();
}

#[test]
fn a_sealed_key_that_is_laid_bare_survives_every_fault() {
    let template = held();
    protect(&template, &["--passphrase"]);
    let ended = |world: &World, _, when: &str| is_held(world, "a plain file", when);
    let command: (&[&str], _) = (&["key", "protect", "--file"], PASSPHRASE);
    Faults::of(command, &|| template.twin(), itself, &holds, &ended).few(&is_switch).kills();
}

#[test]
fn a_key_that_a_token_takes_over_survives_every_fault() {
    let template = held();
    let ended = |world: &World, _, when: &str| is_held(world, "held by age-plugin-token", when);
    let command: (&[&str], _) = (&["key", "protect", "--plugin", "mine.txt"], "");
    Faults::of(command, &|| template.twin(), itself, &holds, &ended)
        .only(&|call| call.name != "write")
        .few(&is_switch)
        .run();
}

#[test]
fn a_key_that_a_token_gives_up_survives_every_fault() {
    let template = held();
    protect(&template, &["--plugin", "mine.txt"]);
    let ended = |world: &World, _, when: &str| is_held(world, "a plain file", when);
    let command: (&[&str], _) = (&["key", "protect", "--file"], "");
    Faults::of(command, &|| template.twin(), itself, &holds, &ended)
        .only(&|call| call.name != "write")
        // The plugin is looked for before each start.
        .few(&|call| is_switch(call) || call.name == "readlink" && call.arguments.contains("age-plugin-token"))
        .run();
}

/// One keyring for all: what was left there is taken out before each.
#[test]
fn a_key_that_the_keyring_takes_gives_and_makes_anew_survives_every_fault() {
    let mut world = held();
    let mut bus = Bus::empty(&mut world);
    bus.start_keyring(&world);
    let world = &world;
    let in_keyring = || {
        protect(world, &["--keyring"]);
        world
    };
    let in_file = || {
        protect(world, &["--file"]);
        world
    };
    let items = || {
        let search = ["search", "--all", "service", "docker-credential-coffer identity"];
        world.call("secret-tool", &search).run().said().matches("attribute.username").count()
    };
    let taken = |world: &&World, _, when: &str| {
        is_held(world, "in the OS keyring", when);
        assert_eq!(items(), 1, "{when}");
    };
    let given = |world: &&World, _, when: &str| {
        is_held(world, "a plain file", when);
        assert_eq!(items(), 0, "{when}");
    };
    let holds = |world: &&World, when: &str| holds(world, when);
    Faults::of((&["key", "protect", "--keyring"], ""), &in_file, |world| world, &holds, &taken)
        .few(&changes_place)
        .alone()
        .run();
    Faults::of((&["key", "protect", "--file"], ""), &in_keyring, |world| world, &holds, &given)
        .few(&changes_place)
        .alone()
        .run();
    Faults::of((&["key", "rotate"], ""), &in_keyring, |world| world, &holds, &taken)
        .few(&|call| call.name.starts_with("send") && call.number.is_multiple_of(3))
        .alone()
        .run();
}
