//! One command that writes, and every call that it makes failing, or being its last, in turn.
//!
//! `COFFER_FAULTS=all` tries every error at every call. Without it, every change meets one error, and every third look (of many,
//! forty) meets one; the errors take turns. Of commands that make many calls, some are tried: see [`some`].

use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::power::Disk;
use super::strace::{self, CHANGES, Call, Fault, LOOKS};
use super::{Outcome, SECRET, World, in_two_threads};

/// What is tried, and what must be true whatever happens.
pub struct Faults<'a, S> {
    arguments: &'a [&'a str],
    input: &'a str,
    start: &'a (dyn Fn() -> S + Sync),
    world: fn(&S) -> &World,
    holds: Holds<'a, S>,
    ended: Ended<'a, S>,
    few: &'a (dyn Fn(&Call) -> bool + Sync),
    only: &'a (dyn Fn(&Call) -> bool + Sync),
    says: Says,
    alone: bool,
    is_kept: bool,
}

/// That nothing is lost, and nothing in clear that was not before.
type Holds<'a, S> = &'a (dyn Fn(&S, &str) + Sync);

/// That it is where an undisturbed run ends: after which run.
type Ended<'a, S> = &'a (dyn Fn(&S, Run, &str) + Sync);

/// The runs after which all should be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    /// Nothing disturbed it.
    Undisturbed,
    /// A call failed, and it said that all was done.
    Disturbed,
    /// Nothing disturbed it, but the one before.
    Second,
}

/// The calls that change a directory or what it says of a file.
const NAMING: [&str; 8] = ["mkdir", "rename", "renameat", "renameat2", "unlink", "rmdir", "symlink", "utimensat"];

/// Of a command that makes many calls, every third, and whatever names or removes.
pub fn some(call: &Call) -> bool {
    call.number.is_multiple_of(3) || call.name.starts_with("rename") || call.name.starts_with("unlink")
}

/// How a command says that it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// As the protocol has it.
    ToDocker,
    /// One line on standard error, and perhaps a hint.
    ToAPerson,
    /// With a report of what was done: what fails in one place does not keep it from the others.
    InAReport,
}

/// What was tried, and what came of it.
#[derive(Debug, Default)]
struct Tally {
    failed: AtomicUsize,
    passed: AtomicUsize,
    killed: AtomicUsize,
}

/// The errors that a call may meet.
fn errors(call: &Call) -> &'static [&'static str] {
    match call.name.as_str() {
        "open" | "openat" if call.changes() => &["ENOSPC", "EACCES", "EDQUOT", "EROFS", "EIO"],
        "open" | "openat" | "statx" | "newfstatat" | "stat" | "lstat" | "fstat" | "readlink" => &["EACCES", "EIO"],
        "mkdir" | "symlink" | "link" => &["ENOSPC", "EROFS", "EDQUOT", "EACCES", "EIO"],
        "write" | "writev" | "ftruncate" => &["ENOSPC", "EIO", "EDQUOT"],
        "fsync" | "fdatasync" | "syncfs" => &["EIO", "ENOSPC", "EDQUOT"],
        "rename" | "renameat" | "renameat2" => &["EIO", "ENOSPC", "EROFS", "EACCES", "EDQUOT"],
        "unlink" | "unlinkat" | "rmdir" => &["EROFS", "EACCES", "EIO"],
        "chmod" | "fchmod" | "chown" | "fchown" | "lchown" | "utimensat" => &["EROFS", "EIO", "EACCES"],
        "flock" => &["ENOLCK", "EIO"],
        "sendmsg" | "sendto" => &["ECONNRESET", "EPIPE"],
        _ => &["EIO"],
    }
}

/// Whether everything is wanted, however long it takes.
pub fn is_thorough() -> bool {
    std::env::var("COFFER_FAULTS").is_ok_and(|value| value == "all")
}

impl<'a, S> Faults<'a, S> {
    /// What is called, and with which input; `start` makes the same world, as often as it is called.
    pub fn of(
        (arguments, input): (&'a [&'a str], &'a str),
        start: &'a (dyn Fn() -> S + Sync),
        world: fn(&S) -> &World,
        holds: Holds<'a, S>,
        ended: Ended<'a, S>,
    ) -> Self {
        Self {
            arguments,
            input,
            start,
            world,
            holds,
            ended,
            few: &|_| true,
            only: &|_| true,
            says: Says::ToAPerson,
            alone: false,
            is_kept: true,
        }
    }

    /// Says otherwise how a failure is said.
    pub fn says(self, says: Says) -> Self {
        Self { says, ..self }
    }

    /// Where a run is dear: these calls alone, unless all are wanted.
    pub fn few(self, few: &'a (dyn Fn(&Call) -> bool + Sync)) -> Self {
        Self { few, ..self }
    }

    /// Where a call cannot be counted: these alone.
    pub fn only(self, only: &'a (dyn Fn(&Call) -> bool + Sync)) -> Self {
        Self { only, ..self }
    }

    /// Where there is one world for all, one at a time.
    pub fn alone(self) -> Self {
        Self { alone: true, ..self }
    }

    /// Where what is written can be had again: a disturbed run need not have it on the disk.
    pub fn of_what_can_be_had_again(self) -> Self {
        Self { is_kept: false, ..self }
    }

    /// Tries everything, and prints lines of the table in `docs/reliability.md`.
    #[track_caller]
    pub fn run(&self) {
        self.kills();
        self.failures();
        self.read_only();
    }

    /// Kills it before its changes: between two of them, nothing differs on the disk.
    #[track_caller]
    pub fn kills(&self) {
        let calls = self.calls(&CHANGES);
        let changes = calls.iter().filter(|call| call.changes());
        let faults = changes.map(|call| Fault::of(call, None));
        self.each("killed", &faults.collect::<Vec<_>>());
    }

    /// Has its disk become read-only before every change that is made with a name.
    #[track_caller]
    pub fn read_only(&self) {
        let calls = self.calls(&CHANGES);
        let mut faults = Vec::new();
        for (index, call) in calls.iter().enumerate().filter(|(_, call)| NAMING.contains(&call.name.as_str())) {
            let from = |name: &&str| {
                let before = calls[..index].iter().filter(|call| call.name == *name).count();
                format!("{name}:error=EROFS:when={}+", before + 1)
            };
            let others = NAMING.iter().map(from).collect();
            faults.push(Fault { others, ..Fault::of(call, Some("EROFS")) });
        }
        self.each("read-only", &faults);
    }

    /// Has its calls fail.
    #[track_caller]
    pub fn failures(&self) {
        let all = is_thorough();
        let mut faults = Vec::new();
        let (mut changes, mut looks) = (0, 0);
        let calls = self.calls(&[&CHANGES[..], &LOOKS].concat());
        // Of many looks, forty; of a handful, all.
        let step = match calls.iter().filter(|call| !call.changes()).count() {
            0..=12 => 1,
            looks => (looks / 40).max(3),
        };
        for call in calls {
            let seen = if call.changes() { &mut changes } else { &mut looks };
            *seen += 1;
            let errors = errors(&call);
            let wanted: Vec<&'static str> = match (all, call.changes()) {
                (true, _) => errors.to_vec(),
                (false, true) => vec![errors[*seen % errors.len()]],
                (false, false) if *seen % step == 0 => vec![errors[*seen / step % errors.len()]],
                (false, false) => Vec::new(),
            };
            faults.extend(wanted.into_iter().map(|error| Fault::of(&call, Some(error))));
        }
        self.each("fails", &faults);
    }

    /// The calls of an undisturbed run that are about this world, which must itself be in order.
    #[track_caller]
    fn calls(&self, names: &[&str]) -> Vec<Call> {
        let start = (self.start)();
        let world = (self.world)(&start);
        let mut disk = Disk::of(world);
        let (outcome, calls) = strace::run(world, self.arguments, self.input, &[], names);
        assert_eq!(outcome.code, Some(0), "undisturbed: {outcome:#?}");
        (self.ended)(&start, Run::Undisturbed, "undisturbed");
        disk.run(&calls);
        assert_eq!(disk.wrong, Vec::<String>::new(), "undisturbed");
        let about = |call: &Call| call.name != "exit_group" && call.is_about(&world.path(""));
        let wanted = |call: &Call| (self.only)(call) && (is_thorough() || (self.few)(call));
        calls.into_iter().filter(|call| about(call) && wanted(call)).collect()
    }

    fn each(&self, how: &str, faults: &[Fault]) {
        let (tally, started) = (Tally::default(), Instant::now());
        if self.alone {
            faults.iter().for_each(|fault| self.one(fault, &tally));
        } else {
            in_two_threads(faults, |fault| self.one(fault, &tally));
        }
        let Tally { failed, passed, killed } = tally;
        let row = format!(
            "| `{}` | {how} | {} | {} | {} | {} | {:.1} s |\n",
            self.arguments.join(" "),
            faults.len(),
            killed.into_inner(),
            failed.into_inner(),
            passed.into_inner(),
            started.elapsed().as_secs_f64()
        );
        io::stdout().write_all(row.as_bytes()).unwrap();
    }

    fn one(&self, fault: &Fault, tally: &Tally) {
        let start = (self.start)();
        let world = (self.world)(&start);
        let when = format!("{}, {}", self.arguments.join(" "), fault.inject().join(" "));
        let mut disk = Disk::of(world);
        disk.in_parts = self.says == Says::InAReport;
        let (outcome, calls) = strace::run(world, self.arguments, self.input, &fault.inject(), &CHANGES);
        disk.run(&calls);
        if !self.is_kept {
            disk = Disk::of(world);
        }
        assert_eq!(disk.wrong, Vec::<String>::new(), "{when}");
        self.keeps_its_secrets(&outcome, &when);
        (self.holds)(&start, &when);
        match (fault.error, outcome.code) {
            (None, None) => tally.killed.fetch_add(1, Ordering::Relaxed),
            (Some(_), Some(0)) => {
                (self.ended)(&start, Run::Disturbed, &format!("{when}: it said that all was done"));
                tally.passed.fetch_add(1, Ordering::Relaxed)
            }
            (Some(_), Some(1)) => {
                self.says_so(&outcome, fault, &when);
                tally.failed.fetch_add(1, Ordering::Relaxed)
            }
            _ => panic!("{when}: {outcome:#?}"),
        };
        let (outcome, calls) = strace::run(world, self.arguments, self.input, &[], &CHANGES);
        assert_eq!(outcome.code, Some(0), "{when}, and again: {outcome:#?}");
        disk.run(&calls);
        assert_eq!(disk.wrong, Vec::<String>::new(), "{when}, and again");
        (self.holds)(&start, &format!("{when}, and again"));
        (self.ended)(&start, Run::Second, &format!("{when}, and again"));
        let left: Vec<_> = world.files(&world.path("")).into_iter().filter(|name| is_leftover(name)).collect();
        assert_eq!(left, [""; 0], "{when}, and again");
    }

    /// One line and a hint, or, of what cannot be said, nothing.
    fn says_so(&self, outcome: &Outcome, fault: &Fault, when: &str) {
        assert!(!outcome.said().contains("an internal error"), "{when}: {outcome:#?}");
        let lines: Vec<&str> = outcome.stderr.lines().collect();
        let is_muted = fault.call == "write";
        let (last, errors) = match lines.as_slice() {
            [.., error, hint] if hint.starts_with("hint: ") => (Some(error), lines.len() - 1),
            [.., error] => (Some(error), lines.len()),
            [] => (None, 0),
        };
        assert!(is_muted || last.is_some_and(|error| !error.is_empty()), "{when}: {outcome:#?}");
        match self.says {
            Says::ToDocker if !is_muted => {
                assert_eq!((outcome.stdout.lines().count(), errors), (1, 1), "{when}: {outcome:#?}");
                assert_eq!(outcome.stdout.lines().next(), last.copied(), "{when}: {outcome:#?}");
            }
            Says::ToAPerson => assert!(errors <= 2, "{when}: {outcome:#?}"),
            _ => {}
        }
    }

    fn keeps_its_secrets(&self, outcome: &Outcome, when: &str) {
        assert!(!outcome.said().contains(SECRET), "{when}: {outcome:#?}");
        // A recovery key is what was asked for, and data.
        assert!(!outcome.stderr.contains("AGE-SECRET-KEY-1"), "{when}: {outcome:#?}");
    }
}

/// What only a run that is under way may have.
fn is_leftover(name: &str) -> bool {
    name.contains(".coffer-") || name.contains(".tmp") || name.ends_with("/rekeying")
}
