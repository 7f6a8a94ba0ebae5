//! `docker-credential-coffer`, which clients call: answers from the store, and hands everything else over.

use std::process::{ExitCode, Stdio};

use coffer::ecr::{Registry, Token};
use coffer::error::Result;
use coffer::hand_over::{self, Call};
use coffer::process;
use coffer::protocol::{Action, Request};
use coffer::settings::Settings;

fn main() -> ExitCode {
    process::harden();
    let call = Call::read();
    match Action::from_arguments(&call.arguments) {
        Some(action) => process::protocol(action, call.limit, ask),
        None => process::fail(&call.hand_over(Stdio::inherit())),
    }
}

/// AWS is asked by the program that has its SDK, which then answers the whole request.
fn ask(request: &Request, _: &Registry, _: &Settings) -> Result<Token> {
    let input = hand_over::input(request.server())?;
    Err(Call::read().hand_over(input))
}
