//! moto's stand-in for AWS on loopback.

use std::path::Path;

use super::World;
use super::server::{Server, free_port};

/// The AWS API, as moto speaks it. The variables of its world point to it.
pub struct Moto {
    _server: Server,
}

impl Moto {
    pub fn start(world: &mut World) -> Self {
        let port = free_port();
        // tests/run installs it there, since Debian has no package.
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/moto_server");
        let mut command = world.command(program);
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        let server = Server::listening(command, port);
        world.set("AWS_ENDPOINT_URL", &format!("http://127.0.0.1:{port}"));
        world.set("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE");
        world.set("AWS_SECRET_ACCESS_KEY", "a secret access key of nobody");
        Self { _server: server }
    }
}
