//! How long `migrate` takes, and how that grows with the logins in a file.
//!
//! `cargo bench --bench migration` prints a table in Markdown. A login counts as moved when it was encrypted, is on the disk,
//! and was read back; the file's backup and its rewriting are in the time too.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

// The tests' world; not all of it is needed here.
#[allow(dead_code, unused_imports)]
#[path = "../tests/it/support/mod.rs"]
mod support;

use std::env;
use std::fs;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};
use support::World;

/// How many logins the files hold.
const SIZES: [usize; 3] = [100, 1_000, 10_000];

/// How often each is migrated; the median counts.
const RUNS: usize = 5;

/// What the largest may take, in seconds.
const GOAL: f64 = 10.0;

fn main() {
    // `cargo test --all-targets` starts it too, without this.
    if !env::args().any(|argument| argument == "--bench") {
        println!("nothing is measured without --bench, which cargo bench passes");
        return;
    }
    println!("| `migrate` of | median, s | a login, ms |\n| --- | ---: | ---: |");
    let mut largest = 0.0;
    for size in SIZES {
        let mut times: Vec<_> = (0..RUNS).map(|_| migrate(size)).collect();
        times.sort();
        largest = times[RUNS / 2].as_secs_f64();
        println!("| {size} logins | {largest:.2} | {:.2} |", largest * 1000.0 / size as f64);
    }
    let met = if largest < GOAL { "met" } else { "**missed**" };
    println!("\nThe goal of {GOAL} s for the last is {met}.");
}

/// One migration of a file made for it, checked.
fn migrate(size: usize) -> Duration {
    let world = World::new();
    let entry = |number: usize| json!({ "auth": BASE64.encode(format!("alice:ghp_{number:036}")) });
    let auths: Map<String, Value> =
        (0..size).map(|number| (format!("registry-{number}.example.com"), entry(number))).collect();
    let config = world.write(".docker/config.json", &json!({ "auths": auths }).to_string());
    // What the removal of an earlier world has left to be written is not to be waited for in this one.
    rustix::fs::sync();
    let outcome = world.coffer(&["migrate", "--yes", "--json"]).run();
    let took = outcome.took;
    let report: Value = serde_json::from_str(&outcome.ok()).unwrap();
    assert_eq!(report["moved"].as_array().map(Vec::len), Some(size));
    assert!(!fs::read_to_string(config).unwrap().contains("\"auth\""));
    world.get("registry-0.example.com").answers("registry-0.example.com", "alice", &format!("ghp_{:036}", 0));
    took
}
