//! Debian's docker-registry on loopback, behind htpasswd.

use std::fs;

use super::World;
use super::server::{Server, free_port};

/// A registry that lets in those it knows, to everything, and nobody else.
pub struct Registry {
    /// `127.0.0.1:PORT`, as clients name it.
    pub name: String,
    _server: Server,
}

impl Registry {
    /// One that knows one user.
    pub fn start(world: &World, username: &str, password: &str) -> Self {
        Self::knowing(world, &[(username, password)])
    }

    /// One that knows these users.
    pub fn knowing(world: &World, users: &[(&str, &str)]) -> Self {
        let root = world.path("registry");
        fs::create_dir(&root).unwrap();
        let line = |(user, password): &(&str, &str)| world.call("htpasswd", &["-Bbn", user, password]).run().ok();
        fs::write(root.join("htpasswd"), users.iter().map(line).collect::<String>()).unwrap();
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
