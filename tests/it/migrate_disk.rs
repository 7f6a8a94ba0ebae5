//! `migrate` on disks that are full, that fail, or that cannot do what others can: nothing is lost, nothing is said to be
//! done that was not, and a second run completes.

use std::fs;
use std::path::Path;

use crate::support::{LivedIn, Outcome, chmod, in_two_threads, lacks_nothing, small_disk, strace};

/// Runs a migration while a directory of the world lies on a file system of so many pages, and again with room. What was
/// there after each is in `first` and `second` of the world.
fn migrate_on_small_disk(lived_in: &LivedIn, directory: &Path, pages: usize) -> Outcome {
    small_disk::run(&lived_in.world, directory, &format!("size={}k", pages * 4), &["migrate", "--yes"], "")
}

#[track_caller]
fn completes_with_room(lived_in: &LivedIn, outcome: &Outcome, files: &[&str], when: &str) {
    let world = &lived_in.world;
    let (first, second) = (world.path("first"), world.path("second"));
    let store = |root: &Path| root.join("home/.local/share/coffer");
    lacks_nothing(&first, &store(&first), &lived_in.logins, when);
    if outcome.code != Some(0) {
        assert_eq!(outcome.code, Some(1), "{when}: {outcome:#?}");
        assert!(outcome.said().contains("No space left on device"), "{when}: {outcome:#?}");
        assert!(outcome.stderr.contains("\nhint: ") || outcome.stderr.starts_with("hint: "), "{when}: {outcome:#?}");
        for file in files {
            let was = fs::read(LivedIn::new(20).world.path(file)).unwrap();
            assert_eq!(fs::read(first.join(file)).unwrap(), was, "{when}: {file} was touched");
        }
    }
    lacks_nothing(&second, &store(&second), &lived_in.logins, when);
    for directory in ["home/.docker", "home/.ecr", "run/containers"] {
        let root = second.join(directory);
        assert_eq!(world.files_with(&root, crate::support::SECRET), Vec::<std::path::PathBuf>::new(), "{when}");
        assert!(world.files(&root).iter().all(|name| !name.contains(".coffer-")), "{when}");
    }
    assert!(world.files(&store(&second)).iter().all(|name| !name.contains(".coffer-")), "{when}");
}

#[test]
fn a_disk_that_fills_at_any_point_of_the_store_loses_nothing() {
    let pages: Vec<usize> = (1..40).step_by(2).collect();
    let full = std::sync::atomic::AtomicUsize::new(0);
    in_two_threads(&pages, |pages| {
        let lived_in = LivedIn::new(20);
        let store = lived_in.world.store();
        fs::create_dir_all(&store).unwrap();
        chmod(&store, 0o700);
        let outcome = migrate_on_small_disk(&lived_in, &store, *pages);
        full.fetch_add(usize::from(outcome.code == Some(1)), std::sync::atomic::Ordering::Relaxed);
        let files = ["home/.docker/config.json", "run/containers/auth.json", "home/.dockercfg"];
        // Where only a backup did not fit, the other files are done.
        let files = if outcome.said().contains("these could not be done") { &[] } else { &files[..] };
        completes_with_room(&lived_in, &outcome, files, &format!("{pages} pages"));
    });
    assert!(full.into_inner() > 10, "most of the disks were too large to fill");
}

#[test]
fn a_clients_own_disk_that_is_full_leaves_its_file_and_does_the_others() {
    let lived_in = LivedIn::new(20);
    let docker = lived_in.world.home().join(".docker");
    // The file and nothing more.
    let outcome = migrate_on_small_disk(&lived_in, &docker, 1);
    assert_eq!(outcome.code, Some(1), "{outcome:#?}");
    let line = outcome.stdout.lines().find(|line| line.contains("No space left on device"));
    assert!(line.is_some_and(|line| line.contains(".docker/config.json")), "{outcome:#?}");
    completes_with_room(&lived_in, &outcome, &["home/.docker/config.json"], "the client's disk");
    let auth = fs::read_to_string(lived_in.world.path("first/run/containers/auth.json")).unwrap();
    assert!(auth.contains("\"podman.example\": {}"), "{auth}");
}

#[test]
fn a_file_system_that_cannot_exchange_names_is_written_all_the_same() {
    let undisturbed = LivedIn::new(1);
    undisturbed.world.coffer(&["migrate", "--yes"]).run().ok();
    let end = undisturbed.end();
    for error in ["EINVAL", "ENOSYS", "EOPNOTSUPP"] {
        let lived_in = LivedIn::new(1);
        let fault = format!("renameat2:error={error}");
        strace::run(&lived_in.world, &["migrate", "--yes"], "", &[fault], &[]).0.ok();
        lived_in.ended(&end, error);
    }
}

#[test]
fn a_report_that_cannot_be_written_is_an_error() {
    let lived_in = LivedIn::new(1);
    let outcome = lived_in.world.call("sh", &["-c", "docker-credential-coffer migrate --yes >/dev/full"]).run();
    assert!(outcome.code == Some(1) && outcome.stderr.contains("No space left on device"), "{outcome:#?}");
    lived_in.is_clean("no report");
    lived_in.has_lost_nothing("no report");
}
