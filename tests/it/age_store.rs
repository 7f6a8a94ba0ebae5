//! The age store: what lies on the disk, and what is made of it.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime};

use crate::support::{World, chmod, login, mode};

/// A world in which `ghcr.io` is held for alice.
fn with_login() -> World {
    let world = World::new();
    world.store_login("ghcr.io", "alice", "hunter2").silent();
    world
}

fn credential(world: &World, server: &str, username: &str) -> std::path::PathBuf {
    world.store().join("store").join(server).join(format!("{username}.age"))
}

fn set_time(path: &Path, seconds_ago: u64) {
    let time = SystemTime::now() - Duration::from_secs(seconds_ago);
    fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

#[test]
fn the_first_login_needs_nothing_set_up() {
    let world = World::new();
    world.get("ghcr.io").misses();
    assert!(world.files(&world.home()).is_empty(), "a miss leaves nothing behind");
    world.coffer(&["erase"]).input("ghcr.io").run().silent();
    assert_eq!(world.coffer(&["list"]).run().ok(), "{}\n");
    assert!(world.files(&world.home()).is_empty(), "nor does an erase, nor a list");

    world.store_login("https://index.docker.io/v1/", "bob@example.com", "hunter2").silent();
    world.store_login("localhost:5000", "<token>", "refresh").silent();
    let expected = [
        "identities",
        "lock",
        "store/.age-recipients",
        "store/https%3A%2F%2Findex.docker.io%2Fv1%2F/bob%40example.com.age",
        "store/localhost%3A5000/%3Ctoken%3E.age",
    ];
    assert_eq!(world.files(&world.store()), expected);
    assert_eq!(
        world.coffer(&["list"]).run().ok(),
        "{\"https://index.docker.io/v1/\":\"bob@example.com\",\"localhost:5000\":\"<token>\"}\n"
    );
    assert!(world.files_with(&world.home(), "hunter2").is_empty());
}

#[test]
fn modes_are_private_whatever_the_umask() {
    for umask in ["000", "077", "277", "777"] {
        let world = World::new();
        let script = format!("umask {umask}; exec docker-credential-coffer store");
        world.call("sh", &["-c", &script]).input(login("ghcr.io", "alice", "x")).run().silent();
        for file in world.files(&world.store()) {
            assert_eq!(mode(&world.store().join(&file)) & 0o177, 0, "{umask} {file}");
        }
        for directory in ["", "store", "store/ghcr.io"] {
            assert_eq!(mode(&world.store().join(directory)), 0o700, "{umask} {directory}");
        }
        world.get("ghcr.io").answers("ghcr.io", "alice", "x");
    }
}

#[test]
fn the_age_program_opens_what_was_written() {
    let world = with_login();
    let identities = world.store().join("identities");
    let file = credential(&world, "ghcr.io", "alice");
    let plaintext = world.call("age", &["-d", "-i", identities.to_str().unwrap(), file.to_str().unwrap()]).run().ok();
    assert_eq!(plaintext, "{\"ServerURL\":\"ghcr.io\",\"Username\":\"alice\",\"Secret\":\"hunter2\"}\n");
    let key = world.call("age-keygen", &["-y", identities.to_str().unwrap()]).run().ok();
    assert_eq!(fs::read_to_string(world.store().join("store/.age-recipients")).unwrap(), key);
}

#[test]
fn the_age_program_may_write_what_is_read() {
    let world = with_login();
    let recipients = world.store().join("store/.age-recipients");
    let directory = world.store().join("store/quay.io");
    fs::create_dir(&directory).unwrap();
    let output = directory.join("bob.age");
    world
        .call("age", &["-e", "-R", recipients.to_str().unwrap(), "-o", output.to_str().unwrap()])
        .input(login("quay.io", "bob", "from outside"))
        .run()
        .ok();
    world.get("quay.io").answers("quay.io", "bob", "from outside");
}

#[test]
fn every_recipient_can_read_every_write() {
    let world = with_login();
    let friend = world.home().join("friend.txt");
    world.call("age-keygen", &["-o", friend.to_str().unwrap()]).run().ok();
    let recipient = world.call("age-keygen", &["-y", friend.to_str().unwrap()]).run().ok();
    let recipients = world.store().join("store/.age-recipients");
    let own = fs::read_to_string(&recipients).unwrap();
    fs::write(&recipients, format!("# us\n{own}\n{recipient}")).unwrap();
    world.store_login("quay.io", "bob", "shared").silent();
    world
        .coffer(&["get"])
        .env("COFFER_IDENTITY_FILE", friend.to_str().unwrap())
        .input("quay.io")
        .run()
        .answers("quay.io", "bob", "shared");
    world.get("quay.io").answers("quay.io", "bob", "shared");
    // What was written before the friend came is not for the friend, and that is not a miss.
    let before = world.coffer(&["get"]).env("COFFER_IDENTITY_FILE", friend.to_str().unwrap()).input("ghcr.io").run();
    before.fails("none of the keys opens");

    fs::write(&recipients, format!("{own}not a recipient\n")).unwrap();
    world.store_login("gcr.io", "x", "y").fails("line 2 is not an age recipient");
    world.get("gcr.io").misses();
}

#[test]
fn a_login_replaces_the_one_before_under_any_username() {
    let world = with_login();
    world.store_login("https://ghcr.io/", "bob", "two").silent();
    world.get("ghcr.io").answers("ghcr.io", "bob", "two");
    assert!(!credential(&world, "ghcr.io", "alice").exists());
    assert_eq!(world.coffer(&["list"]).run().ok(), "{\"ghcr.io\":\"bob\"}\n");
}

/// As after a git merge. docker-credential-pass takes the alphabetically first.
#[test]
fn of_two_for_one_server_the_newest_counts() {
    let world = with_login();
    let alice = credential(&world, "ghcr.io", "alice");
    let kept = fs::read(&alice).unwrap();
    world.store_login("ghcr.io", "zoe", "two").silent();
    fs::write(&alice, kept).unwrap();
    set_time(&credential(&world, "ghcr.io", "zoe"), 1000);
    world.get("ghcr.io").answers("ghcr.io", "alice", "hunter2");
    assert_eq!(world.coffer(&["list"]).run().ok(), "{\"ghcr.io\":\"alice\"}\n");
    set_time(&alice, 2000);
    world.get("ghcr.io").answers("ghcr.io", "zoe", "two");
    world.store_login("ghcr.io", "carol", "three").silent();
    assert_eq!(world.files(&world.store().join("store/ghcr.io")), ["carol.age"]);
    fs::copy(credential(&world, "ghcr.io", "carol"), &alice).unwrap();
    world.coffer(&["erase"]).input("ghcr.io").run().silent();
    world.get("ghcr.io").misses();
}

#[test]
fn a_file_that_was_moved_is_refused() {
    let world = with_login();
    world.store_login("evil.example", "mallory", "x").silent();
    let ghcr = credential(&world, "ghcr.io", "alice");
    let evil = credential(&world, "evil.example", "mallory");
    fs::copy(&ghcr, &evil).unwrap();
    world.get("evil.example").fails("made for another server");
    fs::remove_file(&evil).unwrap();
    fs::copy(&ghcr, evil.with_file_name("alice.age")).unwrap();
    world.get("evil.example").fails("made for another server");
    fs::rename(&ghcr, ghcr.with_file_name("root.age")).unwrap();
    world.get("ghcr.io").fails("made for another username");
}

#[test]
fn a_broken_file_harms_only_itself() {
    let world = with_login();
    world.store_login("quay.io", "bob", "intact").silent();
    let path = credential(&world, "ghcr.io", "alice");
    let whole = fs::read(&path).unwrap();
    let header_bomb = [&b"age-encryption.org/v1\n"[..], &b"-> X25519 a\n".repeat(100_000), b"\n--- x\n"].concat();
    // As long as a header may be, in so many lines that age's parser, which begins anew at each, took 20 s and more.
    let line_bomb = [&b"age-encryption.org/v1\n"[..], &b"-> a\n\n".repeat(10_000), b"--- x\n"].concat();
    let cases: [(&[u8], &str); 7] = [
        (b"", "is not a whole age file"),
        (&whole[..40], "is not a whole age file"),
        (&whole[..whole.len() - 1], "damaged or truncated"),
        (b"-----BEGIN PGP MESSAGE-----\n", "is not a whole age file"),
        (b"age-encryption.org/v2\n-> x\n--- x\n", "is not an age file"),
        (&header_bomb, "is not a whole age file"),
        (&line_bomb, "is not an age file"),
    ];
    for (bytes, words) in cases {
        fs::write(&path, bytes).unwrap();
        world.get("ghcr.io").fails(words);
        world.get("quay.io").answers("quay.io", "bob", "intact");
        let listed = world.coffer(&["list"]).run().ok();
        assert_eq!(listed, "{\"ghcr.io\":\"alice\",\"quay.io\":\"bob\"}\n", "names need no key");
    }
    // Not only the payload: a flipped bit anywhere is noticed.
    for at in [30, whole.len() / 2, whole.len() - 1] {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        fs::write(&path, flipped).unwrap();
        let outcome = world.get("ghcr.io");
        assert!(outcome.code == Some(1) && !outcome.stdout.contains("hunter2"), "{at} {outcome:#?}");
    }
    world.store_login("ghcr.io", "alice", "mended").silent();
    world.get("ghcr.io").answers("ghcr.io", "alice", "mended");
}

#[test]
fn strays_are_left_alone() {
    let world = with_login();
    let store = world.store().join("store");
    fs::create_dir_all(store.join(".git")).unwrap();
    fs::write(store.join(".git/x.age"), "x").unwrap();
    fs::write(store.join("README"), "x").unwrap();
    fs::create_dir(store.join("empty")).unwrap();
    fs::create_dir(store.join("UPPER")).unwrap();
    fs::write(store.join("UPPER/x.age"), "x").unwrap();
    fs::write(store.join("ghcr.io/notes.txt"), "x").unwrap();
    fs::create_dir(store.join("ghcr.io/zoe.age")).unwrap();
    fs::write(store.join("ghcr.io/alice (conflicted copy).age"), "x").unwrap();
    fs::write(store.join("ghcr.io/._alice.age"), "x").unwrap();
    world.get("ghcr.io").answers("ghcr.io", "alice", "hunter2");
    let listed = world.coffer(&["list"]).run();
    assert_eq!((listed.code, listed.stdout.as_str()), (Some(0), "{\"ghcr.io\":\"alice\"}\n"));
    assert_eq!(listed.stderr.lines().count(), 1, "{listed:#?}");
    assert!(listed.stderr.contains("UPPER/x.age"), "{listed:#?}");
    world.coffer(&["erase"]).input("ghcr.io").run().silent();
    assert!(store.join("ghcr.io/notes.txt").exists());
    world.get("ghcr.io").misses();
}

#[test]
fn a_link_to_nowhere_is_no_lock_and_no_miss() {
    let world = with_login();
    symlink("/nonexistent", world.store().join("store/ghcr.io/zoe.age")).unwrap();
    world.get("ghcr.io").fails("is listed and cannot be found");
}

#[test]
fn names_too_long_for_a_file_come_back_whole() {
    let world = World::new();
    let server = format!("registry.example.com/{}", "Namespace/".repeat(150));
    let username = "u".repeat(1000);
    world.store_login(&server, &username, "long").silent();
    world.get(&server).answers(&server, &username, "long");
    world.store_login(&"h".repeat(300), "short", "other").silent();
    let listed = world.coffer(&["list"]).run().ok();
    assert_eq!(listed, format!("{{\"{}\":\"short\"}}\n", "h".repeat(300)));
    assert!(world.coffer(&["ls"]).run().ok().contains(&username));
    world.coffer(&["erase"]).input(&server).run().silent();
    world.get(&server).misses();
}

#[test]
fn what_others_can_touch_is_refused() {
    let cases = [
        ("", 0o755, "can be read by others"),
        ("", 0o770, "can be written by others"),
        ("store", 0o777, "can be written by others"),
        ("store/ghcr.io", 0o777, "can be written by others"),
        ("identities", 0o644, "can be read by others"),
        ("identities", 0o620, "can be written by others"),
        ("store/ghcr.io/alice.age", 0o666, "can be written by others"),
    ];
    for (path, bad, words) in cases {
        let world = with_login();
        let path = world.store().join(path);
        let good = mode(&path);
        chmod(&path, bad);
        world.get("ghcr.io").fails(words);
        world.get("quay.io").misses();
        chmod(&path, good);
        world.get("ghcr.io").answers("ghcr.io", "alice", "hunter2");
    }
    // The mode of the file that COFFER_IDENTITY_FILE names is its owner's business.
    let world = with_login();
    let elsewhere = world.home().join("credential");
    fs::rename(world.store().join("identities"), &elsewhere).unwrap();
    chmod(&elsewhere, 0o444);
    world
        .coffer(&["get"])
        .env("COFFER_IDENTITY_FILE", elsewhere.to_str().unwrap())
        .input("ghcr.io")
        .run()
        .answers("ghcr.io", "alice", "hunter2");
}

/// `sudo docker login` with HOME kept: what root wrote as root's own would be lost to the user.
#[test]
fn root_writes_for_the_owner_of_the_home() {
    let world = World::new();
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        // Nobody but root can do this, so nothing can go wrong.
        return;
    }
    let nobody = Some(65534);
    chmod(&world.path(""), 0o755);
    chmod(&world.path("bin"), 0o755);
    chown(world.home(), nobody, nobody).unwrap();
    let program = world.path("bin/coffer");
    fs::copy(env!("CARGO_BIN_EXE_docker-credential-coffer"), &program).unwrap();
    let as_nobody = |action: &str, input: &str| {
        let call = ["--reuid=65534", "--regid=65534", "--clear-groups", program.to_str().unwrap(), action];
        world.call("setpriv", &call).input(input).run()
    };
    world.store_login("ghcr.io", "alice", "by root").silent();
    as_nobody("get", "ghcr.io").answers("ghcr.io", "alice", "by root");
    as_nobody("store", &login("quay.io", "bob", "by nobody")).silent();
    world.store_login("quay.io", "carol", "by root").silent();
    as_nobody("get", "quay.io").answers("quay.io", "carol", "by root");
    as_nobody("erase", "quay.io").silent();
}

#[test]
fn a_key_out_of_reach_is_not_replaced() {
    let world = with_login();
    let identities = world.store().join("identities");
    let key = fs::read(&identities).unwrap();
    fs::remove_file(&identities).unwrap();
    world.get("ghcr.io").fails("no key for the store");
    world.store_login("quay.io", "bob", "x").fails("no key for the store");
    assert!(!identities.exists());
    let nowhere = world.home().join("nowhere");
    for action in ["get", "store"] {
        let input = if action == "get" { "ghcr.io".into() } else { login("quay.io", "bob", "x") };
        let call = world.coffer(&[action]).env("COFFER_IDENTITY_FILE", nowhere.to_str().unwrap());
        call.input(input).run().fails("COFFER_IDENTITY_FILE names does not exist");
    }
    fs::write(&identities, key).unwrap();
    chmod(&identities, 0o600);
    world.get("ghcr.io").answers("ghcr.io", "alice", "hunter2");
}

#[test]
fn nothing_is_written_that_the_key_could_not_open() {
    let world = with_login();
    let identities = world.store().join("identities");
    fs::remove_file(&identities).unwrap();
    world.call("age-keygen", &["-o", identities.to_str().unwrap()]).run().ok();
    world.store_login("quay.io", "bob", "x").fails("the key is not among the recipients");
    world.get("ghcr.io").fails("none of the keys opens");
    // With nothing held, another key may take over.
    world.coffer(&["erase"]).input("ghcr.io").run().silent();
    world.store_login("quay.io", "bob", "x").silent();
    world.get("quay.io").answers("quay.io", "bob", "x");
}

#[test]
fn no_key_is_made_where_the_environment_names_one() {
    let world = World::new();
    let nowhere = world.home().join("nowhere");
    let call = world.coffer(&["store"]).env("COFFER_IDENTITY_FILE", nowhere.to_str().unwrap());
    call.input(login("ghcr.io", "alice", "x")).run().fails("no key for the store");
    assert!(!nowhere.exists() && !world.store().join("identities").exists());
    world
        .coffer(&["store"])
        .env("COFFER_IDENTITY_FILE", "relative")
        .input(login("a", "b", "c"))
        .run()
        .fails("absolute");
}

#[test]
fn a_key_that_cannot_be_used_says_why() {
    let mut world = with_login();
    world.set("COFFER_NO_PROMPT", "1");
    let identities = world.store().join("identities");
    for (text, words) in [
        ("", "holds no age identity"),
        ("garbage SECRET-GARBAGE", "not an age identity"),
        ("AGE-PLUGIN-FOOBAR-1QVHULF", "age-plugin-foobar is not installed"),
        ("age-encryption.org/v1\n-> scrypt x\n", "passphrase"),
        ("-----BEGIN AGE ENCRYPTED FILE-----\n", "passphrase"),
    ] {
        fs::write(&identities, text).unwrap();
        let outcome = world.get("ghcr.io");
        assert!(!outcome.said().contains("SECRET-GARBAGE"));
        outcome.fails(words);
        world.get("quay.io").misses();
    }
}

#[test]
fn writers_wait_for_each_other_and_readers_for_nobody() {
    let world = with_login();
    thread::scope(|scope| {
        for number in 0..8 {
            let world = &world;
            scope.spawn(move || {
                for round in 0..4 {
                    world.store_login(&format!("h{number}.example"), "u", &round.to_string()).silent();
                    world.store_login("shared.example", &format!("u{number}"), "same").silent();
                    world.coffer(&["erase"]).input("none.example").run().silent();
                    let shared = world.get("shared.example").ok();
                    assert!(shared.contains("\"Secret\":\"same\""), "{shared}");
                }
            });
        }
    });
    for number in 0..8 {
        world.get(&format!("h{number}.example")).ok();
    }
    assert_eq!(world.files(&world.store().join("store/shared.example")).len(), 1);
    assert!(!world.files(&world.store()).iter().any(|file| file.contains(".coffer-")));
}

#[test]
fn a_lock_that_is_never_let_go_is_an_error() {
    let world = with_login();
    let lock = fs::File::open(world.store().join("lock")).unwrap();
    lock.lock().unwrap();
    world.client_sees(
        world.store_login("quay.io", "bob", "x"),
        "another process holds the lock ~/.local/share/coffer/lock",
        "try again; if it persists, find the process: fuser ~/.local/share/coffer/lock",
    );
    world.get("ghcr.io").answers("ghcr.io", "alice", "hunter2");
    world.coffer(&["erase"]).input("quay.io").run().silent();
}

/// Whatever a killed writer leaves, the old or the new credential is there, and the next writer cleans up.
#[test]
fn a_kill_at_any_moment_loses_nothing() {
    let world = with_login();
    for delay in 0..60_u64 {
        let secret = format!("secret {delay}");
        let mut child = world.command(env!("CARGO_BIN_EXE_docker-credential-coffer"));
        let mut child = child.arg("store").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        std::io::Write::write_all(&mut input, login("ghcr.io", &format!("user{}", delay % 3), &secret).as_bytes())
            .unwrap();
        drop(input);
        thread::sleep(Duration::from_micros(delay * 300));
        child.kill().unwrap();
        child.wait().unwrap();
        let held = world.get("ghcr.io").ok();
        assert!(held.contains("\"Secret\":\""), "{held}");
    }
    world.store_login("ghcr.io", "alice", "last").silent();
    assert_eq!(world.files(&world.store().join("store/ghcr.io")), ["alice.age"]);
}

#[test]
fn a_full_disk_loses_nothing() {
    let world = with_login();
    let small = world.path("small");
    fs::create_dir(&small).unwrap();
    let mount = ["-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", small.to_str().unwrap()];
    let script = format!(
        "mount {} && export COFFER_DIR={small}/coffer && printf '%s' \"$FIRST\" | $COFFER store && \
         (cat /dev/zero > {small}/fill; true) 2>/dev/null; \
         printf '%s' \"$SECOND\" | $COFFER store; echo \"exit $?\"; printf ghcr.io | $COFFER get; \
         rm {small}/fill; printf '%s' \"$SECOND\" | $COFFER store; printf ghcr.io | $COFFER get",
        mount.join(" "),
        small = small.display()
    );
    // A mount namespace of its own: nothing is left mounted.
    let outcome = world
        .call("unshare", &["--mount", "--map-root-user", "sh", "-c", &script])
        .env("COFFER", env!("CARGO_BIN_EXE_docker-credential-coffer"))
        .env("FIRST", &login("ghcr.io", "alice", "first"))
        .env("SECOND", &login("ghcr.io", "alice", &"second".repeat(3000)))
        .run();
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert!(lines[0].contains("No space left on device"), "{outcome:#?}");
    assert_eq!(lines[1], "exit 1", "{outcome:#?}");
    assert!(lines[2].contains("\"Secret\":\"first\""), "{outcome:#?}");
    assert!(lines[3].contains("secondsecond"), "{outcome:#?}");
    assert_eq!(
        world.shown(&outcome.stderr),
        "cannot write /world/small/coffer/store/ghcr.io/alice.age: No space left on device (os error 28)\n\
         hint: free some space and try again; nothing was lost\n"
    );
}

#[test]
fn a_read_only_home_can_still_be_read() {
    let world = with_login();
    let script = format!(
        "mount --bind {home} {home} && mount -o remount,bind,ro {home} && \
         printf ghcr.io | $COFFER get; printf nope | $COFFER get; printf nope | $COFFER erase; printf '%s' \"$LOGIN\" | $COFFER store",
        home = world.home().display()
    );
    let outcome = world
        .call("unshare", &["--mount", "--map-root-user", "sh", "-c", &script])
        .env("COFFER", env!("CARGO_BIN_EXE_docker-credential-coffer"))
        .env("LOGIN", &login("quay.io", "bob", "x"))
        .run();
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert!(lines[0].contains("hunter2"), "{outcome:#?}");
    assert_eq!(lines[1], "credentials not found in native keychain");
    assert!(lines[2].contains("Read-only file system"), "{outcome:#?}");
    assert_eq!(
        world.shown(&outcome.stderr),
        "cannot open ~/.local/share/coffer/lock: Read-only file system (os error 30)\n\
         hint: set COFFER_DIR to a directory that can be written\n"
    );
}

#[test]
fn links_and_pipes_do_no_harm() {
    let world = with_login();
    let path = credential(&world, "ghcr.io", "alice");
    fs::remove_file(&path).unwrap();
    world.call("mkfifo", &["-m", "600", path.to_str().unwrap()]).run().ok();
    world.get("ghcr.io").fails("is not a regular file");
    world.store_login("ghcr.io", "alice", "again").silent();
    world.get("ghcr.io").answers("ghcr.io", "alice", "again");
    // A link out of the store is replaced, not written through.
    let outside = world.write("outside", "precious");
    fs::remove_file(&path).unwrap();
    symlink(&outside, &path).unwrap();
    world.store_login("ghcr.io", "alice", "third").silent();
    assert_eq!(fs::read_to_string(outside).unwrap(), "precious");
}
