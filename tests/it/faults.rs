//! Every call of `store`, `erase`, `key rotate` and `recipients`, failing or being the last: nothing is lost, nothing is said
//! to be done that was not, and called again it ends where an undisturbed run ends.

use std::fs;
use std::path::Path;

use crate::support::faults::{Faults, Run, Says, some};
use crate::support::keys::{keygen, opens};
use crate::support::{SECRET, World, login};

/// A world whose store holds two logins, with a key in a file.
fn held() -> World {
    let world = World::new();
    world.store_login("ghcr.io", "alice", &secret("ghcr.io")).silent();
    world.store_login("quay.io", "bob", &secret("quay.io")).silent();
    world
}

fn secret(server: &str) -> String {
    format!("{SECRET}-{server}")
}

fn answers(world: &World, server: &str, username: &str, when: &str) {
    let outcome = world.get(server);
    assert_eq!(outcome.code, Some(0), "{when}: {outcome:#?}");
    outcome.answers(server, username, &secret(server));
}

#[track_caller]
fn nothing_is_in_clear(world: &World, when: &str) {
    assert_eq!(world.files_with(&world.path(""), SECRET), Vec::<std::path::PathBuf>::new(), "{when}");
    // A plain key is written beside the one that it replaces.
    let keys = world.files_with(&world.path(""), "AGE-SECRET-KEY-1");
    let is_key = |path: &Path| path.parent() == Some(&world.store());
    assert!(keys.iter().all(|path| is_key(path)), "{when}: {keys:?}");
}

fn names(world: &World) -> Vec<String> {
    let files = world.files(&world.store());
    files.into_iter().filter(|name| name.ends_with(".age") || name.ends_with(".age-recipients")).collect()
}

fn recipients(world: &World) -> Vec<String> {
    let text = fs::read_to_string(world.store().join("store/.age-recipients")).unwrap();
    text.lines().filter(|line| !line.starts_with('#')).map(Into::into).collect()
}

fn itself(world: &World) -> &World {
    world
}

#[test]
fn the_first_store_of_all_survives_every_fault() {
    Faults::of(
        (&["store"], &login("ghcr.io", "alice", &secret("ghcr.io"))),
        &World::new,
        itself,
        &nothing_is_in_clear,
        &|world, _, when| {
            answers(world, "ghcr.io", "alice", when);
            assert_eq!(names(world), ["store/.age-recipients", "store/ghcr.io/alice.age"], "{when}");
            assert_eq!(recipients(world).len(), 1, "{when}");
        },
    )
    .says(Says::ToDocker)
    .run();
}

#[test]
fn a_store_that_replaces_survives_every_fault() {
    let template = held();
    Faults::of(
        (&["store"], &login("ghcr.io", "carol", &secret("ghcr.io"))),
        &|| template.twin(),
        itself,
        &|world, when| {
            nothing_is_in_clear(world, when);
            let outcome = world.get("ghcr.io");
            assert!(outcome.code == Some(0) && outcome.stdout.contains(&secret("ghcr.io")), "{when}: {outcome:#?}");
            answers(world, "quay.io", "bob", when);
        },
        &|world, _, when| {
            answers(world, "ghcr.io", "carol", when);
            let expected = ["store/.age-recipients", "store/ghcr.io/carol.age", "store/quay.io/bob.age"];
            assert_eq!(names(world), expected, "{when}");
        },
    )
    .says(Says::ToDocker)
    .run();
}

#[test]
fn an_erase_survives_every_fault() {
    let template = held();
    Faults::of(
        (&["erase"], "ghcr.io"),
        &|| template.twin(),
        itself,
        &|world, when| {
            nothing_is_in_clear(world, when);
            answers(world, "quay.io", "bob", when);
        },
        &|world, _, when| {
            assert_eq!(names(world), ["store/.age-recipients", "store/quay.io/bob.age"], "{when}");
            world.get("ghcr.io").misses();
        },
    )
    .says(Says::ToDocker)
    .run();
}

fn holds_both(world: &World, when: &str) {
    nothing_is_in_clear(world, when);
    answers(world, "ghcr.io", "alice", when);
    answers(world, "quay.io", "bob", when);
}

/// That both logins are there, and these recipients can read them, or cannot.
fn are_for(world: &World, count: usize, when: &str) {
    holds_both(world, when);
    assert_eq!(names(world), ["store/.age-recipients", "store/ghcr.io/alice.age", "store/quay.io/bob.age"], "{when}");
    assert_eq!(recipients(world).len(), count, "{when}");
    assert!(!world.store().join("rekeying").exists(), "{when}");
    for name in ["store/ghcr.io/alice.age", "store/quay.io/bob.age"] {
        let bytes = fs::read(world.store().join(name)).unwrap();
        let header = String::from_utf8_lossy(&bytes).into_owned();
        assert_eq!(header.matches("\n-> X25519 ").count(), count, "{when}: {name}");
    }
}

#[test]
fn a_new_key_survives_every_fault() {
    let template = held();
    let old = template.home().join("old.txt");
    fs::copy(template.store().join("identities"), &old).unwrap();
    let plain = template.store().join("identities");
    assert!(opens(&template, &plain, &template.store().join("store/ghcr.io/alice.age")));
    fs::rename(&old, template.path("old.txt")).unwrap();
    let old = template.path("old.txt");
    Faults::of((&["key", "rotate"], ""), &|| template.twin(), itself, &holds_both, &|world, _, when| {
        are_for(world, 1, when);
        assert!(!opens(world, &old, &world.store().join("store/quay.io/bob.age")), "{when}");
    })
    .few(&some)
    .run();
}

#[test]
fn one_more_reader_survives_every_fault() {
    let template = held();
    let (_, friend) = keygen(&template, "friend.txt");
    fs::remove_file(template.home().join("friend.txt")).unwrap();
    Faults::of((&["recipients", "add", &friend], ""), &|| template.twin(), itself, &holds_both, &|world, _, when| {
        are_for(world, 2, when)
    })
    .few(&some)
    .run();
}

#[test]
fn one_reader_less_survives_every_fault() {
    let template = held();
    let (_, friend) = keygen(&template, "friend.txt");
    fs::remove_file(template.home().join("friend.txt")).unwrap();
    template.coffer(&["recipients", "add", &friend]).run().ok();
    Faults::of(
        (&["recipients", "remove", &friend], ""),
        &|| template.twin(),
        itself,
        &holds_both,
        &|world, _, when| are_for(world, 1, when),
    )
    .few(&some)
    .run();
}

/// Called again it makes another one: the first was shown, and who wrote it down can read.
#[test]
fn a_recovery_key_survives_every_fault() {
    let template = held();
    Faults::of(
        (&["recipients", "add", "--recovery"], ""),
        &|| template.twin(),
        itself,
        &holds_both,
        &|world, run, when| {
            let count = recipients(world).len();
            assert!(count == 2 || count == 3 && run == Run::Second, "{when}: {count}");
            are_for(world, count, when);
        },
    )
    .few(&some)
    .run();
}
