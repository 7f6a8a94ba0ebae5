//! `migrate`, while others read and write the same files, or migrate too. None of them takes a lock.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::{LivedIn, World, find_in_time, held, wait_until};

const COFFER: &str = env!("CARGO_BIN_EXE_docker-credential-coffer");

/// How many are added.
const LOGINS: usize = 300;

/// Adds a login to Docker's configuration as `docker login` does, which reads it, and writes what it read and one more.
fn add(config: &Path, number: usize, write: fn(&Path, &[u8])) {
    // While it is written in place, a reader sees half of it, and Docker would fail.
    let read = || serde_json::from_slice::<Value>(&fs::read(config).unwrap()).ok();
    let mut document = find_in_time("a whole file", read);
    let entry = json!({ "auth": STANDARD.encode(format!("user:secret-{number}")) });
    document["auths"][format!("n{number}.example")] = entry;
    write(config, document.to_string().as_bytes());
}

fn by_rename(config: &Path, bytes: &[u8]) {
    let temporary = config.with_extension("tmp");
    fs::write(&temporary, bytes).unwrap();
    fs::rename(temporary, config).unwrap();
}

fn in_place(config: &Path, bytes: &[u8]) {
    fs::write(config, bytes).unwrap();
}

/// Adds logins while a migration follows the other. Each exchange of names is stretched, so that the writer comes before it,
/// within it and after it.
fn loses_no_login_of_a_writer(write: fn(&Path, &[u8])) {
    let world = World::new();
    let config = world.write(".docker/config.json", r#"{"auths":{}}"#);
    let written = AtomicUsize::new(0);
    let mut outcomes = Vec::new();
    let stretched = "inject=renameat2:delay_enter=8000:delay_exit=8000";
    let strace = ["-f", "-qq", "-o", "/dev/null", "-e", "trace=renameat2", "-e", stretched, COFFER, "migrate", "--yes"];
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..LOGINS {
                add(&config, number, write);
                written.store(number + 1, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(4));
            }
        });
        while written.load(Ordering::Relaxed) < LOGINS && outcomes.len() < 100 {
            outcomes.push(world.call("strace", &strace).run());
        }
    });
    for outcome in &outcomes {
        let is_told = outcome.stdout.contains("keep writing it") || outcome.stdout.contains("is not JSON");
        assert!(outcome.code == Some(0) || is_told, "{outcome:#?}");
    }
    world.coffer(&["migrate", "--yes"]).run().ok();
    let held = held(&world.store());
    let lost: Vec<usize> = (0..LOGINS).filter(|number| !held.contains_key(&format!("n{number}.example"))).collect();
    assert_eq!(lost, [0; 0], "lost while {} migrations ran", outcomes.len());
}

#[test]
fn a_writer_that_renames_loses_nothing() {
    loses_no_login_of_a_writer(by_rename);
}

#[test]
fn a_writer_that_writes_in_place_loses_nothing() {
    loses_no_login_of_a_writer(in_place);
}

/// The exchange of names is held up before it is made, and before it is looked at.
#[test]
fn what_others_write_around_the_exchange_is_found_again() {
    for is_early in [true, false] {
        let world = World::new();
        let config = world.write(".docker/config.json", r#"{"auths":{"a.example":{"auth":"dTpw"}}}"#);
        let stretched = "inject=renameat2:delay_enter=400000:delay_exit=400000:when=1";
        let strace =
            ["-f", "-qq", "-o", "/dev/null", "-e", "trace=renameat2", "-e", stretched, COFFER, "migrate", "--yes"];
        let outcome = thread::scope(|scope| {
            let running = scope.spawn(|| world.call("strace", &strace).run());
            let says = |word: &str| fs::read_to_string(&config).unwrap().contains(word);
            wait_until("the new file", || world.files(&world.home().join(".docker")).len() > 1);
            // It looks once more before the exchange.
            thread::sleep(Duration::from_millis(200));
            add(&config, 1, by_rename);
            wait_until("the exchange", || says("credsStore"));
            let mut ours: Value = serde_json::from_slice(&fs::read(&config).unwrap()).unwrap();
            if !is_early {
                wait_until("the exchange back", || !says("credsStore"));
            }
            ours["auths"]["n2.example"] = json!({ "auth": "dTpw" });
            by_rename(&config, ours.to_string().as_bytes());
            running.join().unwrap()
        });
        outcome.ok();
        world.coffer(&["migrate", "--yes"]).run().ok();
        let held: Vec<String> = held(&world.store()).into_keys().collect();
        assert_eq!(held, ["a.example", "n1.example", "n2.example"], "early: {is_early}");
        assert_eq!(world.files(&world.home().join(".docker")), ["config.json"]);
    }
}

#[test]
fn two_at_once_both_end_well() {
    let undisturbed = LivedIn::new(10);
    undisturbed.world.coffer(&["migrate", "--yes"]).run().ok();
    let end = undisturbed.end();
    for _ in 0..5 {
        let lived_in = LivedIn::new(10);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| lived_in.world.coffer(&["migrate", "--yes"]).run().ok());
            }
        });
        lived_in.ended(&end, "two at once");
    }
}

#[test]
fn a_reader_finds_a_whole_file_and_an_answer() {
    let mut zeros = 0;
    let mut reads = 0;
    for _ in 0..20 {
        let lived_in = LivedIn::new(3);
        let world = &lived_in.world;
        let config = world.home().join(".docker/config.json");
        let is_over = AtomicBool::new(false);
        let (seen, broken) = thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let (mut seen, mut broken) = (0, 0);
                while !is_over.load(Ordering::Relaxed) {
                    let is_whole = || serde_json::from_slice::<Value>(&fs::read(&config).unwrap()).is_ok();
                    seen += 1;
                    if !is_whole() {
                        broken += 1;
                        assert!(is_whole(), "and when read again");
                    }
                }
                (seen, broken)
            });
            let asker = scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let outcome = world.get("r0.example");
                    assert!(outcome.code == Some(0) || outcome.stdout.contains("not found"), "{outcome:#?}");
                }
            });
            world.coffer(&["migrate", "--yes"]).run().ok();
            is_over.store(true, Ordering::Relaxed);
            asker.join().unwrap();
            reader.join().unwrap()
        });
        reads += seen;
        zeros += broken;
    }
    // One that opened the old file and was held up for long may still find it overwritten.
    assert!(zeros <= 1, "{zeros} of {reads}");
}
