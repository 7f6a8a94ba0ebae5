//! `docker-coffer`: the commands for people, tokens of Amazon ECR, and the plugin of the docker CLI. It knows the whole of
//! Docker's protocol besides, since what `docker-credential-coffer` cannot answer it hands over to this.

use std::io::{self, Write};
use std::process::ExitCode;

use coffer::commands::{self, Arguments, plugin};
use coffer::error::one_line;
use coffer::hand_over::{COMMANDS, Call, HELPER};
use coffer::process;
use coffer::protocol::Action;

fn main() -> ExitCode {
    process::harden();
    let call = Call::read();
    if call.is_by(COMMANDS) {
        return match plugin::Call::read(&call.arguments) {
            plugin::Call::Metadata(metadata) => print(&metadata),
            plugin::Call::Command(arguments) => command(&arguments),
        };
    }
    if let Some(action) = Action::from_arguments(&call.arguments) {
        return process::protocol(action, call.limit, |_, registry, settings| registry.new_token(settings));
    }
    match call.arguments.as_slice() {
        [verb, ..] if commands::knows(verb) => command(&Arguments::read(&call.arguments)),
        [action] => process::refuse(&format!("{HELPER}: unknown action: {}", one_line(&action.to_string_lossy()))),
        _ => process::refuse(&format!("Usage: {HELPER} <store|get|erase|list|version>")),
    }
}

fn command(arguments: &Arguments) -> ExitCode {
    process::told(arguments.run(&mut io::stdout().lock()))
}

fn print(line: &str) -> ExitCode {
    let _ = writeln!(io::stdout(), "{line}");
    ExitCode::SUCCESS
}
