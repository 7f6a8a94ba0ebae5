//! As much of a Docker engine as the docker CLI's `pull` and classic `build` want: it takes every request, does nothing, and says
//! which logins came with it. No engine can run here, and what a helper answers ends in the CLI's request to one.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use serde_json::Value;

use super::World;

/// The login for the one registry that a pull is about.
const ONE: &str = "x-registry-auth:";
/// Those for all registries that a build might want.
const ALL: &str = "x-registry-config:";

/// The engine. Ends with the test's process.
pub struct Engine {
    logins: Arc<Mutex<Vec<Value>>>,
}

impl Engine {
    /// Starts it, on a socket that the world's docker finds.
    pub fn start(world: &mut World) -> Self {
        let socket = world.path("run/docker.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        world.set("DOCKER_HOST", &format!("unix://{}", socket.display()));
        let logins = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&logins);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let seen = Arc::clone(&seen);
                thread::spawn(move || converse(connection, &seen));
            }
        });
        Self { logins }
    }

    /// What came with each pull or build since the last time.
    pub fn logins(&self) -> Vec<Value> {
        std::mem::take(&mut self.logins.lock().unwrap())
    }
}

/// One request a connection.
fn converse(mut connection: UnixStream, logins: &Mutex<Vec<Value>>) -> Option<()> {
    let mut reader = BufReader::new(connection.try_clone().ok()?);
    let (mut length, mut chunked, mut login) = (0, false, None);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    for line in reader.by_ref().lines() {
        let line = line.ok()?;
        let lower = line.to_ascii_lowercase();
        if line.is_empty() {
            break;
        } else if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        } else if lower.starts_with("transfer-encoding: chunked") {
            chunked = true;
        } else if lower.starts_with(ONE) || lower.starts_with(ALL) {
            login = line.split_once(':').map(|(_, value)| URL_SAFE.decode(value.trim()).unwrap());
        }
    }
    match chunked {
        // A build's files, up to the empty chunk.
        true => while reader.by_ref().lines().next()?.ok()? != "0" {},
        false => reader.read_exact(&mut vec![0; length]).ok()?,
    }
    let is_asked = ["/images/create", "/build"].iter().any(|path| first.contains(path));
    if is_asked {
        let login = login.map_or(Value::Null, |bytes| serde_json::from_slice(&bytes).unwrap());
        logins.lock().unwrap().push(login);
    }
    let body = if is_asked { "{\"stream\":\"done\"}\n" } else { "{}" };
    let head = format!(
        "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nOstype: linux\r\nBuilder-Version: 1\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    connection.write_all(head.as_bytes()).ok()?;
    // A HEAD has none.
    if first.starts_with("HEAD") { Some(()) } else { connection.write_all(body.as_bytes()).ok() }
}
