//! Whole processes, side by side: what a client waits for when it calls this helper, or one of its peers.
//!
//! `cargo bench` prints two tables in Markdown, the medians and the goals. A missed goal is a row that says so,
//! never a failure; a program that is missing or answers wrong ends the run.
//!
//! Everything takes turns within one run, so that whatever else the machine does hits all alike: only the
//! ratios mean anything. A turn lasts from the spawn to the end of the wait, loading included.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

// The tests' worlds, buses and servers; not all of them are needed here.
#[allow(dead_code, unused_imports)]
#[path = "../tests/it/support/mod.rs"]
mod support;
#[allow(dead_code)]
mod turns;

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use support::{Aws, Bus, Server, World, free_port, login};
use turns::{Answer, Entrant, Step, copy_first, entrant, installed, print_medians, race, step};

const COFFER: &str = env!("CARGO_BIN_EXE_docker-credential-coffer");
/// What it hands over to: the commands, and AWS.
const COMMANDS: &str = env!("CARGO_BIN_EXE_docker-coffer");
const PASS: &str = "docker-credential-pass";
const SECRET_SERVICE: &str = "docker-credential-secretservice";
const ECR_LOGIN: &str = "docker-credential-ecr-login";

/// How many rounds are run. Slow entrants take part only in every n-th.
const ROUNDS: usize = 300;

/// How many credentials each store holds.
const HELD: usize = 20;

/// The user and the secret of all of them; a personal access token has about this length.
const USERNAME: &str = "alice";
const SECRET: &str = "ghp_0123456789abcdefghijklmnopqrstuvwxyz";

const ECR_HOST: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com";
/// Where Debian and others keep the certificates that the system trusts.
const SYSTEM_CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

const ECR_API: &str = "api.ecr.us-east-1.amazonaws.com";

// The entrants, as the tables name them and the goals refer to them.
const FLOOR: &str = "`/bin/true`";
const VERSION: &str = "coffer `version`, which reads and opens nothing";
const COMMANDS_VERSION: &str = "docker-coffer `version`, with the AWS SDK";
const GET: &str = "coffer `get`, key in a file";
const MISS: &str = "coffer `get`, a miss";
const LIST: &str = "coffer `list` of 20";
const BUILD: &str = "coffer `list`, then `get` of 20";
const PASS_GET: &str = "docker-credential-pass `get`";
const PASS_LIST: &str = "docker-credential-pass `list` of 20";
const PASS_BUILD: &str = "docker-credential-pass `list`, then `get` of 20";
const KEYRING_KEY_GET: &str = "coffer `get`, key in the OS keyring";
const UNLOCKED_GET: &str = "coffer `get`, key in the OS keyring, unlocked";
const KEYRING_GET: &str = "coffer `get`, `store = \"keyring\"`";
const KEYRING_LIST: &str = "coffer `list` of 20, `store = \"keyring\"`";
const SECRET_SERVICE_GET: &str = "docker-credential-secretservice `get`";
const SECRET_SERVICE_LIST: &str = "docker-credential-secretservice `list` of 20";
const PLAIN_MINT: &str = "coffer `get`, an ECR token minted in plain HTTP";
const MINT: &str = "coffer `get`, an ECR token minted through the proxy";
const KEPT: &str = "coffer `get`, an ECR token kept";
const ECR_LOGIN_MINT: &str = "docker-credential-ecr-login `get`, through the proxy";
const SYSTEM_MINT: &str = "coffer `get`, an ECR token minted through the proxy, the system's certificates";
const ECR_LOGIN_SYSTEM_MINT: &str = "docker-credential-ecr-login `get`, through the proxy, the system's certificates";
const ECR_LOGIN_KEPT: &str = "docker-credential-ecr-login `get`, from its cache";
const AMONG_FEW: &str = "coffer `get` among 10";
const AMONG_MANY: &str = "coffer `get` among 10,000";

/// What the ratio of two medians should be.
enum Goal {
    /// The first takes no more than this many times as long as the second.
    AtMost(&'static str, f64, &'static str),
    /// The first is at least this many times faster than the second.
    Faster(&'static str, f64, &'static str),
}

const GOALS: [Goal; 9] = [
    Goal::AtMost(GET, 2.5, FLOOR),
    Goal::Faster(GET, 25.0, PASS_GET),
    Goal::AtMost(MISS, 2.0, FLOOR),
    Goal::Faster(KEYRING_KEY_GET, 1.8, SECRET_SERVICE_GET),
    Goal::AtMost(UNLOCKED_GET, 1.1, GET),
    Goal::Faster(KEPT, 4.0, ECR_LOGIN_KEPT),
    Goal::Faster(MINT, 1.5, ECR_LOGIN_MINT),
    Goal::Faster(BUILD, 20.0, PASS_BUILD),
    Goal::AtMost(AMONG_MANY, 1.1, AMONG_FEW),
];

/// The most memory that a `get` from the age store may take at its peak, in KiB.
const MEMORY_GOAL: u64 = 8 << 10;

/// The most that the stripped binaries may weigh together, in bytes.
const SIZE_GOAL: u64 = 12 << 20;

/// How many processes ask at once for a token that nobody has yet.
const PARALLEL: usize = 64;

fn main() {
    // `cargo test --all-targets` starts it too, without this.
    if !env::args().any(|argument| argument == "--bench") {
        println!("nothing is measured without --bench, which cargo bench passes");
        return;
    }
    let files = FileWorld::new();
    let pass = PassWorld::new();
    let keyring = KeyringWorld::new();
    let few = store_of(10);
    let many = store_of(10_000);
    let ecr = EcrWorld::new();

    let mut entrants = vec![entrant(FLOOR, 1, vec![step(&files.0, &installed("true"), "", "", Answer::Nothing)])];
    entrants.extend(files.entrants());
    entrants.extend(pass.entrants());
    entrants.extend(keyring.entrants());
    entrants.push(entrant(AMONG_FEW, 1, vec![get(&few, Path::new(COFFER), 0)]));
    entrants.push(entrant(AMONG_MANY, 1, vec![get(&many, Path::new(COFFER), 0)]));
    entrants.extend(ecr.entrants());

    race(&mut entrants, ROUNDS);
    print_medians(&entrants);
    print_goals(&entrants, &files.0);
}

// ---- Steps ----

/// A `get` of the n-th credential.
fn get(world: &World, program: &Path, number: usize) -> Step {
    let server = server(number);
    let reply = json!({ "ServerURL": server, "Username": USERNAME, "Secret": SECRET });
    step(world, program, "get", &server, Answer::Json(reply))
}

/// A `list` of everything that [`fill`] put there.
fn list(world: &World, program: &Path) -> Step {
    let listed = (0..HELD).map(|number| (server(number), USERNAME.into())).collect();
    step(world, program, "list", "", Answer::Json(Value::Object(listed)))
}

/// What a classic `docker build` does before it begins: it lists, and then gets everything that was listed.
fn build(world: &World, program: &Path) -> Vec<Step> {
    let mut steps = vec![list(world, program)];
    steps.extend((0..HELD).map(|number| get(world, program, number)));
    steps
}

fn server(number: usize) -> String {
    format!("registry-{number}.example.com")
}

// ---- Worlds ----

/// Stores credentials through a helper.
fn fill(world: &World, program: &Path, count: usize) {
    for number in 0..count {
        world.call(program, &["store"]).input(login(&server(number), USERNAME, SECRET)).run().ok();
    }
}

/// The age store with its key in a file.
struct FileWorld(World);

impl FileWorld {
    fn new() -> Self {
        let world = World::new();
        fill(&world, Path::new(COFFER), HELD);
        assert!(world.store().join("identities").exists(), "the key is not in a file");
        Self(world)
    }

    fn entrants(&self) -> Vec<Entrant> {
        let (world, coffer) = (&self.0, Path::new(COFFER));
        // By its own name it would be a plugin of the docker CLI.
        let commands = world.path("bin/docker-credential-coffer");
        std::os::unix::fs::symlink(COMMANDS, &commands).unwrap();
        vec![
            entrant(VERSION, 1, vec![step(world, coffer, "version", "", Answer::Any)]),
            entrant(COMMANDS_VERSION, 1, vec![step(world, &commands, "version", "", Answer::Any)]),
            entrant(GET, 1, vec![get(world, coffer, 0)]),
            entrant(MISS, 1, vec![step(world, coffer, "get", "nowhere.example.com", Answer::Miss)]),
            entrant(LIST, 1, vec![list(world, coffer)]),
            entrant(BUILD, 5, build(world, coffer)),
        ]
    }
}

/// A password store of pass, for a key without a passphrase.
struct PassWorld {
    world: World,
    program: PathBuf,
}

impl PassWorld {
    fn new() -> Self {
        let mut world = World::new();
        let home = world.path("gnupg");
        fs::create_dir(&home).unwrap();
        support::chmod(&home, 0o700);
        world.set("GNUPGHOME", home.to_str().unwrap());
        let (user, program) = ("bench@example.com", installed(PASS));
        // Owns the world from here on, so that the agent ends even if what follows fails.
        let this = Self { world, program };
        let make = ["--batch", "--passphrase", "", "--quick-generate-key", user, "default", "default", "never"];
        this.world.call(installed("gpg"), &make).run().ok();
        this.world.call(installed("pass"), &["init", user]).run().ok();
        fill(&this.world, &this.program, HELD);
        this
    }

    fn entrants(&self) -> Vec<Entrant> {
        let (world, program) = (&self.world, self.program.as_path());
        vec![
            entrant(PASS_GET, 5, vec![get(world, program, 0)]),
            entrant(PASS_LIST, 1, vec![list(world, program)]),
            entrant(PASS_BUILD, 25, build(world, program)),
        ]
    }
}

impl Drop for PassWorld {
    fn drop(&mut self) {
        // gpg leaves an agent behind, which would outlive the run.
        self.world.call("gpgconf", &["--kill", "all"]).run();
    }
}

/// A session bus with gnome-keyring, which holds the age store's key, and credentials for whoever keeps them there.
struct KeyringWorld {
    world: World,
    _bus: Bus,
    /// The same, with the key in the kernel's keyring too.
    unlocked: World,
    _other_bus: Bus,
    /// The configuration file that has Coffer keep its credentials in the keyring too.
    config: PathBuf,
    peer: PathBuf,
}

impl KeyringWorld {
    fn new() -> Self {
        let mut world = World::new();
        let bus = Bus::with_keyring(&mut world);
        let peer = installed(SECRET_SERVICE);
        fill(&world, Path::new(COFFER), HELD);
        assert!(!world.store().join("identities").exists(), "the key is not in the keyring");
        fill(&world, &peer, HELD);
        let config = world.write("keyring.toml", "store = \"keyring\"\n");
        world.set("COFFER_CONFIG", config.to_str().unwrap());
        fill(&world, Path::new(COFFER), HELD);
        world.unset("COFFER_CONFIG");
        let mut unlocked = World::new();
        let other_bus = Bus::with_keyring(&mut unlocked);
        fill(&unlocked, Path::new(COFFER), HELD);
        unlocked.coffer(&["unlock", "--for", "1h"]).run().ok();
        Self { world, _bus: bus, unlocked, _other_bus: other_bus, config, peer }
    }

    fn entrants(&self) -> Vec<Entrant> {
        let (world, coffer) = (&self.world, Path::new(COFFER));
        vec![
            entrant(KEYRING_KEY_GET, 3, vec![get(world, coffer, 0)]),
            entrant(UNLOCKED_GET, 1, vec![get(&self.unlocked, coffer, 0)]),
            entrant(KEYRING_GET, 3, vec![self.in_keyring(get(world, coffer, 0))]),
            entrant(KEYRING_LIST, 3, vec![self.in_keyring(list(world, coffer))]),
            entrant(SECRET_SERVICE_GET, 3, vec![get(world, &self.peer, 0)]),
            entrant(SECRET_SERVICE_LIST, 3, vec![list(world, &self.peer)]),
        ]
    }

    fn in_keyring(&self, mut step: Step) -> Step {
        step.command.env("COFFER_CONFIG", &self.config);
        step
    }
}

/// An age store of so many credentials, of which the first can be opened.
///
/// The others are copies of its file: only their names matter to a `get` of the first, and to store ten
/// thousand one by one, each synced to the disk, would take minutes.
fn store_of(count: usize) -> World {
    let world = World::new();
    fill(&world, Path::new(COFFER), 1);
    copy_first(&world, (0..count).map(server));
    world
}

// ---- ECR ----

/// A world that knows AWS keys, with a proxy behind which there is only the ECR API, and an ECR API in plain HTTP.
///
/// An ecr-login whose SDK is older than `AWS_ENDPOINT_URL` can be kept on loopback only by a proxy: it is told the
/// name of the API, which is then looked up nowhere, and answers in its place. Both helpers go through it, so that
/// both speak TLS with the same server.
struct EcrWorld {
    world: World,
    _proxy: Server,
    /// The plain one.
    endpoint: String,
    ecr_login: PathBuf,
}

impl EcrWorld {
    fn new() -> Self {
        let mut world = World::new();
        world.set("AWS_REGION", "us-east-1");
        world.set("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE");
        world.set("AWS_SECRET_ACCESS_KEY", "a secret access key of nobody");
        // The keys above go before the instance's; if they ever did not, this is where it would be asked.
        world.set("AWS_EC2_METADATA_SERVICE_ENDPOINT", &nobody());
        let api = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", api.local_addr().unwrap());
        // Ends with the process.
        thread::spawn(move || api.incoming().for_each(|connection| hand_out_token(connection.unwrap())));
        let proxy = start_proxy(&mut world);
        let this = Self { world, _proxy: proxy, endpoint, ecr_login: installed(ECR_LOGIN) };
        // Each keeps a token of its own.
        this.mint(Path::new(COFFER)).check();
        this.mint(&this.ecr_login).check();
        this
    }

    fn entrants(&self) -> Vec<Entrant> {
        let (coffer, ecr_login) = (Path::new(COFFER), self.ecr_login.as_path());
        // In clear, and without the proxy.
        let mut plain = self.mint_anew(coffer);
        plain.command.env("AWS_ENDPOINT_URL", &self.endpoint);
        vec![
            entrant(KEPT, 1, vec![self.kept(coffer)]),
            entrant(ECR_LOGIN_KEPT, 3, vec![self.kept(ecr_login)]),
            entrant(MINT, 3, vec![self.mint_anew(coffer)]),
            entrant(ECR_LOGIN_MINT, 3, vec![self.mint_anew(ecr_login)]),
            entrant(SYSTEM_MINT, 3, vec![self.mint_among_many(coffer)]),
            entrant(ECR_LOGIN_SYSTEM_MINT, 3, vec![self.mint_among_many(ecr_login)]),
            entrant(PLAIN_MINT, 3, vec![plain]),
        ]
    }

    fn mint(&self, program: &Path) -> Step {
        let reply = json!({ "ServerURL": ECR_HOST, "Username": "AWS", "Secret": ecr_password() });
        step(&self.world, program, "get", ECR_HOST, Answer::Json(reply))
    }

    /// Whatever is kept.
    fn mint_anew(&self, program: &Path) -> Step {
        let mut step = self.mint(program);
        step.command.env("AWS_ECR_DISABLE_CACHE", "true");
        step
    }

    /// With all the authorities to read that the system trusts, besides the proxy's: what most machines have.
    fn mint_among_many(&self, program: &Path) -> Step {
        let bundle = self.world.home().join("all.pem");
        let own = fs::read_to_string(self.world.home().join("ca.pem")).unwrap();
        fs::write(&bundle, fs::read_to_string(SYSTEM_CERTIFICATES).unwrap() + &own).unwrap();
        let mut step = self.mint_anew(program);
        step.command.env_remove("AWS_CA_BUNDLE").env("SSL_CERT_FILE", bundle);
        step
    }

    /// The token that the program kept, with nobody there to mint another.
    fn kept(&self, program: &Path) -> Step {
        let mut step = self.mint(program);
        step.command.env("HTTPS_PROXY", nobody());
        step
    }
}

/// Starts the proxy, with a certificate from an authority that only this world trusts.
fn start_proxy(world: &mut World) -> Server {
    let script = format!(
        "set -e; exec 2>/dev/null
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -subj /CN=ca -days 2
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout leaf.key -out leaf.csr -subj /CN=leaf
        printf 'subjectAltName=DNS:{ECR_API}' > ext
        openssl x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out leaf.pem -days 2 -extfile ext"
    );
    world.call("sh", &["-c", &script]).run().ok();
    world.write("body", &token_reply());
    let port = free_port();
    let mut command = world.command("python3");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/ecr_proxy.py"));
    command.args([&port.to_string(), ECR_API, "leaf.pem", "leaf.key", "body"]);
    let proxy = Server::listening(command, port);
    world.set("HTTPS_PROXY", &format!("http://127.0.0.1:{port}"));
    world.set("NO_PROXY", "");
    world.set("AWS_CA_BUNDLE", world.home().join("ca.pem").to_str().unwrap());
    proxy
}

/// An address on loopback at which nobody listens.
fn nobody() -> String {
    format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap())
}

/// The password of the token; a real one is about as long.
fn ecr_password() -> String {
    "bench".repeat(400)
}

/// Answers one request as GetAuthorizationToken does, and hangs up.
///
/// moto would do, but its tokens expired in 2015, and it takes longer than the processes that are measured.
fn hand_out_token(mut connection: TcpStream) {
    let mut reader = BufReader::new(&connection);
    let mut length = 0;
    let mut line = String::new();
    while reader.read_line(&mut line).unwrap() > 0 && line != "\r\n" {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    reader.read_exact(&mut vec![0; length]).unwrap();

    let body = token_reply();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    connection.write_all((head + &body).as_bytes()).unwrap();
}

/// What GetAuthorizationToken answers, with a token of twelve hours.
fn token_reply() -> String {
    let expiry = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(12 * 3600);
    let token = json!({
        "authorizationToken": BASE64.encode(format!("AWS:{}", ecr_password())),
        "expiresAt": expiry.as_secs(),
        "proxyEndpoint": format!("https://{ECR_HOST}"),
    });
    json!({ "authorizationData": [token] }).to_string()
}

/// How often AWS is called when many processes ask at once, and none has a token yet.
fn parallel_calls() -> usize {
    let mut world = World::new();
    let aws = Aws::start(&mut world);
    // Long enough for all the others to come and find no token.
    aws.delay(Duration::from_millis(500));
    thread::scope(|scope| {
        for _ in 0..PARALLEL {
            scope.spawn(|| world.get(ECR_HOST).ok());
        }
    });
    aws.calls()
}

// ---- The run and its tables ----

fn print_goals(entrants: &[Entrant], world: &World) {
    println!("\n| work | goal | measured | met |\n| --- | --- | ---: | --- |");
    for goal in &GOALS {
        println!("{}", goal.row(entrants));
    }
    let calls = parallel_calls();
    let unit = if calls == 1 { "call" } else { "calls" };
    println!(
        "| {PARALLEL} coffer `get`s at once, no ECR token kept | 1 call to AWS | {calls} {unit} | {} |",
        yes_or_no(calls == 1)
    );
    let memory = peak_memory(world);
    print_limit("peak memory of a `get`, key in a file", memory, MEMORY_GOAL, 10);
    let size: u64 = [COFFER, COMMANDS].map(|program| fs::metadata(program).unwrap().len()).iter().sum();
    print_limit("the two stripped binaries", size, SIZE_GOAL, 20);
}

impl Goal {
    /// Its row in the table.
    fn row(&self, entrants: &[Entrant]) -> String {
        let median = |name| entrants.iter().find(|entrant| entrant.name == name).map(Entrant::median);
        let (work, goal, ratio, is_met) = match *self {
            Self::AtMost(work, most, other) => {
                let ratio = median(work).zip(median(other)).map(|(work, other)| work / other);
                (work, format!("≤ {most} × {other}"), ratio, ratio.is_some_and(|ratio| ratio <= most))
            }
            Self::Faster(work, least, other) => {
                let ratio = median(work).zip(median(other)).map(|(work, other)| other / work);
                (work, format!("≥ {least} × faster than {other}"), ratio, ratio.is_some_and(|ratio| ratio >= least))
            }
        };
        match ratio {
            Some(ratio) => format!("| {work} | {goal} | {ratio:.2} × | {} |", yes_or_no(is_met)),
            None => format!("| {work} | {goal} | not measured | |"),
        }
    }
}

/// A row for what has a limit of its own. The unit of `value`, shifted by `shift` bits, makes MiB.
fn print_limit(what: &str, value: u64, limit: u64, shift: u32) {
    let mebibytes = value as f64 / f64::from(1_u32 << shift);
    println!("| {what} | ≤ {} MiB | {mebibytes:.1} MiB | {} |", limit >> shift, yes_or_no(value <= limit));
}

fn yes_or_no(is_met: bool) -> &'static str {
    if is_met { "yes" } else { "**no**" }
}

/// The most memory that a `get` held in five runs, in KiB.
///
/// Through GNU time, which is small: the kernel counts what a child shared with its parent before its exec
/// too, and this process is larger than what it measures.
fn peak_memory(world: &World) -> u64 {
    let report = world.path("run/memory");
    let time = installed("time");
    let arguments = ["-f", "%M", "-o", report.to_str().unwrap(), COFFER, "get"];
    let run = |_| {
        let server = server(0);
        world.call(&time, &arguments).input(&server).run().answers(&server, USERNAME, SECRET);
        fs::read_to_string(&report).unwrap().trim().parse::<u64>().unwrap()
    };
    (0..5).map(run).max().unwrap()
}
