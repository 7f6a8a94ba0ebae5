//! A secret from the terminal of this process. Standard input is not touched: it is the client's request.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::sync::Arc;

use age::secrecy::SecretString;
use rustix::process::getpgrp;
use rustix::termios::{LocalModes, OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcgetpgrp, tcsetattr};
use zeroize::Zeroizing;

use super::prompt::{Answer, Question};
use crate::deadline::{self, CleanUp};

/// The longest line that is read.
const MAX_LINE: usize = 4096;

const INTERRUPT: u8 = 0x03;
const END: u8 = 0x04;
const KILL_LINE: u8 = 0x15;
const ESCAPE: u8 = 0x1b;

/// The terminal. A process in the background would be stopped by the mere attempt to read, and its time limit with it.
fn open() -> Option<File> {
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty").ok()?;
    (tcgetpgrp(terminal.as_fd()).ok()? == getpgrp()).then_some(terminal)
}

/// The terminal as it is now, to be put back after a program that could not do so itself.
pub struct Modes(File, Termios);

impl Modes {
    /// `None` without a terminal.
    pub fn of_now() -> Option<Self> {
        let terminal = open()?;
        let modes = tcgetattr(terminal.as_fd()).ok()?;
        Some(Self(terminal, modes))
    }

    /// Puts them back. What was typed and not read, such as the rest of a passphrase after a key that gave up, is nobody's.
    pub fn restore(&self) {
        // By itself, which waits for nobody: to flush with the modes waits for output, too, which somebody may have stopped.
        let _ = tcflush(self.0.as_fd(), QueueSelector::IFlush);
        let _ = tcsetattr(self.0.as_fd(), OptionalActions::Now, &self.1);
    }
}

/// Asks for a line that is not shown.
pub fn ask(question: &Question) -> Answer {
    let Some(mut terminal) = open() else { return Answer::Unavailable };
    let Some(_silence) = Silence::begin(&terminal) else { return Answer::Unavailable };
    let error = question.error.map_or_else(String::new, |error| format!("{error}\r\n"));
    let asked = write!(terminal, "{error}{}\r\n{} ", question.description, question.prompt);
    if asked.is_err() {
        return Answer::Unavailable;
    }
    let line = read_line(&mut terminal);
    let _ = write!(terminal, "\r\n");
    match line.as_deref().map(|bytes| std::str::from_utf8(bytes)) {
        Some(Ok(text)) => Answer::Given(SecretString::from(text)),
        // No passphrase that was ever set; wrong, like any other.
        Some(Err(_)) => Answer::Given(SecretString::from("")),
        None => Answer::Declined,
    }
}

/// A line; `None` if the person would rather not. Byte by byte: the terminal hands out keys, not lines, so that an interrupt
/// comes here instead of ending the process before the echo is back.
fn read_line(terminal: &mut File) -> Option<Zeroizing<Vec<u8>>> {
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_LINE));
    let mut byte = Zeroizing::new([0]);
    loop {
        if terminal.read(&mut *byte).ok()? == 0 {
            return None;
        }
        match byte[0] {
            b'\r' | b'\n' => return Some(line),
            INTERRUPT | END | ESCAPE => return None,
            KILL_LINE => line.clear(),
            0x08 | 0x7f => {
                // A whole character, of one to four bytes.
                while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
            }
            key if line.len() < MAX_LINE => line.push(key),
            _ => {}
        }
    }
}

/// The terminal without echo, until dropped.
struct Silence {
    before: Arc<Modes>,
    _clean_up: CleanUp,
}

impl Silence {
    fn begin(terminal: &File) -> Option<Self> {
        let before = Arc::new(Modes(terminal.try_clone().ok()?, tcgetattr(terminal.as_fd()).ok()?));
        let at_the_end = Arc::clone(&before);
        let clean_up = deadline::if_time_is_up(move || at_the_end.restore());
        let mut silent = before.1.clone();
        silent.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG | LocalModes::IEXTEN;
        // What was typed before the question is no answer to it.
        tcsetattr(terminal.as_fd(), OptionalActions::Flush, &silent).ok()?;
        Some(Self { before, _clean_up: clean_up })
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        self.before.restore();
    }
}
