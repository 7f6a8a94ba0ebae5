//! A terminal with somebody at it: a pseudo-terminal of the kernel's, which the program has for its own.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

use super::World;

/// A shell command on a terminal.
pub struct Terminal {
    keyboard: File,
    /// Held open, so that the terminal outlives the command.
    line: File,
    shown: Receiver<Vec<u8>>,
    /// Everything that was shown.
    pub screen: String,
    /// Up to where it was seen.
    seen: usize,
    pub child: Child,
}

impl Terminal {
    /// Runs a shell command in this world, in a session and on a terminal of its own.
    pub fn run(world: &World, command: &str) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let open = || OpenOptions::new().read(true).write(true).open(OsStr::from_bytes(name.as_bytes())).unwrap();
        let mut shell = world.command("setsid");
        shell.args(["--ctty", "--wait", "sh", "-c", command]).env("TERM", "xterm");
        let child = shell.stdin(Stdio::from(open())).stdout(Stdio::from(open())).stderr(Stdio::from(open())).spawn();
        let line = open();
        let keyboard = File::from(master);
        let mut screen = keyboard.try_clone().unwrap();
        let (send, shown) = mpsc::channel();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                if send.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { keyboard, line, shown, screen: String::new(), seen: 0, child: child.expect("setsid; see tests/run") }
    }

    /// Waits until something is shown, after whatever was waited for before.
    #[track_caller]
    pub fn see(&mut self, words: &str) -> &mut Self {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(at) = self.screen[self.seen..].find(words) {
                self.seen += at + words.len();
                return self;
            }
            match self.shown.recv_timeout(Duration::from_millis(50)) {
                Ok(bytes) => self.screen += &String::from_utf8_lossy(&bytes),
                Err(_) => assert!(Instant::now() < end, "{words:?} is not shown: {:?}", self.screen),
            }
        }
    }

    /// Types. A program may need a moment after its question to be ready for the answer.
    pub fn write(&mut self, keys: &str) -> &mut Self {
        thread::sleep(Duration::from_millis(100));
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self
    }

    /// Whether what is typed is shown.
    pub fn echoes(&self) -> bool {
        tcgetattr(&self.line).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    /// Waits for the command's end: its exit code, and everything that was shown.
    #[track_caller]
    pub fn end(mut self) -> (Option<i32>, String) {
        let end = Instant::now() + Duration::from_secs(60);
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < end, "still running: {:?}", self.screen);
            thread::sleep(Duration::from_millis(10));
        };
        while let Ok(bytes) = self.shown.recv_timeout(Duration::from_millis(100)) {
            self.screen += &String::from_utf8_lossy(&bytes);
        }
        assert!(self.echoes(), "the terminal is left without echo: {:?}", self.screen);
        (status.code(), self.screen)
    }
}
