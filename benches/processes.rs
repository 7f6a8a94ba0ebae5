//! Whole processes, side by side: what a client waits for when it calls this helper, or one of its peers.
//!
//! `cargo bench` prints two tables in Markdown, the medians and the goals. A missed goal is a row that says so,
//! never a failure; a program that is missing or answers wrong ends the run.
//!
//! Everything takes turns within one run, so that whatever else the machine does hits all alike: only the
//! ratios mean anything. A turn lasts from the spawn to the end of the wait, loading included.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

// The tests' worlds, buses and servers; not all of them are needed here.
mod ecr;
#[allow(dead_code, unused_imports)]
#[path = "../tests/it/support/mod.rs"]
mod support;
#[allow(dead_code)]
mod turns;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use ecr::EcrWorlds;
use serde_json::{Value, json};
use support::{Aws, Bus, World, login};
use turns::{Answer, Entrant, Step, copy_first, entrant, installed, print_medians, program, race, step};

const PASS: &str = "docker-credential-pass";
const SECRET_SERVICE: &str = "docker-credential-secretservice";
const ECR_LOGIN: &str = "docker-credential-ecr-login";

/// How many rounds are run. Slow entrants take part only in every n-th.
const ROUNDS: usize = 300;

/// How many credentials each store holds.
const HELD: usize = 20;

/// The user and the secret of all of them; a personal access token has about this length.
const USERNAME: &str = "alice";
const SECRET: &str = "ghp_0123456789abcdefghijklmnopqrstuvwxyz";

// The entrants, as the tables name them and the goals refer to them.
const FLOOR: &str = "`/bin/true`";
const VERSION: &str = "coffer `version`, which reads and opens nothing";
const GET: &str = "coffer `get`, key in a file";
const MISS: &str = "coffer `get`, a miss";
const LIST: &str = "coffer `list` of 20";
const BUILD: &str = "coffer `list`, then `get` of 20";
const PASS_GET: &str = "docker-credential-pass `get`";
const PASS_LIST: &str = "docker-credential-pass `list` of 20";
const PASS_BUILD: &str = "docker-credential-pass `list`, then `get` of 20";
const KEYRING_KEY_GET: &str = "coffer `get`, key in the OS keyring";
const UNLOCKED_GET: &str = "coffer `get`, key in the OS keyring, unlocked";
const KEYRING_GET: &str = "coffer `get`, `store = \"keyring\"`";
const KEYRING_LIST: &str = "coffer `list` of 20, `store = \"keyring\"`";
const SECRET_SERVICE_GET: &str = "docker-credential-secretservice `get`";
const SECRET_SERVICE_LIST: &str = "docker-credential-secretservice `list` of 20";
const AMONG_FEW: &str = "coffer `get` among 10";
const AMONG_MANY: &str = "coffer `get` among 10,000";

/// What the ratio of two medians should be.
enum Goal {
    /// The first takes no more than this many times as long as the second.
    AtMost(&'static str, f64, &'static str),
    /// The first is at least this many times faster than the second.
    Faster(&'static str, f64, &'static str),
}

const GOALS: [Goal; 11] = [
    Goal::AtMost(GET, 2.5, FLOOR),
    Goal::Faster(GET, 25.0, PASS_GET),
    Goal::AtMost(MISS, 2.0, FLOOR),
    Goal::Faster(KEYRING_KEY_GET, 1.8, SECRET_SERVICE_GET),
    Goal::AtMost(UNLOCKED_GET, 1.1, GET),
    Goal::Faster(ecr::KEPT, 4.0, ecr::PEER_KEPT),
    Goal::Faster(ecr::KEPT_BY_ROLE, 4.0, ecr::PEER_KEPT_BY_ROLE),
    Goal::Faster(ecr::MINT, 1.5, ecr::PEER_MINT),
    Goal::Faster(ecr::SYSTEM_MINT, 1.5, ecr::PEER_SYSTEM_MINT),
    Goal::Faster(BUILD, 20.0, PASS_BUILD),
    Goal::AtMost(AMONG_MANY, 1.1, AMONG_FEW),
];

/// The most memory that a `get` from the age store may take at its peak, in KiB.
const MEMORY_GOAL: u64 = 8 << 10;

/// The most that the stripped binary may weigh, in bytes.
const SIZE_GOAL: u64 = 12 << 20;

/// How many processes ask at once for a token that nobody has yet.
const PARALLEL: usize = 64;

fn main() {
    // `cargo test --all-targets` starts it too, without this.
    if !env::args().any(|argument| argument == "--bench") {
        println!("nothing is measured without --bench, which cargo bench passes");
        return;
    }
    let files = FileWorld::new();
    let pass = PassWorld::new();
    let keyring = KeyringWorld::new();
    let few = store_of(10);
    let many = store_of(10_000);
    let ecr = EcrWorlds::new();

    let mut entrants = vec![entrant(FLOOR, 1, vec![step(&files.0, &installed("true"), "", "", Answer::Nothing)])];
    entrants.extend(files.entrants());
    entrants.extend(pass.entrants());
    entrants.extend(keyring.entrants());
    entrants.push(entrant(AMONG_FEW, 1, vec![get(&few, program(), 0)]));
    entrants.push(entrant(AMONG_MANY, 1, vec![get(&many, program(), 0)]));
    entrants.extend(ecr.entrants());

    race(&mut entrants, ROUNDS);
    print_medians(&entrants);
    print_goals(&entrants, &files.0);
}

// ---- Steps ----

/// A `get` of the n-th credential.
fn get(world: &World, program: &Path, number: usize) -> Step {
    let server = server(number);
    let reply = json!({ "ServerURL": server, "Username": USERNAME, "Secret": SECRET });
    step(world, program, "get", &server, Answer::Json(reply))
}

/// A `list` of everything that [`fill`] put there.
fn list(world: &World, program: &Path) -> Step {
    let listed = (0..HELD).map(|number| (server(number), USERNAME.into())).collect();
    step(world, program, "list", "", Answer::Json(Value::Object(listed)))
}

/// What a classic `docker build` does before it begins: it lists, and then gets everything that was listed.
fn build(world: &World, program: &Path) -> Vec<Step> {
    let mut steps = vec![list(world, program)];
    steps.extend((0..HELD).map(|number| get(world, program, number)));
    steps
}

fn server(number: usize) -> String {
    format!("registry-{number}.example.com")
}

// ---- Worlds ----

/// Stores credentials through a helper.
fn fill(world: &World, program: &Path, count: usize) {
    for number in 0..count {
        world.call(program, &["store"]).input(login(&server(number), USERNAME, SECRET)).run().ok();
    }
}

/// The age store with its key in a file.
struct FileWorld(World);

impl FileWorld {
    fn new() -> Self {
        let world = World::new();
        fill(&world, program(), HELD);
        assert!(world.store().join("identities").exists(), "the key is not in a file");
        Self(world)
    }

    fn entrants(&self) -> Vec<Entrant> {
        let (world, coffer) = (&self.0, program());
        vec![
            entrant(VERSION, 1, vec![step(world, coffer, "version", "", Answer::Any)]),
            entrant(GET, 1, vec![get(world, coffer, 0)]),
            entrant(MISS, 1, vec![step(world, coffer, "get", "nowhere.example.com", Answer::Miss)]),
            entrant(LIST, 1, vec![list(world, coffer)]),
            entrant(BUILD, 5, build(world, coffer)),
        ]
    }
}

/// A password store of pass, for a key without a passphrase.
struct PassWorld {
    world: World,
    program: PathBuf,
}

impl PassWorld {
    fn new() -> Self {
        let mut world = World::new();
        let home = world.path("gnupg");
        fs::create_dir(&home).unwrap();
        support::chmod(&home, 0o700);
        world.set("GNUPGHOME", home.to_str().unwrap());
        let (user, program) = ("bench@example.com", installed(PASS));
        // Owns the world from here on, so that the agent ends even if what follows fails.
        let this = Self { world, program };
        let make = ["--batch", "--passphrase", "", "--quick-generate-key", user, "default", "default", "never"];
        this.world.call(installed("gpg"), &make).run().ok();
        this.world.call(installed("pass"), &["init", user]).run().ok();
        fill(&this.world, &this.program, HELD);
        this
    }

    fn entrants(&self) -> Vec<Entrant> {
        let (world, program) = (&self.world, self.program.as_path());
        vec![
            entrant(PASS_GET, 5, vec![get(world, program, 0)]),
            entrant(PASS_LIST, 1, vec![list(world, program)]),
            entrant(PASS_BUILD, 25, build(world, program)),
        ]
    }
}

impl Drop for PassWorld {
    fn drop(&mut self) {
        // gpg leaves an agent behind, which would outlive the run.
        self.world.call("gpgconf", &["--kill", "all"]).run();
    }
}

/// A session bus with gnome-keyring, which holds the age store's key, and credentials for whoever keeps them there.
struct KeyringWorld {
    world: World,
    _bus: Bus,
    /// The same, with the key in the kernel's keyring too.
    unlocked: World,
    _other_bus: Bus,
    /// The configuration file that has Coffer keep its credentials in the keyring too.
    config: PathBuf,
    peer: PathBuf,
}

impl KeyringWorld {
    fn new() -> Self {
        let mut world = World::new();
        let bus = Bus::with_keyring(&mut world);
        let peer = installed(SECRET_SERVICE);
        fill(&world, program(), HELD);
        assert!(!world.store().join("identities").exists(), "the key is not in the keyring");
        fill(&world, &peer, HELD);
        let config = world.write("keyring.toml", "store = \"keyring\"\n");
        world.set("COFFER_CONFIG", config.to_str().unwrap());
        fill(&world, program(), HELD);
        world.unset("COFFER_CONFIG");
        let mut unlocked = World::new();
        let other_bus = Bus::with_keyring(&mut unlocked);
        fill(&unlocked, program(), HELD);
        unlocked.coffer(&["unlock", "--for", "1h"]).run().ok();
        Self { world, _bus: bus, unlocked, _other_bus: other_bus, config, peer }
    }

    fn entrants(&self) -> Vec<Entrant> {
        let (world, coffer) = (&self.world, program());
        vec![
            entrant(KEYRING_KEY_GET, 3, vec![get(world, coffer, 0)]),
            entrant(UNLOCKED_GET, 1, vec![get(&self.unlocked, coffer, 0)]),
            entrant(KEYRING_GET, 3, vec![self.in_keyring(get(world, coffer, 0))]),
            entrant(KEYRING_LIST, 3, vec![self.in_keyring(list(world, coffer))]),
            entrant(SECRET_SERVICE_GET, 3, vec![get(world, &self.peer, 0)]),
            entrant(SECRET_SERVICE_LIST, 3, vec![list(world, &self.peer)]),
        ]
    }

    fn in_keyring(&self, mut step: Step) -> Step {
        step.command.env("COFFER_CONFIG", &self.config);
        step
    }
}

/// An age store of so many credentials, of which the first can be opened.
///
/// The others are copies of its file: only their names matter to a `get` of the first, and to store ten
/// thousand one by one, each synced to the disk, would take minutes.
fn store_of(count: usize) -> World {
    let world = World::new();
    fill(&world, program(), 1);
    copy_first(&world, (0..count).map(server));
    world
}

// ---- The run and its tables ----

/// How often AWS is called when many processes ask at once, and none has a token yet.
fn parallel_calls() -> usize {
    let mut world = World::new();
    let aws = Aws::start(&mut world);
    // Long enough for all the others to come and find no token.
    aws.delay(Duration::from_millis(500));
    thread::scope(|scope| {
        for _ in 0..PARALLEL {
            scope.spawn(|| world.get(ecr::HOST).ok());
        }
    });
    aws.calls()
}

fn print_goals(entrants: &[Entrant], world: &World) {
    println!("\n| work | goal | measured | met |\n| --- | --- | ---: | --- |");
    for goal in &GOALS {
        println!("{}", goal.row(entrants));
    }
    let calls = parallel_calls();
    let unit = if calls == 1 { "call" } else { "calls" };
    println!(
        "| {PARALLEL} coffer `get`s at once, no ECR token kept | 1 call to AWS | {calls} {unit} | {} |",
        yes_or_no(calls == 1)
    );
    let memory = peak_memory(world);
    print_limit("peak memory of a `get`, key in a file", memory, MEMORY_GOAL, 10);
    print_limit("the stripped binary", fs::metadata(program()).unwrap().len(), SIZE_GOAL, 20);
}

impl Goal {
    /// Its row in the table.
    fn row(&self, entrants: &[Entrant]) -> String {
        let median = |name| entrants.iter().find(|entrant| entrant.name == name).map(Entrant::median);
        let (work, goal, ratio, is_met) = match *self {
            Self::AtMost(work, most, other) => {
                let ratio = median(work).zip(median(other)).map(|(work, other)| work / other);
                (work, format!("≤ {most} × {other}"), ratio, ratio.is_some_and(|ratio| ratio <= most))
            }
            Self::Faster(work, least, other) => {
                let ratio = median(work).zip(median(other)).map(|(work, other)| other / work);
                (work, format!("≥ {least} × faster than {other}"), ratio, ratio.is_some_and(|ratio| ratio >= least))
            }
        };
        match ratio {
            Some(ratio) => format!("| {work} | {goal} | {ratio:.2} × | {} |", yes_or_no(is_met)),
            None => format!("| {work} | {goal} | not measured | |"),
        }
    }
}

/// A row for what has a limit of its own. The unit of `value`, shifted by `shift` bits, makes MiB.
fn print_limit(what: &str, value: u64, limit: u64, shift: u32) {
    let mebibytes = value as f64 / f64::from(1_u32 << shift);
    println!("| {what} | ≤ {} MiB | {mebibytes:.1} MiB | {} |", limit >> shift, yes_or_no(value <= limit));
}

fn yes_or_no(is_met: bool) -> &'static str {
    if is_met { "yes" } else { "**no**" }
}

/// The most memory that a `get` held in five runs, in KiB.
///
/// Through GNU time, which is small: the kernel counts what a child shared with its parent before its exec
/// too, and this process is larger than what it measures.
fn peak_memory(world: &World) -> u64 {
    let report = world.path("run/memory");
    let time = installed("time");
    let arguments = ["-f", "%M", "-o", report.to_str().unwrap(), program().to_str().unwrap(), "get"];
    let run = |_| {
        let server = server(0);
        world.call(&time, &arguments).input(&server).run().answers(&server, USERNAME, SECRET);
        fs::read_to_string(&report).unwrap().trim().parse::<u64>().unwrap()
    };
    (0..5).map(run).max().unwrap()
}
