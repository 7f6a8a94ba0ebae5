//! The process: hardening, standard streams, exit codes.

use std::io::{self, Write};
use std::panic;
use std::process::{self, ExitCode};

use crate::deadline;
use crate::error::{Error, Result, one_line};
use crate::protocol::{Action, Answer, Request};
use crate::search_path::PROGRAM;
use crate::settings::Settings;

/// Keeps secrets out of core dumps and away from debuggers, and a panic from printing more than its place.
pub fn harden() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
        // Neither can fail in a way that something could be done about.
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    }
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "an unknown place".into(), ToString::to_string);
        report(&Error::Internal(place));
        process::exit(1);
    }));
}

/// One call of Docker's protocol, within its time.
pub fn protocol(action: Action) -> ExitCode {
    deadline::start(report);
    let answer = Request::read(action, &mut io::stdin().lock()).and_then(|request| request.answer(Settings::load));
    deadline::answering();
    match answer.and_then(|answer| write(&answer)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

fn write(answer: &Answer) -> Result<()> {
    let mut out = io::stdout().lock();
    let written = out.write_all(&answer.output).and_then(|()| out.flush());
    written.map_err(Error::output)?;
    for warning in &answer.warnings {
        say(warning);
    }
    Ok(())
}

/// The protocol's way to fail: the line on standard output, which clients quote; again, with the cure, on standard error.
/// A miss is no failure to a person, so it is said to the client alone.
fn report(error: &Error) {
    let message = one_line(&error.to_string());
    // Whoever closed it does not want to know.
    let _ = writeln!(io::stdout(), "{message}");
    if !matches!(error, Error::NotFound) {
        say(&message);
        hint(error);
    }
}

/// A person's way to be told how it went.
pub fn told(done: Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has seen enough: `ls | head -1`.
        Err(Error::Stdio { source, .. }) if source.kind() == io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        Err(error) => {
            say(&error.to_string());
            hint(&error);
            ExitCode::FAILURE
        }
    }
}

/// As peers refuse a call: on standard output, exit 1. A person may have meant a command.
pub fn refuse(line: &str) -> ExitCode {
    let _ = writeln!(io::stdout(), "{line}");
    say(&format!("hint: the commands for people: {PROGRAM} --help"));
    ExitCode::FAILURE
}

/// One line on standard error. Whoever closed it does not want to know.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{}", one_line(line));
}

fn hint(error: &Error) {
    if let Some(hint) = error.hint() {
        say(&format!("hint: {hint}"));
    }
}
