//! What users see of a store whose files, directories or recipients are not as they should be.

use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::Path;

use crate::support::keys::{keygen, post_quantum, token};
use crate::support::{World, chmod, login};

const STORE: &str = "~/.local/share/coffer";
const ALICE: &str = "~/.local/share/coffer/store/ghcr.io/alice.age";
const RECIPIENTS: &str = "~/.local/share/coffer/store/.age-recipients";

/// A world in which `ghcr.io` is held for alice.
fn held() -> World {
    let world = World::new();
    world.store_login("ghcr.io", "alice", "hunter2").silent();
    world
}

fn restore(path: &str) -> String {
    format!("restore {path} from a backup, or move it away; a login that it held is made again with docker login")
}

/// What is done to alice's file in the store, and what is then said of it.
type Row = (fn(&World, &Path), &'static str);

#[test]
fn files_of_credentials() {
    let rows: [Row; 9] = [
        (|_, path| fs::write(path, "x").unwrap(), "is not a whole age file"),
        (|_, path| fs::write(path, "hello\n--- x\n").unwrap(), "is not an age file"),
        (|_, path| change(path, |bytes, mac| bytes[mac] = other(bytes[mac])), "is damaged"),
        (|_, path| change(path, |bytes, _| bytes.truncate(bytes.len() - 1)), "is damaged or truncated"),
        (|world, path| encrypt_over(world, path, "hello"), "does not hold a credential"),
        (
            |world, path| encrypt_over(world, path, &login("quay.io", "alice", "x")),
            "was made for another server, and moved here",
        ),
        (
            |world, path| encrypt_over(world, path, &login("ghcr.io", "bob", "x")),
            "was made for another username, and renamed",
        ),
        (|_, path| fs::write(path, vec![0; (8 << 20) + 1]).unwrap(), "is longer than 8388608 bytes"),
        (
            |_, path| fs::remove_file(path).and_then(|()| symlink("nowhere", path)).unwrap(),
            "is listed and cannot be found",
        ),
    ];
    for (tamper, problem) in rows {
        let world = held();
        tamper(&world, &world.store().join("store/ghcr.io/alice.age"));
        world.client_sees(world.get("ghcr.io"), &format!("{ALICE} {problem}"), &restore(ALICE));
    }
}

/// Changes the bytes of an age file; the header's MAC begins at a place that is told.
fn change(path: &Path, how: fn(&mut Vec<u8>, usize)) {
    let mut bytes = fs::read(path).unwrap();
    let mac = bytes.windows(5).position(|window| window == b"\n--- ").unwrap() + 5;
    how(&mut bytes, mac);
    fs::write(path, bytes).unwrap();
}

/// Another letter of base64.
fn other(letter: u8) -> u8 {
    if letter == b'A' { b'B' } else { b'A' }
}

fn encrypt_over(world: &World, path: &Path, text: &str) {
    let recipients = world.store().join("store/.age-recipients");
    let call = ["-R", recipients.to_str().unwrap(), "-o", path.to_str().unwrap()];
    world.call("age", &call).input(text).run().ok();
}

#[test]
fn what_is_in_the_way() {
    let world = held();
    let servers = world.store().join("store");
    fs::rename(servers.join("ghcr.io"), servers.join("quay.io")).unwrap();
    symlink("quay.io", servers.join("ghcr.io")).unwrap();
    let link = "~/.local/share/coffer/store/ghcr.io";
    world.client_sees(world.get("ghcr.io"), &format!("{link} is a symbolic link"), &restore(link));

    let lock = world.store().join("lock");
    fs::remove_file(&lock).unwrap();
    fs::create_dir(&lock).unwrap();
    world.client_sees(
        world.store_login("gcr.io", "alice", "x"),
        "cannot open ~/.local/share/coffer/lock: Is a directory (os error 21)",
        "move away what is in the way",
    );

    let world = World::new();
    world.write(".local", "");
    world.client_sees(
        world.store_login("ghcr.io", "alice", "x"),
        "cannot create ~/.local: File exists (os error 17)",
        "move away what is in the way",
    );
}

/// As with a volume that is not mounted. It was told as empty, and a logout from it as done.
#[test]
fn a_link_that_leads_nowhere() {
    let world = held();
    let volume = world.path("volume");
    fs::rename(world.store(), &volume).unwrap();
    symlink(&volume, world.store()).unwrap();
    world.get("ghcr.io").answers("ghcr.io", "alice", "hunter2");
    world.get("quay.io").misses();
    fs::rename(&volume, world.path("elsewhere")).unwrap();
    let (message, hint) = ("~/.local/share/coffer is a link to what is not there", "mount, or make, what it leads to");
    world.client_sees(world.get("ghcr.io"), message, hint);
    world.client_sees(world.coffer(&["erase"]).input("ghcr.io").run(), message, hint);
    world.client_sees(world.coffer(&["list"]).run(), message, hint);
    world.person_sees(world.coffer(&["ls"]).run(), message, hint);
}

/// A listing goes on without what cannot be named, and says so.
#[test]
fn what_is_left_out_of_a_listing() {
    let world = held();
    let stray = world.store().join("store/quay.io%2F%2F");
    fs::create_dir(&stray).unwrap();
    fs::write(stray.join("bob.age"), "x").unwrap();
    let told = format!("{STORE}/store/quay.io%2F%2F/bob.age is not where a credential would be");
    world.is_told(world.coffer(&["list"]).run(), &told);
    world.is_told(world.coffer(&["ls"]).run(), &told);
}

#[test]
fn what_others_can_touch() {
    let world = held();
    for (path, mode, problem) in [
        ("", 0o770, "can be written by others"),
        ("", 0o750, "can be read by others"),
        ("/identities", 0o640, "can be read by others"),
        ("/store/ghcr.io", 0o777, "can be written by others"),
    ] {
        let directory = world.store();
        let file = directory.join(path.trim_start_matches('/'));
        let before = crate::support::mode(&file);
        chmod(&file, mode);
        world.client_sees(
            world.get("ghcr.io"),
            &format!("{STORE}{path} {problem}"),
            &format!("chmod go-rwx {STORE}{path}"),
        );
        chmod(&file, before);
    }
}

/// As a user who is not root. Root may own what `sudo docker login` made.
#[test]
fn what_is_another_users() {
    let world = held();
    let program = world.path("bin/docker-credential-coffer");
    fs::copy(env!("CARGO_BIN_EXE_docker-credential-coffer"), &program).unwrap();
    world.call("chown", &["-R", "65534:65534", world.path("").to_str().unwrap()]).run().ok();
    let call = ["--reuid=65534", "--regid=65534", "--clear-groups", program.to_str().unwrap(), "get"];
    let get = || world.call("setpriv", &call).input("ghcr.io").run();
    let (directory, file) = (world.store().join("store/ghcr.io"), world.store().join("store/ghcr.io/alice.age"));
    chown(&file, Some(4242), None).unwrap();
    world.client_sees(
        get(),
        &format!("cannot open {ALICE}: Permission denied (os error 13)"),
        "give yourself access, or set COFFER_DIR to a directory of your own",
    );
    chmod(&file, 0o644);
    world.client_sees(get(), &format!("{ALICE} belongs to another user"), &format!("sudo chown $USER {ALICE}"));
    chown(&file, Some(65534), None).unwrap();
    chown(&directory, Some(4242), None).unwrap();
    chmod(&directory, 0o755);
    let place = "~/.local/share/coffer/store/ghcr.io";
    world.client_sees(get(), &format!("{place} belongs to another user"), &format!("sudo chown $USER {place}"));
}

#[test]
fn lists_of_recipients() {
    let world = held();
    token(&world, "mine");
    let path = world.store().join("store/.age-recipients");
    let own = fs::read_to_string(&path).unwrap();
    let store = || world.store_login("quay.io", "bob", "x");
    for (text, problem) in [
        (&b"# caf\xe9\n"[..], "is not UTF-8"),
        (b"# mine\nage1garbage\n", "line 2 is not an age recipient"),
        (b"# nobody\n", "lists no recipient"),
    ] {
        fs::write(&path, text).unwrap();
        world.client_sees(
            store(),
            &format!("{RECIPIENTS} {problem}"),
            "mend it: whom it does not name cannot read what is written from now on",
        );
    }
    fs::write(&path, format!("{own}{}\n", post_quantum(&world))).unwrap();
    world.client_sees(
        store(),
        "the recipients cannot be written for together: post-quantum ones stand among themselves alone",
        "see docker-credential-coffer recipients list, and remove one",
    );
    fs::write(&path, own.repeat(2000)).unwrap();
    world.client_sees(
        store(),
        "2000 recipients are more than can be written for together",
        "remove some from .age-recipients, beside the credentials",
    );
}

#[test]
fn where_nothing_may_be_written() {
    let world = held();
    world.call("chown", &["-R", "65534:65534", world.path("").to_str().unwrap()]).run().ok();
    chmod(&world.store().join("store/ghcr.io"), 0o500);
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups", "docker-credential-coffer", "store"];
    world.client_sees(
        world.call("setpriv", &nobody).input(login("ghcr.io", "alice", "x")).run(),
        "cannot write in ~/.local/share/coffer/store/ghcr.io: Permission denied (os error 13)",
        "give yourself access, or set COFFER_DIR to a directory of your own",
    );
}

#[test]
fn a_key_and_a_list_that_are_both_gone() {
    let world = held();
    fs::remove_file(world.store().join("store/.age-recipients")).unwrap();
    fs::remove_file(world.store().join("identities")).unwrap();
    let message =
        format!("no key for the store in {STORE}: there is no identities file, and no OS keyring that holds one");
    for command in [&["unlock"][..], &["key", "show"]] {
        let cure = "bring back the identities file, unlock the OS keyring, or set COFFER_IDENTITY_FILE";
        world.person_sees(world.coffer(command).run(), &message, cure);
    }
}

/// A list that is gone took names with it that this program does not know.
#[test]
fn a_list_of_recipients_that_is_gone() {
    let world = held();
    fs::remove_file(world.store().join("store/.age-recipients")).unwrap();
    let message = format!("{RECIPIENTS} is gone, which says who can read what is held");
    let hint =
        "restore it; or have docker-credential-coffer setup make one with your key alone, and name the others anew";
    world.client_sees(world.store_login("quay.io", "bob", "x"), &message, hint);
    fs::write(world.store().join("store/.age-recipients"), "").unwrap();
    world.client_sees(world.store_login("quay.io", "bob", "x"), &message, hint);
    fs::remove_file(world.store().join("store/.age-recipients")).unwrap();
    world.person_sees(world.coffer(&["key", "rotate"]).run(), &message, hint);
    world.get("quay.io").misses();
    world.coffer(&["setup", "--yes"]).run().ok();
    world.store_login("quay.io", "bob", "x").silent();
}

#[test]
fn no_key_or_another() {
    let look_again = "bring back the identities file, unlock the OS keyring, or set COFFER_IDENTITY_FILE";
    let world = held();
    let identities = world.store().join("identities");
    let own = fs::read(&identities).unwrap();
    fs::remove_file(&identities).unwrap();
    let no_key = format!("no key for the store in {STORE}:");
    world.client_sees(
        world.get("ghcr.io"),
        &format!("{no_key} there is no identities file, and no OS keyring that holds one"),
        look_again,
    );
    world.config("[age]\nkey = \"file\"\n");
    world.client_sees(world.get("ghcr.io"), &format!("{no_key} there is no identities file"), look_again);
    world.client_sees(
        world.coffer(&["get"]).env("COFFER_IDENTITY_FILE", "/nonexistent").input("ghcr.io").run(),
        &format!("{no_key} the file that COFFER_IDENTITY_FILE names does not exist"),
        "bring it back, or unset COFFER_IDENTITY_FILE",
    );
    let (other, _) = keygen(&world, "other.txt");
    fs::rename(other, &identities).unwrap();
    world.client_sees(
        world.get("ghcr.io"),
        &format!("none of the keys opens {ALICE}"),
        "use the key it was encrypted to (COFFER_IDENTITY_FILE names another), or erase it and log in again",
    );
    world.client_sees(
        world.store_login("quay.io", "bob", "x"),
        &format!("the key is not among the recipients in {RECIPIENTS}"),
        &format!("bring back the key that the store was made with, or add this one's recipient to {RECIPIENTS}"),
    );
    fs::write(identities, own).unwrap();

    let new = World::new();
    let store = new.coffer(&["store"]).env("COFFER_IDENTITY_FILE", "/nonexistent");
    new.client_sees(
        store.input(login("ghcr.io", "alice", "x")).run(),
        &format!("{no_key} the file that COFFER_IDENTITY_FILE names does not exist, and none is made there"),
        "make one there with age-keygen -o, or unset COFFER_IDENTITY_FILE",
    );
}
