//! A server process that is killed when the test is over.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use super::patience::wait_until;

/// A child process that does not outlive its owner.
pub struct Server(pub Child);

impl Server {
    /// Starts it.
    pub fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}; see tests/run")))
    }

    /// Starts it, and waits until something listens on the port.
    pub fn listening(mut command: Command, port: u16) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = Self::start(&mut command);
        wait_until(&format!("{command:?} on {port}"), || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
        server
    }
}

impl Drop for Server {
    #[expect(clippy::print_stderr, reason = "the reader of a failed test wants to know")]
    fn drop(&mut self) {
        if let Ok(Some(status)) = self.0.try_wait() {
            // What the test then complains of may be no fault of ours.
            eprintln!("a server of the test ended by itself: {status}");
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}
