//! `docker-credential-coffer`: what clients call, the commands for people, and the plugin of the docker CLI.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use coffer::commands::{self, Arguments, plugin};
use coffer::error::one_line;
use coffer::process;
use coffer::protocol::Action;
use coffer::search_path::PROGRAM;

fn main() -> ExitCode {
    process::harden();
    let mut all = env::args_os();
    let name = all.next().unwrap_or_default();
    let arguments: Vec<OsString> = all.collect();
    if plugin::is_called_by(&name) {
        return match plugin::Call::read(&arguments) {
            plugin::Call::Metadata(metadata) => print(&metadata),
            plugin::Call::Command(arguments) => command(&arguments),
        };
    }
    if let Some(action) = Action::from_arguments(&arguments) {
        return process::protocol(action);
    }
    match arguments.as_slice() {
        [verb, ..] if commands::knows(verb) => command(&Arguments::read(&arguments)),
        [action] => process::refuse(&format!("{PROGRAM}: unknown action: {}", one_line(&action.to_string_lossy()))),
        _ => process::refuse(&format!("Usage: {PROGRAM} <store|get|erase|list|version>")),
    }
}

fn command(arguments: &Arguments) -> ExitCode {
    process::told(arguments.run(&mut io::stdout().lock()))
}

fn print(line: &str) -> ExitCode {
    let _ = writeln!(io::stdout(), "{line}");
    ExitCode::SUCCESS
}
