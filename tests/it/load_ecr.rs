//! Sixty-four processes at once that ask for tokens of several registries, while these expire and logins come and go.
//!
//! `COFFER_LOAD=20000 cargo nextest run --no-capture -E 'test(load_ecr)'` makes more of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::crowd::{Task, Told, calls, crowd, print_times, say};
use crate::support::{Asked, Aws, Dice, Reply, World, login};

const SEED: u64 = 0x00EC_12ED;

/// How many processes there are at a time.
const CROWD: usize = 64;

/// How many seconds a token lives.
const LIFE: u64 = 12;

/// How much less than half of its life a token may serve: its label is in whole seconds, rounded against it.
const ROUNDING: Duration = Duration::from_secs(1);

/// What minting may take, waiting for others included.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The profiles, and their keys.
const IDENTITIES: [(&str, &str); 2] = [("default", "AKIDDEFAULT"), ("other", "AKIDOTHER")];

/// Account and region. Of the last two, the tokens of two identities take each other's place.
const REGISTRIES: [(&str, &str); 6] = [
    ("111111111111", "us-east-1"),
    ("111111111111", "eu-west-1"),
    ("222222222222", "us-east-1"),
    ("222222222222", "ap-south-1"),
    ("333333333333", "us-east-1"),
    ("333333333333", "eu-west-1"),
];
const SHARED: usize = 4;

#[test]
fn no_token_is_expired_or_anothers_and_none_is_asked_for_twice() {
    let mut world = World::in_memory();
    let aws = Aws::start(&mut world);
    aws.reply(Reply::Token(LIFE.cast_signed()));
    world.unset("AWS_ACCESS_KEY_ID");
    world.unset("AWS_SECRET_ACCESS_KEY");
    let profile = |(name, key)| format!("[{name}]\naws_access_key_id = {key}\naws_secret_access_key = nobody's\n");
    world.write(".aws/credentials", &IDENTITIES.map(profile).concat());
    // Says which tokens could not be kept.
    world.set("COFFER_LOG", "debug");

    let (requests, tasks) = script(calls(3_000));
    let began = Instant::now();
    let told = crowd(&world, &tasks, CROWD, began);
    print_times("ECR", &tasks, &told);
    let minted: Vec<_> = aws.asked_for_tokens().iter().map(|asked| Minted::read(asked, began)).collect();
    let mut reading = Reading { minted, began_with: Vec::new(), unkept: Vec::new(), wrong: Vec::new() };
    for ((request, task), told) in requests.iter().zip(&tasks).zip(&told) {
        if let Err(why) = reading.add(request, told) {
            reading.wrong.push(format!("{} of {:?}: {why}: {told:?}", task.action, task.input));
        }
    }
    reading.nobody_asks_twice(&requests, &told);
    let Reading { minted, unkept, wrong, .. } = reading;
    say(&format!("{} tokens were minted, of which {} could not be kept", minted.len(), unkept.len()));
    let some: String = wrong.iter().take(8).map(|wrong| wrong.chars().take(700).collect::<String>() + "\n").collect();
    assert!(wrong.is_empty(), "seed {SEED:#x}: {} went wrong, such as\n{some}", wrong.len());
    assert!(world.files_with(&world.home(), "token-1").is_empty());
    assert!(!world.files(&world.store()).iter().any(|file| file.contains(".coffer-")));
}

/// What a process is to do.
enum Request {
    Token { registry: usize, identity: usize, server: String },
    Forget(usize),
    Login,
    List,
}

fn host(registry: usize) -> String {
    let (account, region) = REGISTRIES[registry];
    format!("{account}.dkr.ecr.{region}.amazonaws.com")
}

fn script(count: usize) -> (Vec<Request>, Vec<Task>) {
    let mut dice = Dice::new(SEED);
    (0..count).map(|_| request(&mut dice)).unzip()
}

fn request(dice: &mut Dice) -> (Request, Task) {
    let registry = if dice.below(25) == 0 { SHARED + dice.below(2) } else { dice.below(SHARED) };
    let other = format!("registry-{}.example.com", dice.below(30));
    let mut environment = Vec::new();
    let (request, action, input) = match dice.below(200) {
        0..140 => {
            let identity = if registry < SHARED { 0 } else { dice.below(2) };
            if identity > 0 {
                environment.push(("AWS_PROFILE", IDENTITIES[identity].0.into()));
            }
            let host = host(registry);
            let server = match dice.below(4) {
                0 => format!("https://{host}/v2/"),
                1 => format!("{host}/team/image"),
                _ => host,
            };
            (Request::Token { registry, identity, server: server.clone() }, "get", server)
        }
        140..142 => (Request::Forget(registry), "erase", host(registry)),
        142..170 => (Request::Login, "store", login(&other, "alice", "hunter2")),
        170..190 => (Request::Login, "erase", other),
        _ => (Request::List, "list", String::new()),
    };
    (request, Task { action, input, environment })
}

/// A token, as AWS gave it out.
struct Minted {
    registry: usize,
    identity: usize,
    at: Duration,
}

impl Minted {
    fn read(asked: &Asked, began: Instant) -> Self {
        let is_asked_for = |(account, region): &(&str, &str)| {
            asked.body.contains(account) && asked.scope.ends_with(&format!("/{region}/ecr"))
        };
        Self {
            registry: REGISTRIES.iter().position(is_asked_for).unwrap(),
            identity: IDENTITIES.iter().position(|(_, key)| asked.scope.starts_with(&format!("{key}/"))).unwrap(),
            at: asked.at - began,
        }
    }

    fn end(&self) -> Duration {
        self.at + Duration::from_secs(LIFE)
    }
}

struct Reading {
    /// `token-1` is the first.
    minted: Vec<Minted>,
    /// Of each answer that was given: the token, and when it was asked for.
    began_with: Vec<(usize, Duration)>,
    /// The tokens that could not be kept.
    unkept: Vec<usize>,
    wrong: Vec<String>,
}

impl Reading {
    fn add(&mut self, request: &Request, told: &Told) -> Result<(), &'static str> {
        if told.code != Some(0) {
            return Err("it failed");
        }
        match request {
            Request::Login | Request::Forget(_) if told.stdout.is_empty() => Ok(()),
            Request::Login | Request::Forget(_) => Err("it was not silent"),
            Request::List => self.listed(told),
            Request::Token { registry, identity, server } => self.got(*registry, *identity, server, told),
        }
    }

    fn got(&mut self, registry: usize, identity: usize, server: &str, told: &Told) -> Result<(), &'static str> {
        let reply: Value = serde_json::from_str(&told.stdout).map_err(|_| "it is no answer")?;
        let number: usize = reply["Secret"]
            .as_str()
            .and_then(|secret| secret.strip_prefix("token-")?.parse().ok())
            .ok_or("no token")?;
        if reply["ServerURL"] != server || reply["Username"] != "AWS" {
            return Err("it is for another request");
        }
        let minted = self.minted.get(number - 1).ok_or("nobody minted it")?;
        if minted.registry != registry || minted.identity != identity {
            return Err("it is another's token");
        }
        if minted.at > told.end || minted.end() < told.start {
            return Err("it has expired");
        }
        // Only a machine with far too much to do takes so long.
        if told.stderr.contains("answered with an older token") {
            let is_late = told.end - told.start >= TIMEOUT;
            return is_late.then_some(()).ok_or("it is an older token, and AWS was there");
        }
        if told.stderr.contains("the token is not kept") {
            self.unkept.push(number - 1);
        }
        self.began_with.push((number - 1, told.start));
        Ok(())
    }

    /// Only registries of which there is a token that has not expired.
    fn listed(&self, told: &Told) -> Result<(), &'static str> {
        let listed: BTreeMap<String, String> = serde_json::from_str(&told.stdout).map_err(|_| "it is no list")?;
        let is_good = |registry: usize| {
            let mut of_it = self.minted.iter().filter(|minted| minted.registry == registry);
            of_it.any(|minted| minted.at <= told.end && told.start <= minted.end())
        };
        let is_right = |registry: usize| !listed.contains_key(&host(registry)) || is_good(registry);
        (0..REGISTRIES.len()).all(is_right).then_some(()).ok_or("a token that has expired is listed")
    }

    /// A registry's token is asked for again only in the second half of its life, unless another identity's took its place,
    /// somebody forgot it, or it could not be kept. And nobody who comes in the second half is answered with it any more.
    fn nobody_asks_twice(&mut self, requests: &[Request], told: &[Told]) {
        let half = Duration::from_secs(LIFE) / 2;
        let forgotten = |registry: usize, from: Duration, to: Duration| {
            let mut calls = requests.iter().zip(told);
            calls.any(|(request, told)| {
                matches!(request, Request::Forget(other) if *other == registry) && told.start <= to && from <= told.end
            })
        };
        for registry in 0..REGISTRIES.len() {
            let of_it: Vec<_> =
                (0..self.minted.len()).filter(|number| self.minted[*number].registry == registry).collect();
            for pair in of_it.windows(2) {
                let (first, second) = (&self.minted[pair[0]], &self.minted[pair[1]]);
                let is_needed = first.identity != second.identity
                    || second.at >= first.at + half - ROUNDING
                    || self.unkept.contains(&pair[0])
                    || forgotten(registry, first.at, second.at);
                if !is_needed {
                    self.wrong.push(format!(
                        "{} was asked for a token after {:?} and again after {:?}",
                        host(registry),
                        first.at,
                        second.at
                    ));
                }
            }
        }
        for (number, start) in &self.began_with {
            // Half of the time that it took to arrive counts as its life, too.
            if *start > self.minted[*number].at + half + ROUNDING {
                self.wrong.push(format!("token-{} was answered in the second half of its life", number + 1));
            }
        }
    }
}
