//! `setup`: a machine that had nothing, one that is set up already, one that is lived in.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::{Bus, Terminal, World, chmod, login, mode};

fn docker_config(world: &World) -> String {
    fs::read_to_string(world.home().join(".docker/config.json")).unwrap()
}

#[test]
fn a_bare_machine_is_set_up_and_a_second_run_changes_nothing() {
    let mut world = World::new();
    world.set("PATH", "/usr/bin:/bin");
    let said = world.coffer(&["setup"]).run();
    assert_eq!((said.code, said.stdout.as_str()), (Some(0), ""), "{said:#?}");
    assert!(said.stderr.contains(".local/bin is not on the PATH yet"), "{said:#?}");
    assert_eq!(docker_config(&world), "{\n\t\"auths\": {},\n\t\"credsStore\": \"coffer\"\n}");
    assert_eq!(mode(&world.home().join(".docker/config.json")), 0o600);
    assert_eq!(mode(&world.home().join(".docker")), 0o700);
    let program = world.home().join(".local/bin/docker-credential-coffer");
    assert_eq!(mode(&program), 0o755);
    assert!(world.store().join("identities").exists() && world.store().join("store/.age-recipients").exists());

    world.set("PATH", &format!("{}:/usr/bin:/bin", world.home().join(".local/bin").display()));
    let before = world.files(&world.home());
    let again = world.coffer(&["setup"]).run();
    assert_eq!((again.code, again.stderr.as_str()), (Some(0), "everything is set up already\n"), "{again:#?}");
    assert_eq!(world.files(&world.home()), before);
    // An older copy is brought up to date.
    fs::write(&program, "old").unwrap();
    world.coffer(&["setup"]).run().ok();
    assert!(fs::metadata(&program).unwrap().len() > 1000);
}

#[test]
fn the_first_directory_that_the_path_names_is_taken() {
    let mut world = World::new();
    fs::create_dir_all(world.home().join("bin")).unwrap();
    world.set("PATH", &format!("{0}/bin:{0}/.cargo/bin:/usr/bin:/bin", world.home().display()));
    world.coffer(&["setup", "--yes"]).run().ok();
    assert!(world.home().join("bin/docker-credential-coffer").exists());
    assert!(!world.home().join(".local/bin").exists());
}

#[test]
fn what_docker_was_told_besides_stays() {
    let world = World::new();
    let real = world.write(
        "dotfiles/docker.json",
        "{\"psFormat\":\"<x>\",\"credHelpers\":{\"gcr.io\":\"gcloud\"},\"auths\":{\"ghcr.io\":{}}}",
    );
    chmod(&real, 0o640);
    fs::create_dir(world.home().join(".docker")).unwrap();
    symlink("../dotfiles/docker.json", world.home().join(".docker/config.json")).unwrap();
    world.coffer(&["setup", "--yes"]).run().ok();
    let expected = "{\n\t\"psFormat\": \"\\u003cx\\u003e\",\n\t\"credHelpers\": {\n\t\t\"gcr.io\": \"gcloud\"\n\t},\n\t\"auths\": {\n\t\t\"ghcr.io\": {}\n\t},\n\t\"credsStore\": \"coffer\"\n}";
    assert_eq!(docker_config(&world), expected);
    assert!(fs::symlink_metadata(world.home().join(".docker/config.json")).unwrap().is_symlink());
    assert_eq!(mode(&real), 0o640);
}

#[test]
fn what_is_held_is_not_put_out_of_reach() {
    let mut world = World::new();
    world.store_login("ghcr.io", "alice", "x").silent();
    let _bus = Bus::with_keyring(&mut world);
    for option in [["--store", "keyring"], ["--key", "keyring"]] {
        let outcome = world.coffer(&[&["setup", "--yes"], &option[..]].concat()).run();
        assert!(outcome.code == Some(1) && outcome.stderr.contains("1 login would not be found"), "{outcome:#?}");
    }
    world.get("ghcr.io").answers("ghcr.io", "alice", "x");
}

/// It was enough that the keyring held any key.
#[test]
fn the_key_of_another_store_is_not_taken_for_this_ones() {
    let mut world = World::new();
    world.store_login("ghcr.io", "alice", "x").silent();
    let _bus = Bus::with_keyring(&mut world);
    let other = world.path("other");
    let call = world.coffer(&["store"]).env("COFFER_DIR", other.to_str().unwrap());
    call.input(login("quay.io", "alice", "y")).run().silent();
    assert!(!other.join("identities").exists(), "its key is in the keyring");
    let outcome = world.coffer(&["setup", "--yes", "--key", "keyring"]).run();
    assert!(outcome.code == Some(1) && outcome.stderr.contains("1 login would not be found or opened"), "{outcome:#?}");
    world.get("ghcr.io").answers("ghcr.io", "alice", "x");
}

/// With credsStore set, Docker ignores a plaintext entry: a login that worked would be gone.
#[test]
fn without_the_migration_logins_that_docker_would_lose_sight_of_stop_it() {
    for (config, words) in [
        ("{\"auths\":{\"ghcr.io\":{\"auth\":\"YTpi\"}}}", "logins are kept in plaintext: ghcr.io"),
        ("{\"credsStore\":\"pass\"}", "logins are kept by docker-credential-pass"),
        ("{\"auths\":{\"a.io\":{\"auth\":\"YTpi\"}},\"auths\":{}}", "logins are kept in plaintext: a.io"),
    ] {
        let world = World::new();
        world.write(".docker/config.json", config);
        let outcome = world.coffer(&["setup", "--no-migrate"]).run();
        assert!(outcome.code == Some(1) && outcome.stderr.contains(words), "{outcome:#?}");
        assert_eq!(docker_config(&world), config);
        assert!(world.files(&world.store()).is_empty());
        world.coffer(&["setup", "--no-migrate", "--yes"]).run().ok();
        assert!(docker_config(&world).contains("\"credsStore\": \"coffer\""));
        world.get("ghcr.io").misses();
    }
}

#[test]
fn a_lived_in_machine_is_set_up_in_one_command() {
    let world = World::new();
    world.write(".docker/config.json", "{\"auths\":{\"ghcr.io\":{\"auth\":\"YTpi\"}}}");
    let said = world.coffer(&["setup"]).run();
    assert!(said.code == Some(0) && said.stderr.contains("would move 1 login"), "{said:#?}");
    world.get("ghcr.io").answers("ghcr.io", "a", "b");
    assert!(docker_config(&world).starts_with("{\n\t\"auths\": {\n\t\t\"ghcr.io\": {}\n\t}"));
    assert!(docker_config(&world).contains("\"credsStore\": \"coffer\""));
    let before = world.files(&world.home());
    let again = world.coffer(&["setup"]).run();
    assert_eq!((again.code, again.stderr.as_str()), (Some(0), "everything is set up already\n"), "{again:#?}");
    assert_eq!(world.files(&world.home()), before);
    let undo = said.stderr.lines().find(|line| line.trim().starts_with("docker-credential-coffer migrate --undo"));
    assert!(undo.is_some(), "{said:#?}");
}

#[test]
fn a_broken_configuration_is_named_and_left() {
    let world = World::new();
    let text = "{\"auths\": {\"ghcr.io\": {\"auth\": \"SECRET\"}},}";
    let path = world.write(".docker/config.json", text);
    let outcome = world.coffer(&["setup", "--yes"]).run();
    assert!(
        outcome.code == Some(1)
            && outcome.stderr.contains(&format!("{} is not JSON at line 1 column 43", path.display())),
        "{outcome:#?}"
    );
    assert!(!outcome.stderr.contains("SECRET"));
    assert_eq!(docker_config(&world), text);
}

#[test]
fn the_options_are_written_down() {
    let world = World::new();
    world.coffer(&["setup", "--yes", "--key", "file"]).run().ok();
    let config = world.home().join(".config/coffer/config.toml");
    assert_eq!(fs::read_to_string(&config).unwrap(), "[age]\nkey = \"file\"\n");
    let outcome = world.coffer(&["setup", "--yes", "--store", "keyring"]).run();
    assert!(outcome.code == Some(1) && outcome.stderr.contains("store = \"keyring\""), "{outcome:#?}");
}

#[test]
fn a_keyring_that_is_not_there_is_noticed_before_anything_is_written() {
    let mut world = World::new();
    for option in [["--store", "keyring"], ["--key", "keyring"]] {
        let outcome = world.coffer(&[&["setup", "--yes"], &option[..]].concat()).run();
        assert!(outcome.code == Some(1) && outcome.stderr.contains("the OS keyring cannot be reached"), "{outcome:#?}");
        assert!(!world.home().join(".config").exists() && !world.home().join(".docker").exists());
    }
    let _bus = Bus::with_keyring(&mut world);
    world.coffer(&["setup", "--yes", "--store", "keyring"]).run().ok();
    assert!(world.files(&world.store()).iter().all(|file| !file.ends_with("identities")));
    world.store_login("ghcr.io", "alice", "x").silent();
    world.get("ghcr.io").answers("ghcr.io", "alice", "x");
}

#[test]
fn with_somebody_at_the_terminal_it_asks() {
    let world = World::new();
    let run = |answer: &str| {
        // script(1) gives it a terminal.
        let command = format!("{} setup", env!("CARGO_BIN_EXE_docker-credential-coffer"));
        world.call("script", &["-qec", &command, "/dev/null"]).input(answer).run()
    };
    let declined = run("n\n");
    assert!(declined.code == Some(1) && declined.stdout.contains("go on? [Y/n]"), "{declined:#?}");
    assert!(declined.stdout.contains("nothing was done"), "{declined:#?}");
    assert!(world.files(&world.home()).is_empty());
    run("\n").ok();
    assert!(docker_config(&world).contains("coffer"));
}

/// It asked about a recovery key all the same, and a loop over a fleet stood still.
#[test]
fn with_yes_it_asks_nothing() {
    let world = World::new();
    let (code, shown) = Terminal::run(&world, "docker-credential-coffer setup --yes").end();
    assert!(code == Some(0) && !shown.contains("[y/N]") && !shown.contains("[Y/n]"), "{shown}");
}
