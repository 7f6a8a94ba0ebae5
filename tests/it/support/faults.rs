//! One command that writes, and every call that it makes failing, or being its last, in turn.
//!
//! `COFFER_FAULTS=all` tries every error at every call; without it, every change meets one error, every third look meets one,
//! and the errors take turns. A kill is tried before every change in either case: between two changes nothing differs.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::power::Disk;
use super::strace::{self, CHANGES, Call, Fault, LOOKS};
use super::{Outcome, SECRET, World, in_two_threads};

/// What is tried, and what must be true whatever happens.
pub struct Faults<'a, S> {
    /// What is called.
    pub arguments: &'a [&'a str],
    pub input: &'a str,
    /// The same start, as often as it is called.
    pub start: &'a (dyn Fn() -> S + Sync),
    pub world: fn(&S) -> &World,
    /// That nothing is lost, and nothing in clear that was not before.
    pub holds: &'a (dyn Fn(&S, &str) + Sync),
    /// That it is where an undisturbed run ends.
    pub ended: &'a (dyn Fn(&S, &str) + Sync),
    /// The calls that are tried, where a run is too dear for all; empty: all.
    pub only: &'a [&'a str],
    /// How a failure is said.
    pub says: Says,
    /// Whether two can be tried at once.
    pub alone: bool,
}

/// How a command says that it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// As the protocol has it.
    ToDocker,
    /// One line on standard error, and perhaps a hint.
    ToAPerson,
    /// With a report of what was done.
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
        "openat" if call.changes() => &["ENOSPC", "EACCES", "EDQUOT", "EROFS", "EIO"],
        "openat" | "statx" | "newfstatat" | "readlink" => &["EACCES", "EIO"],
        "mkdir" | "symlink" | "link" => &["ENOSPC", "EROFS", "EDQUOT", "EACCES", "EIO"],
        "write" | "writev" | "ftruncate" => &["ENOSPC", "EIO", "EDQUOT"],
        "fsync" | "fdatasync" | "syncfs" => &["EIO", "ENOSPC", "EDQUOT"],
        "rename" | "renameat" | "renameat2" => &["EIO", "ENOSPC", "EROFS", "EACCES", "EDQUOT"],
        "unlink" | "unlinkat" | "rmdir" => &["EROFS", "EACCES", "EIO"],
        "chmod" | "fchmod" | "chown" | "fchown" | "lchown" | "utimensat" => &["EROFS", "EIO", "EACCES"],
        "flock" => &["ENOLCK", "EIO"],
        _ => &["EIO"],
    }
}

impl<S> Faults<'_, S> {
    /// Tries everything, and prints a line of the table in `docs/reliability.md`.
    #[track_caller]
    pub fn run(&self) {
        self.kills();
        self.failures();
    }

    /// Kills it before every change.
    #[track_caller]
    pub fn kills(&self) {
        let calls = self.calls(&CHANGES);
        let changes = calls.iter().filter(|call| call.changes());
        let faults = changes.map(|call| Fault { call: call.name.clone(), number: call.number, error: None });
        self.each(&faults.collect::<Vec<_>>());
    }

    /// Has its calls fail.
    #[track_caller]
    pub fn failures(&self) {
        let all = std::env::var("COFFER_FAULTS").is_ok_and(|value| value == "all");
        let mut faults = Vec::new();
        let (mut changes, mut looks) = (0, 0);
        for call in self.calls(&[&CHANGES[..], &LOOKS].concat()) {
            let seen = if call.changes() { &mut changes } else { &mut looks };
            *seen += 1;
            let errors = errors(&call);
            let wanted: Vec<&'static str> = match (all, call.changes()) {
                (true, _) => errors.to_vec(),
                (false, true) => vec![errors[*seen % errors.len()]],
                (false, false) if *seen % 3 == 0 => vec![errors[*seen / 3 % errors.len()]],
                (false, false) => Vec::new(),
            };
            let fault = |error| Fault { call: call.name.clone(), number: call.number, error: Some(error) };
            faults.extend(wanted.into_iter().map(fault));
        }
        self.each(&faults);
    }

    /// The calls of an undisturbed run that are about this world, which must itself be in order.
    #[track_caller]
    fn calls(&self, names: &[&str]) -> Vec<Call> {
        let start = (self.start)();
        let world = (self.world)(&start);
        let mut disk = Disk::of(world);
        let (outcome, calls) = strace::run(world, self.arguments, self.input, &[], names);
        assert_eq!(outcome.code, Some(0), "undisturbed: {outcome:#?}");
        (self.ended)(&start, "undisturbed");
        disk.run(&calls);
        assert_eq!(disk.wrong, Vec::<String>::new(), "undisturbed");
        let mut seen = BTreeSet::new();
        let about = |call: &Call| call.name != "exit_group" && call.is_about(&world.path(""));
        let wanted = |call: &Call| self.only.is_empty() || self.only.contains(&call.name.as_str());
        // Two threads count on their own; a fault meets both.
        calls
            .into_iter()
            .filter(|call| about(call) && wanted(call) && seen.insert((call.name.clone(), call.number)))
            .collect()
    }

    fn each(&self, faults: &[Fault]) {
        let (tally, started) = (Tally::default(), Instant::now());
        if self.alone {
            faults.iter().for_each(|fault| self.one(fault, &tally));
        } else {
            in_two_threads(faults, |fault| self.one(fault, &tally));
        }
        let Tally { failed, passed, killed } = tally;
        println!(
            "| `{}` | {} | {} | {} | {} | {:.1} s |",
            self.arguments.join(" "),
            faults.len(),
            killed.into_inner(),
            failed.into_inner(),
            passed.into_inner(),
            started.elapsed().as_secs_f64()
        );
    }

    fn one(&self, fault: &Fault, tally: &Tally) {
        let start = (self.start)();
        let world = (self.world)(&start);
        let when = format!("{}, {}", self.arguments.join(" "), fault.inject());
        let mut disk = Disk::of(world);
        let (outcome, calls) = strace::run(world, self.arguments, self.input, &[fault.inject()], &CHANGES);
        disk.run(&calls);
        assert_eq!(disk.wrong, Vec::<String>::new(), "{when}");
        self.keeps_its_secrets(&outcome, &when);
        (self.holds)(&start, &when);
        match (fault.error, outcome.code) {
            (None, None) => tally.killed.fetch_add(1, Ordering::Relaxed),
            (Some(_), Some(0)) => {
                (self.ended)(&start, &format!("{when}: it said that all was done"));
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
        (self.ended)(&start, &format!("{when}, and again"));
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
