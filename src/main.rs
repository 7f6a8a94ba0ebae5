//! The process: hardening, arguments, exit code. The only place where standard input and output are touched.

use std::env;
use std::io::{self, Write};
use std::panic;
use std::process::{self, ExitCode};

use clap::Parser;
use coffer::commands::plugin;
use coffer::commands::{self, Arguments};
use coffer::deadline;
use coffer::error::{Error, Result, one_line};
use coffer::protocol::{Action, Answer, Request};
use coffer::settings::Settings;

const NAME: &str = env!("CARGO_PKG_NAME");

fn main() -> ExitCode {
    harden();
    if plugin::is_called() {
        return run_plugin();
    }
    let arguments: Vec<String> =
        env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect();
    match arguments.as_slice() {
        [action] if let Some(action) = Action::from_argument(action) => protocol(action),
        [verb, ..] if commands::knows(verb) => command(&Arguments::parse()),
        [action] => refuse(&format!("{NAME}: unknown action: {}", one_line(action))),
        _ => refuse(&format!("Usage: {NAME} <store|get|erase|list|version>")),
    }
}

/// Keeps secrets out of core dumps and away from debuggers, and a panic from printing more than its place.
fn harden() {
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
fn protocol(action: Action) -> ExitCode {
    deadline::start(deadline::LIMIT, report);
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

/// The protocol's way to fail: the line on standard output, which clients quote; again, with the cure, on
/// standard error. A miss is no failure to a person, so it is said to the client alone.
fn report(error: &Error) {
    let message = one_line(&error.to_string());
    // Whoever closed it does not want to know.
    let _ = writeln!(io::stdout(), "{message}");
    if !matches!(error, Error::NotFound) {
        say(&message);
        hint(error);
    }
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

/// A command of a person. clap itself exits with 2 for wrong usage, and with 0 for `--help`.
fn command(arguments: &Arguments) -> ExitCode {
    match arguments.run(&mut io::stdout().lock()) {
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

/// `docker coffer ...`: the commands of a person, by another name.
fn run_plugin() -> ExitCode {
    match plugin::Call::read() {
        plugin::Call::Metadata(metadata) => {
            let _ = writeln!(io::stdout(), "{metadata}");
            ExitCode::SUCCESS
        }
        plugin::Call::Command(arguments) => command(&arguments),
    }
}

/// As peers refuse: on standard output, exit 1.
fn refuse(line: &str) -> ExitCode {
    let _ = writeln!(io::stdout(), "{line}");
    ExitCode::FAILURE
}
