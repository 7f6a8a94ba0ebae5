//! `migrate --undo`: the newest backup of each file is put back, and what it takes the place of is kept.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::support::{World, chmod, mode};

const CONFIG: &str = r#"{"auths":{"a.example":{"auth":"dTpw"},"b.example":{"auth":"dTpx"}},"zeta":1}"#;
const AUTH: &str = r#"{"auths":{"c.example":{"auth":"dTpw"}}}"#;

fn migrated() -> World {
    let world = World::new();
    world.write(".docker/config.json", CONFIG);
    world.write(".config/containers/auth.json", AUTH);
    world.coffer(&["migrate", "--yes"]).run().ok();
    world
}

fn read(world: &World, file: &str) -> String {
    fs::read_to_string(world.home().join(file)).unwrap()
}

#[test]
fn every_file_is_put_back_and_the_store_keeps_what_it_holds() {
    let world = migrated();
    chmod(&world.home().join(".docker/config.json"), 0o640);
    let said = world.coffer(&["migrate", "--undo", "--yes"]).run().ok();
    assert_eq!(said.lines().filter(|line| line.contains(": rewritten; backup in ")).count(), 2, "{said}");
    assert_eq!(
        (read(&world, ".docker/config.json").as_str(), mode(&world.home().join(".docker/config.json"))),
        (CONFIG, 0o640)
    );
    assert_eq!(read(&world, ".config/containers/auth.json"), AUTH);
    world.get("a.example").answers("a.example", "u", "p");
    // Twice is once.
    let before = world.files(&world.home());
    assert_eq!(world.coffer(&["migrate", "--undo", "--yes"]).run().ok(), "nothing to do\n");
    assert_eq!(world.files(&world.home()), before);
    // And forth again.
    world.coffer(&["migrate", "--yes"]).run().ok();
    assert!(read(&world, ".docker/config.json").contains("\"a.example\": {}"));
    world.coffer(&["migrate", "--undo", "--yes"]).run().ok();
    assert_eq!(read(&world, ".docker/config.json"), CONFIG);
}

#[test]
fn a_file_that_is_named_is_put_back_alone() {
    let world = migrated();
    world.coffer(&["migrate", "--undo", "--yes", ".docker/config.json"]).run().ok();
    assert_eq!(read(&world, ".docker/config.json"), CONFIG);
    assert_ne!(read(&world, ".config/containers/auth.json"), AUTH);
}

#[test]
fn what_changed_since_is_kept_before_it_goes() {
    let world = migrated();
    let newer = r#"{"auths":{"d.example":{}},"credsStore":"coffer"}"#;
    world.write(".docker/config.json", newer);
    world.coffer(&["migrate", "--undo", "--yes"]).run().ok();
    assert_eq!(read(&world, ".docker/config.json"), CONFIG);
    let identities = world.store().join("identities");
    let aside = world.files(&world.store()).into_iter().filter(|name| name.ends_with("-undone.age"));
    let opened = aside.map(|name| {
        world
            .call("age", &["-d", "-i", identities.to_str().unwrap(), world.store().join(name).to_str().unwrap()])
            .run()
            .ok()
    });
    assert!(opened.collect::<Vec<_>>().contains(&newer.to_owned()));
}

#[test]
fn a_file_that_is_gone_is_made_anew() {
    let world = migrated();
    fs::remove_dir_all(world.home().join(".docker")).unwrap();
    world.coffer(&["migrate", "--undo", "--yes"]).run().ok();
    assert_eq!(read(&world, ".docker/config.json"), CONFIG);
    assert_eq!(mode(&world.home().join(".docker/config.json")), 0o600);
}

#[test]
fn what_has_no_backup_is_an_error_and_no_backups_are_none() {
    let world = migrated();
    let path = world.write("other.json", CONFIG);
    let outcome = world.coffer(&["migrate", "--undo", "--yes", "other.json"]).run();
    assert!(outcome.code == Some(1) && outcome.stdout.contains("has no backup"), "{outcome:#?}");
    assert_eq!(fs::read_to_string(path).unwrap(), CONFIG);
    let outcome = World::new().coffer(&["migrate", "--undo", "--yes"]).run();
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), "there is no backup\n"), "{outcome:#?}");
    let told = World::new().coffer(&["migrate", "--undo", "--json"]).run().ok();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&told).unwrap()["files"], serde_json::json!([]));
}

#[test]
fn a_file_whose_path_is_too_long_for_a_name_is_told_and_can_be_named() {
    let world = World::new();
    let file = format!("{0}/{0}/auth.json", "long".repeat(30));
    let path = world.write(&file, AUTH);
    world.coffer(&["migrate", "--yes", &file]).run().ok();
    let told = world.coffer(&["migrate", "--undo", "--yes"]).run().ok();
    let reason = "the path of its file was too long for a name; name it: docker-credential-coffer migrate --undo FILE";
    assert!(told.starts_with(world.store().join("backups").to_str().unwrap()), "{told}");
    assert!(told.ends_with(&format!(": {reason}\n")), "{told}");
    assert_ne!(fs::read_to_string(&path).unwrap(), AUTH);
    world.coffer(&["migrate", "--undo", "--yes", &file]).run().ok();
    assert_eq!(fs::read_to_string(&path).unwrap(), AUTH);
}

/// A file has one name, however it is reached: otherwise its backup would not be found.
#[test]
fn a_file_is_put_back_whichever_way_it_was_reached() {
    for there in ["config.json", "./config.json", "../.docker/config.json", "../link.json", "../linked/config.json"] {
        for back in [Some("../.docker/config.json"), Some("../link.json"), None] {
            let world = World::new();
            let path = world.write(".docker/config.json", CONFIG);
            symlink(".docker/../.docker/config.json", world.home().join("link.json")).unwrap();
            symlink(".docker", world.home().join("linked")).unwrap();
            let run = |arguments: &[&str]| {
                let arguments =
                    [&["-C", ".docker", "docker-credential-coffer", "migrate", "--yes"], arguments].concat();
                world.call("env", &arguments).run().ok();
            };
            run(&[there]);
            assert!(fs::read_to_string(&path).unwrap().contains("\"a.example\": {}"), "{there}");
            run(&[&["--undo"], back.as_slice()].concat());
            assert_eq!(fs::read_to_string(&path).unwrap(), CONFIG, "{there}, {back:?}");
        }
    }
}

#[test]
fn a_backup_that_is_damaged_is_told_and_changes_nothing() {
    let world = migrated();
    let scrubbed = read(&world, ".docker/config.json");
    for name in world.files(&world.store().join("backups")).iter().filter(|name| name.contains("config.json")) {
        fs::write(world.store().join("backups").join(name), "age-encryption.org/v1\n--- \n").unwrap();
    }
    let outcome = world.coffer(&["migrate", "--undo", "--yes"]).run();
    assert_eq!(outcome.code, Some(1), "{outcome:#?}");
    assert_eq!(read(&world, ".docker/config.json"), scrubbed);
    assert_eq!(read(&world, ".config/containers/auth.json"), AUTH);
}

/// Two such files could have one backup, and be put back as each other.
#[test]
fn a_file_whose_path_is_not_utf_8_is_told_and_stays() {
    let world = World::new();
    world.write("a.json", CONFIG);
    let script = "mv a.json \"$(printf '\\377.json')\"; docker-credential-coffer migrate --yes --json ?.json";
    let outcome = world.call("sh", &["-c", script]).run();
    assert!(outcome.code == Some(1) && outcome.stdout.contains("not UTF-8"), "{outcome:#?}");
    assert_eq!(world.files_with(&world.home(), CONFIG).len(), 1);
}

/// As after a battery that was empty. The copy with the later name was put back, without what came since.
#[test]
fn the_last_backup_counts_even_if_the_clock_went_back() {
    let world = migrated();
    let backups = world.store().join("backups");
    let files = world.files(&backups);
    let copy = files.iter().find(|file| file.contains("config.json") && file.ends_with(".age")).unwrap();
    let later = Path::new(copy).with_file_name("20990101t000000z.age");
    fs::rename(backups.join(copy), backups.join(later)).unwrap();
    let newer = r#"{"auths":{"d.example":{"auth":"ZDpk"}},"credsStore":"coffer"}"#;
    world.write(".docker/config.json", newer);
    world.coffer(&["migrate", "--yes"]).run().ok();
    world.coffer(&["migrate", "--undo", "--yes", ".docker/config.json"]).run().ok();
    assert_eq!(read(&world, ".docker/config.json"), newer);
}
