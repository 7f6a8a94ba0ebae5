//! The rows of Amazon ECR: two helpers, a proxy behind which there is only the API, and who asks.
//!
//! An ecr-login whose SDK is older than `AWS_ENDPOINT_URL` can be kept on loopback only by a proxy: it is told the
//! name of the API, which is then looked up nowhere, and answers in its place. Both helpers go through it, so that
//! both speak TLS with the same server.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::ECR_LOGIN;
use crate::support::{Server, World, free_port};
use crate::turns::{Answer, Entrant, Step, entrant, installed, program, step};

pub const HOST: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com";
const API: &str = "api.ecr.us-east-1.amazonaws.com";

/// Where Debian and others keep the certificates that the system trusts.
const SYSTEM_CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Where an EC2 instance tells of its role.
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

// The entrants, as the tables name them and the goals refer to them.
pub const KEPT: &str = "coffer `get`, an ECR token kept";
pub const PEER_KEPT: &str = "docker-credential-ecr-login `get`, from its cache";
pub const KEPT_BY_ROLE: &str = "coffer `get`, an ECR token kept, on an instance with a role";
pub const PEER_KEPT_BY_ROLE: &str = "docker-credential-ecr-login `get`, from its cache, on an instance with a role";
pub const MINT: &str = "coffer `get`, an ECR token minted through the proxy";
pub const PEER_MINT: &str = "docker-credential-ecr-login `get`, through the proxy";
pub const SYSTEM_MINT: &str = "coffer `get`, an ECR token minted through the proxy, the system's certificates";
pub const PEER_SYSTEM_MINT: &str = "docker-credential-ecr-login `get`, through the proxy, the system's certificates";
const PLAIN_MINT: &str = "coffer `get`, an ECR token minted in plain HTTP";

/// The proxy, and for each who asks a world in which both helpers keep a token.
pub struct EcrWorlds {
    /// With keys in the environment.
    keys: World,
    /// With the role of an EC2 instance.
    role: World,
    _proxy: Server,
    /// The API in plain HTTP.
    endpoint: String,
    peer: PathBuf,
}

impl EcrWorlds {
    pub fn new() -> Self {
        let endpoint = serve(|_| token_reply());
        let (mut keys, mut role) = (World::new(), World::new());
        keys.set("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE");
        keys.set("AWS_SECRET_ACCESS_KEY", "a secret access key of nobody");
        // The keys above go before the instance's; if they ever did not, this is where it would be asked.
        keys.set("AWS_EC2_METADATA_SERVICE_ENDPOINT", &nobody());
        role.unset("AWS_EC2_METADATA_DISABLED");
        role.set("AWS_EC2_METADATA_SERVICE_ENDPOINT", &serve(metadata));
        let (proxy, address) = start_proxy(&keys);
        for world in [&mut keys, &mut role] {
            world.set("HTTPS_PROXY", &address);
            world.set("NO_PROXY", "");
            world.set("AWS_REGION", "us-east-1");
        }
        let authority = keys.home().join("ca.pem");
        keys.set("AWS_CA_BUNDLE", authority.to_str().unwrap());
        role.set("AWS_CA_BUNDLE", authority.to_str().unwrap());
        let this = Self { keys, role, _proxy: proxy, endpoint, peer: installed(ECR_LOGIN) };
        // Each keeps a token of its own.
        for world in [&this.keys, &this.role] {
            get(world, program()).check();
            get(world, &this.peer).check();
        }
        this
    }

    pub fn entrants(&self) -> Vec<Entrant> {
        let (keys, role, coffer, peer) = (&self.keys, &self.role, program(), self.peer.as_path());
        // In clear, and without the proxy.
        let mut plain = mint(keys, coffer);
        plain.command.env("AWS_ENDPOINT_URL", &self.endpoint);
        vec![
            entrant(KEPT, 1, vec![kept(keys, coffer)]),
            entrant(PEER_KEPT, 3, vec![kept(keys, peer)]),
            entrant(KEPT_BY_ROLE, 1, vec![kept(role, coffer)]),
            entrant(PEER_KEPT_BY_ROLE, 3, vec![kept(role, peer)]),
            entrant(MINT, 3, vec![mint(keys, coffer)]),
            entrant(PEER_MINT, 3, vec![mint(keys, peer)]),
            entrant(SYSTEM_MINT, 3, vec![mint_among_many(keys, coffer)]),
            entrant(PEER_SYSTEM_MINT, 3, vec![mint_among_many(keys, peer)]),
            entrant(PLAIN_MINT, 3, vec![plain]),
        ]
    }
}

fn get(world: &World, program: &Path) -> Step {
    let reply = json!({ "ServerURL": HOST, "Username": "AWS", "Secret": password() });
    step(world, program, "get", HOST, Answer::Json(reply))
}

/// Whatever is kept.
fn mint(world: &World, program: &Path) -> Step {
    let mut step = get(world, program);
    step.command.env("AWS_ECR_DISABLE_CACHE", "true");
    step
}

/// With all the authorities to read that the system trusts, besides the proxy's: what most machines have.
fn mint_among_many(world: &World, program: &Path) -> Step {
    let bundle = world.home().join("all.pem");
    let own = fs::read_to_string(world.home().join("ca.pem")).unwrap();
    fs::write(&bundle, fs::read_to_string(SYSTEM_CERTIFICATES).unwrap() + &own).unwrap();
    let mut step = mint(world, program);
    step.command.env_remove("AWS_CA_BUNDLE").env("SSL_CERT_FILE", bundle);
    step
}

/// The token that the program kept, with nobody there to mint another.
fn kept(world: &World, program: &Path) -> Step {
    let mut step = get(world, program);
    step.command.env("HTTPS_PROXY", nobody());
    step
}

/// Starts the proxy, and makes its certificate, of an authority that nobody trusts yet. Its address.
fn start_proxy(world: &World) -> (Server, String) {
    let script = format!(
        "set -e; exec 2>/dev/null
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -subj /CN=ca -days 2
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout leaf.key -out leaf.csr -subj /CN=leaf
        printf 'subjectAltName=DNS:{API}' > ext
        openssl x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out leaf.pem -days 2 -extfile ext"
    );
    world.call("sh", &["-c", &script]).run().ok();
    world.write("body", &token_reply());
    let port = free_port();
    let mut command = world.command("python3");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/ecr/proxy.py"));
    command.args([&port.to_string(), API, "leaf.pem", "leaf.key", "body"]);
    (Server::listening(command, port), format!("http://127.0.0.1:{port}"))
}

/// An address on loopback at which nobody listens.
fn nobody() -> String {
    format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap())
}

/// Answers, from now on, whoever asks for a path. The address. Ends with the process.
///
/// moto would do, but its tokens expired in 2015, and it takes longer than the processes that are measured.
fn serve(answer: fn(&str) -> String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for connection in listener.incoming() {
            // One that hangs up in between has had what it wanted.
            thread::spawn(move || converse(&connection.unwrap(), answer));
        }
    });
    address
}

/// One request after the other, as long as there are any.
fn converse(mut connection: &TcpStream, answer: fn(&str) -> String) -> Option<()> {
    let mut reader = BufReader::new(connection);
    loop {
        let (mut first, mut line, mut length) = (String::new(), String::new(), 0);
        reader.read_line(&mut first).ok()?;
        let path = first.split(' ').nth(1)?.to_owned();
        while reader.read_line(&mut line).ok()? > 0 && line != "\r\n" {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            line.clear();
        }
        reader.read_exact(&mut vec![0; length]).ok()?;
        let body = answer(&path);
        let status = if body.is_empty() { "404 Not Found" } else { "200 OK" };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/x-amz-json-1.1\r\n\
            X-Aws-Ec2-Metadata-Token-Ttl-Seconds: 21600\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        connection.write_all((head + &body).as_bytes()).ok()?;
    }
}

/// What an EC2 instance with a role tells of itself; nothing if it does not know.
fn metadata(path: &str) -> String {
    match path.strip_prefix(ROLES) {
        Some("") => "builder".into(),
        Some("builder") => json!({
            "Code": "Success",
            "LastUpdated": "2026-01-01T00:00:00Z",
            "Type": "AWS-HMAC",
            "AccessKeyId": "ASIAEXAMPLE",
            "SecretAccessKey": "a secret access key of nobody",
            "Token": "a session token",
            "Expiration": "2099-01-01T00:00:00Z",
        })
        .to_string(),
        _ if path == "/latest/api/token" => "a token for the metadata".into(),
        _ => String::new(),
    }
}

/// The password of the token; a real one is about as long.
fn password() -> String {
    "bench".repeat(400)
}

/// What GetAuthorizationToken answers, with a token of twelve hours.
fn token_reply() -> String {
    let expiry = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(12 * 3600);
    let token = json!({
        "authorizationToken": BASE64.encode(format!("AWS:{}", password())),
        "expiresAt": expiry.as_secs(),
        "proxyEndpoint": format!("https://{HOST}"),
    });
    let reply: Value = json!({ "authorizationData": [token] });
    reply.to_string()
}
