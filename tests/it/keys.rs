//! Kinds of key, made by age's own programs and opened by them, and what happens when one is out of reach.

use std::fs;

use crate::support::keys::{Pinentry, keygen, opens, token};
use crate::support::{Aws, Bus, IN_TIME, Terminal, World, chmod, login, wait_until};

/// A world in which `ghcr.io` is held for alice, and its key is sealed with `open sesame`.
fn sealed() -> (World, Pinentry) {
    let world = World::new();
    let pinentry = Pinentry::install(&world, &[]);
    world.store_login("ghcr.io", "alice", "hunter2").silent();
    world.coffer(&["key", "protect", "--passphrase"]).input("open sesame\n").run().ok();
    (world, pinentry)
}

/// A world whose key the token holds.
fn of_token() -> World {
    let world = World::new();
    let identity = token(&world, "mine");
    world.store_login("ghcr.io", "alice", "hunter2").silent();
    world.coffer(&["key", "protect", "--plugin", identity.to_str().unwrap()]).run().ok();
    world
}

#[test]
fn a_key_that_the_age_program_sealed_opens() {
    let world = World::new();
    let pinentry = Pinentry::install(&world, &[]);
    world.store_login("ghcr.io", "alice", "hunter2").silent();
    let identities = world.store().join("identities");
    let plain = world.home().join("plain.txt");
    fs::rename(&identities, &plain).unwrap();
    for options in ["-p", "-p -a"] {
        let _ = fs::remove_file(&identities);
        let command = format!("age {options} -o '{}' '{}'", identities.display(), plain.display());
        let mut age = Terminal::run(&world, &command);
        age.see("passphrase").write("open sesame\r").see("onfirm").write("open sesame\r");
        assert_eq!(age.end().0, Some(0));
        chmod(&identities, 0o600);
        pinentry.answer(&["open sesame"]);
        world.get("ghcr.io").answers("ghcr.io", "alice", "hunter2");
        // As a file from elsewhere, whose mode is its owner's business.
        pinentry.answer(&["open sesame"]);
        let elsewhere = world.home().join("elsewhere");
        fs::copy(&identities, &elsewhere).unwrap();
        chmod(&elsewhere, 0o444);
        let call = world.coffer(&["get"]).env("COFFER_IDENTITY_FILE", elsewhere.to_str().unwrap());
        call.input("ghcr.io").run().answers("ghcr.io", "alice", "hunter2");
    }
}

#[test]
fn the_age_program_opens_a_key_that_was_sealed_here() {
    let (world, _) = sealed();
    let identities = world.store().join("identities");
    let mut age = Terminal::run(&world, &format!("age -d '{}'", identities.display()));
    age.see("passphrase").write("open sesame\r");
    let (code, shown) = age.end();
    assert!(code == Some(0) && shown.contains("AGE-SECRET-KEY-1"), "{shown}");
    assert!(world.files_with(&world.home(), "AGE-SECRET-KEY-1").is_empty());
}

#[test]
fn only_what_is_held_and_read_asks_for_the_passphrase() {
    let (mut world, pinentry) = sealed();
    pinentry.answer(&["open sesame"]);
    world.get("quay.io").misses();
    world.store_login("quay.io", "bob", "s3cret").silent();
    world.coffer(&["erase"]).input("gcr.io").run().silent();
    assert_eq!(world.coffer(&["list"]).run().ok(), "{\"ghcr.io\":\"alice\",\"quay.io\":\"bob\"}\n");
    for arguments in [&["ls"][..], &["explain", "ghcr.io"], &["key", "show"], &["recipients", "list"]] {
        world.coffer(arguments).run().ok();
    }
    assert_eq!(pinentry.asked(), 0);
    world.get("quay.io").answers("quay.io", "bob", "s3cret");
    assert_eq!(pinentry.asked(), 1);

    for name in ["CI", "COFFER_NO_PROMPT"] {
        pinentry.answer(&["open sesame"]);
        world.set(name, "1");
        let refused = world.get("ghcr.io");
        assert!(refused.stderr.contains("hint: unlock it in a terminal: docker-credential-coffer unlock"));
        refused.fails("is locked: nobody may be asked for its passphrase here (as with CI or COFFER_NO_PROMPT)");
        world.get("gcr.io").misses();
        assert_eq!(pinentry.asked(), 0);
        world.unset(name);
    }
}

/// A token is sooner minted than a passphrase typed.
#[test]
fn a_locked_key_costs_a_call_to_aws_and_no_question() {
    let (mut world, pinentry) = sealed();
    let aws = Aws::start(&mut world);
    let host = "123456789012.dkr.ecr.us-east-1.amazonaws.com";
    pinentry.answer(&["open sesame"]);
    world.get(host).answers(host, "AWS", "token-1");
    world.get(host).answers(host, "AWS", "token-2");
    assert_eq!(pinentry.asked(), 0);
    world.coffer(&["unlock"]).input("open sesame\n").run().ok();
    world.get(host).answers(host, "AWS", "token-2");
    assert_eq!(aws.calls(), 2, "what was kept is open now");
    world.coffer(&["lock"]).run().ok();
}

#[test]
fn nobody_to_ask_is_no_miss() {
    let (mut world, _) = sealed();
    world.set("PINENTRY_PROGRAM", "");
    // In a session of its own it has no terminal.
    let get = |server: &str| world.call("setsid", &["--wait", "docker-credential-coffer", "get"]).input(server).run();
    get("ghcr.io").fails("there is neither a pinentry nor a terminal to ask for its passphrase");
    get("quay.io").misses();
}

#[test]
fn a_plugin_holds_the_key() {
    let mut world = of_token();
    let log = world.path("run/log");
    world.set("TOKEN_LOG", log.to_str().unwrap());
    let calls = || fs::read_to_string(&log).unwrap_or_default();
    world.get("ghcr.io").answers("ghcr.io", "alice", "hunter2");
    assert_eq!(calls(), "identity-v1\n");
    world.store_login("quay.io", "bob", "s3cret").silent();
    assert_eq!(calls(), "identity-v1\nrecipient-v1\n", "writing needs no token");
    world.get("gcr.io").misses();
    world.coffer(&["list"]).run().ok();
    assert_eq!(calls().lines().count(), 2);
    world.get("quay.io").answers("quay.io", "bob", "s3cret");
    assert!(world.files_with(&world.home(), "AGE-SECRET-KEY-1").is_empty());
    // age's own program calls the same plugin.
    let file = world.store().join("store/quay.io/bob.age");
    assert!(opens(&world, &world.store().join("identities"), &file));
}

#[test]
fn a_token_that_is_gone_is_no_miss() {
    let mut world = of_token();
    world.set("TOKEN_MODE", "absent");
    world.get("ghcr.io").fails("'age-plugin-token' couldn't use an identity: the token is not plugged in");
    world.get("quay.io").misses();
    world.unset("TOKEN_MODE");
    fs::rename(world.path("bin/age-plugin-token"), world.path("bin/gone")).unwrap();
    world.get("ghcr.io").fails("age-plugin-token is not installed");
    world.get("quay.io").misses();
    world.store_login("quay.io", "bob", "x").fails("age-plugin-token is not installed");
}

#[test]
fn a_plugin_may_ask_for_its_pin() {
    let mut world = of_token();
    world.set("TOKEN_MODE", "pin");
    let pinentry = Pinentry::install(&world, &["1234"]);
    world.get("ghcr.io").answers("ghcr.io", "alice", "hunter2");
    let asked = "SETDESC docker-credential-coffer, to open ghcr.io: age-plugin-token says: PIN of the token";
    assert!(pinentry.told().iter().any(|line| line == asked), "{:?}", pinentry.told());
    pinentry.answer(&["4321"]);
    world.get("ghcr.io").fails("the PIN is wrong");
    pinentry.answer(&["1234"]);
    world.set("CI", "1");
    world.get("ghcr.io").fails("the PIN is wrong");
    assert_eq!(pinentry.asked(), 0);
}

#[test]
fn a_plugin_that_waits_for_ever_costs_no_more_than_its_time() {
    let mut world = of_token();
    world.set("TOKEN_MODE", "silent");
    let waited = world.get("ghcr.io");
    assert_eq!(waited.stdout, "gave up after 19 s of waiting for an age plugin, which may wait to be touched\n");
    assert!(waited.stderr.contains("age-plugin-token: touch the token"), "{waited:#?}");
    assert!(waited.took < IN_TIME, "{waited:#?}");
    wait_until("the plugin's end", || world.is_quiet());
}

#[test]
fn an_identity_file_from_elsewhere_may_name_a_plugin() {
    let world = World::new();
    let identity = token(&world, "mine");
    let get = |server: &str| {
        let call = world.coffer(&["get"]).env("COFFER_IDENTITY_FILE", identity.to_str().unwrap());
        call.input(server).run()
    };
    let store = world.coffer(&["store"]).env("COFFER_IDENTITY_FILE", identity.to_str().unwrap());
    store.input(login("ghcr.io", "alice", "hunter2")).run().silent();
    get("ghcr.io").answers("ghcr.io", "alice", "hunter2");
    get("quay.io").misses();
    let listed = fs::read_to_string(world.store().join("store/.age-recipients")).unwrap();
    assert!(listed.starts_with("age1token1"), "{listed}");
}

#[test]
fn a_passphrase_that_would_take_an_hour_is_refused_at_once() {
    let (world, pinentry) = sealed();
    let header = "age-encryption.org/v1\n-> scrypt bBjlhJVYZeE4aqUdmtRHfw 30\n";
    let body = "ZV/AhotwSGqaPCU43cepl4WYUouAa17a3xpu4G2yi5k\n--- xcg1IsnLJ8B2Ukk2nUSqlFZ2xYYeQZDbLPsPZfcxvgw\n";
    fs::write(world.store().join("identities"), format!("{header}{body}0123456789012345")).unwrap();
    pinentry.answer(&["open sesame"]);
    world.get("ghcr.io").fails("asks for more work than any passphrase is worth");
}

#[test]
fn key_show_says_what_each_kind_is_worth() {
    let (mut world, _) = sealed();
    let show = |world: &World| world.coffer(&["key", "show"]).run().ok();
    let shown = show(&world);
    for words in ["sealed with a passphrase", "it is not unlocked", "can try passphrases", "while the key is unlocked"]
    {
        assert!(shown.contains(words), "{shown}");
    }
    let doctor = |world: &World| world.coffer(&["doctor"]).run().stdout;
    assert!(doctor(&world).contains("sealed with a passphrase; with the disk alone, an attacker sees names"));
    let marker = world.store().join("rekeying");
    fs::write(&marker, "").unwrap();
    chmod(&marker, 0o600);
    assert!(doctor(&world).contains("a change of the key or of the recipients was interrupted"));
    fs::remove_file(marker).unwrap();
    let shown = show(&of_token());
    for words in ["held by age-plugin-token", "its recipient is age1token1", "nothing without the token", "a touch"] {
        assert!(shown.contains(words), "{shown}");
    }
    let (identity, recipient) = keygen(&world, "elsewhere.txt");
    world.set("COFFER_IDENTITY_FILE", identity.to_str().unwrap());
    assert!(show(&world).contains("it is not among those who can read the store"));
    world.unset("COFFER_IDENTITY_FILE");

    let mut plain = World::new();
    let nothing = plain.coffer(&["key", "show"]).run();
    let setup = "docker-credential-coffer setup makes it";
    plain.person_sees(nothing, "there is no store in ~/.local/share/coffer yet", setup);
    plain.store_login("ghcr.io", "alice", "x").silent();
    for words in ["a plain file", "nobody else can read", "opens everything, since the key lies there too"] {
        assert!(show(&plain).contains(words), "{}", show(&plain));
    }
    plain.coffer(&["recipients", "add", &recipient]).run().ok();
    assert!(show(&plain).contains("1 other can read the store"));
    let bus = Bus::with_keyring(&mut plain);
    plain.coffer(&["key", "protect", "--keyring"]).run().ok();
    bus.lock(&plain);
    for words in
        ["in the OS keyring", "its recipient is age1", "the password of the OS keyring", "from login to logout"]
    {
        assert!(show(&plain).contains(words), "{}", show(&plain));
    }
    assert!(!show(&plain).contains("AGE-SECRET-KEY"));
}

#[test]
fn setup_seals_a_new_key_at_once() {
    let world = World::new();
    let outcome = world.coffer(&["setup", "--yes", "--key", "passphrase"]).input("open sesame\n").run();
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    assert!(outcome.stderr.contains("with its key sealed with a passphrase"), "{outcome:#?}");
    assert!(world.files_with(&world.home(), "AGE-SECRET-KEY-1").is_empty());
    world.store_login("ghcr.io", "alice", "hunter2").silent();
    Pinentry::install(&world, &["open sesame"]);
    world.get("ghcr.io").answers("ghcr.io", "alice", "hunter2");
    world.coffer(&["setup", "--yes", "--key", "passphrase"]).run().ok();
    // One that is there is not made anew.
    world.coffer(&["key", "protect", "--file"]).input("open sesame\n").run().ok();
    let refused = world.coffer(&["setup", "--yes", "--key", "passphrase"]).input("x\n").run();
    assert!(refused.code == Some(1) && refused.stderr.contains("key protect --passphrase"), "{refused:#?}");
    // The key of another store in the same keyring is none of this one's.
    let mut other = World::new();
    let _bus = Bus::with_keyring(&mut other);
    other.store_login("ghcr.io", "alice", "x").silent();
    let elsewhere = other.home().join("elsewhere");
    let call = other.coffer(&["setup", "--yes", "--key", "passphrase"]).env("COFFER_DIR", elsewhere.to_str().unwrap());
    call.input("open sesame\n").run().ok();
    assert!(elsewhere.join("identities").exists());
}

#[test]
fn setup_offers_a_recovery_key_and_shows_it_once() {
    let world = World::new();
    let mut setup = Terminal::run(&world, "docker-credential-coffer setup");
    setup.see("go on? [Y/n]").write("\n").see("make a recovery key, to be kept on paper? [y/N]").write("y\n");
    let (code, shown) = setup.end();
    let line = shown.lines().find(|line| line.starts_with("AGE-SECRET-KEY-1")).map(str::to_owned);
    let (Some(0), Some(identity)) = (code, line) else { panic!("{shown}") };
    let recovery = world.write("recovery.txt", &identity);
    let list = fs::read_to_string(world.store().join("store/.age-recipients")).unwrap();
    assert!(list.contains("# recovery key, made 20"), "{list}");
    world.store_login("ghcr.io", "alice", "hunter2").silent();
    fs::remove_file(world.store().join("identities")).unwrap();
    let call = world.coffer(&["get"]).env("COFFER_IDENTITY_FILE", recovery.to_str().unwrap());
    call.input("ghcr.io").run().answers("ghcr.io", "alice", "hunter2");
    assert!(opens(&world, &recovery, &world.store().join("store/ghcr.io/alice.age")));
}
