//! Another credential helper, made of a script: it says what it is told to say, and notes what it was asked.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use super::World;

/// What a helper does when it is asked for its list, or for a server: lines of shell.
pub struct Scripted {
    log: PathBuf,
}

impl Scripted {
    /// Puts `docker-credential-NAME` on the PATH. What `gets` does not name is not held.
    pub fn install(world: &World, name: &str, list: &str, gets: &[(&str, String)]) -> Self {
        let log = world.path(&format!("{name}.log"));
        let mut script = format!("input=$(cat)\necho \"$1 $input\" >> {}\ncase \"$1:$input\" in\n", log.display());
        script += &format!("list:*) {list} ;;\n");
        for (server, answer) in gets {
            script += &format!("'get:{server}') {answer} ;;\n");
        }
        script += "get:*) echo credentials not found in native keychain; exit 1 ;;\n*) exit 1 ;;\nesac";
        world.script(&format!("docker-credential-{name}"), &script);
        Self { log }
    }

    /// What it was asked since the last time, in order.
    pub fn asked(&self) -> Vec<String> {
        let asked = fs::read_to_string(&self.log).unwrap_or_default();
        let _ = fs::remove_file(&self.log);
        asked.lines().map(|line| line.trim().to_owned()).collect()
    }
}

/// A list of these servers, each alice's.
pub fn lists(servers: &[&str]) -> String {
    let list: serde_json::Map<_, _> = servers.iter().map(|server| ((*server).to_owned(), "alice".into())).collect();
    format!("echo '{}'", serde_json::Value::Object(list))
}

/// The answer to a `get`.
pub fn gives(server: &str, username: &str, secret: &str) -> String {
    format!("echo '{}'", json!({ "ServerURL": server, "Username": username, "Secret": secret }))
}

/// A failure with these words.
pub fn fails(words: &str) -> String {
    format!("echo '{words}'; exit 1")
}
