//! What users see of `setup`: what it does, and what keeps it from its work.

use std::fs;

use crate::support::{Terminal, World};

const DOCKER: &str = "~/.docker/config.json";
/// A file with one login in plaintext.
const CONFIG: &str = r#"{"auths":{"ghcr.io":{"auth":"YTpi"}}}"#;

#[test]
fn what_keeps_setup_from_its_work() {
    let world = World::new();
    world.store_login("ghcr.io", "alice", "x").silent();
    let bus = &["setup", "--yes", "--store", "keyring"];
    world.person_sees(
        world.coffer(bus).run(),
        "1 login would not be found or opened any more",
        "log out first (docker-credential-coffer ls says where), and run setup again",
    );
    let config = world.config("[ecr]\ncache = true\n");
    world.person_sees(
        world.coffer(&["setup", "--yes", "--key", "file"]).run(),
        "~/.config/coffer/config.toml says otherwise than --store or --key",
        "write into it: [age] key = \"file\"",
    );
    fs::remove_file(config).unwrap();
    world.person_sees(
        world.coffer(&["setup", "--yes", "--key", "passphrase"]).input("x\n").run(),
        "there is a key already, or config.toml says who holds it",
        "docker-credential-coffer key protect --passphrase changes how it is held",
    );
    world.write(".docker/config.json", "{\"auths\": {},}");
    world.person_sees(
        world.coffer(&["setup", "--yes"]).run(),
        &format!("{DOCKER} is not JSON at line 1 column 14; nothing was done"),
        "mend that file, and run setup again",
    );
    for (text, why) in [
        (CONFIG, "logins are kept in plaintext: ghcr.io"),
        (r#"{"credsStore":"pass"}"#, "logins are kept by docker-credential-pass"),
    ] {
        world.write(".docker/config.json", text);
        world.person_sees(
            world.coffer(&["setup", "--no-migrate"]).run(),
            &format!("{DOCKER} says that {why}; Docker would not see them any more"),
            "run setup without --no-migrate",
        );
    }
    // Somebody logs in while the question stands.
    world.write(".docker/config.json", "{}");
    let mut terminal = Terminal::run(&world, "docker-credential-coffer setup --no-migrate");
    terminal.see("go on? [Y/n]");
    world.write(".docker/config.json", CONFIG);
    terminal.write("\n");
    let (_, shown) = terminal.end();
    let told = format!("{DOCKER} has changed meanwhile; it was left as it is\nhint: run setup again\n");
    assert!(world.shown(&shown.replace('\r', "")).ends_with(&told), "{shown}");
}

#[test]
fn what_setup_does() {
    let mut world = World::new();
    world.set("PATH", "/nonexistent");
    world.is_told(
        world.coffer(&["setup"]).run(),
        "this will\n  \
         copy this program to ~/.local/bin/docker-credential-coffer\n  \
         make the store ~/.local/share/coffer, with its key in the OS keyring, or else in a file\n  \
         make docker coffer a command of the docker CLI: ~/.docker/cli-plugins/docker-coffer\n  \
         have Docker ask coffer (\"credsStore\" in ~/.docker/config.json)\n  \
         ~/.docker/config.json: would be rewritten\n\
         ~/.docker/config.json: rewritten\n\
         done; docker login now keeps credentials encrypted. To undo it:\n  \
         docker-credential-coffer migrate --undo (what was made anew: remove \"credsStore\" from it)\n  \
         rm ~/.docker/cli-plugins/docker-coffer\n  \
         rm -r ~/.local/share/coffer (loses what is stored there)\n  \
         rm ~/.local/bin/docker-credential-coffer\n\
         ~/.local/bin is not on the PATH yet; add to your shell's profile:\n  \
         export PATH=\"~/.local/bin:$PATH\"",
    );
    let world = self::World::of_docker_alone();
    world.write(".docker/config.json", r#"{"credsStore":"pass"}"#);
    world.write(".docker/cli-plugins/docker-coffer", "");
    world.is_told(
        world.coffer(&["setup", "--no-migrate", "--yes", "--key", "file"]).run(),
        "~/.docker/cli-plugins/docker-coffer is a file of somebody else's making, and stays\n\
         this will\n  \
         make the store ~/.local/share/coffer, with the key in ~/.local/share/coffer/identities\n  \
         write ~/.config/coffer/config.toml\n  \
         set \"credsStore\": \"coffer\" in ~/.docker/config.json\n\
         done; docker login now keeps credentials encrypted. To undo it:\n  \
         set \"credsStore\": \"pass\" in ~/.docker/config.json\n  \
         rm ~/.config/coffer/config.toml\n  \
         rm -r ~/.local/share/coffer (loses what is stored there)",
    );
    fs::remove_file(world.home().join(".docker/config.json")).unwrap();
    let again = world.coffer(&["setup", "--no-migrate"]).run();
    let undo = "To undo it:\n  remove \"credsStore\" from ~/.docker/config.json\n";
    assert!(world.shown(&again.stderr).ends_with(undo), "{again:#?}");
}
