//! `setup`, disturbed at every call: what lay in plaintext is readable all the time, and called again it ends where an
//! undisturbed run ends.

use std::fs;

use crate::support::faults::{Faults, Says};
use crate::support::strace::Call;
use crate::support::{LivedIn, World, strace};

fn world(lived_in: &LivedIn) -> &World {
    &lived_in.world
}

const SETUP: [&str; 4] = ["setup", "--yes", "--key", "file"];

/// What it does besides a migration.
fn is_its_own(call: &Call) -> bool {
    let own = ["/.config/", "/cli-plugins", "/identities", "/.age-recipients", "/setup.lock"];
    own.iter().any(|part| call.arguments.contains(part))
}

#[test]
fn a_setup_survives_every_fault() {
    let undisturbed = LivedIn::new(1);
    undisturbed.world.coffer(&SETUP).run().ok();
    let end = undisturbed.end();
    let holds = |lived_in: &LivedIn, when: &str| {
        lived_in.has_lost_nothing(when);
        lived_in.is_no_clearer(when);
    };
    let ended = |lived_in: &LivedIn, _, when: &str| {
        lived_in.ended_alike(&end, when);
        let link = lived_in.world.home().join(".docker/cli-plugins/docker-coffer");
        assert!(fs::read_link(&link).is_ok_and(|target| target.is_file()), "{when}");
    };
    Faults::of((&SETUP, ""), &|| LivedIn::new(1), world, &holds, &ended).says(Says::InAReport).few(&is_its_own).run();
}

/// A copy of the program that was not finished is large, and nobody else would remove it.
#[test]
fn a_copy_of_the_program_that_was_not_finished_is_gone_after_the_next_setup() {
    let mut world = World::new();
    let bin = world.home().join(".local/bin");
    world.set("PATH", &format!("{}:/usr/bin:/bin", bin.display()));
    let kill = "rename,renameat:signal=SIGKILL:when=1";
    let (outcome, _) = strace::run(&world, &["setup", "--yes"], "", &[kill.into()], &[]);
    assert_eq!(outcome.code, None, "{outcome:#?}");
    assert!(world.files(&bin).iter().any(|name| name.starts_with(".coffer-")), "{:?}", world.files(&bin));
    world.coffer(&["setup", "--yes"]).run().ok();
    assert_eq!(world.files(&bin), ["docker-credential-coffer"]);
}
