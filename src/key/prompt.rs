//! Who is asked for a passphrase, and what is said to them: which program asks, and what for.
//!
//! Nobody is asked under `CI` or `COFFER_NO_PROMPT`. One process asks at a time, so that a build that calls for ten
//! credentials does not put ten questions on one terminal.

use std::io::{self, IsTerminal, Read};
use std::path::Path;
use std::time::Duration;

use age::secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::{pinentry, terminal};
use crate::deadline;
use crate::error::{Error, Result, one_line};
use crate::files::Lock;
use crate::settings::Settings;

/// How often a passphrase may be wrong.
const TRIES: usize = 3;

/// The most of a purpose that is shown, in characters. The protocol of pinentry has lines of 1000 bytes.
const MAX_PURPOSE: usize = 150;

/// How long before the process's own end the wait for another's turn ends, whose error knows a cure.
const TIME_TO_ANSWER: Duration = Duration::from_secs(1);

/// The longest passphrase that is read from standard input.
const MAX_PASSPHRASE: usize = 4096;

/// Who may be asked to open the key, and what for (`to open ghcr.io`).
#[derive(Debug, Clone)]
pub enum Ask {
    /// Nobody and nothing: no prompt, and no plugin, which may wait for a finger. For what can be had otherwise.
    Never,
    /// The person, with pinentry or on the terminal. For the protocol's actions, whose standard input is the request.
    Person(String),
    /// The same, after standard input where that is no terminal. For commands.
    Caller(String),
}

/// A question for one line.
pub struct Question<'a> {
    /// Who asks, and what for.
    pub description: &'a str,
    /// What is asked for.
    pub prompt: &'a str,
    /// What was wrong with the answer before.
    pub error: Option<&'a str>,
}

/// What came of a question.
pub enum Answer {
    /// A line, the empty one too.
    Given(SecretString),
    /// The person would rather not.
    Declined,
    /// There is nobody there.
    Unavailable,
}

impl Ask {
    /// What it is for, in words.
    pub fn purpose(&self) -> String {
        match self {
            Self::Never => String::new(),
            Self::Person(purpose) | Self::Caller(purpose) => shown(purpose, MAX_PURPOSE),
        }
    }

    /// Whether somebody may be asked at all.
    pub fn may_prompt(&self, settings: &Settings) -> bool {
        settings.may_prompt && !matches!(self, Self::Never)
    }
}

/// Text of somebody else's as a person may be shown it: on one line, and so many characters at most.
pub fn shown(text: &str, limit: usize) -> String {
    one_line(text).chars().take(limit).collect()
}

/// Opens something with a passphrase: asks for it, and again where `open` says that it is wrong. `file` is what it opens.
pub fn with_passphrase<T>(
    settings: &Settings,
    ask: &Ask,
    file: &Path,
    open: impl Fn(SecretString) -> Result<T>,
) -> Result<T> {
    // The standard input of a protocol action is the request.
    let given = if matches!(ask, Ask::Caller(_)) { from_standard_input()? } else { None };
    if let Some(passphrase) = given {
        return open(passphrase);
    }
    let description = format!("docker-credential-coffer needs the passphrase of its key, {}", ask.purpose());
    let mut question = Question { description: &description, prompt: "Passphrase:", error: None };
    let _turn = turn(settings, ask, file)?;
    for _ in 0..TRIES {
        let passphrase = put(settings, ask, file, &question)?;
        deadline::waiting_for("the work that the passphrase's protection takes");
        match open(passphrase) {
            Err(Error::WrongPassphrase(_)) => question.error = Some("That is not its passphrase."),
            opened => return opened,
        }
    }
    Err(Error::WrongPassphrase(file.into()))
}

/// A new passphrase for `file`: one line of standard input, or asked for twice.
pub fn new_passphrase(settings: &Settings, file: &Path) -> Result<SecretString> {
    let given = match from_standard_input()? {
        Some(passphrase) => passphrase,
        None => chosen(settings, file)?,
    };
    if given.expose_secret().is_empty() {
        return Err(Error::Command { message: "the passphrase is empty".into(), cure: "choose another".into() });
    }
    Ok(given)
}

fn chosen(settings: &Settings, file: &Path) -> Result<SecretString> {
    let ask = Ask::Person("to protect it".into());
    let description = "docker-credential-coffer needs a new passphrase for its key";
    let mut error = None;
    for _ in 0..TRIES {
        let first = put(settings, &ask, file, &Question { description, prompt: "New passphrase:", error })?;
        let again = put(settings, &ask, file, &Question { description, prompt: "Once more:", error: None })?;
        if first.expose_secret() == again.expose_secret() {
            return Ok(first);
        }
        error = Some("They are not the same.");
    }
    Err(Error::Command { message: "the passphrases are not the same".into(), cure: "try again".into() })
}

/// Asks once, whoever is there.
fn put(settings: &Settings, ask: &Ask, file: &Path, question: &Question) -> Result<SecretString> {
    let locked = |reason| Error::Locked { path: file.into(), reason };
    if matches!(ask, Ask::Never) {
        return Err(locked("nobody is asked for its passphrase here"));
    }
    if !settings.may_prompt {
        return Err(locked("nobody may be asked for its passphrase here (as with CI or COFFER_NO_PROMPT)"));
    }
    deadline::waiting_for("the passphrase of the key");
    match anybody(question) {
        Answer::Given(secret) => Ok(secret),
        Answer::Declined => Err(locked("its passphrase was not given")),
        Answer::Unavailable => Err(locked("there is neither a pinentry nor a terminal to ask for its passphrase")),
    }
}

/// Pinentry, else the terminal.
fn anybody(question: &Question) -> Answer {
    match pinentry::ask(question) {
        Answer::Unavailable => terminal::ask(question),
        answer => answer,
    }
}

/// A secret that a plugin asks for, such as a PIN.
pub fn for_plugin(description: &str) -> Option<SecretString> {
    deadline::waiting_for("what an age plugin asks for");
    match anybody(&Question { description, prompt: "PIN:", error: None }) {
        Answer::Given(secret) => Some(secret),
        Answer::Declined | Answer::Unavailable => None,
    }
}

/// The right to ask. Where no lock can be had, as on a file system that is read-only, everybody may.
fn turn(settings: &Settings, ask: &Ask, file: &Path) -> Result<Option<Lock>> {
    if !ask.may_prompt(settings) {
        return Ok(None);
    }
    deadline::waiting_for("another process that asks for the passphrase");
    let patience = deadline::left().saturating_sub(TIME_TO_ANSWER);
    match Lock::acquire(settings.directory.join("prompt.lock"), patience) {
        Err(Error::Busy(_)) => {
            Err(Error::Locked { path: file.into(), reason: "another process is asking for its passphrase" })
        }
        turn => Ok(turn.ok()),
    }
}

/// That an input has ended is no failure.
fn nothing_more(error: io::Error) -> io::Result<usize> {
    if error.kind() == io::ErrorKind::UnexpectedEof { Ok(0) } else { Err(error) }
}

/// One line of standard input, unless that is a terminal or has ended. More lines stay for who asks next.
fn from_standard_input() -> Result<Option<SecretString>> {
    let input = io::stdin();
    if input.is_terminal() {
        return Ok(None);
    }
    let failed = |source| Error::Stdio { action: "read the passphrase", source };
    let mut input = input.lock();
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_PASSPHRASE));
    let mut byte = Zeroizing::new([0]);
    loop {
        match input.read_exact(&mut *byte).map(|()| 1).or_else(nothing_more).map_err(failed)? {
            0 if line.is_empty() => return Ok(None),
            0 => break,
            _ if byte[0] == b'\n' => break,
            _ if line.len() == MAX_PASSPHRASE => return Err(failed(io::Error::other("it is longer than 4096 bytes"))),
            _ => line.push(byte[0]),
        }
    }
    let line = line.strip_suffix(b"\r").unwrap_or(&line);
    let text = std::str::from_utf8(line).map_err(|_| failed(io::Error::other("it is not UTF-8")))?;
    Ok(Some(SecretString::from(text)))
}
