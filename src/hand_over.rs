//! Handing a call over from one of the two programs to the other.
//!
//! Clients call `docker-credential-coffer`, and wait for it. It answers from the store, and holds neither the AWS SDK nor
//! the commands for people: loading those would take longer than the answer. For them it becomes `docker-coffer`, which
//! lies beside it. Never the reverse.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::deadline;
use crate::error::{Error, Result};

/// The program that clients call.
pub const HELPER: &str = "docker-credential-coffer";

/// The program with the commands and the AWS SDK; by this name the docker CLI finds its plugin.
pub const COMMANDS: &str = "docker-coffer";

/// Stands before the arguments of a call that was handed over, with the milliseconds that it has left, if it is limited.
const MARK: &str = "--handed-over=";

/// How this process was called.
#[derive(Debug)]
pub struct Call {
    /// The name it was called by.
    pub name: OsString,
    /// What stands after it, without the mark of a call that was handed over.
    pub arguments: Vec<OsString>,
    /// Whether the other program was called first.
    pub is_handed_over: bool,
    /// The time that the call has left of [`deadline::LIMIT`].
    pub limit: Duration,
}

impl Call {
    /// How this process was called.
    pub fn read() -> Self {
        let mut all = env::args_os();
        let name = all.next().unwrap_or_else(|| HELPER.into());
        let mut arguments: Vec<OsString> = all.collect();
        let mark = arguments.first().and_then(|first| first.to_str()?.strip_prefix(MARK)?.parse().ok());
        if mark.is_some() {
            arguments.remove(0);
        }
        let limit = mark.map_or(deadline::LIMIT, |left| Duration::from_millis(left).min(deadline::LIMIT));
        Self { name, arguments, is_handed_over: mark.is_some(), limit }
    }

    /// Whether the call is by a name: of a program, or of a link to it.
    pub fn is_by(&self, name: &str) -> bool {
        Path::new(&self.name).file_name().is_some_and(|called| called == name)
    }

    /// Has the other program do what this process was called for. Returns only if it cannot.
    pub fn hand_over(&self, input: Stdio) -> Error {
        // Another copy of this program by that name would hand over to itself, for ever.
        if self.is_handed_over {
            return Error::Program { path: COMMANDS.into(), problem: "is not the program of that name".into() };
        }
        let program = match beside(COMMANDS) {
            Ok(program) => program,
            Err(error) => return error,
        };
        let mark = format!("{MARK}{}", deadline::left().as_millis());
        let mut command = Command::new(&program);
        let failed = command.arg0(&self.name).arg(mark).args(&self.arguments).stdin(input).exec();
        Error::Program { path: program, problem: failed.to_string() }
    }
}

/// A program of the two, beside the one that runs. Not what the PATH finds, which may be another version, or another's.
pub fn beside(name: &str) -> Result<PathBuf> {
    let this = env::current_exe().map_err(Error::file("find", HELPER))?;
    Ok(this.with_file_name(name))
}

/// Standard input for a request that was read already. It is shorter than what a pipe holds: no longer than a server's name.
pub fn input(request: &str) -> Result<Stdio> {
    let failed = |source| Error::Stdio { action: "pass the request on", source };
    let (reader, mut writer) = io::pipe().map_err(failed)?;
    writer.write_all(request.as_bytes()).map_err(failed)?;
    Ok(reader.into())
}
