//! Another credential helper, run as Docker would run it, but never for longer than [`LIMIT`].
//!
//! Nothing secret is passed in arguments or environment, and nothing that a helper prints beside its
//! documented answers is passed on, since it may be secret.

use std::collections::BTreeMap;
use std::env;
use std::io::{self, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rustix::process::{Pid, Signal, kill_process};
use secrecy::ExposeSecret;
use serde::de::IgnoredAny;
use zeroize::Zeroizing;

use crate::credential::{Credential, Login, read_wiped};
use crate::deadline;
use crate::error::{Error, Result, one_line};
use crate::rule::HelperName;
use crate::search_path;

/// How long a helper may take. Below the limit of the process, so that the error can name it.
pub const LIMIT: Duration = Duration::from_secs(15);

/// Tells a helper that leads back here from a client.
const VIA: &str = "COFFER_VIA_HELPER";

/// The most that is read of a helper's answer.
const MAX_ANSWER: usize = 8 << 20;

/// The most that is quoted of a helper's error, in characters.
const MAX_QUOTE: usize = 300;

/// What is said of a helper that failed and whose words cannot be quoted.
const SPEECHLESS: &str = "it failed without a message";

/// The helper's credential for a server, in the client's own spelling; `None` if it has none.
pub fn get(name: &HelperName, server: &str) -> Result<Option<Credential>> {
    let answer = match run(name, "get", server.as_bytes())? {
        Answer::Done(output) => output,
        Answer::Failed(message) if message == Error::NotFound.to_string() => return Ok(None),
        Answer::Failed(message) => return Err(failed(name, &message)),
    };
    credential(name, &answer)
}

/// The credential in an answer to `get`; `None` if that says that there is none.
pub(crate) fn credential(name: &HelperName, answer: &[u8]) -> Result<Option<Credential>> {
    let login = Login::from_json(answer).map_err(|_| failed(name, "its answer is not a credential"))?;
    // docker-credential-pass's way to hold nothing, up to 0.6.4 (docker-credential-helpers#220).
    if login.username.is_empty() && login.secret.expose_secret().is_empty() {
        return Ok(None);
    }
    Ok(Some(Credential { username: login.username, secret: login.secret }))
}

/// The servers that the helper says it holds, in its own spelling.
pub fn list(name: &HelperName) -> Result<Vec<String>> {
    let listed = match run(name, "list", b"")? {
        Answer::Done(output) => output,
        Answer::Failed(message) => return Err(failed(name, &message)),
    };
    servers(name, &listed)
}

/// The servers in an answer to `list`.
pub(crate) fn servers(name: &HelperName, answer: &[u8]) -> Result<Vec<String>> {
    // One written in Go may say `null` for an empty map.
    let listed: Result<Option<BTreeMap<String, IgnoredAny>>, _> = serde_json::from_slice(answer);
    let listed = listed.map_err(|_| failed(name, "its answer is not a list of servers"))?;
    Ok(listed.unwrap_or_default().into_keys().collect())
}

/// Hands a credential to the helper.
pub fn store(name: &HelperName, server: &str, credential: &Credential) -> Result<()> {
    match run(name, "store", &Login::to_json(server, credential))? {
        Answer::Done(_) => Ok(()),
        // Any part of what it was given may be a secret, in whatever encoding.
        Answer::Failed(message) if repeats(&message, credential.secret.expose_secret()) => {
            Err(failed(name, SPEECHLESS))
        }
        Answer::Failed(message) => Err(failed(name, &message)),
    }
}

/// Has the helper forget a server. Many fail when they hold nothing, which is no failure here.
pub fn erase(name: &HelperName, server: &str) -> Result<()> {
    match run(name, "erase", server.as_bytes())? {
        Answer::Done(_) => Ok(()),
        Answer::Failed(message) => match get(name, server) {
            Ok(None) => Ok(()),
            _ => Err(failed(name, &message)),
        },
    }
}

enum Answer {
    Done(Zeroizing<Vec<u8>>),
    Failed(String),
}

/// Whether a message repeats a secret, or a line of one, in clear, as JSON has it, or in base64.
fn repeats(message: &str, secret: &str) -> bool {
    let whole = secret.trim();
    let json = serde_json::to_string(whole).map(Zeroizing::new).unwrap_or_default();
    let parts = whole.lines().map(str::trim).chain([json.trim_matches('"')]);
    let is_clear = parts.filter(|part| !part.is_empty()).any(|part| message.contains(part));
    is_clear || holds_base64(message, secret) || holds_base64(message, json.trim_matches('"'))
}

/// Whether a message has the middle of a secret's base64, wherever in what was encoded the secret stood.
fn holds_base64(message: &str, secret: &str) -> bool {
    (0..3).any(|shift| {
        let shifted = Zeroizing::new(format!("{}{secret}", &"   "[..shift]));
        let encoded = Zeroizing::new(STANDARD_NO_PAD.encode(shifted.as_bytes()));
        // Only whole groups that hold nothing but the secret.
        let (start, end) = (if shift == 0 { 0 } else { 4 }, shifted.len() / 3 * 4);
        end > start && message.contains(&encoded[start..end])
    })
}

fn failed(name: &HelperName, message: &str) -> Error {
    Error::Helper { name: name.as_str().into(), message: message.into() }
}

fn run(name: &HelperName, action: &str, input: &[u8]) -> Result<Answer> {
    deadline::waiting_for("another credential helper");
    if env::var_os(VIA).is_some() {
        return Err(Error::Command {
            message: format!("docker-credential-{} leads back to docker-credential-coffer", name.as_str()),
            cure: "remove the rule of config.toml that names it".into(),
        });
    }
    // Not by the name alone: the system would look in relative directories of the PATH too, which are somebody else's wherever
    // the client was called in a directory of somebody else's.
    let program = search_path::find(&format!("docker-credential-{}", name.as_str()));
    let mut child = Command::new(program.ok_or_else(|| Error::NoHelper(name.as_str().into()))?)
        .arg(action)
        .env(VIA, name.as_str())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(name, &format!("it cannot be started: {error}")))?;
    let started = Instant::now();
    // It may be the second that is waited for, with less time than one has.
    let _clean_up = Pid::from_raw(child.id().cast_signed()).map(|id| {
        deadline::if_time_is_up(move || {
            let _ = kill_process(id, Signal::KILL);
        })
    });
    let output = converse(&mut child, input);
    if output.as_ref().is_some_and(|output| output.len() == MAX_ANSWER) {
        // It would wait to be read, and be waited for.
        let _ = child.kill();
        let _ = child.wait();
        return Err(failed(name, "its answer does not end"));
    }
    let status = end(&mut child, started).map_err(|error| failed(name, &error.to_string()))?;
    let output = output.ok_or_else(|| failed(name, &format!("no answer within {} s", LIMIT.as_secs())))?;
    if status.success() { Ok(Answer::Done(output)) } else { Ok(Answer::Failed(quotable(&output))) }
}

/// Waits for the helper's end, and ends it when its time is up.
fn end(child: &mut Child, started: Instant) -> io::Result<ExitStatus> {
    while started.elapsed() < LIMIT {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        thread::sleep(Duration::from_millis(1));
    }
    // It may be gone already.
    let _ = child.kill();
    child.wait()
}

/// Sends the input and collects the output; `None` when time is up. On threads of their own, since a helper
/// that neither reads nor writes would block either.
fn converse(child: &mut Child, input: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (mut stdin, mut stdout) = (child.stdin.take()?, child.stdout.take()?);
    let input = Zeroizing::new(input.to_vec());
    // A helper that exits without reading everything has still answered.
    thread::spawn(move || stdin.write_all(&input));
    deadline::within(LIMIT, move || read_wiped(&mut stdout, MAX_ANSWER))?.ok()
}

/// A helper's error message, as the protocol has it: text on standard output. JSON there would be an answer,
/// and so a secret.
pub(crate) fn quotable(output: &[u8]) -> String {
    let text = one_line(&String::from_utf8_lossy(output));
    let is_answer = text.starts_with(['{', '[']) || text.to_ascii_lowercase().contains("\"secret\"");
    if text.is_empty() || is_answer {
        return SPEECHLESS.into();
    }
    text.chars().take(MAX_QUOTE).collect()
}
