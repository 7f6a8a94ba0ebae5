//! A secret that is looked for afterwards wherever it must not be: in what a program says, in every system call that it
//! makes, in the names and the contents of files.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Outcome, World};

/// The secret. It reads the same in clear, in JSON, in a URL, and escaped by strace; it is looked for in any case.
pub const MARKER: &str = "K7qZ0f9c2e7b51d8Xw";

/// The secret among what JSON, URLs and shells treat as special.
pub const TOUGH: &str = "é\"\\/%+<K7qZ0f9c2e7b51d8Xw>&';$(";

/// How a haystack holds the secret; `None` if it does not.
pub fn form_in(haystack: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(haystack);
    let backwards = |text: &str| text.chars().rev().collect::<String>();
    if text.to_ascii_lowercase().contains(&MARKER.to_ascii_lowercase()) {
        return Some("in clear");
    }
    if text.contains(&backwards(MARKER)) {
        return Some("in clear, backwards");
    }
    let hex: String = MARKER.bytes().map(|byte| format!("{byte:02x}")).collect();
    if text.to_ascii_lowercase().contains(&hex) {
        return Some("in hex");
    }
    for encoded in base64_of(MARKER) {
        if text.contains(&encoded) {
            return Some("in base64");
        }
        if text.contains(&backwards(&encoded)) {
            return Some("in base64, backwards");
        }
    }
    None
}

/// The middle of its base64, wherever in what was encoded it stood: that of `user:secret` too.
fn base64_of(secret: &str) -> Vec<String> {
    let shifted = (0..3).map(|shift| format!("{}{secret}", &"   "[..shift]));
    let middle = |text: String| STANDARD.encode(&text)[4..text.len() / 3 * 4].to_owned();
    shifted.map(middle).collect()
}

/// A call whose every system call was watched.
pub struct Watched {
    pub outcome: Outcome,
    /// The system calls that hold the secret, but for those that read.
    pub calls: Vec<String>,
    /// Files that hold it, in name or content, and did not before.
    pub files: Vec<PathBuf>,
}

impl Watched {
    /// That the secret is nowhere.
    #[track_caller]
    pub fn hides_it(&self, name: &str) {
        self.calls_are(name, &[]);
        for said in [&self.outcome.stdout, &self.outcome.stderr] {
            assert_eq!(form_in(said.as_bytes()), None, "{name}: {:#?}", self.outcome);
        }
    }

    /// That the secret is in no call but these, each given by how it begins, and in no file.
    #[track_caller]
    pub fn calls_are(&self, name: &str, allowed: &[&str]) {
        let is_allowed = |call: &&String| allowed.iter().any(|allowed| call.starts_with(allowed));
        let bad: Vec<_> = self.calls.iter().filter(|call| !is_allowed(call)).collect();
        assert!(bad.is_empty(), "{name}: {bad:#?} {:#?}", self.outcome);
        assert!(self.files.is_empty(), "{name}: {:#?} {:#?}", self.files, self.outcome);
    }
}

impl World {
    /// Calls Coffer with the most talkative trace, and watches it. What other programs do after they were started is theirs.
    #[track_caller]
    pub fn watch(&self, arguments: &[&str], input: impl AsRef<[u8]>) -> Watched {
        self.watch_with(&[], arguments, input)
    }

    /// The same, with more options for strace.
    #[track_caller]
    pub fn watch_with(&self, options: &[&str], arguments: &[&str], input: impl AsRef<[u8]>) -> Watched {
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut call = vec!["-f", "-v", "-y", "-s", "200000", "-e", "signal=none", "-o", log.path().to_str().unwrap()];
        call.extend(options);
        call.push(env!("CARGO_BIN_EXE_docker-credential-coffer"));
        call.extend(arguments);
        let before: HashSet<_> = marked_files(&self.path("")).into_iter().collect();
        let outcome = self.call("strace", &call).env("COFFER_LOG", "debug").input(input).run();
        let after = marked_files(&self.path(""));
        let log = String::from_utf8_lossy(&fs::read(log.path()).unwrap()).into_owned();
        let calls = own_calls(&log).into_iter().filter(|call| !reads(call) && form_in(call.as_bytes()).is_some());
        Watched {
            outcome,
            calls: calls.map(str::to_owned).collect(),
            files: after.into_iter().filter(|path| !before.contains(path)).collect(),
        }
    }
}

/// Whether a call only brings in what is elsewhere already.
fn reads(call: &str) -> bool {
    let name = call.strip_prefix("<... ").unwrap_or(call);
    ["read(", "read ", "pread64", "readv", "recvfrom", "recvmsg"].iter().any(|read| name.starts_with(read))
        || call.starts_with("keyctl(KEYCTL_READ")
}

/// The calls of the program that was started and of its threads, and the start of each other program.
fn own_calls(log: &str) -> Vec<&str> {
    let lines = || log.lines().filter_map(|line| line.split_once(' ')).map(|(id, call)| (id, call.trim_start()));
    let is_birth = |call: &str| {
        ["clone", "vfork", "fork", "<... clone", "<... vfork", "<... fork"].iter().any(|name| call.starts_with(name))
    };
    let born = lines().filter(|(_, call)| is_birth(call));
    let parents: HashMap<&str, &str> =
        born.filter_map(|(id, call)| Some((call.rsplit_once(" = ")?.1.split(' ').next()?, id))).collect();
    let (main, _) = lines().next().expect("a trace");
    // The first program is Coffer; whoever starts another is that from then on.
    let mut started: HashMap<&str, usize> = HashMap::new();
    let mut own = Vec::new();
    for (id, call) in lines() {
        let is_foreign = |id: &str| started.get(id).is_some_and(|count| *count > usize::from(id == main));
        let mut ancestor = id;
        let mut steps = 0;
        while let Some(parent) = parents.get(ancestor).filter(|_| !is_foreign(ancestor) && steps < 100) {
            (ancestor, steps) = (parent, steps + 1);
        }
        if ancestor == main && !is_foreign(main) {
            own.push(call);
        }
        if call.starts_with("execve") {
            *started.entry(id).or_default() += 1;
        }
    }
    own
}

/// Every file below a directory that holds the secret, in its name or in what it holds.
fn marked_files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let kind = entry.file_type().unwrap();
        let holds = kind.is_file() && fs::read(&path).is_ok_and(|bytes| form_in(&bytes).is_some());
        if holds || form_in(entry.file_name().as_encoded_bytes()).is_some() {
            found.push(path.clone());
        }
        if kind.is_dir() {
            found.extend(marked_files(&path));
        }
    }
    found
}
