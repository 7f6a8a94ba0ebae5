//! A program under strace: the calls that it makes, and one of them failing or being its last.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Outcome, World};

/// What changes files, says that it is on the disk, or ends the process.
pub const CHANGES: [&str; 37] = [
    "open",
    "openat",
    "creat",
    "mkdir",
    "mkdirat",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "unlink",
    "unlinkat",
    "rmdir",
    "write",
    "pwrite64",
    "writev",
    "ftruncate",
    "truncate",
    "fallocate",
    "fsync",
    "fdatasync",
    "sync",
    "syncfs",
    "chmod",
    "fchmod",
    "fchmodat",
    "chown",
    "fchown",
    "lchown",
    "fchownat",
    "utimensat",
    "flock",
    "sendmsg",
    "sendto",
    "exit_group",
];

/// What only looks.
pub const LOOKS: [&str; 10] =
    ["read", "pread64", "readv", "getdents64", "statx", "newfstatat", "stat", "lstat", "fstat", "readlink"];

/// A system call that was made.
#[derive(Debug, Clone)]
pub struct Call {
    pub name: String,
    /// The how-manieth of this name, from 1, as strace counts for its faults.
    pub number: usize,
    /// As strace shows them, with the paths of open files.
    pub arguments: String,
    /// Whether it did what it was called for.
    pub succeeded: bool,
}

impl Call {
    /// Whether it is about a file below a directory, or a pipe.
    pub fn is_about(&self, root: &Path) -> bool {
        self.arguments
            .replace("AT_FDCWD<", "")
            .split(['<', '"'])
            .skip(1)
            .any(|part| part.starts_with(root.to_str().unwrap()))
            || self.arguments.contains("<pipe:")
            || self.name.starts_with("send")
    }

    /// The file of the descriptor that it is called with; `None` for one that has no name any more.
    pub fn open_file(&self) -> Option<&Path> {
        if self.arguments.starts_with("AT_FDCWD") {
            return None;
        }
        let (_, rest) = self.arguments.split_once('<')?;
        let (path, rest) = rest.split_once('>')?;
        (!rest.starts_with("(deleted)")).then_some(Path::new(path))
    }

    /// Whether its descriptor is of a file that has lost its name.
    pub fn is_of_nameless(&self) -> bool {
        self.arguments.contains(">(deleted)")
    }

    /// The paths among its arguments.
    pub fn paths(&self) -> Vec<PathBuf> {
        let quoted = self.arguments.split('"').skip(1).step_by(2).filter(|text| !text.is_empty());
        quoted.map(PathBuf::from).collect()
    }

    /// The descriptor that it writes to.
    pub fn writes_to(&self, descriptor: u32) -> bool {
        self.name.starts_with("write") && self.arguments.starts_with(&format!("{descriptor}<"))
    }

    /// Whether it may make a file, or change something that can be seen on the disk.
    pub fn changes(&self) -> bool {
        match self.name.as_str() {
            "open" | "openat" => self.arguments.contains("O_CREAT"),
            // What is said to somebody.
            "write" if self.arguments.contains("<pipe:") => false,
            "exit_group" => false,
            name => CHANGES.contains(&name),
        }
    }
}

/// What happens to one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub call: String,
    pub number: usize,
    /// The error that it returns; `None`: the process is killed before it is made.
    pub error: Option<&'static str>,
    /// What happens to others, as strace's `inject=` has it.
    pub others: Vec<String>,
}

impl Fault {
    /// One call, and what happens to it.
    pub fn of(call: &Call, error: Option<&'static str>) -> Self {
        Self { call: call.name.clone(), number: call.number, error, others: Vec::new() }
    }

    /// As strace's `inject=` has it.
    pub fn inject(&self) -> Vec<String> {
        if !self.others.is_empty() {
            return self.others.clone();
        }
        let what = self.error.map_or("signal=SIGKILL".into(), |error| format!("error={error}"));
        vec![format!("{}:{what}:when={}", self.call, self.number)]
    }
}

/// Runs Coffer under strace, with faults as its `inject=` has them. What it said, and its calls. Only its main thread is looked
/// at, which does everything that matters; and no plugin that it calls.
pub fn run(world: &World, arguments: &[&str], input: &str, faults: &[String], names: &[&str]) -> (Outcome, Vec<Call>) {
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut names: Vec<&str> = names.to_vec();
    names.extend(faults.iter().filter_map(|fault| fault.split(':').next()));
    let trace = format!("trace={}", names.join(","));
    let mut strace = vec!["-qq", "-y", "-s", "0", "-o", log.path().to_str().unwrap(), "-e", &trace];
    let faults: Vec<String> = faults.iter().map(|fault| format!("inject={fault}")).collect();
    for fault in &faults {
        strace.extend(["-e", fault]);
    }
    strace.push(env!("CARGO_BIN_EXE_docker-credential-coffer"));
    strace.extend(arguments);
    let outcome = world.call("strace", &strace).input(input).run();
    (outcome, parse(&fs::read_to_string(log.path()).unwrap()))
}

/// `name(arguments) = result`, a line each.
pub fn parse(log: &str) -> Vec<Call> {
    let mut numbers: HashMap<String, usize> = HashMap::new();
    let mut calls = Vec::new();
    for (name, rest) in log.lines().filter_map(|line| line.split_once('(')) {
        let number = numbers.entry(name.to_owned()).or_default();
        *number += 1;
        let (arguments, result) = rest.rsplit_once(" = ").unwrap_or((rest, "?"));
        calls.push(Call {
            name: name.into(),
            number: *number,
            arguments: arguments.trim_end().trim_end_matches(')').into(),
            succeeded: result.starts_with(|first: char| first.is_ascii_digit()),
        });
    }
    calls
}
