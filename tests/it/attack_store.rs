//! A store's directory into which somebody else can put things: a shared repository, a backup that was restored. Every
//! command ends in time, touches nothing outside, says nothing that a terminal would obey, and loses no other login.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use crate::support::keys::keygen;
use crate::support::{IN_TIME, World, chmod, login};

/// A world with two logins, and something outside of the store that must stay as it is.
fn world() -> World {
    let mut world = World::new();
    world.set("COFFER_NO_PROMPT", "1");
    world.store_login("ghcr.io", "alice", "hers").silent();
    world.store_login("quay.io", "bob", "his").silent();
    let outside = world.write("outside/precious.age", "precious");
    chmod(&outside, 0o644);
    world
}

/// Mode, owner and content of everything outside.
fn outside(world: &World) -> BTreeMap<PathBuf, (u32, u32, Vec<u8>)> {
    let entries = fs::read_dir(world.home().join("outside")).unwrap().flatten();
    let facts = entries.map(|entry| {
        let metadata = entry.metadata().unwrap();
        (entry.path(), (metadata.mode(), metadata.uid(), fs::read(entry.path()).unwrap()))
    });
    facts.collect()
}

/// Everything that reads or writes the store, none of it for the login of `quay.io`.
const CALLS: [(&[&str], &str); 12] = [
    (&["get"], "ghcr.io"),
    (&["get"], "evil.example"),
    (&["list"], ""),
    (&["ls"], ""),
    (&["doctor"], ""),
    (&["audit"], ""),
    (&["explain", "ghcr.io"], ""),
    (&["recipients", "list"], ""),
    (&["key", "show"], ""),
    (&["erase"], "evil.example"),
    (&["key", "rotate"], ""),
    (&["migrate", "--yes"], ""),
];

/// Does everything in a store that was tampered with; the login that was not must still be given, and others be kept.
#[track_caller]
fn withstands(name: &str, tamper: impl Fn(&World, &Path)) {
    let world = world();
    tamper(&world, &world.store().join("store"));
    let before = outside(&world);
    for (call, input) in CALLS {
        world.coffer(call).input(input).run().is_tame(&format!("{name}: {call:?}"), IN_TIME);
        assert_eq!(outside(&world), before, "{name}: {call:?}");
    }
    world.store_login("evil.example", "eve", "x").is_tame(name, IN_TIME);
    world.get("quay.io").answers("quay.io", "bob", "his");
    world.store_login("new.example", "carol", "new").silent();
    world.get("new.example").answers("new.example", "carol", "new");
    assert_eq!(outside(&world), before, "{name}");
}

fn fifo(world: &World, path: &Path) {
    world.call("mkfifo", &["-m", "600", path.to_str().unwrap()]).run().ok();
}

fn sparse(path: &Path, length: u64) {
    File::create(path).unwrap().set_len(length).unwrap();
    chmod(path, 0o600);
}

#[test]
fn what_is_no_file_where_a_credential_is_does_no_harm() {
    let outside = |world: &World| world.home().join("outside");
    withstands("a link to a directory", |world, store| symlink(outside(world), store.join("evil.example")).unwrap());
    withstands("a link to all", |_, store| symlink("/", store.join("evil.example")).unwrap());
    withstands("a link to itself", |_, store| symlink("evil.example", store.join("evil.example")).unwrap());
    withstands("a file for a directory", |_, store| fs::write(store.join("evil.example"), "x").unwrap());
    withstands("a FIFO for a directory", |world, store| fifo(world, &store.join("evil.example")));
    type Make = fn(&World, &Path);
    let makers: [(&str, Make); 9] = [
        ("a link to a file", |world, path| symlink(world.home().join("outside/precious.age"), path).unwrap()),
        ("a hard link", |world, path| fs::hard_link(world.home().join("outside/precious.age"), path).unwrap()),
        ("a link to zeros", |_, path| symlink("/dev/zero", path).unwrap()),
        ("a link to its own memory", |_, path| symlink("/proc/self/mem", path).unwrap()),
        ("a link to the terminal", |_, path| symlink("/dev/tty", path).unwrap()),
        ("a FIFO", |world, path| fifo(world, path)),
        ("a socket", |_, path| drop(UnixListener::bind(path).unwrap())),
        ("a directory", |_, path| fs::create_dir_all(path.join("x.age")).unwrap()),
        ("a link to another's login", |_, path| symlink("../quay.io/bob.age", path).unwrap()),
    ];
    for (name, make) in makers {
        withstands(name, |world, store| {
            fs::create_dir(store.join("evil.example")).unwrap();
            chmod(&store.join("evil.example"), 0o700);
            make(world, &store.join("evil.example/eve.age"));
            let path = store.join("ghcr.io/zoe.age");
            make(world, &path);
        });
    }
}

#[test]
fn names_that_a_terminal_would_obey_are_not_said_raw() {
    withstands("strange names", |_, store| {
        for name in [
            &b"evil\x1b[31m.example"[..],
            b"evil\n.example",
            b"evil\xff\xfe",
            b"..%2F..%2Fevil",
            b"-rf",
            b"%1B%5B31m",
            b"evil%0A.example",
            b"evil%E2%80%AE.example",
            b"evil%E2%80%8B.example",
            b"evil%C2%9B31m.example",
            &[b'x'; 255],
        ] {
            let directory = store.join(std::ffi::OsStr::from_bytes(name));
            fs::create_dir(&directory).unwrap();
            chmod(&directory, 0o700);
            for file in [&b"eve\x1b[2J.age"[..], b"eve%1B%5B2J.age", b"eve%E2%80%AE.age", b"eve\n.age", b"\xff.age"] {
                fs::write(directory.join(std::ffi::OsStr::from_bytes(file)), "x").unwrap();
            }
        }
    });
    // What is let through is a name that can be had: shown with what would turn it made visible.
    let world = world();
    world.store_login("evil\u{202e}.example", "eve\u{200b}", "x").silent();
    let listed = world.coffer(&["ls"]).run().ok();
    assert!(listed.contains("evil\u{fffd}.example  eve\u{fffd}"), "{listed:?}");
}

#[test]
fn files_that_are_huge_or_slow_cost_no_more_than_their_time() {
    let header = |stanza: &str, count: usize| format!("age-encryption.org/v1\n{}--- AAAA\n", stanza.repeat(count));
    let x25519 = "-> X25519 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n";
    let in_place = |text: String| {
        move |_: &World, store: &Path| {
            for path in ["ghcr.io/zoe.age", "evil.example/eve.age"] {
                fs::create_dir_all(store.join(path).parent().unwrap()).unwrap();
                chmod(store.join(path).parent().unwrap(), 0o700);
                fs::write(store.join(path), &text).unwrap();
                chmod(&store.join(path), 0o600);
            }
        }
    };
    withstands("stanzas by the thousand", in_place(header(x25519, 20_000)));
    withstands("stanzas as many as are read", in_place(header(x25519, 600)));
    withstands("short stanzas", in_place(header("-> x\n\n", 10_000)));
    withstands("passphrase work for a year", in_place(header("-> scrypt bBjlhJVYZeE4aqUdmtRHfw 40\nZV/A\n", 1)));
    withstands("a plugin that is none", in_place(header("-> ../../bin/sh x\nAAAA\n", 100)));
    withstands("ten gibibytes", |_, store| sparse(&store.join("ghcr.io/zoe.age"), 10 << 30));
    withstands("as long as is opened", |_, store| sparse(&store.join("ghcr.io/zoe.age"), 8 << 20));
    // Names that were shortened stand inside alone, so that each is opened to be listed.
    withstands("long names by the hundred", |_, store| {
        for number in 0..300 {
            let directory = store.join(format!("{}~{number:064x}", "x".repeat(100)));
            fs::create_dir(&directory).unwrap();
            fs::write(directory.join("eve.age"), header(x25519, 100)).unwrap();
        }
    });
}

#[test]
fn a_hundred_thousand_files_cost_no_more_than_their_time() {
    let many = 100_000;
    withstands("a hundred thousand", |_, store| {
        for number in 0..many {
            let path = if number % 2 == 0 { "ghcr.io/eve" } else { "evil" };
            File::create(store.join(format!("{path}{number}.age"))).unwrap();
        }
    });
}

/// The list of those who can read. An attacker's own line is obeyed, as the threat model says; anything else is an error
/// that names the list, and costs no login.
#[test]
fn a_list_of_recipients_that_was_tampered_with_loses_nothing() {
    type Tamper = fn(&World, &Path);
    let cases: [(&str, Tamper, &str); 9] = [
        ("a gibibyte", |_, path| sparse(path, 1 << 30), "longer than"),
        ("zeros", |_, path| sparse(path, 1 << 20), "not an age recipient"),
        ("a FIFO", |world, path| fifo(world, path), "not a regular file"),
        ("a directory", |_, path| fs::create_dir(path).unwrap(), "not a regular file"),
        ("a link to zeros", |_, path| symlink("/dev/zero", path).unwrap(), "not a regular file"),
        (
            "a link to what is precious",
            |world, path| {
                symlink(world.home().join("outside/precious.age"), path).unwrap();
            },
            "not an age recipient",
        ),
        ("no UTF-8", |_, path| fs::write(path, b"\xff").unwrap(), "not UTF-8"),
        (
            "a plugin somewhere else",
            |_, path| fs::write(path, "age1../../tmp/evil1qqqqqq\n").unwrap(),
            "not an age recipient",
        ),
        (
            "others' to write",
            |_, path| {
                fs::write(path, "").unwrap();
                chmod(path, 0o666);
            },
            "can be written by others",
        ),
    ];
    for (name, tamper, words) in cases {
        let world = world();
        let path = world.store().join("store/.age-recipients");
        let list = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        tamper(&world, &path);
        let before = outside(&world);
        let stored = world.store_login("evil.example", "eve", "x");
        stored.is_tame(name, IN_TIME);
        assert!(stored.stdout.contains(words), "{name}: {stored:#?}");
        for (call, input) in CALLS {
            world.coffer(call).input(input).run().is_tame(&format!("{name}: {call:?}"), IN_TIME);
        }
        assert_eq!(outside(&world), before, "{name}");
        world.get("quay.io").answers("quay.io", "bob", "his");
        if path.is_dir() {
            fs::remove_dir(&path).unwrap();
        } else {
            fs::remove_file(&path).unwrap();
        }
        fs::write(&path, list).unwrap();
        world.store_login("evil.example", "eve", "x").silent();
    }
}

/// A file's header is read up to 64 KiB. One that is written for more than fit in it could never be read again.
#[test]
fn no_file_is_written_for_more_recipients_than_can_be_read_back() {
    let world = world();
    let path = world.store().join("store/.age-recipients");
    let (_, other) = keygen(&world, "other.txt");
    // The same one over and over is as long.
    for (count, fits) in [(600, true), (700, false), (14_000, false)] {
        let listed = fs::read_to_string(&path).unwrap();
        let own = listed.lines().find(|line| line.starts_with("age1") && *line != other).unwrap();
        fs::write(&path, format!("{own}\n{}", format!("{other}\n").repeat(count))).unwrap();
        let stored = world.store_login("ghcr.io", "alice", "newer");
        stored.is_tame("store", IN_TIME);
        let rotated = world.coffer(&["key", "rotate"]).run();
        rotated.is_tame("key rotate", IN_TIME);
        assert_eq!(
            (stored.code, rotated.code),
            if fits { (Some(0), Some(0)) } else { (Some(1), Some(1)) },
            "{stored:?}"
        );
        assert!(fits || stored.stdout.contains("recipients are more than can be written for"), "{stored:#?}");
        world.get("ghcr.io").answers("ghcr.io", "alice", "newer");
        world.get("quay.io").answers("quay.io", "bob", "his");
    }
}

/// The lock, the mark of a change under way, and the key itself.
#[test]
fn what_stands_in_place_of_locks_and_marks_is_not_waited_for() {
    for file in ["lock", "migrate.lock", "prompt.lock", "rekeying"] {
        type Make = fn(&World, &Path);
        let makers: [(&str, Make); 6] = [
            ("a link", |world, path| symlink(world.home().join("outside/precious.age"), path).unwrap()),
            ("a hard link", |world, path| fs::hard_link(world.home().join("outside/precious.age"), path).unwrap()),
            ("a link to nowhere", |world, path| symlink(world.home().join("outside/made"), path).unwrap()),
            ("a FIFO", |world, path| fifo(world, path)),
            ("a directory", |_, path| fs::create_dir(path).unwrap()),
            ("ten gibibytes", |_, path| sparse(path, 10 << 30)),
        ];
        for (name, make) in makers {
            let world = world();
            let path = world.store().join(file);
            let _ = fs::remove_file(&path);
            make(&world, &path);
            let before = outside(&world);
            world.write(".docker/config.json", r#"{"auths":{"a.example":{"auth":"dTpw"}}}"#);
            for (call, input) in CALLS {
                world.coffer(call).input(input).run().is_tame(&format!("{file}: {name}: {call:?}"), IN_TIME);
            }
            world.store_login("evil.example", "eve", "x").is_tame(name, IN_TIME);
            assert_eq!(outside(&world), before, "{file}: {name}");
            world.get("quay.io").answers("quay.io", "bob", "his");
        }
    }
}

#[test]
fn what_stands_in_place_of_the_key_is_not_waited_for() {
    type Make = fn(&World, &Path);
    let makers: [(&str, Make); 5] = [
        ("a FIFO", |world, path| fifo(world, path)),
        ("a directory", |_, path| fs::create_dir(path).unwrap()),
        ("zeros", |_, path| symlink("/dev/zero", path).unwrap()),
        ("ten gibibytes", |_, path| sparse(path, 10 << 30)),
        ("a plugin somewhere else", |_, path| fs::write(path, "AGE-PLUGIN-../../TMP/EVIL-1QQQQQQ\n").unwrap()),
    ];
    for (name, make) in makers {
        let world = world();
        let path = world.store().join("identities");
        let kept = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        make(&world, &path);
        for (call, input) in CALLS {
            world.coffer(call).input(input).run().is_tame(&format!("{name}: {call:?}"), IN_TIME);
        }
        let stored = world.coffer(&["store"]).input(login("evil.example", "eve", "x")).run();
        stored.is_tame(name, IN_TIME);
        if path.is_dir() { fs::remove_dir(&path) } else { fs::remove_file(&path) }.unwrap();
        fs::write(&path, kept).unwrap();
        chmod(&path, 0o600);
        world.get("quay.io").answers("quay.io", "bob", "his");
        world.get("ghcr.io").answers("ghcr.io", "alice", "hers");
    }
}

/// Where another user's hand was in it. Root may be the owner: `sudo docker login` was.
#[test]
fn what_belongs_to_another_user_is_refused() {
    use std::os::unix::fs::{chown, lchown};
    for path in ["", "store", "store/ghcr.io", "store/ghcr.io/alice.age", "identities", "store/.age-recipients"] {
        let world = world();
        let program = world.path("bin/docker-credential-coffer");
        fs::copy(env!("CARGO_BIN_EXE_docker-credential-coffer"), &program).unwrap();
        let all = world.call("chown", &["-R", "65534:65534", world.path("").to_str().unwrap()]).run();
        assert_eq!(all.code, Some(0), "the tests run as root in CI: {all:#?}");
        lchown(world.store().join(path), Some(4242), Some(65534)).unwrap();
        let as_nobody = |action: &str, input: &str| {
            let call = ["--reuid=65534", "--regid=65534", "--clear-groups", program.to_str().unwrap(), action];
            world.call("setpriv", &call).input(input).run()
        };
        let action = if path.ends_with("recipients") { "store" } else { "get" };
        let input = if action == "store" { login("ghcr.io", "alice", "x") } else { "ghcr.io".into() };
        let outcome = as_nobody(action, &input);
        let words = ["belongs to another user", "Permission denied"];
        assert!(words.iter().any(|words| outcome.stdout.contains(words)), "{path}: {outcome:#?}");
        assert_eq!(outcome.code, Some(1));
        chown(world.store().join(path), Some(65534), None).unwrap();
        as_nobody("get", "ghcr.io").answers("ghcr.io", "alice", "hers");
    }
}
