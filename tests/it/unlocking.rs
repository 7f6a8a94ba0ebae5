//! `unlock` and `lock`, in the real keyring of the kernel.

use std::fs;
use std::os::unix::fs::chown;
use std::thread;
use std::time::Duration;

use crate::support::keys::{Pinentry, token};
use crate::support::{Bus, World, chmod};

const PASSPHRASE: &str = "open sesame\n";

/// A world in which `ghcr.io` is held for alice, its key is sealed, and nobody may be asked.
fn sealed() -> World {
    let mut world = World::new();
    world.set("COFFER_NO_PROMPT", "1");
    world.store_login("ghcr.io", "alice", "hunter2").silent();
    world.coffer(&["key", "protect", "--passphrase"]).input(PASSPHRASE).run().ok();
    world
}

fn unlock(world: &World, time: &[&str]) {
    let outcome = world.coffer(&[&["unlock"], time].concat()).input(PASSPHRASE).run();
    assert!(outcome.code == Some(0) && outcome.stderr.starts_with("unlocked until 20"), "{outcome:#?}");
}

const IS_LOCKED: &str = "is locked: nobody may be asked for its passphrase here";

#[test]
fn an_unlocked_key_needs_no_passphrase_until_it_is_locked() {
    let world = sealed();
    world.get("ghcr.io").fails(IS_LOCKED);
    unlock(&world, &[]);
    world.get("ghcr.io").answers("ghcr.io", "alice", "hunter2");
    assert!(world.coffer(&["key", "show"]).run().ok().contains("it is unlocked until 20"));
    world.coffer(&["recipients", "add", "--recovery"]).run().ok();
    let said = |arguments: &[&str]| world.coffer(arguments).run().stderr;
    assert_eq!(said(&["lock"]), "locked\n");
    world.get("ghcr.io").fails(IS_LOCKED);
    assert_eq!(said(&["lock"]), "it was not unlocked\n");
    let wrong = world.coffer(&["unlock"]).input("wrong\n").run();
    assert!(wrong.code == Some(1) && wrong.stderr.contains("the passphrase does not open"), "{wrong:#?}");
}

#[test]
fn an_unlocked_key_is_forgotten_when_its_time_is_up() {
    let world = sealed();
    unlock(&world, &["--for", "2s"]);
    world.get("ghcr.io").answers("ghcr.io", "alice", "hunter2");
    thread::sleep(Duration::from_millis(2100));
    world.get("ghcr.io").fails(IS_LOCKED);
    world.config("[age]\nunlock-for = \"1s\"\n");
    unlock(&world, &[]);
    thread::sleep(Duration::from_millis(1100));
    world.get("ghcr.io").fails(IS_LOCKED);
    let bad = world.coffer(&["unlock", "--for", "soon"]).run();
    assert_eq!(bad.code, Some(2), "{bad:#?}");
}

/// `keyctl session` begins one whose keyring does not lead to the user's, as `su` and services do.
#[test]
fn every_session_of_the_user_has_the_unlocked_key() {
    let world = sealed();
    chmod(&world.path(""), 0o755);
    chmod(&world.path("bin"), 0o755);
    let program = world.path("bin/coffer");
    fs::copy(env!("CARGO_BIN_EXE_docker-credential-coffer"), &program).unwrap();
    let owner = if rustix::process::geteuid().is_root() { 65534 } else { rustix::process::geteuid().as_raw() };
    world.call("chown", &["-R", &owner.to_string(), world.home().to_str().unwrap()]).run().ok();
    chown(world.home(), Some(owner), None).unwrap();
    let user = format!("--reuid={owner}");
    let call = |session: &[&str], action: &str, input: &str| {
        let as_user: &[&str] = if owner == 65534 { &[&user, "--clear-groups"] } else { &["--inh-caps=-all"] };
        world.call("setpriv", &[as_user, session, &[program.to_str().unwrap(), action]].concat()).input(input).run()
    };
    call(&[], "unlock", PASSPHRASE).ok();
    call(&["keyctl", "session", "-"], "get", "ghcr.io").ok();
    // Another user of the machine has another keyring.
    if owner == 65534 {
        world.get("ghcr.io").fails(IS_LOCKED);
    }
    call(&["keyctl", "session", "-"], "lock", "").ok();
    call(&[], "get", "ghcr.io").fails(IS_LOCKED);
}

#[test]
fn an_unlocked_key_of_the_os_keyring_needs_no_os_keyring() {
    let mut world = World::new();
    let mut bus = Bus::with_keyring(&mut world);
    world.store_login("ghcr.io", "alice", "hunter2").silent();
    unlock(&world, &[]);
    world.set("COFFER_NO_PROMPT", "1");
    bus.lock(&world);
    world.get("ghcr.io").answers("ghcr.io", "alice", "hunter2");
    bus.stop_keyring();
    world.get("ghcr.io").answers("ghcr.io", "alice", "hunter2");
    world.store_login("gcr.io", "carol", "x").silent();
    assert!(world.coffer(&["key", "show"]).run().ok().contains("in the OS keyring\nit is unlocked until"));
    bus.start_keyring(&world);
    world.coffer(&["lock"]).run().ok();
    bus.lock(&world);
    world.get("ghcr.io").fails("the OS keyring is locked");
    world.get("quay.io").misses();
}

#[test]
fn what_was_unlocked_is_of_one_store_and_one_key() {
    let world = sealed();
    unlock(&world, &[]);
    let other = sealed();
    other.get("ghcr.io").fails(IS_LOCKED);
    // Another key in the same place, and one from elsewhere.
    let identities = world.store().join("identities");
    let own = fs::read(&identities).unwrap();
    fs::copy(other.store().join("identities"), &identities).unwrap();
    world.get("ghcr.io").fails(IS_LOCKED);
    fs::write(&identities, own).unwrap();
    world.get("ghcr.io").answers("ghcr.io", "alice", "hunter2");
    let elsewhere = other.store().join("identities");
    let call = world.coffer(&["get"]).env("COFFER_IDENTITY_FILE", elsewhere.to_str().unwrap());
    call.input("ghcr.io").run().fails(IS_LOCKED);
    // What is changed is locked.
    world.coffer(&["key", "rotate"]).input(PASSPHRASE).run().ok();
    world.get("ghcr.io").fails(IS_LOCKED);
}

/// As when the key was replaced on another machine, and the OS keyring is not one that can be asked without a prompt.
#[test]
fn a_key_that_was_unlocked_and_replaced_does_no_harm() {
    let mut world = World::new();
    let _bus = Bus::with_keyring(&mut world);
    world.store_login("ghcr.io", "alice", "hunter2").silent();
    unlock(&world, &[]);
    let keyctl = |arguments: &[&str]| world.call("keyctl", arguments).run().ok();
    let directory = format!("{:x}", <sha2::Sha256 as sha2::Digest>::digest(world.store().to_str().unwrap()));
    let name = format!("docker-credential-coffer:{}", &directory[..32]);
    let number = keyctl(&["search", "@u", "user", &name]);
    let old = keyctl(&["pipe", number.trim()]);
    assert!(old.contains("AGE-SECRET-KEY-1"));
    world.coffer(&["key", "rotate"]).run().ok();
    keyctl(&["add", "user", &name, &old, "@u"]);
    world.get("ghcr.io").answers("ghcr.io", "alice", "hunter2");
    world.store_login("quay.io", "bob", "x").silent();
    world.get("quay.io").answers("quay.io", "bob", "x");
    let outcome = world.coffer(&["recipients", "add", "--recovery"]).run();
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    world.get("ghcr.io").answers("ghcr.io", "alice", "hunter2");
    world.coffer(&["lock"]).run().ok();
}

#[test]
fn what_needs_no_unlocking_and_what_cannot_be_unlocked_is_said() {
    let world = World::new();
    let nothing = world.coffer(&["unlock"]).run();
    let setup = "docker-credential-coffer setup makes it";
    world.person_sees(nothing, "there is no store in ~/.local/share/coffer yet", setup);
    world.store_login("ghcr.io", "alice", "x").silent();
    let identities = world.store().join("identities");
    fs::rename(&identities, world.home().join("away")).unwrap();
    world.person_sees(
        world.coffer(&["unlock"]).run(),
        "no key for the store in ~/.local/share/coffer: there is no identities file, and no OS keyring that holds one",
        "bring back the identities file, unlock the OS keyring, or set COFFER_IDENTITY_FILE",
    );
    fs::rename(world.home().join("away"), identities).unwrap();
    let plain = world.coffer(&["unlock"]).run();
    assert_eq!((plain.code, plain.stderr.as_str()), (Some(0), "the key is a plain file, which needs no unlocking\n"));
    let identity = token(&world, "mine");
    world.coffer(&["key", "protect", "--plugin", identity.to_str().unwrap()]).run().ok();
    let hardware = world.coffer(&["unlock"]).run();
    assert_eq!(hardware.code, Some(1), "{hardware:#?}");
    assert!(hardware.stderr.contains("never leaves the token of age-plugin-token, so it cannot be unlocked"));
}

/// A container's filter of system calls says EPERM; a kernel without keyrings says ENOSYS.
#[test]
fn without_a_kernel_keyring_unlock_says_so_and_get_goes_on() {
    let mut world = sealed();
    world.unset("COFFER_NO_PROMPT");
    let pinentry = Pinentry::install(&world, &["open sesame"]);
    for (error, words) in [("EPERM", "it is forbidden here, as in most containers"), ("ENOSYS", "this kernel has none")]
    {
        let inject = format!("inject=keyctl,add_key:error={error}");
        let without = |action: &str, input: &str| {
            let log = world.path("run/strace");
            let strace = ["-f", "-qq", "-o", log.to_str().unwrap(), "-e", &inject];
            let program = [env!("CARGO_BIN_EXE_docker-credential-coffer"), action];
            world.call("strace", &[&strace[..], &program].concat()).input(input).run()
        };
        let outcome = without("unlock", PASSPHRASE);
        world.person_sees(
            outcome,
            &format!("the kernel's keyring cannot be used: {words}"),
            "call unlock outside of the container, or keep the key in the OS keyring",
        );
        pinentry.answer(&["open sesame"]);
        without("get", "ghcr.io").answers("ghcr.io", "alice", "hunter2");
        assert_eq!(without("lock", "").stderr, "it was not unlocked\n");
        without("get", "quay.io").misses();
    }
    let log = world.path("run/strace");
    let strace = ["-f", "-qq", "-o", log.to_str().unwrap(), "-e", "inject=add_key:error=EDQUOT"];
    let program = [env!("CARGO_BIN_EXE_docker-credential-coffer"), "unlock"];
    world.person_sees(
        world.call("strace", &[&strace[..], &program].concat()).input(PASSPHRASE).run(),
        "the kernel's keyring cannot be used: it is full",
        "call unlock outside of the container, or keep the key in the OS keyring",
    );
}

/// A key file costs no look into the kernel's keyring.
#[test]
fn a_plain_key_is_not_looked_for_in_the_kernel() {
    let world = World::new();
    world.store_login("ghcr.io", "alice", "hunter2").silent();
    let log = world.path("run/strace");
    let strace = ["-f", "-o", log.to_str().unwrap(), "-e", "trace=keyctl,add_key,request_key"];
    let program = [env!("CARGO_BIN_EXE_docker-credential-coffer"), "get"];
    world.call("strace", &[&strace[..], &program].concat()).input("ghcr.io").run().ok();
    assert!(!fs::read_to_string(log).unwrap().contains("keyctl("));
}
