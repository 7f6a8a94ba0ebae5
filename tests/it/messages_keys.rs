//! What users see of keys that are locked or of no use, and of passphrases.

use std::fs;
use std::thread;

use crate::support::World;
use crate::support::keys::{Pinentry, keygen, token};

const IDENTITIES: &str = "~/.local/share/coffer/identities";
const UNLOCK: &str = "unlock it in a terminal: docker-credential-coffer unlock";
const PASSPHRASE: &str = "open sesame\n";

/// A world in which `ghcr.io` is held for alice.
fn held() -> World {
    let world = World::new();
    world.store_login("ghcr.io", "alice", "hunter2").silent();
    world
}

/// The same with its key sealed, and somebody at a pinentry.
fn sealed() -> (World, Pinentry) {
    let world = held();
    let pinentry = Pinentry::install(&world, &[]);
    world.coffer(&["key", "protect", "--passphrase"]).input(PASSPHRASE).run().ok();
    (world, pinentry)
}

/// The same with its key held by the token of [`token`].
fn of_token() -> World {
    let world = held();
    let identity = token(&world, "mine");
    world.coffer(&["key", "protect", "--plugin", identity.to_str().unwrap()]).run().ok();
    world
}

fn locked(reason: &str) -> String {
    format!("the key in {IDENTITIES} is locked: {reason}")
}

#[test]
fn a_locked_key() {
    let (mut world, pinentry) = sealed();
    pinentry.answer(&["-"]);
    world.client_sees(world.get("ghcr.io"), &locked("its passphrase was not given"), UNLOCK);
    pinentry.answer(&["one", "two", "three"]);
    world.client_sees(
        world.get("ghcr.io"),
        &format!("the passphrase does not open the key in {IDENTITIES}"),
        "try again; without the passphrase, the recovery key opens the store (COFFER_IDENTITY_FILE)",
    );
    let nobody = "nobody may be asked for its passphrase here (as with CI or COFFER_NO_PROMPT)";
    let call = world.coffer(&["get"]).env("CI", "1").input("ghcr.io");
    world.client_sees(call.run(), &locked(nobody), UNLOCK);
    // Whose name is too long for a file, it stands only inside.
    world.store_login(&format!("{}.example", "x".repeat(250)), "bob", "x").silent();
    world.is_told(world.coffer(&["list"]).run(), &locked("nobody is asked for its passphrase here"));
    world.set("PINENTRY_PROGRAM", "");
    // In a session of its own it has no terminal.
    let call = world.call("setsid", &["--wait", "docker-credential-coffer", "get"]).input("ghcr.io");
    let neither = "there is neither a pinentry nor a terminal to ask for its passphrase";
    world.client_sees(call.run(), &locked(neither), UNLOCK);
}

/// Each takes as long as a request may.
#[test]
fn a_key_that_is_waited_for_in_vain() {
    let find = "find what keeps it from answering, and try again";
    thread::scope(|scope| {
        scope.spawn(|| {
            let (world, pinentry) = sealed();
            world.client_sees(
                world.get("ghcr.io"),
                "gave up after 19 s of waiting for the passphrase of the key",
                find,
            );
            let lock = fs::File::create(world.store().join("prompt.lock")).unwrap();
            lock.lock().unwrap();
            pinentry.answer(&["open sesame"]);
            let other = locked("another process is asking for its passphrase");
            thread::scope(|scope| {
                let export = || world.coffer(&["export", "--format", "json", "ghcr.io"]).run();
                let exported = scope.spawn(export);
                world.client_sees(world.get("ghcr.io"), &other, UNLOCK);
                world.person_sees(exported.join().unwrap(), &other, UNLOCK);
            });
        });
        scope.spawn(|| {
            let mut world = of_token();
            world.set("TOKEN_MODE", "pin");
            Pinentry::install(&world, &[]);
            let waited = world.get("ghcr.io");
            assert_eq!(
                waited.stderr,
                format!(
                    "age-plugin-token: Waiting for age-plugin-token...\n\
                     gave up after 19 s of waiting for what an age plugin asks for\nhint: {find}\n"
                )
            );
        });
    });
}

/// What a pinentry shows above the field for the passphrase.
#[test]
fn what_a_passphrase_is_for() {
    let (world, pinentry) = sealed();
    let (_, friend) = keygen(&world, "friend.txt");
    world.write(".docker/config.json", r#"{"auths":{"quay.io":{"auth":"YTpi"}}}"#);
    for (arguments, purpose) in [
        (&["export", "--format", "json", "ghcr.io"][..], "needs the passphrase of its key, to open ghcr.io"),
        (&["unlock"], "needs the passphrase of its key, to unlock it"),
        (&["lock"], ""),
        (&["recipients", "add", &friend], "needs the passphrase of its key, to change who can read the store"),
        (&["migrate", "--yes"], "needs the passphrase of its key, to read a backup"),
        (&["key", "rotate"], "needs the passphrase of its key, to change how it is held"),
        (&["key", "protect", "--passphrase"], "needs a new passphrase for its key"),
        // With the list of recipients gone, it is made anew.
        (&["setup", "--yes"], "needs the passphrase of its key, to list who can read the store"),
    ] {
        if arguments[0] == "setup" {
            fs::remove_file(world.store().join("store/.age-recipients")).unwrap();
        }
        pinentry.answer(&["open sesame"; 6]);
        world.coffer(arguments).run().ok();
        let told = pinentry.told();
        let told = told.iter().rev().find_map(|line| line.strip_prefix("SETDESC docker-credential-coffer "));
        assert_eq!(told.unwrap_or_default(), purpose, "{arguments:?}");
    }
}

/// To age it is a key that does not fit.
#[test]
fn a_plugin_that_cannot_be_started() {
    let world = of_token();
    world.script("age-plugin-token", "");
    fs::write(world.path("bin/age-plugin-token"), "#!/nonexistent\n").unwrap();
    world.client_sees(
        world.get("ghcr.io"),
        "none of the keys opens ~/.local/share/coffer/store/ghcr.io/alice.age",
        "see that the plugin runs and its token is plugged in; or use the key it was encrypted to (COFFER_IDENTITY_FILE names another)",
    );
}

#[test]
fn a_key_of_a_plugin() {
    let mut world = of_token();
    world.store_login(&format!("{}.example", "x".repeat(250)), "bob", "x").silent();
    let told = locked("it is held by an age plugin, which is not asked here");
    world.is_told(world.coffer(&["list"]).run(), &told);
    world.person_sees(
        world.coffer(&["unlock"]).run(),
        "the key never leaves the token of age-plugin-token, so it cannot be unlocked",
        "use the token each time, or set the plugin up to ask for a touch less often",
    );
    world.person_sees(
        world.coffer(&["key", "rotate"]).run(),
        "age-plugin-token holds the key, and makes its own",
        "make a new identity with it, and call docker-credential-coffer key protect --plugin FILE",
    );
    world.set("TOKEN_MODE", "pin");
    let pinentry = Pinentry::install(&world, &["1234"; 9]);
    let other = token(&world, "other");
    world.coffer(&["key", "protect", "--plugin", other.to_str().unwrap()]).run().ok();
    let told = pinentry.told();
    let mut asked: Vec<_> = told.iter().filter_map(|line| line.strip_prefix("SETDESC ")).collect();
    // One touch, and so one PIN, for each file: the new key is proved, the old one opens them, and then the new one does.
    asked.dedup();
    let whose = |purpose: &str| format!("docker-credential-coffer, {purpose}: age-plugin-token says: PIN of the token");
    let (proof, change) = (whose("to see that the new key works"), whose("to change how it is held"));
    assert_eq!(asked, [&proof, &change, &proof]);
    world.set("TOKEN_MODE", "absent");
    world.client_sees(
        world.get("ghcr.io"),
        "an age plugin failed: 'age-plugin-token' couldn't use an identity: the token is not plugged in",
        "see that the token is plugged in, and touch it when it blinks",
    );
    fs::remove_file(world.path("bin/age-plugin-token")).unwrap();
    world.client_sees(
        world.get("ghcr.io"),
        "age-plugin-token is not installed",
        "install age-plugin-token where the PATH finds it",
    );
}

#[test]
fn a_key_file_that_is_of_no_use() {
    let (world, pinentry) = sealed();
    let identities = world.store().join("identities");
    let own = fs::read(&identities).unwrap();
    let bring_back = "bring back the key that was there, or name it with COFFER_IDENTITY_FILE";
    let (_, recipient) = keygen(&world, "other.txt");
    let encrypted = world.call("age", &["-a", "-r", &recipient]).input("x").run().ok();
    let mut damaged = own.clone();
    let mac = own.windows(5).position(|window| window == b"\n--- ").unwrap() + 5;
    // Another letter of base64.
    damaged[mac] = if own[mac] == b'A' { b'B' } else { b'A' };
    let hard = "age-encryption.org/v1\n-> scrypt bBjlhJVYZeE4aqUdmtRHfw 30\n\
                ZV/AhotwSGqaPCU43cepl4WYUouAa17a3xpu4G2yi5k\n--- xcg1IsnLJ8B2Ukk2nUSqlFZ2xYYeQZDbLPsPZfcxvgw\n0123456789012345";
    for (text, problem) in [
        (&b"\xff"[..], " is not an age identity file"),
        (b"# a comment\n", " holds no age identity"),
        (b"# a comment\nSECRET\n", ":2: not an age identity"),
        (&[&own[..], &[0; 64 << 10]].concat(), " is too long for an identity file"),
        (b"age-encryption.org/v1\n-> scrypt x\n", " is not a whole age file"),
        (encrypted.as_bytes(), " is encrypted, and not with a passphrase"),
        (hard.as_bytes(), " asks for more work than any passphrase is worth"),
        (&damaged, " is damaged"),
        (&own[..own.len() - 1], " is damaged, or is not an identity file"),
    ] {
        fs::write(&identities, text).unwrap();
        pinentry.answer(&["open sesame"]);
        world.client_sees(world.get("ghcr.io"), &format!("{IDENTITIES}{problem}"), bring_back);
    }
}

#[test]
fn passphrases() {
    let world = held();
    let protect = |input: &[u8]| world.coffer(&["key", "protect", "--passphrase"]).input(input).run();
    world.person_sees(protect(b"\n"), "the passphrase is empty", "choose another");
    world.person_sees(protect(b"caf\xe9\n"), "cannot read the passphrase: it is not UTF-8", "");
    world.person_sees(protect(&[b'x'; 5000]), "cannot read the passphrase: it is longer than 4096 bytes", "");
    Pinentry::install(&world, &["one", "two", "one", "two", "one", "two"]);
    world.person_sees(protect(b""), "the passphrases are not the same", "try again");
    protect(PASSPHRASE.as_bytes()).ok();
    // Somebody lays the key bare while the passphrase is typed.
    let (plain, _) = keygen(&world, "plain.txt");
    world.script(
        "pinentry",
        &format!(
            "echo OK\nwhile read -r line; do case $line in\nGETPIN) cp {} {}; echo D open sesame ;;\nesac; echo OK; done",
            plain.display(),
            world.store().join("identities").display()
        ),
    );
    world.person_sees(
        world.coffer(&["unlock"]).run(),
        &format!("{IDENTITIES} has changed meanwhile"),
        "call unlock again",
    );
}
