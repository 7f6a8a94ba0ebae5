//! A home directory and an environment that nothing leaks into.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use tempfile::TempDir;

/// The program under test.
const COFFER: &str = env!("CARGO_BIN_EXE_docker-credential-coffer");

/// In what time every request is answered: the 19 s that it may take, and some on a machine that has other things to do. Clients
/// wait for 30 s.
pub const IN_TIME: Duration = Duration::from_secs(25);

/// An empty machine: a home, and nothing set but what a login shell sets.
pub struct World {
    root: TempDir,
    environment: Vec<(String, String)>,
}

impl World {
    pub fn new() -> Self {
        Self::below(&std::env::temp_dir())
    }

    /// One that waits for no disk, unless TMPDIR says where it is to lie.
    pub fn in_memory() -> Self {
        let directory = std::env::var_os("TMPDIR").map_or("/dev/shm".into(), PathBuf::from);
        Self::below(&directory)
    }

    fn below(directory: &Path) -> Self {
        let root = TempDir::with_prefix_in("coffer-", directory).unwrap();
        for directory in ["home", "run", "bin"] {
            fs::create_dir(root.path().join(directory)).unwrap();
            chmod(&root.path().join(directory), 0o700);
        }
        let mut world = Self { root, environment: Vec::new() };
        let program = Path::new(COFFER).parent().unwrap().display();
        world.set("PATH", &format!("{}:{program}:/usr/local/bin:/usr/bin:/bin", world.path("bin").display()));
        world.set("HOME", world.home().to_str().unwrap());
        world.set("XDG_RUNTIME_DIR", world.path("run").to_str().unwrap());
        world.set("LANG", "C.UTF-8");
        // A request to the real metadata address would be a fault of the test.
        world.set("AWS_EC2_METADATA_DISABLED", "true");
        world
    }

    /// Another world that is set up the same, and whose directories hold the same.
    pub fn twin(&self) -> Self {
        let mut twin = Self::new();
        let (here, there) = (self.path("").display().to_string(), twin.path("").display().to_string());
        let elsewhere = |(name, value): &(String, String)| (name.clone(), value.replace(&here, &there));
        twin.environment = self.environment.iter().map(elsewhere).collect();
        for directory in ["home", "run", "bin"] {
            let from = format!("{}/.", self.path(directory).display());
            let copy = Command::new("cp").args(["-a", &from]).arg(twin.path(directory)).status().unwrap();
            assert!(copy.success(), "{copy}");
        }
        twin
    }

    /// Sets a variable for everything that is called from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.unset(name);
        self.environment.push((name.into(), value.into()));
    }

    /// What a variable is set to.
    pub fn variable(&self, name: &str) -> String {
        let set = self.environment.iter().find(|(known, _)| known == name);
        set.unwrap().1.clone()
    }

    pub fn unset(&mut self, name: &str) {
        self.environment.retain(|(known, _)| known != name);
    }

    /// A world in which Docker is the only client.
    pub fn of_docker_alone() -> Self {
        let mut world = Self::new();
        world.set("PATH", &world.without_containers());
        world
    }

    /// A PATH on which there is Coffer, and no podman, skopeo or buildah.
    pub fn without_containers(&self) -> String {
        format!("{}:{}", self.path("bin").display(), Path::new(COFFER).parent().unwrap().display())
    }

    /// A path in this world, outside the home directory.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.path().join(relative)
    }

    pub fn home(&self) -> PathBuf {
        self.path("home")
    }

    /// The directory of the age store, in its default place.
    pub fn store(&self) -> PathBuf {
        self.home().join(".local/share/coffer")
    }

    /// Writes a file below the home directory, with its directories.
    pub fn write(&self, relative: &str, text: &str) -> PathBuf {
        let path = self.home().join(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    pub fn config(&self, text: &str) -> PathBuf {
        self.write(".config/coffer/config.toml", text)
    }

    /// Puts a shell script on the PATH, before everything else.
    pub fn script(&self, name: &str, text: &str) {
        let path = self.path("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        chmod(&path, 0o755);
    }

    /// Whether every program that was called here, or by one that was, has ended.
    pub fn is_quiet(&self) -> bool {
        let mark = format!("XDG_RUNTIME_DIR={}", self.path("run").display());
        let is_ours = |process: &fs::DirEntry| {
            let environment = fs::read(process.path().join("environ")).unwrap_or_default();
            String::from_utf8_lossy(&environment).contains(&mark)
        };
        !fs::read_dir("/proc").unwrap().flatten().any(|process| is_ours(&process))
    }

    /// Coffer, about to be called.
    pub fn coffer(&self, arguments: &[&str]) -> Call {
        self.call(COFFER, arguments)
    }

    /// Any program, about to be called in this world.
    pub fn call(&self, program: impl AsRef<OsStr>, arguments: &[&str]) -> Call {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(self.environment.clone()).current_dir(self.home());
        Call { command, input: Vec::new(), limit: Duration::from_secs(60) }
    }

    /// A server that is started in this world by hand.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(self.environment.clone()).current_dir(self.home());
        command
    }

    pub fn get(&self, server: &str) -> Outcome {
        self.coffer(&["get"]).input(server).run()
    }

    pub fn store_login(&self, server: &str, username: &str, secret: &str) -> Outcome {
        self.coffer(&["store"]).input(login(server, username, secret)).run()
    }

    /// Every file below a directory of this world, by its path from there.
    pub fn files(&self, directory: &Path) -> Vec<String> {
        let mut found = Vec::new();
        walk(directory, &mut |path| found.push(path.strip_prefix(directory).unwrap().display().to_string()));
        found.sort();
        found
    }

    /// Every file below a directory, with what it holds and when that was written.
    pub fn snapshot(&self, directory: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
        let mut found = BTreeMap::new();
        walk(directory, &mut |path| {
            let modified = fs::metadata(path).unwrap().modified().unwrap();
            found.insert(path.to_owned(), (fs::read(path).unwrap(), modified));
        });
        found
    }

    /// The files below a directory that hold a text, in clear or in base64 at any alignment.
    pub fn files_with(&self, directory: &Path, secret: &str) -> Vec<PathBuf> {
        let needles = spellings(secret);
        let mut found = Vec::new();
        walk(directory, &mut |path| {
            let bytes = fs::read(path).unwrap_or_default();
            if needles.iter().any(|needle| bytes.windows(needle.len()).any(|window| window == needle)) {
                found.push(path.to_owned());
            }
        });
        found
    }
}

/// A secret in clear, and the middle of its base64 at each of the three alignments.
fn spellings(secret: &str) -> Vec<Vec<u8>> {
    use base64::Engine;
    let mut spellings = vec![secret.as_bytes().to_vec()];
    for shift in 0..3 {
        let shifted = format!("{}{secret}", "x".repeat(shift));
        let encoded = base64::engine::general_purpose::STANDARD.encode(shifted);
        // Only whole groups that hold nothing but the secret.
        let start = if shift == 0 { 0 } else { 4 };
        let end = (shift + secret.len()) / 3 * 4;
        spellings.push(encoded.as_bytes()[start..end].to_vec());
    }
    spellings
}

fn walk(directory: &Path, see: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => walk(&entry.path(), see),
            Ok(kind) if kind.is_file() => see(&entry.path()),
            _ => {}
        }
    }
}

pub fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

pub fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// The request of a `store`.
pub fn login(server: &str, username: &str, secret: &str) -> String {
    serde_json::json!({ "ServerURL": server, "Username": username, "Secret": secret }).to_string() + "\n"
}

/// A program about to be called.
pub struct Call {
    command: Command,
    input: Vec<u8>,
    limit: Duration,
}

impl Call {
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    pub fn input(mut self, input: impl AsRef<[u8]>) -> Self {
        self.input = input.as_ref().to_vec();
        self
    }

    /// Runs it to its end. A program that runs for a minute fails the test.
    #[track_caller]
    pub fn run(mut self) -> Outcome {
        let name = format!("{:?}", self.command);
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = Instant::now();
        let mut child = self.command.spawn().unwrap_or_else(|error| panic!("{name}: {error}; see tests/run"));
        let mut stdin = child.stdin.take().unwrap();
        let input = self.input;
        // A program that exits without reading closes the pipe, which is its right.
        thread::spawn(move || stdin.write_all(&input));
        let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let out = thread::spawn(move || std::io::read_to_string(&mut stdout));
        let err = thread::spawn(move || std::io::read_to_string(&mut stderr));
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if started.elapsed() > self.limit {
                let _ = child.kill();
                panic!("{name}: still running after {:?}", self.limit);
            }
            thread::sleep(Duration::from_millis(2));
        };
        let took = started.elapsed();
        Outcome {
            name,
            code: status.code(),
            stdout: out.join().unwrap().unwrap(),
            stderr: err.join().unwrap().unwrap(),
            took,
        }
    }
}

/// What a program said.
#[derive(Debug)]
pub struct Outcome {
    #[expect(dead_code, reason = "shown when an expectation is not met")]
    name: String,
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Outcome {
    /// That it succeeded; its output.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.stdout
    }

    /// Everything it said.
    pub fn said(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// That it succeeded and said nothing.
    #[track_caller]
    pub fn silent(self) {
        assert_eq!((self.code, self.stdout.as_str(), self.stderr.as_str()), (Some(0), "", ""), "{self:#?}");
    }

    /// That a `get` answered this user and secret.
    #[track_caller]
    pub fn answers(self, server: &str, username: &str, secret: &str) {
        let reply: serde_json::Value = serde_json::from_str(&self.clone_ok()).unwrap();
        let expected = serde_json::json!({ "ServerURL": server, "Username": username, "Secret": secret });
        assert_eq!(reply, expected, "{self:#?}");
    }

    #[track_caller]
    fn clone_ok(&self) -> String {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.stdout.clone()
    }

    /// That it was a miss, in the words that clients compare.
    #[track_caller]
    pub fn misses(self) {
        let said = (self.code, self.stdout.as_str(), self.stderr.as_str());
        assert_eq!(said, (Some(1), "credentials not found in native keychain\n", ""), "{self:#?}");
    }

    /// That it failed as the protocol has it: one line on standard output that holds `words`, the same and a
    /// hint on standard error, exit 1, in time.
    #[track_caller]
    pub fn fails(self, words: &str) {
        assert_eq!(self.code, Some(1), "{self:#?}");
        assert_eq!(self.stdout.lines().count(), 1, "{self:#?}");
        assert!(self.stdout.contains(words), "{words:?} is not in {self:#?}");
        let mut lines = self.stderr.lines();
        assert_eq!(lines.next(), self.stdout.lines().next(), "{self:#?}");
        assert!(lines.next().is_some_and(|hint| hint.starts_with("hint: ")), "{self:#?}");
        assert_eq!(lines.next(), None, "{self:#?}");
        assert!(self.took < IN_TIME, "{self:#?}");
    }
}
