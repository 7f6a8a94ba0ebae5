//! A crowd of processes over one store, each at one of Docker's actions; what each did and was told, and when.

use std::io::Write;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::World;

/// How long one may take. Every action ends within 20 s; a little is for a machine with too much to do.
const LIMIT: Duration = Duration::from_secs(30);

/// The answer to one call.
#[derive(Debug)]
pub struct Told {
    pub start: Duration,
    pub end: Duration,
    /// `None` if it had to be killed.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Told {
    /// Whether it was done, without a word.
    pub fn is_silent(&self) -> bool {
        self.code == Some(0) && self.stdout.is_empty() && self.stderr.is_empty()
    }

    /// Whether it was a miss, in the words that clients compare.
    pub fn is_miss(&self) -> bool {
        self.code == Some(1) && self.stdout == "credentials not found in native keychain\n" && self.stderr.is_empty()
    }
}

/// One call of the program.
pub struct Task {
    pub action: &'static str,
    pub input: String,
    /// Variables besides those of the world.
    pub environment: Vec<(&'static str, String)>,
}

/// Calls the program with every task, `at_once` at a time. The answers come in the order of the tasks; their
/// times count from `began`.
pub fn crowd(world: &World, tasks: &[Task], at_once: usize, began: Instant) -> Vec<Told> {
    let running: Vec<Mutex<Option<(Pid, Instant)>>> = (0..at_once).map(|_| Mutex::new(None)).collect();
    let is_over = AtomicBool::new(false);
    let next = Mutex::new(0..tasks.len());
    let told: Vec<Mutex<Option<Told>>> = tasks.iter().map(|_| Mutex::new(None)).collect();
    thread::scope(|scope| {
        let workers: Vec<_> = running
            .iter()
            .map(|running| {
                let (next, told) = (&next, &told);
                scope.spawn(move || {
                    loop {
                        let Some(number) = next.lock().unwrap().next() else { break };
                        *told[number].lock().unwrap() = Some(call(world, &tasks[number], began, running));
                    }
                })
            })
            .collect();
        scope.spawn(|| end_what_hangs(&running, &is_over));
        // Joined by hand, so that a panic of one does not leave the watch waiting for the end.
        let ended: Vec<_> = workers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        is_over.store(true, Ordering::Relaxed);
        assert!(ended.iter().all(Result::is_ok), "a thread of the crowd panicked");
    });
    told.into_iter().map(|told| told.into_inner().unwrap().unwrap()).collect()
}

fn call(world: &World, task: &Task, began: Instant, running: &Mutex<Option<(Pid, Instant)>>) -> Told {
    let mut command = world.command(env!("CARGO_BIN_EXE_docker-credential-coffer"));
    command.arg(task.action).envs(task.environment.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let start = began.elapsed();
    let mut child = command.spawn().unwrap();
    *running.lock().unwrap() = Some((Pid::from_child(&child), Instant::now()));
    // Less than a pipe holds. One that exits without reading closes it, which is its right.
    let _ = child.stdin.take().unwrap().write_all(task.input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let end = began.elapsed();
    *running.lock().unwrap() = None;
    Told {
        start,
        end,
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn end_what_hangs(running: &[Mutex<Option<(Pid, Instant)>>], is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        for process in running {
            if let Some((pid, since)) = *process.lock().unwrap()
                && since.elapsed() > LIMIT
            {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// How many calls there are to be: what the test says, or `COFFER_LOAD`.
pub fn calls(usual: usize) -> usize {
    std::env::var("COFFER_LOAD").map_or(usual, |number| number.parse().expect("COFFER_LOAD is a number"))
}

/// A line for whoever looks at the output of a test.
#[allow(clippy::print_stdout)]
pub fn say(line: &str) {
    println!("{line}");
}

/// What the calls took, for whoever looks at the output of a test.
pub fn print_times(what: &str, tasks: &[Task], told: &[Told]) {
    let took = told.iter().map(|told| told.end).max().unwrap_or_default().as_secs_f64();
    say(&format!("{what}: {} calls in {took:.1} s", told.len()));
    let mut actions: Vec<_> = tasks.iter().map(|task| task.action).collect();
    actions.sort_unstable();
    actions.dedup();
    for action in actions {
        let of_this = tasks.iter().zip(told).filter(|(task, _)| task.action == action);
        let mut times: Vec<_> = of_this.map(|(_, told)| told.end - told.start).collect();
        times.sort();
        let at = |part: usize| times[(times.len() - 1) * part / 100].as_secs_f64() * 1e3;
        say(&format!(
            "{action:>6} {:6}: median {:7.1} ms, 99 % {:7.1} ms, longest {:7.1} ms",
            times.len(),
            at(50),
            at(99),
            at(100)
        ));
    }
}
