//! Debian's docker-registry on loopback, behind htpasswd.

use std::fs;

use super::World;
use super::server::{Server, free_port};

/// A registry that knows one user.
pub struct Registry {
    /// `127.0.0.1:PORT`, as clients name it.
    pub name: String,
    _server: Server,
}

impl Registry {
    pub fn start(world: &World, username: &str, password: &str) -> Self {
        let root = world.path("registry");
        fs::create_dir(&root).unwrap();
        let users = world.call("htpasswd", &["-Bbn", username, password]).run().ok();
        fs::write(root.join("htpasswd"), users).unwrap();
        let port = free_port();
        let config = serde_json::json!({
            "version": 0.1,
            "log": { "level": "error" },
            "storage": { "filesystem": { "rootdirectory": root.join("data") } },
            "http": { "addr": format!("127.0.0.1:{port}") },
            "auth": { "htpasswd": { "realm": "test", "path": root.join("htpasswd") } },
        });
        // JSON is YAML.
        fs::write(root.join("config.yml"), config.to_string()).unwrap();
        let mut command = world.command("docker-registry");
        command.arg("serve").arg(root.join("config.yml"));
        Self { name: format!("127.0.0.1:{port}"), _server: Server::listening(command, port) }
    }
}
