//! The one time limit of the process.
//!
//! Clients kill a helper after 30 s and say nothing of why. Whatever is waited for here (an end of
//! standard input that never comes, a keyring behind its prompt, a file on a dead network mount), the
//! process answers first, and says what it was waiting for.
//!
//! Work that has a limit of its own (another helper, minting) stays below this one. What must not outlive the
//! process (a prompt, a terminal without its echo) is cleaned up first: see [`if_time_is_up`].

use std::process;
use std::sync::mpsc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::Error;

/// How long a protocol action may take.
const LIMIT: Duration = Duration::from_secs(19);

/// How long it may take to say that time is up.
const TIME_TO_SAY_SO: Duration = Duration::from_millis(500);

struct State {
    waiting_for: &'static str,
    answering: bool,
    end: Option<Instant>,
    clean_up: Vec<(u64, Box<dyn FnOnce() + Send>)>,
    registered: u64,
}

static STATE: Mutex<State> =
    Mutex::new(State { waiting_for: "its own work", answering: false, end: None, clean_up: Vec::new(), registered: 0 });

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the clock. When [`LIMIT`] is over, `give_up` is called with the error to report, and the process
/// exits with 1. An answer that was begun is not talked over: then the process only ends.
pub fn start(give_up: fn(&Error)) {
    state().end = Some(Instant::now() + LIMIT);
    let watch = move || {
        thread::sleep(LIMIT);
        let mut state = state();
        for (_, clean_up) in state.clean_up.drain(..).rev() {
            clean_up();
        }
        if !state.answering {
            let error = Error::TimedOut { seconds: LIMIT.as_secs(), what: state.waiting_for };
            // Nobody may read what it says, and then saying it does not end either.
            let _ = within(TIME_TO_SAY_SO, move || give_up(&error));
        }
        process::exit(1);
    };
    // Without a thread to spare there is no limit, which is no reason to refuse the work.
    let _ = thread::Builder::new().name("deadline".into()).spawn(watch);
}

/// What work comes to, if it does within its own limit. Otherwise nobody waits for it any longer; it goes on until the process ends.
pub fn within<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, receiver) = mpsc::channel();
    thread::Builder::new().spawn(move || sender.send(work())).ok()?;
    receiver.recv_timeout(limit).ok()
}

/// What is left of the time; all of it where no clock was started.
pub fn left() -> Duration {
    state().end.map_or(LIMIT, |end| end.saturating_duration_since(Instant::now()))
}

/// Says what is waited for from now on, for the error.
pub fn waiting_for(what: &'static str) {
    state().waiting_for = what;
}

/// Says that the answer is being written. Does not return once time was up.
pub fn answering() {
    state().answering = true;
}

/// Has something done before the process gives up, as long as what is returned lives. It must not wait for anything.
#[must_use]
pub fn if_time_is_up(clean_up: impl FnOnce() + Send + 'static) -> CleanUp {
    let mut state = state();
    state.registered += 1;
    let number = state.registered;
    state.clean_up.push((number, Box::new(clean_up)));
    CleanUp(number)
}

/// That something is to be cleaned up. Not any more when dropped.
#[derive(Debug)]
pub struct CleanUp(u64);

impl Drop for CleanUp {
    fn drop(&mut self) {
        state().clean_up.retain(|(number, _)| *number != self.0);
    }
}
