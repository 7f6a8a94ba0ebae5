//! The secret marker on the ways of keys and passphrases: what is typed, pasted in the wrong place, or damaged on the disk.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::keys::{Pinentry, keygen};
use crate::support::marker::{MARKER, form_in};
use crate::support::{Bus, Terminal, World, chmod};

/// A store whose key is sealed with the marker. Whoever seals it, the passphrase is read and goes nowhere.
fn sealed() -> World {
    let world = World::new();
    world.script("pinentry", "exit 1");
    world.store_login("ghcr.io", "alice", "x").silent();
    let watched = world.watch(&["key", "protect", "--passphrase"], format!("{MARKER}\n"));
    watched.hides_it("key protect");
    assert_eq!(watched.outcome.code, Some(0), "{:#?}", watched.outcome);
    world
}

#[test]
fn no_passphrase_from_standard_input_comes_back() {
    let world = sealed();
    let wrong = format!("{MARKER}!");
    for call in
        [&["unlock"][..], &["key", "rotate"], &["recipients", "add", "--recovery"], &["key", "protect", "--file"]]
    {
        let watched = world.watch(call, format!("{wrong}\n"));
        watched.hides_it(&format!("{call:?}"));
        assert_eq!(watched.outcome.code, Some(1), "{call:?}: {:#?}", watched.outcome);
    }
    let not_utf8 = [MARKER.as_bytes(), b"\xff\n"].concat();
    for input in [format!("{wrong}\n{MARKER}\n").as_bytes(), wrong.as_bytes(), MARKER.repeat(300).as_bytes(), &not_utf8]
    {
        let watched = world.watch(&["unlock"], input);
        watched.hides_it(&String::from_utf8_lossy(input));
        assert_eq!(watched.outcome.code, Some(1), "{:#?}", watched.outcome);
    }
    // The right one opens it, and is not seen either.
    let rotated = world.watch(&["key", "rotate"], format!("{MARKER}\n"));
    rotated.hides_it("key rotate");
    assert_eq!(rotated.outcome.code, Some(0), "{:#?}", rotated.outcome);
}

#[test]
fn no_passphrase_from_a_pinentry_comes_back() {
    let world = sealed();
    let wrong = format!("{MARKER}!");
    let pinentry = Pinentry::install(&world, &[&wrong, &wrong, &wrong]);
    let watched = world.watch(&["get"], "ghcr.io");
    watched.hides_it("three times wrong");
    assert!(watched.outcome.stdout.contains("passphrase does not open"), "{:#?}", watched.outcome);
    assert_eq!(pinentry.asked(), 3);
    assert_eq!(form_in(pinentry.told().join("\n").as_bytes()), None);
    // One that lies about its length, one that fails after the answer, one that says it in an error.
    for end in ["printf 'D '; head -c 3000 /dev/zero | tr '\\0' x; echo; echo OK", "exit 1", "echo ERR 1 MARK"] {
        let script = format!(
            "echo OK\nwhile read -r line; do case $line in GETPIN) echo 'D MARK'; {end} ;; *) echo OK ;; esac; done"
        );
        world.script("pinentry", &script.replace("MARK", MARKER));
        let watched = world.watch(&["get"], "ghcr.io");
        watched.hides_it(end);
        assert_eq!(watched.outcome.code, Some(1), "{end}: {:#?}", watched.outcome);
    }
    // Chosen anew, and not the same.
    fs::remove_file(world.path("bin/pinentry")).unwrap();
    let twice: Vec<String> = (0..6).map(|number| format!("{MARKER}{number}")).collect();
    let plain = World::new();
    plain.store_login("ghcr.io", "alice", "x").silent();
    Pinentry::install(&plain, &twice.iter().map(String::as_str).collect::<Vec<_>>());
    let watched = plain.watch(&["key", "protect", "--passphrase"], "");
    watched.hides_it("chosen and not repeated");
    assert!(watched.outcome.stderr.contains("not the same"), "{:#?}", watched.outcome);
}

#[test]
fn no_passphrase_shows_on_the_terminal() {
    let mut world = sealed();
    world.set("PINENTRY_PROGRAM", "");
    let mut terminal = Terminal::run(&world, "COFFER_LOG=debug docker-credential-coffer get <<X\nghcr.io\nX\n");
    for _ in 0..3 {
        terminal.see("Passphrase:").write(&format!("{MARKER}!\r"));
    }
    let (code, screen) = terminal.end();
    assert_eq!((code, form_in(screen.as_bytes())), (Some(1), None), "{screen}");
    assert!(screen.contains("does not open the key"), "{screen}");
}

/// A key with a typo, a secret in the recipients' place, another file where the key is wanted.
#[test]
fn nothing_of_a_key_file_is_quoted() {
    let world = World::new();
    world.store_login("ghcr.io", "alice", "x").silent();
    let identities = world.store().join("identities");
    let recipients = world.store().join("store/.age-recipients");
    let (key, list) = (fs::read_to_string(&identities).unwrap(), fs::read_to_string(&recipients).unwrap());
    let typo = format!("AGE-SECRET-KEY-1{MARKER}");
    let calls = [
        (&["get"][..], "ghcr.io"),
        (&["ls"], ""),
        (&["key", "show"], ""),
        (&["key", "rotate"], ""),
        (&["recipients", "list"], ""),
        (&["doctor", "--json"], ""),
        (&["explain", "ghcr.io"], ""),
        (&["unlock"], ""),
        (&["setup", "--yes"], ""),
    ];
    for text in [
        format!("{typo}\n"),
        format!("# public key: {MARKER}\n{typo}\n"),
        format!("{key}\n{MARKER}\n"),
        format!("AGE-PLUGIN-{MARKER}\n"),
        format!("age-encryption.org/v1\n-> scrypt {MARKER} 18\n{MARKER}\n--- {MARKER}\n"),
        format!("-----BEGIN AGE ENCRYPTED FILE-----\n{MARKER}\n"),
        format!("\u{feff}{typo}"),
    ] {
        fs::write(&identities, &text).unwrap();
        for (call, input) in calls {
            world.watch(call, input).hides_it(&format!("{call:?} {text}"));
        }
    }
    fs::write(&identities, [MARKER.as_bytes(), b"\xff"].concat()).unwrap();
    world.watch(&["get"], "ghcr.io").hides_it("not UTF-8");
    fs::write(&identities, &key).unwrap();
    for text in [format!("{list}{typo}\n"), format!("{MARKER}\n"), format!("{list}# comment\nage1{MARKER}\n")] {
        fs::write(&recipients, text).unwrap();
        for (call, input) in calls {
            world.watch(call, input).hides_it(&format!("recipients: {call:?}"));
        }
        let store = world.watch(&["store"], crate::support::login("ghcr.io", "alice", MARKER));
        store.hides_it("store");
        assert!(store.outcome.stdout.contains("is not an age recipient"), "{:#?}", store.outcome);
    }
    fs::write(&recipients, &list).unwrap();
    world.get("ghcr.io").answers("ghcr.io", "alice", "x");
}

#[test]
fn nothing_of_a_file_that_is_no_key_is_quoted() {
    let mut world = World::new();
    world.store_login("ghcr.io", "alice", "x").silent();
    for text in [MARKER.to_owned(), format!("{{\"auth\":\"{MARKER}\"}}"), format!("[age]\nkey = \"{MARKER}\"\n")] {
        let path = world.write("secret-file", &text);
        world.set("COFFER_IDENTITY_FILE", path.to_str().unwrap());
        for (call, input) in [(&["get"][..], "ghcr.io"), (&["key", "show"], ""), (&["doctor"], ""), (&["unlock"], "")] {
            world.watch(call, input).hides_it(&format!("{call:?}"));
        }
        let given = ["key", "protect", "--plugin", path.to_str().unwrap()];
        world.unset("COFFER_IDENTITY_FILE");
        let watched = world.watch(&given, "");
        watched.hides_it("--plugin");
        assert_eq!(watched.outcome.code, Some(1), "{:#?}", watched.outcome);
    }
}

/// CI systems make it easy to put the key itself where its file belongs.
#[test]
fn a_key_in_place_of_its_path_is_not_quoted() {
    let world = World::new();
    world.store_login("ghcr.io", "alice", "x").silent();
    let key = format!("AGE-SECRET-KEY-1{MARKER}");
    for variable in ["COFFER_IDENTITY_FILE", "COFFER_DIR", "COFFER_CONFIG"] {
        let outcome = world.coffer(&["get"]).env(variable, &key).input("ghcr.io").run();
        assert_eq!(form_in(outcome.said().as_bytes()), None, "{outcome:#?}");
        outcome.fails("is not an absolute path");
    }
    let (_, recipient) = keygen(&world, "other.txt");
    for call in [
        &["key", "protect", "--plugin", &key][..],
        &["key", "protect", "--plugin", &format!("# a comment\n{key}")],
        &["recipients", "add", &key],
        &["recipients", "remove", &key],
        &["key", "protect", "--plugin", "AGE-PLUGIN-X-1", "--recipient", &key],
    ] {
        let outcome = world.coffer(call).env("COFFER_LOG", "debug").run();
        assert_eq!((outcome.code, form_in(outcome.said().as_bytes())), (Some(1), None), "{outcome:#?}");
    }
    world.coffer(&["recipients", "add", &recipient]).run().ok();
}

/// The one place for a secret outside of a file: the kernel's keyring, for a key that is unlocked.
#[test]
fn an_unlocked_key_goes_to_the_kernel_alone() {
    let world = sealed();
    let identities = world.store().join("identities");
    world.coffer(&["key", "protect", "--file"]).input(format!("{MARKER}\n")).run().ok();
    // The marker in the key's own comment, which is a part of what is unlocked.
    let text = format!("# {MARKER}\n{}", fs::read_to_string(&identities).unwrap());
    fs::write(&identities, text).unwrap();
    world.coffer(&["key", "protect", "--passphrase"]).input("correct horse\n").run().ok();
    let unlocked = world.watch(&["unlock"], "correct horse\n");
    unlocked.calls_are("unlock", &["add_key("]);
    assert!(!unlocked.calls.is_empty() && unlocked.outcome.code == Some(0), "{:#?}", unlocked.outcome);
    assert_eq!(form_in(unlocked.outcome.said().as_bytes()), None, "{:#?}", unlocked.outcome);
    let got = world.watch(&["get"], "ghcr.io");
    world.coffer(&["lock"]).run().ok();
    got.calls_are("get", &[]);
    got.outcome.answers("ghcr.io", "alice", "x");
}

/// Between this program and the OS keyring a secret crosses the bus, and nothing else.
#[test]
fn with_the_os_keyring_a_secret_crosses_the_bus_alone() {
    let mut world = World::new();
    let mut bus = Bus::with_keyring(&mut world);
    world.config("store = \"keyring\"\n");
    let request = crate::support::login("ghcr.io", "alice", MARKER);
    let stored = world.watch(&["store"], &request);
    stored.calls_are("store", &["sendmsg(", "sendto("]);
    assert!(!stored.calls.is_empty() && stored.outcome.code == Some(0), "{:#?}", stored.outcome);
    let got = world.watch(&["get"], "ghcr.io");
    got.calls_are("get", &["write(1<"]);
    got.outcome.answers("ghcr.io", "alice", MARKER);
    bus.lock(&world);
    world.set("COFFER_NO_PROMPT", "1");
    let locked = world.watch(&["store"], &request);
    locked.hides_it("locked");
    assert!(locked.outcome.stdout.contains("keyring is locked"), "{:#?}", locked.outcome);
    bus.stop_keyring();
    let gone = world.watch(&["store"], &request);
    gone.hides_it("gone");
    assert!(gone.outcome.stdout.contains("cannot be reached"), "{:#?}", gone.outcome);
    chmod(&world.path("run"), 0o700);
}

/// It is in the process list and in the shell's history all the same; a log of a build need not have it too.
#[test]
fn a_passphrase_given_as_an_argument_is_not_repeated() {
    let world = World::new();
    let plugin = world.path("bin/docker-coffer");
    symlink(env!("CARGO_BIN_EXE_docker-credential-coffer"), &plugin).unwrap();
    let arguments = ["key", "protect", "--passphrase", MARKER];
    let by_plugin = world.call(&plugin, &[&["coffer"][..], &arguments].concat()).run();
    for said in [world.coffer(&arguments).run(), by_plugin] {
        assert_eq!(said.code, Some(2), "{said:#?}");
        assert!(said.stderr.contains("unexpected argument '***' found"), "{said:#?}");
        assert_eq!(form_in(said.said().as_bytes()), None, "{said:#?}");
    }
    let (passphrase, choice) = (format!("--passphrase={MARKER}"), format!("passphrase={MARKER}"));
    for arguments in [&["key", "protect", &passphrase][..], &["setup", "--key", &choice]] {
        let said = world.coffer(arguments).run();
        assert!(said.code == Some(2) && said.stderr.contains("value '***'"), "{said:#?}");
        assert_eq!(form_in(said.said().as_bytes()), None, "{said:#?}");
    }
}
