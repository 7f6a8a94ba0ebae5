//! `migrate` and what killed runs leave beside a client's file: what only looks like it is never touched.

use std::fs;
use std::os::unix::fs::{chown, symlink};

use serde_json::json;

use crate::support::{World, chmod};

/// Base64 of `u:p`.
const AUTH: &str = "dTpw";
const LEFTOVER: &str = ".coffer-0123456789abcdef";

/// A world whose `auth.json` lies where everybody may write.
fn shared() -> World {
    let mut world = World::new();
    let path = world.path("open/auth.json");
    world.write("../open/auth.json", &json!({ "auths": { "a.example": { "auth": AUTH } } }).to_string());
    chmod(path.parent().unwrap(), 0o1777);
    world.set("REGISTRY_AUTH_FILE", path.to_str().unwrap());
    world
}

#[test]
fn a_leftover_is_gone_after_the_next_run() {
    let world = shared();
    let leftover = world.path("open").join(LEFTOVER);
    fs::write(&leftover, "{\"auths\": {\"b.ex").unwrap();
    world.coffer(&["migrate", "--yes"]).run().ok();
    assert!(!leftover.exists());
}

#[test]
fn a_link_with_a_leftovers_name_does_not_take_its_target_along() {
    let world = shared();
    let precious = world.write("precious", "not to be lost");
    symlink(&precious, world.path("open").join(LEFTOVER)).unwrap();
    world.coffer(&["migrate", "--yes"]).run().ok();
    assert_eq!(fs::read_to_string(&precious).unwrap(), "not to be lost");
    world.get("a.example").answers("a.example", "u", "p");
}

#[test]
fn what_another_user_puts_there_is_not_believed() {
    let world = shared();
    let planted = world.path("open").join(LEFTOVER);
    fs::write(&planted, json!({ "auths": { "b.example": { "auth": AUTH } } }).to_string()).unwrap();
    chown(&planted, Some(65534), Some(65534)).unwrap();
    world.coffer(&["migrate", "--yes"]).run().ok();
    world.get("b.example").misses();
    assert!(planted.exists());
}

#[test]
fn a_file_of_ones_own_with_such_a_name_stays() {
    let world = World::new();
    let notes = world.write(".coffer-backup", "the recovery key is in the safe");
    world.write(".docker/config.json", &json!({ "auths": { "a.example": { "auth": AUTH } } }).to_string());
    world.coffer(&["migrate", "--yes"]).run().ok();
    assert!(notes.exists());
}
