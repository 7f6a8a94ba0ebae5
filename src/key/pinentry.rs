//! A secret from a pinentry, GnuPG's window or screen for passphrases, over its line protocol (Assuan).
//!
//! `PINENTRY_PROGRAM` names another program, or none when it is empty, as for rage; otherwise it is the `pinentry` of the
//! PATH. It never outlives the process that asked.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use age::secrecy::SecretString;
use percent_encoding::percent_decode;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use zeroize::Zeroizing;

use super::prompt::{Answer, Question};
use super::terminal::Modes;
use crate::deadline::{self, CleanUp};
use crate::search_path;

/// After which pinentry itself gives up, in seconds, should this process be killed meanwhile.
const TIMEOUT: u64 = 120;

/// How long it may take to say goodbye.
const FAREWELL: Duration = Duration::from_millis(400);

/// The longest line of the protocol.
const MAX_LINE: usize = 1000;

/// The codes of libgpg-error that say that the person would rather not, or did not answer: timeout, canceled, fully canceled,
/// not confirmed.
const DECLINED: [u32; 4] = [62, 99, 198, 114];

/// The program that would be asked.
pub fn program() -> Option<OsString> {
    match env::var_os("PINENTRY_PROGRAM") {
        Some(program) => Some(program).filter(|program| !program.is_empty()),
        None => Some("pinentry".into()),
    }
}

/// Where it is. A relative directory of the PATH is somebody else's wherever the client was called in a directory of somebody
/// else's, and is not looked in.
fn found(program: &OsStr) -> Option<PathBuf> {
    let path = Path::new(program);
    if path.components().count() > 1 { Some(path.into()) } else { search_path::find(path.to_str()?) }
}

/// Asks for a line that is not shown.
pub fn ask(question: &Question) -> Answer {
    let Some(mut pinentry) = Pinentry::start() else { return Answer::Unavailable };
    let answer = pinentry.converse(question).unwrap_or(Answer::Unavailable);
    pinentry.end();
    answer
}

struct Pinentry {
    process: Child,
    requests: Option<ChildStdin>,
    replies: ChildStdout,
    clean_up: Option<CleanUp>,
}

/// What the program said to one request.
enum Reply {
    Ok(Option<SecretString>),
    Failed(u32),
}

impl Pinentry {
    fn start() -> Option<Self> {
        let mut command = Command::new(found(&program()?)?);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().ok()?;
        let terminal = Modes::of_now();
        let clean_up = Pid::from_raw(process.id().cast_signed()).map(|id| {
            deadline::if_time_is_up(move || {
                stop(id);
                terminal.iter().for_each(Modes::restore);
            })
        });
        let (requests, replies) = (process.stdin.take(), process.stdout.take()?);
        Some(Self { process, requests, replies, clean_up })
    }

    fn converse(&mut self, question: &Question) -> io::Result<Answer> {
        self.reply()?;
        for (name, value) in terminal() {
            // Not every pinentry knows every option.
            self.request(&format!("OPTION {name}={value}"))?;
        }
        self.request(&format!("SETTIMEOUT {TIMEOUT}"))?;
        self.request("SETTITLE docker-credential-coffer")?;
        self.request(&format!("SETDESC {}", escaped(question.description)))?;
        self.request(&format!("SETPROMPT {}", escaped(question.prompt)))?;
        if let Some(error) = question.error {
            self.request(&format!("SETERROR {}", escaped(error)))?;
        }
        Ok(match self.request("GETPIN")? {
            // Nothing typed is no data.
            Reply::Ok(secret) => Answer::Given(secret.unwrap_or_else(|| SecretString::from(""))),
            Reply::Failed(code) if DECLINED.contains(&(code & 0xffff)) => Answer::Declined,
            Reply::Failed(_) => Answer::Unavailable,
        })
    }

    fn request(&mut self, line: &str) -> io::Result<Reply> {
        let requests = self.requests.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        requests.write_all(format!("{line}\n").as_bytes())?;
        self.reply()
    }

    /// Reads lines until one says how the request went.
    fn reply(&mut self) -> io::Result<Reply> {
        let mut secret = Zeroizing::new(Vec::with_capacity(MAX_LINE));
        let mut has_data = false;
        loop {
            let line = self.line()?;
            if let Some(data) = line.strip_prefix(b"D ") {
                has_data = true;
                secret.extend(percent_decode(data));
            } else if line.starts_with(b"ERR ") {
                let code = line.split(|byte| *byte == b' ').nth(1);
                let code = code.and_then(|code| std::str::from_utf8(code).ok()?.parse().ok());
                return Ok(Reply::Failed(code.unwrap_or_default()));
            } else if line.starts_with(b"OK") {
                // What is not UTF-8 is no passphrase that was ever set; wrong, like any other.
                let text = std::str::from_utf8(&secret).unwrap_or_default();
                return Ok(Reply::Ok(has_data.then(|| SecretString::from(text))));
            }
        }
    }

    /// One line. Byte by byte: a buffer of the library's would keep the secret.
    fn line(&mut self) -> io::Result<Zeroizing<Vec<u8>>> {
        let mut line = Zeroizing::new(Vec::with_capacity(MAX_LINE));
        let mut byte = Zeroizing::new([0]);
        loop {
            self.replies.read_exact(&mut *byte)?;
            match byte[0] {
                b'\n' => return Ok(line),
                _ if line.len() == MAX_LINE => return Err(io::ErrorKind::InvalidData.into()),
                byte => line.push(byte),
            }
        }
    }

    /// Has it end, and ends it if it does not.
    fn end(mut self) {
        if let Some(mut requests) = self.requests.take() {
            let _ = requests.write_all(b"BYE\n");
        }
        let end = Instant::now() + FAREWELL;
        while Instant::now() < end {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        let _ = self.process.kill();
        // The process's number is its own until it is waited for.
        self.clean_up = None;
        let _ = self.process.wait();
    }
}

/// Ends a pinentry: gently at first, since one on the terminal has a screen to take down.
fn stop(id: Pid) {
    let _ = kill_process(id, Signal::TERM);
    let end = Instant::now() + FAREWELL;
    while Instant::now() < end {
        if !matches!(waitpid(Some(id), WaitOptions::NOHANG), Ok(None)) {
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
    let _ = kill_process(id, Signal::KILL);
}

/// Where a pinentry without a window finds the person. gpg-agent passes the same.
fn terminal() -> Vec<(&'static str, String)> {
    let variable = |name| env::var(name).ok().filter(|value: &String| !value.is_empty());
    let name = variable("GPG_TTY").unwrap_or_else(|| "/dev/tty".into());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(variable);
    let options = [("ttyname", Some(name)), ("ttytype", variable("TERM")), ("lc-ctype", locale)];
    options.into_iter().filter_map(|(name, value)| Some((name, escaped(&value?)))).collect()
}

/// A parameter on one line.
fn escaped(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '%' => "%25".into(),
            c if c.is_control() => " ".into(),
            c => c.to_string(),
        })
        .collect()
}
