//! Who waits for the lock of the store, and what they find when it is theirs.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::thread;
use std::time::Duration;

use crate::support::{Aws, World, wait_until};

const ECR: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com";

/// A world with a login, and its lock, held.
fn held() -> (World, File) {
    let world = World::new();
    world.store_login("ghcr.io", "alice", "hunter2").silent();
    let lock = File::open(world.store().join("lock")).unwrap();
    lock.lock().unwrap();
    (world, lock)
}

/// Until so many processes wait for the lock.
fn until_wait(world: &World, count: usize) {
    let inode = fs::metadata(world.store().join("lock")).unwrap().ino();
    let is_waiter = |line: &str| line.contains("->") && line.contains(&format!(":{inode} "));
    wait_until("a process that waits", || {
        let locks = fs::read_to_string("/proc/locks").unwrap();
        locks.lines().filter(|line| is_waiter(line)).count() >= count
    });
}

/// The second found neither the login nor its directory, and could not sync that.
#[test]
fn two_erases_at_once_are_both_done() {
    let (world, lock) = held();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| world.coffer(&["erase"]).input("ghcr.io").run().silent());
        }
        until_wait(&world, 2);
        drop(lock);
    });
    world.get("ghcr.io").misses();
}

/// As long as each looked again now and then, one of sixty-four writers could find the lock taken for ten seconds, and fail.
#[test]
fn who_waits_for_the_lock_gets_it_in_turn() {
    let (world, lock) = held();
    thread::scope(|scope| {
        for number in 1..=16 {
            let world = &world;
            scope.spawn(move || world.store_login("ghcr.io", &format!("user-{number}"), "secret").silent());
            until_wait(world, number);
        }
        drop(lock);
    });
    world.get("ghcr.io").answers("ghcr.io", "user-16", "secret");
}

/// It waited half a second, as the keeping of a token does, and failed.
#[test]
fn a_logout_of_ecr_waits_as_any_other() {
    let mut world = World::new();
    let _aws = Aws::start(&mut world);
    world.get(ECR).ok();
    let lock = File::open(world.store().join("lock")).unwrap();
    lock.lock().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| world.coffer(&["erase"]).input(ECR).run().silent());
        until_wait(&world, 1);
        thread::sleep(Duration::from_millis(700));
        drop(lock);
    });
    assert_eq!(world.coffer(&["list"]).run().ok(), "{}\n");
}
