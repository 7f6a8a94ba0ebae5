//! Sixty-four processes at once over one store: every answer must be one that a store with one door could have given.
//!
//! `COFFER_LOAD=100000 cargo nextest run --no-capture -E 'test(load)'` makes hours of it; usually it is 3,000 calls.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::crowd::{Task, Told, calls, crowd, print_times, say};
use crate::support::history::{Deed, History, What};
use crate::support::{Bus, Dice, World, login};

/// Decides everything that is asked, and of whom; not who comes first.
const SEED: u64 = 0x00C0_FFE2;

/// How long a writer waits.
const LOCK_LIMIT: Duration = Duration::from_secs(15);

/// How many processes there are at a time.
const CROWD: usize = 64;

#[test]
fn every_answer_over_one_store_can_be_put_in_order() {
    let world = World::in_memory();
    // The key is made by the first of a crowd too.
    let held = Script::write(calls(3_000), 40, 8).run(&world, CROWD);
    is_all_there_is(&world, &held);
}

#[test]
fn every_answer_over_the_keyring_can_be_put_in_order() {
    over_the_keyring(&Script::write(calls(3_000) / 4, 20, 0), CROWD);
}

/// A list is two calls over the bus for each item, each behind those of all others. Among sixty-four it would run out of time.
#[test]
#[ignore = "gnome-keyring 42.1 now and then aborts when asked for a property of an item that is being removed"]
fn every_list_of_the_keyring_can_be_put_in_order() {
    over_the_keyring(&Script::write(calls(3_000) / 8, 5, 12), 8);
}

fn over_the_keyring(script: &Script, at_once: usize) {
    let mut world = World::in_memory();
    world.config("store = \"keyring\"\n");
    let _bus = Bus::with_keyring(&mut world);
    script.run(&world, at_once);
    assert_eq!(world.files(&world.store()), [""; 0]);
}

/// A place in the store.
struct Place {
    /// As `ls` names it.
    key: &'static str,
    /// As clients name it.
    spellings: &'static [&'static str],
    /// The places that answer for it when it is empty.
    parents: &'static [&'static str],
}

const LONG: &str = "long.example.com/a-path-of-many-letters/a-path-of-many-letters/a-path-of-many-letters/a-path-of-many-letters/\
     a-path-of-many-letters/a-path-of-many-letters/a-path-of-many-letters/a-path-of-many-letters/the-end";

/// The first three are asked for most.
const PLACES: [Place; 12] = [
    Place {
        key: "https://index.docker.io/v1/",
        spellings: &[
            "docker.io",
            "https://index.docker.io/v1/",
            "registry-1.docker.io:443",
            "//docker.io",
            "DOCKER.io.",
        ],
        parents: &[],
    },
    Place {
        key: "ghcr.io",
        spellings: &["ghcr.io", "GHCR.io", "https://ghcr.io", "ghcr.io:443", "https://ghcr.io./v2/", " ghcr.io\n"],
        parents: &[],
    },
    Place { key: "quay.io/org", spellings: &["quay.io/org", "QUAY.io:443/org/"], parents: &["quay.io"] },
    Place { key: "quay.io", spellings: &["quay.io", "https://quay.io/v2/"], parents: &[] },
    Place { key: "quay.io/org/image", spellings: &["quay.io/org/image"], parents: &["quay.io/org", "quay.io"] },
    Place { key: "localhost:5000", spellings: &["localhost:5000", "https://LOCALHOST:5000"], parents: &[] },
    Place {
        key: "http://localhost:5000",
        spellings: &["http://localhost:5000", "http://localhost:5000/v2/"],
        parents: &[],
    },
    Place { key: "[::1]:5000", spellings: &["[::1]:5000"], parents: &[] },
    Place {
        key: "https://h.example/a?b=c",
        spellings: &["https://h.example/a?b=c", "https://H.example:443/a?b=c"],
        parents: &[],
    },
    Place { key: "hub-tool-token", spellings: &["hub-tool-token"], parents: &[] },
    Place { key: "oci://ghcr.io/x", spellings: &["oci://ghcr.io/x"], parents: &[] },
    Place { key: LONG, spellings: &[LONG], parents: &[] },
];

/// What is asked, in the order in which it is begun.
struct Script {
    keys: Vec<String>,
    parents: Vec<Vec<usize>>,
    tasks: Vec<Task>,
    /// Of each task, the place it is about, and the username and secret that it stores.
    about: Vec<(usize, Option<(String, String)>)>,
}

impl Script {
    /// `others` more places that are all alike; of a hundred calls, `lists` are for everything.
    fn write(count: usize, others: usize, lists: usize) -> Self {
        say(&format!("seed {SEED:#x}"));
        let mut keys: Vec<String> = PLACES.iter().map(|place| place.key.into()).collect();
        keys.extend((0..others).map(|number| format!("registry-{number}.example.com")));
        let numbers: HashMap<&str, usize> =
            keys.iter().enumerate().map(|(number, key)| (key.as_str(), number)).collect();
        let mut parents: Vec<Vec<usize>> =
            PLACES.iter().map(|place| place.parents.iter().map(|key| numbers[key]).collect()).collect();
        parents.resize(keys.len(), Vec::new());
        let mut script = Self { keys, parents, tasks: Vec::new(), about: Vec::new() };
        let mut dice = Dice::new(SEED);
        for number in 0..count {
            script.add(number, lists, &mut dice);
        }
        script
    }

    fn add(&mut self, number: usize, lists: usize, dice: &mut Dice) {
        // A third of everything is about three places.
        let place = if dice.below(3) == 0 { dice.below(3) } else { dice.below(self.keys.len()) };
        let server = match PLACES.get(place) {
            Some(place) => (*dice.pick(place.spellings)).to_owned(),
            None => spelling(&self.keys[place], dice),
        };
        let mut stored = None;
        // So few writers that they do not all wait for the lock: where all do, one of them may in the end wait too long.
        let (action, input) = match dice.below(100) {
            part if part < lists => (*dice.pick(&["list", "ls"]), String::new()),
            part if part < 80 => ("get", server),
            part if part < 93 => {
                let (username, secret) = (username(dice), secret(number, dice));
                let input = login(&server, &username, &secret);
                stored = Some((username, secret));
                ("store", input)
            }
            _ => ("erase", server),
        };
        self.tasks.push(Task { action, input, environment: Vec::new() });
        self.about.push((place, stored));
    }

    /// Asks all of it, and sees that everything went well and can have happened in some order. What is held at the end:
    /// `(server, username, secret)`.
    fn run(&self, world: &World, at_once: usize) -> Vec<(String, String, String)> {
        let began = Instant::now();
        let told = crowd(world, &self.tasks, at_once, began);
        print_times(&format!("{at_once} at once"), &self.tasks, &told);
        let mut reading =
            Reading { script: self, deeds: vec![Vec::new(); self.keys.len()], wrong: Vec::new(), late: 0 };
        for (number, told) in told.iter().enumerate() {
            reading.add(number, told);
        }
        // What is asked when everybody has gone belongs to the history too.
        let last: Vec<Task> = ["list", "ls"]
            .iter()
            .map(|action| (*action, String::new()))
            .chain(self.keys.iter().map(|key| ("get", key.clone())))
            .map(|(action, input)| Task { action, input, environment: Vec::new() })
            .collect();
        let mut held = Vec::new();
        for (number, told) in crowd(world, &last, 2, began).into_iter().enumerate() {
            match last[number].action {
                "get" => held.extend(reading.got(number - 2, &last[number].input, &told)),
                "list" => reading.listed(&told),
                _ => reading.named(&told),
            }
        }
        reading.conclude();
        held
    }

    fn username_of(&self, number: usize) -> &str {
        &self.about[number].1.as_ref().unwrap().0
    }
}

/// A spelling of an ordinary registry.
fn spelling(key: &str, dice: &mut Dice) -> String {
    match dice.below(6) {
        0 => format!("https://{key}"),
        1 => key.to_uppercase(),
        2 => format!("{key}:443/v2/"),
        3 => format!("https://{key}./v1/"),
        _ => key.to_owned(),
    }
}

fn username(dice: &mut Dice) -> String {
    let long = "u".repeat(300);
    let names =
        ["alice", "alice", "Bob", "<token>", "_json_key", "J\u{fc}rgen", "robot$team+ci", "a/b\\c", "\u{1F433}", &long];
    (*dice.pick(&names)).to_owned()
}

/// One that no other call stores.
fn secret(number: usize, dice: &mut Dice) -> String {
    let shapes =
        ["", "ghp_0123456789abcdef", "line\nbreak\0\"quoted\"\\ \u{fc}\u{1F433}", "{\"type\":\"service_account\"}"];
    let shape = *dice.pick(&shapes);
    let tail = if dice.below(20) == 0 { "x".repeat(8 << 10) } else { String::new() };
    format!("{number}:{shape}{tail}")
}

/// What was told, place by place.
struct Reading<'a> {
    script: &'a Script,
    deeds: Vec<Vec<Deed>>,
    wrong: Vec<String>,
    /// How many waited for the lock in vain.
    late: usize,
}

impl Reading<'_> {
    fn add(&mut self, number: usize, told: &Told) {
        let (place, ref stored) = self.script.about[number];
        match self.script.tasks[number].action {
            "get" => drop(self.got(place, &self.script.tasks[number].input, told)),
            "list" => self.listed(told),
            "ls" => self.named(told),
            // What a machine with far too much to do makes of a queue of writers. Nothing was done then.
            _ if told.stdout.starts_with("another process holds the lock") && told.end - told.start >= LOCK_LIMIT => {
                self.late += 1;
            }
            _ if !told.is_silent() => self.say(number, told),
            _ if stored.is_some() => self.happened(place, told, What::Wrote(number)),
            _ => self.happened(place, told, What::Erased),
        }
    }

    fn say(&mut self, number: usize, told: &Told) {
        let task = &self.script.tasks[number];
        self.wrong.push(format!("{} of {:?}: {told:?}", task.action, task.input));
    }

    fn happened(&mut self, place: usize, told: &Told, what: What) {
        self.deeds[place].push(Deed { start: told.start, end: told.end, what });
    }

    /// The place that answered, and with what.
    fn got(&mut self, place: usize, server: &str, told: &Told) -> Option<(String, String, String)> {
        let chain: Vec<usize> = [&[place][..], &self.script.parents[place]].concat();
        if told.is_miss() {
            chain.into_iter().for_each(|place| self.happened(place, told, What::SawNothing));
            return None;
        }
        let reply: Value = serde_json::from_str(&told.stdout).unwrap_or_default();
        let of = |name: &str| reply[name].as_str().unwrap_or_default().to_owned();
        let (username, secret) = (of("Username"), of("Secret"));
        let number = secret.split(':').next().and_then(|number| number.parse::<usize>().ok());
        let stored = number.and_then(|number| self.script.about.get(number));
        let answered = stored.and_then(|(place, _)| chain.iter().position(|other| other == place));
        let is_right = told.code == Some(0)
            && told.stderr.is_empty()
            && of("ServerURL") == server.trim()
            && stored.is_some_and(|(_, stored)| *stored == Some((username.clone(), secret.clone())));
        let (Some(number), Some(answered), true) = (number, answered, is_right) else {
            self.wrong.push(format!("get of {server:?}: {told:?}"));
            return None;
        };
        chain[..answered].iter().for_each(|place| self.happened(*place, told, What::SawNothing));
        self.happened(chain[answered], told, What::Saw(number));
        (answered == 0).then(|| (self.script.keys[place].clone(), username, secret))
    }

    /// `list` names registries alone.
    fn listed(&mut self, told: &Told) {
        let listed: Option<BTreeMap<String, String>> = serde_json::from_str(&told.stdout).ok();
        let is_registry = |key: &str| key.starts_with("https://index.") || !key.contains(['/', '?']);
        self.saw(listed, is_registry, told);
    }

    /// `ls` names everything, in columns of which the last is a moment, or empty if it could not be told.
    fn named(&mut self, told: &Told) {
        let row = |line: &str| {
            let (server, rest) = line.split_once("  ")?;
            let rest = rest.trim();
            let (username, moment) = rest.rsplit_once("  ").unwrap_or((rest, ""));
            let has_moment = moment.parse::<jiff::Timestamp>().is_ok();
            Some((server.to_owned(), if has_moment { username } else { rest }.trim().to_owned()))
        };
        self.saw(told.stdout.lines().map(row).collect(), |_| true, told);
    }

    fn saw(&mut self, seen: Option<BTreeMap<String, String>>, is_named: impl Fn(&str) -> bool, told: &Told) {
        let script = self.script;
        let Some(mut seen) = seen.filter(|_| told.code == Some(0) && told.stderr.is_empty()) else {
            self.wrong.push(format!("a list: {told:?}"));
            return;
        };
        for (place, key) in script.keys.iter().enumerate().filter(|(_, key)| is_named(key)) {
            let what = seen.remove(key).map_or(What::SawNothing, What::SawOneOf);
            self.happened(place, told, what);
        }
        if !seen.is_empty() {
            self.wrong.push(format!("a list of what nobody stored: {seen:?}"));
        }
    }

    fn conclude(self) {
        let owner = |number: usize| self.script.username_of(number);
        if self.late > 0 {
            say(&format!("{} waited for the lock in vain", self.late));
        }
        assert!(self.late * 200 <= self.script.tasks.len(), "{} of all waited for the lock in vain", self.late);
        let count = self.wrong.len();
        let some: String =
            self.wrong.iter().take(8).map(|wrong| wrong.chars().take(600).collect::<String>() + "\n").collect();
        assert!(self.wrong.is_empty(), "seed {SEED:#x}: {count} calls went wrong, such as\n{some}");
        for (place, deeds) in self.deeds.into_iter().enumerate() {
            if let Err(story) = History::new(deeds, &owner).check() {
                panic!("seed {SEED:#x}, {}: {story}", self.script.keys[place]);
            }
        }
    }
}

/// That the store has a file for each credential that is held, which `age` opens, and nothing else.
fn is_all_there_is(world: &World, held: &[(String, String, String)]) {
    let files = world.files(&world.store());
    let (credentials, others): (Vec<_>, Vec<_>) = files.iter().partition(|file| file.ends_with(".age"));
    assert_eq!(others, ["identities", "lock", "store/.age-recipients"]);
    let identities = world.store().join("identities");
    let mut opened: Vec<_> = credentials
        .iter()
        .map(|file| {
            let file = world.store().join(file);
            let call = ["-d", "-i", identities.to_str().unwrap(), file.to_str().unwrap()];
            let inside: Value = serde_json::from_str(&world.call("age", &call).run().ok()).unwrap();
            let of = |name: &str| inside[name].as_str().unwrap().to_owned();
            (of("ServerURL"), of("Username"), of("Secret"))
        })
        .collect();
    opened.sort();
    let mut held = held.to_vec();
    held.sort();
    assert!(opened == held, "what lies there is not what is held");
    let directories = fs::read_dir(world.store().join("store")).unwrap().count();
    assert_eq!(directories, held.len() + 1, "a directory is left of what was erased");
}
