//! A program under strace: the calls that it makes, and one of them failing or being its last.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Outcome, World};

/// What changes files, says that it is on the disk, or ends the process.
pub const CHANGES: [&str; 34] = [
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
    "exit_group",
];

/// What only looks.
pub const LOOKS: [&str; 7] = ["read", "pread64", "readv", "getdents64", "statx", "newfstatat", "readlink"];

/// A system call that was made.
#[derive(Debug, Clone)]
pub struct Call {
    pub name: String,
    /// The how-manieth of this name in its thread, from 1, as strace counts for its faults.
    pub number: usize,
    /// As strace shows them, with the paths of open files.
    pub arguments: String,
    /// Whether it did what it was called for.
    pub succeeded: bool,
    /// What it returned; `None` if it never did.
    pub result: Option<String>,
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
            "openat" => self.arguments.contains("O_CREAT"),
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
}

impl Fault {
    /// As strace's `inject=` has it.
    pub fn inject(&self) -> String {
        match self.error {
            Some(error) => format!("{}:error={error}:when={}", self.call, self.number),
            None => format!("{}:signal=SIGKILL:when={}", self.call, self.number),
        }
    }
}

/// Runs Coffer under strace, with faults as its `inject=` has them. What it said, and its calls.
pub fn run(world: &World, arguments: &[&str], input: &str, faults: &[String], names: &[&str]) -> (Outcome, Vec<Call>) {
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut names: Vec<&str> = names.to_vec();
    names.extend(faults.iter().filter_map(|fault| fault.split(':').next()));
    let trace = format!("trace={}", names.join(","));
    let mut strace =
        vec!["-f", "-qq", "-y", "-s", "0", "-o", log.path().to_str().unwrap(), "-e", &trace];
    let faults: Vec<String> = faults.iter().map(|fault| format!("inject={fault}")).collect();
    for fault in &faults {
        strace.extend(["-e", fault]);
    }
    strace.push(env!("CARGO_BIN_EXE_docker-credential-coffer"));
    strace.extend(arguments);
    let outcome = world.call("strace", &strace).input(input).run();
    (outcome, parse(&fs::read_to_string(log.path()).unwrap()))
}

/// `PID name(arguments) = result`, in two pieces where another thread came between.
fn parse(log: &str) -> Vec<Call> {
    let mut numbers: HashMap<(&str, String), usize> = HashMap::new();
    let mut unfinished: HashMap<&str, usize> = HashMap::new();
    let mut calls: Vec<Call> = Vec::new();
    for line in log.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(resumed) = rest.strip_prefix("<... ") {
            let Some(index) = unfinished.remove(thread) else { continue };
            let (_, rest) = resumed.split_once("resumed>").unwrap();
            finish(&mut calls[index], rest);
            continue;
        }
        let Some((name, rest)) = rest.split_once('(') else { continue };
        let number = numbers.entry((thread, name.to_owned())).or_default();
        *number += 1;
        let mut call =
            Call { name: name.into(), number: *number, arguments: String::new(), succeeded: false, result: None };
        match rest.strip_suffix(" <unfinished ...>") {
            Some(arguments) => {
                call.arguments = arguments.into();
                unfinished.insert(thread, calls.len());
            }
            None => finish(&mut call, rest),
        }
        calls.push(call);
    }
    calls
}

fn finish(call: &mut Call, rest: &str) {
    let Some((arguments, result)) = rest.rsplit_once(" = ") else {
        call.arguments += rest;
        return;
    };
    call.arguments += arguments.trim_end().trim_end_matches(')');
    // `?`: it ended the process, or the process was ended in it.
    call.succeeded = result.starts_with(|first: char| first.is_ascii_digit());
    call.result = (!result.starts_with('?')).then(|| result.to_owned());
}
