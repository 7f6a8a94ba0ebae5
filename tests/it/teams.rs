//! A store that several people share through git, each with a key of his own.

use std::fs;
use std::path::Path;

use crate::support::World;
use crate::support::keys::keygen;

fn git(world: &World, directory: &Path, arguments: &[&str]) -> String {
    let identity = ["-c", "user.name=x", "-c", "user.email=x@example.com"];
    let place = ["-C", directory.to_str().unwrap()];
    world.call("git", &[&identity[..], &place, arguments].concat()).run().ok()
}

fn push(world: &World) {
    let store = world.store().join("store");
    git(world, &store, &["add", "-A"]);
    git(world, &store, &["commit", "-qm", "logins"]);
    git(world, &store, &["push", "-q", "-u", "origin", "main"]);
}

/// Alice begins, Bob joins, both write, Bob leaves; as docs/keys.md has it.
#[test]
fn two_people_share_a_store_through_git() {
    let (alice, bob) = (World::new(), World::new());
    let shared = alice.path("shared.git");
    git(&alice, &alice.home(), &["init", "-q", "--bare", "-b", "main", shared.to_str().unwrap()]);

    alice.store_login("ghcr.io", "team", "one").silent();
    let store = alice.store().join("store");
    git(&alice, &store, &["init", "-q", "-b", "main"]);
    git(&alice, &store, &["remote", "add", "origin", shared.to_str().unwrap()]);
    push(&alice);

    // Bob clones, makes a key, and tells Alice its recipient.
    fs::create_dir_all(bob.store()).unwrap();
    crate::support::chmod(&bob.store(), 0o700);
    git(&bob, &bob.home(), &["clone", "-q", shared.to_str().unwrap(), bob.store().join("store").to_str().unwrap()]);
    bob.get("ghcr.io").fails("no key for the store");
    bob.get("quay.io").misses();
    let (identity, recipient) = keygen(&bob, "key.txt");
    fs::rename(identity, bob.store().join("identities")).unwrap();
    bob.get("ghcr.io").fails("none of the keys opens");
    bob.store_login("quay.io", "team", "x").fails("the key is not among the recipients");

    alice.coffer(&["recipients", "add", &recipient]).run().ok();
    push(&alice);
    git(&bob, &bob.store().join("store"), &["pull", "-q"]);
    bob.get("ghcr.io").answers("ghcr.io", "team", "one");
    bob.store_login("quay.io", "team", "two").silent();
    push(&bob);
    git(&alice, &store, &["pull", "-q"]);
    alice.get("quay.io").answers("quay.io", "team", "two");
    assert_eq!(git(&alice, &store, &["status", "--porcelain"]), "", "nothing but the store is in git");
    let tracked = git(&alice, &store, &["ls-files"]);
    assert_eq!(tracked, ".age-recipients\nghcr.io/team.age\nquay.io/team.age\n");

    // Both log in to one registry under different names: a merge of two files, and the newest counts.
    alice.store_login("gcr.io", "alice", "hers").silent();
    bob.store_login("gcr.io", "bob", "his").silent();
    push(&alice);
    let directory = bob.store().join("store");
    git(&bob, &directory, &["add", "-A"]);
    git(&bob, &directory, &["commit", "-qm", "mine"]);
    git(&bob, &directory, &["pull", "-q", "--no-rebase", "--no-edit"]);
    assert_eq!(bob.files(&directory.join("gcr.io")), ["alice.age", "bob.age"]);
    bob.get("gcr.io").ok();
    bob.store_login("gcr.io", "team", "ours").silent();
    push(&bob);
    git(&alice, &store, &["pull", "-q"]);
    alice.get("gcr.io").answers("gcr.io", "team", "ours");

    alice.coffer(&["recipients", "remove", &recipient]).run().ok();
    push(&alice);
    git(&bob, &directory, &["pull", "-q"]);
    bob.get("ghcr.io").fails("none of the keys opens");
    alice.get("ghcr.io").answers("ghcr.io", "team", "one");
    // Each changes his own key, whenever he likes.
    alice.coffer(&["key", "rotate"]).run().ok();
    alice.get("quay.io").answers("quay.io", "team", "two");
}

/// Who can push can push symbolic links too: a login must not remove what lies where they lead.
#[test]
fn a_link_in_place_of_a_server_is_not_followed() {
    let world = World::new();
    world.store_login("quay.io", "alice", "x").silent();
    let outside = world.write("elsewhere/other.age", "mine").parent().unwrap().to_owned();
    std::os::unix::fs::symlink(&outside, world.store().join("store/ghcr.io")).unwrap();
    world.get("ghcr.io").fails("ghcr.io is a symbolic link");
    world.store_login("ghcr.io", "alice", "x").fails("ghcr.io is a symbolic link");
    world.coffer(&["erase"]).input("ghcr.io").run().fails("ghcr.io is a symbolic link");
    assert_eq!(world.files(&outside), ["other.age"]);
    assert_eq!(world.coffer(&["list"]).run().ok().trim(), r#"{"quay.io":"alice"}"#);
}

/// What a link leads to may be a backup, or a token, which are not the team's.
#[test]
fn nothing_is_drawn_into_the_shared_store_by_a_link() {
    let world = World::new();
    world.store_login("quay.io", "alice", "SECRET").silent();
    let outside = world.store().join("backups/x");
    fs::create_dir_all(&outside).unwrap();
    fs::rename(world.store().join("store/quay.io/alice.age"), outside.join("own.age")).unwrap();
    let link = world.store().join("store/quay.io/alice.age");
    std::os::unix::fs::symlink("../../backups/x/own.age", &link).unwrap();
    let (_, recipient) = keygen(&world, "key.txt");
    let outcome = world.coffer(&["recipients", "add", &recipient]).run();
    assert!(outcome.code == Some(1) && outcome.stderr.contains("alice.age is a symbolic link"), "{outcome:#?}");
    assert!(link.is_symlink());
}
