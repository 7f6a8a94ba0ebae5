//! `migrate`, killed or disturbed: nothing is lost at any instant, and run again it ends where an undisturbed run ends.

use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use crate::support::faults::{Faults, Says, some};
use crate::support::{LivedIn, World, in_two_threads, strace};

#[test]
fn killed_at_200_random_moments_it_loses_nothing_and_ends_the_same() {
    const LOGINS: usize = 30;
    const KILLS: u64 = 200;
    const SEED: u64 = 20_261_121;
    let undisturbed = LivedIn::new(LOGINS);
    let started = Instant::now();
    undisturbed.world.coffer(&["migrate", "--yes"]).run().ok();
    // Follows the load of the machine: shorter when a run was over before it was killed.
    let span = Mutex::new(started.elapsed());
    let end = undisturbed.end();
    for login in &undisturbed.logins {
        undisturbed.world.get(&login.server).answers(&login.server, &login.username, &login.secret);
    }
    let killed = AtomicUsize::new(0);
    in_two_threads(&(0..KILLS).collect::<Vec<u64>>(), |number| {
        let lived_in = LivedIn::new(LOGINS);
        let moment = span.lock().unwrap().mul_f64(random(SEED + number));
        let when = format!("seed {}, after {moment:?}", SEED + number);
        let mut command = lived_in.world.command(env!("CARGO_BIN_EXE_docker-credential-coffer"));
        command.args(["migrate", "--yes"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        // The moment is what is being tried.
        thread::sleep(moment);
        child.kill().unwrap();
        let is_killed = !child.wait().unwrap().success();
        killed.fetch_add(usize::from(is_killed), Ordering::Relaxed);
        let mut span = span.lock().unwrap();
        *span = span.mul_f64(if is_killed { 1.02 } else { 0.9 });
        drop(span);
        lived_in.has_lost_nothing(&when);
        lived_in.world.coffer(&["migrate", "--yes"]).run().ok();
        lived_in.ended(&end, &when);
    });
    assert!(killed.into_inner() > KILLS as usize / 2, "most of the runs were over before they were killed");
}

fn world(lived_in: &LivedIn) -> &World {
    &lived_in.world
}

fn holds(lived_in: &LivedIn, when: &str) {
    lived_in.has_lost_nothing(when);
    lived_in.is_no_clearer(when);
}

fn migrated() -> LivedIn {
    let lived_in = LivedIn::new(1);
    lived_in.world.coffer(&["migrate", "--yes"]).run().ok();
    lived_in
}

#[test]
fn killed_before_any_change_it_loses_nothing_and_ends_the_same() {
    let end = migrated().end();
    let ended = |lived_in: &LivedIn, _, when: &str| lived_in.ended(&end, when);
    Faults::of((&["migrate", "--yes"], ""), &|| LivedIn::new(1), world, &holds, &ended)
        .says(Says::InAReport)
        .few(&some)
        .kills();
}

/// One call that fails, of each kind, wherever it is made.
#[test]
fn a_call_that_fails_loses_nothing_and_is_not_passed_over() {
    let end = migrated().end();
    let ended = |lived_in: &LivedIn, _, when: &str| lived_in.ended_alike(&end, when);
    let faults = Faults::of((&["migrate", "--yes"], ""), &|| LivedIn::new(1), world, &holds, &ended);
    faults.says(Says::InAReport).few(&some).failures();
}

/// The second half of a migration, on what a first one left: the overwriting of what was exchanged, and leftovers.
#[test]
fn killed_twice_it_ends_the_same() {
    let end = migrated().end();
    let ended = |lived_in: &LivedIn, _, when: &str| lived_in.ended(&end, when);
    for first in ["renameat2:signal=SIGKILL:when=2", "unlink:signal=SIGKILL:when=1", "renameat2:signal=SIGKILL:when=1"]
    {
        let start = || {
            let lived_in = LivedIn::new(1);
            strace::run(&lived_in.world, &["migrate", "--yes"], "", &[first.into()], &[]);
            lived_in
        };
        let faults = Faults::of((&["migrate", "--yes"], ""), &start, world, &holds, &ended);
        faults
            .says(Says::InAReport)
            .few(&|call| call.name.starts_with("rename") || call.name.starts_with("unlink"))
            .kills();
    }
}

#[test]
fn undoing_it_survives_every_fault() {
    let ended = |lived_in: &LivedIn, _, when: &str| lived_in.is_as_before(when);
    Faults::of((&["migrate", "--undo", "--yes"], ""), &migrated, world, &holds, &ended)
        .says(Says::InAReport)
        .few(&some)
        .run();
}

/// A fraction, from a seed (splitmix64).
fn random(seed: u64) -> f64 {
    let mut mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    f64::from(u32::try_from(mixed >> 32).unwrap()) / f64::from(u32::MAX)
}
