//! What packagers take from the program: completions and the manual page.

use crate::support::World;

/// Every command for people.
fn commands(world: &World) -> Vec<String> {
    let help = world.coffer(&["--help"]).run().ok();
    let list = help.split("Commands:").nth(1).unwrap().split("\n\n").next().unwrap();
    list.lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .filter(|name| name != "help")
        .collect()
}

#[test]
fn every_command_is_completed() {
    let world = World::new();
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = world.coffer(&["completions", shell]).run().ok();
        for command in commands(&world) {
            assert!(script.contains(&command), "{shell} does not know {command}");
        }
    }
    let script = world.coffer(&["completions", "bash"]).run().ok();
    world.call("bash", &["-n"]).input(script).run().silent();
    assert_eq!(world.coffer(&["completions", "tcsh"]).run().code, Some(2));
}

#[test]
fn every_command_is_in_the_manual() {
    let world = World::new();
    let page = world.coffer(&["man"]).run().ok();
    assert!(page.contains(".TH docker-credential-coffer 1"), "{page}");
    for command in commands(&world) {
        assert!(page.contains(&format!(".SH {}\n", command.to_uppercase())), "{command} is not in the manual");
    }
}

/// A packager's build has neither a home nor a valid configuration.
#[test]
fn neither_needs_settings() {
    let world = World::new();
    world.config("this is no configuration");
    world.coffer(&["man"]).without("HOME").run().ok();
    world.coffer(&["completions", "fish"]).without("HOME").run().ok();
}
