//! What packagers take from the program: completions and the manual page; and the Debian package.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

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
fn the_list_of_commands_fits_a_terminal() {
    let help = World::new().coffer(&["--help"]).run().ok();
    assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
}

#[test]
fn every_command_is_in_the_manual() {
    let world = World::new();
    let page = world.coffer(&["man"]).run().ok();
    assert!(page.contains(".TH docker-credential-coffer 1"), "{page}");
    for command in commands(&world) {
        assert!(page.contains(&format!(".SH {}\n", command.to_uppercase())), "{command} is not in the manual");
    }
    assert!(page.contains(".SH KEY PROTECT\n") && page.contains(".SH RECIPIENTS ADD\n"), "{page}");
    // It formats, and every command of a table of options is there.
    let formatted = world.call("man", &["-l", "-"]).env("MANWIDTH", "80").input(page).run();
    assert!(formatted.code == Some(0) && formatted.stdout.contains("EXIT STATUS"), "{formatted:#?}");
}

/// A packager's build has neither a home nor a valid configuration.
#[test]
fn neither_needs_settings() {
    let world = World::new();
    world.config("this is no configuration");
    world.coffer(&["man"]).without("HOME").run().ok();
    world.coffer(&["completions", "fish"]).without("HOME").run().ok();
}

/// Into a root of its own, and out of it again.
#[test]
fn the_debian_package_is_built_installed_and_removed() {
    let world = World::new();
    let source = env!("CARGO_MANIFEST_DIR");
    // cargo and its tools live in the home directory of who runs the tests. Of the rest of the environment, what a test's
    // process is told by cargo would have half of the crates built again.
    let kept = ["PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME", "CARGO_TARGET_DIR"];
    let mut build = Command::new(Path::new(source).join("packaging/deb"));
    build.arg("dev").env_clear().envs(kept.iter().filter_map(|name| Some((name, env::var_os(name)?))));
    let build = build.output().unwrap();
    assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
    let package = String::from_utf8(build.stdout).unwrap().lines().last().unwrap().to_owned();

    let root = world.path("root");
    for directory in ["info", "updates", "triggers"] {
        fs::create_dir_all(root.join("var/lib/dpkg").join(directory)).unwrap();
    }
    fs::write(root.join("var/lib/dpkg/status"), "").unwrap();
    let root_option = format!("--root={}", root.display());
    let dpkg = |arguments: &[&str]| {
        let options = [root_option.as_str(), "--force-not-root", "--force-depends", "--force-script-chrootless"];
        let path = env::var("PATH").unwrap();
        world
            .call("dpkg", &[&options[..], arguments].concat())
            .env("PATH", &format!("{path}:/usr/sbin:/sbin"))
            .run()
            .ok()
    };
    dpkg(&["--install", &package]);
    let program = root.join("usr/bin/docker-credential-coffer");
    assert!(world.call(&program, &["version"]).run().ok().contains(env!("CARGO_PKG_VERSION")));
    assert!(world.call(&program, &["--help"]).run().ok().contains("migrate"));
    let plugin = root.join("usr/libexec/docker/cli-plugins/docker-coffer");
    assert!(world.call(&plugin, &["docker-cli-plugin-metadata"]).run().ok().contains("\"SchemaVersion\":\"0.1.0\""));
    for file in [
        "man/man1/docker-credential-coffer.1.gz",
        "bash-completion/completions/docker-credential-coffer",
        "zsh/vendor-completions/_docker-credential-coffer",
        "fish/vendor_completions.d/docker-credential-coffer.fish",
        "doc/docker-credential-coffer/copyright",
        "doc/docker-credential-coffer/LICENSE-MIT",
    ] {
        assert!(fs::metadata(root.join("usr/share").join(file)).unwrap().len() > 0, "{file}");
    }
    dpkg(&["--purge", "docker-credential-coffer"]);
    let left: Vec<_> = world.files(&root).into_iter().filter(|file| !file.starts_with("var/")).collect();
    assert_eq!(left, Vec::<String>::new());
    assert!(plugin.symlink_metadata().is_err());
}
