//! `migrate` for somebody who is not root: files and directories of other owners, groups and modes.

use std::fs;
use std::os::unix::fs::MetadataExt;

use serde_json::json;

use crate::support::{World, chmod, mode};

/// `user:MARK-OF-A-SECRET`
const AUTH: &str = "dXNlcjpNQVJLLU9GLUEtU0VDUkVU";
const MARK: &str = "MARK-OF-A-SECRET";

/// As a user who is not root, in a home of his own.
fn as_nobody(world: &World, command: &str) -> crate::support::Outcome {
    world.call("chown", &["-R", "65534:65534", world.path("").to_str().unwrap()]).run().ok();
    let arguments = ["--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", command];
    world.call("setpriv", &arguments).run()
}

#[test]
fn a_file_that_is_read_only_is_rewritten_and_stays_so() {
    for its_mode in [0o400, 0o600, 0o640, 0o644] {
        let world = World::new();
        let path =
            world.write(".docker/config.json", &json!({ "auths": { "a.example": { "auth": AUTH } } }).to_string());
        chmod(&path, its_mode);
        as_nobody(&world, "docker-credential-coffer migrate --yes").ok();
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!((mode(&path), metadata.uid(), metadata.gid()), (its_mode, 65534, 65534));
        assert!(world.files_with(&world.path(""), MARK).is_empty());
    }
}

#[test]
fn what_cannot_be_written_is_told_and_stays() {
    for is_anothers in [false, true] {
        let world = World::new();
        let text = json!({ "auths": { "a.example": { "auth": AUTH } } }).to_string();
        let path = world.write(".docker/config.json", &text);
        as_nobody(&world, if is_anothers { "true" } else { "chmod 500 .docker" }).ok();
        if is_anothers {
            std::os::unix::fs::chown(&path, Some(0), Some(0)).unwrap();
        }
        let nobody =
            ["--reuid=65534", "--regid=65534", "--clear-groups", "docker-credential-coffer", "migrate", "--yes"];
        let outcome = world.call("setpriv", &nobody).run();
        assert!(outcome.code == Some(1) && outcome.stdout.contains("cannot write"), "{outcome:#?}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        assert_eq!(world.files(path.parent().unwrap()), ["config.json"]);
        as_nobody(&world, "chmod 700 .docker; docker-credential-coffer migrate --yes").ok();
        assert!(world.files_with(&world.path(""), MARK).is_empty());
    }
}

/// A file may have come from another machine, or from root, with a group that its owner is not in.
#[test]
fn a_group_that_cannot_be_given_yields_to_ones_own_without_rights() {
    let world = World::new();
    let path = world.write(".docker/config.json", &json!({ "auths": { "a.example": { "auth": AUTH } } }).to_string());
    as_nobody(&world, "true").ok();
    std::os::unix::fs::chown(&path, None, Some(0)).unwrap();
    chmod(&path, 0o664);
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups", "docker-credential-coffer", "migrate", "--yes"];
    world.call("setpriv", &nobody).run().ok();
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!((mode(&path), metadata.uid(), metadata.gid()), (0o604, 65534, 65534));
    assert!(world.files_with(&world.path(""), MARK).is_empty());
}

/// As `su`, cron and a loop over all users have it. `/run/containers` is root's where podman made it.
#[test]
fn without_a_runtime_directory_podmans_own_is_looked_at_and_roots_is_no_finding() {
    let world = World::new();
    as_nobody(&world, "true").ok();
    let auth = json!({ "auths": { "a.example": { "auth": AUTH } } }).to_string();
    let script = format!(
        "mount -t tmpfs none /run && mkdir -m 700 /run/containers && mkdir -p /run/user/65534/containers && \
         chown -R 65534:65534 /run/user/65534 || exit 9
         nobody() {{ setpriv --reuid=65534 --regid=65534 --clear-groups env -u XDG_RUNTIME_DIR docker-credential-coffer \"$@\"; }}
         nobody audit && nobody migrate --yes || exit 8
         echo '{auth}' > /run/user/65534/containers/auth.json; chown 65534 /run/user/65534/containers/auth.json
         nobody audit && exit 7
         nobody migrate --yes && nobody audit; cat /run/user/65534/containers/auth.json"
    );
    let said = world.call("unshare", &["-m", "sh", "-c", &script]).run();
    assert!(said.stdout.contains("\"a.example\": \"coffer\""), "{said:#?}");
}
