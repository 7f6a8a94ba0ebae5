//! Whole processes that take turns, and what they took.

use std::env;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::World;

/// Turns of each entrant before the first that counts: files get cached, agents get started.
const WARM_UP: usize = 3;

/// What is timed: one process, or several in a row.
pub struct Entrant {
    pub name: String,
    /// It takes part in every n-th round.
    every: usize,
    steps: Vec<Step>,
    pub times: Vec<Duration>,
}

/// One that has not had a turn yet.
pub fn entrant(name: impl Into<String>, every: usize, steps: Vec<Step>) -> Entrant {
    Entrant { name: name.into(), every, steps, times: Vec::new() }
}

impl Entrant {
    /// All its processes, one after the other.
    fn turn(&mut self) -> Duration {
        self.steps.iter_mut().map(Step::turn).sum()
    }

    /// The value below which this part of the times lies, in milliseconds.
    pub fn quantile(&self, part: f64) -> f64 {
        let mut times = self.times.clone();
        times.sort();
        let last = times.len() - 1;
        times[(last as f64 * part).round() as usize].as_secs_f64() * 1e3
    }

    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }
}

/// One process.
pub struct Step {
    pub command: Command,
    /// The file that is its standard input: nothing has to be written while the clock runs.
    input: PathBuf,
    expected: Answer,
}

/// What a process has to answer.
pub enum Answer {
    /// This, and exit code 0.
    Json(Value),
    /// That it holds nothing, in the words that clients compare.
    Miss,
    /// No word, and exit code 0.
    Nothing,
    /// Whatever it says, and exit code 0.
    Any,
}

impl Answer {
    fn code(&self) -> i32 {
        i32::from(matches!(self, Self::Miss))
    }

    fn is(&self, output: &[u8]) -> bool {
        match self {
            Self::Json(expected) => serde_json::from_slice::<Value>(output).is_ok_and(|value| value == *expected),
            Self::Miss => output == b"credentials not found in native keychain\n",
            Self::Nothing => output.is_empty(),
            Self::Any => true,
        }
    }
}

/// A process in a world. `program` is a whole path: to search for it is no part of what is measured.
pub fn step(world: &World, program: &Path, argument: &str, request: &str, expected: Answer) -> Step {
    // The same request has the same file.
    let input = world.path("run").join(format!("request {:x}", hash(&request)));
    fs::write(&input, request).unwrap();
    let mut command = world.command(program);
    command.args(Some(argument).filter(|argument| !argument.is_empty()));
    Step { command, input, expected }
}

impl Step {
    fn open_input(&mut self) {
        self.command.stdin(File::open(&self.input).unwrap());
    }

    /// Runs it once, to see that it answers as it should.
    pub fn check(&mut self) {
        self.open_input();
        let output = self.command.stdout(Stdio::piped()).stderr(Stdio::piped()).output();
        let output = output.unwrap_or_else(|error| panic!("{:?}: {error}", self.command));
        let is_right = output.status.code() == Some(self.expected.code()) && self.expected.is(&output.stdout);
        assert!(is_right, "{:?} with {:?} answers wrong: {output:?}", self.command, self.input);
        self.silence();
    }

    /// Lets it speak to nobody from now on.
    pub fn silence(&mut self) {
        self.command.stdout(Stdio::null()).stderr(Stdio::null());
    }

    /// From the spawn to the end of the wait.
    pub fn turn(&mut self) -> Duration {
        self.open_input();
        let started = Instant::now();
        let status = self.command.spawn().unwrap().wait().unwrap();
        let took = started.elapsed();
        assert_eq!(status.code(), Some(self.expected.code()), "{:?} with {:?}", self.command, self.input);
        took
    }
}

/// This program, as it is when it is installed: a copy, made in one go. What the linker wrote lies in the page cache in pieces, and
/// takes a fifth of a millisecond more to be started from there.
pub fn program() -> &'static Path {
    static COPY: LazyLock<PathBuf> = LazyLock::new(|| {
        let program = env!("CARGO_BIN_EXE_docker-credential-coffer");
        let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("docker-credential-coffer");
        // A new file, not the old one's pages.
        let _ = fs::remove_file(&copy);
        fs::write(&copy, fs::read(program).unwrap()).unwrap();
        fs::set_permissions(&copy, fs::metadata(program).unwrap().permissions()).unwrap();
        copy
    });
    &COPY
}

/// Where a program is.
pub fn installed(name: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|directory| directory.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} is not installed; see docs/performance.md"))
}

/// Everybody's turns, each round in another order: whoever runs after a large program finds the caches cold,
/// and that must not always be the same. The orders are alike in every run. Slow entrants take part only in every n-th round.
pub fn race(entrants: &mut [Entrant], rounds: usize) {
    for entrant in entrants.iter_mut() {
        entrant.steps.iter_mut().for_each(Step::check);
        for _ in 0..WARM_UP {
            entrant.turn();
        }
    }
    for round in 0..rounds {
        let mut running: Vec<_> = entrants.iter_mut().filter(|entrant| round % entrant.every == 0).collect();
        running.sort_by_cached_key(|entrant| hash(&(round, &entrant.name)));
        for entrant in running {
            let took = entrant.turn();
            entrant.times.push(took);
        }
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// A table, with each median's ratio to the first one's.
pub fn print_medians(entrants: &[Entrant]) {
    let floor = entrants[0].median();
    println!("| process | median, ms | middle half, ms | × {} | turns |", entrants[0].name);
    println!("| --- | ---: | ---: | ---: | ---: |");
    for entrant in entrants {
        let (low, median, high) = (entrant.quantile(0.25), entrant.median(), entrant.quantile(0.75));
        let (name, ratio, turns) = (&entrant.name, median / floor, entrant.times.len());
        println!("| {name} | {median:.2} | {low:.2} – {high:.2} | {ratio:.1} | {turns} |");
    }
}

/// Copies the file of the first server, which alone an age store holds, under the names of all the others.
pub fn copy_first(world: &World, mut servers: impl Iterator<Item = String>) {
    let root = world.store().join("store");
    let first = fs::read_dir(root.join(servers.next().unwrap())).unwrap().next().unwrap().unwrap();
    for server in servers {
        let directory = root.join(server);
        fs::create_dir(&directory).unwrap();
        fs::copy(first.path(), directory.join(first.file_name())).unwrap();
    }
}
