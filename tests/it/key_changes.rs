//! Changing the key, and who can read: everything stays readable, also when the change is killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, SystemTime};

use crate::support::keys::{Pinentry, keygen, opens, token};
use crate::support::{Aws, Bus, World, chmod};

const PASSPHRASE: &str = "open sesame\n";

/// A world with a keyring, a token and somebody at a pinentry, in which two logins are held.
fn world() -> (World, Bus, Pinentry) {
    let mut world = World::new();
    let bus = Bus::empty(&mut world);
    let pinentry = Pinentry::install(&world, &[]);
    token(&world, "mine");
    world.store_login("ghcr.io", "alice", "hunter2").silent();
    world.store_login("quay.io", "bob", "s3cret").silent();
    (world, bus, pinentry)
}

fn all_is_readable(world: &World, pinentry: &Pinentry) {
    pinentry.answer(&["open sesame"; 6]);
    world.get("ghcr.io").answers("ghcr.io", "alice", "hunter2");
    world.get("quay.io").answers("quay.io", "bob", "s3cret");
}

/// Every age file of the store.
fn encrypted(world: &World) -> Vec<PathBuf> {
    let files = world.files(&world.store());
    files.iter().filter(|file| file.ends_with(".age")).map(|file| world.store().join(file)).collect()
}

fn protect(world: &World, options: &[&str]) {
    let outcome = world.coffer(&[&["key", "protect"], options].concat()).input(PASSPHRASE.repeat(2)).run();
    assert_eq!(outcome.code, Some(0), "{options:?} {outcome:#?}");
}

fn recipients(world: &World) -> String {
    fs::read_to_string(world.store().join("store/.age-recipients")).unwrap()
}

fn items_in_keyring(world: &World) -> usize {
    let search = ["search", "--all", "service", "docker-credential-coffer identity"];
    world.call("secret-tool", &search).run().said().matches("attribute.username").count()
}

#[test]
fn a_key_goes_from_every_kind_to_every_other() {
    let (world, mut bus, pinentry) = world();
    bus.start_keyring(&world);
    let mine = world.home().join("mine.txt");
    let kinds = [&["--file"][..], &["--passphrase"], &["--keyring"], &["--plugin", mine.to_str().unwrap()]];
    // Each after each, itself among them.
    let mut at = 0;
    for step in [0, 1, 1, 2, 0, 2, 2, 3, 3, 1, 0, 3, 2, 1, 3, 0] {
        let outcome = world.coffer(&["key", "show"]).run().ok();
        at = (at + step) % 4;
        pinentry.answer(&["open sesame"; 6]);
        // The old passphrase, where there is one, and the new one.
        let outcome_of = world.coffer(&[&["key", "protect"], kinds[at]].concat()).input(PASSPHRASE.repeat(2)).run();
        assert_eq!(outcome_of.code, Some(0), "{:?} after {outcome}: {outcome_of:#?}", kinds[at]);
        all_is_readable(&world, &pinentry);
        assert!(!world.store().join("rekeying").exists());
        let shown = world.coffer(&["key", "show"]).run().ok();
        let expected =
            ["a plain file", "sealed with a passphrase", "in the OS keyring", "held by age-plugin-token"][at];
        assert!(shown.contains(expected), "{shown}");
        let plain = world.files_with(&world.store(), "AGE-SECRET-KEY-1").len();
        assert_eq!((plain, items_in_keyring(&world)), (usize::from(at == 0), usize::from(at == 2)), "{shown}");
        assert_eq!(recipients(&world).lines().count(), 1, "{}", recipients(&world));
        assert_eq!(world.store().join("identities").exists(), at != 2);
    }
}

#[test]
fn an_old_key_opens_nothing_any_more() {
    let (mut world, mut bus, pinentry) = world();
    let aws = Aws::start(&mut world);
    world.get("123456789012.dkr.ecr.us-east-1.amazonaws.com").ok();
    world.set("AWS_PROFILE", "bob");
    let keys = "[bob]\naws_access_key_id = AKIDBOB\naws_secret_access_key = x\nmfa_serial = arn:aws:iam::1:mfa/bob\n";
    world.write(".aws/credentials", keys);
    world.unset("AWS_ACCESS_KEY_ID");
    world.coffer(&["mfa"]).input("123456\n").run().ok();
    assert!(aws.calls() > 0);
    world.write(".docker/config.json", "{\"auths\":{\"a.example\":{\"auth\":\"eDp5\"}}}");
    world.coffer(&["migrate", "--yes"]).run().ok();
    let aside = world.store().join("store/ghcr.io/alice (conflicted copy).age");
    fs::copy(world.store().join("store/ghcr.io/alice.age"), aside).unwrap();
    let files = encrypted(&world);
    assert_eq!(files.len(), 7, "three logins, a copy of one, a token, a session, a backup: {files:?}");

    let old = world.home().join("old.txt");
    fs::copy(world.store().join("identities"), &old).unwrap();
    assert!(files.iter().all(|file| opens(&world, &old, file)));
    world.coffer(&["key", "rotate"]).run().ok();
    assert!(encrypted(&world).iter().all(|file| !opens(&world, &old, file)));
    assert!(encrypted(&world).iter().all(|file| opens(&world, &world.store().join("identities"), file)));
    assert_eq!(recipients(&world).lines().count(), 1);
    all_is_readable(&world, &pinentry);

    // Sealed: with the same passphrase as before.
    protect(&world, &["--passphrase"]);
    let before = recipients(&world);
    world.coffer(&["key", "rotate"]).input(PASSPHRASE).run().ok();
    assert_ne!(recipients(&world), before);
    all_is_readable(&world, &pinentry);
    // In the OS keyring: one item takes the place of the other.
    bus.start_keyring(&world);
    protect(&world, &["--keyring"]);
    let before = recipients(&world);
    world.coffer(&["key", "rotate"]).run().ok();
    assert_ne!(recipients(&world), before);
    assert_eq!(items_in_keyring(&world), 1);
    all_is_readable(&world, &pinentry);
    // A token makes its own.
    let mine = world.home().join("mine.txt");
    protect(&world, &["--plugin", mine.to_str().unwrap()]);
    let refused = world.coffer(&["key", "rotate"]).run();
    assert!(refused.code == Some(1) && refused.stderr.contains("age-plugin-token holds the key"), "{refused:#?}");
    let next = token(&world, "next");
    protect(&world, &["--plugin", next.to_str().unwrap()]);
    assert!(encrypted(&world).iter().all(|file| !opens(&world, &mine, file) && opens(&world, &next, file)));
    all_is_readable(&world, &pinentry);
}

/// Two stores of one user, and one OS keyring.
#[test]
fn another_store_in_the_same_keyring_keeps_its_key() {
    let mut world = World::new();
    let _bus = Bus::with_keyring(&mut world);
    world.store_login("ghcr.io", "alice", "hunter2").silent();
    let other = world.home().join("other");
    let elsewhere = |arguments: &[&str], input: &str| {
        world.coffer(arguments).env("COFFER_DIR", other.to_str().unwrap()).input(input).run()
    };
    elsewhere(&["store"], &crate::support::login("ghcr.io", "work", "other")).silent();
    assert_eq!(items_in_keyring(&world), 2);
    elsewhere(&["key", "rotate"], "").ok();
    elsewhere(&["key", "protect", "--file"], "").ok();
    assert_eq!(items_in_keyring(&world), 1);
    world.get("ghcr.io").answers("ghcr.io", "alice", "hunter2");
    elsewhere(&["get"], "ghcr.io").answers("ghcr.io", "work", "other");
}

#[test]
fn what_is_somebody_elses_to_change_is_left() {
    let (world, mut bus, pinentry) = world();
    let before = world.files_with(&world.store(), "AGE-SECRET-KEY-1");
    let (identity, _) = keygen(&world, "elsewhere.txt");
    for command in [&["key", "rotate"][..], &["key", "protect", "--file"]] {
        let outcome = world.coffer(command).env("COFFER_IDENTITY_FILE", identity.to_str().unwrap()).run();
        assert!(
            outcome.code == Some(1) && outcome.stderr.contains("COFFER_IDENTITY_FILE names the key"),
            "{outcome:#?}"
        );
    }
    let (path, real) = (world.store().join("identities"), world.home().join("real"));
    fs::rename(&path, &real).unwrap();
    std::os::unix::fs::symlink(&real, &path).unwrap();
    let outcome = world.coffer(&["key", "protect", "--passphrase"]).input(PASSPHRASE).run();
    assert!(outcome.code == Some(1) && outcome.stderr.contains("leads to a file elsewhere"), "{outcome:#?}");
    fs::rename(&real, &path).unwrap();
    bus.start_keyring(&world);
    let config = world.config("[age]\nkey = \"file\"\n");
    let outcome = world.coffer(&["key", "protect", "--keyring"]).run();
    assert!(outcome.code == Some(1) && outcome.stderr.contains("config.toml says who holds the key"), "{outcome:#?}");
    assert_eq!((world.files_with(&world.store(), "AGE-SECRET-KEY-1"), items_in_keyring(&world)), (before, 0));
    // As the hint says.
    fs::remove_file(config).unwrap();
    protect(&world, &["--keyring"]);
    all_is_readable(&world, &pinentry);
    world.config("[age]\nkey = \"keyring\"\n");
    world.coffer(&["key", "rotate"]).run().ok();
    let outcome = world.coffer(&["key", "protect", "--passphrase"]).input(PASSPHRASE).run();
    assert!(outcome.code == Some(1) && outcome.stderr.contains("remove the line key"), "{outcome:#?}");
    all_is_readable(&world, &pinentry);
    for wrong in [&["key", "protect"][..], &["key", "protect", "--file", "--keyring"], &["key"]] {
        assert_eq!(world.coffer(wrong).run().code, Some(2));
    }
}

#[test]
fn a_plugins_key_is_proved_before_anything_depends_on_it() {
    let (mut world, _bus, pinentry) = world();
    let before = encrypted(&world).iter().map(|file| fs::read(file).unwrap()).collect::<Vec<_>>();
    let (mine, other) = (world.home().join("mine.txt"), token(&world, "other"));
    let recipient = |path: &Path| {
        let text = fs::read_to_string(path).unwrap();
        text.lines().nth(1).unwrap().rsplit(' ').next().unwrap().to_owned()
    };
    let line = fs::read_to_string(&mine).unwrap().lines().last().unwrap().to_owned();
    let fails = |world: &World, options: &[&str], words: &str| {
        let outcome = world.coffer(&[&["key", "protect"], options].concat()).run();
        assert!(outcome.code == Some(1) && outcome.stderr.contains(words), "{outcome:#?}");
    };
    fails(&world, &["--plugin", &line], "no comment beside the identity names its recipient");
    fails(&world, &["--plugin", &line, "--recipient", &recipient(&other)], "the new key does not open");
    fails(&world, &["--plugin", &line, "--recipient", "GARBAGE"], "that is not an age recipient");
    fails(&world, &["--plugin", "/nonexistent"], "/nonexistent");
    let (plain, _) = keygen(&world, "plain.txt");
    fails(&world, &["--plugin", plain.to_str().unwrap()], "not an identity of an age plugin alone");
    world.set("TOKEN_MODE", "absent");
    fails(&world, &["--plugin", mine.to_str().unwrap()], "the token is not plugged in");
    world.unset("TOKEN_MODE");
    assert_eq!(encrypted(&world).iter().map(|file| fs::read(file).unwrap()).collect::<Vec<_>>(), before);
    assert!(!world.store().join("rekeying").exists());
    protect(&world, &["--plugin", &line, "--recipient", &recipient(&mine)]);
    all_is_readable(&world, &pinentry);
}

#[test]
fn recipients_come_and_go_with_everything_that_is_held() {
    let (world, _bus, pinentry) = world();
    let own = recipients(&world).trim().to_owned();
    fs::write(world.store().join("store/.age-recipients"), format!("# the team\n{own}\n")).unwrap();
    let (friend, recipient) = keygen(&world, "friend.txt");
    assert!(encrypted(&world).iter().all(|file| !opens(&world, &friend, file)));
    for _ in 0..2 {
        world.coffer(&["recipients", "add", &recipient]).run().ok();
        assert_eq!(recipients(&world), format!("# the team\n{own}\n{recipient}\n"));
    }
    assert!(encrypted(&world).iter().all(|file| opens(&world, &friend, file)));
    let listed = world.coffer(&["recipients", "list"]).run().ok();
    assert_eq!(listed, format!("{own}  (this key)\n{recipient}\n"));
    all_is_readable(&world, &pinentry);

    // The friend may do the same, with his own key.
    let call = world.coffer(&["recipients", "remove", &own]).env("COFFER_IDENTITY_FILE", friend.to_str().unwrap());
    call.run().ok();
    world.get("ghcr.io").fails("none of the keys opens");
    let call = world.coffer(&["recipients", "add", &own]).env("COFFER_IDENTITY_FILE", friend.to_str().unwrap());
    call.run().ok();
    all_is_readable(&world, &pinentry);

    for _ in 0..2 {
        world.coffer(&["recipients", "remove", &recipient]).run().ok();
    }
    assert!(encrypted(&world).iter().all(|file| !opens(&world, &friend, file)));
    assert_eq!(recipients(&world), format!("# the team\n{own}\n"));
    let last = world.coffer(&["recipients", "remove", &own]).run();
    assert!(last.code == Some(1) && last.stderr.contains("this key could open nothing any more"), "{last:#?}");
    for bad in ["age1", "ssh-ed25519 AAAA", "AGE-SECRET-KEY-1"] {
        let outcome = world.coffer(&["recipients", "add", bad]).run();
        assert!(outcome.code == Some(1) && outcome.stderr.contains("that is not an age recipient"), "{outcome:#?}");
    }
    let missing = "age1yubikey1q2w7u3vpya839jxxuq8g0sedh3d740d4xvn639sqhr95ejj8vu3hyfumptt";
    let outcome = world.coffer(&["recipients", "add", missing]).run();
    assert!(outcome.stderr.contains("age-plugin-yubikey is not installed"), "{outcome:#?}");
    assert_eq!(recipients(&world), format!("# the team\n{own}\n"), "nothing is changed that cannot be carried through");
    all_is_readable(&world, &pinentry);
}

#[test]
fn a_recovery_key_opens_everything_when_the_key_is_lost() {
    let (mut world, _bus, pinentry) = world();
    protect(&world, &["--passphrase"]);
    // One that could not be shown is not let in.
    let before = recipients(&world);
    let full = world.call("sh", &["-c", "docker-credential-coffer recipients add --recovery > /dev/full"]);
    assert_eq!(full.input(PASSPHRASE).run().code, Some(1));
    assert_eq!(recipients(&world), before);
    let printed = world.coffer(&["recipients", "add", "--recovery"]).input(PASSPHRASE).run().ok();
    let recovery = world.write("recovery.txt", &printed);
    chmod(&recovery, 0o400);
    assert!(world.files_with(&world.store(), printed.lines().last().unwrap()).is_empty());
    fs::remove_file(world.store().join("identities")).unwrap();
    assert!(encrypted(&world).iter().all(|file| opens(&world, &recovery, file)));
    world.set("COFFER_IDENTITY_FILE", recovery.to_str().unwrap());
    all_is_readable(&world, &pinentry);
    // A new key of one's own, from the recovery key alone.
    let (identity, recipient) = keygen(&world, "new.txt");
    world.coffer(&["recipients", "add", &recipient]).run().ok();
    world.unset("COFFER_IDENTITY_FILE");
    fs::rename(identity, world.store().join("identities")).unwrap();
    all_is_readable(&world, &pinentry);
}

/// Of two files for one server, as after a git merge, the newest counts; and it still does.
#[test]
fn what_is_newest_stays_so() {
    let (world, _bus, _pinentry) = world();
    let directory = world.store().join("store/ghcr.io");
    let alice = fs::read(directory.join("alice.age")).unwrap();
    world.store_login("ghcr.io", "zoe", "two").silent();
    fs::write(directory.join("alice.age"), alice).unwrap();
    let set = |name: &str, seconds| {
        let time = SystemTime::now() - Duration::from_secs(seconds);
        fs::File::options().write(true).open(directory.join(name)).unwrap().set_modified(time).unwrap();
    };
    for (alice, zoe, expected) in [(1000, 2000, "alice"), (2000, 1000, "zoe")] {
        set("alice.age", alice);
        set("zoe.age", zoe);
        let time = fs::metadata(directory.join("alice.age")).unwrap().modified().unwrap();
        world.coffer(&["key", "rotate"]).run().ok();
        assert!(world.get("ghcr.io").ok().contains(expected));
        assert_eq!(fs::metadata(directory.join("alice.age")).unwrap().modified().unwrap(), time);
    }
}

#[test]
fn what_could_not_be_opened_before_is_left_and_named() {
    let (world, _bus, pinentry) = world();
    let broken = world.store().join("store/gcr.io/x.age");
    fs::create_dir(broken.parent().unwrap()).unwrap();
    fs::write(&broken, "not an age file").unwrap();
    let outcome = world.coffer(&["key", "rotate"]).run();
    assert!(
        outcome.code == Some(1)
            && outcome.stderr.contains("what could not be opened, and was left as it is: 1 of the files"),
        "{outcome:#?}"
    );
    assert!(outcome.stderr.contains("gcr.io/x.age"), "{outcome:#?}");
    assert_eq!(fs::read_to_string(broken).unwrap(), "not an age file");
    all_is_readable(&world, &pinentry);
}

/// A `get` takes no lock: the key may change between its two looks.
#[test]
fn a_get_in_the_middle_of_a_change_is_answered() {
    let (world, _bus, _pinentry) = world();
    thread::scope(|scope| {
        let changes = scope.spawn(|| {
            for _ in 0..8 {
                world.coffer(&["key", "rotate"]).run().ok();
            }
        });
        while !changes.is_finished() {
            world.get("ghcr.io").answers("ghcr.io", "alice", "hunter2");
        }
    });
}

/// To end it with another key would throw away the one that is in use.
#[test]
fn a_change_that_was_interrupted_is_ended_with_the_stores_own_key() {
    let (world, _bus, pinentry) = world();
    let printed = world.coffer(&["recipients", "add", "--recovery"]).run().ok();
    let recovery = world.write("recovery.txt", &printed);
    let (_, old) = keygen(&world, "old.txt");
    let own = world.call("age-keygen", &["-y", world.store().join("identities").to_str().unwrap()]).run().ok();
    let marker = world.store().join("rekeying");
    fs::write(&marker, format!("new {own}old {old}\n")).unwrap();
    chmod(&marker, 0o600);
    let (_, friend) = keygen(&world, "friend.txt");
    let call = world.coffer(&["recipients", "add", &friend]).env("COFFER_IDENTITY_FILE", recovery.to_str().unwrap());
    let refused = call.run();
    assert!(refused.code == Some(1) && refused.stderr.contains("neither the old key nor the new one"), "{refused:#?}");
    assert!(recipients(&world).contains(own.trim()));
    assert!(world.coffer(&["key", "show"]).run().ok().contains("was interrupted; call that command again"));
    world.coffer(&["recipients", "add", &friend]).run().ok();
    assert!(!marker.exists() && recipients(&world).contains(own.trim()) && recipients(&world).contains(&friend));
    all_is_readable(&world, &pinentry);
}

/// Runs a command and kills it after a while. Whether it was killed.
fn killed(world: &World, arguments: &[&str], after: Duration) -> bool {
    let mut command = world.command(env!("CARGO_BIN_EXE_docker-credential-coffer"));
    let command = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    thread::sleep(after);
    let _ = child.kill();
    child.wait().unwrap().code().is_none()
}

#[test]
fn a_change_that_is_killed_at_any_moment_loses_nothing() {
    let (world, _bus, pinentry) = world();
    for number in 0..8 {
        world.store_login(&format!("host{number}.example"), "u", "x").silent();
    }
    let (friend, recipient) = keygen(&world, "friend.txt");
    let mut kills = 0;
    for round in 0..24_u64 {
        let arguments: [&[&str]; 3] =
            [&["key", "rotate"], &["recipients", "add", &recipient], &["recipients", "remove", &recipient]];
        kills += u32::from(killed(&world, arguments[round as usize % 3], Duration::from_micros(2000 + round * 1700)));
        all_is_readable(&world, &pinentry);
        world.get("host7.example").ok();
    }
    assert!(kills > 4, "{kills}");
    world.coffer(&["recipients", "remove", &recipient]).run().ok();
    world.coffer(&["key", "rotate"]).run().ok();
    all_is_readable(&world, &pinentry);
    assert!(encrypted(&world).iter().all(|file| !opens(&world, &friend, file)));
    assert_eq!(recipients(&world).lines().count(), 1);
    assert!(!world.files(&world.store()).iter().any(|file| file.contains(".tmp-") || file == "rekeying"));
}
