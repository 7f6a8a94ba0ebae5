//! How cost grows: with the credentials that are held, and with the processes that ask at once.
//!
//! `cargo bench --bench growth` prints three tables in Markdown. What is held beside the credential that is asked for are
//! copies of its file under other names: nothing but their names and dates is read by anything that is measured.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

// The tests' world; not all of it is needed here.
#[allow(dead_code, unused_imports)]
#[path = "../tests/it/support/mod.rs"]
mod support;
#[allow(dead_code)]
mod turns;

use std::env;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{World, login};
use turns::{Answer, Entrant, Step, copy_first, entrant, installed, program, race, step};

/// How many credentials are held.
const SIZES: [usize; 3] = [10, 1_000, 100_000];

/// How many processes run at once.
const CROWDS: [usize; 3] = [1, 8, 64];

/// How many rounds are run. What reads every name takes part in every tenth.
const ROUNDS: usize = 100;

/// How many processes of each crowd are timed, in so many parts that take turns.
const CALLS: usize = 256;
const PARTS: usize = 4;

const USERNAME: &str = "alice";
const SECRET: &str = "ghp_0123456789abcdefghijklmnopqrstuvwxyz";

fn main() {
    // `cargo test --all-targets` starts it too, without this.
    if !env::args().any(|argument| argument == "--bench") {
        println!("nothing is measured without --bench, which cargo bench passes");
        return;
    }
    let worlds = SIZES.map(|size| (size, store_of(size)));
    let floor = entrant("`/bin/true`", 1, vec![step(&worlds[0].1, &installed("true"), "", "", Answer::Nothing)]);
    let mut entrants = vec![floor];
    entrants.extend(worlds.iter().flat_map(|(size, world)| calls(*size, world)));
    race(&mut entrants, ROUNDS);
    print_growth(&entrants);
    drop(worlds);

    print_crowd("get", &|world, number| get(world, number % 10));
    // Each crowd stores for ten servers, as many people do on a build machine.
    print_crowd("store", &|world, number| store(world, &server(number % 10)));
}

fn server(number: usize) -> String {
    format!("registry-{number}.example.com")
}

/// An age store of so many credentials, of which the first can be opened.
fn store_of(count: usize) -> World {
    let world = World::new();
    // What doctor looks for.
    world.write(".docker/config.json", "{\"credsStore\": \"coffer\"}");
    world.coffer(&["store"]).input(login(&server(0), USERNAME, SECRET)).run().silent();
    copy_first(&world, (0..count).map(server));
    // Nobody is to wait for what is yet to be written of these.
    rustix::fs::sync();
    world
}

/// Everything whose cost could depend on how many credentials are held.
fn calls(size: usize, world: &World) -> Vec<Entrant> {
    let coffer = program();
    let listed: Value =
        (0..size).map(|number| (server(number), Value::from(USERNAME))).collect::<serde_json::Map<_, _>>().into();
    let fresh = "new.example.com";
    let new = vec![store(world, fresh), step(world, coffer, "erase", fresh, Answer::Nothing)];
    let named = |what: &str| format!("{what}\t{size}");
    vec![
        entrant(named("`get`"), 1, vec![get(world, 0)]),
        entrant(named("`get`, a miss"), 1, vec![step(world, coffer, "get", "nowhere.example.com", Answer::Miss)]),
        entrant(named("`store` over a login"), 1, vec![store(world, &server(0))]),
        entrant(named("`store` of a new server, then its `erase`"), 1, new),
        entrant(
            named("`erase` of nothing"),
            1,
            vec![step(world, coffer, "erase", "nowhere.example.com", Answer::Nothing)],
        ),
        entrant(named("`list`"), 10, vec![step(world, coffer, "list", "", Answer::Json(listed))]),
        entrant(named("`ls`"), 10, vec![step(world, coffer, "ls", "", Answer::Any)]),
        entrant(named("`doctor`"), 10, vec![step(world, coffer, "doctor", "", Answer::Any)]),
    ]
}

fn get(world: &World, number: usize) -> Step {
    let server = server(number);
    let reply = json!({ "ServerURL": server, "Username": USERNAME, "Secret": SECRET });
    step(world, program(), "get", &server, Answer::Json(reply))
}

fn store(world: &World, server: &str) -> Step {
    step(world, program(), "store", &login(server, USERNAME, SECRET), Answer::Nothing)
}

/// A row for each call, a column for each size.
fn print_growth(entrants: &[Entrant]) {
    let sizes = SIZES.map(|size| format!("{size}, ms |")).join(" ");
    println!("`/bin/true` took {:.2} ms.\n", entrants[0].median());
    println!("| among so many credentials | {sizes} the last to the first |\n| --- | ---: | ---: | ---: | ---: |");
    let calls = (entrants.len() - 1) / SIZES.len();
    for first in 1..=calls {
        let medians: Vec<_> = entrants[first..].iter().step_by(calls).map(Entrant::median).collect();
        let name = entrants[first].name.split('\t').next().unwrap_or_default();
        let columns: String = medians.iter().map(|median| format!(" {median:.2} |")).collect();
        println!("| {name} |{columns} {:.2} × |", medians[medians.len() - 1] / medians[0]);
    }
}

/// How many are done in a second, and how long each takes, by as many processes at once as each crowd has.
fn print_crowd(what: &str, call: &(dyn Fn(&World, usize) -> Step + Sync)) {
    let world = World::new();
    for number in 0..10 {
        world.coffer(&["store"]).input(login(&server(number), USERNAME, SECRET)).run().silent();
    }
    let mut took = CROWDS.map(|_| (Duration::ZERO, Vec::new()));
    for _ in 0..PARTS {
        for (crowd, (whole, each)) in CROWDS.iter().zip(&mut took) {
            let (part, mut times) = run(&world, *crowd, call);
            *whole += part;
            each.append(&mut times);
        }
    }
    println!("\n| `{what}` by so many at once | a second | median, ms | 99 %, ms | longest, ms |");
    println!("| --- | ---: | ---: | ---: | ---: |");
    for (crowd, (whole, mut each)) in CROWDS.iter().zip(took) {
        each.sort();
        let at = |part: usize| each[(each.len() - 1) * part / 100].as_secs_f64() * 1e3;
        let rate = each.len() as f64 / whole.as_secs_f64();
        println!("| {crowd} | {rate:.0} | {:.1} | {:.1} | {:.1} |", at(50), at(99), at(100));
    }
}

/// A part of a crowd's calls: how long it took in all, and each.
fn run(world: &World, crowd: usize, call: &(dyn Fn(&World, usize) -> Step + Sync)) -> (Duration, Vec<Duration>) {
    let mut steps: Vec<_> = (0..CALLS / PARTS).map(|number| call(world, number)).collect();
    steps.iter_mut().take(10).for_each(Step::check);
    steps.iter_mut().for_each(Step::silence);
    let left = Mutex::new(steps);
    let times = Mutex::new(Vec::new());
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..crowd {
            scope.spawn(|| {
                loop {
                    let Some(mut step) = left.lock().unwrap().pop() else { break };
                    let took = step.turn();
                    times.lock().unwrap().push(took);
                }
            });
        }
    });
    (began.elapsed(), times.into_inner().unwrap())
}
