//! A directory of a world on a file system that is too small, or read-only.

use std::fs;
use std::path::Path;

use super::{Outcome, World};

/// Runs Coffer while a directory of the world lies on a tmpfs with these options, and once more with room and the right to
/// write. What was there after each is in `first` and `second` of the world, with `home` and `run` in them.
pub fn run(world: &World, directory: &Path, options: &str, arguments: &[&str], input: &str) -> Outcome {
    const SCRIPT: &str = r#"set -e
        cp -a "$DISK" "$WORLD/there"
        mount -t tmpfs -o "mode=700,${OPTIONS#ro,}" tmpfs "$DISK"
        cp -a "$WORLD/there/." "$DISK"
        case $OPTIONS in ro,*) mount -o remount,ro "$DISK" ;; esac
        keep() { mkdir "$WORLD/$1"; cp -a "$WORLD/home" "$WORLD/run" "$WORLD/$1"; }
        set +e
        docker-credential-coffer "$@" <"$WORLD/input"; code=$?
        set -e
        keep first
        mount -o remount,rw,size=8m,nr_inodes=1000 "$DISK"
        docker-credential-coffer "$@" <"$WORLD/input" >"$WORLD/said" 2>&1 || exit 9
        keep second
        exit $code"#;
    fs::create_dir_all(directory).unwrap();
    fs::write(world.path("input"), input).unwrap();
    let call = world.call("unshare", &[&["-m", "sh", "-c", SCRIPT, "sh"][..], arguments].concat());
    let call = call.env("DISK", directory.to_str().unwrap()).env("OPTIONS", options);
    let outcome = call.env("WORLD", world.path("").to_str().unwrap()).run();
    assert!(outcome.code.is_some_and(|code| code < 2), "{options}: {outcome:#?}, {:?}", fs::read(world.path("said")));
    outcome
}
