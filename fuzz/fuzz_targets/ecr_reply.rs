//! What answers in the place of AWS: any HTTP at all, through the SDK, up to the message that a person sees.

#![no_main]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Mutex, OnceLock};
use std::thread;

use coffer::credential::Credential;
use coffer::ecr::Registry;
use coffer::error::{Error, Result};
use coffer::server::ServerKey;
use coffer::store::{Held, Listing, Store};
use coffer_fuzz::check_error;
use coffer_fuzz::world::World;
use libfuzzer_sys::fuzz_target;

const PRIVATE: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
const PUBLIC: &str = "public.ecr.aws";

/// A reply longer than this is cut: the SDK reads it whole, and its tests are not ours.
const MAX_REPLY: usize = 1 << 16;

static REPLY: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static WORLD: OnceLock<World> = OnceLock::new();

fuzz_target!(init: serve(), |data: &[u8]| {
    let Some((first, reply)) = data.split_first() else { return };
    let name = if first % 2 == 0 { PRIVATE } else { PUBLIC };
    *REPLY.lock().unwrap() = reply[..reply.len().min(MAX_REPLY)].to_vec();
    let settings = WORLD.get_or_init(World::new).settings();
    let server: ServerKey = name.parse().unwrap();
    let host = name.parse().unwrap();
    let nothing = || Box::new(Nothing);
    let fingerprint = String::new();
    let registry = Registry { server, host, rule: None, fingerprint, tokens: None, logins: nothing(), sessions: nothing() };
    match registry.token(&settings) {
        Ok(found) => {
            assert!(!found.credential.username.trim().is_empty());
            assert!(!found.credential.username.chars().any(char::is_control));
        }
        Err(error) => {
            assert!(matches!(error, Error::Mint { .. }), "{error}");
            check_error(&error);
        }
    }
});

/// Answers every request on loopback with the reply of the moment, and sends the SDK nowhere else.
fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    for (name, value) in [
        ("AWS_ENDPOINT_URL", format!("http://{address}")),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE".into()),
        ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY".into()),
        ("AWS_EC2_METADATA_DISABLED", "true".into()),
        ("AWS_CONFIG_FILE", "/dev/null".into()),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".into()),
        ("NO_PROXY", "*".into()),
    ] {
        // SAFETY: there is one thread as yet.
        unsafe { std::env::set_var(name, value) };
    }
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let reply = REPLY.lock().unwrap().clone();
            // The request comes in one or two pieces; what is left of it is no concern of the reply's.
            let _ = stream.read(&mut [0; 8192]);
            let _ = stream.write_all(&reply);
        }
    });
}

/// A store that holds nothing.
struct Nothing;

impl Store for Nothing {
    fn get(&self, _: &ServerKey) -> Result<Option<Credential>> {
        Ok(None)
    }
    fn find(&self, _: &ServerKey) -> Result<Option<Held>> {
        Ok(None)
    }
    fn put(&self, _: &ServerKey, _: &Credential) -> Result<()> {
        Ok(())
    }
    fn remove(&self, _: &ServerKey) -> Result<bool> {
        Ok(false)
    }
    fn list(&self) -> Result<Listing> {
        Ok(Listing::default())
    }
}
