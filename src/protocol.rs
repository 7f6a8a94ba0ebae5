//! Docker's credential helper protocol: five actions, byte for byte.
//!
//! A request is read whole before anything else is done, even one that will fail: a client whose write is cut
//! short reports a broken pipe instead of our answer. Reader and answer are passed in and out; standard
//! input and output themselves are `main`'s.

use std::ffi::OsString;
use std::io::{self, Read};

use zeroize::Zeroizing;

use crate::credential::{Credential, Found, Login, read_wiped};
use crate::deadline;
use crate::error::{Error, Result};
use crate::routes;
use crate::settings::Settings;

/// The longest request that is taken, in bytes.
pub const MAX_REQUEST: usize = 1 << 20;

/// What a client may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A server's credential.
    Get,
    /// Keep a credential.
    Store,
    /// Forget a server's credential.
    Erase,
    /// Servers and usernames.
    List,
    /// Name and version of this program.
    Version,
}

impl Action {
    /// The action that a program's one argument names, if it does.
    pub fn from_arguments(arguments: &[OsString]) -> Option<Self> {
        let [argument] = arguments else { return None };
        Some(match argument.to_str()? {
            "get" => Self::Get,
            "store" => Self::Store,
            "erase" => Self::Erase,
            "list" => Self::List,
            "version" | "-v" | "--version" => Self::Version,
            _ => return None,
        })
    }
}

/// What goes to standard output, and what a person may want to know besides.
#[derive(Debug, Default)]
pub struct Answer {
    /// The reply, whole.
    pub output: Zeroizing<Vec<u8>>,
    /// What was left out of it, or is not as it should be, and why.
    pub warnings: Vec<String>,
}

impl From<Zeroizing<Vec<u8>>> for Answer {
    fn from(output: Zeroizing<Vec<u8>>) -> Self {
        Self { output, warnings: Vec::new() }
    }
}

/// A request that was read.
#[derive(Debug)]
pub enum Request {
    /// A server, in the client's own spelling.
    Get(String),
    /// A server, and its credential.
    Store(String, Credential),
    /// A server.
    Erase(String),
    /// Everything.
    List,
    /// This program.
    Version,
}

impl Request {
    /// Reads what the action needs. `list` and `version` leave the input alone: it may be the caller's own.
    pub fn read(action: Action, input: &mut dyn Read) -> Result<Self> {
        match action {
            Action::Get => read_server(input).map(Self::Get),
            Action::Erase => read_server(input).map(Self::Erase),
            Action::Store => read_login(input),
            Action::List => Ok(Self::List),
            Action::Version => Ok(Self::Version),
        }
    }

    /// Does what was asked. The settings are loaded only now, and not for `version`.
    pub fn answer(&self, settings: impl FnOnce() -> Result<Settings>) -> Result<Answer> {
        match self {
            Self::Get(server) => {
                let Found { credential, warning, .. } = routes::get(&settings()?, server)?.ok_or(Error::NotFound)?;
                let output = Login::to_json(server, &credential);
                let older = |error| format!("answered with an older token: {error}");
                Ok(Answer { output, warnings: warning.map(older).into_iter().collect() })
            }
            Self::Store(server, credential) => {
                routes::put(&settings()?, server, credential)?;
                Ok(Answer::default())
            }
            Self::Erase(server) => {
                routes::erase(&settings()?, server)?;
                Ok(Answer::default())
            }
            Self::List => list(&settings()?),
            Self::Version => Ok(version()),
        }
    }
}

/// Name, package and version, as `docker-credential-*` print them.
fn version() -> Answer {
    let package = env!("CARGO_PKG_NAME");
    let line = format!("{package} ({package}) {}\n", env!("CARGO_PKG_VERSION"));
    Zeroizing::new(line.into_bytes()).into()
}

fn list(settings: &Settings) -> Result<Answer> {
    let (listed, broken) = routes::list(settings)?;
    let warnings = broken.iter().map(Error::to_string).collect();
    let mut output = Zeroizing::new(Vec::new());
    serde_json::to_writer(&mut *output, &listed).map_err(|_| Error::Internal("list".into()))?;
    output.push(b'\n');
    Ok(Answer { output, warnings })
}

fn read_server(input: &mut dyn Read) -> Result<String> {
    let bytes = read_all(input)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| Error::BadRequest("UTF-8"))?.trim();
    if text.is_empty() { Err(Error::NoServer) } else { Ok(text.to_owned()) }
}

fn read_login(input: &mut dyn Read) -> Result<Request> {
    let login = Login::from_json(&read_all(input)?)?;
    let server = login.server.trim();
    if server.is_empty() {
        return Err(Error::NoServer);
    }
    Ok(Request::Store(server.to_owned(), Credential::new(login.username, login.secret)?))
}

/// Everything up to the end of the input, of which more than [`MAX_REQUEST`] bytes are read but not kept.
fn read_all(input: &mut dyn Read) -> Result<Zeroizing<Vec<u8>>> {
    deadline::waiting_for("the end of standard input");
    let failed = |source| Error::Stdio { action: "read standard input", source };
    let bytes = read_wiped(input, MAX_REQUEST + 1).map_err(failed)?;
    if bytes.len() > MAX_REQUEST {
        io::copy(input, &mut io::sink()).map_err(failed)?;
        return Err(Error::RequestTooLong(MAX_REQUEST));
    }
    deadline::waiting_for("its own work");
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(action: Action, mut input: &[u8]) -> Result<Request> {
        let request = Request::read(action, &mut input);
        assert!(input.is_empty() || action == Action::List, "the request was not drained");
        request
    }

    #[test]
    fn a_request_of_one_mebibyte_is_taken_and_one_byte_more_is_not() {
        assert!(matches!(read(Action::Get, &vec![b'a'; MAX_REQUEST]), Ok(Request::Get(_))));
        assert!(matches!(read(Action::Get, &vec![b'a'; MAX_REQUEST + 1]), Err(Error::RequestTooLong(_))));
        assert!(matches!(read(Action::Store, &vec![b' '; 3 * MAX_REQUEST]), Err(Error::RequestTooLong(_))));
    }

    #[test]
    fn list_leaves_the_callers_input_alone() {
        let mut input: &[u8] = b"the caller's own";
        assert!(matches!(Request::read(Action::List, &mut input), Ok(Request::List)));
        assert_eq!(input, b"the caller's own");
    }

    #[test]
    fn what_is_missing_is_said_in_the_words_that_clients_compare() {
        let said = |action, input: &str| read(action, input.as_bytes()).unwrap_err().to_string();
        assert_eq!(said(Action::Get, " \n"), "no credentials server URL");
        assert_eq!(said(Action::Erase, ""), "no credentials server URL");
        assert_eq!(said(Action::Store, r#"{"Username":"u","Secret":"s"}"#), "no credentials server URL");
        assert_eq!(said(Action::Store, r#"{"ServerURL":"s","Secret":"s"}"#), "no credentials username");
        assert_eq!(Error::NotFound.to_string(), "credentials not found in native keychain");
    }

    #[test]
    fn the_version_is_in_the_peers_form() {
        let line = String::from_utf8(version().output.to_vec()).unwrap();
        assert!(line.starts_with("docker-credential-coffer (docker-credential-coffer) "), "{line}");
    }
}
