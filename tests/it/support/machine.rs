//! A machine that is lived in: real clients, and a registry from which they pull.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::clients::{PASSWORD, USER, is_refused, keep_storage, keeps_no_plaintext, publish, pull};
use super::{Outcome, Registry, World};

/// A lived-in machine, and a registry that knows alice and holds an image.
pub struct Machine {
    pub world: World,
    pub registry: Registry,
    pub image: String,
}

impl Machine {
    pub fn new() -> Self {
        let mut world = World::new();
        keep_storage(&mut world);
        let registry = Registry::start(&world, USER, PASSWORD);
        let image = publish(&world, &registry, "team/tiny");
        Self { world, registry, image }
    }

    /// Writes Docker's file.
    pub fn docker(&self, config: Value) -> PathBuf {
        self.world.write(".docker/config.json", &config.to_string())
    }

    #[track_caller]
    pub fn pulls(&self, clients: &[&str]) {
        for client in clients {
            pull(&self.world, client, &self.image).ok();
        }
    }

    #[track_caller]
    pub fn is_refused(&self, clients: &[&str]) {
        for client in clients {
            is_refused(pull(&self.world, client, &self.image));
        }
    }

    pub fn migrate(&self) -> Outcome {
        self.world.coffer(&["migrate", "--yes"]).run()
    }

    /// That these clients, which can pull now, can pull after a migration, after it is undone, and after another; that
    /// nothing is in plaintext then, and that one more has nothing to do.
    #[track_caller]
    pub fn keeps_pulling(&self, clients: &[&str]) {
        let root = self.world.path("");
        self.pulls(clients);
        let plain = self.world.files_with(&root, PASSWORD);
        assert!(!plain.is_empty(), "nothing to migrate");
        self.migrate().ok();
        keeps_no_plaintext(&self.world, &root);
        self.pulls(clients);
        self.world.coffer(&["audit"]).run().silent();

        let before = self.world.snapshot(&root);
        assert_eq!(self.migrate().ok(), "nothing to do\n");
        assert!(self.world.snapshot(&root) == before, "a second run changed something");

        self.world.coffer(&["migrate", "--undo", "--yes"]).run().ok();
        assert_eq!(self.world.files_with(&root, PASSWORD), plain);
        self.pulls(clients);
        self.migrate().ok();
        keeps_no_plaintext(&self.world, &root);
        self.pulls(clients);
    }
}

/// An entry with a login.
pub fn entry(username: &str, password: &str) -> Value {
    json!({ "auth": STANDARD.encode(format!("{username}:{password}")) })
}
