//! A token for ECR that is minted and kept, disturbed at every call: it is answered, or the failure is said, and it never
//! lies in clear.

use crate::support::faults::{Faults, Run, Says};
use crate::support::{Aws, World};

const SERVER: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com";

fn itself(world: &World) -> &World {
    world
}

fn kept(world: &World) -> usize {
    world.files(&world.store().join("ecr")).iter().filter(|name| name.ends_with(".age")).count()
}

#[test]
fn a_token_that_is_kept_survives_every_fault() {
    let mut template = World::new();
    let aws = Aws::start(&mut template);
    template.store_login("ghcr.io", "alice", "hunter2").silent();
    let holds = |world: &World, when: &str| {
        let files = world.snapshot(&world.home());
        let in_clear = |bytes: &[u8]| bytes.windows(6).any(|window| window == b"token-");
        assert!(files.values().all(|(bytes, _)| !in_clear(bytes)), "{when}");
        let outcome = world.get("ghcr.io");
        assert!(outcome.code == Some(0) && outcome.stdout.contains("hunter2"), "{when}: {outcome:#?}");
    };
    let ended = |world: &World, run: Run, when: &str| {
        // What cannot be kept is answered all the same.
        if run == Run::Disturbed {
            return;
        }
        assert_eq!(kept(world), 1, "{when}");
        let asked = aws.calls();
        let outcome = world.get(SERVER);
        assert!(outcome.code == Some(0) && outcome.stdout.contains("token-"), "{when}: {outcome:#?}");
        // Two at a time share one AWS, so it is told by what is kept.
        assert!(kept(world) == 1 && asked > 0, "{when}");
    };
    Faults::of((&["get"], SERVER), &|| template.twin(), itself, &holds, &ended)
        .says(Says::ToDocker)
        .of_what_can_be_had_again()
        .run();
}
