//! What users see of changing how the key is held, and who can read the store.

use std::fs;

use crate::support::keys::{keygen, token};
use crate::support::{Outcome, World, chmod};

const IDENTITIES: &str = "~/.local/share/coffer/identities";

/// A world in which `ghcr.io` is held for alice.
fn held() -> World {
    let world = World::new();
    world.store_login("ghcr.io", "alice", "hunter2").silent();
    world
}

fn protect(world: &World, options: &[&str]) -> Outcome {
    world.coffer(&[&["key", "protect"], options].concat()).run()
}

#[test]
fn identities_of_plugins() {
    const GIVE: &str = "give the file that the plugin made";
    let world = held();
    let mine = fs::read_to_string(token(&world, "mine")).unwrap();
    let line = mine.lines().last().unwrap();
    let other = fs::read_to_string(token(&world, "other")).unwrap();
    let recipient = other.lines().nth(1).unwrap().rsplit(' ').next().unwrap();
    let (plain, _) = keygen(&world, "plain.txt");
    let plain = plain.to_str().unwrap();
    let garbage = world.write("garbage.txt", "# a comment\nSECRET\n");
    let sealed = world.write("sealed.txt", "age-encryption.org/v1\n-> scrypt x 18\n");
    for (options, message, hint) in [
        (
            &["--plugin", "age-secret-key-1SECRET"][..],
            "that is a key itself, not an identity of a plugin",
            "replace that key: a command line is no secret",
        ),
        (&["--plugin", "/nonexistent"], "cannot open /nonexistent: No such file or directory (os error 2)", ""),
        (&["--plugin", garbage.to_str().unwrap()], "~/garbage.txt:2: not an age identity", GIVE),
        (&["--plugin", sealed.to_str().unwrap()], "~/sealed.txt is sealed with a passphrase", GIVE),
        (&["--plugin", "AGE-PLUGIN-GARBAGE"], "that is not an identity of an age plugin", GIVE),
        (&["--plugin", plain], "that is not an identity of an age plugin alone", GIVE),
        (
            &["--plugin", line],
            "no comment beside the identity names its recipient",
            "name it with --recipient; the plugin can tell it",
        ),
        (
            &["--plugin", line, "--recipient", "GARBAGE"],
            "that is not an age recipient",
            "give the public key, age1…, of age-keygen or of a plugin",
        ),
        (
            &["--plugin", line, "--recipient", recipient],
            "the new key does not open what is encrypted to its recipient; nothing was changed",
            "see that identity and recipient belong together",
        ),
    ] {
        world.person_sees(protect(&world, options), message, hint);
    }
}

#[test]
fn what_is_done() {
    let world = held();
    world.is_told(
        world.coffer(&["key", "rotate"]).run(),
        "done; everything is encrypted to the new key, and the old one opens nothing here",
    );
    world
        .is_told(protect(&world, &["--file"]), "done; docker-credential-coffer key show says what it protects against");
}

#[test]
fn keys_that_are_not_to_be_changed_so() {
    let new = World::new();
    new.person_sees(
        new.coffer(&["key", "rotate"]).run(),
        "there is no store in ~/.local/share/coffer yet",
        "docker-credential-coffer setup makes it",
    );
    let world = held();
    world.person_sees(
        world.coffer(&["key", "rotate"]).env("COFFER_IDENTITY_FILE", "/nonexistent").run(),
        "COFFER_IDENTITY_FILE names the key, and that file is its owner's to change",
        "unset it to change the store's own key",
    );
    let config = world.config("[age]\nkey = \"file\"\n");
    world.person_sees(
        protect(&world, &["--keyring"]),
        "~/.config/coffer/config.toml says who holds the key, and says otherwise",
        "remove the line key = … below [age] there, and call this again",
    );
    fs::remove_file(config).unwrap();
    let (path, real) = (world.store().join("identities"), world.home().join("real"));
    fs::rename(&path, &real).unwrap();
    std::os::unix::fs::symlink(&real, &path).unwrap();
    world.person_sees(
        protect(&world, &["--file"]),
        &format!("{IDENTITIES} leads to a file elsewhere, where the key would stay"),
        "put the file itself in place of the link, and call this again",
    );
    fs::rename(&real, &path).unwrap();
    // The new identity of a plugin tells no recipient any more: somebody has tidied the file up.
    let identity = token(&world, "mine");
    protect(&world, &["--plugin", identity.to_str().unwrap()]).ok();
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.lines().last().unwrap()).unwrap();
    world.person_sees(
        protect(&world, &["--file"]),
        "the recipient of the present key is not known, so it cannot be left out",
        "write it above the identity in its file: # recipient: age1…",
    );
}

#[test]
fn who_can_read() {
    let world = held();
    let path = world.store().join("store/.age-recipients");
    let own = fs::read_to_string(&path).unwrap().trim().to_owned();
    let recipients = |arguments: &[&str]| world.coffer(&[&["recipients"], arguments].concat()).run();
    let (_, recipient) = keygen(&world, "friend.txt");
    world.is_told(recipients(&["add", &recipient]), &format!("{recipient} can read everything"));
    world.is_told(
        recipients(&["remove", &recipient]),
        &format!(
            "{recipient} can read nothing that is held now, or written from now on\n\
             what it could read before may have been copied: change those passwords, if it is not trusted any more"
        ),
    );
    world.person_sees(
        recipients(&["add", "GARBAGE"]),
        "that is not an age recipient",
        "give the public key, age1…, of age-keygen or of a plugin",
    );
    world.person_sees(
        recipients(&["remove", &own]),
        "this key could open nothing any more",
        "docker-credential-coffer key rotate replaces a key by a new one",
    );
    let recovery = recipients(&["add", "--recovery"]);
    let added = recovery.stdout.lines().nth(1).unwrap().trim_start_matches("# public key: ").to_owned();
    assert!(
        world.shown(&recovery.stdout).starts_with("# recovery key of ~/.local/share/coffer, made 20"),
        "{recovery:#?}"
    );
    world.is_told(
        recovery,
        &format!(
            "this is the only time that the recovery key is shown; docs/keys.md says how to use it:\n\
             {added} can read everything"
        ),
    );

    // A change of the key was killed, and another key is at hand.
    fs::write(world.store().join("rekeying"), format!("new {recipient}\nold {recipient}\n")).unwrap();
    chmod(&world.store().join("rekeying"), 0o600);
    world.is_told(
        recipients(&["list"]),
        "a change was interrupted: not everything may be encrypted to them; call that command again",
    );
    world.person_sees(
        recipients(&["add", &recipient]),
        "a change of the key was interrupted, and this is neither the old key nor the new one",
        "call it again with the store's own key; if that is lost, remove ~/.local/share/coffer/rekeying",
    );
    fs::remove_file(world.store().join("rekeying")).unwrap();

    // What could not be opened is named, and left.
    let broken = world.store().join("store/gcr.io/bob.age");
    fs::create_dir(broken.parent().unwrap()).unwrap();
    fs::write(&broken, "x").unwrap();
    world.person_sees(
        world.coffer(&["key", "rotate"]).run(),
        "~/.local/share/coffer/store/gcr.io/bob.age is not a whole age file\n\
         done, but for what could not be opened, and was left as it is: 1 of the files",
        "bring back the key that opens them, or erase them and log in again",
    );
}

#[test]
fn a_store_without_a_key_of_its_own() {
    let world = World::new();
    world.config("store = \"keyring\"\n");
    for (command, message, hint) in [
        (
            &["key", "show"][..],
            "the store is the OS keyring, which needs no key",
            "store = \"age\" in config.toml is the store with a key",
        ),
        (
            &["recipients", "list"],
            "the store is the OS keyring, which has no recipients",
            "store = \"age\" in config.toml is the store that can be shared",
        ),
        (
            &["unlock"],
            "the store is the OS keyring, which the desktop unlocks",
            "see docs/keys.md for the kinds of key that can be unlocked",
        ),
    ] {
        world.person_sees(world.coffer(command).run(), message, hint);
    }
}
