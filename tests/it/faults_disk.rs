//! `store`, `erase`, `key` and `recipients` on disks that are full, of bytes or of files, or read-only.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::keys::keygen;
use crate::support::{SECRET, World, in_two_threads, login, small_disk};

/// A world that holds two logins, and the recipient of a friend.
fn held() -> (World, String) {
    let world = World::new();
    world.store_login("ghcr.io", "alice", SECRET).silent();
    world.store_login("quay.io", "bob", SECRET).silent();
    let (_, friend) = keygen(&world, "friend.txt");
    (world, friend)
}

fn gives(world: &World, kept: &str, server: &str) -> bool {
    let store = world.path(kept).join("home/.local/share/coffer");
    let outcome = world.coffer(&["get"]).env("COFFER_DIR", store.to_str().unwrap()).input(server).run();
    outcome.code == Some(0) && outcome.stdout.contains(SECRET)
}

/// Tries every command on a file system with these options. How often there was no room.
fn try_all(options: &[String], words: &str) -> usize {
    let (template, friend) = held();
    let commands: [(&[&str], String); 6] = [
        (&["store"], login("ghcr.io", "carol", SECRET)),
        (&["store"], login("new.example", "carol", SECRET)),
        (&["erase"], "ghcr.io".into()),
        (&["key", "rotate"], String::new()),
        (&["recipients", "add", &friend], String::new()),
        (&["recipients", "add", "--recovery"], String::new()),
    ];
    let all: Vec<_> =
        options.iter().flat_map(|options| commands.iter().map(move |command| (options, command))).collect();
    let failed = AtomicUsize::new(0);
    in_two_threads(&all, |(options, (arguments, input))| {
        let when = format!("{options}, {arguments:?}");
        let world = template.twin();
        let outcome = small_disk::run(&world, &world.store(), options, arguments, input);
        assert!(!outcome.said().contains(SECRET), "{when}: {outcome:#?}");
        if outcome.code == Some(1) {
            failed.fetch_add(1, Ordering::Relaxed);
            assert!(outcome.stderr.contains(words), "{when}: {outcome:#?}");
            let said = outcome.stderr.lines().filter(|line| !line.starts_with("this is the only time that"));
            assert!(said.count() <= 2, "{when}: {outcome:#?}");
        }
        let erases = arguments[0] == "erase";
        for (kept, is_done) in [("first", outcome.code == Some(0)), ("second", true)] {
            assert!(gives(&world, kept, "quay.io"), "{when}: {kept}");
            // What was not said to be gone or done need not be either.
            assert!(gives(&world, kept, "ghcr.io") != (erases && is_done) || erases && !is_done, "{when}: {kept}");
            assert_eq!(world.files_with(&world.path(kept), SECRET), Vec::<PathBuf>::new(), "{when}: {kept}");
        }
        let left = world.files(&world.path("second"));
        assert!(left.iter().all(|name| !name.contains(".coffer-") && !name.contains("rekeying")), "{when}: {left:?}");
    });
    failed.into_inner()
}

#[test]
fn a_disk_without_room_for_bytes_loses_nothing() {
    // What is held takes four pages.
    let options: Vec<String> = (4..9).map(|pages| format!("size={}k", pages * 4)).collect();
    assert!(try_all(&options, "No space left on device") >= 8);
}

#[test]
fn a_disk_without_room_for_files_loses_nothing() {
    // Its directories, and what they hold.
    let options: Vec<String> = (9..14).map(|files| format!("nr_inodes={files}")).collect();
    assert!(try_all(&options, "No space left on device") >= 8);
}

#[test]
fn a_disk_that_is_read_only_is_read_all_the_same() {
    assert_eq!(try_all(&["ro,size=1m".into()], "Read-only file system"), 6);
}
