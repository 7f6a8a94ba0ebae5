//! The real `pass`, with a key of GnuPG's in its world.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{World, chmod};

/// A password store that can encrypt. Ends the agent that gpg leaves running; so it goes before its world does.
pub struct Pass {
    socket: PathBuf,
    stop: [Command; 2],
}

impl Pass {
    /// Makes a key without a passphrase, and a password store for it.
    pub fn start(world: &mut World) -> Self {
        // Not ~/.gnupg, whose agent GnuPG would share with the user who runs the tests.
        let gnupg = world.path("gnupg");
        fs::create_dir(&gnupg).unwrap();
        chmod(&gnupg, 0o700);
        world.set("GNUPGHOME", gnupg.to_str().unwrap());
        let socket = world.call("gpgconf", &["--list-dirs", "agent-socket"]).run().ok().trim().into();
        let stop = [&["--kill", "all"][..], &["--remove-socketdir"]].map(|arguments| {
            let mut command = world.command("gpgconf");
            command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
            command
        });
        let pass = Self { socket, stop };
        let key = ["--batch", "--passphrase", "", "--quick-generate-key", "alice@example.com", "future-default"];
        world.call("gpg", &[&key[..], &["default", "never"]].concat()).run().ok();
        world.call("pass", &["init", "alice@example.com"]).run().ok();
        pass
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let _ = self.stop[0].status();
        let end = Instant::now() + Duration::from_secs(10);
        while self.socket.exists() {
            assert!(Instant::now() < end || thread::panicking(), "gpg-agent is still running");
            thread::sleep(Duration::from_millis(5));
        }
        let _ = self.stop[1].status();
    }
}
